//! Authenticators: passkeys and other WebAuthn credentials.

use serde::{Deserialize, Serialize};

use super::{CredentialId, ProviderAccountId, UserId};

/// A WebAuthn credential of a user. The type is input and output alike.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authenticator {
    /// The credential id (base64url); at most one authenticator has it.
    pub credential_id: CredentialId,
    /// The user whose credential it is; must exist.
    pub user_id: UserId,
    /// The account that it belongs to.
    pub provider_account_id: ProviderAccountId,
    /// The public key (base64).
    pub credential_public_key: String,
    /// The signature counter that it showed last.
    pub counter: u32,
    /// `singleDevice` or `multiDevice`.
    pub credential_device_type: String,
    /// Whether the credential is backed up.
    pub credential_backed_up: bool,
    /// How the browser reaches it, comma-separated.
    pub transports: Option<String>,
}
