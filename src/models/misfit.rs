//! Own fields that do not fit the application's model: which field, why, and of which record.

use std::fmt;

use super::{AccountId, SessionId, UserId};
use crate::error::Error;

/// Why a model could not be read from stored fields.
#[derive(Debug)]
pub(crate) struct Misfit {
    /// `None` if the model does not say which field it is.
    pub(crate) field: Option<String>,
    /// Serde's text.
    pub(crate) why: String,
}

impl Misfit {
    /// `failed` is the field whose value was being read.
    pub(crate) fn new(failed: Option<String>, error: &serde_json::Error) -> Self {
        let text = error.to_string();
        let text = text.rsplit_once(" at line ").map_or(text.as_str(), |(text, _)| text);
        let why = without_value(text);
        let missing = || Some(why.strip_prefix("missing field `")?.strip_suffix('`')?.to_owned());
        Self { field: failed.or_else(missing), why }
    }

    /// The error of a call that met the record.
    pub(crate) fn of(self, record: RecordName<'_>) -> Error {
        let Self { field, why } = self;
        Error::Misfit { record: record.to_string(), field, why, advice: record.advice(), done: false }
    }
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.field {
            Some(field) if !self.why.contains(field) => write!(f, "{field}: {}", self.why),
            _ => f.write_str(&self.why),
        }
    }
}

/// Takes the value out of serde's text, because a message must not show what a record has.
fn without_value(text: &str) -> String {
    let without = |cause: &str| {
        let (found, expected) = text.strip_prefix(cause)?.rsplit_once(", expected ")?;
        let kind = found.split(['`', '"']).next().unwrap_or_default();
        Some(format!("{}, expected {expected}", format!("{cause}{kind}").trim_end()))
    };
    ["invalid type: ", "invalid value: ", "unknown variant "]
        .into_iter()
        .find_map(without)
        .unwrap_or_else(|| text.to_owned())
}

/// A record as a message names it, without secrets.
#[derive(Clone, Copy)]
pub(crate) enum RecordName<'r> {
    User(&'r UserId),
    Account(&'r AccountId),
    Session(&'r SessionId),
    VerificationToken,
    State,
}

impl RecordName<'_> {
    fn advice(self) -> &'static str {
        match self {
            Self::User(_) => "give the field a #[serde(default)], or raise VERSION and write migrate_user",
            Self::Account(_) => "give the field a #[serde(default)], or raise VERSION and write migrate_account",
            Self::Session(_) => "give the field a #[serde(default)], or raise VERSION and write migrate_session",
            Self::VerificationToken => {
                "give the field a #[serde(default)], or raise VERSION and write migrate_verification_token"
            }
            Self::State => "take it as the type that it was put as",
        }
    }
}

impl fmt::Display for RecordName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(id) => write!(f, "user {id}"),
            Self::Account(id) => write!(f, "account {id}"),
            Self::Session(id) => write!(f, "session {id}"),
            Self::VerificationToken => f.write_str("a verification token"),
            Self::State => f.write_str("the state"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_serde_keeps_its_words_and_loses_the_value() {
        let cases = [
            ("invalid type: string \"a, expected b\", expected u32", "invalid type: string, expected u32"),
            ("invalid value: integer `300`, expected u8", "invalid value: integer, expected u8"),
            ("invalid type: null, expected a string", "invalid type: null, expected a string"),
            ("unknown variant `gold`, expected `a` or `b`", "unknown variant, expected `a` or `b`"),
            ("missing field `phone`", "missing field `phone`"),
            ("the application's own words", "the application's own words"),
        ];
        for (text, kept) in cases {
            assert_eq!(without_value(text), kept);
        }
    }
}
