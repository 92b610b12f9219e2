//! Runs random operations on a store and on a naive model of it, and compares all answers.
//!
//! ```
//! use authkv::conformance::model::{AuthKvTarget, Comparison, Operation};
//!
//! let mut comparison = Comparison::new(AuthKvTarget::in_memory()?);
//! for bytes in [[7; 8], [20; 8], [4; 8]] {
//!     comparison.step(&Operation::from_bytes(bytes));
//! }
//! comparison.read_back();
//! # Ok::<(), authkv::Error>(())
//! ```
//!
//! If you implement [`Adapter`], wrap it in a [`Target`], and take the bytes from a property test or a fuzzer.
//!
//! # Panics
//! As in any test, a difference from the model is a panic.

mod answer;
mod naive;
mod operation;
mod target;

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};

use crate::Adapter;
use crate::models::{
    AccountKey, Change, NewAccount, NewSession, NewUser, SessionPatch, Token, UserPatch, VerificationToken,
};
use answer::{Answer, Outcome, Refusal};
use naive::Model;
pub use operation::{OPERATION_BYTES, Operation, Pair, Who};
pub use target::{AuthKvTarget, Counts, Target};

/// A store and the model, on which the same operations were run.
pub struct Comparison<T> {
    target: T,
    model: Model,
    tallies: Tallies,
}

/// How often each operation had an effect, by its name.
pub type Tallies = BTreeMap<&'static str, Tally>;

/// How often an operation found or changed something, and how often not.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    /// The operation found or changed something.
    pub done: u64,
    /// The operation found nothing, or was refused.
    pub refused: u64,
}

impl<T: Target> Comparison<T> {
    /// Starts with a store, which must be empty, and an empty model.
    pub fn new(mut target: T) -> Self {
        let start = DateTime::<Utc>::UNIX_EPOCH + TimeDelta::days(20_000);
        target.set_clock(start);
        Self { target, model: Model::new(start), tallies: Tallies::new() }
    }

    /// Runs the operation on both, and lets the store check itself.
    ///
    /// # Panics
    /// If the outcome differs from the model's.
    pub fn step(&mut self, operation: &Operation) {
        let outcome = self.compare(operation);
        let tally = self.tallies.entry(operation.name()).or_default();
        match outcome {
            Ok(Answer::None) | Err(_) => tally.refused += 1,
            Ok(_) => tally.done += 1,
        }
        if let Some(counts) = self.target.check() {
            assert_eq!(counts, self.model.counts(), "after {operation:?}");
        }
    }

    /// Looks up everything that the operations so far can have left, in every way that it can be found.
    ///
    /// # Panics
    /// If a lookup differs from the model's.
    pub fn read_back(&mut self) {
        let users = u8::try_from(self.model.counts().users).unwrap_or(u8::MAX);
        for lookup in Operation::lookups(users) {
            drop(self.compare(&lookup));
        }
    }

    /// Returns how often each operation had an effect.
    pub fn tallies(&self) -> &Tallies {
        &self.tallies
    }

    fn compare(&mut self, operation: &Operation) -> Outcome {
        let outcome = self.run(operation);
        let expected = match (operation, &outcome) {
            // The store has no clean-up, or cannot be reopened.
            (Operation::Purge | Operation::Reopen, Err(Refusal::Unsupported)) => return outcome,
            _ => self.model.apply(operation, &outcome),
        };
        let fits = match (&expected, &outcome) {
            (Ok(expected), Ok(answer)) => expected == answer,
            (Err(refusals), Err(refusal)) => refusals.contains(refusal),
            _ => false,
        };
        assert!(fits, "{operation:?}\n    came to {outcome:?}\n  and not to {expected:?}");
        outcome
    }

    /// Runs the operation on the store.
    fn run(&mut self, operation: &Operation) -> Outcome {
        match operation {
            Operation::AdvanceClock(step) => {
                self.target.set_clock(self.model.now() + *step);
                Ok(Answer::Done)
            }
            Operation::Purge => match self.target.purge() {
                Some((0, 0)) => Ok(Answer::None),
                Some((sessions, tokens)) => Ok(Answer::Purged(sessions, tokens)),
                None => Err(Refusal::Unsupported),
            },
            Operation::Reopen if self.target.reopen() => Ok(Answer::Done),
            Operation::Reopen => Err(Refusal::Unsupported),
            _ => call(self.target.adapter(), &self.model, operation),
        }
    }
}

/// Calls the adapter's method for the operation. The model supplies the user ids and the time.
fn call(adapter: &dyn Adapter, model: &Model, operation: &Operation) -> Outcome {
    let text = str::to_owned;
    let at = |from_now: TimeDelta| model.now() + from_now;
    let id = |who: Who| model.user_id(who);
    let key = |(provider, account): Pair| AccountKey::new(provider, account);
    Ok(match *operation {
        Operation::CreateUser { id, name, email, email_verified, image } => {
            let user = NewUser {
                id: id.map(Into::into),
                name: name.map(text),
                email: email.map(text),
                email_verified: email_verified.map(at),
                image: image.map(text),
                extra: (),
            };
            adapter.create_user(user).wait()?.into()
        }
        Operation::GetUser(who) => adapter.get_user(&id(who).into()).wait()?.into(),
        Operation::GetUserByEmail(email) => adapter.get_user_by_email(email).wait()?.into(),
        Operation::GetUserByAccount(pair) => adapter.get_user_by_account(&key(pair)).wait()?.into(),
        Operation::UpdateUser { user, ref name, ref email, ref email_verified, ref image } => {
            let patch = UserPatch {
                name: set(name, |name| text(name)),
                email: set(email, |email| text(email)),
                email_verified: set(email_verified, |from_now| at(*from_now)),
                image: set(image, |image| text(image)),
                ..UserPatch::new(id(user))
            };
            adapter.update_user(patch).wait()?.into()
        }
        Operation::DeleteUser(who) => adapter.delete_user(&id(who).into()).wait()?.into(),
        Operation::LinkAccount { id: account_id, user, account_type, account, text, expires_at } => {
            let [access_token, refresh_token, id_token, token_type, scope, session_state] =
                Operation::optional_texts(text);
            let account = NewAccount {
                id: account_id.map(Into::into),
                access_token: access_token.map(Token::from),
                refresh_token: refresh_token.map(Token::from),
                id_token: id_token.map(Token::from),
                expires_at,
                token_type,
                scope,
                session_state,
                ..NewAccount::new(id(user), account_type, account.0, account.1)
            };
            adapter.link_account(account).wait()?.into()
        }
        Operation::UnlinkAccount(pair) => adapter.unlink_account(&key(pair)).wait()?.into(),
        Operation::GetAccount((provider, account)) => {
            adapter.get_account(&AccountKey::new(provider, account)).wait()?.into()
        }
        Operation::CreateSession { token, user, expires } => {
            adapter.create_session(NewSession::new(token, id(user), at(expires))).wait()?.into()
        }
        Operation::GetSessionAndUser(token) => {
            let found = adapter.get_session_and_user(token).wait()?;
            // Repeated reads may come from a cache.
            for _ in 0..2 {
                assert_eq!(adapter.get_session_and_user(token).wait()?, found, "nothing happened in between");
            }
            found.into()
        }
        Operation::UpdateSession { token, user, expires } => {
            let user_id = user.map(|who| id(who).into());
            let patch = SessionPatch { user_id, expires: expires.map(at), ..SessionPatch::new(token) };
            adapter.update_session(patch).wait()?.into()
        }
        Operation::DeleteSession(token) => adapter.delete_session(token).wait()?.into(),
        Operation::CreateVerificationToken { identifier, token, expires } => {
            let token = VerificationToken::new(identifier, token, at(expires));
            adapter.create_verification_token(token).wait()?.into()
        }
        Operation::UseVerificationToken { identifier, token } => {
            adapter.use_verification_token(identifier, token).wait()?.into()
        }
        Operation::CreateAuthenticator { .. } => {
            let authenticator = model.authenticator(operation).expect("it is one");
            adapter.create_authenticator(authenticator).wait()?.into()
        }
        Operation::GetAuthenticator(credential) => adapter.get_authenticator(&credential.into()).wait()?.into(),
        Operation::ListAuthenticatorsByUserId(who) => {
            adapter.list_authenticators_by_user_id(&id(who).into()).wait()?.into()
        }
        Operation::UpdateAuthenticatorCounter { credential, counter } => {
            adapter.update_authenticator_counter(&credential.into(), counter).wait()?.into()
        }
        Operation::AdvanceClock(_) | Operation::Purge | Operation::Reopen => Answer::Done,
    })
}

fn set<T, U>(change: &Change<T>, value: impl FnOnce(&T) -> U) -> Change<U> {
    match change {
        Change::Keep => Change::Keep,
        Change::Clear => Change::Clear,
        Change::Set(to) => Change::Set(value(to)),
    }
}
