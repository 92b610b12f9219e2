//! Signing in by link: everything that this application asks of the store.

use std::error::Error as StdError;
use std::sync::Arc;

use authkv::models::{
    Change, NewSession, NewUser, Session, SessionAndUser, SessionPatch, Token, User, UserId, UserPatch,
    VerificationToken,
};
use authkv::{Adapter, Error, UniqueKey};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use chrono::{TimeDelta, Utc};

pub(crate) const LINK_AGE: TimeDelta = TimeDelta::minutes(15);
const SESSION_AGE: TimeDelta = TimeDelta::days(30);
const EXTEND_AFTER: TimeDelta = TimeDelta::days(1);

/// The result of asking the store, or the operating system for randomness.
pub(crate) type Result<T> = std::result::Result<T, Box<dyn StdError + Send + Sync>>;

/// Who may sign in, and who is signed in.
pub(crate) struct Auth {
    store: Arc<dyn Adapter>,
}

impl Auth {
    pub(crate) fn new(store: Arc<dyn Adapter>) -> Self {
        Self { store }
    }

    /// Makes the secret of a link to be sent to this address.
    pub(crate) async fn create_link(&self, email: &str) -> Result<Token> {
        let token = VerificationToken::new(email, secret()?, Utc::now() + LINK_AGE);
        Ok(self.store.create_verification_token(token).await?.token)
    }

    /// Signs in with a link. None if it was used before, has expired or was never sent.
    pub(crate) async fn use_link(&self, email: &str, token: &str) -> Result<Option<Session>> {
        // However many calls come at the same moment, one gets the token and the others get none.
        let Some(link) = self.store.use_verification_token(Some(email), token).await? else {
            return Ok(None);
        };
        let now = Utc::now();
        if link.is_expired(now) {
            return Ok(None);
        }
        let user = self.verified_user(&link.identifier).await?;
        let session = NewSession::new(secret()?, user.id, now + SESSION_AGE);
        Ok(Some(self.store.create_session(session).await?))
    }

    /// The user with this address, which was just proven to be theirs.
    async fn verified_user(&self, email: &str) -> Result<User> {
        let email_verified = Some(Utc::now());
        // Create first and look up on conflict: the other way round, two links opened at once would both find nobody.
        match self.store.create_user(NewUser { email_verified, ..NewUser::email(email) }).await {
            Err(Error::Conflict(UniqueKey::Email)) => {}
            created => return Ok(created?),
        }
        let user = self.store.get_user_by_email(email).await?.ok_or(Error::UnknownUser)?;
        if user.email_verified.is_some() {
            return Ok(user);
        }
        let patch = UserPatch { email_verified: Change::to(Utc::now()), ..UserPatch::new(user.id) };
        Ok(self.store.update_user(patch).await?)
    }

    /// Who is signed in with this session token. None if nobody is, or not any more; an error says nothing about that.
    pub(crate) async fn visitor(&self, session_token: &str) -> Result<Option<SessionAndUser>> {
        let Some(visitor) = self.store.get_session_and_user(session_token).await? else {
            return Ok(None);
        };
        let now = Utc::now();
        // A visit extends the session, but only once a day: reading is much cheaper than writing.
        if now < visitor.session.expires - SESSION_AGE + EXTEND_AFTER {
            return Ok(Some(visitor));
        }
        let patch = SessionPatch { expires: Some(now + SESSION_AGE), ..SessionPatch::new(session_token) };
        let extended = self.store.update_session(patch).await?;
        Ok(extended.map(|session| SessionAndUser { session, user: visitor.user }))
    }

    /// Changes the name; an empty one is removed.
    pub(crate) async fn rename(&self, user: UserId, name: &str) -> Result<()> {
        let name = if name.is_empty() { Change::Clear } else { Change::to(name) };
        self.store.update_user(UserPatch { name, ..UserPatch::new(user) }).await?;
        Ok(())
    }

    /// Ends a session. That it has ended already is no error.
    pub(crate) async fn sign_out(&self, session_token: &str) -> Result<()> {
        self.store.delete_session(session_token).await?;
        Ok(())
    }
}

/// 256 bits that nobody can guess, as text for a cookie, a link or a form.
pub(crate) fn secret() -> std::result::Result<String, getrandom::Error> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)?;
    Ok(BASE64_URL_SAFE_NO_PAD.encode(bytes))
}
