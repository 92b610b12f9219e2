//! The model that the own fields of each kind of record have to fit.

use crate::models::{Extra, Fields, Misfit, Models, RecordName};
use crate::records::entries::Record;
use crate::records::{AccountRecord, SessionRecord, TokenRecord, UserRecord};

/// A record with own fields.
pub(crate) trait Fitted<M: Models>: Record + Clone + Send + Sync {
    type Own: Extra;
    const PLURAL: &'static str;
    /// The names of the standard fields.
    const RESERVED: &'static [&'static str];
    /// Standard fields by which a method finds records, and the method.
    const FOUND_BY: &'static [(&'static str, &'static str)] = &[];

    fn own_fields(&self) -> &Fields;
    fn own_fields_mut(&mut self) -> &mut Fields;
    fn name(&self) -> RecordName<'_>;

    /// Refuses a record from which the model cannot be read.
    fn check_fit(&self) -> Result<(), Misfit> {
        self.own_fields().check_fit::<Self::Own>()
    }
}

/// The methods of a record that keeps its own fields in `extra`.
macro_rules! in_extra {
    () => {
        fn own_fields(&self) -> &Fields {
            &self.extra
        }

        fn own_fields_mut(&mut self) -> &mut Fields {
            &mut self.extra
        }
    };
}

impl<M: Models> Fitted<M> for UserRecord {
    type Own = M::User;
    const PLURAL: &'static str = "users";
    const RESERVED: &'static [&'static str] = Self::RESERVED;
    const FOUND_BY: &'static [(&'static str, &'static str)] = &[("email", "get_user_by_email"), ("id", "get_user")];

    in_extra!();

    fn name(&self) -> RecordName<'_> {
        RecordName::User(&self.id)
    }
}

impl<M: Models> Fitted<M> for AccountRecord {
    type Own = M::Account;
    const PLURAL: &'static str = "accounts";
    const RESERVED: &'static [&'static str] = Self::RESERVED;
    const FOUND_BY: &'static [(&'static str, &'static str)] =
        &[("provider", "get_account"), ("providerAccountId", "get_account"), ("userId", "list_accounts")];

    in_extra!();

    fn name(&self) -> RecordName<'_> {
        RecordName::Account(&self.id)
    }
}

impl<M: Models> Fitted<M> for SessionRecord {
    type Own = M::Session;
    const PLURAL: &'static str = "sessions";
    const RESERVED: &'static [&'static str] = Self::RESERVED;

    in_extra!();

    fn name(&self) -> RecordName<'_> {
        RecordName::Session(&self.id)
    }
}

impl<M: Models> Fitted<M> for TokenRecord {
    type Own = M::VerificationToken;
    const PLURAL: &'static str = "verification tokens";
    const RESERVED: &'static [&'static str] = Self::RESERVED;

    in_extra!();

    fn name(&self) -> RecordName<'_> {
        RecordName::VerificationToken
    }
}
