//! Runs the same tests on adapters with own fields.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use uuid::Uuid;

use crate::models::{
    Account, AccountKey, Authenticator, CredentialId, Extra, Models, NewAccount, NewSession, NewUser, Session,
    SessionAndUser, SessionPatch, User, UserId, UserPatch, VerificationToken,
};
use crate::{Adapter, Reply};

/// Own fields that can be made from a number: different numbers make different fields.
pub trait Sample: Extra + PartialEq {
    /// Makes the fields of this number.
    fn sample(number: u64) -> Self;

    /// Returns the number that these fields were made from.
    fn number(&self) -> u64;
}

/// Wraps an adapter with own fields as one without, so that the same tests can run on it. It gives own fields to each
/// record that it creates, and panics if a record comes back with other fields. It waits for each reply.
///
/// ```
/// use authkv::conformance::{Sample, WithOwnFields};
/// use authkv::models::{Models, NewUser};
/// use authkv::{Adapter, AuthKv};
/// use serde::{Deserialize, Serialize};
/// use std::sync::Arc;
///
/// #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
/// struct Own {
///     number: u64,
/// }
///
/// impl Sample for Own {
///     fn sample(number: u64) -> Self {
///         Self { number }
///     }
///
///     fn number(&self) -> u64 {
///         self.number
///     }
/// }
///
/// struct App;
///
/// impl Models for App {
///     const NAME: &'static str = "app";
///     const VERSION: u32 = 1;
///     type User = Own;
///     type Account = Own;
///     type Session = Own;
///     type VerificationToken = Own;
/// }
///
/// let auth = AuthKv::options().models::<App>().in_memory()?;
/// let adapter: Arc<dyn Adapter> = Arc::new(WithOwnFields::new(Arc::new(auth)));
/// adapter.create_user(NewUser::email("ada@example.com")).wait()?;
/// # Ok::<(), authkv::Error>(())
/// ```
pub struct WithOwnFields<M> {
    adapter: Arc<dyn Adapter<M>>,
}

impl<M: Models> WithOwnFields<M> {
    /// Wraps this adapter.
    pub fn new(adapter: Arc<dyn Adapter<M>>) -> Self {
        Self { adapter }
    }
}

impl<M: Models> Adapter for WithOwnFields<M>
where
    M::User: Sample,
    M::Account: Sample,
    M::Session: Sample,
    M::VerificationToken: Sample,
{
    fn create_user(&self, user: NewUser) -> Reply<User> {
        let number = number_of(&[&Uuid::now_v7().to_string()]);
        then(self.adapter.create_user(user.with_extra(Sample::sample(number))), move |user| {
            assert_eq!(user.extra.number(), number);
            without_user(user)
        })
    }

    fn get_user(&self, id: &UserId) -> Reply<Option<User>> {
        then(self.adapter.get_user(id), |user| user.map(without_user))
    }

    fn get_user_by_email(&self, email: &str) -> Reply<Option<User>> {
        then(self.adapter.get_user_by_email(email), |user| user.map(without_user))
    }

    fn get_user_by_account(&self, account: &AccountKey) -> Reply<Option<User>> {
        then(self.adapter.get_user_by_account(account), |user| user.map(without_user))
    }

    fn update_user(&self, patch: UserPatch) -> Reply<User> {
        then(self.adapter.update_user(patch), without_user)
    }

    fn delete_user(&self, id: &UserId) -> Reply<Option<User>> {
        then(self.adapter.delete_user(id), |user| user.map(without_user))
    }

    fn link_account(&self, account: NewAccount) -> Reply<Account> {
        let number = number_of(&[&account.provider, account.provider_account_id.as_str()]);
        let account = account.with_extra(Sample::sample(number));
        then(self.adapter.link_account(account), without_account)
    }

    fn unlink_account(&self, account: &AccountKey) -> Reply<Option<Account>> {
        then(self.adapter.unlink_account(account), |account| account.map(without_account))
    }

    fn get_account(&self, account: &AccountKey) -> Reply<Option<Account>> {
        then(self.adapter.get_account(account), |account| account.map(without_account))
    }

    fn create_session(&self, session: NewSession) -> Reply<Session> {
        let number = number_of(&[session.session_token.reveal()]);
        then(self.adapter.create_session(session.with_extra(Sample::sample(number))), without_session)
    }

    fn get_session_and_user(&self, session_token: &str) -> Reply<Option<SessionAndUser>> {
        then(self.adapter.get_session_and_user(session_token), |found| {
            found.map(|SessionAndUser { session, user }| SessionAndUser {
                session: without_session(session),
                user: without_user(user),
            })
        })
    }

    fn update_session(&self, patch: SessionPatch) -> Reply<Option<Session>> {
        then(self.adapter.update_session(patch), |session| session.map(without_session))
    }

    fn delete_session(&self, session_token: &str) -> Reply<Option<Session>> {
        then(self.adapter.delete_session(session_token), |session| session.map(without_session))
    }

    fn create_verification_token(&self, token: VerificationToken) -> Reply<VerificationToken> {
        let number = number_of(&[&token.identifier, token.token.reveal()]);
        then(self.adapter.create_verification_token(token.with_extra(Sample::sample(number))), without_token)
    }

    fn use_verification_token(&self, identifier: Option<&str>, token: &str) -> Reply<Option<VerificationToken>> {
        then(self.adapter.use_verification_token(identifier, token), |token| token.map(without_token))
    }

    fn create_authenticator(&self, authenticator: Authenticator) -> Reply<Authenticator> {
        self.adapter.create_authenticator(authenticator)
    }

    fn get_authenticator(&self, credential_id: &CredentialId) -> Reply<Option<Authenticator>> {
        self.adapter.get_authenticator(credential_id)
    }

    fn list_authenticators_by_user_id(&self, user_id: &UserId) -> Reply<Vec<Authenticator>> {
        self.adapter.list_authenticators_by_user_id(user_id)
    }

    fn update_authenticator_counter(&self, credential_id: &CredentialId, counter: u32) -> Reply<Authenticator> {
        self.adapter.update_authenticator_counter(credential_id, counter)
    }
}

fn then<T, U>(reply: Reply<T>, into: impl FnOnce(T) -> U) -> Reply<U> {
    Reply::ready(reply.wait().map(into))
}

fn without_user<X: Sample>(user: User<X>) -> User {
    assert_eq!(user.extra, X::sample(user.extra.number()), "a user has other own fields than it was created with");
    user.with_extra(())
}

fn without_account<X: Sample>(account: Account<X>) -> Account {
    let number = number_of(&[&account.provider, account.provider_account_id.as_str()]);
    assert_eq!(account.extra, X::sample(number), "an account has other own fields than it was created with");
    account.with_extra(())
}

fn without_session<X: Sample>(session: Session<X>) -> Session {
    let number = number_of(&[session.session_token.reveal()]);
    assert_eq!(session.extra, X::sample(number), "a session has other own fields than it was created with");
    session.with_extra(())
}

fn without_token<X: Sample>(token: VerificationToken<X>) -> VerificationToken {
    let number = number_of(&[&token.identifier, token.token.reveal()]);
    assert_eq!(token.extra, X::sample(number), "a verification token has other own fields than it was created with");
    token.with_extra(())
}

/// Returns the same number for the same key.
fn number_of(key: &[&str]) -> u64 {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    hasher.finish()
}
