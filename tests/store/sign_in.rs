//! Sessions whose tokens the store creates: started, extended in use, listed and ended.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use authkv::conformance::{eventually, invalid};
use authkv::models::{NewSession, Session, SessionInfo, UserId};
use authkv::{Error, Problem, WebSessions};
use chrono::TimeDelta;

use crate::stores::Store;

cases! {
    a_session_is_started_with_a_token_of_its_own_for_30_days,
    a_session_needs_a_user,
    a_session_is_extended_once_a_day_while_it_is_used,
    a_session_that_was_ended_or_has_expired_is_never_extended,
    a_burst_of_requests_gets_one_answer_and_one_expiry,
    sessions_are_listed_without_their_tokens,
    valid_sessions_are_listed_however_many_have_expired,
    a_page_has_a_limit_that_makes_sense,
    a_session_is_ended_by_its_id,
    all_sessions_but_one_are_ended,
    of_ending_and_using_a_session_ending_wins,
}

const TICK: TimeDelta = TimeDelta::milliseconds(1);

fn start(on: &Store, user_id: &UserId) -> Session {
    on.kv.start_session(user_id.clone()).wait().unwrap()
}

fn listed(on: &Store, user_id: &UserId) -> Vec<SessionInfo> {
    on.kv.list_sessions(user_id, None, 1_000).wait().unwrap().items
}

fn is_valid(on: &Store, token: &str) -> bool {
    on.kv.authenticate(token).wait().unwrap().passed().is_some()
}

fn a_session_is_started_with_a_token_of_its_own_for_30_days(on: &Store) {
    let ada = on.user("ada");
    let (one, other) = (start(on, &ada.id), start(on, &ada.id));
    assert_ne!(one.session_token.reveal(), other.session_token.reveal());
    for session in [one, other] {
        assert_eq!(session.session_token.reveal().len(), 64);
        assert_eq!(session.expires, on.clock.now() + TimeDelta::days(30));
        let found = on.kv.authenticate(session.session_token.reveal()).wait().unwrap().passed().unwrap();
        assert_eq!((found.session, &found.user), (session, &ada));
    }
    assert!(!is_valid(on, "another token"));
}

fn a_session_needs_a_user(on: &Store) {
    assert!(matches!(on.kv.start_session("nobody").wait(), Err(Error::UnknownUser)));
}

fn a_session_is_extended_once_a_day_while_it_is_used(on: &Store) {
    let ada = on.user("ada");
    let session = start(on, &ada.id);
    let token = session.session_token.reveal();
    let started = on.clock.now();
    let expires = || listed(on, &ada.id)[0].expires;
    on.clock.set(started + TimeDelta::days(1));
    assert!(is_valid(on, token));
    // A write queued behind a wrong extension would show it.
    on.session("another", &ada.id);
    assert_eq!(expires(), session.expires, "it was extended too early");
    on.clock.set(started + TimeDelta::days(1) + TICK);
    let found = on.kv.authenticate(token).wait().unwrap().passed().unwrap();
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
    on.auth.delete_session(ended.session_token.reveal()).wait().unwrap().unwrap();
    on.clock.set(expired.expires + TICK);
    for session in [expired, ended] {
        assert!(!is_valid(on, session.session_token.reveal()));
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
                assert!(is_valid(on, session.session_token.reveal()));
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

fn a_page_has_a_limit_that_makes_sense(on: &Store) {
    let ada = on.user("ada").id;
    let web = WebSessions::new(on.kv.clone());
    for (limit, is_valid) in [(0, false), (1, true), (1_000, true), (1_001, false), (usize::MAX, false)] {
        let pages = [
            on.kv.list_sessions(&ada, None, limit).wait().map(|page| page.items.len()),
            on.kv.list_accounts(&ada, None, limit).wait().map(|page| page.items.len()),
            on.kv.list_authenticators(&ada, None, limit).wait().map(|page| page.items.len()),
            web.list_sessions(&ada, None, limit).wait().map(|page| page.items.len()),
        ];
        for page in pages {
            match is_valid {
                true => assert_eq!(page.unwrap(), 0),
                false => {
                    assert_eq!(invalid(page), ("limit".to_owned(), Problem::OutOfRange { least: 1, most: 1_000 }))
                }
            }
        }
    }
}

fn a_session_is_ended_by_its_id(on: &Store) {
    let (ada, bob) = (on.user("ada"), on.user("bob"));
    let (one, other) = (start(on, &ada.id), start(on, &ada.id));
    assert_eq!(on.kv.end_session(&bob.id, &one.id).wait().unwrap(), None);
    let ended = on.kv.end_session(&ada.id, &one.id).wait().unwrap().unwrap();
    assert_eq!((ended.id, ended.user_id), (one.id.clone(), ada.id.clone()));
    assert_eq!(on.kv.end_session(&ada.id, &one.id).wait().unwrap(), None);
    assert!(!is_valid(on, one.session_token.reveal()));
    assert!(is_valid(on, other.session_token.reveal()));
}

fn all_sessions_but_one_are_ended(on: &Store) {
    let (ada, bob) = (on.user("ada"), on.user("bob"));
    let sessions: Vec<_> = (0..5).map(|_| start(on, &ada.id)).collect();
    let of_bob = start(on, &bob.id);
    assert_eq!(on.kv.end_other_sessions(&ada.id, &sessions[2].id).wait().unwrap(), 4);
    for (place, session) in sessions.iter().enumerate() {
        assert_eq!(is_valid(on, session.session_token.reveal()), place == 2);
    }
    for unknown in [&of_bob.id, &sessions[0].id, &"nobody's".into()] {
        let refused = on.kv.end_other_sessions(&ada.id, unknown).wait();
        assert!(matches!(refused, Err(Error::UnknownSession)));
    }
    assert!(is_valid(on, sessions[2].session_token.reveal()), "a refusal ends none");
    assert_eq!(on.kv.end_all_sessions(&ada.id).wait().unwrap(), 1);
    assert_eq!(on.kv.end_all_sessions(&ada.id).wait().unwrap(), 0);
    assert!(is_valid(on, of_bob.session_token.reveal()));
    let many: Vec<_> = (0..1_500).map(|_| on.kv.start_session(ada.id.clone())).collect();
    many.into_iter().for_each(|reply| drop(reply.wait().unwrap()));
    let ended = [(); 2].map(|()| on.kv.end_all_sessions(&ada.id).wait().unwrap());
    assert_eq!(ended, [1_500, 0]);
}

fn of_ending_and_using_a_session_ending_wins(on: &Store) {
    let ada = on.user("ada");
    // Ended by its id, with all others, and by signing out.
    let endings: [fn(&Store, &Session) -> bool; 3] = [
        |on, session| on.kv.end_session(&session.user_id, &session.id).wait().unwrap().is_some(),
        |on, session| on.kv.end_all_sessions(&session.user_id).wait().unwrap() == 1,
        |on, session| on.auth.delete_session(session.session_token.reveal()).wait().unwrap().is_some(),
    ];
    for end in [endings; 10].as_flattened() {
        let session = start(on, &ada.id);
        let token = session.session_token.reveal();
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
