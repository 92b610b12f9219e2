//! Records as they are stored: made from checked input, and turned into the models that callers get.

mod accounts;
mod authenticators;
mod codes;
pub(crate) mod entries;
mod lifetime;
mod sessions;
mod states;
mod tokens;
mod users;
mod web_sessions;

pub(crate) use accounts::{AccountRecord, AccountUpdate};
pub(crate) use authenticators::AuthenticatorRecord;
pub(crate) use codes::CodeRecord;
pub(crate) use lifetime::Lifetime;
pub(crate) use sessions::{SessionRecord, SessionUpdate};
pub(crate) use states::StateRecord;
pub(crate) use tokens::TokenRecord;
pub use users::EmailMatching;
pub(crate) use users::{Email, UserRecord, UserUpdate};
pub(crate) use web_sessions::WebSessionRecord;

use chrono::{DateTime, Utc};

use crate::error::{Error, Problem, Result};
use crate::models::{FIELD_BYTES_MAX, Index, KEY_BYTES_MAX, Millis};

/// Refuses indexes on fields that are no own fields, and two on one.
fn check_indexes(indexes: &[Index], reserved: &[&str]) -> Result<()> {
    for (place, index) in indexes.iter().enumerate() {
        if reserved.contains(&&*index.field) {
            return Err(Error::invalid(index.field.clone(), Problem::ReservedName));
        }
        if indexes.iter().skip(place + 1).any(|other| other.field == index.field) {
            return Err(Error::invalid(index.field.clone(), Problem::IndexedTwice));
        }
    }
    Ok(())
}

/// Refuses a text that cannot be (part of) a key.
fn check_key(field: &'static str, text: &str) -> Result<()> {
    if text.is_empty() {
        return Err(Error::invalid(field, Problem::Empty));
    }
    check_length(field, text, KEY_BYTES_MAX)
}

/// Refuses a text that is too long for a field.
fn check_text(field: &'static str, text: Option<&str>) -> Result<()> {
    text.map_or(Ok(()), |text| check_length(field, text, FIELD_BYTES_MAX))
}

fn check_length(field: &'static str, text: &str, limit: usize) -> Result<()> {
    let bytes = text.len();
    if bytes > limit { Err(Error::invalid(field, Problem::TooLong { bytes, limit })) } else { Ok(()) }
}

pub(crate) fn instant(millis: Millis) -> Result<DateTime<Utc>> {
    millis.to_instant().ok_or_else(|| Error::corrupt("an instant is outside of the calendar"))
}
