//! The model that the own fields of each kind of record have to fit.

use crate::models::{Extra, Fields, Misfit, Models, RecordName};
use crate::records::entries::Record;
use crate::records::{AccountRecord, SessionRecord, TokenRecord, UserRecord};

/// A record with own fields.
pub(crate) trait Fitted<M: Models>: Record + Clone + Send + Sync {
    type Own: Extra;

    fn own_fields(&self) -> &Fields;
    fn name(&self) -> RecordName<'_>;

    /// Refuses a record from which the model cannot be read.
    fn check_fit(&self) -> Result<(), Misfit> {
        self.own_fields().check_fit::<Self::Own>()
    }
}

impl<M: Models> Fitted<M> for UserRecord {
    type Own = M::User;

    fn own_fields(&self) -> &Fields {
        &self.extra
    }

    fn name(&self) -> RecordName<'_> {
        RecordName::User(&self.id)
    }
}

impl<M: Models> Fitted<M> for AccountRecord {
    type Own = M::Account;

    fn own_fields(&self) -> &Fields {
        &self.extra
    }

    fn name(&self) -> RecordName<'_> {
        RecordName::Account(&self.id)
    }
}

impl<M: Models> Fitted<M> for SessionRecord {
    type Own = M::Session;

    fn own_fields(&self) -> &Fields {
        &self.extra
    }

    fn name(&self) -> RecordName<'_> {
        RecordName::Session(&self.id)
    }
}

impl<M: Models> Fitted<M> for TokenRecord {
    type Own = M::VerificationToken;

    fn own_fields(&self) -> &Fields {
        &self.extra
    }

    fn name(&self) -> RecordName<'_> {
        RecordName::VerificationToken
    }
}
