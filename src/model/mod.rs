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
mod fields;
mod id;
mod instant;
mod sessions;
mod tokens;
mod users;

use std::fmt::Debug;

use serde::Serialize;
use serde::de::DeserializeOwned;

pub use accounts::{Account, AccountKey, AccountType, NewAccount};
pub use authenticators::Authenticator;
pub use fields::{Change, FieldPatch};
pub(crate) use fields::{FieldUpdate, Fields};
pub(crate) use id::Id;
pub use id::{AccountId, CredentialId, ProviderAccountId, SessionId, UserId};
pub(crate) use instant::Millis;
pub use sessions::{NewSession, Session, SessionAndUser, SessionPatch};
pub use tokens::VerificationToken;
pub use users::{NewUser, User, UserPatch};

/// Longest id, e-mail address, provider part, token and identifier, in bytes.
pub(crate) const KEY_BYTES_MAX: usize = 512;
/// Longest other field, in bytes.
pub(crate) const FIELD_BYTES_MAX: usize = 64 << 10;
/// Longest record as it is stored, in bytes.
pub(crate) const RECORD_BYTES_MAX: usize = 512 << 10;

/// An application's own fields on the records, as serde structs; `()` for none.
///
/// A field is stored under its serde name, so that adding one with `#[serde(default)]`, dropping one or reordering
/// them needs no migration.
pub trait Models: Send + Sync + 'static {
    /// The name of these models; it is in the file, and a file with other models is refused.
    const NAME: &'static str;
    /// The version of these models; a file with a newer one is refused.
    const VERSION: u32;
    /// The own fields of a [`User`].
    type User: Extra;
    /// The own fields of an [`Account`].
    type Account: Extra;
    /// The own fields of a [`Session`].
    type Session: Extra;
    /// The own fields of a [`VerificationToken`].
    type VerificationToken: Extra;
}

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
