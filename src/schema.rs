//! The tables, and what each record puts into them.
//!
//! ```text
//! record tables                        key                           value
//!   users                              user id                       user
//!   accounts                           account id                    account
//!   sessions                           session id                    session
//!   verification_tokens                token hash, identifier        verification token
//!   authenticators                     credential id                 authenticator
//!
//! indexes, computed from the records
//!   user_by_email                      e-mail in normal form         user id
//!   account_by_provider                provider, provider account id account id, user id
//!   session_by_token                   token hash                    session id, user id, expires, has own fields
//!   accounts_by_user                   user id, account id           -
//!   sessions_by_user                   user id, session id           -
//!   authenticators_by_user             user id, credential id        -
//!   by_expiry                          expires, session or token     -
//!   user_by_field                      field, its value, user id     -
//!   account_by_field                   field, its value, account id  -
//!
//! others
//!   sweep                              id of a deleted user whose    -
//!                                      accounts, sessions and authenticators are not all removed yet
//!   meta                               "format", "settings"          see `ops::meta`
//! ```
//!
//! In redb each name is prefixed with `authkv_`. A record is the truth; an index entry may repeat the few fields that
//! a hot read needs. Nothing but [`replace`] writes the record tables and indexes.

use std::borrow::Cow;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::key::{Expiring, Key};
use crate::model::{
    AccountId, CredentialId, FieldKey, Fields, Index, Indexes, Millis, ProviderAccountId, SessionId, UserId,
};
use crate::record::{AccountRecord, AuthenticatorRecord, SessionRecord, TokenRecord, UserRecord};
use crate::secret::TokenHash;
use crate::txn::{Entry, Table, TableId, Txn};

macro_rules! tables {
    ($($index:literal $constant:ident $name:literal $key:ty => $value:ty;)*) => {
        $(pub(crate) const $constant: Table<$key, $value> = Table::new($index, concat!("authkv_", $name));)*

        /// Every table, at the place that its index says.
        pub(crate) const TABLES: [TableId; [$($index),*].len()] = [$($constant.id),*];
    };
}

tables! {
    0 META "meta" String => String;
    1 USERS "users" UserId => UserRecord;
    2 ACCOUNTS "accounts" AccountId => AccountRecord;
    3 SESSIONS "sessions" SessionId => SessionRecord;
    4 VERIFICATION_TOKENS "verification_tokens" (TokenHash, String) => TokenRecord;
    5 AUTHENTICATORS "authenticators" CredentialId => AuthenticatorRecord;
    6 USER_BY_EMAIL "user_by_email" String => UserId;
    7 ACCOUNT_BY_PROVIDER "account_by_provider" (String, ProviderAccountId) => (AccountId, UserId);
    8 SESSION_BY_TOKEN "session_by_token" TokenHash => SessionEntry;
    9 ACCOUNTS_BY_USER "accounts_by_user" (UserId, AccountId) => ();
    10 SESSIONS_BY_USER "sessions_by_user" (UserId, SessionId) => ();
    11 AUTHENTICATORS_BY_USER "authenticators_by_user" (UserId, CredentialId) => ();
    12 BY_EXPIRY "by_expiry" (Millis, Expiring) => ();
    13 SWEEP "sweep" UserId => ();
    14 USER_BY_FIELD "user_by_field" ((String, FieldKey), UserId) => ();
    15 ACCOUNT_BY_FIELD "account_by_field" ((String, FieldKey), AccountId) => ();
}

/// What the read on every request needs of a session, so that it need not read the session itself.
#[derive(Serialize, Deserialize)]
pub(crate) struct SessionEntry {
    pub(crate) id: SessionId,
    pub(crate) user_id: UserId,
    pub(crate) expires: Millis,
    /// Whether the session has the application's own fields, which only the record has.
    pub(crate) has_extra: bool,
}

/// A record that knows its place and its index entries.
pub(crate) trait Record: Serialize + DeserializeOwned + 'static {
    type Key: Key;
    const TABLE: Table<Self::Key, Self>;

    fn key(&self) -> Self::Key;
    /// Its entries in the indexes that every store has and in those that its application declares.
    fn entries(&self, declared: &Indexes) -> Result<Vec<Entry>>;
}

/// A record whose own fields an application may have indexes on.
pub(crate) trait FieldIndexed: Record {
    const BY_FIELD: Table<((String, FieldKey), Self::Key), ()>;

    fn indexes(declared: &Indexes) -> &[Index];
    fn fields(&self) -> &Fields;

    fn field_entries(&self, declared: &Indexes) -> Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for index in Self::indexes(declared) {
            if let Some(value) = self.fields().key(&index.field)? {
                entries.push(Self::BY_FIELD.entry(&((index.field.clone().into_owned(), value), self.key()), &())?);
            }
        }
        Ok(entries)
    }

    /// Its values in unique indexes.
    fn unique_values(&self, declared: &Indexes) -> Result<Vec<(Cow<'static, str>, FieldKey)>> {
        let mut values = Vec::new();
        for index in Self::indexes(declared).iter().filter(|index| index.unique) {
            if let Some(value) = self.fields().key(&index.field)? {
                values.push((index.field.clone(), value));
            }
        }
        Ok(values)
    }
}

/// Writes, changes or removes a record with its index entries. Keys that must be unique were checked before.
pub(crate) fn replace<R: Record>(txn: &mut Txn<'_>, old: Option<&R>, new: Option<&R>) -> Result<()> {
    let entries = |record: Option<&R>| record.map_or(Ok(Vec::new()), |record| record.entries(txn.declared()));
    let (old_entries, new_entries) = (entries(old)?, entries(new)?);
    match (old, new) {
        (_, Some(new)) => txn.put(&R::TABLE, &new.key(), new)?,
        (Some(old), None) => txn.remove(&R::TABLE, &old.key()),
        (None, None) => {}
    }
    for entry in &old_entries {
        if !new_entries.iter().any(|new| new.table == entry.table && new.key == entry.key) {
            txn.remove_bytes(entry.table, entry.key.clone());
        }
    }
    for entry in new_entries {
        if !old_entries.contains(&entry) {
            txn.put_entry(entry);
        }
    }
    Ok(())
}

/// Removes entries of the indexes on own fields, and answers whether any are left.
pub(crate) fn clear_field_indexes(txn: &mut Txn<'_>, limit: usize) -> Result<bool> {
    let users_left = clear(txn, &USER_BY_FIELD, limit)?;
    Ok(clear(txn, &ACCOUNT_BY_FIELD, limit)? || users_left)
}

fn clear<K: Key>(txn: &mut Txn<'_>, index: &Table<K, ()>, limit: usize) -> Result<bool> {
    let rows = txn.first(index, limit)?;
    for (key, ()) in &rows {
        txn.remove_bytes(index.id, key.to_bytes());
    }
    Ok(rows.len() == limit)
}

impl Record for UserRecord {
    type Key = UserId;
    const TABLE: Table<UserId, Self> = USERS;

    fn key(&self) -> UserId {
        self.id.clone()
    }

    fn entries(&self, declared: &Indexes) -> Result<Vec<Entry>> {
        let mut entries = self.field_entries(declared)?;
        if let Some(email) = &self.email {
            entries.push(USER_BY_EMAIL.entry(email.normal_form(), &self.id)?);
        }
        Ok(entries)
    }
}

impl FieldIndexed for UserRecord {
    const BY_FIELD: Table<((String, FieldKey), UserId), ()> = USER_BY_FIELD;

    fn indexes(declared: &Indexes) -> &[Index] {
        &declared.users
    }

    fn fields(&self) -> &Fields {
        &self.extra
    }
}

impl Record for AccountRecord {
    type Key = AccountId;
    const TABLE: Table<AccountId, Self> = ACCOUNTS;

    fn key(&self) -> AccountId {
        self.id.clone()
    }

    fn entries(&self, declared: &Indexes) -> Result<Vec<Entry>> {
        let provider_account = (self.provider.clone(), self.provider_account_id.clone());
        let mut entries = self.field_entries(declared)?;
        entries.push(ACCOUNT_BY_PROVIDER.entry(&provider_account, &(self.id.clone(), self.user_id.clone()))?);
        entries.push(ACCOUNTS_BY_USER.entry(&(self.user_id.clone(), self.id.clone()), &())?);
        Ok(entries)
    }
}

impl FieldIndexed for AccountRecord {
    const BY_FIELD: Table<((String, FieldKey), AccountId), ()> = ACCOUNT_BY_FIELD;

    fn indexes(declared: &Indexes) -> &[Index] {
        &declared.accounts
    }

    fn fields(&self) -> &Fields {
        &self.extra
    }
}

impl Record for SessionRecord {
    type Key = SessionId;
    const TABLE: Table<SessionId, Self> = SESSIONS;

    fn key(&self) -> SessionId {
        self.id.clone()
    }

    fn entries(&self, _: &Indexes) -> Result<Vec<Entry>> {
        let by_token = SessionEntry {
            id: self.id.clone(),
            user_id: self.user_id.clone(),
            expires: self.expires,
            has_extra: !self.extra.is_empty(),
        };
        Ok(vec![
            SESSION_BY_TOKEN.entry(&self.token_hash, &by_token)?,
            SESSIONS_BY_USER.entry(&(self.user_id.clone(), self.id.clone()), &())?,
            BY_EXPIRY.entry(&(self.expires, Expiring::Session(self.id.clone())), &())?,
        ])
    }
}

impl Record for TokenRecord {
    type Key = (TokenHash, String);
    const TABLE: Table<(TokenHash, String), Self> = VERIFICATION_TOKENS;

    fn key(&self) -> (TokenHash, String) {
        (self.token_hash, self.identifier.clone())
    }

    fn entries(&self, _: &Indexes) -> Result<Vec<Entry>> {
        let expiring = Expiring::Token(self.token_hash, self.identifier.clone());
        Ok(vec![BY_EXPIRY.entry(&(self.expires, expiring), &())?])
    }
}

impl Record for AuthenticatorRecord {
    type Key = CredentialId;
    const TABLE: Table<CredentialId, Self> = AUTHENTICATORS;

    fn key(&self) -> CredentialId {
        self.model.credential_id.clone()
    }

    fn entries(&self, _: &Indexes) -> Result<Vec<Entry>> {
        let by_user = (self.model.user_id.clone(), self.model.credential_id.clone());
        Ok(vec![AUTHENTICATORS_BY_USER.entry(&by_user, &())?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_table_is_where_its_index_says_and_has_a_name_of_its_own() {
        let mut names = std::collections::BTreeSet::new();
        for (place, table) in TABLES.iter().enumerate() {
            assert_eq!(table.index, place);
            assert!(names.insert(table.name));
        }
    }
}
