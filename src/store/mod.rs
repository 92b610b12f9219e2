//! The store: the public handle, and the background work behind it.

// In the order in which the documentation shows their methods.
pub(crate) mod options;

#[cfg(feature = "etcd")]
mod connect;

mod users;

mod sign_in;

pub(crate) mod sessions;

mod accounts;

mod tokens;

mod codes;

mod states;

mod authenticators;

mod fields;

mod own_transaction;

mod upkeep;

mod checking;

mod adapter;
pub(crate) mod background;
mod completing;
#[cfg(feature = "etcd")]
pub(crate) mod copy;
mod declared;
mod fit;
mod hot_sessions;
mod lists;
mod migration;
mod shown;
pub(crate) mod web_sessions;
mod wrong_guesses;

use std::fmt;
use std::marker::PhantomData;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use uuid::Uuid;

use self::background::{BackgroundPurge, Extensions};
use self::hot_sessions::HotSessions;
use self::wrong_guesses::WrongGuesses;
use crate::engine::any::AnyEngine;
use crate::engine::redb::published::ReadSet;
use crate::engine::{Engine, Signature};
use crate::error::{Error, Problem, Result, StorageError};
use crate::kv::txn::{Txn, with_indexes};
use crate::models::{Indexes, Millis, Models, Span};
use crate::ops::meta;
use crate::records::{AsOf, EmailMatching, Identity};
use crate::reply::Reply;
use crate::store::declared::Shapes;

/// The store: an Auth.js database adapter in one redb file, in memory, or in a database that the application has open.
///
/// The handle is cheap: clone it freely and use it from any thread, blocking or async. Dropping the last clone carries
/// out the accepted writes and closes the file; [`close`](Self::close) does the same and returns the outcome.
///
/// | to | call |
/// |---|---|
/// | open a store | [`open`](Self::open), [`open_shared`](Self::open_shared), [`in_memory`](Self::in_memory), [`options`](Self::options) |
/// | sign somebody in | [`issue_link_token`](Self::issue_link_token) or [`issue_code`](Self::issue_code), then [`sign_in_with_email`](Self::sign_in_with_email); with a provider [`put_state`](Self::put_state), [`take_state`](Self::take_state) and [`sign_in_with_account`](Self::sign_in_with_account) |
/// | accept a token of somebody else once | [`use_once`](Self::use_once) |
/// | know who makes a request | [`authenticate`](Self::authenticate) |
/// | sign out | [`sign_out`](Self::sign_out), [`end_session`](Self::end_session), [`end_other_sessions`](Self::end_other_sessions), [`end_all_sessions`](Self::end_all_sessions) |
/// | show pages of them | [`list_users`](Self::list_users), [`list_sessions`](Self::list_sessions), [`list_accounts`](Self::list_accounts), [`list_authenticators`](Self::list_authenticators), and by own fields [`list_users_by`](Self::list_users_by) |
/// | change own rows in the same step | [`begin_write`](Self::begin_write), [`create_user_in`](Self::create_user_in), [`delete_user_in`](Self::delete_user_in) |
/// | look after the store | [`check`](Self::check), [`stats`](Self::stats), [`purge_expired`](Self::purge_expired), [`repair`](Self::repair), [`close`](Self::close) |
///
/// The methods stand below in the order of their use, under a heading for each kind of record. The 19 methods of
/// [`Adapter`](crate::Adapter) are among them and need no trait in scope.
///
/// A read runs on the calling thread: it takes microseconds and waits for no write. One thread of the store commits
/// writes to a file in groups; writes in memory run on the calling threads.
///
/// # After fork(2)
///
/// A child that is made by fork(2) has none of the store's threads, and shares the file and its lock with its parent.
/// Open the store after the fork. In a child of the process that opened it,
///
/// - every write to a file, [`synchronize`](Self::synchronize) and [`close`](Self::close) return
///   [`Storage`](crate::Error::Storage) at once, and so does every call on a cluster. A reply that was not there when the
///   child was made is [`OutcomeUnknown`](crate::Error::OutcomeUnknown);
/// - dropping the store waits for nobody and changes neither the file nor its lock;
/// - reads of a file are not refused, because asking for the process takes longer than a cached session does. Do not read
///   there: a read may return what was true before the fork, miss records, or wait for ever for a lock that another
///   thread held during the fork;
/// - a store in memory goes on with a copy of what it had, unless another thread was in the middle of a call.
///
/// The lock is let go of when the parent closes the store. If the parent dies without that, the file stays locked until the
/// child ends or calls `exec`. The child is told by its process id: one that gets its parent's id, in a PID namespace of its
/// own, is not noticed.
pub struct AuthKv<M: Models = ()> {
    inner: Arc<Inner>,
    models: PhantomData<fn() -> M>,
}

struct Inner {
    engine: AnyEngine,
    indexes: Arc<Indexes>,
    shapes: Shapes,
    rules: Rules,
    extensions: Extensions,
    hot_sessions: HotSessions,
    background_purge: BackgroundPurge,
    cleaned_fields: AtomicU64,
    /// See [`Stats::sessions_of_strangers`].
    sessions_of_strangers: Arc<AtomicU64>,
    wrong_guesses: Arc<WrongGuesses>,
}

/// A handle that may not keep the store open.
pub(crate) struct Handle<M: Models> {
    inner: Weak<Inner>,
    kept: Option<AuthKv<M>>,
}

impl<M: Models> Handle<M> {
    /// `None` if the store is closed because its last handle was dropped.
    pub(crate) fn get(&self) -> Option<AuthKv<M>> {
        let open = || Some(AuthKv { inner: self.inner.upgrade()?, models: PhantomData });
        self.kept.clone().or_else(open)
    }
}

/// What operations depend on besides their arguments.
pub(crate) struct Rules {
    pub(crate) clock: Clock,
    pub(crate) email_matching: EmailMatching,
    pub(crate) session_ages: SessionAges,
    pub(crate) code_rules: CodeRules,
}

/// Counters of a store since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// How many sessions were found in the [cache](crate::Options::hot_sessions).
    pub hot_session_hits: u64,
    /// How many sessions were looked up in the tables, whether they exist or not. Always 0 without a session cache.
    pub hot_session_misses: u64,
    /// How many fields were left out or changed because they could not be stored as they were given, as
    /// [`count_cleaned`](AuthKv::count_cleaned) was told.
    pub cleaned_fields: u64,
    /// How often a web session was created or changed whose data names a user whom this store has never had. Such a
    /// session belongs to nobody. If the users are in this store, this is 0; if they are elsewhere, tell
    /// [`WebSessions`](crate::WebSessions) so with `user_id_from(|_| None)`.
    pub sessions_of_strangers: u64,
    /// How many entries of the expiry index were dropped here because their record is missing or damaged; see
    /// [`Purged::damaged`](crate::Purged::damaged). If it is not 0, find out more with [`check`](AuthKv::check).
    pub damaged_entries: u64,
    /// What all wrong guesses at codes that were made here in the last hour have cost, for all addresses together, in units
    /// of 10⁻¹²: the chance that one of them had been right. 1,000,000,000 is 10⁻³, far more than people mistype: somebody
    /// is guessing at many addresses. A guess whose answer nobody waited for is not in it, though it counts for its request.
    pub wrong_guesses: u64,
}

/// Lifetimes of the sessions that the store creates or extends.
#[derive(Clone, Copy)]
pub(crate) struct SessionAges {
    /// How long a session is valid after its last extension.
    pub(crate) max: TimeDelta,
    /// How old the last extension must be before the session is extended again.
    pub(crate) update: TimeDelta,
}

/// The settings of one-time codes.
#[derive(Clone, Copy)]
pub(crate) struct CodeRules {
    pub(crate) digits: u32,
    /// How many wrong codes may be entered.
    pub(crate) guesses: u32,
}

pub(crate) type Clock = Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>;

/// # The store as a whole
impl<M: Models> AuthKv<M> {
    /// A store on an engine that is open and has its tables.
    pub(crate) fn new(
        engine: AnyEngine,
        (indexes, shapes): (Arc<Indexes>, Shapes),
        rules: Rules,
        hot_sessions: HotSessions,
        background_purge: BackgroundPurge,
    ) -> Self {
        background::resume_sweep(&engine, &indexes);
        let extensions = Extensions::default();
        let inner = Inner {
            engine,
            indexes,
            shapes,
            rules,
            extensions,
            hot_sessions,
            background_purge,
            cleaned_fields: AtomicU64::new(0),
            sessions_of_strangers: Arc::default(),
            wrong_guesses: Arc::default(),
        };
        Self { inner: Arc::new(inner), models: PhantomData }
    }

    /// Waits for what was begun before it and nobody waits for: extensions of sessions that [`authenticate`](Self::authenticate)
    /// found, purges, and the removal of what deleted users had. For tests, which then see the outcome of all that; an
    /// application need not call it. On a cluster it waits for a moment in which this process has no call under way. What
    /// fails in the background is tried again later, and is no error here.
    ///
    /// # Errors
    /// [`Storage`](crate::Error::Storage), [`Closed`](crate::Error::Closed) and [`Busy`](crate::Error::Busy).
    ///
    /// ```
    /// use std::sync::Arc;
    /// use std::sync::atomic::{AtomicI64, Ordering};
    ///
    /// # use authkv::models::NewUser;
    /// # use authkv::AuthKv;
    /// use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
    ///
    /// let day = Arc::new(AtomicI64::new(0));
    /// let today = Arc::clone(&day);
    /// let clock = move || DateTime::<Utc>::UNIX_EPOCH + TimeDelta::days(today.load(Ordering::Relaxed));
    /// let auth = AuthKv::options().clock(clock).in_memory()?;
    /// let ada = auth.create_user(NewUser::email("ada@example.com")).wait()?;
    /// let token = auth.start_session(&ada.id).wait()?.session_token;
    /// for _ in 0..5 {
    ///     day.fetch_add(20, Ordering::Relaxed);
    ///     assert!(auth.authenticate(token.reveal()).wait()?.has_passed(), "a session in use is extended");
    ///     auth.settle().wait()?;
    /// }
    /// # Ok::<(), authkv::Error>(())
    /// ```
    pub fn settle(&self) -> Reply<()> {
        self.inner.engine.settle()
    }

    /// Creates missing tables in one transaction. Opening does this unless the option
    /// [`synchronize`](crate::Options::synchronize) is off.
    ///
    /// # Errors
    /// [`Storage`](crate::Error::Storage), [`OutcomeUnknown`](crate::Error::OutcomeUnknown),
    /// [`Closed`](crate::Error::Closed) and [`Busy`](crate::Error::Busy).
    pub fn synchronize(&self) -> Reply<()> {
        self.inner.engine.synchronize()
    }

    /// Carries out the accepted writes and closes the file. Later calls on any clone answer
    /// [`Closed`](crate::Error::Closed).
    ///
    /// # Errors
    /// [`Storage`](crate::Error::Storage) when the file cannot be closed cleanly, although acknowledged writes are in it,
    /// and when the path no longer names the file that was opened, because it was deleted, moved or replaced: then the
    /// writes are in the file that was opened and not in the one that lies there. `Storage` also in
    /// [a forked child](#after-fork2), where nothing is closed, and when removed rows could not be overwritten, which
    /// [`secure_delete`](crate::Options::secure_delete) promises; the file is closed then. [`Closed`](crate::Error::Closed)
    /// when the store was already closed. [`Busy`](crate::Error::Busy) when a write transaction of the application's holds up
    /// what is left to write to a shared database: the store takes no more calls, and is closed when that transaction ends.
    pub fn close(&self) -> Reply<()> {
        self.inner.engine.close()
    }

    /// True if `path` names the file that this store has open, under whatever name: links are followed, and on Unix
    /// device and inode are compared, elsewhere the resolved paths. False for a store that was closed, that has lost its
    /// file, or that was not opened by a path, and while the file cannot be found.
    ///
    /// ```
    /// # use authkv::AuthKv;
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("app.redb");
    /// let auth = AuthKv::open(&path)?;
    /// assert!(auth.is_at(folder.path().join("./app.redb")) && !auth.is_at(folder.path().join("other.redb")));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_at(&self, path: impl AsRef<Path>) -> bool {
        self.inner.engine.is_at(path.as_ref())
    }

    /// What time it is by the store's [`clock`](crate::Options::clock), to the millisecond, as records keep it. For an
    /// application that writes an instant itself, such as `email_verified`, so that a test's clock decides there too.
    ///
    /// ```
    /// use authkv::AuthKv;
    /// use authkv::models::NewUser;
    ///
    /// let auth = AuthKv::in_memory()?;
    /// let ada = NewUser { email_verified: Some(auth.now()), ..NewUser::email("ada@example.com") };
    /// assert_eq!(auth.create_user(ada.clone()).wait()?.email_verified, ada.email_verified);
    /// # Ok::<(), authkv::Error>(())
    /// ```
    pub fn now(&self) -> DateTime<Utc> {
        (self.inner.rules.clock)().trunc_subsecs(3)
    }

    /// The option [`session_max_age`](crate::Options::session_max_age), for example for the age of a cookie.
    ///
    /// ```
    /// use authkv::AuthKv;
    /// use authkv::chrono::TimeDelta;
    ///
    /// assert_eq!(AuthKv::in_memory()?.session_max_age(), TimeDelta::days(30));
    /// # Ok::<(), authkv::Error>(())
    /// ```
    pub fn session_max_age(&self) -> TimeDelta {
        self.session_ages().max
    }

    /// Counters since the store was opened.
    ///
    /// ```
    /// # use authkv::AuthKv;
    /// let auth = AuthKv::in_memory()?;
    /// assert_eq!(auth.get_session_and_user("no such token").wait()?, None);
    /// assert_eq!(auth.stats().hot_session_misses, 1);
    /// # Ok::<(), authkv::Error>(())
    /// ```
    pub fn stats(&self) -> Stats {
        let (now, (hits, misses)) = (self.now_ms(), self.inner.hot_sessions.counts());
        Stats {
            hot_session_hits: hits,
            hot_session_misses: misses,
            cleaned_fields: self.inner.cleaned_fields.load(Ordering::Relaxed),
            damaged_entries: self.background_purge().damaged(),
            sessions_of_strangers: self.inner.sessions_of_strangers.load(Ordering::Relaxed),
            wrong_guesses: self.inner.wrong_guesses.cost(now),
        }
    }

    /// Adds to [`Stats::cleaned_fields`] the number of fields that the caller left out or changed because they could not
    /// be stored as somebody else had given them. The store itself refuses such fields. The npm package, whose
    /// `linkAccount` gets what a provider sent, cleans them and calls this.
    ///
    /// ```
    /// # use authkv::AuthKv;
    /// let auth = AuthKv::in_memory()?;
    /// auth.count_cleaned(2);
    /// assert_eq!(auth.stats().cleaned_fields, 2);
    /// # Ok::<(), authkv::Error>(())
    /// ```
    pub fn count_cleaned(&self, fields: u64) {
        self.inner.cleaned_fields.fetch_add(fields, Ordering::Relaxed);
    }

    /// Runs a read on the calling thread and records its read set; see [`AnyEngine::read_recorded`].
    pub(crate) fn read_recorded<R>(&self, op: impl Fn(&Txn<'_>) -> Result<R>) -> Option<Result<(R, Option<ReadSet>)>> {
        self.inner.engine.read_recorded(op)
    }

    /// True if no row of the read set has changed since it was read.
    pub(crate) fn is_fresh(&self, read_set: &ReadSet) -> bool {
        self.inner.engine.is_fresh(read_set)
    }

    /// Runs a read; see [`Engine::read`].
    pub(crate) fn read<R: Send + 'static, T: Send + 'static>(
        &self,
        op: impl Fn(&Txn<'_>) -> Result<R> + Send + 'static,
        finish: impl FnOnce(R) -> Result<T> + Send + 'static,
    ) -> Reply<T> {
        self.inner.engine.read(op, finish)
    }

    /// Runs a write that also maintains the application's indexes, and queues a purge behind it if one is due; see
    /// [`Engine::write`].
    pub(crate) fn write<R: Send + 'static, T: Send + 'static>(
        &self,
        op: impl Fn(&mut Txn<'_>) -> Result<R> + Send + 'static,
        finish: impl FnOnce(R) -> Result<T> + Send + 'static,
    ) -> Reply<T> {
        let op = with_indexes(Arc::clone(&self.inner.indexes), op);
        let purge = self.inner.background_purge.due(|| self.as_of(), self.is_shared());
        self.inner.engine.write_before(op, finish, purge)
    }

    /// Runs a write that nobody waits for, and queues a purge behind it if one is due at this instant.
    pub(crate) fn write_in_background(&self, op: impl Fn(&mut Txn<'_>) -> Result<()> + Send + 'static, as_of: AsOf) {
        let op = with_indexes(Arc::clone(&self.inner.indexes), op);
        let purge = self.inner.background_purge.due(|| as_of, self.is_shared());
        self.inner.engine.write_in_background(op, purge);
    }

    /// Runs a write and queues no purge behind it.
    pub(crate) fn write_alone<R: Send + 'static, T: Send + 'static>(
        &self,
        op: impl Fn(&mut Txn<'_>) -> Result<R> + Send + 'static,
        finish: impl FnOnce(R) -> Result<T> + Send + 'static,
    ) -> Reply<T> {
        self.inner.engine.write(with_indexes(Arc::clone(&self.inner.indexes), op), finish)
    }

    /// Runs `next` on a reply's result: at once if the reply is ready, as after a read from a file, and otherwise when
    /// it arrives; see [`AnyEngine::then`].
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

    /// A handle for work behind a reply that may never be awaited. On a file and in memory it does not keep the store
    /// open; on a cluster the work is done in any case.
    pub(crate) fn handle(&self) -> Handle<M> {
        Handle { inner: Arc::downgrade(&self.inner), kept: self.is_shared().then(|| self.clone()) }
    }

    pub(crate) fn engine(&self) -> &AnyEngine {
        &self.inner.engine
    }

    /// True if other processes may use the store too.
    pub(crate) fn is_shared(&self) -> bool {
        self.inner.engine.is_shared()
    }

    pub(crate) fn now_ms(&self) -> Millis {
        (self.inner.rules.clock)().into()
    }

    pub(crate) fn email_matching(&self) -> EmailMatching {
        self.inner.rules.email_matching
    }

    /// What a call needs to tell whether a session is valid.
    pub(crate) fn as_of(&self) -> AsOf {
        AsOf { now: self.now_ms(), max_age: self.session_ages().max }
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

    pub(crate) fn sessions_of_strangers(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.inner.sessions_of_strangers)
    }

    pub(crate) fn extensions(&self) -> &Extensions {
        &self.inner.extensions
    }

    /// What the application's models say about their indexed fields.
    pub(crate) fn shapes(&self) -> &Shapes {
        &self.inner.shapes
    }

    /// The store's indexes on own fields.
    pub(crate) fn indexes(&self) -> &Arc<Indexes> {
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

/// A new id: a UUID of version 7, ascending with time, so that new rows share pages.
pub(crate) fn fresh_id<I: From<String>>() -> I {
    I::from(Uuid::now_v7().to_string())
}

/// Refuses a length of time that is over when it begins. The store counts in milliseconds, so a shorter one is as long as none.
pub(crate) fn positive(field: &'static str, length: impl Into<Span>) -> Result<TimeDelta> {
    let Span(length) = length.into();
    if length < TimeDelta::milliseconds(1) { Err(Error::invalid(field, Problem::NotPositive)) } else { Ok(length) }
}

/// The rows by which an engine recognises its file, with a new mark, and a new id for a store that has none.
pub(crate) fn signature() -> Result<Signature> {
    let fresh = Identity { store: Some(random_id()?), mark: Some(random_id()?) };
    Ok(Signature { read: meta::identity, write: meta::put_identity, fresh })
}

/// A random UUID, which says nothing about its time.
fn random_id() -> Result<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)
        .map_err(|error| Error::Storage(StorageError::caused("there is no randomness for an id", error)))?;
    Ok(uuid::Builder::from_random_bytes(bytes).into_uuid().to_string())
}
