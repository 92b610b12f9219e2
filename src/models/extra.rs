//! An application's own fields: which records have which, and how older ones become newer ones.

use std::fmt::Debug;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Account, DynamicFields, Index, User};

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
