//! An application's own fields: which records have which, and how fields of an older version are migrated.

use std::fmt::Debug;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Account, DynamicFields, Index, User};

/// An application's own fields on the records, as serde structs. `()` means none.
///
/// A field is stored under its serde name, so no migration is needed to add a field with `#[serde(default)]`, to drop
/// one, or to reorder them. For other changes, raise [`VERSION`](Self::VERSION) and implement
/// [`migrate_user`](Self::migrate_user) and the functions like it, which convert the old fields.
pub trait Models: Send + Sync + 'static {
    /// The name of these models. It is stored in the file, and a file with other models is refused. A file that has no
    /// own fields yet (`()`), or those of [`Dynamic`](super::Dynamic), is changed to these models.
    const NAME: &'static str;
    /// The version of these models, from 1. A file with a newer version is refused; a file with an older one is
    /// migrated.
    const VERSION: u32;
    /// The own fields of a [`User`].
    type User: Extra;
    /// The own fields of an [`Account`].
    type Account: Extra;
    /// The own fields of a [`Session`](super::Session).
    type Session: Extra;
    /// The own fields of a [`VerificationToken`](super::VerificationToken).
    type VerificationToken: Extra;
    /// The indexed own fields of users. An index that is added is built when a store is opened; an index that is
    /// dropped is removed. A name that is not a field's is refused, so a misspelling does neither.
    const USER_INDEXES: &'static [Index] = &[];
    /// The indexed own fields of accounts, likewise.
    const ACCOUNT_INDEXES: &'static [Index] = &[];

    /// Converts the own fields of a user from version `from` to this version. `from` is 0 if the store had no own
    /// fields, or those of [`Dynamic`](super::Dynamic). The function must be deterministic, because it may be called
    /// twice for a record.
    ///
    /// The default leaves the fields as they are. The result must fit [`User`](Self::User), or the store is not changed
    /// at all. Rename a field here: `#[serde(alias)]` reads the old name, but patches and indexes do not know it.
    ///
    /// # Errors
    /// Any error. It is part of the error of opening the store. All records are tried before the first is changed, so
    /// the store is then unchanged, unless this attempt resumed an earlier one that was interrupted.
    fn migrate_user(from: u32, user: User<DynamicFields>) -> Result<DynamicFields, MigrationError> {
        let _ = from;
        Ok(user.extra)
    }

    /// Like [`migrate_user`](Self::migrate_user), for accounts.
    ///
    /// # Errors
    /// The same as those of [`migrate_user`](Self::migrate_user).
    fn migrate_account(from: u32, account: Account<DynamicFields>) -> Result<DynamicFields, MigrationError> {
        let _ = from;
        Ok(account.extra)
    }

    /// Like [`migrate_user`](Self::migrate_user), for sessions. It gets no token, because the store does not know
    /// session tokens.
    ///
    /// # Errors
    /// The same as those of [`migrate_user`](Self::migrate_user).
    fn migrate_session(from: u32, fields: DynamicFields) -> Result<DynamicFields, MigrationError> {
        let _ = from;
        Ok(fields)
    }

    /// Like [`migrate_user`](Self::migrate_user), for verification tokens. It gets no token, because the store does not
    /// know verification tokens.
    ///
    /// # Errors
    /// The same as those of [`migrate_user`](Self::migrate_user).
    fn migrate_verification_token(from: u32, fields: DynamicFields) -> Result<DynamicFields, MigrationError> {
        let _ = from;
        Ok(fields)
    }
}

/// The reason why an application cannot migrate a record: any error, or a text.
pub type MigrationError = Box<dyn std::error::Error + Send + Sync>;

impl Models for () {
    const NAME: &'static str = "()";
    const VERSION: u32 = 0;
    type User = ();
    type Account = ();
    type Session = ();
    type VerificationToken = ();
}

/// The traits that a record's own fields need. Every type that has them implements this one.
pub trait Extra: Serialize + DeserializeOwned + Clone + Debug + Send + Sync + 'static {}

impl<X: Serialize + DeserializeOwned + Clone + Debug + Send + Sync + 'static> Extra for X {}
