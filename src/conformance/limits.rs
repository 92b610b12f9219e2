//! Limits: a text that is too long or empty is refused with the field's name and the limit, and nothing is written.

use super::subject::{Subject, authenticator, invalid};
use crate::models::{
    AccountType, Authenticator, Change, NewAccount, NewSession, NewUser, SessionPatch, UserPatch, VerificationToken,
};
use crate::{Problem, Result};

cases! {
    keys_have_at_most_512_bytes,
    a_session_moves_to_a_user_id_of_at_most_512_bytes,
    keys_are_not_empty,
    keys_of_512_bytes_are_found,
    fields_have_at_most_64_kib,
    fields_of_64_kib_come_back,
    a_refused_patch_changes_no_other_field,
    lengths_are_counted_in_bytes,
}

const KEY_BYTES_MAX: usize = 512;
const FIELD_BYTES_MAX: usize = 64 << 10;

/// Writes a record with the text in one field. The rest of the record is valid.
type Write = fn(&Subject, String) -> Result<()>;

/// By field name, every way to write a key or a part of one.
const KEYS: [(&str, Write); 13] = [
    ("id", |on, text| on.auth.create_user(NewUser { id: Some(text.into()), ..NewUser::default() }).wait().map(drop)),
    ("email", |on, text| on.auth.create_user(NewUser::email(text)).wait().map(drop)),
    ("email", |on, text| {
        on.auth.update_user(UserPatch { email: Change::Set(text), ..UserPatch::new("ada") }).wait().map(drop)
    }),
    ("id", |on, text| {
        let account = NewAccount::new("ada", AccountType::Oauth, "github", 1_u64);
        on.auth.link_account(NewAccount { id: Some(text.into()), ..account }).wait().map(drop)
    }),
    ("user_id", |on, text| {
        on.auth.link_account(NewAccount::new(user(on, text), AccountType::Oauth, "github", 2_u64)).wait().map(drop)
    }),
    ("provider", |on, text| {
        on.auth.link_account(NewAccount::new("ada", AccountType::Oauth, text, 3_u64)).wait().map(drop)
    }),
    ("provider_account_id", |on, text| {
        on.auth.link_account(NewAccount::new("ada", AccountType::Oauth, "github", text)).wait().map(drop)
    }),
    ("session_token", |on, text| on.auth.create_session(NewSession::new(text, "ada", on.tomorrow())).wait().map(drop)),
    ("user_id", |on, text| {
        on.auth.create_session(NewSession::new("by-user", user(on, text), on.tomorrow())).wait().map(drop)
    }),
    ("identifier", |on, text| verify(on, VerificationToken::new(text, "a-secret", on.tomorrow()))),
    ("token", |on, text| verify(on, VerificationToken::new("ada", text, on.tomorrow()))),
    ("credential_id", |on, text| register(on, authenticator(&text, &"ada".into(), "passkey"))),
    ("provider_account_id", |on, text| register(on, authenticator("by-account", &"ada".into(), &text))),
];

/// By field name, every way to write any other text.
const FIELDS: [(&str, Write); 13] = [
    ("name", |on, text| on.auth.create_user(NewUser { name: Some(text), ..NewUser::default() }).wait().map(drop)),
    ("image", |on, text| on.auth.create_user(NewUser { image: Some(text), ..NewUser::default() }).wait().map(drop)),
    ("name", |on, text| patch(on, UserPatch { name: Change::Set(text), ..UserPatch::new("ada") })),
    ("image", |on, text| patch(on, UserPatch { image: Change::Set(text), ..UserPatch::new("ada") })),
    ("access_token", |on, text| link(on, "1", |account| account.access_token = Some(text.into()))),
    ("refresh_token", |on, text| link(on, "2", |account| account.refresh_token = Some(text.into()))),
    ("id_token", |on, text| link(on, "3", |account| account.id_token = Some(text.into()))),
    ("token_type", |on, text| link(on, "4", |account| account.token_type = Some(text))),
    ("scope", |on, text| link(on, "5", |account| account.scope = Some(text))),
    ("session_state", |on, text| link(on, "6", |account| account.session_state = Some(text))),
    ("credential_public_key", |on, credential_public_key| {
        register(on, Authenticator { credential_public_key, ..authenticator("1", &"ada".into(), "passkey") })
    }),
    ("credential_device_type", |on, credential_device_type| {
        register(on, Authenticator { credential_device_type, ..authenticator("2", &"ada".into(), "passkey") })
    }),
    ("transports", |on, text| {
        register(on, Authenticator { transports: Some(text), ..authenticator("3", &"ada".into(), "passkey") })
    }),
];

/// Tries to create a user with this id, and returns the id.
fn user(on: &Subject, id: String) -> String {
    let _ = on.auth.create_user(NewUser { id: Some(id.clone().into()), ..NewUser::default() }).wait();
    id
}

fn verify(on: &Subject, token: VerificationToken) -> Result<()> {
    on.auth.create_verification_token(token).wait().map(drop)
}

fn register(on: &Subject, authenticator: Authenticator) -> Result<()> {
    on.auth.create_authenticator(authenticator).wait().map(drop)
}

fn patch(on: &Subject, patch: UserPatch) -> Result<()> {
    on.auth.update_user(patch).wait().map(drop)
}

fn link(on: &Subject, id: &str, fill: impl FnOnce(&mut NewAccount)) -> Result<()> {
    let mut account = NewAccount::new("ada", AccountType::Oauth, "github", id);
    fill(&mut account);
    on.auth.link_account(account).wait().map(drop)
}

/// One byte more than the limit must be refused and write nothing. The limit itself must be accepted.
fn must_have_limit(on: &Subject, field: &str, write: Write, fill: char, limit: usize) {
    let text = |bytes| fill.to_string().repeat(bytes);
    let before = on.contents();
    let problem = Problem::TooLong { bytes: limit + 1, limit };
    assert_eq!(invalid(write(on, text(limit + 1))), (field.to_owned(), problem));
    assert_eq!(on.contents(), before, "{field} was refused and written");
    write(on, text(limit)).unwrap_or_else(|error| panic!("{field}: {error}"));
}

fn keys_have_at_most_512_bytes(on: &Subject) {
    on.user_with_id("ada");
    for ((field, write), fill) in KEYS.into_iter().zip('a'..) {
        must_have_limit(on, field, write, fill, KEY_BYTES_MAX);
    }
}

fn a_session_moves_to_a_user_id_of_at_most_512_bytes(on: &Subject) {
    let ada = on.user("ada");
    let session = on.session("a-secret", &ada.id);
    let move_to = |user_id: &str| {
        let patch = SessionPatch { user_id: Some(user_id.into()), ..SessionPatch::new("a-secret") };
        on.auth.update_session(patch).wait()
    };
    let problem = Problem::TooLong { bytes: KEY_BYTES_MAX + 1, limit: KEY_BYTES_MAX };
    assert_eq!(invalid(move_to(&"u".repeat(KEY_BYTES_MAX + 1))), ("user_id".to_owned(), problem));
    assert_eq!(on.find_session("a-secret").unwrap().session, session);
    let longest = on.user_with_id(&"u".repeat(KEY_BYTES_MAX));
    assert_eq!(move_to(longest.id.as_str()).unwrap().unwrap().user_id, longest.id);
}

fn keys_are_not_empty(on: &Subject) {
    on.user_with_id("ada");
    let before = on.contents();
    // An empty e-mail address is another matter: see `emails`.
    for (field, write) in KEYS.into_iter().filter(|(field, _)| *field != "email") {
        assert_eq!(invalid(write(on, String::new())), (field.to_owned(), Problem::Empty));
        assert_eq!(on.contents(), before, "{field} was refused and written");
    }
    let user = on.find_user(&"ada".into()).unwrap();
    assert_eq!(user.email, None);
}

fn keys_of_512_bytes_are_found(on: &Subject) {
    let key = "k".repeat(KEY_BYTES_MAX);
    let user = NewUser { id: Some(key.as_str().into()), ..NewUser::email(key.as_str()) };
    let user = on.auth.create_user(user).wait().unwrap();
    let account = on.account(&key, key.as_str(), &user.id);
    let session = on.session(&key, &user.id);
    let authenticator = on.authenticator(&key, &user.id);
    let token = on.token(&key, &key);
    assert_eq!(on.find_user(&user.id).as_ref(), Some(&user));
    assert_eq!(on.find_by_email(&key).as_ref(), Some(&user));
    assert_eq!(on.find_account(&key, &key), Some(account));
    assert_eq!(on.find_session(&key).unwrap().session, session);
    assert_eq!(on.find_authenticator(&key), Some(authenticator));
    assert_eq!(on.authenticators_of(&user.id), [key.as_str()]);
    assert_eq!(on.take(&key, &key), Some(token));
    assert_eq!(on.auth.delete_user(&user.id).wait().unwrap(), Some(user));
    assert_eq!(on.find_session(&key), None);
}

fn fields_have_at_most_64_kib(on: &Subject) {
    on.user_with_id("ada");
    for ((field, write), fill) in FIELDS.into_iter().zip('a'..) {
        must_have_limit(on, field, write, fill, FIELD_BYTES_MAX);
    }
}

fn fields_of_64_kib_come_back(on: &Subject) {
    let text = || "é\0👩".repeat(FIELD_BYTES_MAX / 7) + "x";
    let ada = on.user("ada");
    let given = NewAccount {
        access_token: Some(text().into()),
        refresh_token: Some(text().into()),
        id_token: Some(text().into()),
        token_type: Some(text()),
        scope: Some(text()),
        session_state: Some(text()),
        ..NewAccount::new(ada.id.clone(), AccountType::Oauth, "github", 1_u64)
    };
    let account = on.auth.link_account(given.clone()).wait().unwrap();
    assert_eq!((&account.access_token, &account.session_state), (&given.access_token, &given.session_state));
    assert_eq!(on.find_account("github", "1"), Some(account));
    let patch = UserPatch { name: Change::Set(text()), image: Change::Set(text()), ..UserPatch::new(ada.id) };
    let ada = on.auth.update_user(patch).wait().unwrap();
    assert_eq!((&ada.name, &ada.image), (&Some(text()), &Some(text())));
    assert_eq!(on.find_user(&ada.id), Some(ada));
}

fn a_refused_patch_changes_no_other_field(on: &Subject) {
    let ada = on.user("ada");
    let patches = [
        UserPatch { name: Change::Set("x".repeat(FIELD_BYTES_MAX + 1)), ..UserPatch::new(ada.id.clone()) },
        UserPatch { email: Change::to(""), ..UserPatch::new(ada.id.clone()) },
        UserPatch { image: Change::Set("x".repeat(FIELD_BYTES_MAX + 1)), ..UserPatch::new(ada.id.clone()) },
    ];
    for (patch, field) in patches.into_iter().zip(["name", "email", "image"]) {
        let patch = UserPatch { email_verified: Change::to(on.clock.now()), ..patch };
        assert_eq!(invalid(on.auth.update_user(patch).wait()).0, field);
        assert_eq!(on.find_user(&ada.id).as_ref(), Some(&ada));
    }
}

fn lengths_are_counted_in_bytes(on: &Subject) {
    let longest = "é".repeat(KEY_BYTES_MAX / 2);
    let user = on.user_with_id(&longest);
    assert_eq!(on.find_user(&user.id), Some(user));
    let id = Some(format!("{longest}x").into());
    let problem = Problem::TooLong { bytes: KEY_BYTES_MAX + 1, limit: KEY_BYTES_MAX };
    let refused = on.auth.create_user(NewUser { id, ..NewUser::default() }).wait();
    assert_eq!(invalid(refused), ("id".to_owned(), problem));
}
