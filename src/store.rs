//! The store: opening, options, closing.

use std::fmt;
use std::marker::PhantomData;
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use redb::Database;

use crate::engine::any::AnyEngine;
use crate::engine::redb::{Config, RedbEngine, Source};
use crate::engine::{Durability, Engine, Note, Setup};
use crate::error::{Error, Problem, Result};
use crate::hot_sessions::HotSessions;
use crate::migration::{self, OnProgress};
use crate::model::{Indexes, MigrationProgress, Millis, Models};
use crate::ops::check::{self, CheckReport};
use crate::ops::meta::{self, Settings};
use crate::ops::upkeep;
use crate::purging::Purging;
use crate::record::{AccountRecord, EmailMatching, UserRecord};
use crate::reply::Reply;
use crate::sign_in::ExtendingSessions;
use crate::txn::{Declared, Txn, declaring, indexes};

const CACHE_BYTES: usize = 32 << 20;
const HOT_SESSIONS: usize = 8_192;

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
    clock: Clock,
    email_matching: EmailMatching,
    declared: Declared,
    session_ages: SessionAges,
    code_rules: CodeRules,
    extending: ExtendingSessions,
    hot_sessions: HotSessions,
    purging: Purging,
}

/// How a store has fared since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// How many sessions were found among the [hot ones](Options::hot_sessions).
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

impl CodeRules {
    fn check(self) -> Result<()> {
        check_range("code_digits", self.digits, 6..=12)?;
        check_range("code_guesses", self.guesses, 1..=100)
    }
}

fn check_range(field: &'static str, value: u32, range: RangeInclusive<u32>) -> Result<()> {
    let problem = Problem::OutOfRange { least: *range.start(), most: *range.end() };
    if range.contains(&value) { Ok(()) } else { Err(Error::invalid(field, problem)) }
}

type Clock = Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>;

impl AuthKv {
    /// Opens the store in this file, and makes it if there is none. The same as `AuthKv::options().open(path)`.
    ///
    /// # Errors
    /// Those of [`Options::open`].
    ///
    /// ```
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("app.redb");
    /// use authkv::models::NewUser;
    /// use authkv::{Adapter, AuthKv};
    ///
    /// let auth = AuthKv::open(&path)?;
    /// let ada = auth.create_user(NewUser::email("ada@example.com")).wait()?;
    /// drop(auth);
    ///
    /// assert_eq!(AuthKv::open(&path)?.get_user(&ada.id).wait()?, Some(ada));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::options().open(path)
    }

    /// Makes an empty store in memory, gone when the last clone is dropped.
    ///
    /// # Errors
    /// Those of [`Options::in_memory`].
    pub fn in_memory() -> Result<Self> {
        Self::options().in_memory()
    }

    /// Options to open a store with.
    pub fn options() -> Options {
        let choices = Choices {
            synchronize: true,
            verify: false,
            durability: Durability::Full,
            email_matching: EmailMatching::AsciiCaseInsensitive,
            cache_bytes: CACHE_BYTES,
            hot_sessions: HOT_SESSIONS,
            clock: Arc::new(Utc::now),
            on_migration: None,
            session_ages: SessionAges { max: TimeDelta::days(30), update: TimeDelta::days(1) },
            code_rules: CodeRules { digits: 6, guesses: 5 },
            purge_in_background: true,
        };
        Options { choices, models: PhantomData }
    }
}

impl<M: Models> AuthKv<M> {
    /// Creates the tables that are missing, in one transaction. Opening does so by itself unless the option
    /// [`synchronize`](Options::synchronize) is off.
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
    /// spoil a later write; opening with [`Options::verify`] does.
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
        let declared = self.inner.declared.clone();
        self.read(move |txn| check::check(txn, indexes(&declared)), Ok)
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

    /// Runs a reading operation in place and notes what it read; see [`AnyEngine::read_noting`].
    pub(crate) fn read_noting<R>(&self, op: impl Fn(&Txn<'_>) -> Result<R>) -> Option<Result<(R, Option<Note>)>> {
        self.inner.engine.read_noting(op)
    }

    /// Whether what was read is what would be read now.
    pub(crate) fn is_fresh(&self, note: &Note) -> bool {
        self.inner.engine.is_fresh(note)
    }

    /// Runs a reading operation; see [`Engine::read`].
    pub(crate) fn read<R: Send + 'static, T: Send + 'static>(
        &self,
        op: impl Fn(&Txn<'_>) -> Result<R> + Send + 'static,
        finish: impl FnOnce(R) -> Result<T> + Send + 'static,
    ) -> Reply<T> {
        self.inner.engine.read(op, finish)
    }

    /// Runs a writing operation, which keeps the declared indexes in step, and behind it what is to be done now
    /// and then; see [`Engine::write`].
    pub(crate) fn write<R: Send + 'static, T: Send + 'static>(
        &self,
        op: impl Fn(&mut Txn<'_>) -> Result<R> + Send + 'static,
        finish: impl FnOnce(R) -> Result<T> + Send + 'static,
    ) -> Reply<T> {
        let op = declaring(self.inner.declared.clone(), op);
        self.inner.engine.write_before(op, finish, self.due_purge())
    }

    /// Runs a writing operation and nothing behind it.
    #[cfg(test)]
    pub(crate) fn write_alone<R: Send + 'static, T: Send + 'static>(
        &self,
        op: impl Fn(&mut Txn<'_>) -> Result<R> + Send + 'static,
        finish: impl FnOnce(R) -> Result<T> + Send + 'static,
    ) -> Reply<T> {
        self.inner.engine.write(declaring(self.inner.declared.clone(), op), finish)
    }

    /// Goes on with what a reply brings: here if it is there, as that of a read from a file is, and else when it comes.
    pub(crate) fn then<T: Send + 'static, U: Send + 'static>(
        &self,
        reply: Reply<T>,
        next: impl FnOnce(&Self, Result<T>) -> Reply<U> + Send + 'static,
    ) -> Reply<U> {
        if reply.is_there() {
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
        (self.inner.clock)().into()
    }

    pub(crate) fn email_matching(&self) -> EmailMatching {
        self.inner.email_matching
    }

    pub(crate) fn session_ages(&self) -> SessionAges {
        self.inner.session_ages
    }

    pub(crate) fn purging(&self) -> &Purging {
        &self.inner.purging
    }

    pub(crate) fn code_rules(&self) -> CodeRules {
        self.inner.code_rules
    }

    pub(crate) fn hot_sessions(&self) -> &HotSessions {
        &self.inner.hot_sessions
    }

    pub(crate) fn extending(&self) -> &ExtendingSessions {
        &self.inner.extending
    }

    /// The indexes on own fields that the store has.
    pub(crate) fn declared(&self) -> &Indexes {
        indexes(&self.inner.declared)
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

/// How to open a store. Made by [`AuthKv::options`].
///
/// ```
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("app.redb");
/// use authkv::{AuthKv, Durability};
///
/// let auth = AuthKv::options().durability(Durability::Deferred).cache_bytes(64 << 20).open(&path)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Options<M: Models = ()> {
    choices: Choices,
    models: PhantomData<fn() -> M>,
}

/// What does not depend on the models.
struct Choices {
    synchronize: bool,
    verify: bool,
    durability: Durability,
    email_matching: EmailMatching,
    cache_bytes: usize,
    hot_sessions: usize,
    clock: Clock,
    on_migration: Option<OnProgress>,
    session_ages: SessionAges,
    code_rules: CodeRules,
    purge_in_background: bool,
}

impl<M: Models> Options<M> {
    /// Whether opening creates missing tables; on by default. When it is off and a table is missing, calls answer
    /// [`MissingTable`](crate::Error::MissingTable) until [`AuthKv::synchronize`] is called; and a store with older models
    /// or other indexes is refused, for only opening changes it.
    #[must_use]
    pub fn synchronize(mut self, on: bool) -> Self {
        self.choices.synchronize = on;
        self
    }

    /// Whether opening compares every page of the file with its checksum; off by default. Damage then is
    /// [`OpenProblem::Storage`](crate::OpenProblem::Storage), and the file is left as it was. It reads the whole file,
    /// about a second for each GiB, and writes a commit.
    ///
    /// Without it, damage is met by the call that reads it: it never gives a wrong value, but what it hides looks as if it
    /// were not there. A file that redb has to read all of to repair it, since it was written to when its process died, or
    /// in which the store's tables are not found, is compared in any case.
    ///
    /// It is done when the store is opened, and not when it reopens its file by itself after a failure. It has no effect in
    /// memory or on a database that the application opened.
    #[must_use]
    pub fn verify(mut self, on: bool) -> Self {
        self.choices.verify = on;
        self
    }

    /// When a write is acknowledged; [`Durability::Full`] by default. It makes no difference in memory.
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.choices.durability = durability;
        self
    }

    /// When two e-mail addresses are the same. It becomes part of the store when it is made; opening it with another
    /// one is an error.
    #[must_use]
    pub fn email_matching(mut self, matching: EmailMatching) -> Self {
        self.choices.email_matching = matching;
        self
    }

    /// How much memory redb may use for pages of the file, in bytes; 32 MiB by default. It has no effect on a database
    /// that the application opened.
    #[must_use]
    pub fn cache_bytes(mut self, bytes: usize) -> Self {
        self.choices.cache_bytes = bytes;
        self
    }

    /// How many sessions that are asked for again and again are kept decoded in memory, with their users, at most; 8,192
    /// by default, 1,048,576 at most, and 0 keeps none. They take about half a KiB each, besides their own fields. A
    /// session that is found there is found several times faster, and is exactly what the tables have: changes of it and
    /// of its user count at once. [`AuthKv::stats`] says how often it helps.
    #[must_use]
    pub fn hot_sessions(mut self, count: usize) -> Self {
        self.choices.hot_sessions = count;
        self
    }

    /// The clock that decides what has expired; the system's by default. It is called from any thread.
    ///
    /// ```
    /// use authkv::AuthKv;
    /// use chrono::{DateTime, Utc};
    ///
    /// let auth = AuthKv::options().clock(|| DateTime::<Utc>::UNIX_EPOCH).in_memory()?;
    /// # Ok::<(), authkv::Error>(())
    /// ```
    #[must_use]
    pub fn clock(mut self, clock: impl Fn() -> DateTime<Utc> + Send + Sync + 'static) -> Self {
        self.choices.clock = Arc::new(clock);
        self
    }

    /// How long a session is valid after [`AuthKv::start_session`] made it or [`AuthKv::authenticate`] extended it, to the
    /// millisecond; 30 days by default, as in Auth.js.
    #[must_use]
    pub fn session_max_age(mut self, age: TimeDelta) -> Self {
        self.choices.session_ages.max = age;
        self
    }

    /// How long ago a session was last extended when [`AuthKv::authenticate`] extends it again, to the millisecond; a day by
    /// default, as in Auth.js.
    #[must_use]
    pub fn session_update_age(mut self, age: TimeDelta) -> Self {
        self.choices.session_ages.update = age;
        self
    }

    /// How many digits the codes of [`AuthKv::issue_code`] have, from 6 to 12; 6 by default.
    #[must_use]
    pub fn code_digits(mut self, digits: u32) -> Self {
        self.choices.code_rules.digits = digits;
        self
    }

    /// How many wrong codes may be entered with [`AuthKv::verify_code`] for one identifier before there is no right one any
    /// more, from 1 to 100; 5 by default.
    #[must_use]
    pub fn code_guesses(mut self, guesses: u32) -> Self {
        self.choices.code_rules.guesses = guesses;
        self
    }

    /// Whether what expired more than a day ago is removed by and by; on by default. It is done with other writes, once a
    /// minute while there are any, and a few dozen records at a time: no thread does it, and nothing happens while nothing
    /// is written. When it is off, [`AuthKv::purge_expired`] is to be called now and then.
    #[must_use]
    pub fn purge_in_background(mut self, on: bool) -> Self {
        self.choices.purge_in_background = on;
        self
    }

    /// The application's own fields. A store that has older ones, or other indexes, is changed when it is opened; see
    /// [`Models`].
    #[must_use]
    pub fn models<N: Models>(self) -> Options<N> {
        Options { choices: self.choices, models: PhantomData }
    }

    /// What is told how far a store has come that is changed to newer models or other indexes. It is called on the
    /// opening thread, after each few hundred records.
    #[must_use]
    pub fn on_migration(mut self, progress: impl FnMut(MigrationProgress) + Send + 'static) -> Self {
        self.choices.on_migration = Some(Box::new(progress));
        self
    }

    /// Opens the store in this file, and makes it if there is none. A new file can be read and written by its owner
    /// only (on Unix). One process at a time can have it open.
    ///
    /// # Errors
    /// [`Open`](crate::Error::Open) when the file is something else, newer, locked, read-only or does not fit the
    /// options or the models, and its contents are then as they were; or when it cannot be read or written, or is damaged.
    /// [`InvalidArgument`](crate::Error::InvalidArgument) when an option is out of its range, or the models declare two
    /// indexes on a field, or one on a field that the record has without them.
    pub fn open(self, path: impl AsRef<Path>) -> Result<AuthKv<M>> {
        let path = path.as_ref();
        self.open_source(Source::File(path.to_owned())).map_err(|error| error.opening(Some(path.to_owned())))
    }

    /// Makes an empty store in memory, gone when the last clone is dropped. It starts no thread: writes run on the
    /// calling threads, which combine what waits.
    ///
    /// # Errors
    /// [`Open`](crate::Error::Open) when the operating system refuses, and
    /// [`InvalidArgument`](crate::Error::InvalidArgument) as [`open`](Self::open).
    pub fn in_memory(self) -> Result<AuthKv<M>> {
        self.open_source(Source::Memory).map_err(|error| error.opening(None))
    }

    /// Works in a redb database that the application has open, in tables of its own whose names start with `authkv_`.
    ///
    /// The application decides how the file is opened and closed; after a failed commit it has to reopen it. While it
    /// has a write transaction open, writes here wait: calling `.wait()` on one inside that transaction never returns.
    ///
    /// # Errors
    /// As [`open`](Self::open), and [`OpenProblem::DatabaseInUse`](crate::OpenProblem::DatabaseInUse) when another
    /// `AuthKv` that is no clone of this one works on the database.
    ///
    /// ```
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("app.redb");
    /// use authkv::models::NewUser;
    /// use authkv::{Adapter, AuthKv, redb};
    /// use std::sync::Arc;
    ///
    /// let db = Arc::new(redb::Database::create(&path)?);
    /// let auth = AuthKv::options().on_database(Arc::clone(&db))?;
    /// auth.create_user(NewUser::email("ada@example.com")).wait()?;
    /// let own = db.begin_write()?; // the application's own tables are in the same file
    /// # own.abort()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn on_database(self, database: Arc<Database>) -> Result<AuthKv<M>> {
        self.open_source(Source::Shared(database)).map_err(|error| error.opening(None))
    }

    #[cfg(feature = "etcd")]
    pub(crate) fn synchronizes(&self) -> bool {
        self.choices.synchronize
    }

    pub(crate) fn open_source(self, source: Source) -> Result<AuthKv<M>> {
        let config = Config {
            durability: self.choices.durability,
            cache_bytes: self.choices.cache_bytes,
            synchronize: self.choices.synchronize,
            check_pages: self.choices.verify,
        };
        self.open_engine(|setup| RedbEngine::open(source, config, setup).map(AnyEngine::Redb))
    }

    /// Opens the store that an engine holds.
    pub(crate) fn open_engine(self, open: impl FnOnce(Setup) -> Result<AnyEngine>) -> Result<AuthKv<M>> {
        let choices = self.choices;
        choices.code_rules.check()?;
        let settings = Settings {
            models: (M::NAME, M::VERSION),
            indexes: declared_indexes::<M>()?,
            email_matching: choices.email_matching,
            synchronize: choices.synchronize,
        };
        let setup = Setup {
            accept: Box::new({
                let settings = settings.clone();
                move |txn| meta::accept(txn, &settings)
            }),
            synchronize: Box::new({
                let settings = settings.clone();
                move |txn| meta::synchronize(txn, &settings)
            }),
            decisive: meta::decisive(),
        };
        let engine = open(setup)?;
        let declared = migration::settle::<M>(&engine, &settings, choices.on_migration)?;
        engine.settled();
        let hot_sessions = if engine.is_shared() { 0 } else { choices.hot_sessions };
        let inner = Inner {
            engine,
            clock: choices.clock,
            email_matching: choices.email_matching,
            declared,
            session_ages: choices.session_ages,
            code_rules: choices.code_rules,
            extending: ExtendingSessions::default(),
            hot_sessions: HotSessions::new(hot_sessions),
            purging: Purging::new(choices.purge_in_background),
        };
        inner.resume_sweep();
        Ok(AuthKv { inner: Arc::new(inner), models: PhantomData })
    }
}

/// # Errors
/// A field that cannot have an index, or that has two.
fn declared_indexes<M: Models>() -> Result<Indexes> {
    let indexes = Indexes::declared::<M>();
    UserRecord::check_indexes(&indexes.users)?;
    AccountRecord::check_indexes(&indexes.accounts)?;
    Ok(indexes)
}

impl Inner {
    /// Goes on with what was left to remove when the store was closed. It happens behind the caller's back: nobody sees
    /// what waits to be swept, so a failure is of no concern here.
    fn resume_sweep(&self) {
        if let Ok(true) = self.engine.read(upkeep::must_sweep, Ok).wait() {
            drop(self.engine.write(declaring(self.declared.clone(), upkeep::sweep), Ok));
        }
    }
}

impl<M: Models> fmt::Debug for Options<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("synchronize", &self.choices.synchronize)
            .field("verify", &self.choices.verify)
            .field("durability", &self.choices.durability)
            .field("email_matching", &self.choices.email_matching)
            .field("cache_bytes", &self.choices.cache_bytes)
            .field("hot_sessions", &self.choices.hot_sessions)
            .field("purge_in_background", &self.choices.purge_in_background)
            .finish_non_exhaustive()
    }
}
