//! Web sessions: what a web framework remembers about a visitor, signed in or not.

use std::collections::HashMap;
use std::fmt;

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::{UserId, WebSessionId};
use crate::models::TokenHash;

/// What an application keeps in a web session: JSON values by name.
pub type WebSessionData = HashMap<String, Value>;

/// A web session as it is found and listed: without its token, which the store does not know.
#[derive(Clone, PartialEq)]
pub struct WebSession {
    /// The id; unlike the token it is no secret.
    pub id: WebSessionId,
    /// Who is signed in, if anybody is.
    pub user_id: Option<UserId>,
    /// When it was created.
    pub created: DateTime<Utc>,
    /// When it was last written, or created.
    pub saved: DateTime<Utc>,
    /// The last instant at which the session is valid.
    pub expires: DateTime<Utc>,
    /// What the application keeps in it.
    pub data: WebSessionData,
}

impl fmt::Debug for WebSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSession")
            .field("id", &self.id)
            .field("user_id", &self.user_id)
            .field("created", &self.created)
            .field("saved", &self.saved)
            .field("expires", &self.expires)
            .finish_non_exhaustive()
    }
}

impl WebSessionId {
    pub(crate) fn of(token: &TokenHash) -> Self {
        token.to_hex().into()
    }

    /// None if no session has this id.
    pub(crate) fn hash(&self) -> Option<TokenHash> {
        TokenHash::from_hex(self.as_str())
    }
}
