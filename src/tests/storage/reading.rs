//! Reads while the storage fails: a row that cannot be read is not reported as absent.

use chrono::TimeDelta;
use serde_json::json;

use super::{Call, Flaky, eventually, user};
use crate::models::{
    AccountKey, AccountPatch, AccountType, Authenticator, Change, CodeCheck, MustLeave, NewAccount, NewSession,
    NewUser, Proof, ProvedEmail, ProviderAccount, SessionPatch, SignIn, Token, UserId, UserPatch, VerificationToken,
    Visitor, WebSessionData, WebSessionId,
};
use crate::{AuthKv, Error, Result, WebSessions};

/// How many records of each kind exist: more than fit into the one page of a tree that redb holds in memory.
const RECORDS: usize = 120;
/// The record that the calls ask for.
const ONE: usize = 60;
/// The record whose user keeps the handle of a request for codes.
const OTHER: usize = 61;
/// An address at which so much was guessed that its codes are long.
const GUESSED_AT: &str = "locked";

/// A call that returns whether it found the existing record.
type Finds = fn(&AuthKv) -> Result<bool>;

/// Every method of the adapter and of `AuthKv`, called with something that exists.
const CALLS: [(&str, Finds); 39] = [
    ("create_user", |store| is_taken(store.create_user(user(ONE)).wait())),
    ("get_user", |store| Ok(store.get_user(id(ONE)).wait()?.is_some())),
    ("get_user_by_email", |store| Ok(store.get_user_by_email(&email(ONE)).wait()?.is_some())),
    ("get_user_by_account", |store| Ok(store.get_user_by_account(account(ONE)).wait()?.is_some())),
    ("update_user", |store| {
        let patch = UserPatch { name: Change::to("Ada"), ..UserPatch::new(id(ONE)) };
        is_known(store.update_user(patch).wait())
    }),
    ("delete_user", |store| Ok(store.delete_user(id(ONE)).wait()?.is_some())),
    ("link_account", |store| is_taken(store.link_account(new_account(ONE)).wait())),
    ("unlink_account", |store| Ok(store.unlink_account(account(ONE)).wait()?.is_some())),
    ("get_account", |store| Ok(store.get_account(AccountKey::new("github", ONE.to_string())).wait()?.is_some())),
    ("create_session", |store| is_taken(store.create_session(session(ONE)).wait())),
    ("get_session_and_user", |store| Ok(store.get_session_and_user(&ONE.to_string()).wait()?.is_some())),
    ("update_session", |store| {
        let patch = SessionPatch { expires: Some(tomorrow()), ..SessionPatch::new(ONE.to_string()) };
        Ok(store.update_session(patch).wait()?.is_some())
    }),
    ("delete_session", |store| Ok(store.delete_session(&ONE.to_string()).wait()?.is_some())),
    ("create_verification_token", |store| store.create_verification_token(token(ONE)).wait().map(|_| true)),
    ("use_verification_token", |store| {
        Ok(store.use_verification_token(Some(&email(ONE)), &ONE.to_string()).wait()?.is_some())
    }),
    ("create_authenticator", |store| is_taken(store.create_authenticator(authenticator(ONE)).wait())),
    ("get_authenticator", |store| Ok(store.get_authenticator(ONE.to_string().as_str()).wait()?.is_some())),
    ("list_authenticators_by_user_id", |store| Ok(store.list_authenticators_by_user_id(id(ONE)).wait()?.len() == 1)),
    ("update_authenticator_counter", |store| {
        is_known(store.update_authenticator_counter(ONE.to_string().as_str(), 7).wait())
    }),
    ("sign_in_with_account", |store| {
        let AccountKey { provider, provider_account_id } = account(ONE);
        let account = ProviderAccount::new(AccountType::Oauth, provider, provider_account_id);
        let outcome = store.sign_in_with_account(account, NewUser::default()).wait()?;
        Ok(matches!(outcome, SignIn::Done(done) if done.user.id == id(ONE) && !done.is_new_user))
    }),
    ("sign_in_with_email", |store| {
        let proof = Proof::Own { address: &email(ONE) };
        let done = store.sign_in_with_email(proof, NewUser::default(), Visitor::default()).wait()?.done();
        Ok(done.is_some_and(|done| done.user.id == id(ONE) && !done.is_new_user))
    }),
    ("prove_email", |store| {
        let from = Visitor { session: Some(&ONE.to_string()), ..Visitor::default() };
        let proven = store.prove_email(Proof::Own { address: &email(ONE) }, from).wait()?;
        Ok(matches!(proven, ProvedEmail::Done(user) if user.email_verified.is_some()))
    }),
    ("update_account", |store| Ok(store.update_account(AccountPatch::new(account(ONE))).wait()?.is_some())),
    ("list_accounts", |store| Ok(store.list_accounts(id(ONE), None, 1_000).wait()?.items.len() == 1)),
    ("unlink_account_of", |store| {
        Ok(store.unlink_account_of(id(ONE), account(ONE), MustLeave::Account).wait()?.is_some())
    }),
    ("verify_link_token", |store| {
        // `full_disk` stores the token there.
        let token = store.get_user(id(ONE)).wait()?.and_then(|user| user.name).unwrap_or_default();
        Ok(store.verify_link_token("test", &email(ONE), &token).wait()?.passed().is_some())
    }),
    ("issue_code", |store| {
        let issued = store.issue_code("test", GUESSED_AT, TimeDelta::hours(1), Visitor::default()).wait()?;
        Ok(issued.digits == 12)
    }),
    ("verify_code", |store| {
        // `full_disk` stores the handle there.
        let request = store.get_user(id(OTHER)).wait()?.and_then(|user| user.image).unwrap_or_default();
        let from = Visitor { request: Some(&request), ..Visitor::default() };
        Ok(store.verify_code("test", "a guess", from).wait()? != CodeCheck::NoCode)
    }),
    ("take_state", |store| {
        // `full_disk` stores the handle there.
        let handle = store.get_user(id(ONE)).wait()?.and_then(|user| user.image).unwrap_or_default();
        Ok(store.take_state::<usize>("test", &handle).wait()?.passed().is_some())
    }),
    ("use_once", |store| Ok(!store.use_once("test", &ONE.to_string(), TimeDelta::days(1)).wait()?.has_passed())),
    ("create a web session", |store| {
        is_taken(web(store).create_session(web_token(ONE), &data(ONE), tomorrow()).wait())
    }),
    ("save a web session", |store| web(store).save_session(web_token(ONE), &data(0), tomorrow()).wait()),
    ("find a web session", |store| Ok(web(store).find_session(&web_token(ONE)).wait()?.is_some())),
    ("delete a web session", |store| Ok(web(store).delete_session(&web_token(ONE)).wait()?.is_some())),
    ("list web sessions", |store| Ok(web(store).list_sessions(id(ONE), None, 1_000).wait()?.items.len() == 1)),
    ("end a web session", |store| {
        let web_id = WebSessionId::of(&Token::from(web_token(ONE)).hash());
        Ok(web(store).end_session(id(ONE), &web_id).wait()?.is_some())
    }),
    ("end_all_sessions", |store| Ok(store.end_all_sessions(id(ONE)).wait()? == 2)),
    ("purge_expired", |store| Ok(store.purge_expired().wait()?.verification_tokens == 1)),
    ("check", |store| {
        let report = store.check().wait()?;
        Ok(report.is_sound() && report.users == RECORDS as u64 && report.sessions == RECORDS as u64)
    }),
];

#[test]
fn a_read_that_fails_is_an_error_in_every_method_and_never_none() {
    let full = full_disk();
    for (name, finds) in CALLS {
        let mut failed = 0;
        // Each of the first reads fails in one round, and so do some of the many later ones.
        for after in std::iter::successors(Some(0), |after| Some(after + 1 + after / 8)) {
            let disk = Flaky::new(full.clone());
            let store = disk.store();
            disk.fail(Call::Read, after, false);
            match finds(&store) {
                Ok(found) => assert!(found, "{name} does not find what it cannot read"),
                Err(Error::Storage(_) | Error::OutcomeUnknown(_)) => failed += 1,
                Err(error) => panic!("{name}: {error}"),
            }
            let is_through = disk.is_waiting();
            disk.heal();
            // After a failed read redb returns only errors, so this shows that the store has reopened by itself.
            assert!(eventually(|| store.get_user(id(0)).wait()).is_some());
            if is_through {
                break;
            }
        }
        assert!(failed > 1, "{name} reads nothing");
    }
}

fn full_disk() -> Vec<u8> {
    let disk = Flaky::default();
    let store = disk.store();
    for number in 0..RECORDS {
        drop(store.create_user(NewUser { id: Some(id(number)), ..user(number) }));
        drop(store.link_account(new_account(number)));
        drop(store.create_session(session(number)));
        drop(store.create_verification_token(token(number)));
        drop(store.create_authenticator(authenticator(number)));
        drop(store.issue_code("test", &email(number), TimeDelta::hours(1), Visitor::default()));
        drop(web(&store).create_session(web_token(number), &data(number), tomorrow()));
        drop(store.use_once("test", &number.to_string(), TimeDelta::days(1)));
    }
    let states = (0..RECORDS).map(|number| store.put_state("test", &number, TimeDelta::days(1)));
    let handle = states.collect::<Vec<_>>().swap_remove(ONE).wait().unwrap();
    let link = store.issue_link_token("test", &email(ONE), TimeDelta::days(1)).wait().unwrap().token;
    let (image, name) = (Change::to(handle.reveal()), Change::to(link.reveal()));
    drop(store.update_user(UserPatch { image, name, ..UserPatch::new(id(ONE)) }));
    let issue = |address| store.issue_code("test", address, TimeDelta::hours(1), Visitor::default()).wait().unwrap();
    (0..4).for_each(|_| drop(issue(GUESSED_AT)));
    let request = issue("ada").request;
    drop(store.update_user(UserPatch { image: Change::to(request.reveal()), ..UserPatch::new(id(OTHER)) }));
    let expired = chrono::Utc::now() - chrono::Days::new(1);
    store.create_verification_token(VerificationToken::new("expired", "expired", expired)).wait().unwrap();
    drop(store);
    disk.bytes()
}

fn is_taken<T>(result: Result<T>) -> Result<bool> {
    match result {
        Err(Error::Conflict(_)) => Ok(true),
        result => result.map(|_| false),
    }
}

fn is_known<T>(result: Result<T>) -> Result<bool> {
    match result {
        Err(Error::UnknownUser | Error::UnknownCredential) => Ok(false),
        result => result.map(|_| true),
    }
}

fn id(number: usize) -> UserId {
    format!("user {number}").into()
}

fn email(number: usize) -> String {
    format!("{number}@example.com")
}

fn account(number: usize) -> AccountKey {
    AccountKey::new("github", number.to_string())
}

fn new_account(number: usize) -> NewAccount {
    NewAccount::new(id(number), AccountType::Oauth, "github", number.to_string())
}

fn session(number: usize) -> NewSession {
    NewSession::new(number.to_string(), id(number), tomorrow())
}

fn web(store: &AuthKv) -> WebSessions {
    WebSessions::new(store.clone())
}

fn web_token(number: usize) -> String {
    format!("web session {number}")
}

fn data(number: usize) -> WebSessionData {
    [("axum-login.data".to_owned(), json!({ "user_id": id(number) }))].into()
}

fn token(number: usize) -> VerificationToken {
    VerificationToken::new(email(number), number.to_string(), tomorrow())
}

fn tomorrow() -> chrono::DateTime<chrono::Utc> {
    chrono::Utc::now() + chrono::Days::new(1)
}

fn authenticator(number: usize) -> Authenticator {
    Authenticator {
        credential_id: number.to_string().into(),
        user_id: id(number),
        provider_account_id: number.to_string().into(),
        credential_public_key: "a public key".to_owned(),
        counter: 0,
        credential_device_type: "singleDevice".to_owned(),
        credential_backed_up: false,
        transports: None,
    }
}
