//! Checks on input before a record is made: index declarations, keys and texts.

use crate::error::{Error, Problem, Result};
use crate::models::{FIELD_BYTES_MAX, Index, KEY_BYTES_MAX};

/// Refuses an index on a standard field, and two indexes on one field.
pub(super) fn check_indexes(indexes: &[Index], reserved: &[&str]) -> Result<()> {
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

/// Refuses a text that cannot be a key or a part of one.
pub(super) fn check_key(field: &'static str, text: &str) -> Result<()> {
    if text.is_empty() {
        return Err(Error::invalid(field, Problem::Empty));
    }
    check_length(field, text, KEY_BYTES_MAX)
}

/// Refuses blanks around a text that lookups compare without them.
pub(super) fn check_trimmed(field: &'static str, text: &str) -> Result<()> {
    if text.trim() == text { Ok(()) } else { Err(Error::invalid(field, Problem::Blanks)) }
}

/// Refuses a text to which nothing should be sent.
pub(crate) fn check_sendable(field: &'static str, text: &str) -> Result<()> {
    let has_control = text.chars().any(char::is_control);
    if has_control { Err(Error::invalid(field, Problem::ControlCharacter)) } else { check_trimmed(field, text) }
}

/// Refuses a text that is too long for a field.
pub(super) fn check_text(field: &'static str, text: Option<&str>) -> Result<()> {
    text.map_or(Ok(()), |text| check_length(field, text, FIELD_BYTES_MAX))
}

fn check_length(field: &'static str, text: &str, limit: usize) -> Result<()> {
    let bytes = text.len();
    if bytes > limit { Err(Error::invalid(field, Problem::TooLong { bytes, limit })) } else { Ok(()) }
}
