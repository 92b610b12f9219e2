//! Opening a store and its options.

use std::fmt;
use std::marker::PhantomData;
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use redb::Database;

use crate::engine::any::AnyEngine;
use crate::engine::redb::{Config, OnRecovery, RedbEngine, Source};
use crate::engine::{Durability, Engine, Setup};
use crate::error::{Error, OpenProblem, Problem, Result};
use crate::kv::table::RowKey;
use crate::models::{Dynamic, MigrationProgress, Models, Span};
use crate::ops::meta::{self, Settings};
use crate::records::EmailMatching;
use crate::store::background::BackgroundPurge;
use crate::store::declared::declared;
use crate::store::hot_sessions::{COUNT_MAX, HotSessions};
use crate::store::migration::{self, OnLeftOut, OnProgress};
use crate::store::{AuthKv, CodeRules, Rules, SessionAges, positive, signature};

const CACHE_BYTES: usize = 32 << 20;
const HOT_SESSIONS: usize = 8_192;
const UPDATE_AGE: TimeDelta = TimeDelta::days(1);
const WAIT_FOR_TRANSACTION: TimeDelta = TimeDelta::seconds(10);

/// # Opening a store
impl AuthKv {
    /// Opens the store in this file, and creates it if it does not exist. The same as `AuthKv::options().open(path)`.
    ///
    /// # Errors
    /// The errors of [`Options::open`].
    ///
    /// ```
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("app.redb");
    /// use authkv::models::NewUser;
    /// use authkv::AuthKv;
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

    /// Opens the store in this file and shares the file with the application. The same as
    /// `AuthKv::options().open_shared(path)`.
    ///
    /// # Errors
    /// The errors of [`Options::open_shared`].
    pub fn open_shared(path: impl AsRef<Path>) -> Result<(Self, Arc<Database>)> {
        Self::options().open_shared(path)
    }

    /// Creates an empty store in memory. It is gone when the last clone is dropped.
    ///
    /// # Errors
    /// The errors of [`Options::in_memory`].
    pub fn in_memory() -> Result<Self> {
        Self::options().in_memory()
    }

    /// Options for opening a store.
    pub fn options() -> Options {
        let choices = Choices {
            synchronize: true,
            create_if_missing: true,
            verify: false,
            secure_delete: false,
            durability: Durability::Full,
            cache_bytes: CACHE_BYTES,
            hot_sessions: HOT_SESSIONS,
            on_recovery: None,
            on_migration: None,
            on_left_out: None,
            rules: Rules {
                clock: Arc::new(Utc::now),
                email_matching: EmailMatching::AsciiCaseInsensitive,
                session_ages: SessionAges { max: TimeDelta::days(30), update: UPDATE_AGE },
                code_rules: CodeRules { digits: 6, guesses: 5 },
            },
            purge_in_background: true,
            session_update_age: None,
            wait_for_transaction: WAIT_FOR_TRANSACTION,
        };
        Options { choices, models: PhantomData }
    }
}

/// Options for opening a store; see [`AuthKv::options`].
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

/// The options that do not depend on the models.
struct Choices {
    synchronize: bool,
    create_if_missing: bool,
    verify: bool,
    secure_delete: bool,
    durability: Durability,
    cache_bytes: usize,
    hot_sessions: usize,
    on_recovery: Option<OnRecovery>,
    on_migration: Option<OnProgress>,
    on_left_out: Option<OnLeftOut>,
    rules: Rules,
    purge_in_background: bool,
    /// Given by the application, or derived from the maximum age.
    session_update_age: Option<TimeDelta>,
    wait_for_transaction: TimeDelta,
}

impl<M: Models> Options<M> {
    /// Whether opening creates missing tables; on by default. (The word is that of other adapters for Auth.js.) When it is
    /// off and a table is missing, calls answer [`MissingTable`](crate::Error::MissingTable) until
    /// [`AuthKv::synchronize`] is called. A store with older models or other indexes is then refused, because only
    /// opening migrates it.
    #[must_use]
    pub fn synchronize(mut self, on: bool) -> Self {
        self.choices.synchronize = on;
        self
    }

    /// Whether opening verifies the checksum of every page of the file; off by default. Damage is then
    /// [`OpenProblem::Storage`](crate::OpenProblem::Storage), and the file stays as it was. Verifying reads the whole
    /// file, about a second per GiB, and writes a commit. For that time redb's cache is as large as the file, at most 256
    /// MiB; a larger file is read twice.
    ///
    /// Without it, the call that reads a damaged page finds the damage. Damage never yields a wrong value, but what it
    /// hides looks as if it did not exist. Two files are verified in any case: one that redb has to read completely to
    /// repair, because its process ended without closing it, and one in which the store's tables are not found. Neither is
    /// verified again.
    ///
    /// In a build with `panic = "abort"` it is always on. Damaged pages can make redb panic. Elsewhere the store turns
    /// that into an error; there it ends the process. So damage that a file has when it is opened is an error, and damage
    /// that comes later may still end the process.
    ///
    /// Pages are verified when the store is opened; when it reopens its file by itself after a failure, only in a build
    /// with `panic = "abort"`. The option has no effect in memory or on a database that the application opened, which can be
    /// verified with [`set_check_integrity_on_open`](redb::Builder::set_check_integrity_on_open).
    #[must_use]
    pub fn verify(mut self, on: bool) -> Self {
        self.choices.verify = on;
        self
    }

    /// Whether what is removed or replaced is also overwritten in the file; off by default. Without it, deleted users can
    /// be read in the file's bytes until chance overwrites them, although no call finds them.
    ///
    /// A *pass* writes every table anew and fills the free pages of the file. It erases all that was removed before it
    /// began, also while the option was off. A pass begins a second after the store was opened, then a second after a
    /// removal, and when the store is closed, which returns when nothing removed is left in the file. Between two passes
    /// is a hundred times as long as a pass takes, so that they take at most a hundredth of the time. A read that has not
    /// ended holds a pass up; if it goes on for more than ten seconds, closing returns [`Storage`](crate::Error::Storage).
    /// It does so too if a table is damaged, in which removed rows may be left.
    ///
    /// A pass takes time proportional to the file, however little was removed: for tens of megabytes seconds. Writes wait
    /// while one table is written anew and while the free pages are filled, for up to half of that time; reads do not
    /// wait. Records of a deleted user that still wait to be removed are erased by a pass after that. While the store is
    /// open, the file may be twice as long as without the option, or somewhat more; closing moves everything to its front
    /// and cuts off the rest. If the process dies in a pass, the store is whole, and the next one makes up for it. If the
    /// disk is full, writes go on, reads may fail for the moment in which the store reopens its file, and a pass is tried
    /// again after a minute; closing then returns the error.
    ///
    /// Not erased is what is outside of the file: copies and snapshots of it, journals of the file system, blocks that it
    /// gave back, and cells that a solid-state disk has replaced. Files of more than 4 GiB may keep a few removed
    /// pages. The hash of a deleted user's id stays ([`delete_user`](crate::Adapter::delete_user)). The option has no effect
    /// in memory, and is refused where the file is not the store's own.
    #[must_use]
    pub fn secure_delete(mut self, on: bool) -> Self {
        self.choices.secure_delete = on;
        self
    }

    /// When a write is acknowledged; [`Durability::Full`] by default. It has no effect in memory.
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.choices.durability = durability;
        self
    }

    /// When two e-mail addresses count as the same. The setting becomes part of the store when the store is created;
    /// opening it with another one is an error.
    #[must_use]
    pub fn email_matching(mut self, matching: EmailMatching) -> Self {
        self.choices.rules.email_matching = matching;
        self
    }

    /// How much memory redb may use to cache pages of the file, in bytes; 32 MiB by default. It has no effect on a
    /// database that the application opened.
    #[must_use]
    pub fn cache_bytes(mut self, bytes: usize) -> Self {
        self.choices.cache_bytes = bytes;
        self
    }

    /// The size of the session cache: how many frequently requested sessions are kept decoded in memory, with their
    /// users. 8,192 by default, 1,048,576 at most; 0 keeps none. A session takes about half a KiB, besides its own
    /// fields. A cached session is found several times faster, and is exactly what the tables contain: changes to it
    /// and to its user take effect at once. [`AuthKv::stats`] counts hits and misses.
    #[must_use]
    pub fn hot_sessions(mut self, count: usize) -> Self {
        self.choices.hot_sessions = count;
        self
    }

    /// The clock that decides what has expired; the system clock by default. It is called from any thread. While it is set
    /// back, what has expired since is valid again, and sessions are extended to ends that lie ahead by as much.
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
        self.choices.rules.clock = Arc::new(clock);
        self
    }

    /// How long a session is valid after [`AuthKv::start_session`] creates it or [`AuthKv::authenticate`] extends it,
    /// to the millisecond; 30 days by default, as in Auth.js.
    ///
    /// It binds every session that the store made ([`AuthKv::start_session`], [`AuthKv::sign_in_with_account`],
    /// [`AuthKv::sign_in_with_email`]), also one that was made or extended under a longer age: such a session is valid
    /// until it expires or until this age after its last extension, whichever is earlier. The rule is applied when a
    /// session is read, and the next extension writes the shorter end, so a wrong option is not irreversible; purging
    /// removes a session that the rule has ended only when its expiry as last written has come, or the one before an
    /// extension. A longer age lengthens a session with its next extension.
    ///
    /// Sessions of [`create_session`](crate::Adapter::create_session) and [web sessions](crate::WebSessions) keep the
    /// expiry that their caller chose; files of format 1 and 2 do not say who made a session, so those in them do too.
    #[must_use]
    pub fn session_max_age(mut self, age: impl Into<Span>) -> Self {
        self.choices.rules.session_ages.max = age.into().0;
        self
    }

    /// How old a session's last extension must be before [`AuthKv::authenticate`] extends the session again, to the
    /// millisecond. By default a day, as in Auth.js, or a quarter of the [maximum age](Self::session_max_age) if that is
    /// shorter. It must be at least a millisecond and not longer than the maximum age; a millisecond extends with every request.
    #[must_use]
    pub fn session_update_age(mut self, age: impl Into<Span>) -> Self {
        self.choices.session_update_age = Some(age.into().0);
        self
    }

    /// How many digits the codes of [`AuthKv::issue_code`] have, from 6 to 12; 6 by default. Codes of an address at which
    /// much is guessed have 12.
    #[must_use]
    pub fn code_digits(mut self, digits: u32) -> Self {
        self.choices.rules.code_rules.digits = digits;
        self
    }

    /// How many guesses a request has in all with [`AuthKv::verify_code`], from 1 to 20; 5 by default.
    ///
    /// What a request can lose is reserved for it, out of what its address may lose in an hour. With codes of six digits
    /// that is enough for 20 guesses: for four codes with five guesses each, or one with twenty.
    #[must_use]
    pub fn code_guesses(mut self, guesses: u32) -> Self {
        self.choices.rules.code_rules.guesses = guesses;
        self
    }

    /// Whether records that expired more than a day ago are purged in the background; on by default. Purges run
    /// together with writes, once a minute while there are any, a few dozen records at a time: they need no thread, and
    /// nothing happens while nothing is written. When it is off, call [`AuthKv::purge_expired`] regularly.
    #[must_use]
    pub fn purge_in_background(mut self, on: bool) -> Self {
        self.choices.purge_in_background = on;
        self
    }

    /// How long a call waits while the application has a write transaction open on a
    /// [shared database](Self::on_database), to the millisecond; 10 seconds by default. It must be at least a millisecond, and has
    /// no effect on other stores.
    ///
    /// A call that has waited for so long since it was made answers [`Busy`](crate::Error::Busy): nothing was written, and
    /// nothing will be. So a call that is made inside of the application's own transaction ends. [`AuthKv::close`] and
    /// dropping the last handle give up in the same way, and the store is then closed when the transaction ends.
    ///
    /// ```
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("app.redb");
    /// use authkv::models::NewUser;
    /// use authkv::{AuthKv, Error, redb};
    /// use std::sync::Arc;
    /// use std::time::Duration;
    ///
    /// let db = Arc::new(redb::Database::create(&path)?);
    /// let options = AuthKv::options().wait_for_transaction(Duration::from_millis(100));
    /// let auth = options.on_database(Arc::clone(&db))?;
    /// let own = db.begin_write()?;
    /// let refused = auth.create_user(NewUser::email("ada@example.com")).wait();
    /// assert!(matches!(refused, Err(Error::Busy)));
    /// own.abort()?;
    /// auth.create_user(NewUser::email("ada@example.com")).wait()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn wait_for_transaction(mut self, wait: impl Into<Span>) -> Self {
        self.choices.wait_for_transaction = wait.into().0;
        self
    }

    /// A callback for the progress when opening has to read the whole file: when the process that had it open ended
    /// without closing it, with [`verify`](Self::verify), and in every build with `panic = "abort"`. It is called a few
    /// times on the opening thread, with the share that is done: first 0.0 and at the end 1.0, unless opening fails.
    ///
    /// It is not called when the store reopens its file by itself after a failure, nor for a store in memory, on a
    /// database that the application opened, or on a cluster. A panic in it does not fail the opening.
    ///
    /// ```
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("app.redb");
    /// let options = authkv::AuthKv::options().on_recovery(|done| println!("repairing: {:.0} %", done * 100.0));
    /// let auth = options.open(&path)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn on_recovery(mut self, progress: impl Fn(f64) + Send + 'static) -> Self {
        self.choices.on_recovery = Some(Box::new(progress));
        self
    }

    /// The application's own fields. Opening migrates a store that has older ones, or other indexes; see [`Models`].
    #[must_use]
    pub fn models<N: Models>(self) -> Options<N> {
        Options { choices: self.choices, models: PhantomData }
    }

    /// A callback for the progress of a migration to newer models or other indexes. It is called on the opening thread,
    /// every few hundred records.
    #[must_use]
    pub fn on_migration(mut self, progress: impl FnMut(MigrationProgress) + Send + 'static) -> Self {
        self.choices.on_migration = Some(Box::new(progress));
        self
    }

    /// Whether [`open`](Self::open) creates a file that does not exist; on by default. When it is off, a missing file is
    /// [`OpenProblem::Missing`](crate::OpenProblem::Missing) and an empty one
    /// [`OpenProblem::NoStore`](crate::OpenProblem::NoStore): so a mistyped path does not become a new store in which
    /// nobody has an account. It has no effect on stores without a file of their own.
    ///
    /// ```
    /// # let folder = tempfile::tempdir()?;
    /// use authkv::{AuthKv, Error, OpenProblem};
    ///
    /// let mistyped = AuthKv::options().create_if_missing(false).open(folder.path().join("ap.redb"));
    /// assert!(matches!(mistyped, Err(Error::Open { problem: OpenProblem::Missing, .. })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn create_if_missing(mut self, on: bool) -> Self {
        self.choices.create_if_missing = on;
        self
    }

    /// Lets a migration go on behind records that are damaged, which stay as they are, and calls this with the place of
    /// each, on the opening thread. Without it a damaged record is an error, and nothing is changed. A
    /// [`check`](AuthKv::check) reports such records afterwards, and a [`repair`](AuthKv::repair) removes them.
    #[must_use]
    pub fn leave_out_damaged(mut self, left_out: impl FnMut(RowKey) + Send + 'static) -> Self {
        self.choices.on_left_out = Some(Box::new(left_out));
        self
    }

    /// Opens the store in this file, and creates it if it does not exist and
    /// [`create_if_missing`](Self::create_if_missing) is on. Only the owner can read and write a new file (on Unix). One process at a time can have it open.
    ///
    /// The path is made absolute and its links are followed once, here. A link to a file that does not exist yet creates
    /// that file. If the file is later deleted, moved or replaced while the store is open, calls return
    /// [`Storage`](crate::Error::Storage), at the latest for writes that begin a second after it, until it is opened
    /// again.
    ///
    /// # Errors
    /// [`Open`](crate::Error::Open) when the file is not a store, newer, locked, read-only or does not fit the options
    /// or the models, and its contents are then unchanged (in a build with `panic = "abort"` its bytes are not, because redb
    /// verifies the file first); or when it cannot be read or written, or is damaged.
    /// [`InvalidArgument`](crate::Error::InvalidArgument) when an option is out of its range, or the models declare two
    /// indexes on a field, or one on a standard field of the record.
    pub fn open(self, path: impl AsRef<Path>) -> Result<AuthKv<M>> {
        let path = path.as_ref();
        let source = if self.choices.create_if_missing { Source::File } else { Source::KnownFile };
        let verifies = self.choices.verify;
        let opened = self.open_source(source(path.to_owned()));
        opened.map_err(|error| opening_file(error, verifies, path))
    }

    /// Opens the store in this file as [`open`](Self::open) does, and hands out the redb database too, for the
    /// application's own tables. The file is created in the same way, for its owner only; it is refused for the same reasons
    /// but one, as it may have other tables; and the options hold, but [`secure_delete`](Self::secure_delete).
    ///
    /// What `open` promises and this does not:
    ///
    /// - The store does not reopen the file by itself after a failed commit. Close the store, drop every handle of the
    ///   database, and open both again.
    /// - The store does not notice that the file was deleted, moved or replaced, and [`is_at`](AuthKv::is_at) is false.
    /// - Commits of the application's own transactions have one phase, unless they are begun with
    ///   [`AuthKv::begin_write`].
    /// - While the application has a write transaction open, writes of the store wait, as with
    ///   [`on_database`](Self::on_database). To change own rows and the store's in one step there are calls such as
    ///   [`create_user_in`](AuthKv::create_user_in).
    /// - The file is closed when the store is, and the last handle of the database is dropped.
    ///
    /// A child that is made by fork(2) must not use the database; dropping it there changes neither the file nor its lock.
    ///
    /// # Errors
    /// The errors of [`open`](Self::open) and of [`on_database`](Self::on_database).
    ///
    /// ```
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("app.redb");
    /// use authkv::AuthKv;
    /// use authkv::models::NewUser;
    /// use authkv::redb::TableDefinition;
    ///
    /// const NOTES: TableDefinition<&str, &str> = TableDefinition::new("notes");
    ///
    /// let (auth, db) = AuthKv::options().open_shared(&path)?;
    /// let both = auth.begin_write()?; // or db.begin_write()
    /// let ada = auth.create_user_in(&both, NewUser::email("ada@example.com"))?;
    /// both.open_table(NOTES)?.insert(ada.id.as_str(), "her first note")?;
    /// both.commit()?;
    /// # drop(db);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open_shared(mut self, path: impl AsRef<Path>) -> Result<(AuthKv<M>, Arc<Database>)> {
        let path = path.as_ref();
        self.refuse_secure_delete()?;
        let (verifies, creates) = (self.choices.verify, self.choices.create_if_missing);
        let (config, mut shared) = (self.config()?, None);
        let opened = self.open_engine(|setup| {
            let (engine, database) = RedbEngine::open_shared(path, creates, config, setup)?;
            shared = Some(database);
            Ok(AnyEngine::Redb(engine))
        });
        let store = opened.map_err(|error| opening_file(error, verifies, path))?;
        Ok((store, shared.ok_or(Error::Closed)?))
    }

    /// Creates an empty store in memory. It is gone when the last clone is dropped. It starts no thread: writes run on
    /// the calling threads, which combine what waits.
    ///
    /// # Errors
    /// [`Open`](crate::Error::Open) when the operating system refuses, and
    /// [`InvalidArgument`](crate::Error::InvalidArgument) as for [`open`](Self::open).
    pub fn in_memory(self) -> Result<AuthKv<M>> {
        self.open_source(Source::Memory).map_err(|error| error.opening(None))
    }

    /// Opens the store in a redb database that the application has open, in its own tables, whose names start with
    /// `authkv_`.
    ///
    /// **A child that is made by fork(2) must neither use nor drop that database.** Dropping it there writes an old state
    /// to the parent's file and lets go of the parent's lock, and the store cannot prevent that. Pass it to
    /// [`std::mem::forget`], or end the child with `exec` or `_exit`. The store itself is as in
    /// [a forked child](AuthKv#after-fork2).
    ///
    /// The application opens and closes the file; after a failed commit it has to reopen it.
    ///
    /// redb has one write transaction at a time. While the application has one open, reads of the store go on and its
    /// writes wait. A call that has waited for [`wait_for_transaction`](Self::wait_for_transaction) answers
    /// [`Busy`](crate::Error::Busy), so end your transaction before you call a writing method of the store. What the store does
    /// in the background waits for as long as it takes.
    ///
    /// # Errors
    /// The errors of [`open`](Self::open), [`OpenProblem::DatabaseInUse`](crate::OpenProblem::DatabaseInUse) when another
    /// `AuthKv` that is not a clone of this one uses the database,
    /// [`OpenProblem::TransactionOpen`](crate::OpenProblem::TransactionOpen) when opening has to write and the application has a
    /// write transaction open for too long, and [`InvalidArgument`](crate::Error::InvalidArgument) with
    /// [`secure_delete`](Self::secure_delete).
    ///
    /// ```
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("app.redb");
    /// use authkv::models::NewUser;
    /// use authkv::{AuthKv, redb};
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
        self.refuse_secure_delete()?;
        self.open_source(Source::Shared(database)).map_err(|error| match error {
            Error::Busy => OpenProblem::TransactionOpen.into(),
            error => error.opening(None),
        })
    }

    /// # Errors
    /// [`InvalidArgument`](Error::InvalidArgument) when a store that has no file of its own should overwrite removed rows.
    pub(crate) fn refuse_secure_delete(&self) -> Result<()> {
        if self.choices.secure_delete { Err(Error::invalid("secure_delete", Problem::NotOwnFile)) } else { Ok(()) }
    }

    #[cfg(feature = "etcd")]
    pub(crate) fn synchronizes(&self) -> bool {
        self.choices.synchronize
    }

    pub(crate) fn open_source(mut self, source: Source) -> Result<AuthKv<M>> {
        let config = self.config()?;
        self.open_engine(|setup| RedbEngine::open(source, config, setup).map(AnyEngine::Redb))
    }

    fn config(&mut self) -> Result<Config> {
        positive("wait_for_transaction", self.choices.wait_for_transaction)?;
        Ok(Config {
            durability: self.choices.durability,
            cache_bytes: self.choices.cache_bytes,
            synchronize: self.choices.synchronize,
            check_pages: self.choices.verify,
            on_recovery: self.choices.on_recovery.take(),
            erases: self.choices.secure_delete,
            wait_for_transaction: self.choices.wait_for_transaction.to_std().unwrap_or_default(),
        })
    }

    /// Opens the store on an engine.
    pub(crate) fn open_engine(self, open: impl FnOnce(Setup) -> Result<AnyEngine>) -> Result<AuthKv<M>> {
        let mut choices = self.choices;
        check_code_rules(choices.rules.code_rules)?;
        check_range("hot_sessions", u32::try_from(choices.hot_sessions).unwrap_or(u32::MAX), 0..=COUNT_MAX)?;
        choices.rules.session_ages.choose_update(choices.session_update_age)?;
        check_models::<M>()?;
        let (indexes, shapes) = declared::<M>()?;
        let settings = Settings {
            models: (M::NAME, M::VERSION),
            indexes,
            email_matching: choices.rules.email_matching,
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
            signature: signature()?,
        };
        let engine = open(setup)?;
        let indexes = migration::settle::<M>(&engine, &settings, choices.on_migration, choices.on_left_out)?;
        engine.opened();
        let hot_sessions = HotSessions::new(if engine.is_shared() { 0 } else { choices.hot_sessions });
        Ok(AuthKv::new(
            engine,
            (indexes, shapes),
            choices.rules,
            hot_sessions,
            BackgroundPurge::new(choices.purge_in_background),
        ))
    }
}

fn opening_file(error: Error, verifies: bool, path: &Path) -> Error {
    let error = if verifies { error } else { error.hinting_at_verify() };
    error.opening(Some(path.to_owned()))
}

impl SessionAges {
    /// Takes the application's update age, or one that fits the maximum age.
    ///
    /// # Errors
    /// When an age is shorter than a millisecond, or the update age is longer than the maximum age.
    fn choose_update(&mut self, given: Option<TimeDelta>) -> Result<()> {
        positive("session_max_age", self.max)?;
        let shortest = TimeDelta::milliseconds(1);
        self.update = given.unwrap_or_else(|| (self.max / 4).clamp(shortest, UPDATE_AGE));
        positive("session_update_age", self.update)?;
        if self.update > self.max {
            return Err(Error::invalid("session_update_age", Problem::LongerThan("session_max_age")));
        }
        Ok(())
    }
}

/// # Errors
/// When an application's models have no name, or the version that stands for no models.
fn check_models<M: Models>() -> Result<()> {
    if M::NAME.is_empty() {
        return Err(Error::invalid("the name of the models", Problem::Empty));
    }
    if M::VERSION == 0 && ![<()>::NAME, Dynamic::NAME].contains(&M::NAME) {
        let problem = Problem::OutOfRange { least: 1, most: u32::MAX };
        return Err(Error::invalid("the version of the models", problem));
    }
    Ok(())
}

fn check_code_rules(rules: CodeRules) -> Result<()> {
    check_range("code_digits", rules.digits, 6..=12)?;
    check_range("code_guesses", rules.guesses, 1..=20)
}

fn check_range(field: &'static str, value: u32, range: RangeInclusive<u32>) -> Result<()> {
    let problem = Problem::OutOfRange { least: *range.start(), most: *range.end() };
    if range.contains(&value) { Ok(()) } else { Err(Error::invalid(field, problem)) }
}

impl<M: Models> fmt::Debug for Options<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("synchronize", &self.choices.synchronize)
            .field("create_if_missing", &self.choices.create_if_missing)
            .field("verify", &self.choices.verify)
            .field("secure_delete", &self.choices.secure_delete)
            .field("durability", &self.choices.durability)
            .field("email_matching", &self.choices.rules.email_matching)
            .field("cache_bytes", &self.choices.cache_bytes)
            .field("hot_sessions", &self.choices.hot_sessions)
            .field("purge_in_background", &self.choices.purge_in_background)
            .finish_non_exhaustive()
    }
}
