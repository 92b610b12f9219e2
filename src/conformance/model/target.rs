//! The target: the store that the operations run on, from this crate or any other.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::conformance::{Clock, Sample, Subject, WithOwnFields};
use crate::models::Models;
use crate::{Adapter, AuthKv, Options, Result};

/// A store to compare with the model. What it cannot do besides the adapter's methods is skipped.
pub trait Target {
    /// Returns the adapter.
    fn adapter(&self) -> &dyn Adapter;

    /// Sets the clock that decides what has expired.
    fn set_clock(&mut self, now: DateTime<Utc>);

    /// Removes expired records. Returns how many sessions and verification tokens were removed, or `None` if the store
    /// cannot do it.
    fn purge(&mut self) -> Option<(usize, usize)> {
        None
    }

    /// Closes the store and opens it again. Returns false if it cannot do it.
    fn reopen(&mut self) -> bool {
        false
    }

    /// Checks the store. Returns how many records there are, or `None` if it cannot tell.
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
pub struct AuthKvTarget<M: Models = ()> {
    kv: AuthKv<M>,
    adapter: Arc<dyn Adapter>,
    clock: Clock,
    open: Open<M>,
    into_adapter: IntoAdapter<M>,
    reopens: bool,
}

type Open<M> = Box<dyn Fn(Options<M>) -> Result<AuthKv<M>>>;
type IntoAdapter<M> = fn(AuthKv<M>) -> Arc<dyn Adapter>;

impl AuthKvTarget {
    /// Opens a store in memory, which cannot be reopened.
    ///
    /// # Errors
    /// Those of [`Options::in_memory`].
    pub fn in_memory() -> Result<Self> {
        Ok(Self { reopens: false, ..Self::new(Options::in_memory)? })
    }

    /// Opens a store with `open`.
    ///
    /// # Errors
    /// Those of `open`.
    pub fn new(open: impl Fn(Options) -> Result<AuthKv> + 'static) -> Result<Self> {
        Self::opened(Box::new(open), |kv| Arc::new(kv))
    }
}

impl<M: Models> AuthKvTarget<M> {
    /// Opens a store with own fields with `open`.
    ///
    /// # Errors
    /// Those of `open`.
    pub fn with_own_fields(open: impl Fn(Options<M>) -> Result<AuthKv<M>> + 'static) -> Result<Self>
    where
        M::User: Sample,
        M::Account: Sample,
        M::Session: Sample,
        M::VerificationToken: Sample,
    {
        Self::opened(Box::new(open), |kv| Arc::new(WithOwnFields::new(Arc::new(kv))))
    }

    fn opened(open: Open<M>, into_adapter: IntoAdapter<M>) -> Result<Self> {
        let clock = Clock::new();
        let kv = open(options(&clock))?;
        Ok(Self { adapter: into_adapter(kv.clone()), kv, clock, open, into_adapter, reopens: true })
    }
}

fn options<M: Models>(clock: &Clock) -> Options<M> {
    let clock = clock.clone();
    // The model counts expired records until they are purged.
    AuthKv::options().models().purge_in_background(false).clock(move || clock.now())
}

/// A target that supports only the adapter's methods and the clock.
impl Target for Subject {
    fn adapter(&self) -> &dyn Adapter {
        &*self.auth
    }

    fn set_clock(&mut self, now: DateTime<Utc>) {
        self.clock.set(now);
    }
}

impl<M: Models> Target for AuthKvTarget<M> {
    fn adapter(&self) -> &dyn Adapter {
        &*self.adapter
    }

    fn set_clock(&mut self, now: DateTime<Utc>) {
        self.clock.set(now);
    }

    fn purge(&mut self) -> Option<(usize, usize)> {
        let purged = self.kv.purge_expired().wait().expect("the storage works");
        Some((purged.sessions, purged.verification_tokens))
    }

    fn reopen(&mut self) -> bool {
        if self.reopens {
            self.kv.close().wait().expect("the storage works");
            self.kv = (self.open)(options(&self.clock)).expect("what was closed can be opened");
            self.adapter = (self.into_adapter)(self.kv.clone());
        }
        self.reopens
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
