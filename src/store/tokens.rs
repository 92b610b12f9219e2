//! Verification tokens for links.

use chrono::TimeDelta;

use crate::adapter::Adapter;
use crate::models::{Models, Token, VerificationToken, instant};
use crate::ops::tokens;
use crate::records::TokenRecord;
use crate::reply::Reply;
use crate::store::{AuthKv, check_length_of_time};

impl<M: Models> AuthKv<M> {
    /// Creates a 256-bit verification token to send to the identifier in a link, and stores its hash.
    ///
    /// An identifier can have several tokens; each works once. If tokens have several purposes, put the purpose into
    /// the identifier, so that a sign-in link cannot change an address.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::Error::InvalidArgument) also when `valid_for` is not longer than zero,
    /// [`Storage`](crate::Error::Storage) also when the operating system cannot provide randomness, and the errors of
    /// every writing method of [`Adapter`].
    ///
    /// ```
    /// use authkv::AuthKv;
    /// use chrono::TimeDelta;
    ///
    /// let auth = AuthKv::in_memory()?;
    /// let link = auth.issue_link_token("ada@example.com", TimeDelta::minutes(15), ()).wait()?;
    /// // Send a link with link.identifier and link.token; when it is followed:
    /// assert!(auth.verify_link_token("ada@example.com", link.token.as_str()).wait()?.is_some());
    /// assert!(auth.verify_link_token("ada@example.com", link.token.as_str()).wait()?.is_none());
    /// # Ok::<(), authkv::Error>(())
    /// ```
    pub fn issue_link_token(
        &self,
        identifier: impl Into<String>,
        valid_for: TimeDelta,
        extra: M::VerificationToken,
    ) -> Reply<VerificationToken<M::VerificationToken>> {
        let expires = check_length_of_time("valid_for", valid_for).and_then(|()| instant(self.now().plus(valid_for)));
        let token = expires.and_then(|expires| {
            Ok(VerificationToken { identifier: identifier.into(), token: Token::random()?, expires, extra })
        });
        match token {
            Ok(token) => self.create_verification_token(token),
            Err(error) => Reply::ready(Err(error)),
        }
    }

    /// Takes a verification token, however it was created. Of any number of concurrent calls at most one gets it.
    /// `None` if this identifier has no such token or the token has expired;
    /// [`use_verification_token`](Adapter::use_verification_token) also returns expired tokens.
    ///
    /// # Errors
    /// The errors of every writing method of [`Adapter`].
    pub fn verify_link_token(
        &self,
        identifier: &str,
        token: &str,
    ) -> Reply<Option<VerificationToken<M::VerificationToken>>> {
        let (identifier, token, now) = (identifier.to_owned(), Token::from(token), self.now());
        let hash = token.hash();
        self.write(
            move |txn| Ok(tokens::take(txn, Some(&identifier), hash)?.filter(|token| token.expires >= now)),
            |record: Option<TokenRecord>| record.map(|record| record.into_model(token)).transpose(),
        )
    }

    /// The verification token of this identifier, without taking it. For tests and support; to sign somebody in, use
    /// [`use_verification_token`](Adapter::use_verification_token). The token may have expired.
    ///
    /// # Errors
    /// The errors of every method of [`Adapter`].
    ///
    /// ```
    /// # use authkv::{Adapter, AuthKv, models::*};
    /// # let auth = AuthKv::in_memory()?;
    /// let expires = chrono::Utc::now() + chrono::TimeDelta::minutes(15);
    /// auth.create_verification_token(VerificationToken::new("ada@example.com", "a-secret", expires)).wait()?;
    /// assert!(auth.find_verification_token("ada@example.com", "a-secret").wait()?.is_some());
    /// assert!(auth.use_verification_token(Some("ada@example.com"), "a-secret").wait()?.is_some());
    /// assert!(auth.find_verification_token("ada@example.com", "a-secret").wait()?.is_none());
    /// # Ok::<(), authkv::Error>(())
    /// ```
    pub fn find_verification_token(
        &self,
        identifier: &str,
        token: &str,
    ) -> Reply<Option<VerificationToken<M::VerificationToken>>> {
        let (identifier, token) = (identifier.to_owned(), Token::from(token));
        let hash = token.hash();
        self.read(
            move |txn| tokens::get(txn, &identifier, hash),
            |record| record.map(|record| record.into_model(token)).transpose(),
        )
    }
}
