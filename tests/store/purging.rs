//! Purging: what has expired is removed, in steps.

use authkv::models::{CodeCheck, NewSession, SessionPatch, VerificationToken};
use chrono::TimeDelta;

use crate::stores::Store;

cases! {
    purging_removes_exactly_what_has_expired,
    an_extended_session_is_purged_when_it_has_expired_and_not_before,
    purging_goes_on_until_nothing_is_left,
}

const TICK: TimeDelta = TimeDelta::milliseconds(1);

fn purging_removes_exactly_what_has_expired(on: &Store) {
    let ada = on.user("ada");
    let deadline = on.tomorrow();
    let offsets = [("far", -400_000_000), ("before", -1), ("at", 0), ("after", 1)];
    for (name, offset) in offsets {
        let expires = deadline + TICK * offset;
        on.auth.create_session(NewSession::new(name, ada.id.clone(), expires)).wait().unwrap();
        on.auth.create_verification_token(VerificationToken::new("ada", name, expires)).wait().unwrap();
        let _ = on.kv.issue_code(name, expires - on.clock.now()).wait().unwrap();
        let _ = on.kv.put_state("test", name, expires - on.clock.now()).wait().unwrap();
    }
    on.clock.set(deadline);
    for expected in [2, 0] {
        let purged = on.kv.purge_expired().wait().unwrap();
        assert_eq!([purged.sessions, purged.verification_tokens, purged.codes, purged.states], [expected; 4]);
    }
    let report = on.sound_report();
    assert_eq!((report.codes, report.states), (2, 2));
    for (name, offset) in offsets {
        let check = on.kv.verify_code(name, "a guess").wait().unwrap();
        assert_eq!(check != CodeCheck::NoCode, offset >= 0, "{name}");
        assert_eq!(on.auth.delete_session(name).wait().unwrap().is_some(), offset >= 0, "{name}");
        assert_eq!(on.take("ada", name).is_some(), offset >= 0, "{name}");
    }
}

fn an_extended_session_is_purged_when_it_has_expired_and_not_before(on: &Store) {
    let ada = on.user("ada");
    let start = on.clock.now();
    let set = |expires| {
        let patch = SessionPatch { expires: Some(expires), ..SessionPatch::new("one") };
        on.auth.update_session(patch).wait().unwrap().unwrap();
    };
    let purged_at = |instant| {
        on.clock.set(instant);
        on.sound_report();
        on.kv.purge_expired().wait().unwrap().sessions
    };
    on.auth.create_session(NewSession::new("one", ada.id, start + TICK * 10)).wait().unwrap();
    set(start + TICK * 20);
    set(start + TICK * 30);
    assert_eq!(purged_at(start + TICK * 11), 0);
    set(start + TICK * 25);
    assert_eq!(purged_at(start + TICK * 25), 0);
    assert_eq!(purged_at(start + TICK * 26), 1);
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
        let step = on.kv.purge_expired().wait().unwrap();
        purged += step.sessions;
        if !step.more {
            break;
        }
    }
    assert_eq!(purged, 600);
    assert_eq!(on.sound_report().sessions, 1);
    assert!(on.find_session("valid").is_some());
}
