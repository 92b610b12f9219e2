//! The tables, and what each record puts into them.
//!
//! ```text
//! record tables                        key                           value
//!   users                              user id                       user
//!   accounts                           account id                    account
//!   sessions                           user id, session id           session
//!   verification_tokens                token hash, identifier        verification token
//!   authenticators                     credential id                 authenticator
//!   codes                              identifier                    code
//!   states                             handle hash                   state
//!   web_sessions                       token hash                    web session
//!
//! indexes, computed from the records
//!   user_by_email                      e-mail in normal form         user id
//!   account_by_provider                provider, provider account id account id, user id
//!   session_by_token                   token hash                    session id, user id, expires, has own fields
//!   accounts_by_user                   user id, account id           -
//!   authenticators_by_user             user id, credential id        -
//!   by_expiry                          expires, session, token,      -
//!                                      code, state or web session
//!   user_by_field                      field, its value, user id     -
//!   account_by_field                   field, its value, account id  -
//!   web_sessions_by_user               user id, token hash           -
//!
//! others
//!   sweep                              id of a deleted user whose    -
//!                                      accounts, authenticators, sessions and web sessions are not all removed yet
//!   meta                               a row for each setting        see `ops::meta`
//! ```
//!
//! In redb each name is prefixed with `authkv_`. A record is the truth; an index entry may repeat the few fields that
//! a hot read needs. Nothing but [`replace`] writes the record tables and indexes.

use std::borrow::Cow;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::kv::key::{Expiring, Key};
use crate::kv::txn::{Entry, Table, TableId, Txn};
use crate::models::TokenHash;
use crate::models::{
    AccountId, CredentialId, FieldKey, Fields, Index, Indexes, Millis, ProviderAccountId, SessionId, UserId,
};
use crate::records::{
    AccountRecord, AuthenticatorRecord, CodeRecord, SessionRecord, StateRecord, TokenRecord, UserRecord,
    WebSessionRecord,
};

macro_rules! tables {
    ($($index:literal $constant:ident $name:literal $key:ty => $value:ty $(, $keyed:expr)?;)*) => {
        $(
            pub(crate) const $constant: Table<$key, $value> = {
                let table: Table<$key, $value> = Table::new($index, concat!("authkv_", $name));
                $(let table = table.keyed($keyed);)?
                table
            };
        )*

        /// Every table, at the place that its index says.
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
    15 CODES "codes" String => CodeRecord, |code, identifier| code.identifier = identifier.clone();
    16 STATES "states" TokenHash => StateRecord, |state, hash| state.handle_hash = *hash;
    17 WEB_SESSIONS "web_sessions" TokenHash => WebSessionRecord,
        |session, hash| session.token_hash = *hash;
    18 WEB_SESSIONS_BY_USER "web_sessions_by_user" (UserId, TokenHash) => ();
}

/// What the read on every request needs of a session, so that it need not read the session itself.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct SessionEntry {
    pub(crate) id: SessionId,
    pub(crate) user_id: UserId,
    pub(crate) expires: Millis,
    /// Whether the session has the application's own fields, which only the record has.
    pub(crate) has_extra: bool,
}

impl SessionEntry {
    pub(crate) fn is_valid(&self, now: Millis) -> bool {
        now <= self.expires
    }
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

/// Changes rows of a table as they are in another store.
#[cfg(feature = "etcd")]
pub(crate) fn change_rows(txn: &mut Txn<'_>, table: TableId, changes: &[(Vec<u8>, Option<Vec<u8>>)]) {
    for (key, value) in changes.iter().cloned() {
        match value {
            Some(value) => txn.put_entry(Entry { table, key, value }),
            None => txn.remove_bytes(table, key),
        }
    }
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
    type Key = (UserId, SessionId);
    const TABLE: Table<(UserId, SessionId), Self> = SESSIONS;

    fn key(&self) -> (UserId, SessionId) {
        (self.user_id.clone(), self.id.clone())
    }

    fn entries(&self, _: &Indexes) -> Result<Vec<Entry>> {
        let by_token = SessionEntry {
            id: self.id.clone(),
            user_id: self.user_id.clone(),
            expires: self.lifetime.expires,
            has_extra: !self.extra.is_empty(),
        };
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

    fn entries(&self, _: &Indexes) -> Result<Vec<Entry>> {
        let by_expiry = (self.lifetime.listed(), Expiring::WebSession(self.token_hash));
        let mut entries = vec![BY_EXPIRY.entry(&by_expiry, &())?];
        if let Some(user_id) = &self.user_id {
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

impl Record for CodeRecord {
    type Key = String;
    const TABLE: Table<String, Self> = CODES;

    fn key(&self) -> String {
        self.identifier.clone()
    }

    fn entries(&self, _: &Indexes) -> Result<Vec<Entry>> {
        Ok(vec![BY_EXPIRY.entry(&(self.expires, Expiring::Code(self.identifier.clone())), &())?])
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

    fn entries(&self, _: &Indexes) -> Result<Vec<Entry>> {
        let by_user = (self.model.user_id.clone(), self.model.credential_id.clone());
        Ok(vec![AUTHENTICATORS_BY_USER.entry(&by_user, &())?])
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::BTreeMap;

    use chrono::{DateTime, Utc};

    use super::*;
    use crate::models::{AccountType, Authenticator, NewAccount, NewSession, NewUser, VerificationToken};
    use crate::records::EmailMatching::AsciiCaseInsensitive;

    const UUID: &str = "0193e7a4-5d1c-7c3a-9f00-0123456789ab";
    const CREATED: Millis = Millis::new(1_735_732_800_123);

    type Own = BTreeMap<String, u8>;

    #[test]
    fn each_table_is_where_its_index_says_and_has_a_name_of_its_own() {
        let mut names = std::collections::BTreeSet::new();
        for (place, table) in TABLES.iter().enumerate() {
            assert_eq!(table.index, place);
            assert!(names.insert(table.name));
        }
    }

    #[test]
    fn a_user_and_its_entries_have_these_bytes() {
        let user = NewUser {
            id: None,
            name: Some("Ada".into()),
            email: Some("Ada@x".into()),
            email_verified: Some(instant(-1)),
            image: Some("i".into()),
            extra: own(),
        };
        let user = UserRecord::new(user, || UUID.into(), AsciiCaseInsensitive, CREATED).unwrap();
        must_have_the_rows(
            &user,
            [
                (
                    "authkv_users",
                    "010193e7a45d1c7c3a9f000123456789ab",
                    "01 da215f8c 0103416461 01054164614078 01056164614078 0101 010169 fdf654794328030000 00 077b226e223a317d",
                ),
                (
                    "authkv_user_by_field",
                    "6e00000280000000000000000000000000000001010193e7a45d1c7c3a9f000123456789ab",
                    "01 ce4a88b3",
                ),
                ("authkv_user_by_email", "61646140780000", "01 99f3c009 11010193e7a45d1c7c3a9f000123456789ab"),
            ],
        );
        let nobody = UserRecord::new(NewUser::<()>::default(), || "ada".into(), AsciiCaseInsensitive, CREATED).unwrap();
        must_have_the_rows(
            &nobody.signed_out(),
            [("authkv_users", "026164610000", "01 c2de0d5d 00 00 00 00 fdf654794328030000 01 00")],
        );
    }

    #[test]
    fn an_account_and_its_entries_have_these_bytes() {
        let account = NewAccount::<()> {
            access_token: Some("t1".into()),
            refresh_token: Some("t2".into()),
            id_token: Some("t3".into()),
            expires_at: Some(300),
            token_type: Some("b".into()),
            scope: Some("s".into()),
            session_state: Some("st".into()),
            ..NewAccount::new("ada", AccountType::Webauthn, "p", 7_u64)
        };
        must_have_the_rows(
            &AccountRecord::new(account, || "a\0".into(), CREATED).unwrap(),
            [
                (
                    "authkv_accounts",
                    "026100010000",
                    "01 4ebed714 0402616461 03 0170 020237 01027431 01027432 01027433 01fb5802 010162 010173 01027374 fdf654794328030000 00",
                ),
                ("authkv_account_by_provider", "70000002370000", "01 2ea5c2bb 03026100 0402616461"),
                ("authkv_accounts_by_user", "026164610000026100010000", "01 aa17fcaf"),
            ],
        );
    }

    #[test]
    fn a_session_and_its_entries_have_these_bytes() {
        let session = NewSession { extra: own(), ..NewSession::new("s", "ada", instant(-1)) };
        let session = SessionRecord::new(session, UUID.into(), CREATED).unwrap();
        must_have_the_rows(
            &session.expiring(Millis::new(253_402_300_799_999), CREATED),
            [
                (
                    "authkv_sessions",
                    "026164610000010193e7a45d1c7c3a9f000123456789ab",
                    "01 c56d29ea 20043a718774c572bd8a25adbeb1bfcd5c0256ae11cecf9f9c3f925d0e52beaf89 fdfeb73fa4efcc0100 fdf654794328030000 fdf654794328030000 0101 077b226e223a317d",
                ),
                (
                    "authkv_session_by_token",
                    "043a718774c572bd8a25adbeb1bfcd5c0256ae11cecf9f9c3f925d0e52beaf89",
                    "01 d58be1c8 11010193e7a45d1c7c3a9f000123456789ab 0402616461 fdfeb73fa4efcc0100 01",
                ),
                ("authkv_by_expiry", "7fffffffffffffff01026164610000010193e7a45d1c7c3a9f000123456789ab", "01 3eb7674f"),
            ],
        );
    }

    #[test]
    fn a_web_session_and_its_entries_have_these_bytes() {
        const HASH: &str = "043a718774c572bd8a25adbeb1bfcd5c0256ae11cecf9f9c3f925d0e52beaf89";
        let new = |user_id: Option<&str>, data: &[&str], expires| {
            let data = data.iter().map(|name| (name.to_string(), 1.into())).collect();
            WebSessionRecord::new(&"s".into(), user_id.map(UserId::from), &data, Millis::new(expires), CREATED).unwrap()
        };
        let nobody = new(None, &[], -1);
        must_have_the_rows(
            &nobody,
            [
                ("authkv_web_sessions", HASH, "01 fbae10f6 00 01 fdf654794328030000 fdf654794328030000 00 00"),
                ("authkv_by_expiry", &["7fffffffffffffff05", HASH].concat(), "01 27fef6e5"),
            ],
        );
        let ada = new(Some("ada"), &["n"], 253_402_300_799_999);
        must_have_the_rows(
            &nobody.saved_as(&ada, CREATED).unwrap(),
            [
                (
                    "authkv_web_sessions",
                    HASH,
                    "01 163f0bcb 01 0402616461 fdfeb73fa4efcc0100 fdf654794328030000 fdf654794328030000 0101 077b226e223a317d",
                ),
                ("authkv_by_expiry", &["7fffffffffffffff05", HASH].concat(), "01 27fef6e5"),
                ("authkv_web_sessions_by_user", &["026164610000", HASH].concat(), "01 47bf9ad5"),
            ],
        );
    }

    #[test]
    fn a_verification_token_and_its_entry_have_these_bytes() {
        let token = VerificationToken::<()>::new("i", "s", instant(-1));
        must_have_the_rows(
            &TokenRecord::new(&token, CREATED).unwrap(),
            [
                (
                    "authkv_verification_tokens",
                    "043a718774c572bd8a25adbeb1bfcd5c0256ae11cecf9f9c3f925d0e52beaf89690000",
                    "01 05c5601b 01 fdf654794328030000 00",
                ),
                (
                    "authkv_by_expiry",
                    "7fffffffffffffff02043a718774c572bd8a25adbeb1bfcd5c0256ae11cecf9f9c3f925d0e52beaf89690000",
                    "01 4ec11407",
                ),
            ],
        );
    }

    #[test]
    fn a_code_and_its_entry_have_these_bytes() {
        let hash = TokenHash::within("i", "123456");
        let code = CodeRecord::new("i".to_owned(), hash, Millis::new(-1), CREATED).unwrap();
        must_have_the_rows(
            &code.with_wrong_guesses(4),
            [
                (
                    "authkv_codes",
                    "690000",
                    "01 1c68e75c 2031fa102b95f61238592c3a7182f8f9e648c1f88a6c4a6953f256df380deeb528 01 fdf654794328030000 04",
                ),
                ("authkv_by_expiry", "7fffffffffffffff03690000", "01 c56a80a5"),
            ],
        );
    }

    #[test]
    fn a_state_and_its_entry_have_these_bytes() {
        let hash = TokenHash::within("p", "h");
        must_have_the_rows(
            &StateRecord::new(hash, r#"{"a":1}"#.to_owned(), Millis::new(-1), CREATED),
            [
                (
                    "authkv_states",
                    "4f89737bac617dc5ef046c6919f0f6c572a99ada0a3a832e8009001bb134b125",
                    "01 e959ff5f 01 fdf654794328030000 077b2261223a317d",
                ),
                (
                    "authkv_by_expiry",
                    "7fffffffffffffff044f89737bac617dc5ef046c6919f0f6c572a99ada0a3a832e8009001bb134b125",
                    "01 6ef178ef",
                ),
            ],
        );
    }

    #[test]
    fn an_authenticator_and_its_entry_have_these_bytes() {
        let authenticator = Authenticator {
            credential_id: "c".into(),
            user_id: "ada".into(),
            provider_account_id: "7".into(),
            credential_public_key: "k".into(),
            counter: 70_000,
            credential_device_type: "d".into(),
            credential_backed_up: true,
            transports: Some("usb".into()),
        };
        must_have_the_rows(
            &AuthenticatorRecord::new(authenticator, CREATED).unwrap(),
            [
                (
                    "authkv_authenticators",
                    "02630000",
                    "01 5f0fbf2a 020263 0402616461 020237 016b fc70110100 0164 01 0103757362 fdf654794328030000",
                ),
                ("authkv_authenticators_by_user", "02616461000002630000", "01 b40147b3"),
            ],
        );
    }

    /// The record and then its entries are stored as these rows, in hexadecimal, and the record is read from its row.
    #[track_caller]
    fn must_have_the_rows<R: Record, const N: usize>(record: &R, rows: [(&str, &str, &str); N]) {
        let row = R::TABLE.entry(&record.key(), record).unwrap();
        let entries = record.entries(&declared()).unwrap();
        let found = [&row].into_iter().chain(&entries).map(|row| (row.table.name, hex(&row.key), hex(&row.value)));
        let expected = rows.map(|(table, key, value)| (table, key.to_owned(), value.split_whitespace().collect()));
        assert_eq!(found.collect::<Vec<_>>(), expected);
        let (key, read) = R::TABLE.row(&row.key, &row.value).unwrap();
        assert!(R::TABLE.entry(&read.key(), &read).unwrap() == row && read.entries(&declared()).unwrap() == entries);
        assert_eq!(key.to_bytes(), row.key);
    }

    /// An index on the field of [`own`].
    fn declared() -> Indexes {
        Indexes { users: vec![Index::new("n")], accounts: vec![Index::unique("n")] }
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn own() -> Own {
        [("n".to_owned(), 1)].into()
    }

    fn instant(millis: i64) -> DateTime<Utc> {
        Millis::new(millis).to_instant().unwrap()
    }
}
