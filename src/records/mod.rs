//! Records as they are stored. They are made from checked input and converted to the models that callers get.

mod accounts;
mod authenticators;
mod codes;
pub(crate) mod entries;
pub(crate) mod expiring;
mod lifetime;
mod limits;
pub(crate) mod schema;
mod sessions;
mod states;
mod tokens;
mod users;
mod web_sessions;

pub(crate) use accounts::{AccountRecord, AccountUpdate};
pub(crate) use authenticators::AuthenticatorRecord;
pub(crate) use codes::CodeRecord;
pub(crate) use sessions::{SessionRecord, SessionUpdate};
pub(crate) use states::StateRecord;
pub(crate) use tokens::TokenRecord;
pub use users::EmailMatching;
pub(crate) use users::{Email, UserRecord, UserUpdate};
pub(crate) use web_sessions::{Owner, Save, Saved, WebSessionRecord};
