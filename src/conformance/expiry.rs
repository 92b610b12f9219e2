//! Expiry: an expired session is absent, except to its deletion and to clean-up.

use chrono::{DateTime, TimeDelta, Utc};

use super::subject::{Subject, must_be_unknown_user};
use crate::models::{NewSession, SessionPatch};

cases! {
    a_session_is_valid_up_to_and_at_its_expiry,
    what_is_finer_than_a_millisecond_is_cut_off,
    a_patched_expiry_counts_at_once,
    reading_an_expired_session_does_not_remove_it,
    an_expired_session_is_never_revived,
    an_expired_token_can_be_used_for_a_new_session,
    a_refused_session_leaves_the_expired_one,
    an_expired_session_is_deleted_and_returned,
    a_session_may_be_born_expired,
    expiry_works_before_1970_and_at_the_ends_of_the_calendar,
}

const TICK: TimeDelta = TimeDelta::milliseconds(1);

fn a_session_is_valid_up_to_and_at_its_expiry(on: &Subject) {
    let ada = on.user("ada");
    let expires = on.session("a-secret", &ada.id).expires;
    for (now, is_valid) in [(expires - TICK, true), (expires, true), (expires + TICK, false)] {
        on.clock.set(now);
        assert_eq!(on.find_session("a-secret").is_some(), is_valid, "{}", now - expires);
        let updated = on.auth.update_session(SessionPatch::new("a-secret")).wait().unwrap();
        assert_eq!(updated.is_some(), is_valid, "{}", now - expires);
    }
}

fn what_is_finer_than_a_millisecond_is_cut_off(on: &Subject) {
    let ada = on.user("ada");
    let almost = TimeDelta::nanoseconds(999_999);
    let whole = on.tomorrow();
    let session = on.auth.create_session(NewSession::new("a-secret", ada.id, whole + almost)).wait().unwrap();
    assert_eq!(session.expires, whole);
    assert_eq!(on.find_session("a-secret").unwrap().session.expires, whole);
    let patch = SessionPatch { expires: Some(whole + almost), ..SessionPatch::new("a-secret") };
    assert_eq!(on.auth.update_session(patch).wait().unwrap().unwrap().expires, whole);
    on.clock.set(whole + almost);
    assert!(on.find_session("a-secret").is_some());
    on.clock.set(whole + TICK);
    assert!(on.find_session("a-secret").is_none());
}

fn a_patched_expiry_counts_at_once(on: &Subject) {
    let ada = on.user("ada");
    let expires = on.session("a-secret", &ada.id).expires;
    let set = |expires| {
        let patch = SessionPatch { expires: Some(expires), ..SessionPatch::new("a-secret") };
        on.auth.update_session(patch).wait().unwrap().unwrap()
    };
    set(expires + TICK);
    on.clock.set(expires + TICK);
    assert!(on.find_session("a-secret").is_some());
    set(expires);
    assert!(on.find_session("a-secret").is_none());
}

fn reading_an_expired_session_does_not_remove_it(on: &Subject) {
    let ada = on.user("ada");
    let session = on.session("a-secret", &ada.id);
    on.clock.set(session.expires + TICK);
    assert_eq!(on.find_session("a-secret"), None);
    on.clock.set(session.expires);
    assert_eq!(on.find_session("a-secret").unwrap().session, session);
}

fn an_expired_session_is_never_revived(on: &Subject) {
    let ada = on.user("ada");
    let session = on.session("a-secret", &ada.id);
    on.clock.set(session.expires + TICK);
    let patch = SessionPatch { expires: Some(on.tomorrow()), ..SessionPatch::new("a-secret") };
    assert_eq!(on.auth.update_session(patch).wait().unwrap(), None);
    assert_eq!(on.find_session("a-secret"), None);
    assert_eq!(on.auth.delete_session("a-secret").wait().unwrap(), Some(session));
}

fn an_expired_token_can_be_used_for_a_new_session(on: &Subject) {
    let (ada, bob) = (on.user("ada"), on.user("bob"));
    let old = on.session("a-secret", &ada.id);
    on.clock.set(old.expires + TICK);
    let new = on.session("a-secret", &bob.id);
    assert_ne!(new.id, old.id);
    on.auth.delete_user(&ada.id).wait().unwrap().unwrap();
    let found = on.find_session("a-secret").unwrap();
    assert_eq!((found.session, found.user), (new.clone(), bob));
    assert_eq!(on.auth.delete_session("a-secret").wait().unwrap(), Some(new));
    assert_eq!(on.auth.delete_session("a-secret").wait().unwrap(), None);
}

fn a_refused_session_leaves_the_expired_one(on: &Subject) {
    let ada = on.user("ada");
    let session = on.session("a-secret", &ada.id);
    on.clock.set(session.expires + TICK);
    must_be_unknown_user(on.auth.create_session(NewSession::new("a-secret", "nobody", on.tomorrow())).wait());
    assert_eq!(on.auth.delete_session("a-secret").wait().unwrap(), Some(session));
}

fn an_expired_session_is_deleted_and_returned(on: &Subject) {
    let ada = on.user("ada");
    let session = on.session("a-secret", &ada.id);
    on.clock.set(session.expires + TimeDelta::days(400));
    assert_eq!(on.auth.delete_session("a-secret").wait().unwrap(), Some(session));
    assert_eq!(on.auth.delete_session("a-secret").wait().unwrap(), None);
}

fn a_session_may_be_born_expired(on: &Subject) {
    let ada = on.user("ada");
    let past = on.clock.now() - TICK;
    let session = on.auth.create_session(NewSession::new("a-secret", ada.id, past)).wait().unwrap();
    assert_eq!(session.expires, past);
    assert_eq!(on.find_session("a-secret"), None);
    assert_eq!(on.auth.delete_session("a-secret").wait().unwrap(), Some(session));
}

fn expiry_works_before_1970_and_at_the_ends_of_the_calendar(on: &Subject) {
    let ada = on.user("ada");
    let create = |token, expires| {
        on.auth.create_session(NewSession::new(token, ada.id.clone(), expires)).wait().unwrap();
    };
    create("first", DateTime::<Utc>::MIN_UTC);
    create("last", DateTime::<Utc>::MAX_UTC);
    assert!(on.find_session("first").is_none());
    assert!(on.find_session("last").is_some());
    let before_1970 = DateTime::from_timestamp_millis(-1).unwrap();
    create("old", before_1970);
    on.clock.set(before_1970);
    assert!(on.find_session("old").is_some());
    on.clock.set(DateTime::UNIX_EPOCH);
    assert!(on.find_session("old").is_none());
}
