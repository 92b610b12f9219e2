//! One-time codes of a few digits, for people to type in.

use std::sync::Arc;

use chrono::TimeDelta;

use crate::error::{Error, Problem, Result};
use crate::models::{
    CODE_VALID_MAX, CodeCheck, IssuedCode, LONG_CODE_DIGITS, Millis, Models, SIGN_IN, Span, Token, TokenHash, Visitor,
    instant,
};
use crate::ops::codes::{self, CodeGuess, CodeHashes, Guessed, NewCode};
use crate::records::Email;
use crate::reply::Reply;
use crate::store::{AuthKv, positive};

/// # Codes
impl<M: Models> AuthKv<M> {
    /// Creates a code of [a few digits](crate::Options::code_digits) to send to the address, whose owner types it in
    /// where it was asked for. `purpose` is a name that the application chooses, such as [`SIGN_IN`]: a code works only for its
    /// own purpose.
    ///
    /// The answer has the code, and the handle of a *request*. Keep the handle in a cookie of the browser that asked, and
    /// pass it as [`Visitor::request`] when the code is entered, and when another one is asked for. Nobody guesses without
    /// a handle, and a handle has [a few guesses](crate::Options::code_guesses) in all.
    ///
    /// A browser that asks again, since mail is slow, adds a code to its request. Each works until it expires; a right one
    /// uses all of them up. A request has at most three codes: then the one that expires first gives way. A handle that is
    /// unknown, used, expired, or of another purpose or address makes a new request, and the answer does not say why.
    ///
    /// # Guessing
    ///
    /// Nothing is refused because somebody has guessed, so nobody can lock the owner of an address out. What grows is the
    /// code. A guess at a code of d digits costs 10⁻ᵈ, the chance of being right. An address, all purposes and browsers
    /// together, may lose 2 · 10⁻⁵ an hour, 5 · 10⁻⁵ a day and 3 · 10⁻⁴ in 30 days. What a request can lose at most is
    /// reserved when a code is issued. What was not guessed is given back when a code is used, and within two minutes after
    /// it has expired. Where that does not fit any more, the code has twelve digits: show them in three groups of four.
    ///
    /// So whatever strangers do at once, their chance to enter a code of an address is at most 3 · 10⁻⁴ in 30 days. Of that
    /// 5 · 10⁻⁶ are for codes of twelve digits, which nothing counts: five million guesses at one code each, for which a
    /// million mails are sent to the address if a request has five guesses, and 250,000 if it has twenty. How many a client
    /// may ask for is up to the application.
    ///
    /// # Addresses
    ///
    /// Addresses are compared like e-mail addresses (see [`EmailMatching`](crate::EmailMatching)), so that spelling one in
    /// several ways gives no extra guesses. A telephone number can be one too, but not to sign in with. Bring it into one
    /// form first, since each spelling has a budget of its own. Blanks around an address are ignored; one with a line break or
    /// another control character is refused. The store looks at no user here: the answer is the same for an
    /// address that nobody has.
    ///
    /// The store keeps a hash of the code and the handle, and not the handle: whoever reads the file cannot find the code
    /// by trying all numbers.
    ///
    /// # Errors
    /// [`InvalidArgument`](Error::InvalidArgument) when `valid_for` is shorter than a millisecond or longer than an hour,
    /// for an address that is empty, too long or has a control character, and for one without an `@` where the purpose is to
    /// sign in; [`Storage`](Error::Storage) also when the operating system cannot provide randomness, and the errors of
    /// every writing method of [`Adapter`](crate::Adapter).
    ///
    /// ```
    /// use authkv::AuthKv;
    /// use authkv::models::{CodeCheck, Visitor};
    /// use std::time::Duration;
    ///
    /// let auth = AuthKv::in_memory()?;
    /// let minutes = Duration::from_secs(10 * 60);
    /// let purpose = "delete the account";
    /// let issued = auth.issue_code(purpose, "ada@example.com", minutes, Visitor::default()).wait()?;
    /// println!("to ada@example.com: your code is {}", issued.code.reveal());
    ///
    /// // The browser sends its cookie along:
    /// let from = Visitor { request: Some(issued.request.reveal()), ..Visitor::default() };
    /// assert_eq!(auth.verify_code(purpose, "no code", from).wait()?, CodeCheck::Wrong { guesses_left: 4 });
    /// let right = CodeCheck::Right { address: "ada@example.com".into() };
    /// assert_eq!(auth.verify_code(purpose, issued.code.reveal(), from).wait()?, right);
    /// assert_eq!(auth.verify_code(purpose, issued.code.reveal(), from).wait()?, CodeCheck::NoCode);
    /// # Ok::<(), authkv::Error>(())
    /// ```
    #[doc(alias = "otp")]
    pub fn issue_code(
        &self,
        purpose: &str,
        address: &str,
        valid_for: impl Into<Span>,
        from: Visitor<'_>,
    ) -> Reply<IssuedCode> {
        let now = self.now_ms();
        let new = check_validity(valid_for).and_then(|valid_for| {
            Drawn::new(self.code_rules().digits, from).and_then(|drawn| {
                let code = self.new_code(purpose, address, now.plus(valid_for), &drawn)?;
                Ok((drawn, code))
            })
        });
        match new {
            Ok((drawn, code)) => {
                let expires = code.expires;
                self.write(
                    move |txn| codes::issue(txn, &code, now),
                    move |issued| {
                        let code = if issued.digits == LONG_CODE_DIGITS { drawn.long } else { drawn.short };
                        let request = if issued.joined { drawn.joining } else { None }.unwrap_or(drawn.fresh);
                        Ok(IssuedCode { code, request, digits: issued.digits, expires: instant(expires)? })
                    },
                )
            }
            Err(error) => Reply::ready(Err(error)),
        }
    }

    /// Compares an entered code with the codes of the request that the browser has, given by [`Visitor::request`]. A right
    /// one uses the request up: of any number of concurrent calls at most one succeeds. Every guess is counted, however
    /// many arrive at once, and after the last one the request does not exist any more: let the browser ask anew.
    ///
    /// Blanks and hyphens in the code are ignored, as people type them.
    ///
    /// A right code proves that somebody can read what is sent to the address, not who they are. To sign somebody in, give
    /// the code to [`sign_in_with_email`](Self::sign_in_with_email) instead ([`Proof::Code`](crate::models::Proof::Code)),
    /// which takes it in the same step.
    ///
    /// # Errors
    /// The errors of every writing method of [`Adapter`](crate::Adapter).
    pub fn verify_code(&self, purpose: &str, code: &str, from: Visitor<'_>) -> Reply<CodeCheck> {
        let (guess, now) = (code_guess(purpose, code, from), self.now_ms());
        let checked = self.write(
            move |txn| codes::guess(txn, &guess, now),
            |guessed| {
                Ok(match guessed {
                    Guessed::Right(address) => (0, CodeCheck::Right { address: address.into_spelling() }),
                    Guessed::Wrong { guesses_left, cost } => (cost, CodeCheck::Wrong { guesses_left }),
                    Guessed::NoCode => (0, CodeCheck::NoCode),
                })
            },
        );
        self.noting_guess(now, checked)
    }

    /// Counts what a wrong guess has cost once the call is made, and not when it was tried.
    pub(super) fn noting_guess<T: Send + 'static>(&self, now: Millis, reply: Reply<(u64, T)>) -> Reply<T> {
        let wrong_guesses = Arc::clone(&self.inner.wrong_guesses);
        reply.and_then(move |made| {
            Reply::ready(made.map(|(cost, answer)| {
                wrong_guesses.note(now, cost);
                answer
            }))
        })
    }

    /// The address to which something is sent. What signs somebody in is sent to an e-mail address.
    pub(super) fn address_to_send(&self, purpose: &str, address: &str) -> Result<Email> {
        let checked = if purpose == SIGN_IN { Email::provable } else { Email::sendable };
        checked(address, self.email_matching())
    }

    fn new_code(&self, purpose: &str, address: &str, expires: Millis, drawn: &Drawn) -> Result<NewCode> {
        let address = self.address_to_send(purpose, address)?;
        let hashes = |request: &Token| CodeHashes {
            request: request_hash(purpose, request.reveal()),
            short: code_hash(purpose, request.reveal(), drawn.short.reveal()),
            long: code_hash(purpose, request.reveal(), drawn.long.reveal()),
        };
        let rules = self.code_rules();
        Ok(NewCode {
            budget: TokenHash::of_texts(&["address of codes", address.normal_form()]),
            address,
            expires,
            digits: rules.digits,
            guesses: rules.guesses,
            joining: drawn.joining.as_ref().map(hashes),
            fresh: hashes(&drawn.fresh),
        })
    }
}

/// The guess of a visitor, for [`codes::guess`]. Without a handle it is one at a request that does not exist.
pub(super) fn code_guess(purpose: &str, code: &str, from: Visitor<'_>) -> CodeGuess {
    // Hyphens of every width: mail programs and keyboards make them longer.
    let is_typed =
        |letter: &char| !letter.is_whitespace() && !matches!(letter, '-' | '\u{2010}'..='\u{2015}' | '\u{2212}');
    let code: String = code.chars().filter(is_typed).collect();
    let request = from.request.unwrap_or_default();
    CodeGuess { request: request_hash(purpose, request), code: code_hash(purpose, request, &code) }
}

fn request_hash(purpose: &str, request: &str) -> TokenHash {
    TokenHash::of_texts(&["request for codes", purpose, request])
}

/// The request is of one address, so the hash is as well.
fn code_hash(purpose: &str, request: &str, code: &str) -> TokenHash {
    TokenHash::of_texts(&["code", purpose, request, code])
}

fn check_validity(valid_for: impl Into<Span>) -> Result<TimeDelta> {
    let valid_for = positive("valid_for", valid_for)?;
    if valid_for > CODE_VALID_MAX {
        return Err(Error::invalid("valid_for", Problem::LastsTooLong { limit: CODE_VALID_MAX }));
    }
    Ok(valid_for)
}

/// The secrets of which a new code may be made. The operation decides which of them are needed.
struct Drawn {
    short: Token,
    long: Token,
    fresh: Token,
    joining: Option<Token>,
}

impl Drawn {
    fn new(digits: u32, from: Visitor<'_>) -> Result<Self> {
        Ok(Self {
            short: Token::random_digits(digits)?,
            long: Token::random_digits(LONG_CODE_DIGITS)?,
            fresh: Token::random()?,
            joining: from.request.map(Token::from),
        })
    }
}
