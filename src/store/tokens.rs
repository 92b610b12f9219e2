//! Verification tokens for links.

use crate::models::{Check, Models, Span, Token, TokenHash, VerificationToken, instant};
use crate::ops::tokens;
use crate::records::{Email, TokenRecord};
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

    /// Creates a 256-bit token to send to an address in a link, and stores its hash.
    ///
    /// `purpose` is a name that the application chooses: a link works only for its own purpose, so that a link for one
    /// thing cannot do another. [`sign_in_with_email`](Self::sign_in_with_email) takes links for
    /// [`SIGN_IN`](crate::models::SIGN_IN). An address can have several links; each works once. Blanks around the address
    /// are ignored, and addresses are compared like those of users (see [`EmailMatching`](crate::EmailMatching)).
    ///
    /// These links are apart from the tokens of [`create_verification_token`](Self::create_verification_token): no token
    /// made there is taken as a link, and [`use_verification_token`](Self::use_verification_token) finds no link.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::Error::InvalidArgument) also when `valid_for` is shorter than a millisecond, for an address
    /// with a line break or another control character, which nothing should be sent to, and for one without an `@` where
    /// the purpose is to sign in; [`Storage`](crate::Error::Storage) also when the operating system cannot provide
    /// randomness, and the errors of every writing method of [`Adapter`](crate::Adapter).
    ///
    /// ```
    /// use authkv::AuthKv;
    /// use std::time::Duration;
    ///
    /// let auth = AuthKv::in_memory()?;
    /// let link = auth.issue_link_token("unsubscribe", "ada@example.com", Duration::from_secs(15 * 60)).wait()?;
    /// let url = link.url("https://app.example.com/unsubscribe");
    /// assert!(url.starts_with("https://app.example.com/unsubscribe?email=ada%40example.com&token="));
    ///
    /// // Send the link. When it is followed:
    /// let token = link.token.reveal();
    /// assert!(auth.verify_link_token("unsubscribe", "Ada@example.com", token).wait()?.has_passed());
    /// assert!(!auth.verify_link_token("unsubscribe", "Ada@example.com", token).wait()?.has_passed(), "it works once");
    /// # Ok::<(), authkv::Error>(())
    /// ```
    #[doc(alias = "magic_link")]
    pub fn issue_link_token(
        &self,
        purpose: &str,
        address: &str,
        valid_for: impl Into<Span>,
    ) -> Reply<VerificationToken<M::VerificationToken>>
    where
        M::VerificationToken: Default,
    {
        self.issue_link_token_with(purpose, address, valid_for, M::VerificationToken::default())
    }

    /// Like [`issue_link_token`](Self::issue_link_token), with own fields. [`verify_link_token`](Self::verify_link_token)
    /// answers them; [`sign_in_with_email`](Self::sign_in_with_email) does not.
    ///
    /// # Errors
    /// The errors of [`issue_link_token`](Self::issue_link_token).
    pub fn issue_link_token_with(
        &self,
        purpose: &str,
        address: &str,
        valid_for: impl Into<Span>,
        extra: M::VerificationToken,
    ) -> Reply<VerificationToken<M::VerificationToken>> {
        let now = self.now_ms();
        let new = positive("valid_for", valid_for).and_then(|length| {
            let address = self.address_to_send(purpose, address)?;
            let (token, expires) = (Token::random()?, instant(now.plus(length))?);
            let hash = TokenHash::for_purpose(purpose, token.reveal());
            let identifier = address.clone().into_spelling();
            let link = VerificationToken { identifier, token, expires, extra };
            Ok((TokenRecord::new(&link, now)?.of_link(hash, &address), link))
        });
        match new {
            Ok((record, link)) => self.write(move |txn| tokens::create(txn, &record), |()| Ok(link)),
            Err(error) => Reply::ready(Err(error)),
        }
    }

    /// Takes a link that [`issue_link_token`](Self::issue_link_token) made for this purpose. Blanks around the address are
    /// ignored. Of any number of concurrent calls at most one gets it. Fails if the address has no such link or the link
    /// has expired.
    ///
    /// To sign somebody in, give the link to [`sign_in_with_email`](Self::sign_in_with_email) instead, which takes it in the
    /// same step.
    ///
    /// # Errors
    /// The errors of every writing method of [`Adapter`](crate::Adapter).
    pub fn verify_link_token(
        &self,
        purpose: &str,
        address: &str,
        token: &str,
    ) -> Reply<Check<VerificationToken<M::VerificationToken>>> {
        let (address, now) = (Email::typed(address, self.email_matching()), self.now_ms());
        let (hash, token, taken) = (TokenHash::for_purpose(purpose, token), Token::from(token), address.clone());
        self.write(
            move |txn| tokens::take_valid(txn, taken.normal_form(), hash, now),
            |link| {
                let link = link.map(|record| record.into_model(token)).transpose()?;
                Ok(link.map(|link| VerificationToken { identifier: address.into_spelling(), ..link }).into())
            },
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
