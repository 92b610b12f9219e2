//! Sessions whose tokens the store creates: started, extended in use, listed and ended.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use authkv::conformance::{Clock, eventually, invalid};
use authkv::models::{NewSession, NewUser, Session, SessionInfo, UserId};
use authkv::{Adapter, Error, Problem};
use chrono::TimeDelta;

use crate::stores::{Store, options};

cases! {
    a_session_is_started_with_a_token_of_its_own_for_30_days,
    a_session_needs_a_user,
    a_session_is_extended_once_a_day_while_it_is_used,
    a_session_that_was_ended_or_has_expired_is_never_extended,
    a_burst_of_requests_gets_one_answer_and_one_expiry,
    sessions_are_listed_without_their_tokens,
    valid_sessions_are_listed_however_many_have_expired,
    a_session_is_ended_by_its_id,
    all_sessions_but_one_are_ended,
    of_ending_and_using_a_session_ending_wins,
}

const TICK: TimeDelta = TimeDelta::milliseconds(1);

fn start(on: &Store, user_id: &UserId) -> Session {
    on.kv.start_session(user_id.clone(), ()).wait().unwrap()
}

fn listed(on: &Store, user_id: &UserId) -> Vec<SessionInfo> {
    on.kv.list_sessions(user_id, None, 1_000).wait().unwrap().items
}

fn is_valid(on: &Store, token: &str) -> bool {
    on.kv.authenticate(token).wait().unwrap().is_some()
}

fn a_session_is_started_with_a_token_of_its_own_for_30_days(on: &Store) {
    let ada = on.user("ada");
    let (one, other) = (start(on, &ada.id), start(on, &ada.id));
    assert_ne!(one.session_token.as_str(), other.session_token.as_str());
    for session in [one, other] {
        assert_eq!(session.session_token.as_str().len(), 64);
        assert_eq!(session.expires, on.clock.now() + TimeDelta::days(30));
        let found = on.kv.authenticate(session.session_token.as_str()).wait().unwrap().unwrap();
        assert_eq!((found.session, &found.user), (session, &ada));
    }
    assert!(!is_valid(on, "another token"));
}

fn a_session_needs_a_user(on: &Store) {
    assert!(matches!(on.kv.start_session("nobody", ()).wait(), Err(Error::UnknownUser)));
}

fn a_session_is_extended_once_a_day_while_it_is_used(on: &Store) {
    let ada = on.user("ada");
    let session = start(on, &ada.id);
    let token = session.session_token.as_str();
    let started = on.clock.now();
    let expires = || listed(on, &ada.id)[0].expires;
    on.clock.set(started + TimeDelta::days(1));
    assert!(is_valid(on, token));
    // A write queued behind a wrong extension would show it.
    on.session("another", &ada.id);
    assert_eq!(expires(), session.expires, "it was extended too early");
    on.clock.set(started + TimeDelta::days(1) + TICK);
    let found = on.kv.authenticate(token).wait().unwrap().unwrap();
    assert_eq!(found.session, session, "the answer is the session as it was before");
    let extended = on.clock.now() + TimeDelta::days(30);
    eventually("it is extended", || expires() == extended);
    let info = &listed(on, &ada.id)[0];
    assert_eq!((info.created, info.extended), (started, on.clock.now()));
    on.clock.set(extended);
    assert!(is_valid(on, token));
}

fn a_session_that_was_ended_or_has_expired_is_never_extended(on: &Store) {
    let ada = on.user("ada");
    let (expired, ended) = (start(on, &ada.id), start(on, &ada.id));
    on.auth.delete_session(ended.session_token.as_str()).wait().unwrap().unwrap();
    on.clock.set(expired.expires + TICK);
    for session in [expired, ended] {
        assert!(!is_valid(on, session.session_token.as_str()));
    }
    on.session("another", &ada.id);
    assert_eq!(listed(on, &ada.id).len(), 1);
}

fn a_burst_of_requests_gets_one_answer_and_one_expiry(on: &Store) {
    let ada = on.user("ada");
    let session = start(on, &ada.id);
    on.clock.set(on.clock.now() + TimeDelta::days(2));
    let start = Barrier::new(32);
    thread::scope(|scope| {
        for _ in 0..32 {
            scope.spawn(|| {
                start.wait();
                assert!(is_valid(on, session.session_token.as_str()));
            });
        }
    });
    eventually("it is extended", || listed(on, &ada.id)[0].expires == on.clock.now() + TimeDelta::days(30));
}

fn sessions_are_listed_without_their_tokens(on: &Store) {
    let (ada, bob) = (on.user("ada"), on.user("bob"));
    assert!(listed(on, &ada.id).is_empty());
    let first = start(on, &ada.id);
    start(on, &bob.id);
    on.clock.set(on.clock.now() + TimeDelta::hours(1));
    let second = start(on, &ada.id);
    let past = on.clock.now() - TICK;
    on.auth.create_session(NewSession::new("expired", ada.id.clone(), past)).wait().unwrap();
    let info = |session: &Session, created| SessionInfo {
        id: session.id.clone(),
        user_id: ada.id.clone(),
        created,
        extended: created,
        expires: session.expires,
        extra: (),
    };
    let (now, before) = (on.clock.now(), on.clock.now() - TimeDelta::hours(1));
    assert_eq!(listed(on, &ada.id), [info(&first, before), info(&second, now)]);
    assert!(listed(on, &"nobody".into()).is_empty());
    on.auth.delete_user(&ada.id).wait().unwrap();
    assert!(listed(on, &ada.id).is_empty());
}

fn valid_sessions_are_listed_however_many_have_expired(on: &Store) {
    let ada = on.user("ada");
    let now = on.clock.now();
    let expired = |n| NewSession::new(format!("old {n}"), ada.id.clone(), now - TICK);
    let replies: Vec<_> = (0..1_000).map(|n| on.auth.create_session(expired(n))).collect();
    replies.into_iter().for_each(|reply| drop(reply.wait().unwrap()));
    assert!(listed(on, &ada.id).is_empty());
    let valid: Vec<_> = (0..5).map(|_| start(on, &ada.id).id).collect();
    let ids = |sessions: Vec<SessionInfo>| sessions.into_iter().map(|session| session.id).collect::<Vec<_>>();
    assert_eq!(ids(listed(on, &ada.id)), valid);
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = on.kv.list_sessions(&ada.id, after.as_ref(), 2).wait().unwrap();
        assert!(page.items.len() == 2 || page.next.is_none());
        found.extend(page.items);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(ids(found), valid);
}

fn a_session_is_ended_by_its_id(on: &Store) {
    let (ada, bob) = (on.user("ada"), on.user("bob"));
    let (one, other) = (start(on, &ada.id), start(on, &ada.id));
    assert_eq!(on.kv.end_session(&bob.id, &one.id).wait().unwrap(), None);
    let ended = on.kv.end_session(&ada.id, &one.id).wait().unwrap().unwrap();
    assert_eq!((ended.id, ended.user_id), (one.id.clone(), ada.id.clone()));
    assert_eq!(on.kv.end_session(&ada.id, &one.id).wait().unwrap(), None);
    assert!(!is_valid(on, one.session_token.as_str()));
    assert!(is_valid(on, other.session_token.as_str()));
}

fn all_sessions_but_one_are_ended(on: &Store) {
    let (ada, bob) = (on.user("ada"), on.user("bob"));
    let sessions: Vec<_> = (0..5).map(|_| start(on, &ada.id)).collect();
    let of_bob = start(on, &bob.id);
    assert_eq!(on.kv.end_sessions(&ada.id, Some(&sessions[2].id)).wait().unwrap(), 4);
    for (place, session) in sessions.iter().enumerate() {
        assert_eq!(is_valid(on, session.session_token.as_str()), place == 2);
    }
    assert_eq!(on.kv.end_sessions(&ada.id, Some(&of_bob.id)).wait().unwrap(), 1);
    assert_eq!(on.kv.end_sessions(&ada.id, None).wait().unwrap(), 0);
    assert!(is_valid(on, of_bob.session_token.as_str()));
    let many: Vec<_> = (0..1_500).map(|_| on.kv.start_session(ada.id.clone(), ())).collect();
    many.into_iter().for_each(|reply| drop(reply.wait().unwrap()));
    let ended: Vec<_> = (0..3).map(|_| on.kv.end_sessions(&ada.id, None).wait().unwrap()).collect();
    assert_eq!(ended, [1_000, 500, 0]);
}

fn of_ending_and_using_a_session_ending_wins(on: &Store) {
    let ada = on.user("ada");
    // Ended by its id, with all others, and by signing out.
    let endings: [fn(&Store, &Session) -> bool; 3] = [
        |on, session| on.kv.end_session(&session.user_id, &session.id).wait().unwrap().is_some(),
        |on, session| on.kv.end_sessions(&session.user_id, None).wait().unwrap() == 1,
        |on, session| on.auth.delete_session(session.session_token.as_str()).wait().unwrap().is_some(),
    ];
    for end in [endings; 10].as_flattened() {
        let session = start(on, &ada.id);
        let token = session.session_token.as_str();
        on.clock.set(on.clock.now() + TimeDelta::days(2));
        let (begin, ended) = (Barrier::new(32), AtomicBool::new(false));
        thread::scope(|scope| {
            for _ in 1..32 {
                scope.spawn(|| {
                    begin.wait();
                    let was_ended = ended.load(Ordering::SeqCst);
                    let valid = is_valid(on, token);
                    assert!(!(was_ended && valid), "it was used after it had ended");
                });
            }
            begin.wait();
            assert!(end(on, &session));
            ended.store(true, Ordering::SeqCst);
        });
        // Writes behind any extension still on its way.
        on.session("another", &ada.id);
        on.auth.delete_session("another").wait().unwrap();
        assert!(!is_valid(on, token) && listed(on, &ada.id).is_empty(), "it was revived");
    }
}

/// The store with these ages, in milliseconds.
fn aged(max: i64, update: Option<i64>) -> authkv::Result<authkv::AuthKv> {
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
        let session = kv.start_session(user.id, ()).wait().unwrap();
        assert!(kv.authenticate(session.session_token.as_str()).wait().unwrap().is_some());
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

#[test]
fn without_an_update_age_a_short_session_is_extended_all_the_same() {
    let hour = TimeDelta::hours(1);
    for (max, update) in [(hour, hour / 4), (TimeDelta::days(30), TimeDelta::days(1)), (TICK, TICK)] {
        let clock = Clock::new();
        let kv = options(&clock).session_max_age(max).in_memory().unwrap();
        let user = kv.create_user(NewUser::default()).wait().unwrap();
        let session = kv.start_session(user.id, ()).wait().unwrap();
        let expires = |at| {
            clock.set(at);
            drop(kv.authenticate(session.session_token.as_str()).wait().unwrap());
            kv.get_session_and_user(session.session_token.as_str()).wait().unwrap().map(|found| found.session.expires)
        };
        let made = session.expires - max;
        assert_eq!(expires(made + update - TICK), Some(session.expires), "it was extended too soon");
        assert_eq!(expires(made + update + TICK).is_some_and(|new| new > session.expires), update < max);
    }
}
