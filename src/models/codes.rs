//! Codes: short numbers that people are sent and type in.

use chrono::{DateTime, Utc};

use crate::models::Token;

/// What [`issue_code`](crate::AuthKv::issue_code) came to.
#[derive(Clone, Debug, PartialEq)]
#[must_use = "there may be no code to send"]
pub enum IssuedCode {
    /// There is a new code.
    Code {
        /// The code, to be sent to the identifier. The store keeps only its hash.
        code: Token,
        /// The last instant at which it is accepted.
        expires: DateTime<Utc>,
    },
    /// There is none: too many wrong codes were entered for the identifier.
    Locked {
        /// The last instant at which that is so.
        until: DateTime<Utc>,
    },
}

/// What [`verify_code`](crate::AuthKv::verify_code) came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "the code may be wrong"]
pub enum CodeCheck {
    /// It is the code, which is used up now.
    Right,
    /// It is not the code.
    Wrong {
        /// How many more wrong ones may be entered. After the last, there is no code any more.
        guesses_left: u32,
    },
    /// There is no code: it was used, has expired, was never issued, or too many wrong ones were entered.
    NoCode,
}
