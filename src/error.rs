//! The error type of the crate, with the few kinds that a caller acts on.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use chrono::TimeDelta;

/// The result type of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a call failed. "Not found" is a value, not an error, unless a method says otherwise.
///
/// [`Display`](fmt::Display) writes the message: one lower-case sentence that never contains a token, an e-mail address or a
/// record. It is the text to log, or to show to whoever runs the program. A visitor may see that of `InvalidArgument`,
/// `LastWayToSignIn` and `StaleSession`. `Conflict` and the unknown ones tell a visitor who else is here, so decide what to say
/// about them. All others are about the server.
///
/// `fn main() -> Result<(), authkv::Error>` prints the [`Debug`](fmt::Debug) form, in which the sentence is not. Write:
///
/// ```
/// # use std::process::ExitCode;
/// # fn run() -> authkv::Result<()> { authkv::AuthKv::in_memory().map(drop) }
/// fn main() -> ExitCode {
///     run().map_or_else(|error| { eprintln!("{error}"); ExitCode::FAILURE }, |()| ExitCode::SUCCESS)
/// }
/// ```
///
/// Whose fault it is:
///
/// | error | fault | [`http_status`](Self::http_status) |
/// |---|---|--:|
/// | `InvalidArgument` | the input: [`is_invalid_input`](Self::is_invalid_input) | 422 |
/// | `UnknownUser`, `UnknownCredential`, `UnknownSession` | the input: [`is_invalid_input`](Self::is_invalid_input) | 404 |
/// | `Conflict`, `LastWayToSignIn`, `StaleSession` | what is stored: [`is_conflict`](Self::is_conflict) | 409 |
/// | `Busy`, `Closed`, `Storage` | the store, and nothing was written; it may work later: [`is_unavailable`](Self::is_unavailable) | 503 |
/// | `OutcomeUnknown`, `MissingTable`, `Open` | the store | 500 |
/// | `Misfit` | the application's models | 500 |
///
/// Two errors are equal if they are of one kind and have the same values; failures of the storage, if their messages are.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Error {
    /// A unique key is already in use. Nothing was written.
    Conflict(UniqueKey),
    /// The call would change a user, or store a record for a user, who does not exist. Nothing was written.
    UnknownUser,
    /// No authenticator has this credential id. Nothing was written.
    UnknownCredential,
    /// The user has no such session to keep. No session was ended.
    UnknownSession,
    /// Unlinking this account would leave its user with no way to sign in. Nothing was written.
    LastWayToSignIn,
    /// Another request has changed the web session since it was loaded, and
    /// [`refuse_stale_saves`](crate::WebSessions::refuse_stale_saves) is on. Nothing was written.
    StaleSession,
    /// A value in the input cannot be stored. Nothing was written.
    InvalidArgument {
        /// The field's name in the input record, or the name of a custom field.
        field: Cow<'static, str>,
        /// What is wrong with it.
        problem: Problem,
    },
    /// The store could not be opened.
    Open {
        /// The file. `None` if the store is not opened by its path.
        path: Option<PathBuf>,
        /// Why it could not be opened.
        problem: OpenProblem,
    },
    /// A table is missing: the store was opened with `synchronize` off and
    /// [`AuthKv::synchronize`](crate::AuthKv::synchronize) has not been called.
    MissingTable(&'static str),
    /// Too many writes are waiting, so this one was not accepted. On a shared database, the application has had a write
    /// transaction open for as long as [`wait_for_transaction`](crate::Options::wait_for_transaction) allows. On a cluster,
    /// too many calls are under way, or other calls conflicted with this one until its timeout. Nothing was written, and
    /// nothing will be.
    Busy,
    /// The store was closed before the call. Nothing was written.
    Closed,
    /// The storage failed, its contents are damaged, the file of the open store was deleted, moved or replaced, or the
    /// call was made in [a forked child](crate::AuthKv#after-fork2). Nothing was written.
    Storage(StorageError),
    /// The write was done whole or not at all, but it is not known which. The storage failed while committing, the file
    /// was deleted, moved or replaced meanwhile, or the reply was taken into
    /// [a forked child](crate::AuthKv#after-fork2). Read to find out.
    OutcomeUnknown(StorageError),
    /// A stored record does not fit the application's [models](crate::models::Models), so it cannot be shown: a field was
    /// added without a default, renamed, or given another type. Also a state that is taken as another type than it was
    /// put as.
    ///
    /// A call that would make or change such a record is refused. One that only removes or uses up is not: it is done,
    /// and only its answer is missing.
    Misfit {
        /// The kind and the id of the record, such as `user 01a2…`. It contains no secrets.
        record: String,
        /// The serde name of the field. `None` if serde does not say which one it is, as for a model that reads through
        /// `#[serde(flatten)]`.
        field: Option<String>,
        /// Serde's own text, without the value. The text of a `Deserialize` of your own is passed on as it is.
        why: String,
        /// What to do about it.
        advice: &'static str,
        /// True if the call was carried out. False if nothing was written.
        done: bool,
    },
}

/// A key that at most one record has at a time.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum UniqueKey {
    /// A user's id. The id of a deleted user stays taken until the last of their records is removed.
    UserId,
    /// A user's e-mail address, in the store's normal form.
    Email,
    /// An account's id.
    AccountId,
    /// An account's pair of provider and provider account id.
    ProviderAccount,
    /// A session's id.
    SessionId,
    /// A session's token.
    SessionToken,
    /// An authenticator's credential id.
    CredentialId,
    /// An own field with a unique index, given by its name.
    Field(Cow<'static, str>),
}

/// What is wrong with a value. Lengths are in bytes of UTF-8.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// The value must not be empty.
    Empty,
    /// A patch sets the field to an empty value. Clear it instead.
    ClearInstead,
    /// An address begins or ends with a blank. Lookups ignore such blanks, so it would never be found.
    Blanks,
    /// A text that is sent to somebody has a line break or another control character, with which it could add headers to
    /// a message.
    ControlCharacter,
    /// An address has no `@`, so nothing can be sent to it.
    NotAnEmail,
    /// The value is longer than the limit.
    TooLong {
        /// The length of the value, in bytes.
        bytes: usize,
        /// The limit, in bytes.
        limit: usize,
    },
    /// The number is out of range.
    OutOfRange {
        /// The smallest number allowed.
        least: u32,
        /// The greatest number allowed.
        most: u32,
    },
    /// A new user's address must be absent here, because a [proof](crate::models::Proof) says which one it is.
    LeftToProof,
    /// The length of time must be at least a millisecond, the unit in which instants are stored.
    NotPositive,
    /// The length of time must not be longer than this other one.
    LongerThan(&'static str),
    /// The length of time must not be longer than the limit.
    LastsTooLong {
        /// The limit.
        limit: TimeDelta,
    },
    /// The store has no database that it shares with the application; see
    /// [`open_shared`](crate::Options::open_shared) and [`on_database`](crate::Options::on_database).
    NotShared,
    /// The transaction is one of another database than the store's.
    OtherDatabase,
    /// The option needs a file of the store's own. An application's database and a cluster are not that.
    NotOwnFile,
    /// A custom field has the name of one of the record's standard fields.
    ReservedName,
    /// Custom fields must serialise to a struct, to a map with text keys, or to `()`. The text says what they are
    /// instead.
    NotFields(String),
    /// The value cannot be written as JSON. The text says why.
    NotJson(String),
    /// Lists and maps in the value are nested more deeply than the limit.
    TooDeep {
        /// The number of levels allowed.
        limit: usize,
    },
    /// The application's model has no such field.
    UnknownField,
    /// An index is declared on a field that the model does not have under this name. An index has the serde name under
    /// which the field is written: `#[serde(rename)]` and `rename_all` count, `#[serde(alias)]` does not.
    NoSuchField {
        /// The serde names of the fields that there are.
        fields: Vec<String>,
    },
    /// An index is declared on a standard field. This method finds by it.
    FoundBy(&'static str),
    /// The field has another kind of value in the application's model, which is the text, so no record can be found.
    OtherKind(&'static str),
    /// The field, as it would be stored, cannot be read back as the application's model: its value has another type, or
    /// is missing. (A number that is not finite is stored as null.) The text is serde's own, without the value.
    Misfit(String),
    /// The field has an index, and its value is not a boolean, an integer, an instant or a text.
    NotIndexable,
    /// The field has an index and is not stored, although the application's model reads a value where it is absent: it is
    /// left out by `#[serde(skip_serializing_if)]`, or whoever makes the record does not know the model.
    Missing,
    /// The field has no index.
    NotIndexed,
    /// Two indexes are declared on the field.
    IndexedTwice,
    /// The field's index is not unique.
    NotUnique,
    /// The text is not a [`Cursor`](crate::models::Cursor), or the cursor is not one of this list.
    NotACursor,
    /// The address does not say where a cluster is, or does not say how to talk to it. The text is the reason.
    NotAnAddress(&'static str),
}

/// Why a store could not be opened. The contents of the file are unchanged.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum OpenProblem {
    /// The file is not a redb database.
    NotRedb,
    /// The file is a redb database that is cut off within its first bytes.
    CutOff,
    /// An older version of redb wrote the file, in a form that this one does not read.
    OlderRedb,
    /// There is no such file, and [`create_if_missing`](crate::Options::create_if_missing) is off.
    Missing,
    /// The folder in which the file should be does not exist.
    MissingFolder(PathBuf),
    /// The path is a URL. A file is opened by its path, and a cluster with `AuthKv::connect` (feature `etcd`).
    Url,
    /// The path is `:memory:`, and [`in_memory`](crate::AuthKv::in_memory) makes a store in memory.
    InMemory,
    /// The file is a redb database of somebody else's: it has tables, and none of a store's. A store is put beside them by
    /// [`open_shared`](crate::Options::open_shared) or [`on_database`](crate::Options::on_database).
    OtherTables,
    /// The file has tables of an application's own beside the store's, which a copy of the store would not have. Copy the
    /// file and delete them there, then copy the store from that.
    TablesBeside,
    /// The path is a folder.
    Folder,
    /// The file is not writable.
    ReadOnly,
    /// The file is already open, in another process or in this one.
    Locked,
    /// A newer version of this crate wrote the store.
    NewerFormat {
        /// The format of the store.
        found: u32,
        /// The newest format that this version reads.
        known: u32,
    },
    /// An earlier version of this crate wrote the store. It was not changed, because `synchronize` is off.
    OlderFormat {
        /// The format of the store.
        found: u32,
        /// The format that this version writes.
        known: u32,
    },
    /// The store holds other custom models than it was opened with, or a newer version of them.
    OtherModels {
        /// Name and version in the store.
        found: (String, u32),
        /// Name and version that it was opened with.
        expected: (String, u32),
    },
    /// A change to these models was begun and not finished. Open the store with these models to finish it.
    ChangeUnfinished {
        /// Name and version of the models.
        to: (String, u32),
    },
    /// The store has older models or other indexes than it was opened with. They were not changed, because
    /// `synchronize` is off.
    ModelsNotSynchronized {
        /// Name and version in the store.
        found: (String, u32),
        /// Name and version that it was opened with.
        expected: (String, u32),
    },
    /// A record cannot be changed to the models that the store was opened with. The store is unchanged, unless this
    /// change resumed an earlier one that was interrupted.
    MigrationRefused {
        /// The kind and the id of the record.
        record: String,
        /// Why it cannot be changed.
        why: String,
    },
    /// The store compares e-mail addresses in another way than the one it was opened with.
    OtherEmailMatching {
        /// The matching that the store was created with.
        found: &'static str,
        /// The matching that it was opened with.
        expected: &'static str,
    },
    /// An [`AuthKv`](crate::AuthKv) already uses this database. Clone that one.
    DatabaseInUse,
    /// The application has a write transaction open on its database, which opening would have to wait for. End it first.
    TransactionOpen,
    /// There is no store at this place.
    NoStore,
    /// The place already holds a store, or something else.
    NotEmpty,
    /// This is an unfinished copy of a store. Run the copy again to finish it.
    CopyUnfinished {
        /// The place of the original.
        from: String,
    },
    /// The store keeps changing while it is copied. Stop the application first.
    KeepsChanging,
    /// Another process changed the models or the indexes of the store after it was opened here. Open it again.
    ChangedElsewhere,
    /// The file cannot be created, read or written, or its contents are damaged.
    Storage(StorageError),
}

/// A failure of the storage, or damage found in it.
#[derive(Clone)]
pub struct StorageError {
    context: &'static str,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

/// What is said of an operation that panicked.
pub(crate) const PANICKED: &str = "the operation panicked, which is a bug or damage";

impl StorageError {
    pub(crate) fn new(context: &'static str) -> Self {
        Self { context, source: None }
    }

    pub(crate) fn caused(context: &'static str, source: impl StdError + Send + Sync + 'static) -> Self {
        Self { context, source: Some(Arc::new(source)) }
    }
}

impl Error {
    /// True if the caller has given something that cannot be stored, or names something that does not exist.
    pub fn is_invalid_input(&self) -> bool {
        matches!(self.http_status(), 404 | 422)
    }

    /// True if what is stored stands in the way.
    pub fn is_conflict(&self) -> bool {
        self.http_status() == 409
    }

    /// True if the store cannot serve the call now. Nothing was written, and the same call may succeed later.
    pub fn is_unavailable(&self) -> bool {
        self.http_status() == 503
    }

    /// The status with which an HTTP server answers a request that met this error; see the table [above](Self).
    ///
    /// ```
    /// # use authkv::{AuthKv, Error, models::NewUser};
    /// # let auth = AuthKv::in_memory()?;
    /// auth.create_user(NewUser::email("ada@example.com")).wait()?;
    /// let error = auth.create_user(NewUser::email("ada@example.com")).wait().unwrap_err();
    /// assert_eq!((error.http_status(), error.is_conflict()), (409, true));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn http_status(&self) -> u16 {
        match self {
            Self::UnknownUser | Self::UnknownCredential | Self::UnknownSession => 404,
            Self::Conflict(_) | Self::LastWayToSignIn | Self::StaleSession => 409,
            Self::InvalidArgument { .. } => 422,
            Self::OutcomeUnknown(_) | Self::Misfit { .. } | Self::MissingTable(_) | Self::Open { .. } => 500,
            Self::Busy | Self::Closed | Self::Storage(_) => 503,
        }
    }

    /// Returns a damage error: the bytes that were read cannot be the bytes that were written.
    pub(crate) fn corrupt(context: &'static str) -> Self {
        Self::Storage(StorageError::new(context))
    }

    /// Tells somebody who has opened a store without `verify`, where redb has panicked, what would tell more.
    pub(crate) fn hinting_at_verify(self) -> Self {
        match self {
            Self::Storage(error) if error.context == PANICKED => Self::corrupt(
                "the operation panicked, which is a bug or damage: open it with the option verify to tell",
            ),
            error => error,
        }
    }

    /// Turns this error into an error of opening a store.
    pub(crate) fn opening(self, path: Option<PathBuf>) -> Self {
        match self {
            Self::Open { problem, .. } => Self::Open { path, problem },
            Self::Storage(error) | Self::OutcomeUnknown(error) => {
                Self::Open { path, problem: OpenProblem::Storage(error) }
            }
            error => error,
        }
    }

    /// Turns an error of showing what was committed into the caller's error: it must not suggest that nothing was
    /// written.
    pub(crate) fn after_commit(self) -> Self {
        match self {
            Self::Storage(error) => Self::OutcomeUnknown(error),
            Self::Misfit { record, field, why, advice, .. } => Self::Misfit { record, field, why, advice, done: true },
            error => error,
        }
    }

    pub(crate) fn invalid(field: impl Into<Cow<'static, str>>, problem: Problem) -> Self {
        Self::InvalidArgument { field: field.into(), problem }
    }
}

impl From<OpenProblem> for Error {
    fn from(problem: OpenProblem) -> Self {
        Self::Open { path: None, problem }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Conflict(key) => write!(f, "{key} is already in use"),
            Self::UnknownUser => f.write_str("there is no such user"),
            Self::UnknownCredential => f.write_str("there is no authenticator with this credential id"),
            Self::UnknownSession => f.write_str("the user has no such session to keep"),
            Self::LastWayToSignIn => f.write_str("it is the last way in which the user can sign in"),
            Self::StaleSession => f.write_str("another request has changed the session since it was loaded"),
            Self::InvalidArgument { field, problem } => write!(f, "{field} {problem}"),
            Self::Open { path: Some(path), problem } => write!(f, "cannot open {}: {problem}", path.display()),
            Self::Open { path: None, problem } => write!(f, "cannot open the store: {problem}"),
            Self::MissingTable(name) => {
                write!(f, "the table {name} is missing: call synchronize(), or open with synchronize on")
            }
            Self::Busy => f.write_str("too many calls are waiting, or in each other's way"),
            Self::Closed => f.write_str("the store is closed"),
            Self::Storage(error) => write!(f, "the storage failed: {error}"),
            Self::OutcomeUnknown(error) => {
                write!(f, "the storage failed, and whether the write was done is not known: {error}")
            }
            Self::Misfit { record, field, why, advice, done } => {
                write!(f, "{record} does not fit the application's model: ")?;
                if let Some(field) = field.as_ref().filter(|field| !why.contains(field.as_str())) {
                    write!(f, "{field}: ")?;
                }
                let outcome =
                    if *done { "; the call was carried out, and only its answer cannot be shown" } else { "" };
                write!(f, "{why}{outcome}; {advice}")
            }
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Storage(error)
            | Self::OutcomeUnknown(error)
            | Self::Open { problem: OpenProblem::Storage(error), .. } => error.source(),
            _ => None,
        }
    }
}

impl fmt::Display for UniqueKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UserId => "this user id",
            Self::Email => "this e-mail address",
            Self::AccountId => "this account id",
            Self::ProviderAccount => "this provider account",
            Self::SessionId => "this session id",
            Self::SessionToken => "this session token",
            Self::CredentialId => "this credential id",
            Self::Field(name) => return write!(f, "this {name}"),
        })
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("must not be empty"),
            Self::ClearInstead => f.write_str("must not be empty; Change::Clear clears it"),
            Self::Blanks => f.write_str("must not begin or end with a blank"),
            Self::ControlCharacter => f.write_str("must not have a line break or another control character"),
            Self::NotAnEmail => f.write_str("is no e-mail address: it has no @"),
            Self::TooLong { bytes, limit } => write!(f, "is {bytes} bytes long; the limit is {limit}"),
            Self::OutOfRange { least, most } => write!(f, "must be from {least} to {most}"),
            Self::LeftToProof => f.write_str("must be absent: the proof says which one it is"),
            Self::NotPositive => f.write_str("must be at least a millisecond"),
            Self::NotShared => f.write_str("needs a store that was opened with open_shared or on_database"),
            Self::OtherDatabase => f.write_str("is not of the database that the store is in"),
            Self::NotOwnFile => f.write_str("needs a file of the store's own"),
            Self::LastsTooLong { limit } => write!(f, "must not be longer than {} minutes", limit.num_minutes()),
            Self::LongerThan(other) => write!(f, "must not be longer than {other}"),
            Self::ReservedName => f.write_str("is the name of a field that the record has already"),
            Self::NotFields(why) => write!(f, "cannot be stored as named fields: {why}"),
            Self::NotJson(why) => write!(f, "cannot be written as JSON: {why}"),
            Self::TooDeep { limit } => write!(f, "is nested more than {limit} levels deep"),
            Self::UnknownField => f.write_str("is not a field of the application's model"),
            Self::NoSuchField { fields } => {
                f.write_str("has an index, and is not a field of the application's model, which has ")?;
                if fields.is_empty() { f.write_str("none") } else { f.write_str(&fields.join(", ")) }
            }
            Self::FoundBy(method) => write!(f, "is a standard field and needs no index: use {method}"),
            Self::OtherKind(kind) => write!(f, "is {kind} in the application's model"),
            Self::NotIndexable => f.write_str(
                "has an index, and its value is of a kind that cannot be in one: a boolean, an integer, an Instant and a text can",
            ),
            Self::Missing => f.write_str("is not stored, and has an index in which each record has to be"),
            Self::IndexedTwice => f.write_str("has two indexes"),
            Self::NotIndexed => f.write_str("has no index"),
            Self::NotUnique => f.write_str("has an index that is not unique"),
            Self::NotAnAddress(why) => write!(f, "cannot be used: {why}"),
            Self::NotACursor => f.write_str("is no cursor of a list"),
            Self::Misfit(why) => write!(f, "would not fit the application's model when it is read back: {why}"),
        }
    }
}

impl fmt::Display for OpenProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotRedb => f.write_str("it is not a redb database"),
            Self::CutOff => f.write_str("it is cut off: only the beginning of a redb database is left"),
            Self::OlderRedb => f.write_str("it was written by an older redb: open it with redb 2 or 3 and `upgrade`"),
            Self::Missing => f.write_str("there is no such file"),
            Self::MissingFolder(folder) => write!(f, "the folder {} does not exist", folder.display()),
            Self::Url => {
                f.write_str("it is a URL: open takes the path of a file; AuthKv::connect (feature etcd) takes a cluster's URL")
            }
            Self::InMemory => f.write_str("it is not the name of a file: use in_memory()"),
            Self::OtherTables => f.write_str(
                "it is a redb database with other tables and no store: open_shared or on_database puts a store beside them",
            ),
            Self::TablesBeside => f.write_str(
                "it has tables of an application's own, which the copy would not have: delete them in a copy of the file first",
            ),
            Self::Folder => f.write_str("it is a folder"),
            Self::ReadOnly => f.write_str("it is read-only"),
            Self::Locked => f.write_str("it is already open, in another process or in this one"),
            Self::NewerFormat { found, known } => {
                write!(
                    f,
                    "it has format {found}, which is newer than format {known}, the newest that this version reads"
                )
            }
            Self::OlderFormat { found, known } => {
                write!(
                    f,
                    "it has format {found}, and this version writes format {known}: open it once with synchronize on, which changes it"
                )
            }
            Self::OtherModels { found: (name, version), expected: (none, 0) } if none == "()" => write!(
                f,
                "it holds the models {name:?} version {version}, and was opened without models: call `.models::<…>()` on the options"
            ),
            Self::OtherModels { found: (name, version), expected } => write!(
                f,
                "it holds the models {name:?} version {version}, and was opened with {:?} version {}",
                expected.0, expected.1
            ),
            Self::ChangeUnfinished { to: (name, version) } => {
                write!(
                    f,
                    "a change to the models {name:?} version {version} was begun: open it with these to finish it"
                )
            }
            Self::ModelsNotSynchronized { found, expected } if found == expected => {
                f.write_str("its indexes are others than the models declare: open it once with synchronize on, which builds them")
            }
            Self::ModelsNotSynchronized { found: (name, version), expected } => write!(
                f,
                "it holds the models {name:?} version {version}, not {:?} version {}: open it once with synchronize on, which changes it",
                expected.0, expected.1
            ),
            Self::MigrationRefused { record, why } => write!(f, "{record} cannot be changed to the new models: {why}"),
            Self::OtherEmailMatching { found, expected } => {
                write!(f, "it was made with {found} e-mail matching, and was opened with {expected} matching")
            }
            Self::DatabaseInUse => f.write_str("an AuthKv works on this database already; clone that one"),
            Self::TransactionOpen => {
                f.write_str("the application has a write transaction open on the database: commit or abort that first")
            }
            Self::NoStore => f.write_str("there is no store"),
            Self::NotEmpty => f.write_str("it is not empty"),
            Self::CopyUnfinished { from } => {
                write!(f, "it is an unfinished copy of {from}: copy that again to finish it")
            }
            Self::KeepsChanging => {
                f.write_str("it changes all the while that it is copied: stop the application first")
            }
            Self::ChangedElsewhere => {
                f.write_str("another process has changed its models or indexes since it was opened here: open it again")
            }
            Self::Storage(error) => error.fmt(f),
        }
    }
}

impl fmt::Display for StorageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.context)?;
        match &self.source {
            Some(source) => write!(f, ": {source}"),
            None => Ok(()),
        }
    }
}

/// Two failures are equal if their messages are.
impl PartialEq for StorageError {
    fn eq(&self, other: &Self) -> bool {
        self.to_string() == other.to_string()
    }
}

impl fmt::Debug for StorageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StorageError({self})")
    }
}

impl StdError for StorageError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_ref().map(|source| &**source as &(dyn StdError + 'static))
    }
}
