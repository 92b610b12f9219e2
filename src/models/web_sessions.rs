//! Web sessions: what a web framework remembers about a visitor, signed in or not.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::secret::random_bytes;
use super::{Millis, TokenHash, UserId, WebSessionId, fingerprint};
use crate::error::{Error, Problem, Result};

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

/// The name under which the data of a loaded session carries its mark.
const MARK: &str = "authkv.mark";

/// The random id of a save or of a load. Zeros for a save of format 1, which had none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SaveId([u8; 8]);

impl SaveId {
    pub(crate) fn random() -> Result<Self> {
        random_bytes().map(Self)
    }

    #[cfg(test)]
    pub(crate) fn new(bytes: [u8; 8]) -> Self {
        Self(bytes)
    }
}

/// What a load has read, so that a save can tell which values its request has changed. It travels in the data of the
/// loaded session and is never stored.
#[derive(Serialize, Deserialize)]
pub(crate) struct Mark {
    load: SaveId,
    /// The save whose values were read.
    save: SaveId,
    user_id: Option<UserId>,
    expires: Millis,
    values: BTreeMap<String, [u8; 8]>,
}

/// The changes that a request has made to a session since it loaded it.
pub(crate) struct Since {
    pub(crate) load: SaveId,
    /// The save whose values were loaded.
    pub(crate) save: SaveId,
    /// The user whom the loaded session named.
    pub(crate) user_id: Option<UserId>,
    pub(crate) moves_expiry: bool,
    /// The names of the values that were added, changed or removed.
    pub(crate) changed: Vec<String>,
}

impl Mark {
    pub(crate) fn new(
        load: SaveId,
        save: SaveId,
        user_id: Option<UserId>,
        expires: Millis,
        data: &WebSessionData,
    ) -> Self {
        let values = data.iter().map(|(name, value)| (name.clone(), short_hash(value))).collect();
        Self { load, save, user_id, expires, values }
    }

    /// # Errors
    /// A storage failure, which cannot happen: a mark is always JSON.
    pub(crate) fn put_into(&self, data: &mut WebSessionData) -> Result<()> {
        let mark = serde_json::to_value(self).map_err(|_| Error::corrupt("the mark of a load cannot be written"))?;
        data.insert(MARK.to_owned(), mark);
        Ok(())
    }

    pub(crate) fn is_in(data: &WebSessionData) -> bool {
        data.contains_key(MARK)
    }

    /// Takes the mark out of the data. `None` if there is none.
    ///
    /// # Errors
    /// Invalid argument if something else has the name of the mark.
    pub(crate) fn take_from(data: &mut WebSessionData) -> Result<Option<Self>> {
        let mark = data.remove(MARK).map(serde_json::from_value).transpose();
        mark.map_err(|_| Error::invalid(MARK, Problem::ReservedName))
    }

    /// Returns how a session with this data and expiry differs from the loaded one.
    pub(crate) fn since(self, data: &WebSessionData, expires: Millis) -> Since {
        let Self { load, save, user_id, expires: loaded, mut values } = self;
        let mut changed = Vec::new();
        for (name, value) in data {
            if values.remove(name) != Some(short_hash(value)) {
                changed.push(name.clone());
            }
        }
        changed.extend(values.into_keys());
        Since { load, save, user_id, moves_expiry: expires != loaded, changed }
    }
}

fn short_hash(value: &Value) -> [u8; 8] {
    let [a, b, c, d, e, f, g, h, ..] = fingerprint(value.to_string().as_bytes());
    [a, b, c, d, e, f, g, h]
}
