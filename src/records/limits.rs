//! Checks on input before a record is made: keys and texts.

use crate::error::{Error, Problem, Result};
use crate::models::{FIELD_BYTES_MAX, KEY_BYTES_MAX};

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

/// Refuses line breaks and other control characters.
pub(crate) fn check_control(field: &'static str, text: &str) -> Result<()> {
    // The last two are Unicode's separators of lines and paragraphs.
    let has_control = text.chars().any(|letter| letter.is_control() || matches!(letter, '\u{2028}' | '\u{2029}'));
    if has_control { Err(Error::invalid(field, Problem::ControlCharacter)) } else { Ok(()) }
}

/// Refuses a text that is too long for a field.
pub(super) fn check_text(field: &'static str, text: Option<&str>) -> Result<()> {
    text.map_or(Ok(()), |text| check_length(field, text, FIELD_BYTES_MAX))
}

fn check_length(field: &'static str, text: &str, limit: usize) -> Result<()> {
    let bytes = text.len();
    if bytes > limit { Err(Error::invalid(field, Problem::TooLong { bytes, limit })) } else { Ok(()) }
}
