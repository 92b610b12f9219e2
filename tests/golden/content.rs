//! The contents of the golden files. The program that makes the files writes them, and the test expects them. Once the
//! format is released they must never change; additions of a later format belong in further files.
#![allow(clippy::expect_used)]

use std::collections::BTreeMap;

use authkv::models::{
    AccountType, Authenticator, Index, Models, NewAccount, NewSession, NewUser, ProviderAccountId, UserId,
    VerificationToken, WebSessionData,
};
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// Of each format, the oldest first: the file without models, and the file with the models of [`Shop`].
pub(crate) const FILES: [[&str; 2]; 5] = [
    ["format-1.redb", "format-1-models.redb"],
    ["format-2.redb", "format-2-models.redb"],
    ["format-3.redb", "format-3-models.redb"],
    ["format-4.redb", "format-4-models.redb"],
    ["format-5.redb", "format-5-models.redb"],
];

pub(crate) const UUID: &str = "0193e7a4-5d1c-7c3a-9f00-0123456789ab";
pub(crate) const ADA: &str = "ada";
pub(crate) const EMOJI: &str = "👩‍👩‍👧\0id";

/// The store's time when the files were made: 2025-01-01 12:00:00.123.
pub(crate) fn now() -> DateTime<Utc> {
    instant(1_735_732_800_123)
}

fn instant(millis: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(millis).expect("it is in the calendar")
}

/// Models with own fields of each kind.
pub(crate) struct Shop;

impl Models for Shop {
    const NAME: &'static str = "shop";
    const VERSION: u32 = 3;
    type User = Profile;
    type Account = Texts;
    type Session = Device;
    type VerificationToken = Texts;
    const USER_INDEXES: &'static [Index] = &[Index::unique("phoneNumber"), Index::new("logins"), Index::new("balance")];
    const ACCOUNT_INDEXES: &'static [Index] = &[Index::unique("__proto__2")];
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Profile {
    pub(crate) phone_number: Option<String>,
    pub(crate) logins: u64,
    pub(crate) balance: i64,
    pub(crate) height: f64,
    pub(crate) tags: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Device {
    Phone { model: String },
    Desktop { trusted: bool },
}

pub(crate) type Texts = BTreeMap<String, String>;

/// The own fields of the record with this number.
pub(crate) trait Numbered {
    fn number(n: u8) -> Self;
}

impl Numbered for () {
    fn number(_: u8) -> Self {}
}

impl Numbered for Profile {
    fn number(n: u8) -> Self {
        Self {
            phone_number: (n != 0).then(|| format!("+44 20 7946 00{n:02}")),
            logins: u64::MAX - u64::from(n),
            balance: -i64::from(n),
            height: 632.0 / 7.0 + f64::from(n),
            tags: vec!["\u{0}".to_owned(); n.into()],
        }
    }
}

impl Numbered for Device {
    fn number(n: u8) -> Self {
        if n == 0 { Self::Desktop { trusted: true } } else { Self::Phone { model: format!("\"{n}\"") } }
    }
}

impl Numbered for Texts {
    fn number(n: u8) -> Self {
        (0..n).map(|n| (format!("__proto__{n}"), "é".repeat(n.into()))).collect()
    }
}

pub(crate) fn users<X: Numbered>() -> Vec<NewUser<X>> {
    let full = NewUser {
        id: Some(UUID.into()),
        name: Some("Ada Lovelace 👩‍💻".into()),
        email: Some("Ada@Example.com".into()),
        email_verified: Some(instant(-1)),
        image: Some("https://example.com/ada.png".into()),
        extra: X::number(0),
    };
    let email = NewUser { id: Some(ADA.into()), email: Some("äda@example.com".into()), ..nothing(1) };
    let verified = NewUser { email_verified: Some(now()), ..nothing(2) };
    let verified = NewUser { id: Some("0193E7A4-5D1C-7C3A-9F00-0123456789AB".into()), ..verified };
    let named = NewUser { id: Some(EMOJI.into()), name: Some(String::new()), ..nothing(3) };
    let pictured = NewUser { id: Some("x".repeat(512).into()), image: Some("y".repeat(64 << 10)), ..nothing(4) };
    vec![full, email, verified, named, pictured]
}

fn nothing<X: Numbered>(n: u8) -> NewUser<X> {
    NewUser { id: None, name: None, email: None, email_verified: None, image: None, extra: X::number(n) }
}

pub(crate) fn accounts<X: Numbered>() -> Vec<NewAccount<X>> {
    let full = NewAccount {
        access_token: Some("gho_access".into()),
        refresh_token: Some("refresh".into()),
        id_token: Some("a.b.c".into()),
        expires_at: Some(1_735_736_400),
        token_type: Some("bearer".into()),
        scope: Some("read:user".into()),
        session_state: Some("state".into()),
        ..account(0, UUID, AccountType::Oauth, "github", 583_231_u64)
    };
    let expired = NewAccount { expires_at: Some(-1), ..account(1, UUID, AccountType::Oidc, "a", "b:c") };
    vec![
        full,
        expired,
        account(2, ADA, AccountType::Email, "a:b", "c"),
        account(3, EMOJI, AccountType::Webauthn, "passkey", "credential"),
    ]
}

fn account<X: Numbered>(
    n: u8,
    user_id: &str,
    account_type: AccountType,
    provider: &str,
    provider_account_id: impl Into<ProviderAccountId>,
) -> NewAccount<X> {
    NewAccount {
        id: Some(format!("account {n}").into()),
        user_id: user_id.into(),
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
        extra: X::number(n),
    }
}

/// One session that is valid up to the year 2200, one that has expired, and one from before 1970.
pub(crate) fn sessions<X: Numbered>() -> Vec<NewSession<X>> {
    let session = |n, token: &str, user_id: &str, expires| NewSession {
        session_token: token.into(),
        user_id: UserId::from(user_id),
        expires,
        extra: X::number(n),
    };
    vec![
        session(0, "session-token", UUID, instant(7_258_118_400_999)),
        session(1, "expired", UUID, now() - TimeDelta::milliseconds(1)),
        session(2, "old\0", ADA, instant(-86_400_000)),
    ]
}

pub(crate) fn verification_tokens<X: Numbered>() -> Vec<VerificationToken<X>> {
    let token = |n, identifier: &str, token: &str, expires| VerificationToken {
        identifier: identifier.into(),
        token: token.into(),
        expires,
        extra: X::number(n),
    };
    vec![
        token(0, "ada@example.com", "verification-token", instant(7_258_118_400_000)),
        token(1, "Ada@Example.com", "verification-token", now()),
        token(2, "+44 20 7946 0018", "123456", instant(0)),
    ]
}

/// The addresses of codes, and when they expire. The store makes the codes, and nobody knows them.
/// Files of format 1 to 4 have one for each address, which works no longer.
pub(crate) fn codes() -> [(&'static str, DateTime<Utc>); 2] {
    let [late, early] = expiries();
    [("Ada@Example.com", late), ("+44 20 7946 0018", early)]
}

/// When codes and states expire: long after the files were made, and before.
pub(crate) fn expiries() -> [DateTime<Utc>; 2] {
    [now() + TimeDelta::days(64_000), now() - TimeDelta::milliseconds(1)]
}

/// The tokens of web sessions with their data and expiry: one of Ada's, one of nobody's, and one that has expired.
pub(crate) fn web_sessions() -> [(&'static str, WebSessionData, DateTime<Utc>); 3] {
    let late = instant(7_258_118_400_999);
    let of_ada = json!({ "axum-login.data": { "user_id": UUID, "auth_hash": [0, 255] }, "👩‍💻": 0.1 });
    [
        ("AAAAAAAAAAAAAAAAAAAAAA", of_ada, late),
        ("_____________________w", json!({}), late),
        ("expired", json!({ "last": null }), now() - TimeDelta::milliseconds(1)),
    ]
    .map(|(token, data, expires)| (token, serde_json::from_value(data).expect("it is an object"), expires))
}

/// The id of a user who is made and deleted, since format 2.
pub(crate) const DELETED: &str = "deleted";

/// The data of a web session that names this user. In files since format 2 a session with the token `stranger` names a
/// user who was never there.
pub(crate) fn naming(user_id: &str) -> WebSessionData {
    let data = json!({ "axum-login.data": { "user_id": user_id } });
    serde_json::from_value(data).expect("it is an object")
}

/// The user of a session that the store made at [`now`], since format 3.
pub(crate) const MADE_FOR: &str = ADA;

pub(crate) fn authenticators() -> Vec<Authenticator> {
    let authenticator = |credential_id: &str, counter| Authenticator {
        credential_id: credential_id.into(),
        user_id: EMOJI.into(),
        provider_account_id: "credential".into(),
        credential_public_key: "pQECAyYgASFYIA==".into(),
        counter,
        credential_device_type: "singleDevice".into(),
        credential_backed_up: counter == 0,
        transports: (counter != 0).then(|| "usb,nfc".into()),
    };
    vec![authenticator("credential", u32::MAX), authenticator(UUID, 0)]
}
