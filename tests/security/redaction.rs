//! Redaction: `Debug` output never contains a token, an e-mail address, an identifier or a name.

use std::fmt::Debug;

use authkv::models::{
    AccountKey, AccountPatch, AccountType, Authenticator, Change, FieldPatch, NewAccount, NewSession, Proof,
    ProviderAccount, ProviderAccountId, SessionPatch, UserPatch, VerificationToken, Visitor,
};
use authkv::models::{NewUser, Token};
use authkv::{AuthKv, Error, WebSessions};
use chrono::{DateTime, TimeDelta, Utc};

const SECRET: &str = "hushhush";

/// Every value that must not be printed contains the secret; no other value does.
#[track_caller]
fn must_hide(type_name: &str, value: &dyn Debug) {
    for printed in [format!("{value:?}"), format!("{value:#?}")] {
        assert!(!printed.contains(SECRET), "{printed}");
        assert!(printed.contains(type_name), "{printed} does not say what it is");
    }
}

fn user() -> NewUser {
    NewUser { id: Some("ada".into()), name: Some(SECRET.into()), ..NewUser::email(format!("{SECRET}@example.com")) }
}

fn account() -> NewAccount {
    NewAccount {
        access_token: Some(SECRET.into()),
        refresh_token: Some(SECRET.into()),
        id_token: Some(SECRET.into()),
        session_state: Some(SECRET.into()),
        ..NewAccount::new("ada", AccountType::Oauth, "github", SECRET)
    }
}

fn provider_account() -> ProviderAccount {
    let tokens = account();
    ProviderAccount {
        access_token: tokens.access_token,
        refresh_token: tokens.refresh_token,
        id_token: tokens.id_token,
        session_state: tokens.session_state,
        ..ProviderAccount::new(AccountType::Oauth, "github", SECRET)
    }
}

fn authenticator() -> Authenticator {
    Authenticator {
        credential_id: "a-credential".into(),
        user_id: "ada".into(),
        provider_account_id: SECRET.into(),
        credential_public_key: "a public key".into(),
        counter: 0,
        credential_device_type: "singleDevice".into(),
        credential_backed_up: false,
        transports: None,
    }
}

const EXPIRES: DateTime<Utc> = DateTime::<Utc>::MAX_UTC;

#[test]
fn inputs_and_patches_hide_what_identifies_a_person() {
    must_hide("NewUser", &user());
    must_hide("NewAccount", &account());
    must_hide("NewSession", &NewSession::<()>::new(SECRET, "ada", EXPIRES));
    must_hide("VerificationToken", &VerificationToken::<()>::new(SECRET, SECRET, EXPIRES));
    must_hide("Authenticator", &authenticator());
    must_hide("ProviderAccount", &provider_account());
    must_hide("AccountKey", &AccountKey::new("github", SECRET));
    must_hide("ProviderAccountId", &ProviderAccountId::from(SECRET));
    must_hide("Token", &Token::from(SECRET));
    must_hide("nickname", &FieldPatch::new().set("nickname", SECRET));
    must_hide("SessionPatch", &SessionPatch { extra: FieldPatch::new().set("a", SECRET), ..SessionPatch::new(SECRET) });
    let patch = UserPatch {
        name: Change::to(SECRET),
        email: Change::to(SECRET),
        image: Change::to(SECRET),
        extra: FieldPatch::new().set("nickname", SECRET),
        ..UserPatch::new("ada")
    };
    must_hide("UserPatch", &patch);
    let patch = AccountPatch {
        access_token: Change::to(SECRET),
        scope: Change::to(SECRET),
        extra: FieldPatch::new().set("nickname", SECRET),
        ..AccountPatch::new(AccountKey::new("github", SECRET))
    };
    must_hide("AccountPatch", &patch);
}

#[test]
fn records_and_replies_hide_what_identifies_a_person() {
    let auth = AuthKv::in_memory().unwrap();
    let reply = auth.create_user(user());
    must_hide("Reply", &reply);
    must_hide("User", &reply.wait().unwrap());
    must_hide("Account", &auth.link_account(account()).wait().unwrap());
    must_hide("Session", &auth.create_session(NewSession::new(SECRET, "ada", EXPIRES)).wait().unwrap());
    must_hide("SessionAndUser", &auth.get_session_and_user(SECRET).wait().unwrap().unwrap());
    must_hide("SignedIn", &auth.sign_in_with_account(provider_account(), NewUser::default()).wait().unwrap());
    let address = &format!("{SECRET}@example.com");
    for proof in [Proof::Own { address }, Proof::Link { address, token: SECRET }, Proof::Code { code: SECRET }] {
        must_hide("Proof", &proof);
        let from = Visitor { session: Some(SECRET), request: Some(SECRET) };
        must_hide("Visitor", &from);
        let outcome = if matches!(proof, Proof::Own { .. }) { "SignedInWithEmail" } else { "NotProven" };
        must_hide(outcome, &auth.sign_in_with_email(proof, NewUser::default(), from).wait().unwrap());
    }
    must_hide("Authenticator", &auth.create_authenticator(authenticator()).wait().unwrap());
    let token = auth.create_verification_token(VerificationToken::new(SECRET, SECRET, EXPIRES)).wait().unwrap();
    must_hide("VerificationToken", &token);
    let issued = auth.issue_code("test", SECRET, TimeDelta::minutes(10), Visitor::default()).wait().unwrap();
    let (shown, request) = (format!("{issued:?}"), issued.request.reveal());
    assert!(!shown.contains(issued.code.reveal()) && !shown.contains(request));
    let from = Visitor { request: Some(request), ..Visitor::default() };
    assert!(!format!("{from:?}").contains(request));
    must_hide("Right", &auth.verify_code("test", issued.code.reveal(), from).wait().unwrap());
    let web_sessions = WebSessions::new(auth.clone());
    let data = [(SECRET.to_owned(), SECRET.into())].into();
    web_sessions.create_session(SECRET, &data, EXPIRES).wait().unwrap();
    must_hide("WebSession", &web_sessions.find_session(SECRET).wait().unwrap().unwrap());
    must_hide("WebSessions", &web_sessions);
    must_hide("AuthKv", &auth);
    must_hide("Options", &AuthKv::options());
    must_hide("CheckReport", &auth.check().wait().unwrap());
}

#[test]
fn errors_hide_what_identifies_a_person() {
    let auth = AuthKv::in_memory().unwrap();
    auth.create_user(user()).wait().unwrap();
    auth.link_account(account()).wait().unwrap();
    auth.create_session(NewSession::new(SECRET, "ada", EXPIRES)).wait().unwrap();
    auth.create_authenticator(authenticator()).wait().unwrap();
    let long = SECRET.repeat(10_000);
    let errors: [(&str, Error); 12] = [
        ("UserId", auth.create_user(user()).wait().unwrap_err()),
        ("Email", auth.create_user(NewUser { id: None, ..user() }).wait().unwrap_err()),
        ("ProviderAccount", auth.link_account(account()).wait().unwrap_err()),
        ("SessionToken", auth.create_session(NewSession::new(SECRET, "ada", EXPIRES)).wait().unwrap_err()),
        ("CredentialId", auth.create_authenticator(authenticator()).wait().unwrap_err()),
        ("UnknownUser", auth.update_user(UserPatch::new(SECRET)).wait().unwrap_err()),
        ("UnknownCredential", auth.update_authenticator_counter(SECRET, 1).wait().unwrap_err()),
        ("email", auth.create_user(NewUser::email(long.as_str())).wait().unwrap_err()),
        ("name", auth.create_user(NewUser { name: Some(long.clone()), ..NewUser::default() }).wait().unwrap_err()),
        ("session_token", auth.create_session(NewSession::new(long.as_str(), "ada", EXPIRES)).wait().unwrap_err()),
        (
            "identifier",
            auth.create_verification_token(VerificationToken::new(long, SECRET, EXPIRES)).wait().unwrap_err(),
        ),
        ("ReservedName", auth.update_user(reserved_name()).wait().unwrap_err()),
    ];
    for (kind, error) in errors {
        let sentence = error.to_string();
        assert!(!sentence.contains(SECRET) && !sentence.is_empty(), "{sentence}");
        must_hide(kind, &error);
    }
}

fn reserved_name() -> UserPatch {
    UserPatch { extra: FieldPatch::new().set("email", SECRET), ..UserPatch::new("ada") }
}
