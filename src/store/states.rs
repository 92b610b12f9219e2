//! States: what an application remembers of a visitor who is sent away and comes back once, as with OAuth.

use chrono::TimeDelta;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::Error;
use crate::models::{FIELD_BYTES_MAX, Models, Token, TokenHash, json_text};
use crate::ops::states;
use crate::records::StateRecord;
use crate::reply::Reply;
use crate::store::AuthKv;

impl<M: Models> AuthKv<M> {
    /// Keeps a value until it is taken, and answers the handle with which that can be done once: 256 bits that nobody
    /// guesses. It is for what has to survive a redirect to a provider, with the handle as the `state` of OAuth: the PKCE
    /// verifier, the nonce, where to go afterwards; and for the challenges of WebAuthn.
    ///
    /// The value is anything that serde writes as JSON, of at most 64 KiB, nested 32 levels deep. It is stored as it is; of
    /// the handle only a hash is. `purpose` is whatever the application calls it: a handle works for no other one.
    ///
    /// A handle shows that somebody was sent away, and not that it was the visitor who comes back with it. Keep it in a
    /// cookie of the visitor, too, and take the state only if it is the same; otherwise an attacker can have a victim finish
    /// what the attacker has begun, and be signed in as the attacker.
    ///
    /// # Errors
    /// [`InvalidArgument`](Error::InvalidArgument), [`Storage`](Error::Storage) also when the operating system has no
    /// randomness to give, and those that every writing method of [`Adapter`](crate::Adapter) may answer with.
    ///
    /// ```
    /// use authkv::AuthKv;
    /// use authkv::models::Token;
    /// use chrono::TimeDelta;
    /// use serde::{Deserialize, Serialize};
    ///
    /// #[derive(Serialize, Deserialize)]
    /// struct SigningIn {
    ///     code_verifier: Token,
    ///     return_to: String,
    /// }
    ///
    /// let auth = AuthKv::in_memory()?;
    /// let signing_in = SigningIn { code_verifier: Token::random()?, return_to: "/inbox".into() };
    /// let state = auth.put_state("sign in with github", &signing_in, TimeDelta::minutes(10)).wait()?;
    ///
    /// // Set state as a cookie and redirect to the provider with it. When the visitor comes back with the same one:
    /// let back = auth.take_state::<SigningIn>("sign in with github", state.as_str()).wait()?.expect("it is known");
    /// assert_eq!(back.return_to, "/inbox");
    /// assert!(auth.take_state::<SigningIn>("sign in with github", state.as_str()).wait()?.is_none());
    /// # Ok::<(), authkv::Error>(())
    /// ```
    pub fn put_state(&self, purpose: &str, value: &(impl Serialize + ?Sized), valid_for: TimeDelta) -> Reply<Token> {
        let now = self.now();
        let new =
            json_text(&value, FIELD_BYTES_MAX).map_err(|problem| Error::invalid("value", problem)).and_then(|value| {
                let handle = Token::random()?;
                let hash = TokenHash::within(purpose, handle.as_str());
                Ok((handle, StateRecord::new(hash, value, now.plus(valid_for), now)))
            });
        match new {
            Ok((handle, state)) => self.write(move |txn| states::put(txn, &state), |()| Ok(handle)),
            Err(error) => Reply::ready(Err(error)),
        }
    }

    /// Takes the value of a handle: of any number of concurrent calls at most one gets it. None if there is none for this
    /// purpose, if it was taken, or if it has expired.
    ///
    /// # Errors
    /// [`OutcomeUnknown`](Error::OutcomeUnknown) also when the value does not fit `T`; it is gone then. Those that every
    /// writing method of [`Adapter`](crate::Adapter) may answer with.
    pub fn take_state<T: DeserializeOwned + Send + 'static>(&self, purpose: &str, handle: &str) -> Reply<Option<T>> {
        let (hash, now) = (TokenHash::within(purpose, handle), self.now());
        self.write(
            move |txn| states::take(txn, hash, now),
            |state| {
                let value = state.map(|state| serde_json::from_str(&state.value)).transpose();
                value.map_err(|_| Error::corrupt("a state does not fit the type that it is taken as"))
            },
        )
    }
}
