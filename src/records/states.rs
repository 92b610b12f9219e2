//! States as they are stored: values by the hash of their handle, and keys that were used by theirs.

use serde::{Deserialize, Serialize};

use super::limits::check_key;
use crate::error::Result;
use crate::models::{Millis, TokenHash};

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct StateRecord {
    /// The key.
    #[serde(skip)]
    pub(crate) handle_hash: TokenHash,
    pub(crate) expires: Millis,
    created: Millis,
    /// The value, as JSON. Empty for a key that was used.
    pub(crate) value: String,
}

impl StateRecord {
    pub(crate) fn new(handle_hash: TokenHash, value: String, expires: Millis, created: Millis) -> Self {
        Self { handle_hash, expires, created, value }
    }

    /// A key that was used for a purpose and cannot be used again until `expires`.
    ///
    /// # Errors
    /// Invalid argument, naming the field.
    pub(crate) fn used(purpose: &str, key: &str, expires: Millis, created: Millis) -> Result<Self> {
        check_key("key", key)?;
        Ok(Self::new(TokenHash::for_purpose(purpose, key), String::new(), expires, created))
    }
}
