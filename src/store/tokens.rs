//! Verification tokens that are made here: long ones for links, and codes that people type in.

use chrono::TimeDelta;

use crate::adapter::Adapter;
use crate::models::{CodeCheck, IssuedCode, Models, VerificationToken};
use crate::models::{Token, TokenHash};
use crate::ops::{codes, tokens};
use crate::records::{CodeRecord, Email, TokenRecord, instant};
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

    /// Makes a code of [a few digits](crate::Options::code_digits), to be sent to the identifier and typed in by whoever
    /// reads it. It takes the place of the identifier's old code.
    ///
    /// Wrong codes are counted for the identifier, and after [a few](crate::Options::code_guesses) its code is of no use any
    /// more. A new code does not start the count anew as long as the old one has not expired, and when there were too many,
    /// none is made until then: otherwise whoever can ask for codes could guess for ever. So, with 5 guesses at 6 digits,
    /// whoever tries succeeds with a chance of 1 in 200,000 in each `valid_for`; and can keep the owner of the identifier
    /// from using codes meanwhile, but not [links](Self::issue_link_token). How many codes a client may ask for, and for
    /// how many identifiers, is for the application to limit.
    ///
    /// Identifiers are the same here if they are as e-mail addresses (see [`EmailMatching`](crate::EmailMatching)), so that
    /// nobody guesses more often by spelling one in several ways.
    ///
    /// The store keeps a hash of code and identifier. Unlike that of a long token it hides the code only from a glance: who
    /// steals the file finds it by trying all numbers. Let codes expire after minutes.
    ///
    /// # Errors
    /// Those of [`issue_link_token`](Self::issue_link_token).
    ///
    /// ```
    /// use authkv::AuthKv;
    /// use authkv::models::{CodeCheck, IssuedCode};
    /// use chrono::TimeDelta;
    ///
    /// let auth = AuthKv::in_memory()?;
    /// let IssuedCode::Code { code, .. } = auth.issue_code("ada@example.com", TimeDelta::minutes(10)).wait()? else {
    ///     unreachable!("nobody has entered a wrong one")
    /// };
    /// assert_eq!(auth.verify_code("ada@example.com", "no code").wait()?, CodeCheck::Wrong { guesses_left: 4 });
    /// assert_eq!(auth.verify_code("ada@example.com", code.as_str()).wait()?, CodeCheck::Right);
    /// assert_eq!(auth.verify_code("ada@example.com", code.as_str()).wait()?, CodeCheck::NoCode);
    /// # Ok::<(), authkv::Error>(())
    /// ```
    pub fn issue_code(&self, identifier: &str, valid_for: TimeDelta) -> Reply<IssuedCode> {
        let (identifier, rules, now) = (self.code_identifier(identifier), self.code_rules(), self.now());
        let expires = now.plus(valid_for);
        let new = Token::random_digits(rules.digits).and_then(|code| {
            let hash = TokenHash::within(&identifier, code.as_str());
            Ok((code, CodeRecord::new(identifier, hash, expires, now)?))
        });
        match new {
            Ok((code, record)) => self.write(
                move |txn| codes::create(txn, &record, now, rules.guesses),
                move |locked| match locked {
                    Some(until) => Ok(IssuedCode::Locked { until: instant(until)? }),
                    None => Ok(IssuedCode::Code { code, expires: instant(expires)? }),
                },
            ),
            Err(error) => Reply::ready(Err(error)),
        }
    }

    /// Compares what somebody has typed in with the code of an identifier. The right one is used up: of any number of
    /// concurrent calls at most one is told so. A wrong one is counted, however many come at once.
    ///
    /// Whoever has typed in the right one reads what is sent to the identifier; who they are is another matter.
    ///
    /// # Errors
    /// Those that every writing method of [`Adapter`] may answer with.
    pub fn verify_code(&self, identifier: &str, code: &str) -> Reply<CodeCheck> {
        let (identifier, rules, now) = (self.code_identifier(identifier), self.code_rules(), self.now());
        let hash = TokenHash::within(&identifier, code);
        self.write(move |txn| codes::guess(txn, &identifier, hash, now, rules.guesses), Ok)
    }

    fn code_identifier(&self, identifier: &str) -> String {
        Email::new(identifier.to_owned(), self.email_matching()).normal_form().clone()
    }
}
