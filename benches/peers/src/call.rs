//! The measured calls, and the trait of a peer, which answers them.

use std::pin::Pin;
use std::sync::OnceLock;

use anyhow::Result;
use tokio::runtime::{Builder, Runtime};
use uuid::Uuid;

use crate::people::{Person, User};

/// How many threads run the tasks.
pub const WORKERS: usize = 2;

/// A call to a store. A write is on the disk before it is answered.
#[derive(Clone, Debug)]
pub enum Call {
    /// The session with this token and its user, if it is valid.
    SessionAndUser {
        token: String,
    },
    UserByEmail {
        email: String,
    },
    CreateSession {
        user_id: Uuid,
        token: String,
        expires_ms: i64,
    },
    /// Extends a valid session until `expires_ms`.
    ExtendSession {
        token: String,
        expires_ms: i64,
    },
    /// Creates the user, its account and a session.
    SignUp {
        person: Person,
        token: String,
        expires_ms: i64,
    },
    /// Creates a verification token, and then uses it.
    UseToken {
        identifier: String,
        token: String,
        expires_ms: i64,
    },
    /// Deletes the user with its accounts and sessions.
    DeleteUser {
        user_id: Uuid,
    },
}

impl Call {
    pub fn reads(&self) -> bool {
        matches!(self, Self::SessionAndUser { .. } | Self::UserByEmail { .. })
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The result of a reading call.
    Found(Option<Found>),
    /// Whether a writing call found its record.
    Done(bool),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub user: User,
    /// The expiry of the session through which the user was found.
    pub expires_ms: Option<i64>,
}

pub enum Reply<'a> {
    Ready(Result<Outcome>),
    Later(Pin<Box<dyn Future<Output = Result<Outcome>> + Send + 'a>>),
}

/// A store of users, accounts, sessions and verification tokens. Dropping it closes it cleanly.
pub trait Peer: Send + Sync {
    fn call<'a>(&'a self, call: &'a Call) -> Reply<'a>;

    fn waiting(&self) -> Waiting;
}

/// How callers wait for a write.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Waiting {
    /// Waiting blocks the thread, so each caller has a thread.
    Threads,
    /// The caller awaits the answer.
    Tasks,
}

impl Reply<'_> {
    /// Blocks the thread until the outcome is known.
    pub fn wait(self) -> Result<Outcome> {
        match self {
            Self::Ready(outcome) => outcome,
            Self::Later(outcome) => runtime().block_on(outcome),
        }
    }

    pub async fn outcome(self) -> Result<Outcome> {
        match self {
            Self::Ready(outcome) => outcome,
            Self::Later(outcome) => outcome.await,
        }
    }
}

/// The executor for all async code.
pub fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    #[allow(clippy::expect_used)] // without threads there is nothing to measure
    RUNTIME.get_or_init(|| {
        Builder::new_multi_thread().worker_threads(WORKERS).enable_time().build().expect("threads can be started")
    })
}
