//! Verification tokens for links.

use crate::models::{Check, Models, Span, Token, VerificationToken, instant};
use crate::ops::tokens;
use crate::records::{TokenRecord, check_sendable};
use crate::reply::Reply;
use crate::store::{AuthKv, positive};

/// # Links
impl<M: Models> AuthKv<M> {
    /// Stores a verification token and returns it. An identifier may have several tokens. Storing the same pair again
    /// replaces the earlier token.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::Error::InvalidArgument).
    ///
    /// ```
    /// # use authkv::{AuthKv, models::*};
    /// # let auth = AuthKv::in_memory()?;
    /// let expires = chrono::Utc::now() + chrono::TimeDelta::minutes(15);
    /// auth.create_verification_token(VerificationToken::new("ada@example.com", "a-secret", expires)).wait()?;
    /// # Ok::<(), authkv::Error>(())
    /// ```
    pub fn create_verification_token(
        &self,
        token: VerificationToken<M::VerificationToken>,
    ) -> Reply<VerificationToken<M::VerificationToken>> {
        match TokenRecord::new(&token, self.now_ms()) {
            Ok(record) => self.write(
                move |txn| tokens::create(txn, &record).map(|()| record.clone()),
                |record| record.into_model(token.token),
            ),
            Err(error) => Reply::ready(Err(error)),
        }
    }

    /// Removes a verification token and returns it. Of any number of concurrent calls, at most one gets it. If no token
    /// matches both parts, the answer is `None` and nothing is removed. An expired token is removed and returned too,
    /// as in Auth.js: accept it only if it is not [expired](VerificationToken::is_expired).
    ///
    /// [`Adapter::use_verification_token`](crate::Adapter::use_verification_token) says more.
    ///
    /// ```
    /// # use authkv::{AuthKv, models::*};
    /// # let auth = AuthKv::in_memory()?;
    /// # let expires = chrono::Utc::now() + chrono::TimeDelta::minutes(15);
    /// auth.create_verification_token(VerificationToken::new("ada@example.com", "a-secret", expires)).wait()?;
    /// assert!(auth.use_verification_token(Some("ada@example.com"), "a-guess").wait()?.is_none());
    /// let used = auth.use_verification_token(Some("ada@example.com"), "a-secret").wait()?;
    /// assert!(used.is_some_and(|token| !token.is_expired(chrono::Utc::now())));
    /// assert!(auth.use_verification_token(Some("ada@example.com"), "a-secret").wait()?.is_none());
    /// # Ok::<(), authkv::Error>(())
    /// ```
    pub fn use_verification_token(
        &self,
        identifier: Option<&str>,
        token: &str,
    ) -> Reply<Option<VerificationToken<M::VerificationToken>>> {
        let (identifier, token) = (identifier.map(str::to_owned), Token::from(token));
        let hash = token.hash();
        self.write(
            move |txn| tokens::take(txn, identifier.as_ref(), hash),
            |record| record.map(|record| record.into_model(token)).transpose(),
        )
    }

    /// Creates a 256-bit verification token to send to the identifier in a link, and stores its hash.
    ///
    /// An identifier can have several tokens; each works once. If tokens have several purposes, put the purpose into
    /// the identifier, so that a sign-in link cannot change an address.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::Error::InvalidArgument) also when `valid_for` is shorter than a millisecond, and for an identifier
    /// with blanks around it or with a line break or another control character, which nothing should be sent to;
    /// [`Storage`](crate::Error::Storage) also when the operating system cannot provide randomness, and the errors of
    /// every writing method of [`Adapter`](crate::Adapter).
    ///
    /// ```
    /// use authkv::AuthKv;
    /// use std::time::Duration;
    ///
    /// let auth = AuthKv::in_memory()?;
    /// let link = auth.issue_link_token("ada@example.com", Duration::from_secs(15 * 60)).wait()?;
    /// let url = link.url("https://app.example.com/sign-in");
    /// assert!(url.starts_with("https://app.example.com/sign-in?email=ada%40example.com&token="));
    ///
    /// // Send the link. When it is followed:
    /// assert!(auth.verify_link_token("ada@example.com", link.token.reveal()).wait()?.has_passed());
    /// assert!(!auth.verify_link_token("ada@example.com", link.token.reveal()).wait()?.has_passed(), "it works once");
    /// # Ok::<(), authkv::Error>(())
    /// ```
    #[doc(alias = "magic_link")]
    pub fn issue_link_token(
        &self,
        identifier: impl Into<String>,
        valid_for: impl Into<Span>,
    ) -> Reply<VerificationToken<M::VerificationToken>>
    where
        M::VerificationToken: Default,
    {
        self.issue_link_token_with(identifier, valid_for, M::VerificationToken::default())
    }

    /// Like [`issue_link_token`](Self::issue_link_token), with own fields.
    ///
    /// # Errors
    /// The errors of [`issue_link_token`](Self::issue_link_token).
    pub fn issue_link_token_with(
        &self,
        identifier: impl Into<String>,
        valid_for: impl Into<Span>,
        extra: M::VerificationToken,
    ) -> Reply<VerificationToken<M::VerificationToken>> {
        let expires = positive("valid_for", valid_for).and_then(|length| instant(self.now_ms().plus(length)));
        let token = expires.and_then(|expires| {
            let identifier = identifier.into();
            check_sendable("identifier", &identifier)?;
            Ok(VerificationToken { identifier, token: Token::random()?, expires, extra })
        });
        match token {
            Ok(token) => self.create_verification_token(token),
            Err(error) => Reply::ready(Err(error)),
        }
    }

    /// Takes a verification token, however it was created. Blanks around the identifier are ignored. Of any number of concurrent calls at most one gets it.
    /// Fails if this identifier has no such token or the token has expired;
    /// [`use_verification_token`](Self::use_verification_token) also returns expired tokens.
    ///
    /// # Errors
    /// The errors of every writing method of [`Adapter`](crate::Adapter).
    pub fn verify_link_token(
        &self,
        identifier: &str,
        token: &str,
    ) -> Reply<Check<VerificationToken<M::VerificationToken>>> {
        let (identifier, token, now) = (identifier.trim().to_owned(), Token::from(token), self.now_ms());
        let hash = token.hash();
        self.write(
            move |txn| Ok(tokens::take(txn, Some(&identifier), hash)?.filter(|token| token.expires >= now)),
            |record: Option<TokenRecord>| Ok(record.map(|record| record.into_model(token)).transpose()?.into()),
        )
    }

    /// The verification token of this identifier, without taking it. For tests and support; to sign somebody in, use
    /// [`use_verification_token`](Self::use_verification_token). The token may have expired.
    ///
    /// # Errors
    /// The errors of every method of [`Adapter`](crate::Adapter).
    ///
    /// ```
    /// # use authkv::{AuthKv, models::*};
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
