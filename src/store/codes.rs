//! One-time codes of a few digits, for people to type in.

use crate::models::{CodeCheck, IssuedCode, Models, Span, Token, TokenHash, instant};
use crate::ops::codes;
use crate::records::{CodeRecord, Email, check_control};
use crate::reply::Reply;
use crate::store::{AuthKv, positive};

/// # Codes
impl<M: Models> AuthKv<M> {
    /// Creates a code of [a few digits](crate::Options::code_digits) to send to the identifier, whose owner types it
    /// in. It replaces the identifier's previous code.
    ///
    /// Wrong codes are counted per identifier. After [a few](crate::Options::code_guesses) wrong ones the identifier's
    /// code no longer works. A new code does not reset the count before the old code has expired, and after too many
    /// wrong codes no new one is issued until then: otherwise anybody who can request codes could guess for ever. With
    /// 5 guesses at 6 digits an attacker succeeds with a chance of 1 in 200,000 per `valid_for`. An attacker can
    /// meanwhile keep the identifier's owner from using codes, but not [links](Self::issue_link_token). The application
    /// has to limit how many codes a client may request, and for how many identifiers.
    ///
    /// Identifiers are compared like e-mail addresses (see [`EmailMatching`](crate::EmailMatching)), so that spelling
    /// one in several ways gives no extra guesses. Blanks around one are ignored; one with a line break or another control
    /// character is refused.
    ///
    /// The store keeps a hash of code and identifier. Unlike the hash of a long token, it does not protect a code in a
    /// stolen file: trying all numbers finds it. Let codes expire after minutes.
    ///
    /// # Errors
    /// The errors of [`issue_link_token`](Self::issue_link_token).
    ///
    /// ```
    /// use authkv::AuthKv;
    /// use authkv::models::{CodeCheck, IssuedCode};
    /// use std::time::Duration;
    ///
    /// let auth = AuthKv::in_memory()?;
    /// let IssuedCode::Code { code, .. } = auth.issue_code("ada@example.com", Duration::from_secs(10 * 60)).wait()? else {
    ///     unreachable!("nobody has entered a wrong one")
    /// };
    /// assert_eq!(auth.verify_code("ada@example.com", "no code").wait()?, CodeCheck::Wrong { guesses_left: 4 });
    /// assert_eq!(auth.verify_code("ada@example.com", code.reveal()).wait()?, CodeCheck::Right);
    /// assert_eq!(auth.verify_code("ada@example.com", code.reveal()).wait()?, CodeCheck::NoCode);
    /// # Ok::<(), authkv::Error>(())
    /// ```
    #[doc(alias = "otp")]
    pub fn issue_code(&self, identifier: &str, valid_for: impl Into<Span>) -> Reply<IssuedCode> {
        let is_sendable = check_control("identifier", identifier);
        let (identifier, rules, now) = (self.code_identifier(identifier), self.code_rules(), self.now_ms());
        let new = is_sendable.and_then(|()| positive("valid_for", valid_for));
        let new = new.and_then(|valid_for| {
            let expires = now.plus(valid_for);
            let code = Token::random_digits(rules.digits)?;
            let hash = TokenHash::within(&identifier, code.reveal());
            Ok((code, expires, CodeRecord::new(identifier, hash, expires, now)?))
        });
        match new {
            Ok((code, expires, record)) => self.write(
                move |txn| codes::create(txn, &record, now, rules.guesses),
                move |locked| match locked {
                    Some(until) => Ok(IssuedCode::Locked { until: instant(until)? }),
                    None => Ok(IssuedCode::Code { code, expires: instant(expires)? }),
                },
            ),
            Err(error) => Reply::ready(Err(error)),
        }
    }

    /// Compares an entered code with the identifier's code. The right code is used up: of any number of concurrent
    /// calls at most one succeeds. Every wrong code is counted, however many arrive at once.
    ///
    /// Blanks around the code and in it are ignored, as people type them.
    ///
    /// A right code proves that somebody can read what is sent to the identifier, not who they are.
    ///
    /// # Errors
    /// The errors of every writing method of [`Adapter`](crate::Adapter).
    pub fn verify_code(&self, identifier: &str, code: &str) -> Reply<CodeCheck> {
        let (identifier, rules, now) = (self.code_identifier(identifier), self.code_rules(), self.now_ms());
        let code: String = code.split_whitespace().collect();
        let hash = TokenHash::within(&identifier, &code);
        self.write(move |txn| codes::guess(txn, &identifier, hash, now, rules.guesses), Ok)
    }

    fn code_identifier(&self, identifier: &str) -> String {
        Email::typed(identifier, self.email_matching()).normal_form().clone()
    }
}
