//! Web sessions: what a web framework remembers about a visitor, signed in or not.

use std::collections::HashMap;
use std::fmt;

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::{UserId, WebSessionId};
use crate::models::TokenHash;

/// The application's data in a web session: JSON values by name.
pub type WebSessionData = HashMap<String, Value>;

/// A web session as it is found and listed. It lacks the token, which the store does not know.
#[derive(Clone, PartialEq)]
pub struct WebSession {
    /// The id. Unlike the token, it is not secret.
    pub id: WebSessionId,
    /// The user who is signed in, if anybody is.
    pub user_id: Option<UserId>,
    /// When the session was created.
    pub created: DateTime<Utc>,
    /// When the session was last written, or created.
    pub saved: DateTime<Utc>,
    /// The session is valid until this instant (UTC), inclusive.
    pub expires: DateTime<Utc>,
    /// The application's data.
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

    /// Returns `None` if the id cannot be that of a session.
    pub(crate) fn hash(&self) -> Option<TokenHash> {
        TokenHash::from_hex(self.as_str())
    }
}
