//! The work: the calls of an operation, for any number of callers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Result, ensure};
use clap::ValueEnum;

use crate::call::{Call, Peer};
use crate::load::{self, Timing};
use crate::people::{PEOPLE_MAX, Person, token};

/// This many percent of the skewed requests concern …
const HOT_REQUESTS: u64 = 95;
/// … one person in this many.
const HOT_PEOPLE: u64 = 20;
const DAY_MS: i64 = 86_400_000;
/// How many callers create the records to be deleted.
const PREPARING: u64 = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Operation {
    /// Session and user by token, all alike
    Session,
    /// The same, 95 % of requests on 5 % of sessions
    SessionSkewed,
    UserByEmail,
    CreateSession,
    ExtendSession,
    /// User, account and session
    SignUp,
    /// Create a verification token, then use it
    UseToken,
    /// Delete a user with 1 session
    DeleteUser,
    /// Delete a user with 100 sessions
    DeleteUser100,
    /// Delete a user with 10,000 sessions
    DeleteUser10000,
}

impl Operation {
    pub const ALL: [Self; 10] = [
        Self::Session,
        Self::SessionSkewed,
        Self::UserByEmail,
        Self::CreateSession,
        Self::ExtendSession,
        Self::SignUp,
        Self::UseToken,
        Self::DeleteUser,
        Self::DeleteUser100,
        Self::DeleteUser10000,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Session => "session and user",
            Self::SessionSkewed => "session and user, skewed",
            Self::UserByEmail => "user by e-mail",
            Self::CreateSession => "create session",
            Self::ExtendSession => "extend session",
            Self::SignUp => "sign-up",
            Self::UseToken => "create and use token",
            Self::DeleteUser => "delete user, 1 session",
            Self::DeleteUser100 => "delete user, 100 sessions",
            Self::DeleteUser10000 => "delete user, 10,000 sessions",
        }
    }

    pub fn reads(self) -> bool {
        matches!(self, Self::Session | Self::SessionSkewed | Self::UserByEmail)
    }

    pub fn deletes(self) -> bool {
        matches!(self, Self::DeleteUser | Self::DeleteUser100 | Self::DeleteUser10000)
    }
}

/// Creates calls for the people in a store and for new ones.
pub struct Work {
    /// How many people there are.
    users: u64,
    /// The number of the next person to sign up.
    next: AtomicU64,
}

impl Work {
    /// # Errors
    /// When there are no people, or too many.
    pub fn new(users: u64) -> Result<Self> {
        ensure!(
            (HOT_PEOPLE..=PEOPLE_MAX / 2).contains(&users),
            "there must be from {HOT_PEOPLE} to {} users",
            PEOPLE_MAX / 2
        );
        Ok(Self { users, next: AtomicU64::new(users) })
    }

    /// Calls for this many callers, this many for each. Another seed chooses other people. People to be deleted are
    /// signed up first.
    ///
    /// # Errors
    /// The errors of signing up.
    pub fn calls(
        &self,
        peer: &Arc<dyn Peer>,
        operation: Operation,
        callers: usize,
        each: usize,
        seed: u64,
    ) -> Result<Vec<Vec<Call>>> {
        let mut dice = fastrand::Rng::with_seed(seed);
        let mut calls = || (0..each).map(|_| self.one(peer, operation, &mut dice)).collect();
        (0..callers).map(|_| calls()).collect()
    }

    fn one(&self, peer: &Arc<dyn Peer>, operation: Operation, dice: &mut fastrand::Rng) -> Result<Call> {
        let person = Person(dice.u64(..self.users));
        let expires_ms = in_a_month_ms();
        Ok(match operation {
            Operation::Session => Call::SessionAndUser { token: person.session_token() },
            Operation::SessionSkewed => Call::SessionAndUser { token: self.skewed(dice).session_token() },
            Operation::UserByEmail => Call::UserByEmail { email: person.email() },
            Operation::CreateSession => {
                Call::CreateSession { user_id: person.user_id(), token: new_token(), expires_ms }
            }
            Operation::ExtendSession => {
                Call::ExtendSession { token: person.session_token(), expires_ms: expires_ms + DAY_MS }
            }
            Operation::SignUp => Call::SignUp { person: self.newcomer(), token: new_token(), expires_ms },
            Operation::UseToken => Call::UseToken { identifier: person.email(), token: new_token(), expires_ms },
            Operation::DeleteUser => self.user_to_delete(peer, 1)?,
            Operation::DeleteUser100 => self.user_to_delete(peer, 100)?,
            Operation::DeleteUser10000 => self.user_to_delete(peer, 10_000)?,
        })
    }

    /// Signs up a person with this many sessions, and returns the call that deletes the user.
    pub fn user_to_delete(&self, peer: &Arc<dyn Peer>, sessions: u64) -> Result<Call> {
        let (person, expires_ms) = (self.newcomer(), in_a_month_ms());
        let user_id = person.user_id();
        load::run(peer, vec![vec![Call::SignUp { person, token: new_token(), expires_ms }]], Timing::Whole)?;
        let create = |_| Call::CreateSession { user_id, token: new_token(), expires_ms };
        let callers =
            (0..PREPARING).map(|caller| (1 + caller..sessions).step_by(PREPARING as usize).map(create).collect());
        load::run(peer, callers.collect(), Timing::Whole)?;
        Ok(Call::DeleteUser { user_id })
    }

    fn skewed(&self, dice: &mut fastrand::Rng) -> Person {
        let hot = dice.u64(..100) < HOT_REQUESTS;
        Person(if hot { dice.u64(..self.users / HOT_PEOPLE) * HOT_PEOPLE } else { dice.u64(..self.users) })
    }

    fn newcomer(&self) -> Person {
        Person(self.next.fetch_add(1, Ordering::Relaxed))
    }
}

fn new_token() -> String {
    token(&mut fastrand::Rng::new())
}

fn in_a_month_ms() -> i64 {
    chrono::Utc::now().timestamp_millis() + 30 * DAY_MS
}
