//! The records of an application's sign-in: users, accounts, sessions, verification tokens and authenticators.
//!
//! The fields are those of Auth.js, in Rust spelling. `X` is an application's own fields, `()` if it has none. For
//! each record that can be written there is a type for making one (`New…`) and, where Auth.js has an update, one for
//! changing it (`…Patch`), in which leaving a field alone, clearing it and setting it are three different things.
//!
//! Texts are UTF-8. E-mail addresses, ids, provider parts, tokens and identifiers have at most 512 bytes, other fields
//! 64 KiB, a whole record 512 KiB. Instants are kept to the millisecond; what is finer is cut off. `Debug` shows
//! neither tokens nor what identifies a person.

mod accounts;
mod authenticators;
mod codes;
mod dynamic;
mod fields;
mod id;
mod index;
mod instant;
mod patch;
pub(crate) mod secret;
mod sessions;
mod sign_in;
mod tokens;
mod users;
mod web_sessions;

use std::fmt::Debug;

use serde::Serialize;
use serde::de::DeserializeOwned;

pub use accounts::{Account, AccountKey, AccountPatch, AccountType, MustLeave, NewAccount, ProviderAccount};
pub use authenticators::Authenticator;
pub use codes::{CodeCheck, IssuedCode};
pub use dynamic::{Dynamic, DynamicFields, Instant, Value};
pub(crate) use fields::{Fields, json_text};
pub use id::{AccountId, CredentialId, ProviderAccountId, SessionId, UserId, WebSessionId};
pub(crate) use id::{Id, unknown};
pub use index::{Cursor, FieldRange, Index, Page};
pub(crate) use index::{FieldKey, Indexes, RangeOf};
pub(crate) use instant::Millis;
pub use patch::{Change, FieldPatch};
pub use secret::Token;
pub(crate) use secret::{Redacted, TokenHash, fingerprint};
pub use sessions::{NewSession, Session, SessionAndUser, SessionInfo, SessionPatch};
pub use sign_in::{EmailInUse, SignIn, SignedIn, SignedInWithEmail};
pub use tokens::VerificationToken;
pub use users::{NewUser, User, UserPatch};
pub use web_sessions::{WebSession, WebSessionData};

/// Longest id, e-mail address, provider part, token and identifier, in bytes.
pub(crate) const KEY_BYTES_MAX: usize = 512;
/// Longest other field, in bytes.
pub(crate) const FIELD_BYTES_MAX: usize = 64 << 10;
/// How deeply lists and maps may be nested in an application's own fields.
pub(crate) const FIELD_DEPTH_MAX: usize = 32;
/// Longest record as it is stored, in bytes.
pub(crate) const RECORD_BYTES_MAX: usize = 512 << 10;

/// An application's own fields on the records, as serde structs; `()` for none.
///
/// A field is stored under its serde name, so that adding one with `#[serde(default)]`, dropping one or reordering
/// them needs no migration. For other changes, raise [`VERSION`](Self::VERSION) and say with
/// [`migrate_user`](Self::migrate_user) and its like what becomes of the old fields.
pub trait Models: Send + Sync + 'static {
    /// The name of these models; it is in the file, and a file with other models is refused. One that has no own fields
    /// yet (`()`), or those of [`Dynamic`], is changed to these models.
    const NAME: &'static str;
    /// The version of these models, from 1; a file with a newer one is refused, and one with an older one is migrated.
    const VERSION: u32;
    /// The own fields of a [`User`].
    type User: Extra;
    /// The own fields of an [`Account`].
    type Account: Extra;
    /// The own fields of a [`Session`].
    type Session: Extra;
    /// The own fields of a [`VerificationToken`].
    type VerificationToken: Extra;
    /// Own fields of users by which they are found. An index that is added is built when a store is opened; one that is
    /// dropped is removed.
    const USER_INDEXES: &'static [Index] = &[];
    /// Own fields of accounts by which they are found, likewise.
    const ACCOUNT_INDEXES: &'static [Index] = &[];

    /// The own fields of a user as they are in this version, made from those of version `from` (0 if the store had no
    /// own fields or the [`Dynamic`] ones before). It must always answer the same, as it may be called twice.
    ///
    /// Without it the fields stay as they are. What it answers must fit [`User`](Self::User), or the store is not
    /// changed at all. A field that is renamed is renamed here: `#[serde(alias)]` reads the old name, but neither patches
    /// nor indexes know it.
    ///
    /// # Errors
    /// Any; it is in the error of opening the store. All records are tried before the first is changed, so the store is
    /// then as it was, unless an earlier attempt was interrupted and this one goes on with it.
    fn migrate_user(from: u32, user: User<DynamicFields>) -> Result<DynamicFields, MigrationError> {
        let _ = from;
        Ok(user.extra)
    }

    /// As [`migrate_user`](Self::migrate_user), for accounts.
    ///
    /// # Errors
    /// As there.
    fn migrate_account(from: u32, account: Account<DynamicFields>) -> Result<DynamicFields, MigrationError> {
        let _ = from;
        Ok(account.extra)
    }

    /// As [`migrate_user`](Self::migrate_user), for sessions; the store does not know their tokens.
    ///
    /// # Errors
    /// As there.
    fn migrate_session(from: u32, fields: DynamicFields) -> Result<DynamicFields, MigrationError> {
        let _ = from;
        Ok(fields)
    }

    /// As [`migrate_user`](Self::migrate_user), for verification tokens, which the store does not know either.
    ///
    /// # Errors
    /// As there.
    fn migrate_verification_token(from: u32, fields: DynamicFields) -> Result<DynamicFields, MigrationError> {
        let _ = from;
        Ok(fields)
    }
}

/// How far a store has come that is changed, when it is opened, to newer models or other indexes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MigrationProgress {
    /// What is being done: first all records are tried, and nothing is changed before all of them can be.
    pub step: MigrationStep,
    /// How many records this step has done.
    pub records_done: u64,
    /// How many records there are; not known while they are tried, nor when a change is taken up again.
    pub records: Option<u64>,
}

/// What is being done to a store that is changed to newer models or other indexes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MigrationStep {
    /// Each record is tried, without changing anything.
    Trying,
    /// Indexes that are no longer declared, or that are to be built anew, are removed.
    ClearingIndexes,
    /// The records are changed and the indexes built.
    Changing,
}

/// Why an application cannot migrate a record: any error, or a text.
pub type MigrationError = Box<dyn std::error::Error + Send + Sync>;

impl Models for () {
    const NAME: &'static str = "()";
    const VERSION: u32 = 0;
    type User = ();
    type Account = ();
    type Session = ();
    type VerificationToken = ();
}

/// What the own fields of a record must be able to do. Every type that can implements it.
pub trait Extra: Serialize + DeserializeOwned + Clone + Debug + Send + Sync + 'static {}

impl<X: Serialize + DeserializeOwned + Clone + Debug + Send + Sync + 'static> Extra for X {}
