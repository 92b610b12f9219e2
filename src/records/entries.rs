//! The rows of each record: the record itself, and its index entries.

use std::borrow::Cow;
use std::ops::Bound;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::expiring::Expiring;
use super::schema::{
    ACCOUNT_BY_FIELD, ACCOUNT_BY_PROVIDER, ACCOUNTS, ACCOUNTS_BY_USER, AUTHENTICATORS, AUTHENTICATORS_BY_USER,
    BY_EXPIRY, CODE_REQUESTS, CODES, GUESS_BUDGETS, SESSION_BY_TOKEN, SESSIONS, STATES, SessionEntry, SessionRest,
    USER_BY_EMAIL, USER_BY_FIELD, USERS, VERIFICATION_TOKENS, WEB_SESSIONS, WEB_SESSIONS_BY_USER,
};
use super::{
    AccountRecord, AuthenticatorRecord, CodeRequest, GuessBudget, OldCode, SessionRecord, StateRecord, TokenRecord,
    UserRecord, WebSessionRecord,
};
use crate::error::Result;
use crate::kv::key::Key;
use crate::kv::table::{Entry, Table, TableId};
use crate::kv::txn::Txn;
use crate::models::{AccountId, CredentialId, FieldKey, Fields, Index, Indexes, SessionId, TokenHash, UserId};

/// A record that knows its table, its key and its index entries.
pub(crate) trait Record: Serialize + DeserializeOwned + 'static {
    type Key: Key;
    const TABLE: Table<Self::Key, Self>;

    fn key(&self) -> Self::Key;
    /// The user to whom the record belongs, if it belongs to one.
    fn owner(&self) -> Option<&UserId> {
        None
    }
    /// The record's entries in the indexes that every store has, and in those that the application declares.
    fn entries(&self, indexes: &Indexes) -> Result<Vec<Entry>>;
}

/// A record with own fields that an application may index.
pub(crate) trait FieldIndexed: Record {
    const BY_FIELD: Table<((String, FieldKey), Self::Key), ()>;

    fn indexes(indexes: &Indexes) -> &[Index];
    fn fields(&self) -> &Fields;

    fn field_entries(&self, indexes: &Indexes) -> Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for index in Self::indexes(indexes) {
            if let Some(value) = self.fields().key(&index.field)? {
                entries.push(Self::BY_FIELD.entry(&((index.field.clone().into_owned(), value), self.key()), &())?);
            }
        }
        Ok(entries)
    }

    /// The record's values in unique indexes.
    fn unique_values(&self, indexes: &Indexes) -> Result<Vec<(Cow<'static, str>, FieldKey)>> {
        let mut values = Vec::new();
        for index in Self::indexes(indexes).iter().filter(|index| index.unique) {
            if let Some(value) = self.fields().key(&index.field)? {
                values.push((index.field.clone(), value));
            }
        }
        Ok(values)
    }
}

/// Writes, changes or removes a record and its index entries. The caller has already checked the unique keys.
pub(crate) fn replace<R: Record>(txn: &mut Txn<'_>, old: Option<&R>, new: Option<&R>) -> Result<()> {
    let entries = |record: Option<&R>| record.map_or(Ok(Vec::new()), |record| record.entries(txn.indexes()));
    let (old_entries, new_entries) = (entries(old)?, entries(new)?);
    if let Some(old) = old {
        txn.remove(&R::TABLE, &old.key());
    }
    if let Some(new) = new {
        txn.put(&R::TABLE, &new.key(), new)?;
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

/// Writes rows of a table exactly as they are in another store.
#[cfg(feature = "etcd")]
pub(crate) fn change_rows(txn: &mut Txn<'_>, table: TableId, changes: &[(Vec<u8>, Option<Vec<u8>>)]) {
    for (key, value) in changes.iter().cloned() {
        change_row(txn, table, key, value);
    }
}

/// Writes or removes a row of any table by its bytes. For a repair, which knows them from sound records.
pub(crate) fn change_row(txn: &mut Txn<'_>, table: TableId, key: Vec<u8>, value: Option<Vec<u8>>) {
    match value {
        Some(value) => txn.put_entry(Entry { table, key, value }),
        None => txn.remove_bytes(table, key),
    }
}

/// The table and the key of the record that an entry names. Only that record can come to have the entry while the entry
/// stays as it is. `None` if the entry is damaged: then it does not stay as it is when a record comes to have it.
pub(crate) fn record_of(index: TableId, key: &[u8], value: &[u8]) -> Option<(TableId, Vec<u8>)> {
    fn named<K: Key, V: DeserializeOwned>(table: &Table<K, V>, key: &[u8], value: &[u8]) -> Option<(K, V)> {
        table.row(key, value).ok()
    }

    let is = |table: TableId| table == index;
    let record = if is(USER_BY_EMAIL.id) {
        (USERS.id, named(&USER_BY_EMAIL, key, value)?.1.to_bytes())
    } else if is(USER_BY_FIELD.id) {
        (USERS.id, named(&USER_BY_FIELD, key, value)?.0.1.to_bytes())
    } else if is(ACCOUNT_BY_PROVIDER.id) {
        (ACCOUNTS.id, named(&ACCOUNT_BY_PROVIDER, key, value)?.1.0.to_bytes())
    } else if is(ACCOUNTS_BY_USER.id) {
        (ACCOUNTS.id, named(&ACCOUNTS_BY_USER, key, value)?.0.1.to_bytes())
    } else if is(ACCOUNT_BY_FIELD.id) {
        (ACCOUNTS.id, named(&ACCOUNT_BY_FIELD, key, value)?.0.1.to_bytes())
    } else if is(SESSION_BY_TOKEN.id) {
        let entry = named(&SESSION_BY_TOKEN, key, value)?.1;
        (SESSIONS.id, (entry.user_id, entry.id).to_bytes())
    } else if is(AUTHENTICATORS_BY_USER.id) {
        (AUTHENTICATORS.id, named(&AUTHENTICATORS_BY_USER, key, value)?.0.1.to_bytes())
    } else if is(WEB_SESSIONS_BY_USER.id) {
        (WEB_SESSIONS.id, named(&WEB_SESSIONS_BY_USER, key, value)?.0.1.to_bytes())
    } else if is(BY_EXPIRY.id) {
        expiring_record(named(&BY_EXPIRY, key, value)?.0.1)
    } else {
        return None;
    };
    Some(record)
}

fn expiring_record(expiring: Expiring) -> (TableId, Vec<u8>) {
    match expiring {
        Expiring::Session(user_id, id) => (SESSIONS.id, (user_id, id).to_bytes()),
        Expiring::Token(hash, identifier) => (VERIFICATION_TOKENS.id, (hash, identifier).to_bytes()),
        Expiring::OldCode(identifier) => (CODES.id, identifier.to_bytes()),
        Expiring::State(hash) => (STATES.id, hash.to_bytes()),
        Expiring::WebSession(hash) => (WEB_SESSIONS.id, hash.to_bytes()),
        Expiring::CodeRequest(hash) => (CODE_REQUESTS.id, hash.to_bytes()),
        Expiring::GuessBudget(hash) => (GUESS_BUDGETS.id, hash.to_bytes()),
    }
}

/// Removes an entry of the expiry index that is damaged or of no sound record, by the bytes of its key.
pub(crate) fn drop_expiry_entry(txn: &mut Txn<'_>, entry: Vec<u8>) {
    txn.remove_bytes(BY_EXPIRY.id, entry);
}

/// Removes entries of the indexes on own fields. Returns true if any may be left.
pub(crate) fn clear_field_indexes(txn: &mut Txn<'_>, limit: usize) -> Result<bool> {
    let users_left = clear(txn, &USER_BY_FIELD, limit)?;
    Ok(clear(txn, &ACCOUNT_BY_FIELD, limit)? || users_left)
}

fn clear<K: Key>(txn: &mut Txn<'_>, index: &Table<K, ()>, limit: usize) -> Result<bool> {
    // The entries are computed anew, so a damaged one holds nothing up.
    let rows = txn.rows_or_damaged(index, (Bound::Unbounded, Bound::Unbounded), limit)?;
    let is_full = rows.len() == limit;
    rows.into_iter().for_each(|(key, _)| txn.remove_bytes(index.id, key));
    Ok(is_full)
}

impl Record for UserRecord {
    type Key = UserId;
    const TABLE: Table<UserId, Self> = USERS;

    fn key(&self) -> UserId {
        self.id.clone()
    }

    fn entries(&self, indexes: &Indexes) -> Result<Vec<Entry>> {
        let mut entries = self.field_entries(indexes)?;
        if let Some(email) = &self.email {
            entries.push(USER_BY_EMAIL.entry(email.normal_form(), &self.id)?);
        }
        Ok(entries)
    }
}

impl FieldIndexed for UserRecord {
    const BY_FIELD: Table<((String, FieldKey), UserId), ()> = USER_BY_FIELD;

    fn indexes(indexes: &Indexes) -> &[Index] {
        &indexes.users
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

    fn owner(&self) -> Option<&UserId> {
        Some(&self.user_id)
    }

    fn entries(&self, indexes: &Indexes) -> Result<Vec<Entry>> {
        let provider_account = (self.provider.clone(), self.provider_account_id.clone());
        let mut entries = self.field_entries(indexes)?;
        entries.push(ACCOUNT_BY_PROVIDER.entry(&provider_account, &(self.id.clone(), self.user_id.clone()))?);
        entries.push(ACCOUNTS_BY_USER.entry(&(self.user_id.clone(), self.id.clone()), &())?);
        Ok(entries)
    }
}

impl FieldIndexed for AccountRecord {
    const BY_FIELD: Table<((String, FieldKey), AccountId), ()> = ACCOUNT_BY_FIELD;

    fn indexes(indexes: &Indexes) -> &[Index] {
        &indexes.accounts
    }

    fn fields(&self) -> &Fields {
        &self.extra
    }
}

impl Record for SessionRecord {
    type Key = (UserId, SessionId);
    const TABLE: Table<(UserId, SessionId), Self> = SESSIONS;

    fn key(&self) -> (UserId, SessionId) {
        (self.user_id.clone(), self.id.clone())
    }

    fn owner(&self) -> Option<&UserId> {
        Some(&self.user_id)
    }

    fn entries(&self, _: &Indexes) -> Result<Vec<Entry>> {
        let rest = match (self.lifetime.extended_here(), !self.extra.is_empty()) {
            (None, false) => SessionRest::Plain,
            (None, true) => SessionRest::WithExtra,
            (Some(extended), has_extra) => SessionRest::MadeHere { extended, has_extra },
        };
        let (id, user_id) = (self.id.clone(), self.user_id.clone());
        let by_token = SessionEntry { id, user_id, expires: self.lifetime.expires, rest };
        Ok(vec![
            SESSION_BY_TOKEN.entry(&self.token_hash, &by_token)?,
            BY_EXPIRY
                .entry(&(self.lifetime.listed(), Expiring::Session(self.user_id.clone(), self.id.clone())), &())?,
        ])
    }
}

impl Record for WebSessionRecord {
    type Key = TokenHash;
    const TABLE: Table<TokenHash, Self> = WEB_SESSIONS;

    fn key(&self) -> TokenHash {
        self.token_hash
    }

    fn owner(&self) -> Option<&UserId> {
        self.user_id()
    }

    fn entries(&self, _: &Indexes) -> Result<Vec<Entry>> {
        let by_expiry = (self.lifetime.listed(), Expiring::WebSession(self.token_hash));
        let mut entries = vec![BY_EXPIRY.entry(&by_expiry, &())?];
        if let Some(user_id) = self.user_id() {
            entries.push(WEB_SESSIONS_BY_USER.entry(&(user_id.clone(), self.token_hash), &())?);
        }
        Ok(entries)
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

impl Record for CodeRequest {
    type Key = TokenHash;
    const TABLE: Table<TokenHash, Self> = CODE_REQUESTS;

    fn key(&self) -> TokenHash {
        self.request
    }

    fn entries(&self, _: &Indexes) -> Result<Vec<Entry>> {
        Ok(vec![BY_EXPIRY.entry(&(self.expires(), Expiring::CodeRequest(self.request)), &())?])
    }
}

impl Record for GuessBudget {
    type Key = TokenHash;
    const TABLE: Table<TokenHash, Self> = GUESS_BUDGETS;

    fn key(&self) -> TokenHash {
        self.address
    }

    fn entries(&self, _: &Indexes) -> Result<Vec<Entry>> {
        Ok(vec![BY_EXPIRY.entry(&(self.expires(), Expiring::GuessBudget(self.address)), &())?])
    }
}

impl Record for OldCode {
    type Key = String;
    const TABLE: Table<String, Self> = CODES;

    fn key(&self) -> String {
        self.identifier.clone()
    }

    fn entries(&self, _: &Indexes) -> Result<Vec<Entry>> {
        Ok(vec![BY_EXPIRY.entry(&(self.expires, Expiring::OldCode(self.identifier.clone())), &())?])
    }
}

impl Record for StateRecord {
    type Key = TokenHash;
    const TABLE: Table<TokenHash, Self> = STATES;

    fn key(&self) -> TokenHash {
        self.handle_hash
    }

    fn entries(&self, _: &Indexes) -> Result<Vec<Entry>> {
        Ok(vec![BY_EXPIRY.entry(&(self.expires, Expiring::State(self.handle_hash)), &())?])
    }
}

impl Record for AuthenticatorRecord {
    type Key = CredentialId;
    const TABLE: Table<CredentialId, Self> = AUTHENTICATORS;

    fn key(&self) -> CredentialId {
        self.model.credential_id.clone()
    }

    fn owner(&self) -> Option<&UserId> {
        Some(&self.model.user_id)
    }

    fn entries(&self, _: &Indexes) -> Result<Vec<Entry>> {
        let by_user = (self.model.user_id.clone(), self.model.credential_id.clone());
        Ok(vec![AUTHENTICATORS_BY_USER.entry(&by_user, &())?])
    }
}
