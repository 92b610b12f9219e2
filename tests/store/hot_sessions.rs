//! The session cache: sessions kept in memory that always match the tables.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use authkv::conformance::Clock;
use authkv::models::{Change, NewUser, SessionAndUser, SessionPatch, User, UserPatch};
use chrono::TimeDelta;

use crate::stores::{Store, new_path, options};

cases! {
    a_session_is_hot_when_it_is_asked_for_again,
    a_change_of_a_hot_session_counts_at_once,
    a_change_of_the_user_of_hot_sessions_counts_at_once,
    a_hot_session_expires,
    readers_of_hot_sessions_see_every_acknowledged_change_and_never_go_back,
}

const TICK: TimeDelta = TimeDelta::milliseconds(1);

/// The store's answer about a session that is hot now, if it is valid.
#[track_caller]
fn heated(on: &Store, token: &str) -> SessionAndUser {
    for _ in 0..2 {
        on.find_session(token).expect("the session is valid");
    }
    let hits = on.kv.stats().hot_session_hits;
    let found = on.find_session(token).expect("the session is valid");
    assert_eq!(on.kv.stats().hot_session_hits, hits + 1, "it is not hot");
    found
}

fn renamed(user: &User, name: &str) -> UserPatch {
    UserPatch { name: Change::Set(name.to_owned()), ..UserPatch::new(user.id.clone()) }
}

fn a_session_is_hot_when_it_is_asked_for_again(on: &Store) {
    let ada = on.user("ada");
    let session = on.session("one", &ada.id);
    let expected = SessionAndUser { session, user: ada };
    for (hits, misses) in [(0, 1), (0, 2), (1, 2), (2, 2)] {
        assert_eq!(on.find_session("one").as_ref(), Some(&expected));
        let stats = on.kv.stats();
        assert_eq!((stats.hot_session_hits, stats.hot_session_misses), (hits, misses));
    }
    let here = on.kv.authenticate("one").wait().unwrap().passed().unwrap();
    assert_eq!((here.session, here.user), (expected.session, expected.user));
    assert_eq!(on.kv.stats().hot_session_hits, 3);
}

fn a_change_of_a_hot_session_counts_at_once(on: &Store) {
    let (ada, bob) = (on.user("ada"), on.user("bob"));
    let session = on.session("one", &ada.id);
    heated(on, "one");
    let patch = SessionPatch { expires: Some(session.expires + TICK), ..SessionPatch::new("one") };
    on.auth.update_session(patch).wait().unwrap();
    assert_eq!(on.find_session("one").unwrap().session.expires, session.expires + TICK);
    heated(on, "one");
    let patch = SessionPatch { user_id: Some(bob.id.clone()), ..SessionPatch::new("one") };
    on.auth.update_session(patch).wait().unwrap();
    assert_eq!(on.find_session("one").unwrap().user, bob);
    heated(on, "one");
    on.auth.delete_session("one").wait().unwrap();
    assert_eq!(on.find_session("one"), None);
    let again = on.session("one", &ada.id);
    assert_eq!(heated(on, "one").session, again);
    assert_eq!(on.kv.end_all_sessions(&ada.id).wait().unwrap(), 1);
    assert_eq!(on.find_session("one"), None);
}

fn a_change_of_the_user_of_hot_sessions_counts_at_once(on: &Store) {
    let ada = on.user("ada");
    for token in ["one", "other"] {
        on.session(token, &ada.id);
        heated(on, token);
    }
    let renamed = on.auth.update_user(renamed(&ada, "Countess")).wait().unwrap();
    for token in ["one", "other"] {
        assert_eq!(on.find_session(token).unwrap().user, renamed);
        heated(on, token);
    }
    on.auth.delete_user(&ada.id).wait().unwrap();
    let again = on.auth.create_user(NewUser { id: Some(ada.id.clone()), ..NewUser::default() }).wait().unwrap();
    for token in ["one", "other"] {
        assert_eq!(on.find_session(token), None);
        on.session(token, &again.id);
        assert_eq!(heated(on, token).user, again);
    }
}

fn a_hot_session_expires(on: &Store) {
    let ada = on.user("ada");
    let session = on.session("one", &ada.id);
    heated(on, "one");
    on.clock.set(session.expires);
    assert_eq!(heated(on, "one").session, session);
    on.clock.set(session.expires + TICK);
    assert_eq!(on.find_session("one"), None);
    on.clock.set(session.expires);
    assert!(on.find_session("one").is_some());
}

fn readers_of_hot_sessions_see_every_acknowledged_change_and_never_go_back(on: &Store) {
    const CHANGES: u64 = 300;
    let ada = on.auth.create_user(NewUser { name: Some("0".to_owned()), ..NewUser::default() }).wait().unwrap();
    let tokens = ["one", "two", "three", "four"];
    tokens.iter().for_each(|token| drop(on.session(token, &ada.id)));
    // The newest name that anybody has read or that was acknowledged.
    let (known, done) = (AtomicU64::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        for reader in 0..4 {
            let (known, done, tokens) = (&known, &done, &tokens);
            scope.spawn(move || {
                for token in tokens.iter().cycle().skip(reader) {
                    let before = known.load(Ordering::SeqCst);
                    let name = on.find_session(token).unwrap().user.name.unwrap().parse().unwrap();
                    assert!(name >= before, "{name} was read after {before}");
                    known.fetch_max(name, Ordering::SeqCst);
                    if done.load(Ordering::SeqCst) {
                        break;
                    }
                }
            });
        }
        let (mut hits, patience) = (0, Instant::now() + Duration::from_secs(60));
        for name in 1..=CHANGES {
            on.auth.update_user(renamed(&ada, &name.to_string())).wait().unwrap();
            known.fetch_max(name, Ordering::SeqCst);
            // At times the readers get the chance to find the sessions hot.
            while name % 10 == 0 && on.kv.stats().hot_session_hits == hits && Instant::now() < patience {
                thread::yield_now();
            }
            hits = on.kv.stats().hot_session_hits;
        }
        done.store(true, Ordering::SeqCst);
        assert!(hits > 0, "no session was hot");
    });
}

/// How many of 100 sessions are hot after each was requested three times, with at most `kept` in the cache.
fn hot_of_100(kept: usize) -> u64 {
    let store = options(&Clock::new()).hot_sessions(kept).in_memory().unwrap();
    let ada = store.create_user(NewUser::default()).wait().unwrap();
    let started = (0..100).map(|_| store.start_session(ada.id.clone()).wait().unwrap().session_token);
    let tokens: Vec<_> = started.collect();
    let ask = || {
        tokens.iter().for_each(|token| assert!(store.authenticate(token.reveal()).wait().unwrap().passed().is_some()))
    };
    (0..3).for_each(|_| ask());
    let before = store.stats().hot_session_hits;
    ask();
    store.stats().hot_session_hits - before
}

#[test]
fn no_more_sessions_are_kept_than_the_option_says() {
    for kept in [0, 1, 7, 8, 20] {
        let hot = hot_of_100(kept);
        assert!(hot <= kept as u64, "{hot} of {kept}");
    }
    // Some sessions share a set or a fingerprint by chance.
    assert!(hot_of_100(10_000) > 90);
    assert!(hot_of_100(1 << 20) > 90);
}

#[test]
fn those_who_come_once_push_out_nobody() {
    let store = options(&Clock::new()).hot_sessions(8).in_memory().unwrap();
    let ada = store.create_user(NewUser::default()).wait().unwrap();
    let start = || store.start_session(ada.id.clone()).wait().unwrap().session_token;
    let ask = |token: &authkv::models::Token| drop(store.get_session_and_user(token.reveal()).wait().unwrap());
    // All are started first: a write may make a hot session stale by chance.
    let (hot, once) = (start(), (0..1_000).map(|_| start()).collect::<Vec<_>>());
    (0..3).for_each(|_| ask(&hot));
    once.iter().for_each(ask);
    let before = store.stats().hot_session_hits;
    ask(&hot);
    assert_eq!(store.stats().hot_session_hits, before + 1);
}

#[test]
fn a_closed_store_has_no_hot_sessions() {
    let (_folder, path) = new_path();
    let store = options(&Clock::new()).open(path).unwrap();
    let ada = store.create_user(NewUser::default()).wait().unwrap();
    let token = store.start_session(ada.id).wait().unwrap().session_token;
    (0..3).for_each(|_| assert!(store.authenticate(token.reveal()).wait().unwrap().passed().is_some()));
    assert_eq!(store.stats().hot_session_hits, 1);
    store.close().wait().unwrap();
    assert!(matches!(store.authenticate(token.reveal()).wait(), Err(authkv::Error::Closed)));
}
