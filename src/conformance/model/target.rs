//! The target: the store that the operations run on, which is this crate's or anybody's.

use chrono::{DateTime, Utc};

use crate::conformance::{Clock, Subject};
use crate::{Adapter, AuthKv, Options, Result};

/// A store to compare with the model. What it cannot do besides the adapter's methods is left out.
pub trait Target {
    /// The adapter.
    fn adapter(&self) -> &dyn Adapter;

    /// Sets the clock that decides what has expired.
    fn set_clock(&mut self, now: DateTime<Utc>);

    /// Removes what has expired, and says how many sessions and verification tokens that were.
    fn purge(&mut self) -> Option<(usize, usize)> {
        None
    }

    /// Closes the store and opens it again; says whether it can.
    fn reopen(&mut self) -> bool {
        false
    }

    /// Checks itself, and says how many records there are.
    fn check(&self) -> Option<Counts> {
        None
    }
}

/// How many records there are, expired ones included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Counts {
    pub users: usize,
    pub accounts: usize,
    pub sessions: usize,
    pub verification_tokens: usize,
    pub authenticators: usize,
}

/// An [`AuthKv`] as a target.
pub struct AuthKvTarget {
    kv: AuthKv,
    clock: Clock,
    open: Option<Box<dyn Fn(Options) -> Result<AuthKv>>>,
}

impl AuthKvTarget {
    /// A store in memory, which cannot be reopened.
    ///
    /// # Errors
    /// Those of [`Options::in_memory`].
    pub fn in_memory() -> Result<Self> {
        let clock = Clock::new();
        Ok(Self { kv: options(&clock).in_memory()?, clock, open: None })
    }

    /// A store that is opened like this.
    ///
    /// # Errors
    /// Those of `open`.
    pub fn new(open: impl Fn(Options) -> Result<AuthKv> + 'static) -> Result<Self> {
        let clock = Clock::new();
        Ok(Self { kv: open(options(&clock))?, clock, open: Some(Box::new(open)) })
    }
}

fn options(clock: &Clock) -> Options {
    let clock = clock.clone();
    AuthKv::options().clock(move || clock.now())
}

/// Without what only the store itself can do.
impl Target for Subject {
    fn adapter(&self) -> &dyn Adapter {
        &*self.auth
    }

    fn set_clock(&mut self, now: DateTime<Utc>) {
        self.clock.set(now);
    }
}

impl Target for AuthKvTarget {
    fn adapter(&self) -> &dyn Adapter {
        &self.kv
    }

    fn set_clock(&mut self, now: DateTime<Utc>) {
        self.clock.set(now);
    }

    fn purge(&mut self) -> Option<(usize, usize)> {
        let purged = self.kv.purge_expired().wait().expect("the storage works");
        Some((purged.sessions, purged.verification_tokens))
    }

    fn reopen(&mut self) -> bool {
        let Some(open) = &self.open else {
            return false;
        };
        self.kv.close().wait().expect("the storage works");
        self.kv = open(options(&self.clock)).expect("what was closed can be opened");
        true
    }

    fn check(&self) -> Option<Counts> {
        let report = self.kv.check().wait().expect("the storage works");
        assert!(report.is_sound(), "{:?}", report.problems);
        assert_eq!(report.waiting_to_be_swept, 0, "what few records a deleted user has goes with the user");
        let count = |records: u64| usize::try_from(records).expect("they were counted in memory");
        Some(Counts {
            users: count(report.users),
            accounts: count(report.accounts),
            sessions: count(report.sessions),
            verification_tokens: count(report.verification_tokens),
            authenticators: count(report.authenticators),
        })
    }
}
