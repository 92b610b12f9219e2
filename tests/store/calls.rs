//! How calls are written and answered: ids of every type, errors and whose fault they are, lists of everything, signing
//! out.

use std::collections::HashSet;
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use authkv::models::{
    AccountKey, Check, Cursor, NewUser, Page, Proof, SIGN_IN, SessionId, UserId, VerificationToken, Visitor,
};
use authkv::{AuthKv, Error, Problem, UniqueKey};
use chrono::{DateTime, TimeDelta, Utc};

use crate::stores::Store;
use authkv::conformance::invalid;

cases! {
    an_id_is_given_in_any_of_its_types,
    signing_out_is_told_from_a_stale_cookie,
    of_a_burst_of_requests_one_is_told_that_it_extends,
    every_user_is_in_one_page_of_the_list,
    every_valid_session_is_in_one_page_of_the_list,
    what_is_no_address_is_refused_where_it_is_proven,
}

fn an_id_is_given_in_any_of_its_types(on: &Store) {
    let ada = on.user("ada");
    let text = ada.id.as_str();
    let owned = text.to_owned();
    let found = [
        on.kv.get_user(text).wait(),
        on.kv.get_user(text.to_owned()).wait(),
        on.kv.get_user(&owned).wait(),
        on.kv.get_user(&ada.id).wait(),
        on.kv.get_user(ada.id.clone()).wait(),
    ];
    assert!(found.into_iter().all(|found| found == Ok(Some(ada.clone()))));
    assert!(ada.id == *text && ada.id == text && AsRef::<str>::as_ref(&ada.id) == text);
    assert_eq!(String::from(ada.id.clone()), text);

    let session = on.kv.start_session(&ada.id).wait().unwrap();
    assert_eq!(on.kv.end_session(text, session.id.as_str()).wait().unwrap().map(|ended| ended.id), Some(session.id));
    let account = on.account("github", "1", &ada.id);
    assert_eq!(account.key(), AccountKey::new("github", 1_u64));
    assert_eq!(on.kv.get_account(account.key()).wait(), Ok(Some(account.clone())));
    let key = account.key();
    assert_eq!(on.kv.unlink_account(&key).wait(), Ok(Some(account)));
}

fn signing_out_is_told_from_a_stale_cookie(on: &Store) {
    let ada = on.user("ada");
    let tokens = [(); 2].map(|()| on.kv.start_session(&ada.id).wait().unwrap().session_token);
    assert_eq!(on.kv.sign_out(tokens[0].reveal()).wait(), Ok(true));
    assert_eq!(on.kv.sign_out(tokens[0].reveal()).wait(), Ok(false));
    assert_eq!(on.kv.authenticate(tokens[0].reveal()).wait(), Ok(Check::Failed));
    assert!(on.kv.authenticate(tokens[1].reveal()).wait().unwrap().has_passed());
}

fn of_a_burst_of_requests_one_is_told_that_it_extends(on: &Store) {
    let ada = on.user("ada");
    let token = on.kv.start_session(&ada.id).wait().unwrap().session_token;
    let extended = || on.kv.authenticate(token.reveal()).wait().unwrap().passed().unwrap().extended;
    assert_eq!(extended(), None, "it is new");
    on.clock.set(on.clock.now() + TimeDelta::days(2));
    let start = Barrier::new(8);
    let told: Vec<DateTime<Utc>> = thread::scope(|scope| {
        let request = || {
            start.wait();
            extended()
        };
        let threads = [(); 8].map(|()| scope.spawn(request));
        threads.into_iter().filter_map(|thread| thread.join().unwrap()).collect()
    });
    let until = on.clock.now() + TimeDelta::days(30);
    assert!(!told.is_empty() && told.iter().all(|told| *told == until));
    // The extension is carried out before this write.
    on.session("another", &ada.id);
    assert_eq!(extended(), None);
    let listed = on.kv.list_sessions(&ada.id, None, 10).wait().unwrap().items;
    assert_eq!(listed[0].expires, until);
}

/// All items of a list that is read in pages of two.
fn all<T>(list: impl Fn(Option<&Cursor>) -> Page<T>) -> Vec<T> {
    let (mut items, mut after) = (Vec::new(), None);
    loop {
        let page = list(after.as_ref());
        assert!(page.items.len() <= 2);
        items.extend(page.items);
        match page.next {
            Some(next) => after = Some(next),
            None => return items,
        }
    }
}

fn every_user_is_in_one_page_of_the_list(on: &Store) {
    let list = || all(|after| on.kv.list_users(after, 2).wait().unwrap());
    assert!(list().is_empty());
    let users: Vec<_> = (0..7).map(|n| on.user(&format!("user-{n}"))).collect();
    on.user_with_id("zoe");
    on.kv.delete_user(&users[3].id).wait().unwrap().unwrap();
    let listed = list();
    let ids: Vec<_> = listed.iter().map(|user| user.id.as_str()).collect();
    assert!(ids.is_sorted() && ids.len() == 7 && ids.iter().collect::<HashSet<_>>().len() == 7);
    assert!(users.iter().filter(|user| user.id != users[3].id).all(|user| listed.contains(user)));
    assert_eq!(on.kv.count_users().wait(), Ok(7));
    for limit in [0, 1_001] {
        let refused = invalid(on.kv.list_users(None, limit).wait());
        assert_eq!(refused, ("limit".to_owned(), Problem::OutOfRange { least: 1, most: 1_000 }));
    }
}

fn every_valid_session_is_in_one_page_of_the_list(on: &Store) {
    let list = || all(|after| on.kv.list_all_sessions(after, 2).wait().unwrap());
    let users = ["ada", "bob", "eve"].map(|name| on.user(name));
    let mut expected = HashSet::new();
    for user in &users {
        for _ in 0..3 {
            expected.insert(on.kv.start_session(&user.id).wait().unwrap().id);
        }
    }
    on.kv.create_session(authkv::models::NewSession::new("expired", &users[0].id, on.clock.now())).wait().unwrap();
    on.clock.set(on.clock.now() + TimeDelta::seconds(1));
    let ids = || list().into_iter().map(|session| session.id).collect::<Vec<SessionId>>();
    assert_eq!(ids().into_iter().collect::<HashSet<_>>(), expected);
    assert_eq!(on.kv.count_sessions().wait(), Ok(10), "the expired one counts");
    on.kv.delete_user(&users[1].id).wait().unwrap().unwrap();
    let left = list();
    assert!(left.len() == 6 && left.iter().all(|session| session.user_id != users[1].id));
}

fn what_is_no_address_is_refused_where_it_is_proven(on: &Store) {
    for (address, problem) in [
        ("nobody", Problem::NotAnEmail),
        ("ada@example.com\nBcc: eve@example.com", Problem::ControlCharacter),
        ("ada\0@example.com", Problem::ControlCharacter),
        ("", Problem::Empty),
    ] {
        let refused = || ("address".to_owned(), problem.clone());
        let sign_in = |proof| on.kv.sign_in_with_email(proof, NewUser::default(), Visitor::default()).wait();
        assert_eq!(invalid(sign_in(Proof::Own { address })), refused());
        assert_eq!(
            sign_in(Proof::Link { address, token: "a-token" }).unwrap().done(),
            None,
            "any text may be in a link"
        );
        assert_eq!(invalid(on.kv.issue_link_token(SIGN_IN, address, TimeDelta::minutes(9)).wait()), refused());
    }
    assert_eq!(on.kv.count_users().wait(), Ok(0));
    let padded = Proof::Own { address: " ada@example.com " };
    let ada = on.kv.sign_in_with_email(padded, NewUser::default(), Visitor::default()).wait().unwrap().done().unwrap();
    assert_eq!(ada.user.email.as_deref(), Some("ada@example.com"), "blanks that somebody typed are not part of it");
}

#[test]
fn an_error_says_whose_fault_it_is() {
    let auth = AuthKv::in_memory().unwrap();
    auth.create_user(NewUser::email("ada@example.com")).wait().unwrap();
    let conflict = auth.create_user(NewUser::email("ada@example.com")).wait().unwrap_err();
    assert_eq!(conflict, Error::Conflict(UniqueKey::Email));
    let invalid = auth.create_user(NewUser::email("x".repeat(513))).wait().unwrap_err();
    let unknown = auth.start_session("nobody").wait().unwrap_err();
    let missing = AuthKv::options().synchronize(false).in_memory().unwrap().count_users().wait().unwrap_err();
    auth.close().wait().unwrap();
    let closed = auth.count_users().wait().unwrap_err();
    let fault = |error: &Error| {
        let [input, conflict, unavailable] = [error.is_invalid_input(), error.is_conflict(), error.is_unavailable()];
        (input, conflict, unavailable, error.http_status())
    };
    for (error, expected) in [
        (conflict, (false, true, false, 409)),
        (invalid, (true, false, false, 422)),
        (unknown, (true, false, false, 404)),
        (closed, (false, false, true, 503)),
        (Error::Busy, (false, false, true, 503)),
        (missing, (false, false, false, 500)),
    ] {
        assert_eq!(fault(&error), expected, "{error}");
    }
}

#[test]
fn a_page_and_its_cursor_are_written_and_read_by_serde() {
    let auth = AuthKv::in_memory().unwrap();
    for n in 0..3 {
        auth.create_user(NewUser::email(format!("user-{n}@example.com"))).wait().unwrap();
    }
    let page = auth.list_users(None, 1).wait().unwrap();
    let page = Page { items: page.items.iter().map(|user| user.id.clone()).collect::<Vec<UserId>>(), next: page.next };
    let text = serde_json::to_string(&page).unwrap();
    let cursor = page.next.as_ref().unwrap().to_string();
    assert!(text.contains(&format!("\"next\":\"{cursor}\"")), "{text}");
    assert_eq!(serde_json::from_str::<Page<UserId>>(&text).unwrap(), page);
    assert!(serde_json::from_str::<Cursor>("\"no cursor\"").is_err());
}

#[test]
fn a_link_carries_address_and_token_whatever_they_are() {
    let link = |address: &str, page| VerificationToken::<()>::new(address, "a b&c", Utc::now()).url(page);
    let query = "email=a%26b%2Bc%40example.com&token=a%20b%26c";
    assert_eq!(link("a&b+c@example.com", "https://a.example/in"), format!("https://a.example/in?{query}"));
    assert_eq!(link("a&b+c@example.com", "/in?x=1#top"), format!("/in?x=1&{query}#top"));
    assert_eq!(link("a&b+c@example.com", "/in#a?b"), format!("/in?{query}#a?b"));
}

#[test]
fn a_length_of_time_is_a_duration_or_a_time_delta() {
    let auth = AuthKv::in_memory().unwrap();
    let expires = |link: VerificationToken| link.expires.timestamp_millis() - Utc::now().timestamp_millis();
    let of_duration = auth.issue_link_token("a purpose", "ada", Duration::from_secs(60)).wait().unwrap();
    let of_delta = auth.issue_link_token("a purpose", "ada", TimeDelta::minutes(1)).wait().unwrap();
    assert!([of_duration, of_delta].into_iter().map(expires).all(|left| (50_000..=60_000).contains(&left)));
    auth.issue_link_token("a purpose", "ada", Duration::MAX).wait().unwrap();
    for nothing in [Duration::ZERO, Duration::from_micros(999)] {
        assert_eq!(
            invalid(auth.issue_link_token("a purpose", "ada", nothing).wait()),
            ("valid_for".to_owned(), Problem::NotPositive)
        );
    }
}
