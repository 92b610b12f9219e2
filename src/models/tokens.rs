//! Verification tokens: one-time proofs that somebody receives messages at an address.

use std::fmt;

use chrono::{DateTime, Utc};

use crate::models::Token;

/// A token sent to an identifier, usually an e-mail address. It works once. The same type is used for input and output.
#[derive(Clone, PartialEq)]
pub struct VerificationToken<X = ()> {
    /// The identifier that the token was sent to. `Debug` does not show it.
    pub identifier: String,
    /// The secret. The store keeps only its SHA-256. In a result, this value is the one that the caller passed.
    pub token: Token,
    /// The token should be accepted until this instant (UTC), inclusive.
    pub expires: DateTime<Utc>,
    /// The application's own fields.
    pub extra: X,
}

impl<X> VerificationToken<X> {
    /// True if the token must no longer be accepted at `now`.
    pub fn is_expired(&self, now: DateTime<Utc>) -> bool {
        self.expires < now
    }

    /// Returns this token with other own fields.
    #[must_use]
    pub fn with_extra<Y>(self, extra: Y) -> VerificationToken<Y> {
        VerificationToken { identifier: self.identifier, token: self.token, expires: self.expires, extra }
    }
}

impl<X: Default> VerificationToken<X> {
    /// A token for an identifier.
    pub fn new(identifier: impl Into<String>, token: impl Into<Token>, expires: DateTime<Utc>) -> Self {
        Self { identifier: identifier.into(), token: token.into(), expires, extra: X::default() }
    }
}

impl<X> fmt::Debug for VerificationToken<X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerificationToken").field("expires", &self.expires).finish_non_exhaustive()
    }
}
