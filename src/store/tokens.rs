//! Verification tokens that are made here: long ones for links, and codes that people type in.

use chrono::TimeDelta;

use crate::adapter::Adapter;
use crate::models::{Models, Token, VerificationToken, instant};
use crate::ops::tokens;
use crate::records::TokenRecord;
use crate::reply::Reply;
use crate::store::AuthKv;

impl<M: Models> AuthKv<M> {
    /// Makes a verification token of 256 bits, to be sent to the identifier in a link, and stores its hash.
    ///
    /// An identifier may have several; each works once. Where tokens have several purposes, put the purpose into the
    /// identifier, so that a link to sign in does not do for changing an address.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::Error::InvalidArgument), [`Storage`](crate::Error::Storage) also when the operating
    /// system has no randomness to give, and those that every writing method of [`Adapter`] may answer with.
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
        let token = instant(self.now().plus(valid_for)).and_then(|expires| {
            Ok(VerificationToken { identifier: identifier.into(), token: Token::random()?, expires, extra })
        });
        match token {
            Ok(token) => self.create_verification_token(token),
            Err(error) => Reply::ready(Err(error)),
        }
    }

    /// Takes a verification token, however it was made: of any number of concurrent calls at most one gets it. None if
    /// there is no such token of this identifier, or it has expired, in which it differs from
    /// [`use_verification_token`](Adapter::use_verification_token).
    ///
    /// # Errors
    /// Those that every writing method of [`Adapter`] may answer with.
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

    /// The verification token of this identifier, which stays where it is: for tests and support, where
    /// [`use_verification_token`](Adapter::use_verification_token) is for signing in. It may have expired.
    ///
    /// # Errors
    /// Those that every method of [`Adapter`] may answer with.
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
