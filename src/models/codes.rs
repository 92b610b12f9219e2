//! Codes: short numbers that are sent to people, who type them in.

use chrono::{DateTime, Utc};

use crate::models::Token;

/// The result of [`issue_code`](crate::AuthKv::issue_code).
#[derive(Clone, Debug, PartialEq)]
#[must_use = "there may be no code to send"]
pub enum IssuedCode {
    /// A new code was issued.
    Code {
        /// The code to send to the identifier. The store keeps only its hash.
        code: Token,
        /// The code is accepted until this instant (UTC), inclusive.
        expires: DateTime<Utc>,
    },
    /// No code was issued: too many wrong codes were entered for the identifier.
    Locked {
        /// Locked until this instant (UTC), inclusive.
        until: DateTime<Utc>,
    },
}

/// The result of [`verify_code`](crate::AuthKv::verify_code).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "the code may be wrong"]
pub enum CodeCheck {
    /// The code is right. It cannot be used again.
    Right,
    /// The code is wrong.
    Wrong {
        /// How many more wrong codes may be entered. After the last one, the code no longer exists.
        guesses_left: u32,
    },
    /// There is no code: it was used, has expired, was never issued, or too many wrong codes were entered.
    NoCode,
}
