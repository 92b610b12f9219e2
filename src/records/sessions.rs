//! Sessions as they are stored: by the hash of their token. The token itself is never stored.

use chrono::TimeDelta;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::lifetime::{AsOf, Lifetime};
use super::limits::check_key;
use crate::error::Result;
use crate::models::{
    DynamicFields, FieldPatch, Fields, Millis, NewSession, RecordName, Session, SessionId, SessionInfo, SessionPatch,
    Token, TokenHash, UserId, instant,
};

const RESERVED: &[&str] = &["id", "sessionToken", "userId", "expires"];

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct SessionRecord {
    /// The second part of the key.
    #[serde(skip, default = "crate::models::unknown")]
    pub(crate) id: SessionId,
    pub(crate) token_hash: TokenHash,
    /// The first part of the key.
    #[serde(skip, default = "crate::models::unknown")]
    pub(crate) user_id: UserId,
    pub(crate) lifetime: Lifetime,
    pub(crate) extra: Fields,
}

impl SessionRecord {
    /// The names that own fields must not have.
    pub(crate) const RESERVED: &'static [&'static str] = RESERVED;

    /// # Errors
    /// Invalid argument, naming the field.
    pub(crate) fn new<X: Serialize + DeserializeOwned>(
        session: NewSession<X>,
        id: SessionId,
        created: Millis,
    ) -> Result<Self> {
        check_key("session_token", session.session_token.reveal())?;
        check_key("user_id", session.user_id.as_str())?;
        Ok(Self {
            id,
            token_hash: session.session_token.hash(),
            user_id: session.user_id,
            lifetime: Lifetime::new(session.expires.into(), created),
            extra: Fields::of(&session.extra, RESERVED)?,
        })
    }

    /// Returns the session as one that the store makes with a token and a lifetime of its own.
    pub(crate) fn made_here(self) -> Self {
        Self { lifetime: self.lifetime.made_here(), ..self }
    }

    /// Returns the session as another user's.
    pub(crate) fn of_user(self, user_id: UserId) -> Self {
        Self { user_id, ..self }
    }

    /// Returns the session with another expiry as of `now`.
    pub(crate) fn expiring(self, expires: Millis, now: Millis) -> Self {
        Self { lifetime: self.lifetime.expiring(expires, now), ..self }
    }

    pub(crate) fn is_valid(&self, as_of: AsOf) -> bool {
        as_of.now <= self.lifetime.last_instant(as_of.max_age)
    }

    /// Returns the session, listed in the expiry index at its expiry. `None` if it is no longer valid.
    pub(crate) fn relisted(self, as_of: AsOf) -> Option<Self> {
        self.is_valid(as_of).then(|| Self { lifetime: self.lifetime.relisted(), ..self })
    }

    /// Returns the record with other own fields.
    pub(crate) fn with_fields(self, fields: &DynamicFields) -> Result<Self> {
        Ok(Self { extra: self.extra.changed_to(fields, RESERVED)?, ..self })
    }

    /// Converts to the model, with the token that the caller passed.
    pub(crate) fn into_model<X: DeserializeOwned + 'static>(
        self,
        session_token: Token,
        max_age: TimeDelta,
    ) -> Result<Session<X>> {
        Ok(Session {
            extra: self.extra.into_extra().map_err(|misfit| misfit.of(RecordName::Session(&self.id)))?,
            id: self.id,
            session_token,
            user_id: self.user_id,
            expires: instant(self.lifetime.last_instant(max_age))?,
        })
    }

    /// Converts to the model without a token. Only a caller who looks a session up by its token knows the token.
    pub(crate) fn into_info<X: DeserializeOwned + 'static>(self, max_age: TimeDelta) -> Result<SessionInfo<X>> {
        Ok(SessionInfo {
            extra: self.extra.into_extra().map_err(|misfit| misfit.of(RecordName::Session(&self.id)))?,
            id: self.id,
            user_id: self.user_id,
            created: instant(self.lifetime.created)?,
            extended: instant(self.lifetime.extended)?,
            expires: instant(self.lifetime.last_instant(max_age))?,
        })
    }
}

/// A checked patch.
pub(crate) struct SessionUpdate {
    pub(crate) token_hash: TokenHash,
    pub(crate) user_id: Option<UserId>,
    expires: Option<Millis>,
    pub(crate) extra: FieldPatch,
}

impl SessionUpdate {
    /// # Errors
    /// Invalid argument, naming the field.
    pub(crate) fn new(patch: SessionPatch) -> Result<Self> {
        patch.user_id.as_ref().map_or(Ok(()), |user_id| check_key("user_id", user_id.as_str()))?;
        patch.extra.check(RESERVED)?;
        Ok(Self {
            token_hash: patch.session_token.hash(),
            user_id: patch.user_id,
            expires: patch.expires.map(Millis::from),
            extra: patch.extra,
        })
    }

    pub(crate) fn apply(&self, session: &SessionRecord, now: Millis) -> SessionRecord {
        let mut session = session.clone();
        if let Some(user_id) = &self.user_id {
            session.user_id = user_id.clone();
        }
        if let Some(expires) = self.expires {
            session = session.expiring(expires, now);
        }
        session.extra.apply(&self.extra);
        session
    }
}
