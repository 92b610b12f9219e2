//! How long sessions live. Goal: the options bind every session that the store made, also one that was made under other
//! options, and nothing is shortened for good but by an extension. `tests/model/ages.rs` compares random calls with a model.
use std::path::PathBuf;

use authkv::conformance::{Clock, invalid};
use authkv::models::{NewSession, NewUser, SessionPatch};
use authkv::{AuthKv, Problem};
use chrono::{DateTime, TimeDelta, Utc};
use tempfile::TempDir;

use crate::stores::{new_path, options};

const TICK: TimeDelta = TimeDelta::milliseconds(1);

/// The store with these ages, in milliseconds.
fn aged(max: i64, update: Option<i64>) -> authkv::Result<AuthKv> {
    let options = options(&Clock::new()).session_max_age(TimeDelta::milliseconds(max));
    match update {
        Some(update) => options.session_update_age(TimeDelta::milliseconds(update)).in_memory(),
        None => options.in_memory(),
    }
}

#[test]
fn ages_of_any_length_work() {
    for (max, update) in [(1, 1), (5, 1), (i64::MAX, i64::MAX), (i64::MAX, 1)] {
        let kv = aged(max, Some(update)).unwrap();
        let user = kv.create_user(NewUser::default()).wait().unwrap();
        let session = kv.start_session(user.id).wait().unwrap();
        assert!(kv.authenticate(session.session_token.reveal()).wait().unwrap().passed().is_some());
    }
}

#[test]
fn ages_that_make_no_sense_are_refused_by_name() {
    let refused = |max, update| invalid(aged(max, update).map(drop));
    for age in [0, -1, i64::MIN + 1] {
        assert_eq!(refused(age, None), ("session_max_age".to_owned(), Problem::NotPositive));
        assert_eq!(refused(10, Some(age)), ("session_update_age".to_owned(), Problem::NotPositive));
    }
    let too_long = ("session_update_age".to_owned(), Problem::LongerThan("session_max_age"));
    assert_eq!(refused(10, Some(11)), too_long);
}

/// A file with a session of 30 days, which is opened again with other ages.
struct Aged {
    _folder: TempDir,
    path: PathBuf,
    clock: Clock,
    token: String,
}

impl Aged {
    fn new() -> Self {
        let (folder, path) = new_path();
        let clock = Clock::new();
        let kv = options(&clock).open(&path).unwrap();
        let user = kv.create_user(NewUser::default()).wait().unwrap();
        let session = kv.start_session(user.id).wait().unwrap();
        Self { _folder: folder, path, clock, token: session.session_token.reveal().to_owned() }
    }

    fn open(&self, max_age: TimeDelta) -> AuthKv {
        options(&self.clock).session_max_age(max_age).open(&self.path).unwrap()
    }

    fn go_on(&self, time: TimeDelta) {
        self.clock.set(self.clock.now() + time);
    }

    /// When the session ends, for each way to read it.
    #[track_caller]
    fn expires(&self, kv: &AuthKv) -> Option<DateTime<Utc>> {
        let found = kv.get_session_and_user(&self.token).wait().unwrap().map(|found| found.session.expires);
        assert_eq!(kv.authenticate(&self.token).wait().unwrap().passed().map(|found| found.session.expires), found);
        found
    }
}

#[test]
fn every_session_that_the_store_made_lives_as_the_options_say() {
    let (aged, hour) = (Aged::new(), TimeDelta::hours(1));
    let made = aged.clock.now();
    aged.go_on(hour - TICK);
    let kv = aged.open(hour);
    assert_eq!(kv.get_session_and_user(&aged.token).wait().unwrap().unwrap().session.expires, made + hour);
    aged.go_on(TimeDelta::days(20));
    assert_eq!(aged.expires(&kv), None);
    assert_eq!(kv.purge_expired().wait().unwrap().sessions, 0, "its 30 days are not over");
    // Nothing was shortened for good, so a wrong option does no harm.
    drop(kv);
    let kv = aged.open(TimeDelta::days(30));
    assert_eq!(aged.expires(&kv), Some(made + TimeDelta::days(30)));
}

#[test]
fn an_extension_shortens_a_session_that_was_made_under_a_longer_age() {
    let (aged, hour) = (Aged::new(), TimeDelta::hours(1));
    aged.go_on(hour / 2);
    let kv = aged.open(hour);
    let extended = aged.clock.now();
    assert_eq!(aged.expires(&kv), Some(extended + hour / 2), "the extension comes behind the answer");
    drop(kv);
    let kv = aged.open(TimeDelta::days(30));
    assert_eq!(kv.get_session_and_user(&aged.token).wait().unwrap().unwrap().session.expires, extended + hour);
    aged.go_on(hour + TICK);
    assert_eq!(aged.expires(&kv), None);
    assert_eq!(kv.purge_expired().wait().unwrap().sessions, 1);
}

#[test]
fn a_longer_age_lengthens_no_session_before_its_next_extension() {
    let (aged, days) = (Aged::new(), TimeDelta::days);
    let made = aged.clock.now();
    let kv = aged.open(days(90));
    assert_eq!(aged.expires(&kv), Some(made + days(30)), "the extension comes behind the answer");
    drop(kv);
    assert_eq!(aged.expires(&aged.open(days(90))), Some(made + days(90)));
}

#[test]
fn a_session_with_its_callers_expiry_keeps_it() {
    let (aged, days) = (Aged::new(), TimeDelta::days);
    let kv = aged.open(days(1));
    let user = kv.create_user(NewUser::default()).wait().unwrap();
    let expires = aged.clock.now() + days(10);
    kv.create_session(NewSession::new("given", user.id, expires)).wait().unwrap();
    aged.go_on(days(9));
    let found = kv.get_session_and_user("given").wait().unwrap().unwrap();
    assert_eq!(found.session.expires, expires);
    // A new expiry of a session that the store made is taken, and the age counts from then on.
    drop(kv);
    let kv = aged.open(days(20));
    let patch = SessionPatch { expires: Some(aged.clock.now() + days(50)), ..SessionPatch::new(aged.token.as_str()) };
    let updated = kv.update_session(patch).wait().unwrap().unwrap();
    assert_eq!(updated.expires, aged.clock.now() + days(20));
}

#[test]
fn without_an_update_age_a_short_session_is_extended_all_the_same() {
    let hour = TimeDelta::hours(1);
    for (max, update) in [(hour, hour / 4), (TimeDelta::days(30), TimeDelta::days(1)), (TICK, TICK)] {
        let clock = Clock::new();
        let kv = options(&clock).session_max_age(max).in_memory().unwrap();
        let user = kv.create_user(NewUser::default()).wait().unwrap();
        let session = kv.start_session(user.id).wait().unwrap();
        let expires = |at| {
            clock.set(at);
            drop(kv.authenticate(session.session_token.reveal()).wait().unwrap().passed());
            kv.get_session_and_user(session.session_token.reveal()).wait().unwrap().map(|found| found.session.expires)
        };
        let made = session.expires - max;
        assert_eq!(expires(made + update - TICK), Some(session.expires), "it was extended too soon");
        assert_eq!(expires(made + update + TICK).is_some_and(|new| new > session.expires), update < max);
    }
}
