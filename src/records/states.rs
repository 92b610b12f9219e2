//! States as they are stored: values by the hash of their handle.

use serde::{Deserialize, Serialize};

use crate::models::{Millis, TokenHash};

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct StateRecord {
    /// The key.
    #[serde(skip)]
    pub(crate) handle_hash: TokenHash,
    pub(crate) expires: Millis,
    created: Millis,
    /// The value, as JSON.
    pub(crate) value: String,
}

impl StateRecord {
    pub(crate) fn new(handle_hash: TokenHash, value: String, expires: Millis, created: Millis) -> Self {
        Self { handle_hash, expires, created, value }
    }
}
