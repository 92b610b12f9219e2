//! Web sessions as they are stored: by the hash of their token, with what the application keeps in them.

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
    /// None if nobody has signed in.
    pub(crate) user_id: Option<UserId>,
    pub(crate) lifetime: Lifetime,
    pub(crate) data: Fields,
}

impl WebSessionRecord {
    /// # Errors
    /// Invalid argument, which names the field.
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

    /// This session with another one's user, data and expiry; none if it has them already, or all but a little of the
    /// expiry.
    pub(crate) fn saved_as(&self, other: &Self, now: Millis) -> Option<Self> {
        let expires = other.lifetime.expires;
        let is_same = self.user_id == other.user_id && self.data == other.data;
        let lives_as_long = self.lifetime.ends_about_at(expires, now);
        let saved = || Self { lifetime: self.lifetime.clone().expiring(expires, now), ..other.clone() };
        (!is_same || !lives_as_long).then(saved)
    }

    /// The same, listed in the expiry index when it expires; none if it has expired before `now`.
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
