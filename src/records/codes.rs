//! Codes as they are stored: for each identifier, the hash of one code and the number of wrong guesses.

use serde::{Deserialize, Serialize};

use super::limits::check_key;
use crate::error::Result;
use crate::models::{Millis, TokenHash};

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct CodeRecord {
    /// The key, in the normal form of e-mail addresses.
    #[serde(skip)]
    pub(crate) identifier: String,
    pub(crate) code_hash: TokenHash,
    pub(crate) expires: Millis,
    created: Millis,
    pub(crate) wrong_guesses: u32,
}

impl CodeRecord {
    /// # Errors
    /// Invalid argument, naming the field.
    pub(crate) fn new(identifier: String, code_hash: TokenHash, expires: Millis, created: Millis) -> Result<Self> {
        check_key("identifier", &identifier)?;
        Ok(Self { identifier, code_hash, expires, created, wrong_guesses: 0 })
    }

    pub(crate) fn with_wrong_guesses(self, wrong_guesses: u32) -> Self {
        Self { wrong_guesses, ..self }
    }
}
