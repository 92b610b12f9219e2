//! Verification tokens: one-time proofs that somebody receives messages at an address.

use std::fmt;

use chrono::{DateTime, Utc};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::models::Token;

/// All but what RFC 3986 calls unreserved.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

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

    /// The link to send: this page of the application, with the identifier and the token as the parameters `email` and
    /// `token` of its query, percent-encoded. They come behind a query that the page has already, and before a fragment.
    ///
    /// ```
    /// use authkv::models::VerificationToken;
    ///
    /// let token: VerificationToken = VerificationToken::new("ada+home@example.com", "a-secret", chrono::Utc::now());
    /// let link = token.url("https://app.example.com/sign-in?lang=en");
    /// assert_eq!(link, "https://app.example.com/sign-in?lang=en&email=ada%2Bhome%40example.com&token=a-secret");
    /// ```
    pub fn url(&self, page: &str) -> String {
        let (page, fragment) = page.split_at(page.find('#').unwrap_or(page.len()));
        let separator = if page.contains('?') { '&' } else { '?' };
        let [email, token] = [&*self.identifier, self.token.reveal()].map(|text| utf8_percent_encode(text, RESERVED));
        format!("{page}{separator}email={email}&token={token}{fragment}")
    }

    /// Returns this token with other own fields.
    #[must_use]
    pub fn with_extra<Y>(self, extra: Y) -> VerificationToken<Y> {
        VerificationToken { identifier: self.identifier, token: self.token, expires: self.expires, extra }
    }
}

impl<X> VerificationToken<X> {
    /// Like [`new`](Self::new), with own fields.
    pub fn new_with(identifier: impl Into<String>, token: impl Into<Token>, expires: DateTime<Utc>, extra: X) -> Self {
        Self { identifier: identifier.into(), token: token.into(), expires, extra }
    }
}

impl<X: Default> VerificationToken<X> {
    /// A token for an identifier.
    pub fn new(identifier: impl Into<String>, token: impl Into<Token>, expires: DateTime<Utc>) -> Self {
        Self::new_with(identifier, token, expires, X::default())
    }
}

impl<X> fmt::Debug for VerificationToken<X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerificationToken").field("expires", &self.expires).finish_non_exhaustive()
    }
}
