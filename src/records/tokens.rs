//! Verification tokens as they are stored: by their hash. The token itself is never stored.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::limits::check_key;
use super::users::Email;
use crate::error::Result;
use crate::models::{DynamicFields, Fields, Millis, RecordName, Token, TokenHash, VerificationToken, instant};

const RESERVED: &[&str] = &["identifier", "token", "expires"];

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct TokenRecord {
    /// The first part of the key.
    #[serde(skip)]
    pub(crate) token_hash: TokenHash,
    /// The second part of the key.
    #[serde(skip)]
    pub(crate) identifier: String,
    pub(crate) expires: Millis,
    created: Millis,
    pub(crate) extra: Fields,
}

impl TokenRecord {
    /// The names that own fields must not have.
    pub(crate) const RESERVED: &'static [&'static str] = RESERVED;

    /// # Errors
    /// Invalid argument, naming the field.
    pub(crate) fn new<X: Serialize + DeserializeOwned>(token: &VerificationToken<X>, created: Millis) -> Result<Self> {
        check_key("identifier", &token.identifier)?;
        check_key("token", token.token.reveal())?;
        Ok(Self {
            token_hash: token.token.hash(),
            identifier: token.identifier.clone(),
            expires: token.expires.into(),
            created,
            extra: Fields::of(&token.extra, RESERVED)?,
        })
    }

    /// Returns the record as that of a link: found by a hash that depends on the link's purpose, and by an address in
    /// normal form.
    pub(crate) fn of_link(self, token_hash: TokenHash, address: &Email) -> Self {
        Self { token_hash, identifier: address.normal_form().clone(), ..self }
    }

    /// Returns the record with other own fields.
    pub(crate) fn with_fields(self, fields: &DynamicFields) -> Result<Self> {
        Ok(Self { extra: self.extra.changed_to(fields, RESERVED)?, ..self })
    }

    /// Converts to the model, with the token that the caller passed.
    pub(crate) fn into_model<X: DeserializeOwned + 'static>(self, token: Token) -> Result<VerificationToken<X>> {
        Ok(VerificationToken {
            identifier: self.identifier,
            token,
            expires: instant(self.expires)?,
            extra: self.extra.into_extra().map_err(|misfit| misfit.of(RecordName::VerificationToken))?,
        })
    }
}
