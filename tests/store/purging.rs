//! Purging: expired records are removed in steps, on request and in the background.

use authkv::models::{CodeCheck, NewSession, SessionPatch, VerificationToken, Visitor};
use chrono::TimeDelta;

use crate::stores::{Store, options};
use authkv::conformance::Clock;

cases! {
    purging_removes_exactly_what_has_expired,
    an_extended_session_is_purged_when_it_has_expired_and_not_before,
    purging_goes_on_until_nothing_is_left,
    counting_says_what_purging_would_remove_and_removes_nothing,
    what_expired_a_day_ago_goes_with_other_writes,
    nothing_goes_while_nothing_is_written,
    a_write_takes_only_some_with_it,
    something_goes_once_a_minute_and_when_the_clock_was_set_back,
    a_session_that_was_extended_does_not_go,
    purging_by_hand_leaves_nothing_to_the_background,
}

const TICK: TimeDelta = TimeDelta::milliseconds(1);

fn purging_removes_exactly_what_has_expired(on: &Store) {
    let ada = on.user("ada");
    let deadline = on.tomorrow();
    let offsets = [("far", -3_000_000), ("before", -1), ("at", 0), ("after", 1)];
    // Nothing can be made that has expired already.
    on.clock.set(deadline - TICK * 3_000_001);
    let requests = offsets.map(|(name, offset)| {
        let expires = deadline + TICK * offset;
        on.auth.create_session(NewSession::new(name, ada.id.clone(), expires)).wait().unwrap();
        on.auth.create_verification_token(VerificationToken::new("ada", name, expires)).wait().unwrap();
        let _ = on.kv.put_state("test", name, expires - on.clock.now()).wait().unwrap();
        let issued = on.kv.issue_code("test", name, expires - on.clock.now(), Visitor::default()).wait().unwrap();
        (name, offset, issued.request)
    });
    on.clock.set(deadline);
    for expected in [2, 0] {
        let purged = on.kv.purge_expired().wait().unwrap();
        assert_eq!([purged.sessions, purged.verification_tokens, purged.codes, purged.states], [expected; 4]);
    }
    let report = on.sound_report();
    assert_eq!((report.codes, report.states), (2, 2));
    for (name, offset, request) in requests {
        let from = Visitor { request: Some(request.reveal()), ..Visitor::default() };
        let check = on.kv.verify_code("test", "a guess", from).wait().unwrap();
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

/// Verification tokens that expire now, numbered by the range.
fn expiring(on: &Store, numbers: std::ops::Range<usize>) {
    let now = on.clock.now();
    let new = |n| VerificationToken::new("ada", format!("token-{n}"), now);
    let replies: Vec<_> = numbers.map(|n| on.auth.create_verification_token(new(n))).collect();
    replies.into_iter().for_each(|reply| drop(reply.wait().unwrap()));
}

fn tokens_left(on: &Store) -> u64 {
    on.sound_report().verification_tokens
}

/// Writes twice, so that the purge behind the first write is done.
fn write(on: &Store) {
    (0..2).for_each(|_| assert_eq!(on.auth.delete_session("nobody's").wait().unwrap(), None));
}

fn counting_says_what_purging_would_remove_and_removes_nothing(on: &Store) {
    let ada = on.user("ada");
    let (start, expires) = (on.clock.now(), on.clock.now() + TICK * 10);
    expiring(on, 0..600);
    for (token, extended) in [("one", None), ("another", Some(expires + TICK))] {
        on.auth.create_session(NewSession::new(token, ada.id.clone(), expires)).wait().unwrap();
        on.auth.update_session(SessionPatch { expires: extended, ..SessionPatch::new(token) }).wait().unwrap();
    }
    let _ = on.kv.issue_code("test", "ada", TICK * 10, Visitor::default()).wait().unwrap();
    let _ = on.kv.put_state("test", "", TICK * 10).wait().unwrap();
    let count = || {
        let counted = on.kv.count_expired().wait().unwrap();
        assert!(!counted.more);
        [counted.verification_tokens, counted.sessions, counted.codes, counted.states]
    };
    for (now, expected) in [(start, [0; 4]), (expires, [600, 0, 0, 0]), (expires + TICK, [600, 1, 1, 1])] {
        on.clock.set(now);
        let before = on.sound_report();
        assert_eq!(count(), expected);
        assert_eq!(on.sound_report(), before);
    }
    let mut purged = [0; 4];
    while count() != [0; 4] {
        let step = on.kv.purge_expired().wait().unwrap();
        let numbers = [step.verification_tokens, step.sessions, step.codes, step.states];
        purged.iter_mut().zip(numbers).for_each(|(sum, number)| *sum += number);
    }
    assert_eq!(purged, [600, 1, 1, 1]);
}

fn what_expired_a_day_ago_goes_with_other_writes(on: &Store) {
    let ada = on.user("ada");
    let expires = on.clock.now() + TimeDelta::hours(1);
    on.auth.create_session(NewSession::new("one", ada.id, expires)).wait().unwrap();
    on.auth.create_verification_token(VerificationToken::new("ada", "one", expires)).wait().unwrap();
    let _ = on.kv.issue_code("test", "ada", TimeDelta::hours(1), Visitor::default()).wait().unwrap();
    let _ = on.kv.put_state("test", "", TimeDelta::hours(1)).wait().unwrap();
    for (age, left) in [(TimeDelta::days(1), 1), (TimeDelta::days(1) + TimeDelta::minutes(1), 0)] {
        on.clock.set(expires + age);
        write(on);
        let report = on.sound_report();
        assert_eq!([report.sessions, report.verification_tokens, report.codes, report.states], [left; 4]);
    }
    assert_eq!(on.sound_report().users, 1);
}

fn nothing_goes_while_nothing_is_written(on: &Store) {
    let ada = on.user("ada");
    expiring(on, 0..3);
    on.clock.set(on.clock.now() + TimeDelta::days(400));
    for _ in 0..100 {
        assert!(on.find_user(&ada.id).is_some() && on.find_session("one").is_none());
        assert!(on.kv.list_sessions(&ada.id, None, 1_000).wait().unwrap().items.is_empty());
        assert_eq!(on.kv.count_expired().wait().unwrap().verification_tokens, 3);
    }
    assert_eq!(tokens_left(on), 3);
}

fn a_write_takes_only_some_with_it(on: &Store) {
    const TOKENS: u64 = 200;
    expiring(on, 0..TOKENS as usize);
    on.clock.set(on.clock.now() + TimeDelta::days(2));
    for writes in 1.. {
        assert_eq!(on.auth.delete_session("nobody's").wait().unwrap(), None);
        let left = tokens_left(on);
        assert!(left + 64 * writes >= TOKENS, "{} after {writes}", TOKENS - left);
        if left == 0 {
            return;
        }
        assert!(writes < 100, "{left} are left for ever");
    }
}

fn something_goes_once_a_minute_and_when_the_clock_was_set_back(on: &Store) {
    let start = on.clock.now();
    expiring(on, 0..1);
    on.clock.set(start + TimeDelta::days(2));
    write(on);
    assert_eq!(tokens_left(on), 0);
    on.clock.set(start);
    write(on);
    expiring(on, 0..1);
    let due = start + TimeDelta::days(4);
    for (now, left) in [(due, 0), (due + TimeDelta::minutes(1) - TICK, 1), (due + TimeDelta::minutes(1), 0)] {
        on.clock.set(now);
        write(on);
        assert_eq!(tokens_left(on), left);
        on.auth.create_verification_token(VerificationToken::new("ada", "one", start)).wait().unwrap();
    }
    on.clock.set(due - TimeDelta::days(1));
    write(on);
    assert_eq!(tokens_left(on), 0);
}

fn a_session_that_was_extended_does_not_go(on: &Store) {
    let ada = on.user("ada");
    let start = on.clock.now();
    let session = on.session("one", &ada.id);
    let expires = start + TimeDelta::days(10);
    on.auth.update_session(SessionPatch { expires: Some(expires), ..SessionPatch::new("one") }).wait().unwrap();
    on.clock.set(expires);
    write(on);
    assert_eq!(on.find_session("one").map(|found| found.session.id), Some(session.id));
    on.clock.set(expires + TimeDelta::days(2));
    write(on);
    assert_eq!(on.sound_report().sessions, 0);
}

fn purging_by_hand_leaves_nothing_to_the_background(on: &Store) {
    expiring(on, 0..300);
    on.clock.set(on.clock.now() + TimeDelta::days(2));
    let purged = [(); 3].map(|()| on.kv.purge_expired().wait().unwrap().verification_tokens);
    assert_eq!(purged, [256, 44, 0]);
}

#[test]
fn nothing_goes_by_itself_where_that_is_switched_off() {
    let clock = Clock::new();
    let auth = options(&clock).purge_in_background(false).in_memory().unwrap();
    auth.create_verification_token(VerificationToken::new("ada", "one", clock.now())).wait().unwrap();
    clock.set(clock.now() + TimeDelta::days(400));
    (0..3).for_each(|_| drop(auth.delete_session("nobody's").wait().unwrap()));
    assert_eq!(auth.check().wait().unwrap().verification_tokens, 1);
    assert_eq!(auth.purge_expired().wait().unwrap().verification_tokens, 1);
}
