//! What was begun in the background, and waiting for it: with it a test that moves its clock sees the same on each store.

use authkv::models::{NewSession, NewUser, SessionPatch};
use authkv::{AuthKv, Error};
use chrono::{DateTime, TimeDelta};

use crate::stores::Store;

cases! {
    a_session_in_use_goes_on_while_the_clock_is_moved,
    an_extension_has_the_instant_of_its_call,
    a_purge_and_a_sweep_are_waited_for,
    a_closed_store_is_never_settled,
}

/// Five times ten days later, with sessions of fourteen days, over and over: each extension must be there in time.
fn a_session_in_use_goes_on_while_the_clock_is_moved(on: &Store) {
    let ada = on.user("ada");
    for run in 0..20 {
        let session = on.kv.start_session(ada.id.clone()).wait().unwrap();
        for _ in 0..5 {
            on.clock.set(on.clock.now() + TimeDelta::days(20));
            let found = on.kv.authenticate(session.session_token.reveal()).wait().unwrap();
            assert!(found.has_passed(), "run {run}: it has expired in use");
            on.kv.settle().wait().unwrap();
        }
    }
}

/// The clock moves on between the answer and the extension.
fn an_extension_has_the_instant_of_its_call(on: &Store) {
    let ada = on.user("ada");
    let session = on.kv.start_session(ada.id).wait().unwrap();
    let token = session.session_token.reveal();
    on.clock.set(on.clock.now() + TimeDelta::days(2));
    let asked = on.clock.now();
    assert!(on.kv.authenticate(token).wait().unwrap().has_passed());
    on.clock.set(asked + TimeDelta::days(5));
    on.kv.settle().wait().unwrap();
    assert_eq!(on.find_session(token).unwrap().session.expires, asked + TimeDelta::days(30));
    // A session that is extended at the last moment is not lost because the writer comes later.
    on.clock.set(asked + TimeDelta::days(30) - TimeDelta::milliseconds(1));
    assert!(on.kv.authenticate(token).wait().unwrap().has_passed(), "it is valid for a millisecond more");
    on.clock.set(asked + TimeDelta::days(31));
    on.kv.settle().wait().unwrap();
    assert!(on.find_session(token).is_some());
}

fn a_purge_and_a_sweep_are_waited_for(on: &Store) {
    let (ada, bob) = (on.user("ada"), on.user("bob"));
    let expires = on.clock.now() + TimeDelta::seconds(1);
    let expired = NewSession { session_token: "expired".into(), user_id: bob.id.clone(), expires, extra: () };
    on.auth.create_session(expired).wait().unwrap();
    let starts: Vec<_> = (0..1_500).map(|_| on.kv.start_session(ada.id.clone())).collect();
    starts.into_iter().for_each(|start| drop(start.wait().unwrap()));
    on.clock.set(on.clock.now() + TimeDelta::days(3));
    on.auth.delete_user(&ada.id).wait().unwrap();
    on.kv.settle().wait().unwrap();
    let report = on.sound_report();
    assert_eq!((report.sessions, report.waiting_to_be_swept), (0, 0));
    let patch = SessionPatch { expires: Some(on.clock.now()), ..SessionPatch::new("expired") };
    assert_eq!(on.auth.update_session(patch).wait().unwrap(), None);
}

fn a_closed_store_is_never_settled(on: &Store) {
    on.kv.close().wait().unwrap();
    assert!(matches!(on.kv.settle().wait(), Err(Error::Closed)));
}

/// The example of whoever tests an application: sessions of fourteen days on a file, with no wait but this one.
#[test]
fn a_rolling_session_can_be_tested_on_a_file() {
    let (_folder, path) = crate::stores::new_path();
    let clock = authkv::conformance::Clock::new();
    let now = clock.clone();
    let auth = AuthKv::options().clock(move || now.now()).session_max_age(TimeDelta::days(14)).open(path).unwrap();
    let ada = auth.create_user(NewUser::email("ada@example.com")).wait().unwrap();
    for _ in 0..20 {
        let token = auth.start_session(ada.id.clone()).wait().unwrap().session_token;
        for _ in 0..5 {
            clock.set(clock.now() + TimeDelta::days(10));
            assert!(auth.authenticate(token.reveal()).wait().unwrap().has_passed());
            auth.settle().wait().unwrap();
        }
    }
}

#[test]
fn the_clock_and_the_age_of_the_options_can_be_asked_for() {
    let clock = || DateTime::from_timestamp_nanos(1_900_000_000_123_456_789);
    let age = TimeDelta::days(14);
    let auth = AuthKv::options().clock(clock).session_max_age(age).in_memory().unwrap();
    assert_eq!(auth.now(), DateTime::from_timestamp_nanos(1_900_000_000_123_000_000));
    assert_eq!(auth.session_max_age(), age);
    let ada = NewUser { email_verified: Some(auth.now()), ..NewUser::email("ada@example.com") };
    assert_eq!(auth.create_user(ada).wait().unwrap().email_verified, Some(auth.now()));
}
