//! The bytes of every record and entry, written out: every later version must read what one version has stored.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use crate::kv::codec::enveloped;
use crate::kv::key::Key;
use crate::models::{
    AccountType, Authenticator, Index, Indexes, Millis, NewAccount, NewSession, NewUser, SaveId, TokenHash, UserId,
    VerificationToken,
};
use crate::records::EmailMatching::AsciiCaseInsensitive;
use crate::records::entries::{Record, record_of};
use crate::records::schema::{DELETED_USERS, TABLES, WEB_SESSIONS};
use crate::records::{
    AccountRecord, AuthenticatorRecord, Code, CodeRequest, Email, GuessBudget, OldCode, Owner, Save, Saved,
    SessionRecord, StateRecord, TokenRecord, UserRecord,
};

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
fn a_session_that_the_store_made_and_its_entries_have_these_bytes() {
    const KEY: &str = "026164610000010193e7a45d1c7c3a9f000123456789ab";
    const HASH: &str = "043a718774c572bd8a25adbeb1bfcd5c0256ae11cecf9f9c3f925d0e52beaf89";
    const LISTED: &str = "7fffffffffffffff01026164610000010193e7a45d1c7c3a9f000123456789ab";
    let made = |extra: Own| {
        let session = NewSession { extra, ..NewSession::new("s", "ada", instant(-1)) };
        SessionRecord::new(session, UUID.into(), CREATED).unwrap().made_here()
    };
    must_have_the_rows(
        &made(Own::new()),
        [
            (
                "authkv_sessions",
                KEY,
                "01 ecadb2d8 20043a718774c572bd8a25adbeb1bfcd5c0256ae11cecf9f9c3f925d0e52beaf89 01 fdf654794328030000 fdf654794328030000 02 00",
            ),
            (
                "authkv_session_by_token",
                HASH,
                "01 45bc6ddb 11010193e7a45d1c7c3a9f000123456789ab 0402616461 01 02 fdf654794328030000 00",
            ),
            ("authkv_by_expiry", LISTED, "01 3eb7674f"),
        ],
    );
    must_have_the_rows(
        &made(own()).expiring(Millis::new(253_402_300_799_999), CREATED),
        [
            (
                "authkv_sessions",
                KEY,
                "01 f8bddcee 20043a718774c572bd8a25adbeb1bfcd5c0256ae11cecf9f9c3f925d0e52beaf89 fdfeb73fa4efcc0100 fdf654794328030000 fdf654794328030000 0301 077b226e223a317d",
            ),
            (
                "authkv_session_by_token",
                HASH,
                "01 7976d522 11010193e7a45d1c7c3a9f000123456789ab 0402616461 fdfeb73fa4efcc0100 02 fdf654794328030000 01",
            ),
            ("authkv_by_expiry", LISTED, "01 3eb7674f"),
        ],
    );
}

#[test]
fn a_web_session_and_its_entries_have_these_bytes() {
    const HASH: &str = "043a718774c572bd8a25adbeb1bfcd5c0256ae11cecf9f9c3f925d0e52beaf89";
    let new = |user_id: Option<&str>, data: &[&str], expires| {
        let data = data.iter().map(|name| (name.to_string(), 1.into())).collect();
        let (named, save_id) = (user_id.map(UserId::from), SaveId::new(*b"a save's"));
        Save::new(&"s".into(), named, (None, &data), Millis::new(expires), CREATED, save_id, false).unwrap()
    };
    let nobody = new(None, &[], -1).session;
    must_have_the_rows(
        &nobody,
        [
            (
                "authkv_web_sessions",
                HASH,
                "01 b24d17f7 02 6120736176652773 00 00 01 fdf654794328030000 fdf654794328030000 00 00",
            ),
            ("authkv_by_expiry", &["7fffffffffffffff05", HASH].concat(), "01 27fef6e5"),
        ],
    );
    let ada = new(Some("ada"), &["n"], 253_402_300_799_999);
    let Saved::Changed(saved) = nobody.saved_as(&ada, CREATED).unwrap() else { panic!("it differs") };
    must_have_the_rows(
        &saved,
        [
            (
                "authkv_web_sessions",
                HASH,
                "01 5e38f2cb 02 6120736176652773 00 01 0402616461 fdfeb73fa4efcc0100 fdf654794328030000 fdf654794328030000 0101 077b226e223a317d",
            ),
            ("authkv_by_expiry", &["7fffffffffffffff05", HASH].concat(), "01 27fef6e5"),
            ("authkv_web_sessions_by_user", &["026164610000", HASH].concat(), "01 47bf9ad5"),
        ],
    );
    must_have_the_rows(
        &nobody.owned_by(Owner::Stranger("ada".into())),
        [
            (
                "authkv_web_sessions",
                HASH,
                "01 e4a6430d 02 6120736176652773 00 02 0402616461 01 fdf654794328030000 fdf654794328030000 00 00",
            ),
            ("authkv_by_expiry", &["7fffffffffffffff05", HASH].concat(), "01 27fef6e5"),
        ],
    );
}

#[test]
fn a_web_session_of_format_1_is_read() {
    let body = |owner: &str| [owner, "01 fdf654794328030000 fdf654794328030000 00 00"].concat();
    for (owner, user_id) in [("00", None), ("01 0402616461", Some(UserId::from("ada")))] {
        let body: String = body(owner).split_whitespace().collect();
        let body: Vec<u8> =
            (0..body.len()).step_by(2).map(|at| u8::from_str_radix(&body[at..at + 2], 16).unwrap()).collect();
        let key = TokenHash::of("s").to_bytes();
        let row = enveloped(WEB_SESSIONS.id.name, &key, &body);
        let (_, read) = WEB_SESSIONS.row(&key, &row).unwrap();
        assert_eq!(read.user_id(), user_id.as_ref());
        assert_eq!(read.into_model().unwrap().user_id, user_id);
    }
}

#[test]
fn a_user_who_is_deleted_leaves_this_trace() {
    let row = DELETED_USERS.entry(&UserId::from("ada").trace(), &()).unwrap();
    assert_eq!(hex(&row.key), "c29dcd63a1983dcfb835171f5e81e381d237e077bcfe107f8d3ba39a020cfd6a");
    assert_eq!(hex(&row.value), "0151ba4cd4");
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
fn a_code_of_an_old_format_and_its_entry_have_these_bytes() {
    let hash = TokenHash::within("i", "123456");
    must_have_the_rows(
        &OldCode::new("i".to_owned(), hash, Millis::new(-1), CREATED),
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
fn a_request_for_codes_and_its_entry_have_these_bytes() {
    let (hash, budget) = (TokenHash::within("p", "h"), TokenHash::within("i", "b"));
    let mut request = CodeRequest::new(hash, (Email::new("I".to_owned(), AsciiCaseInsensitive), budget), 4, CREATED);
    let code = |digits, expires, era| Code { hash: budget, digits, expires: Millis::new(expires), era };
    request.codes = vec![code(6, -1, Some(300)), code(12, -2, None)];
    must_have_the_rows(
        &request,
        [
            (
                "authkv_code_requests",
                "4f89737bac617dc5ef046c6919f0f6c572a99ada0a3a832e8009001bb134b125",
                "01 59cf28f4 0149 010169 20a0e56539d513491dcf5214171f4fa18bf524cf3feea9ca8963b583d207bfd6de 04 fdf654794328030000 02 \
                 20a0e56539d513491dcf5214171f4fa18bf524cf3feea9ca8963b583d207bfd6de 06 01 01fb2c01 \
                 20a0e56539d513491dcf5214171f4fa18bf524cf3feea9ca8963b583d207bfd6de 0c 03 00",
            ),
            (
                "authkv_by_expiry",
                "7fffffffffffffff064f89737bac617dc5ef046c6919f0f6c572a99ada0a3a832e8009001bb134b125",
                "01 88d09d82",
            ),
        ],
    );
}

#[test]
fn a_budget_and_its_entry_have_these_bytes() {
    let mut budget = GuessBudget::new(TokenHash::within("i", "b"));
    budget.reserve(Millis::new(-1), 1_000_000, 300);
    budget.give_back(Millis::new(-1), 500_000);
    budget.lose(CREATED, 1);
    must_have_the_rows(
        &budget,
        [
            (
                "authkv_guess_budgets",
                "a0e56539d513491dcf5214171f4fa18bf524cf3feea9ca8963b583d207bfd6de",
                "01 645721f8 01fb2c01 00 01 01fc20a10700 01 fc6091b00001 01 fcc8b60e0001 01 fbf29c01",
            ),
            (
                "authkv_by_expiry",
                "80000194becea00007a0e56539d513491dcf5214171f4fa18bf524cf3feea9ca8963b583d207bfd6de",
                "01 74fde3a3",
            ),
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
fn a_key_that_was_used_and_its_entry_have_these_bytes() {
    must_have_the_rows(
        &StateRecord::used("p", "k", Millis::new(-1), CREATED).unwrap(),
        [
            (
                "authkv_states",
                "a62642acfe20ed32435884facdc938dfbbf8adb82c781f35200d540944a11857",
                "01 82528c28 01 fdf654794328030000 00",
            ),
            (
                "authkv_by_expiry",
                "7fffffffffffffff04a62642acfe20ed32435884facdc938dfbbf8adb82c781f35200d540944a11857",
                "01 48caa348",
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

/// Asserts that the record and its entries are stored as these rows, in hexadecimal, and that the record is read from
/// its row.
#[track_caller]
fn must_have_the_rows<R: Record, const N: usize>(record: &R, rows: [(&str, &str, &str); N]) {
    let row = R::TABLE.entry(&record.key(), record).unwrap();
    let entries = record.entries(&declared()).unwrap();
    for entry in &entries {
        assert!(record_of(entry.table, &entry.key, &entry.value) == Some((row.table, row.key.clone())));
    }
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
