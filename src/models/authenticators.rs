//! Authenticators: passkeys and other WebAuthn credentials.

use serde::{Deserialize, Serialize};

use super::{CredentialId, ProviderAccountId, UserId};

/// A WebAuthn credential of a user. The same type is used for input and output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authenticator {
    /// The credential id (base64url). At most one authenticator has it.
    pub credential_id: CredentialId,
    /// The user who owns the credential. The user must exist.
    pub user_id: UserId,
    /// The provider account id of the account that the credential belongs to.
    pub provider_account_id: ProviderAccountId,
    /// The public key (base64).
    pub credential_public_key: String,
    /// The signature counter that the authenticator reported last.
    pub counter: u32,
    /// `singleDevice` or `multiDevice`.
    pub credential_device_type: String,
    /// True if the credential is backed up.
    pub credential_backed_up: bool,
    /// The ways in which the browser reaches the authenticator, comma-separated.
    pub transports: Option<String>,
}
