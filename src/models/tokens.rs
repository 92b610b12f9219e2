//! Verification tokens: one-time proofs that somebody reads an address.

use std::fmt;

use chrono::{DateTime, Utc};

use crate::models::Token;

/// A token sent to an identifier, mostly an e-mail address. It works once. The type is input and output alike.
#[derive(Clone, PartialEq)]
pub struct VerificationToken<X = ()> {
    /// Whom it was sent to. `Debug` does not show it.
    pub identifier: String,
    /// The secret. The store keeps only its SHA-256; in a result it is the one that the caller passed.
    pub token: Token,
    /// The last instant at which it should be accepted.
    pub expires: DateTime<Utc>,
    /// The application's own fields.
    pub extra: X,
}

impl<X> VerificationToken<X> {
    /// Whether the token must not be accepted any more at this instant.
    pub fn is_expired(&self, now: DateTime<Utc>) -> bool {
        self.expires < now
    }

    /// The same, with these own fields instead.
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
