//! The tables: their keys and values.
//!
//! ```text
//! record tables                        key                           value
//!   users                              user id                       user
//!   accounts                           account id                    account
//!   sessions                           user id, session id           session
//!   verification_tokens                token hash, identifier        verification token
//!   authenticators                     credential id                 authenticator
//!   codes                              identifier                    code of a format before 5
//!   code_requests                      hash of purpose and handle    request for codes
//!   guess_budgets                      hash of an address            budget for guesses
//!   states                             handle hash                   state
//!   web_sessions                       token hash                    web session
//!
//! indexes, computed from the records
//!   user_by_email                      e-mail in normal form         user id
//!   account_by_provider                provider, provider account id account id, user id
//!   session_by_token                   token hash                    session id, user id, expires, has own fields,
//!                                                                    last extension
//!   accounts_by_user                   user id, account id           -
//!   authenticators_by_user             user id, credential id        -
//!   by_expiry                          expires, session, token,      -
//!                                      code, state, web session, request or budget
//!   user_by_field                      field, its value, user id     -
//!   account_by_field                   field, its value, account id  -
//!   web_sessions_by_user               user id, token hash           -
//!
//! others
//!   sweep                              id of a deleted user whose    -
//!                                      accounts, authenticators, sessions and web sessions are not all removed yet
//!   deleted_users                      trace of a deleted user's id   -
//!   meta                               a row for each setting        see `ops/meta`
//! ```
//!
//! In redb each name has the prefix `authkv_`. A record is the source of truth. An index entry may repeat the few
//! fields that a hot read needs. Only [`replace`](super::entries::replace) writes the record tables and the indexes.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use super::expiring::Expiring;
use super::lifetime::last_instant;
use super::{
    AccountRecord, AuthenticatorRecord, CodeRequest, GuessBudget, OldCode, SessionRecord, StateRecord, TokenRecord,
    UserRecord, WebSessionRecord,
};
use crate::kv::table::{Table, TableId};
use crate::models::{AccountId, CredentialId, FieldKey, Millis, ProviderAccountId, SessionId, TokenHash, UserId};

macro_rules! tables {
    ($($index:literal $constant:ident $name:literal $key:ty => $value:ty $(, $keyed:expr)?;)*) => {
        $(
            pub(crate) const $constant: Table<$key, $value> = {
                let table: Table<$key, $value> = Table::new($index, concat!("authkv_", $name));
                $(let table = table.keyed($keyed);)?
                table
            };
        )*

        /// Every table, at the place given by its index.
        pub(crate) const TABLES: [TableId; [$($index),*].len()] = [$($constant.id),*];
    };
}

tables! {
    0 META "meta" String => String;
    1 USERS "users" UserId => UserRecord, |user, id| user.id = id.clone();
    2 ACCOUNTS "accounts" AccountId => AccountRecord, |account, id| account.id = id.clone();
    3 SESSIONS "sessions" (UserId, SessionId) => SessionRecord,
        |session, (user_id, id)| (session.user_id, session.id) = (user_id.clone(), id.clone());
    4 VERIFICATION_TOKENS "verification_tokens" (TokenHash, String) => TokenRecord,
        |token, (hash, identifier)| (token.token_hash, token.identifier) = (*hash, identifier.clone());
    5 AUTHENTICATORS "authenticators" CredentialId => AuthenticatorRecord;
    6 USER_BY_EMAIL "user_by_email" String => UserId;
    7 ACCOUNT_BY_PROVIDER "account_by_provider" (String, ProviderAccountId) => (AccountId, UserId);
    8 SESSION_BY_TOKEN "session_by_token" TokenHash => SessionEntry;
    9 ACCOUNTS_BY_USER "accounts_by_user" (UserId, AccountId) => ();
    10 AUTHENTICATORS_BY_USER "authenticators_by_user" (UserId, CredentialId) => ();
    11 BY_EXPIRY "by_expiry" (Millis, Expiring) => ();
    12 SWEEP "sweep" UserId => ();
    13 USER_BY_FIELD "user_by_field" ((String, FieldKey), UserId) => ();
    14 ACCOUNT_BY_FIELD "account_by_field" ((String, FieldKey), AccountId) => ();
    15 CODES "codes" String => OldCode, |code, identifier| code.identifier = identifier.clone();
    16 STATES "states" TokenHash => StateRecord, |state, hash| state.handle_hash = *hash;
    17 WEB_SESSIONS "web_sessions" TokenHash => WebSessionRecord,
        |session, hash| session.token_hash = *hash;
    18 WEB_SESSIONS_BY_USER "web_sessions_by_user" (UserId, TokenHash) => ();
    19 DELETED_USERS "deleted_users" TokenHash => ();
    20 CODE_REQUESTS "code_requests" TokenHash => CodeRequest, |request, hash| request.request = *hash;
    21 GUESS_BUDGETS "guess_budgets" TokenHash => GuessBudget, |budget, hash| budget.address = *hash;
}

/// The indexes: every table whose name says by what its entries are found.
pub(crate) fn indexes() -> impl Iterator<Item = TableId> {
    TABLES.into_iter().filter(|table| table.name.contains("_by_"))
}

/// The fields of a session that the read on every request needs, so that it need not read the session itself.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct SessionEntry {
    pub(crate) id: SessionId,
    pub(crate) user_id: UserId,
    pub(crate) expires: Millis,
    pub(crate) rest: SessionRest,
}

/// The first two are coded as the bool that formats 1 and 2 have here.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub(crate) enum SessionRest {
    Plain,
    /// With own fields, which only the record contains.
    WithExtra,
    /// Of a session that the store made.
    MadeHere {
        extended: Millis,
        has_extra: bool,
    },
}

impl SessionEntry {
    /// The last instant at which the session is valid.
    pub(crate) fn last_instant(&self, max_age: TimeDelta) -> Millis {
        let made_here = if let SessionRest::MadeHere { extended, .. } = self.rest { Some(extended) } else { None };
        last_instant(self.expires, made_here, max_age)
    }

    pub(crate) fn has_extra(&self) -> bool {
        matches!(self.rest, SessionRest::WithExtra | SessionRest::MadeHere { has_extra: true, .. })
    }
}
