//! Records as they are stored: made from checked input, and converted to the models that callers get. `schema` draws the
//! tables, `entries` says which index entries a record has.

mod accounts;
mod authenticators;
pub(crate) mod budgets;
mod codes;
pub(crate) mod entries;
pub(crate) mod expiring;
mod identity;
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
pub(crate) use budgets::GuessBudget;
pub(crate) use codes::{Code, CodeRequest, OldCode};
pub(crate) use identity::Identity;
pub(crate) use lifetime::AsOf;
pub(crate) use sessions::{SessionRecord, SessionUpdate};
pub(crate) use states::StateRecord;
pub(crate) use tokens::TokenRecord;
pub use users::EmailMatching;
pub(crate) use users::{Email, UserRecord, UserUpdate};
pub(crate) use web_sessions::{Owner, Save, Saved, WebSessionRecord};
