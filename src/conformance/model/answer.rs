//! The answers to operations, as plain values that can be compared and, unlike the records, printed in full.

use chrono::{DateTime, Utc};

use crate::models::{self, AccountType, Authenticator, Token};
use crate::{Error, UniqueKey};

/// The outcome of a call.
pub(super) type Outcome = Result<Answer, Refusal>;

/// The result of a successful call.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Answer {
    /// Nothing was found.
    None,
    User(User),
    Account(Account),
    Session(Session),
    SessionAndUser(Session, User),
    VerificationToken(VerificationToken),
    Authenticator(Authenticator),
    /// At least one authenticator, in the order of their credential ids.
    Authenticators(Vec<Authenticator>),
    /// How many sessions and verification tokens were removed.
    Purged(usize, usize),
    Done,
}

/// The reason why a call was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    Conflict(UniqueKey),
    UnknownUser,
    UnknownCredential,
    /// The name of the field that cannot be stored.
    InvalidArgument(String),
    /// The target does not support the operation.
    Unsupported,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct User {
    pub(super) id: String,
    pub(super) name: Option<String>,
    pub(super) email: Option<String>,
    pub(super) email_verified: Option<DateTime<Utc>>,
    pub(super) image: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Account {
    pub(super) id: String,
    pub(super) user_id: String,
    pub(super) account_type: AccountType,
    pub(super) provider: String,
    pub(super) provider_account_id: String,
    pub(super) access_token: Option<String>,
    pub(super) refresh_token: Option<String>,
    pub(super) id_token: Option<String>,
    pub(super) expires_at: Option<i64>,
    pub(super) token_type: Option<String>,
    pub(super) scope: Option<String>,
    pub(super) session_state: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Session {
    pub(super) id: String,
    pub(super) token: String,
    pub(super) user_id: String,
    pub(super) expires: DateTime<Utc>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct VerificationToken {
    pub(super) identifier: String,
    pub(super) token: String,
    pub(super) expires: DateTime<Utc>,
}

impl From<models::User> for User {
    fn from(user: models::User) -> Self {
        let models::User { id, name, email, email_verified, image, created: _, extra: () } = user;
        Self { id: id.to_string(), name, email, email_verified, image }
    }
}

impl From<models::Account> for Account {
    fn from(account: models::Account) -> Self {
        let text = |token: Option<Token>| token.map(|token| token.reveal().to_owned());
        Self {
            id: account.id.to_string(),
            user_id: account.user_id.to_string(),
            account_type: account.account_type,
            provider: account.provider,
            provider_account_id: account.provider_account_id.to_string(),
            access_token: text(account.access_token),
            refresh_token: text(account.refresh_token),
            id_token: text(account.id_token),
            expires_at: account.expires_at,
            token_type: account.token_type,
            scope: account.scope,
            session_state: account.session_state,
        }
    }
}

impl From<models::Session> for Session {
    fn from(session: models::Session) -> Self {
        let models::Session { id, session_token, user_id, expires, extra: () } = session;
        Self { id: id.to_string(), token: session_token.reveal().to_owned(), user_id: user_id.to_string(), expires }
    }
}

impl From<models::VerificationToken> for VerificationToken {
    fn from(token: models::VerificationToken) -> Self {
        let models::VerificationToken { identifier, token, expires, extra: () } = token;
        Self { identifier, token: token.reveal().to_owned(), expires }
    }
}

impl From<models::User> for Answer {
    fn from(user: models::User) -> Self {
        Self::User(user.into())
    }
}

impl From<models::Account> for Answer {
    fn from(account: models::Account) -> Self {
        Self::Account(account.into())
    }
}

impl From<models::Session> for Answer {
    fn from(session: models::Session) -> Self {
        Self::Session(session.into())
    }
}

impl From<models::SessionAndUser> for Answer {
    fn from(found: models::SessionAndUser) -> Self {
        Self::SessionAndUser(found.session.into(), found.user.into())
    }
}

impl From<models::VerificationToken> for Answer {
    fn from(token: models::VerificationToken) -> Self {
        Self::VerificationToken(token.into())
    }
}

impl From<Authenticator> for Answer {
    fn from(authenticator: Authenticator) -> Self {
        Self::Authenticator(authenticator)
    }
}

impl From<Vec<Authenticator>> for Answer {
    fn from(mut authenticators: Vec<Authenticator>) -> Self {
        authenticators.sort_by(|left, right| left.credential_id.cmp(&right.credential_id));
        if authenticators.is_empty() { Self::None } else { Self::Authenticators(authenticators) }
    }
}

impl<T: Into<Answer>> From<Option<T>> for Answer {
    fn from(found: Option<T>) -> Self {
        found.map_or(Self::None, T::into)
    }
}

impl From<Error> for Refusal {
    /// # Panics
    /// If the storage failed, because no operation can make it fail.
    fn from(error: Error) -> Self {
        match error {
            Error::Conflict(key) => Self::Conflict(key),
            Error::UnknownUser => Self::UnknownUser,
            Error::UnknownCredential => Self::UnknownCredential,
            Error::InvalidArgument { field, .. } => Self::InvalidArgument(field.into_owned()),
            error => panic!("not a refusal: {error}"),
        }
    }
}
