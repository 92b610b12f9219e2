//! Accounts as they are stored.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::limits::{check_indexes, check_key, check_text};
use crate::error::Result;
use crate::models::Token;
use crate::models::{
    Account, AccountId, AccountKey, AccountPatch, AccountType, DynamicFields, FieldPatch, Fields, Index, Millis,
    NewAccount, ProviderAccountId, UserId,
};

const RESERVED: &[&str] = &[
    "id",
    "userId",
    "type",
    "provider",
    "providerAccountId",
    "access_token",
    "refresh_token",
    "id_token",
    "expires_at",
    "token_type",
    "scope",
    "session_state",
];

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct AccountRecord {
    /// The key.
    #[serde(skip, default = "crate::models::unknown")]
    pub(crate) id: AccountId,
    pub(crate) user_id: UserId,
    pub(crate) account_type: AccountType,
    pub(crate) provider: String,
    pub(crate) provider_account_id: ProviderAccountId,
    access_token: Option<Token>,
    refresh_token: Option<Token>,
    id_token: Option<Token>,
    expires_at: Option<i64>,
    token_type: Option<String>,
    scope: Option<String>,
    session_state: Option<String>,
    created: Millis,
    pub(crate) extra: Fields,
}

impl AccountRecord {
    /// # Errors
    /// Invalid argument, which names the field.
    pub(crate) fn new<X: Serialize + DeserializeOwned>(
        account: NewAccount<X>,
        fresh_id: impl FnOnce() -> AccountId,
        created: Millis,
    ) -> Result<Self> {
        let id = account.id.unwrap_or_else(fresh_id);
        check_key("id", id.as_str())?;
        check_key("user_id", account.user_id.as_str())?;
        check_key("provider", &account.provider)?;
        check_key("provider_account_id", account.provider_account_id.as_str())?;
        check_text("access_token", account.access_token.as_ref().map(Token::as_str))?;
        check_text("refresh_token", account.refresh_token.as_ref().map(Token::as_str))?;
        check_text("id_token", account.id_token.as_ref().map(Token::as_str))?;
        check_text("token_type", account.token_type.as_deref())?;
        check_text("scope", account.scope.as_deref())?;
        check_text("session_state", account.session_state.as_deref())?;
        Ok(Self {
            id,
            user_id: account.user_id,
            account_type: account.account_type,
            provider: account.provider,
            provider_account_id: account.provider_account_id,
            access_token: account.access_token,
            refresh_token: account.refresh_token,
            id_token: account.id_token,
            expires_at: account.expires_at,
            token_type: account.token_type,
            scope: account.scope,
            session_state: account.session_state,
            created,
            extra: Fields::of(&account.extra, RESERVED)?,
        })
    }

    /// Refuses indexes that an application cannot have.
    pub(crate) fn check_indexes(indexes: &[Index]) -> Result<()> {
        check_indexes(indexes, RESERVED)
    }

    /// The record with other own fields.
    pub(crate) fn with_fields(self, fields: &DynamicFields) -> Result<Self> {
        Ok(Self { extra: self.extra.becoming(fields, RESERVED)?, ..self })
    }

    pub(crate) fn account_key(&self) -> AccountKey {
        AccountKey::new(self.provider.clone(), self.provider_account_id.clone())
    }

    /// The record with the OAuth tokens of another one. What that one lacks stays: a provider may give a refresh token only
    /// once. When an access token expires belongs to it, so it does not outlast one.
    pub(crate) fn refreshed(&self, given: &Self) -> Self {
        let given = given.clone();
        let expires_at =
            if given.access_token.is_some() { given.expires_at } else { given.expires_at.or(self.expires_at) };
        let kept = self.clone();
        Self {
            access_token: given.access_token.or(kept.access_token),
            refresh_token: given.refresh_token.or(kept.refresh_token),
            id_token: given.id_token.or(kept.id_token),
            expires_at,
            token_type: given.token_type.or(kept.token_type),
            scope: given.scope.or(kept.scope),
            session_state: given.session_state.or(kept.session_state),
            ..kept
        }
    }

    pub(crate) fn into_model<X: DeserializeOwned>(self) -> Result<Account<X>> {
        Ok(Account {
            id: self.id,
            user_id: self.user_id,
            account_type: self.account_type,
            provider: self.provider,
            provider_account_id: self.provider_account_id,
            access_token: self.access_token,
            refresh_token: self.refresh_token,
            id_token: self.id_token,
            expires_at: self.expires_at,
            token_type: self.token_type,
            scope: self.scope,
            session_state: self.session_state,
            extra: self.extra.into_extra()?,
        })
    }
}

/// A checked patch.
pub(crate) struct AccountUpdate(AccountPatch);

impl AccountUpdate {
    /// # Errors
    /// Invalid argument, which names the field.
    pub(crate) fn new(patch: AccountPatch) -> Result<Self> {
        check_text("access_token", patch.access_token.value().map(Token::as_str))?;
        check_text("refresh_token", patch.refresh_token.value().map(Token::as_str))?;
        check_text("id_token", patch.id_token.value().map(Token::as_str))?;
        check_text("token_type", patch.token_type.value().map(String::as_str))?;
        check_text("scope", patch.scope.value().map(String::as_str))?;
        check_text("session_state", patch.session_state.value().map(String::as_str))?;
        patch.extra.check(RESERVED)?;
        Ok(Self(patch))
    }

    pub(crate) fn account(&self) -> &AccountKey {
        &self.0.account
    }

    pub(crate) fn extra(&self) -> &FieldPatch {
        &self.0.extra
    }

    pub(crate) fn apply(&self, account: &AccountRecord) -> AccountRecord {
        let Self(patch) = self;
        let mut account = account.clone();
        patch.access_token.apply(&mut account.access_token);
        patch.refresh_token.apply(&mut account.refresh_token);
        patch.id_token.apply(&mut account.id_token);
        patch.expires_at.apply(&mut account.expires_at);
        patch.token_type.apply(&mut account.token_type);
        patch.scope.apply(&mut account.scope);
        patch.session_state.apply(&mut account.session_state);
        account.extra.apply(&patch.extra);
        account
    }
}
