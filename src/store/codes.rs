//! Codes of a few digits, which people type in.

use chrono::TimeDelta;

use crate::models::{CodeCheck, IssuedCode, Models, Token, TokenHash, instant};
use crate::ops::codes;
use crate::records::{CodeRecord, Email};
use crate::reply::Reply;
use crate::store::AuthKv;

impl<M: Models> AuthKv<M> {
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
    /// Those that every writing method of [`Adapter`](crate::Adapter) may answer with.
    pub fn verify_code(&self, identifier: &str, code: &str) -> Reply<CodeCheck> {
        let (identifier, rules, now) = (self.code_identifier(identifier), self.code_rules(), self.now());
        let hash = TokenHash::within(&identifier, code);
        self.write(move |txn| codes::guess(txn, &identifier, hash, now, rules.guesses), Ok)
    }

    fn code_identifier(&self, identifier: &str) -> String {
        Email::new(identifier.to_owned(), self.email_matching()).normal_form().clone()
    }
}
