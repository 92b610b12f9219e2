//! Persistence: acknowledged writes are there when the file is opened again, and a closed store says that it is closed.

use std::path::Path;
use std::sync::Arc;

use authkv::models::{
    AccountKey, AccountPatch, AccountType, MustLeave, NewAccount, NewSession, NewUser, Proof, ProviderAccount,
    SessionPatch, UserPatch, VerificationToken, Visitor,
};
use authkv::redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use authkv::{AuthKv, Durability, Error, OpenProblem, Result};

use chrono::TimeDelta;

use crate::stores::{Store, new_path, options};
use authkv::conformance::{Clock, Subject, authenticator, eventually};

cases! {
    after_closing_every_call_answers_closed,
    what_was_accepted_before_closing_is_answered,
}

fn open(path: &Path) -> (AuthKv, Subject) {
    let clock = Clock::new();
    let kv = options(&clock).open(path).unwrap();
    let subject = Subject::new(Arc::new(kv.clone()), clock);
    (kv, subject)
}

fn fill(on: &Subject) {
    let ada = on.user_with_id("ada");
    on.user("bob");
    on.account("github", "1", &ada.id);
    on.session("a-secret", &ada.id);
    on.authenticator("a-credential", &ada.id);
    on.token("ada", "a-secret");
    on.session("deleted", &ada.id);
    on.auth.delete_session("deleted").wait().unwrap().unwrap();
}

fn must_be_as_filled(on: &Subject) {
    let ada = on.find_user(&"ada".into()).unwrap();
    assert!(on.find_by_email("bob@example.com").is_some());
    assert_eq!(on.find_account("github", "1").unwrap().user_id, ada.id);
    assert_eq!(on.auth.get_user_by_account(&AccountKey::new("github", "1")).wait().unwrap().as_ref(), Some(&ada));
    let found = on.find_session("a-secret").unwrap();
    assert_eq!((found.user, found.session.expires), (ada.clone(), on.tomorrow()));
    assert_eq!(on.find_session("deleted"), None);
    assert_eq!(on.find_authenticator("a-credential"), Some(authenticator("a-credential", &ada.id, "passkey")));
    assert_eq!(on.authenticators_of(&ada.id), ["a-credential"]);
    assert_eq!(on.take("ada", "a-secret").unwrap().expires, on.tomorrow());
}

#[test]
fn a_closed_file_has_everything_when_it_is_opened_again() {
    let (_folder, path) = new_path();
    let (kv, on) = open(&path);
    fill(&on);
    kv.close().wait().unwrap();
    // The handles still exist: closing alone has released the file.
    let (kv, on) = open(&path);
    must_be_as_filled(&on);
    assert!(kv.check().wait().unwrap().is_sound());
}

#[test]
fn a_dropped_file_has_everything_when_it_is_opened_again() {
    let (_folder, path) = new_path();
    let (kv, on) = open(&path);
    fill(&on);
    drop((kv, on));
    let (kv, on) = open(&path);
    must_be_as_filled(&on);
    assert!(kv.check().wait().unwrap().is_sound());
}

#[test]
fn writes_that_nobody_waited_for_are_there_after_dropping_the_store() {
    for durability in [Durability::Full, Durability::Deferred] {
        let (_folder, path) = new_path();
        let kv = AuthKv::options().durability(durability).open(&path).unwrap();
        for n in 0..1_000 {
            let auth: &dyn authkv::Adapter = &kv;
            drop(auth.create_user(NewUser::email(format!("{n}@example.com"))));
        }
        drop(kv);
        let report = AuthKv::open(&path).unwrap().check().wait().unwrap();
        assert_eq!((report.users, report.is_sound()), (1_000, true));
    }
}

#[test]
fn sweeping_goes_on_when_the_file_is_opened_again() {
    let (_folder, path) = new_path();
    let (kv, on) = open(&path);
    let ada = on.user_with_id("ada");
    let new = |n| NewSession::new(format!("secret-{n}"), ada.id.clone(), on.tomorrow());
    let replies: Vec<_> = (0..3_000).map(|n| on.auth.create_session(new(n))).collect();
    replies.into_iter().for_each(|reply| drop(reply.wait().unwrap()));
    let (deleted, closed) = (on.auth.delete_user(&ada.id), kv.close());
    assert!(deleted.wait().unwrap().is_some());
    closed.wait().unwrap();
    let (kv, on) = open(&path);
    assert_eq!(on.find_session("secret-2999"), None);
    eventually("everything is swept", || {
        let report = kv.check().wait().unwrap();
        assert!(report.is_sound(), "{:?}", report.problems);
        report.sessions == 0
    });
    eventually("the id is free", || {
        on.auth.create_user(NewUser { id: Some(ada.id.clone()), ..NewUser::default() }).wait().is_ok()
    });
}

fn after_closing_every_call_answers_closed(on: &Store) {
    fill(on);
    on.kv.close().wait().unwrap();
    for (call, result) in every_reading_call(on).into_iter().chain(every_writing_call(on)) {
        assert!(matches!(result, Err(Error::Closed)), "{call}: {result:?}");
    }
}

type Called = (&'static str, Result<()>);

fn every_reading_call(on: &Store) -> Vec<Called> {
    let (auth, key) = (&on.auth, AccountKey::new("github", "1"));
    vec![
        ("get_user", auth.get_user(&"ada".into()).wait().map(drop)),
        ("get_user_by_email", auth.get_user_by_email("bob@example.com").wait().map(drop)),
        ("get_user_by_account", auth.get_user_by_account(&key).wait().map(drop)),
        ("get_account", auth.get_account(&AccountKey::new("github", "1")).wait().map(drop)),
        ("get_session_and_user", auth.get_session_and_user("a-secret").wait().map(drop)),
        ("get_authenticator", auth.get_authenticator(&"a-credential".into()).wait().map(drop)),
        ("list_authenticators_by_user_id", auth.list_authenticators_by_user_id(&"ada".into()).wait().map(drop)),
        ("list_accounts", on.kv.list_accounts("ada", None, 1_000).wait().map(drop)),
        ("list_users", on.kv.list_users(None, 1_000).wait().map(drop)),
        ("list_all_sessions", on.kv.list_all_sessions(None, 1_000).wait().map(drop)),
        ("count_users", on.kv.count_users().wait().map(drop)),
        ("count_sessions", on.kv.count_sessions().wait().map(drop)),
        ("check", on.kv.check().wait().map(drop)),
    ]
}

fn every_writing_call(on: &Store) -> Vec<Called> {
    let (auth, key) = (&on.auth, AccountKey::new("github", "1"));
    let account = NewAccount::new("ada", AccountType::Oauth, "github", "2");
    let token = VerificationToken::new("ada", "another", on.tomorrow());
    let authenticator = authenticator("another", &"ada".into(), "passkey");
    let provider_account = ProviderAccount::new(AccountType::Oauth, "github", "3");
    vec![
        ("create_user", auth.create_user(NewUser::default()).wait().map(drop)),
        ("update_user", auth.update_user(UserPatch::new("ada")).wait().map(drop)),
        ("link_account", auth.link_account(account).wait().map(drop)),
        ("unlink_account", auth.unlink_account(&key).wait().map(drop)),
        ("create_session", auth.create_session(NewSession::new("b", "ada", on.tomorrow())).wait().map(drop)),
        ("update_session", auth.update_session(SessionPatch::new("a-secret")).wait().map(drop)),
        ("delete_session", auth.delete_session("a-secret").wait().map(drop)),
        ("create_verification_token", auth.create_verification_token(token).wait().map(drop)),
        ("use_verification_token", auth.use_verification_token(Some("ada"), "a-secret").wait().map(drop)),
        ("create_authenticator", auth.create_authenticator(authenticator).wait().map(drop)),
        ("update_authenticator_counter", auth.update_authenticator_counter(&"a".into(), 1).wait().map(drop)),
        ("delete_user", auth.delete_user(&"ada".into()).wait().map(drop)),
        ("sign_in_with_account", on.kv.sign_in_with_account(provider_account, NewUser::default()).wait().map(drop)),
        (
            "sign_in_with_email",
            on.kv
                .sign_in_with_email(Proof::Own { address: "ada@example.com" }, NewUser::default(), Visitor::default())
                .wait()
                .map(drop),
        ),
        (
            "prove_email",
            on.kv.prove_email(Proof::Own { address: "ada@example.com" }, Visitor::default()).wait().map(drop),
        ),
        ("update_account", on.kv.update_account(AccountPatch::new(key.clone())).wait().map(drop)),
        ("unlink_account_of", on.kv.unlink_account_of("ada", &key, MustLeave::Account).wait().map(drop)),
        ("issue_link_token", on.kv.issue_link_token("a purpose", "ada", TimeDelta::hours(1)).wait().map(drop)),
        ("verify_link_token", on.kv.verify_link_token("a purpose", "ada", "a-secret").wait().map(drop)),
        ("issue_code", on.kv.issue_code("", "ada", TimeDelta::hours(1), Visitor::default()).wait().map(drop)),
        ("verify_code", on.kv.verify_code("", "a guess", Visitor::default()).wait().map(drop)),
        ("put_state", on.kv.put_state("", "", TimeDelta::hours(1)).wait().map(drop)),
        ("take_state", on.kv.take_state::<String>("", "").wait().map(drop)),
        ("sign_out", on.kv.sign_out("a-secret").wait().map(drop)),
        ("end_all_sessions", on.kv.end_all_sessions("ada").wait().map(drop)),
        ("end_other_sessions", on.kv.end_other_sessions("ada", "a-session").wait().map(drop)),
        ("purge_expired", on.kv.purge_expired().wait().map(drop)),
        ("synchronize", on.kv.synchronize().wait()),
        ("close", on.kv.close().wait()),
    ]
}

fn what_was_accepted_before_closing_is_answered(on: &Store) {
    let replies: Vec<_> = (0..500).map(|n| on.auth.create_user(NewUser::email(format!("{n}@example.com")))).collect();
    let closed = on.kv.close();
    let late = on.auth.create_user(NewUser::email("late@example.com"));
    for reply in replies {
        reply.wait().unwrap();
    }
    closed.wait().unwrap();
    assert!(matches!(late.wait(), Err(Error::Closed)));
}

#[test]
fn a_shared_database_has_one_store_at_a_time_and_outlives_it() {
    const OWN: TableDefinition<'_, u64, u64> = TableDefinition::new("own");
    let (_folder, path) = new_path();
    let database = Arc::new(Database::create(path).unwrap());
    let own = database.begin_write().unwrap();
    own.open_table(OWN).unwrap().insert(1, 2).unwrap();
    own.commit().unwrap();
    let clock = Clock::new();
    let attach = || options(&clock).on_database(Arc::clone(&database));
    let subject = |kv: &AuthKv| Subject::new(Arc::new(kv.clone()), clock.clone());
    let kv = attach().unwrap();
    fill(&subject(&kv));
    assert!(matches!(attach(), Err(Error::Open { problem: OpenProblem::DatabaseInUse, .. })));
    kv.close().wait().unwrap();
    let after_closing = attach().unwrap();
    assert!(subject(&after_closing).find_session("a-secret").is_some());
    drop(after_closing);
    must_be_as_filled(&subject(&attach().unwrap()));
    let own = database.begin_read().unwrap().open_table(OWN).unwrap();
    assert_eq!(ReadableTable::get(&own, 1).unwrap().unwrap().value(), 2);
}

#[test]
fn a_file_is_open_once_at_a_time() {
    let (_folder, path) = new_path();
    let (_kv, _on) = open(&path);
    assert!(matches!(AuthKv::open(&path), Err(Error::Open { problem: OpenProblem::Locked, .. })));
}

/// True if redb would have to read a whole copy of the file to find its free pages. A copy made in the middle of a
/// commit may not even open.
fn needs_repair(path: &Path) -> bool {
    let copy = path.with_extension("copy");
    std::fs::copy(path, &copy).unwrap();
    let mut builder = Database::builder();
    let was_opened = builder.set_repair_callback(|repair| repair.abort()).open(&copy).is_ok();
    std::fs::remove_file(copy).unwrap();
    !was_opened
}

#[test]
fn a_file_that_is_left_open_and_idle_needs_no_repair() {
    let (_folder, path) = new_path();
    let (_kv, on) = open(&path);
    fill(&on);
    assert!(needs_repair(&path), "it is repaired while it is in use");
    eventually("the free pages are noted", || !needs_repair(&path));
    on.user("carol");
    assert!(needs_repair(&path), "it is repaired when it is in use again");
    eventually("the free pages are noted", || !needs_repair(&path));
}

#[test]
fn a_file_that_many_write_to_at_once_needs_no_repair() {
    let (_folder, path) = new_path();
    let (_kv, on) = open(&path);
    let is_noted = || {
        let replies: Vec<_> = (0..200).map(|_| on.auth.create_user(NewUser::default())).collect();
        replies.into_iter().for_each(|reply| drop(reply.wait().unwrap()));
        !needs_repair(&path)
    };
    // The last operations may be in a small commit of their own.
    assert!((0..20).any(|_| is_noted()));
}
