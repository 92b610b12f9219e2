//! States: values that an application keeps while a visitor is redirected, as for OAuth, and takes once; and keys of others
//! that it accepts once.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::Error;
use crate::models::{Check, FIELD_BYTES_MAX, Misfit, Models, RecordName, Span, Token, TokenHash, json_text};
use crate::ops::states;
use crate::records::StateRecord;
use crate::reply::Reply;
use crate::store::shown::Trial;
use crate::store::{AuthKv, positive};

/// # States
impl<M: Models> AuthKv<M> {
    /// Stores a value and answers a handle that can take it once. The handle has 256 bits, which nobody can guess. Use
    /// it for values that must survive a redirect to a provider, with the handle as OAuth's `state`: the PKCE verifier,
    /// the nonce, the page to return to; and for WebAuthn challenges.
    ///
    /// The value is anything that serde writes as JSON, at most 64 KiB, nested at most 32 levels deep. It is stored as
    /// it is; of the handle only a hash is stored. `purpose` is a name that the application chooses: a handle works
    /// only for its own purpose.
    ///
    /// A handle proves that somebody was sent to the provider, not that the same visitor has come back. Keep it in a
    /// cookie of the visitor as well, and take the state only if both are equal. Otherwise an attacker can make a
    /// victim finish a sign-in that the attacker began, and the victim is signed in as the attacker.
    ///
    /// # Errors
    /// [`InvalidArgument`](Error::InvalidArgument) also when `valid_for` is shorter than a millisecond,
    /// [`Storage`](Error::Storage) also when the operating system cannot provide randomness, and the errors of every
    /// writing method of [`Adapter`](crate::Adapter).
    ///
    /// ```
    /// use authkv::AuthKv;
    /// use authkv::models::Token;
    /// use serde::{Deserialize, Serialize};
    /// use std::time::Duration;
    ///
    /// #[derive(Serialize, Deserialize)]
    /// struct SigningIn {
    ///     code_verifier: Token,
    ///     return_to: String,
    /// }
    ///
    /// let auth = AuthKv::in_memory()?;
    /// let signing_in = SigningIn { code_verifier: Token::random()?, return_to: "/inbox".into() };
    /// let state = auth.put_state("sign in with github", &signing_in, Duration::from_secs(10 * 60)).wait()?;
    ///
    /// // Set state as a cookie and redirect to the provider with it. When the visitor returns with the same state:
    /// let back = auth.take_state::<SigningIn>("sign in with github", state.reveal()).wait()?;
    /// let back = back.passed().expect("it is known");
    /// assert_eq!(back.return_to, "/inbox");
    /// assert!(!auth.take_state::<SigningIn>("sign in with github", state.reveal()).wait()?.has_passed(), "it works once");
    /// # Ok::<(), authkv::Error>(())
    /// ```
    pub fn put_state(
        &self,
        purpose: &str,
        value: &(impl Serialize + ?Sized),
        valid_for: impl Into<Span>,
    ) -> Reply<Token> {
        let now = self.now_ms();
        let new = positive("valid_for", valid_for).and_then(|valid_for| {
            let value = json_text(&value, FIELD_BYTES_MAX).map_err(|problem| Error::invalid("value", problem))?;
            let handle = Token::random()?;
            let hash = TokenHash::within(purpose, handle.reveal());
            Ok((handle, StateRecord::new(hash, value, now.plus(valid_for), now)))
        });
        match new {
            Ok((handle, state)) => self.write(move |txn| states::put(txn, &state), |()| Ok(handle)),
            Err(error) => Reply::ready(Err(error)),
        }
    }

    /// Takes the value of a handle. Of any number of concurrent calls at most one gets it. The check fails if no value is stored
    /// for this purpose, it was already taken, or it has expired.
    ///
    /// # Errors
    /// [`Misfit`](Error::Misfit) when the value does not fit `T`; it stays where it is. The errors of every writing method
    /// of [`Adapter`](crate::Adapter).
    pub fn take_state<T: DeserializeOwned + Send + 'static>(&self, purpose: &str, handle: &str) -> Reply<Check<T>> {
        let (hash, now) = (TokenHash::within(purpose, handle), self.now_ms());
        self.write_shown(
            Trial::Needed,
            move |txn| states::take(txn, hash, now),
            |state| state.as_ref().map(|state| state.value.clone()),
            |state| {
                let value = state.map(|state| serde_json::from_str(&state.value)).transpose();
                value.map(Check::from).map_err(|error| Misfit::new(None, &error).of(RecordName::State))
            },
        )
    }

    /// Checks that a key is used for the first time. The first call with this purpose and key passes; every other one fails
    /// until `valid_for` has passed. Of any number of concurrent calls one passes. Use it for what somebody else made and
    /// nobody may send twice: the `jti` of a logout token, of a DPoP proof or of a client assertion.
    ///
    /// First check everything else about the token, then its key. `valid_for` is as long as the token would be accepted: the
    /// time until its `exp`, and the difference between clocks that you allow. A shorter one lets somebody replay the token,
    /// and so does a clock that was set ahead by mistake for longer than `valid_for`.
    ///
    /// A key is any text of 1 to 512 bytes, of which only a hash is stored. Keys that somebody else chooses are only unique
    /// to them: put who it was into `purpose`, which may be of any length. Keys and states are apart, even if they have one
    /// purpose: [`take_state`](Self::take_state) takes no key, and no handle counts as used.
    ///
    /// # Errors
    /// [`InvalidArgument`](Error::InvalidArgument) when `key` is empty or longer than 512 bytes or `valid_for` is shorter
    /// than a millisecond, and the errors of every writing method of [`Adapter`](crate::Adapter). After an error nobody knows
    /// whether the key is new: refuse the token.
    ///
    /// ```
    /// use authkv::AuthKv;
    /// use std::time::Duration;
    ///
    /// let auth = AuthKv::in_memory()?;
    /// let purpose = format!("logout token of {}", "https://accounts.example.com");
    /// let (jti, valid_for) = ("bWJq", Duration::from_secs(2 * 60)); // of a token whose signature, audience and age are right
    /// assert!(auth.use_once(&purpose, jti, valid_for).wait()?.has_passed());
    /// assert!(!auth.use_once(&purpose, jti, valid_for).wait()?.has_passed(), "somebody sends it again");
    /// # Ok::<(), authkv::Error>(())
    /// ```
    #[doc(alias = "jti")]
    #[doc(alias = "nonce")]
    #[doc(alias = "replay")]
    pub fn use_once(&self, purpose: &str, key: &str, valid_for: impl Into<Span>) -> Reply<Check> {
        let now = self.now_ms();
        let used = positive("valid_for", valid_for)
            .and_then(|valid_for| StateRecord::used(purpose, key, now.plus(valid_for), now));
        match used {
            Ok(used) => self.write(
                move |txn| states::use_once(txn, &used, now),
                |is_first| Ok(if is_first { Check::Passed(()) } else { Check::Failed }),
            ),
            Err(error) => Reply::ready(Err(error)),
        }
    }
}
