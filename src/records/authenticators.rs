//! Authenticators as they are stored.

use serde::{Deserialize, Serialize};

use super::limits::{check_key, check_text};
use crate::error::Result;
use crate::models::{Authenticator, Millis};

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct AuthenticatorRecord {
    pub(crate) model: Authenticator,
    created: Millis,
}

impl AuthenticatorRecord {
    /// # Errors
    /// Invalid argument, naming the field.
    pub(crate) fn new(model: Authenticator, created: Millis) -> Result<Self> {
        check_key("credential_id", model.credential_id.as_str())?;
        check_key("user_id", model.user_id.as_str())?;
        check_key("provider_account_id", model.provider_account_id.as_str())?;
        check_text("credential_public_key", Some(&model.credential_public_key))?;
        check_text("credential_device_type", Some(&model.credential_device_type))?;
        check_text("transports", model.transports.as_deref())?;
        Ok(Self { model, created })
    }

    pub(crate) fn with_counter(&self, counter: u32) -> Self {
        Self { model: Authenticator { counter, ..self.model.clone() }, ..*self }
    }

    pub(crate) fn into_model(self) -> Authenticator {
        self.model
    }
}
