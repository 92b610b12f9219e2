//! Codes: short numbers that are sent to people, who type them in.

use std::fmt;

use chrono::{DateTime, TimeDelta, Utc};

use crate::models::Token;

/// How long a code is valid at most.
pub(crate) const CODE_VALID_MAX: TimeDelta = TimeDelta::hours(1);
/// How many digits a code has that nobody guesses.
pub(crate) const LONG_CODE_DIGITS: u32 = 12;

/// A code that [`issue_code`](crate::AuthKv::issue_code) has made.
#[derive(Clone, Debug, PartialEq)]
#[must_use = "the code is to be sent, and the request to be kept in the browser"]
pub struct IssuedCode {
    /// The code to send to the address: digits and nothing else. The store keeps only its hash. Show twelve digits in
    /// three groups of four; blanks and hyphens that people type are ignored.
    pub code: Token,
    /// The handle with which the code is entered, for a cookie of the browser that asked, and for nobody else. It is
    /// the one that the browser has if the code was added to its request.
    pub request: Token,
    /// How many digits the code has: [`code_digits`](crate::Options::code_digits), or 12.
    pub digits: u32,
    /// The code is accepted until this instant (UTC), inclusive.
    pub expires: DateTime<Utc>,
}

/// The result of [`verify_code`](crate::AuthKv::verify_code). `Debug` does not show the address.
#[derive(Clone, PartialEq, Eq)]
#[must_use = "the code may be wrong"]
pub enum CodeCheck {
    /// The code is right. Neither it nor another code of its request can be used again.
    Right {
        /// The address that the code was sent to, as it was spelled when the request was made, without blanks around it.
        address: String,
    },
    /// The code is none of those of the request.
    Wrong {
        /// How many more guesses the request has. After the last one it no longer exists.
        guesses_left: u32,
    },
    /// The browser has no request of this purpose: it was used, has expired, was never made, or its guesses are used up.
    NoCode,
}

impl CodeCheck {
    /// The proven address, if the code was right.
    #[must_use = "the code may be wrong"]
    pub fn address(self) -> Option<String> {
        match self {
            Self::Right { address } => Some(address),
            Self::Wrong { .. } | Self::NoCode => None,
        }
    }
}

impl fmt::Debug for CodeCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Right { .. } => f.debug_struct("Right").finish_non_exhaustive(),
            Self::Wrong { guesses_left } => f.debug_struct("Wrong").field("guesses_left", guesses_left).finish(),
            Self::NoCode => f.write_str("NoCode"),
        }
    }
}
