//! Accounts: the links between users and providers.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{AccountId, Change, FieldPatch, ProviderAccountId, UserId};
use crate::models::Token;

/// Declares a kind of account: its own fields, then the fields that all accounts have.
macro_rules! account {
    ($(#[$docs:meta])* $name:ident { $($own:tt)* }) => {
        $(#[$docs])*
        #[derive(Clone, PartialEq)]
        pub struct $name<X = ()> {
            $($own)*
            /// How the provider signs people in.
            pub account_type: AccountType,
            /// The provider, by the application's name for it, for example `github`.
            pub provider: String,
            /// The account's id at the provider.
            pub provider_account_id: ProviderAccountId,
            /// The OAuth access token.
            pub access_token: Option<Token>,
            /// The OAuth refresh token.
            pub refresh_token: Option<Token>,
            /// The OpenID Connect id token.
            pub id_token: Option<Token>,
            /// The expiry of the access token, in seconds since 1970 in UTC.
            pub expires_at: Option<i64>,
            /// The OAuth token type, usually `bearer`.
            pub token_type: Option<String>,
            /// The OAuth scope.
            pub scope: Option<String>,
            /// The OpenID Connect session state.
            pub session_state: Option<String>,
            /// The application's own fields.
            pub extra: X,
        }
    };
}

/// Converts one kind of account into another: provider and OAuth tokens stay the same.
macro_rules! account_from {
    ($from:ident => $to:ident { $($own:tt)* }) => {
        $to {
            account_type: $from.account_type,
            provider: $from.provider,
            provider_account_id: $from.provider_account_id,
            access_token: $from.access_token,
            refresh_token: $from.refresh_token,
            id_token: $from.id_token,
            expires_at: $from.expires_at,
            token_type: $from.token_type,
            scope: $from.scope,
            session_state: $from.session_state,
            $($own)*
        }
    };
}
pub(crate) use account_from;

/// How the provider signs people in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AccountType {
    /// OAuth 2.
    Oauth,
    /// OpenID Connect.
    Oidc,
    /// A link sent by e-mail.
    Email,
    /// A passkey or another WebAuthn authenticator.
    Webauthn,
}

account! {
    /// A user's account with a provider.
    Account {
        /// The id.
        pub id: AccountId,
        /// The user who owns the account.
        pub user_id: UserId,
    }
}

account! {
    /// An account to link to a user. The pair of provider and provider account id must be free.
    ///
    /// ```
    /// use authkv::models::{AccountType, NewAccount};
    ///
    /// let account = NewAccount {
    ///     access_token: Some("gho_…".into()),
    ///     ..NewAccount::new("a-user-id", AccountType::Oauth, "github", 583_231_u64)
    /// };
    /// # let _: NewAccount = account;
    /// ```
    NewAccount {
        /// The id. `None` to have one generated.
        pub id: Option<AccountId>,
        /// The user who will own the account. The user must exist.
        pub user_id: UserId,
    }
}

impl<X: Default> NewAccount<X> {
    /// An account without tokens.
    pub fn new(
        user_id: impl Into<UserId>,
        account_type: AccountType,
        provider: impl Into<String>,
        provider_account_id: impl Into<ProviderAccountId>,
    ) -> Self {
        ProviderAccount::new(account_type, provider, provider_account_id).of_user(user_id)
    }
}

impl<X> NewAccount<X> {
    /// Like [`new`](Self::new), with own fields.
    pub fn new_with(
        user_id: impl Into<UserId>,
        account_type: AccountType,
        provider: impl Into<String>,
        provider_account_id: impl Into<ProviderAccountId>,
        extra: X,
    ) -> Self {
        ProviderAccount::new_with(account_type, provider, provider_account_id, extra).of_user(user_id)
    }
}

impl<X> Account<X> {
    /// The key of this account.
    pub fn key(&self) -> AccountKey {
        AccountKey::new(&self.provider, self.provider_account_id.clone())
    }

    /// Returns this account with other own fields.
    #[must_use]
    pub fn with_extra<Y>(self, extra: Y) -> Account<Y> {
        account_from!(self => Account { id: self.id, user_id: self.user_id, extra })
    }
}

impl<X> NewAccount<X> {
    /// Returns this account with other own fields.
    #[must_use]
    pub fn with_extra<Y>(self, extra: Y) -> NewAccount<Y> {
        account_from!(self => NewAccount { id: self.id, user_id: self.user_id, extra })
    }
}

account! {
    /// An account as a provider reports it in an OAuth callback. It may be linked to a user already, or to none.
    ///
    /// ```
    /// use authkv::models::{AccountType, ProviderAccount};
    ///
    /// let account = ProviderAccount {
    ///     access_token: Some("gho_…".into()),
    ///     ..ProviderAccount::new(AccountType::Oauth, "github", 583_231_u64)
    /// };
    /// # let _: ProviderAccount = account;
    /// ```
    ///
    /// Serde writes and reads it, with its tokens in clear text, so that [`put_state`](crate::AuthKv::put_state) can keep it
    /// until its user has signed in.
    #[derive(Serialize, Deserialize)]
    ProviderAccount {
    }
}

impl<X: Default> ProviderAccount<X> {
    /// An account without tokens.
    pub fn new(
        account_type: AccountType,
        provider: impl Into<String>,
        provider_account_id: impl Into<ProviderAccountId>,
    ) -> Self {
        Self::new_with(account_type, provider, provider_account_id, X::default())
    }
}

impl<X> ProviderAccount<X> {
    /// Like [`new`](Self::new), with own fields.
    pub fn new_with(
        account_type: AccountType,
        provider: impl Into<String>,
        provider_account_id: impl Into<ProviderAccountId>,
        extra: X,
    ) -> Self {
        Self {
            account_type,
            provider: provider.into(),
            provider_account_id: provider_account_id.into(),
            access_token: None,
            refresh_token: None,
            id_token: None,
            expires_at: None,
            token_type: None,
            scope: None,
            session_state: None,
            extra,
        }
    }

    /// The account to link to this user. The user must be signed in.
    pub fn of_user(self, user_id: impl Into<UserId>) -> NewAccount<X> {
        account_from!(self => NewAccount { id: None, user_id: user_id.into(), extra: self.extra })
    }
}

/// The key of an account: the pair of provider and provider account id, compared part by part.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountKey {
    /// The provider, by the application's name for it.
    pub provider: String,
    /// The account's id at the provider.
    pub provider_account_id: ProviderAccountId,
}

impl AccountKey {
    /// Pairs both parts: `AccountKey::new("github", 583_231_u64)`.
    pub fn new(provider: impl Into<String>, provider_account_id: impl Into<ProviderAccountId>) -> Self {
        Self { provider: provider.into(), provider_account_id: provider_account_id.into() }
    }
}

impl From<&Self> for AccountKey {
    fn from(key: &Self) -> Self {
        key.clone()
    }
}

/// Changes to an account, for example new OAuth tokens when the old access token has expired.
///
/// ```
/// use authkv::models::{AccountKey, AccountPatch, Change};
///
/// let patch = AccountPatch {
///     access_token: Change::to("gho_…"),
///     expires_at: Change::Set(1_735_736_400),
///     ..AccountPatch::new(AccountKey::new("github", 583_231_u64))
/// };
/// ```
#[derive(Clone)]
pub struct AccountPatch {
    /// The account to change.
    pub account: AccountKey,
    /// The OAuth access token.
    pub access_token: Change<Token>,
    /// The OAuth refresh token.
    pub refresh_token: Change<Token>,
    /// The OpenID Connect id token.
    pub id_token: Change<Token>,
    /// The expiry of the access token, in seconds since 1970 in UTC.
    pub expires_at: Change<i64>,
    /// The OAuth token type, usually `bearer`.
    pub token_type: Change<String>,
    /// The OAuth scope.
    pub scope: Change<String>,
    /// The OpenID Connect session state.
    pub session_state: Change<String>,
    /// The application's own fields.
    pub extra: FieldPatch,
}

impl AccountPatch {
    /// A patch that changes nothing yet.
    pub fn new(account: impl Into<AccountKey>) -> Self {
        Self {
            account: account.into(),
            access_token: Change::Keep,
            refresh_token: Change::Keep,
            id_token: Change::Keep,
            expires_at: Change::Keep,
            token_type: Change::Keep,
            scope: Change::Keep,
            session_state: Change::Keep,
            extra: FieldPatch::new(),
        }
    }
}

/// What a user must still have after an account is unlinked, so that they can still sign in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MustLeave {
    /// Another account or an authenticator (a passkey).
    Account,
    /// Another account, an authenticator, or a verified e-mail address, for an application that sends sign-in links or
    /// codes.
    AccountOrEmail,
    /// Nothing: the user may be locked out.
    Nothing,
}

impl<X> fmt::Debug for Account<X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account")
            .field("id", &self.id)
            .field("user_id", &self.user_id)
            .field("account_type", &self.account_type)
            .field("provider", &self.provider)
            .finish_non_exhaustive()
    }
}

impl<X> fmt::Debug for NewAccount<X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewAccount")
            .field("id", &self.id)
            .field("user_id", &self.user_id)
            .field("account_type", &self.account_type)
            .field("provider", &self.provider)
            .finish_non_exhaustive()
    }
}

impl<X> fmt::Debug for ProviderAccount<X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProviderAccount")
            .field("account_type", &self.account_type)
            .field("provider", &self.provider)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for AccountPatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccountPatch")
            .field("account", &self.account)
            .field("extra", &self.extra)
            .finish_non_exhaustive()
    }
}
