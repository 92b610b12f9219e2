//! Expiry: an expired session is absent to all but deleting it and cleaning up.

use authkv::models::{NewSession, SessionPatch, VerificationToken};
use chrono::{DateTime, TimeDelta, Utc};

use crate::stores::Store;
use crate::subject::{Subject, must_be_unknown_user};

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
    purging_removes_exactly_what_has_expired,
    purging_goes_on_until_nothing_is_left,
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

fn purging_removes_exactly_what_has_expired(on: &Store) {
    let ada = on.user("ada");
    let deadline = on.tomorrow();
    let offsets = [("far", -400_000_000), ("before", -1), ("at", 0), ("after", 1)];
    for (name, offset) in offsets {
        let expires = deadline + TICK * offset;
        on.auth.create_session(NewSession::new(name, ada.id.clone(), expires)).wait().unwrap();
        on.auth.create_verification_token(VerificationToken::new("ada", name, expires)).wait().unwrap();
    }
    on.clock.set(deadline);
    let purged = on.kv.purge_expired().wait().unwrap();
    assert_eq!((purged.sessions, purged.verification_tokens), (2, 2));
    let purged = on.kv.purge_expired().wait().unwrap();
    assert_eq!((purged.sessions, purged.verification_tokens), (0, 0));
    for (name, offset) in offsets {
        assert_eq!(on.auth.delete_session(name).wait().unwrap().is_some(), offset >= 0, "{name}");
        assert_eq!(on.take("ada", name).is_some(), offset >= 0, "{name}");
    }
}

fn purging_goes_on_until_nothing_is_left(on: &Store) {
    let ada = on.user("ada");
    let new = |n| NewSession::new(format!("session-{n}"), ada.id.clone(), on.clock.now() + TICK * (n % 7));
    let replies: Vec<_> = (0..600).map(|n| on.auth.create_session(new(n))).collect();
    for reply in replies {
        reply.wait().unwrap();
    }
    on.session("valid", &ada.id);
    on.clock.set(on.clock.now() + TICK * 7);
    let mut purged = 0;
    loop {
        match on.kv.purge_expired().wait().unwrap().sessions {
            0 => break,
            sessions => purged += sessions,
        }
    }
    assert_eq!(purged, 600);
    assert_eq!(on.sound_report().sessions, 1);
    assert!(on.find_session("valid").is_some());
}
