//! Accounts as they are stored.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::limits::{check_key, check_text};
use crate::error::Result;
use crate::models::{
    Absentees, Account, AccountId, AccountKey, AccountPatch, AccountType, Change, DynamicFields, FieldPatch, Fields,
    Millis, NewAccount, ProviderAccountId, RecordName, Token, UserId, account_from,
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
    /// The names that own fields must not have.
    pub(crate) const RESERVED: &'static [&'static str] = RESERVED;

    /// # Errors
    /// Invalid argument, naming the field.
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
        check_oauth_texts(
            [&account.access_token, &account.refresh_token, &account.id_token].map(Option::as_ref),
            [&account.token_type, &account.scope, &account.session_state].map(Option::as_ref),
        )?;
        let extra = Fields::of(&account.extra, RESERVED)?;
        Ok(account_from!(account => Self { id, user_id: account.user_id, created, extra }))
    }

    /// Returns the record with other own fields.
    pub(crate) fn with_fields(self, fields: &DynamicFields) -> Result<Self> {
        Ok(Self { extra: self.extra.changed_to(fields, RESERVED)?, ..self })
    }

    pub(crate) fn account_key(&self) -> AccountKey {
        AccountKey::new(self.provider.clone(), self.provider_account_id.clone())
    }

    /// Returns the record with the OAuth tokens of `given`. What `given` lacks stays, because a provider may give a
    /// refresh token only once. The exception is the expiry of an access token, which never outlasts its token.
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

    pub(crate) fn into_model<X: DeserializeOwned + 'static>(self) -> Result<Account<X>> {
        let extra = self.extra.into_extra().map_err(|misfit| misfit.of(RecordName::Account(&self.id)))?;
        Ok(account_from!(self => Account { id: self.id, user_id: self.user_id, extra }))
    }
}

/// A checked patch.
#[derive(Clone)]
pub(crate) struct AccountUpdate(AccountPatch);

impl AccountUpdate {
    /// # Errors
    /// Invalid argument, naming the field.
    pub(crate) fn new(patch: AccountPatch) -> Result<Self> {
        check_oauth_texts(
            [&patch.access_token, &patch.refresh_token, &patch.id_token].map(Change::value),
            [&patch.token_type, &patch.scope, &patch.session_state].map(Change::value),
        )?;
        patch.extra.check(RESERVED)?;
        Ok(Self(patch))
    }

    pub(crate) fn account(&self) -> &AccountKey {
        &self.0.account
    }

    /// Sets the own fields that were absent after the patch and have a value all the same.
    pub(crate) fn completed(self, absentees: Absentees) -> Self {
        Self(AccountPatch { extra: self.0.extra.completed(absentees), ..self.0 })
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

/// Refuses a provider's token or text that is too long.
fn check_oauth_texts(
    [access_token, refresh_token, id_token]: [Option<&Token>; 3],
    [token_type, scope, session_state]: [Option<&String>; 3],
) -> Result<()> {
    check_text("access_token", access_token.map(Token::reveal))?;
    check_text("refresh_token", refresh_token.map(Token::reveal))?;
    check_text("id_token", id_token.map(Token::reveal))?;
    check_text("token_type", token_type.map(String::as_str))?;
    check_text("scope", scope.map(String::as_str))?;
    check_text("session_state", session_state.map(String::as_str))
}
