//! The store: what is behind every handle, and what it does beside the methods of sign-in.

mod accounts;
mod adapter;
pub(crate) mod background;
mod codes;
#[cfg(feature = "etcd")]
mod connect;
#[cfg(feature = "etcd")]
pub(crate) mod copy;
mod fields;
mod hot_sessions;
mod migration;
pub(crate) mod options;
pub(crate) mod sessions;
mod sign_in;
mod states;
mod tokens;
mod upkeep;
pub(crate) mod web_sessions;

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use self::background::{BackgroundPurge, Extensions};
use self::hot_sessions::HotSessions;
use crate::engine::Engine;
use crate::engine::any::AnyEngine;
use crate::engine::redb::published::ReadSet;
use crate::error::Result;
use crate::kv::txn::{Txn, with_indexes};
use crate::models::{Indexes, Millis, Models};
use crate::ops::check::{self, CheckReport};
use crate::records::EmailMatching;
use crate::reply::Reply;

/// The store: an Auth.js database adapter in one redb file, in memory, or in a database that the application has open.
///
/// It is a cheap handle: clone it freely and use it from any thread, blocking or async. When the last clone is dropped
/// the writes that were accepted are carried out and the file is closed; [`close`](Self::close) does the same and says
/// how it went. The methods of sign-in are those of [`Adapter`](crate::Adapter).
///
/// A read runs in place: it takes microseconds and waits for no write. Writes to a file are committed together by a
/// thread of the store; in memory they run on the calling threads.
pub struct AuthKv<M: Models = ()> {
    inner: Arc<Inner>,
    models: PhantomData<fn() -> M>,
}

struct Inner {
    engine: AnyEngine,
    indexes: Arc<Indexes>,
    rules: Rules,
    extensions: Extensions,
    hot_sessions: HotSessions,
    background_purge: BackgroundPurge,
}

/// What the operations are asked to do, beyond their arguments.
pub(crate) struct Rules {
    pub(crate) clock: Clock,
    pub(crate) email_matching: EmailMatching,
    pub(crate) session_ages: SessionAges,
    pub(crate) code_rules: CodeRules,
}

/// How a store has fared since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// How many sessions were found among the [hot ones](crate::Options::hot_sessions).
    pub hot_session_hits: u64,
    /// How many were looked up in the tables, found there or not; none are counted when no hot sessions are kept.
    pub hot_session_misses: u64,
}

/// How long sessions live that are made here.
#[derive(Clone, Copy)]
pub(crate) struct SessionAges {
    /// How long a session is valid after it was last extended.
    pub(crate) max: TimeDelta,
    /// How old an extension is before there is another one.
    pub(crate) update: TimeDelta,
}

/// What codes are like that are made here.
#[derive(Clone, Copy)]
pub(crate) struct CodeRules {
    pub(crate) digits: u32,
    /// How many wrong ones may be entered.
    pub(crate) guesses: u32,
}

pub(crate) type Clock = Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>;

impl<M: Models> AuthKv<M> {
    /// A store whose engine is open and has its tables.
    pub(crate) fn new(
        engine: AnyEngine,
        indexes: Arc<Indexes>,
        rules: Rules,
        hot_sessions: HotSessions,
        background_purge: BackgroundPurge,
    ) -> Self {
        background::resume_sweep(&engine, &indexes);
        let extensions = Extensions::default();
        let inner = Inner { engine, indexes, rules, extensions, hot_sessions, background_purge };
        Self { inner: Arc::new(inner), models: PhantomData }
    }

    /// Creates the tables that are missing, in one transaction. Opening does so by itself unless the option
    /// [`synchronize`](crate::Options::synchronize) is off.
    ///
    /// # Errors
    /// [`Storage`](crate::Error::Storage), [`OutcomeUnknown`](crate::Error::OutcomeUnknown) and
    /// [`Closed`](crate::Error::Closed).
    pub fn synchronize(&self) -> Reply<()> {
        self.inner.engine.synchronize()
    }

    /// Reads the whole store, looks up every record and every entry of it, and compares them and their numbers:
    /// microseconds for each record, on the calling thread. Damage is in the report, not an error.
    ///
    /// It sees whatever a call can meet. What it cannot see is damage to redb's notes of which pages are free, which may
    /// spoil a later write; opening with [`Options::verify`](crate::Options::verify) does.
    ///
    /// # Errors
    /// [`Storage`](crate::Error::Storage) when the tables themselves are too damaged to be read.
    ///
    /// ```
    /// # use authkv::AuthKv;
    /// let report = AuthKv::in_memory()?.check().wait()?;
    /// assert!(report.is_sound(), "{:?}", report.problems);
    /// # Ok::<(), authkv::Error>(())
    /// ```
    pub fn check(&self) -> Reply<CheckReport> {
        let indexes = Arc::clone(&self.inner.indexes);
        self.read(move |txn| check::check(txn, &indexes), Ok)
    }

    /// Carries out the writes that were accepted and closes the file. Later calls, on any clone, answer
    /// [`Closed`](crate::Error::Closed).
    ///
    /// # Errors
    /// [`Storage`](crate::Error::Storage) when the file cannot be closed cleanly; what was acknowledged is in it all the
    /// same. [`Closed`](crate::Error::Closed) when the store was closed before.
    pub fn close(&self) -> Reply<()> {
        self.inner.engine.close()
    }

    /// How the store has fared since it was opened.
    ///
    /// ```
    /// # use authkv::{Adapter, AuthKv};
    /// let auth = AuthKv::in_memory()?;
    /// assert_eq!(auth.get_session_and_user("no such token").wait()?, None);
    /// assert_eq!(auth.stats().hot_session_misses, 1);
    /// # Ok::<(), authkv::Error>(())
    /// ```
    pub fn stats(&self) -> Stats {
        let (hits, misses) = self.inner.hot_sessions.counts();
        Stats { hot_session_hits: hits, hot_session_misses: misses }
    }

    /// Runs a reading operation in place and notes what it read; see [`AnyEngine::read_recorded`].
    pub(crate) fn read_recorded<R>(&self, op: impl Fn(&Txn<'_>) -> Result<R>) -> Option<Result<(R, Option<ReadSet>)>> {
        self.inner.engine.read_recorded(op)
    }

    /// Whether what was read is what would be read now.
    pub(crate) fn is_fresh(&self, read_set: &ReadSet) -> bool {
        self.inner.engine.is_fresh(read_set)
    }

    /// Runs a reading operation; see [`Engine::read`].
    pub(crate) fn read<R: Send + 'static, T: Send + 'static>(
        &self,
        op: impl Fn(&Txn<'_>) -> Result<R> + Send + 'static,
        finish: impl FnOnce(R) -> Result<T> + Send + 'static,
    ) -> Reply<T> {
        self.inner.engine.read(op, finish)
    }

    /// Runs a writing operation, which keeps the application's indexes in step, and behind it a purge if one is
    /// due; see [`Engine::write`].
    pub(crate) fn write<R: Send + 'static, T: Send + 'static>(
        &self,
        op: impl Fn(&mut Txn<'_>) -> Result<R> + Send + 'static,
        finish: impl FnOnce(R) -> Result<T> + Send + 'static,
    ) -> Reply<T> {
        let op = with_indexes(Arc::clone(&self.inner.indexes), op);
        let purge = self.inner.background_purge.due(|| self.now(), self.is_shared());
        self.inner.engine.write_before(op, finish, purge)
    }

    /// Runs a writing operation and nothing behind it.
    #[cfg(test)]
    pub(crate) fn write_alone<R: Send + 'static, T: Send + 'static>(
        &self,
        op: impl Fn(&mut Txn<'_>) -> Result<R> + Send + 'static,
        finish: impl FnOnce(R) -> Result<T> + Send + 'static,
    ) -> Reply<T> {
        self.inner.engine.write(with_indexes(Arc::clone(&self.inner.indexes), op), finish)
    }

    /// Goes on with what a reply brings: here if it is there, as that of a read from a file is, and else when it comes.
    pub(crate) fn then<T: Send + 'static, U: Send + 'static>(
        &self,
        reply: Reply<T>,
        next: impl FnOnce(&Self, Result<T>) -> Reply<U> + Send + 'static,
    ) -> Reply<U> {
        if reply.is_ready() {
            return next(self, reply.wait());
        }
        let auth = self.clone();
        self.inner.engine.then(reply, move |result| next(&auth, result))
    }

    #[cfg(feature = "etcd")]
    pub(crate) fn engine(&self) -> &AnyEngine {
        &self.inner.engine
    }

    /// Whether other processes may work on the store too.
    pub(crate) fn is_shared(&self) -> bool {
        self.inner.engine.is_shared()
    }

    pub(crate) fn now(&self) -> Millis {
        (self.inner.rules.clock)().into()
    }

    pub(crate) fn email_matching(&self) -> EmailMatching {
        self.inner.rules.email_matching
    }

    pub(crate) fn session_ages(&self) -> SessionAges {
        self.inner.rules.session_ages
    }

    pub(crate) fn background_purge(&self) -> &BackgroundPurge {
        &self.inner.background_purge
    }

    pub(crate) fn code_rules(&self) -> CodeRules {
        self.inner.rules.code_rules
    }

    pub(crate) fn hot_sessions(&self) -> &HotSessions {
        &self.inner.hot_sessions
    }

    pub(crate) fn extensions(&self) -> &Extensions {
        &self.inner.extensions
    }

    /// The indexes on own fields that the store has.
    pub(crate) fn indexes(&self) -> &Indexes {
        &self.inner.indexes
    }
}

impl<M: Models> Clone for AuthKv<M> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner), models: PhantomData }
    }
}

impl<M: Models> fmt::Debug for AuthKv<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthKv").field("models", &M::NAME).finish_non_exhaustive()
    }
}

/// A new id, a UUID of version 7: ascending with time, so that new rows share pages.
pub(crate) fn fresh_id<I: From<String>>() -> I {
    I::from(Uuid::now_v7().to_string())
}
