//! Web sessions as they are stored: by the hash of their token, with the application's data.

use serde::{Deserialize, Serialize};

use super::lifetime::Lifetime;
use super::limits::check_key;
use crate::error::Result;
use crate::models::{Fields, Millis, Token, TokenHash, UserId, WebSession, WebSessionData, WebSessionId, instant};

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct WebSessionRecord {
    /// The key.
    #[serde(skip)]
    pub(crate) token_hash: TokenHash,
    /// `None` if nobody has signed in.
    pub(crate) user_id: Option<UserId>,
    pub(crate) lifetime: Lifetime,
    pub(crate) data: Fields,
}

impl WebSessionRecord {
    /// # Errors
    /// Invalid argument, naming the field.
    pub(crate) fn new(
        token: &Token,
        user_id: Option<UserId>,
        data: &WebSessionData,
        expires: Millis,
        created: Millis,
    ) -> Result<Self> {
        check_key("session_token", token.as_str())?;
        Ok(Self {
            token_hash: token.hash(),
            user_id,
            lifetime: Lifetime::new(expires, created),
            data: Fields::of_all("the data of the session", data, &[])?,
        })
    }

    /// Returns this session with the user, data and expiry of `other`. Returns `None` if it has them already; a small
    /// difference in expiry does not count.
    pub(crate) fn saved_as(&self, other: &Self, now: Millis) -> Option<Self> {
        let expires = other.lifetime.expires;
        let is_same = self.user_id == other.user_id && self.data == other.data;
        let lives_as_long = self.lifetime.ends_about_at(expires, now);
        let saved = || Self { lifetime: self.lifetime.clone().expiring(expires, now), ..other.clone() };
        (!is_same || !lives_as_long).then(saved)
    }

    /// Returns the session, listed in the expiry index at its expiry. `None` if it expired before `now`.
    pub(crate) fn relisted(self, now: Millis) -> Option<Self> {
        self.lifetime.is_valid(now).then(|| Self { lifetime: self.lifetime.relisted(), ..self })
    }

    pub(crate) fn into_model(self) -> Result<WebSession> {
        Ok(WebSession {
            id: WebSessionId::of(&self.token_hash),
            user_id: self.user_id,
            created: instant(self.lifetime.created)?,
            saved: instant(self.lifetime.extended)?,
            expires: instant(self.lifetime.expires)?,
            data: self.data.into_extra()?,
        })
    }
}
