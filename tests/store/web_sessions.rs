//! Web sessions: found by token, bound to users, listed and ended with the user's other sessions, and never revived.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Barrier, Mutex};
use std::thread;

use authkv::conformance::{conflict, eventually, invalid};
use authkv::models::{UserId, WebSession, WebSessionData, WebSessionId};
use authkv::{Error, Problem, UniqueKey, WebSessions};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::stores::Store;

cases! {
    a_session_is_found_by_its_token_until_it_has_expired,
    a_token_has_one_session,
    saving_changes_a_session_and_never_creates_one,
    a_session_belongs_to_the_user_whom_its_data_names,
    a_session_needs_a_user_who_exists_if_it_names_one,
    the_application_says_how_data_names_a_user,
    sessions_of_a_user_are_listed_by_age_and_ended_by_their_ids,
    signing_out_everywhere_ends_sessions_of_both_kinds,
    a_user_who_is_deleted_leaves_no_session,
    purging_removes_the_expired_ones_and_counts_them,
    an_expiry_that_moves_a_little_is_not_written,
    an_expiry_that_moves_back_is_kept_to,
    a_burst_of_saves_writes_once,
    data_is_limited,
    of_ending_and_saving_a_session_ending_wins,
}

const TICK: TimeDelta = TimeDelta::milliseconds(1);

fn web(on: &Store) -> WebSessions {
    WebSessions::new(on.kv.clone())
}

fn data(value: Value) -> WebSessionData {
    serde_json::from_value(value).unwrap()
}

fn nobody() -> WebSessionData {
    data(json!({ "theme": "dark" }))
}

fn of(user_id: &UserId) -> WebSessionData {
    data(json!({ "axum-login.data": { "user_id": user_id, "auth_hash": [1, 2] } }))
}

fn create(on: &Store, token: &str, data: &WebSessionData) {
    web(on).create_session(token, data, on.tomorrow()).wait().unwrap();
}

fn save(on: &Store, token: &str, data: &WebSessionData, expires: DateTime<Utc>) -> bool {
    web(on).save_session(token, data, expires).wait().unwrap()
}

fn find(on: &Store, token: &str) -> Option<WebSession> {
    web(on).find_session(token).wait().unwrap()
}

fn id(on: &Store, token: &str) -> WebSessionId {
    find(on, token).unwrap().id
}

fn listed(on: &Store, user_id: &UserId) -> Vec<WebSessionId> {
    web(on).list_sessions(user_id, None, 1_000).wait().unwrap().items.into_iter().map(|session| session.id).collect()
}

fn a_session_is_found_by_its_token_until_it_has_expired(on: &Store) {
    let (now, expires) = (on.clock.now(), on.tomorrow());
    assert_eq!(find(on, "one"), None);
    create(on, "one", &nobody());
    let found = find(on, "one").unwrap();
    assert_eq!((&found.data, &found.user_id), (&nobody(), &None));
    assert_eq!((found.created, found.saved, found.expires), (now, now, expires));
    assert!(!found.id.as_str().contains("one"));
    on.clock.set(expires);
    assert_eq!(find(on, "one"), Some(found.clone()));
    on.clock.set(expires + TICK);
    assert_eq!(find(on, "one"), None);
    assert!(!save(on, "one", &nobody(), on.tomorrow()), "it was extended after it had expired");
    assert_eq!(web(on).delete_session("one").wait().unwrap(), Some(found));
    assert_eq!(web(on).delete_session("one").wait().unwrap(), None);
}

fn a_token_has_one_session(on: &Store) {
    create(on, "one", &nobody());
    let again = || web(on).create_session("one", &WebSessionData::new(), on.tomorrow()).wait();
    assert_eq!(conflict(again()), UniqueKey::SessionToken);
    assert_eq!(find(on, "one").unwrap().data, nobody());
    on.clock.set(on.tomorrow() + TICK);
    again().unwrap();
    assert_eq!(find(on, "one").unwrap().data, WebSessionData::new());
    assert_eq!(on.sound_report().web_sessions, 1);
}

fn saving_changes_a_session_and_never_creates_one(on: &Store) {
    assert!(!save(on, "one", &nobody(), on.tomorrow()));
    assert_eq!(find(on, "one"), None);
    create(on, "one", &nobody());
    let created = on.clock.now();
    on.clock.set(created + TICK);
    let (changed, expires) = (data(json!({ "cart": [1, 2.5, null, { "a": true }] })), created + TimeDelta::days(9));
    assert!(save(on, "one", &changed, expires));
    let found = find(on, "one").unwrap();
    assert_eq!((found.data, found.expires), (changed, expires));
    assert_eq!((found.created, found.saved), (created, on.clock.now()));
    web(on).delete_session("one").wait().unwrap().unwrap();
    assert!(!save(on, "one", &nobody(), expires));
    assert_eq!(find(on, "one"), None);
    assert_eq!(on.sound_report().web_sessions, 0);
}

fn a_session_belongs_to_the_user_whom_its_data_names(on: &Store) {
    let (ada, bob) = (on.user("ada").id, on.user("bob").id);
    create(on, "one", &nobody());
    let owner = |data: &WebSessionData| {
        assert!(save(on, "one", data, on.tomorrow()));
        on.sound_report();
        (find(on, "one").unwrap().user_id, listed(on, &ada).len(), listed(on, &bob).len())
    };
    assert_eq!(owner(&nobody()), (None, 0, 0));
    assert_eq!(owner(&of(&ada)), (Some(ada.clone()), 1, 0));
    assert_eq!(owner(&of(&bob)), (Some(bob.clone()), 0, 1));
    for nobody in [json!({}), json!({ "axum-login.data": { "user_id": null } }), json!({ "axum-login.data": 7 })] {
        assert_eq!(owner(&of(&ada)), (Some(ada.clone()), 1, 0));
        assert_eq!(owner(&data(nobody)), (None, 0, 0));
    }
}

fn a_session_needs_a_user_who_exists_if_it_names_one(on: &Store) {
    let stranger = of(&"stranger".into());
    let created = web(on).create_session("one", &stranger, on.tomorrow()).wait();
    assert!(matches!(created, Err(Error::UnknownUser)), "{created:?}");
    assert_eq!(find(on, "one"), None);
    create(on, "one", &nobody());
    let saved = web(on).save_session("one", &stranger, on.tomorrow()).wait();
    assert!(matches!(saved, Err(Error::UnknownUser)), "{saved:?}");
    assert_eq!(find(on, "one").unwrap().data, nobody());
}

fn the_application_says_how_data_names_a_user(on: &Store) {
    let ada = on.user("ada").id;
    let own = web(on).user_id_from(|data| data.get("who")?.as_str().map(UserId::from));
    own.create_session("one", &data(json!({ "who": ada })), on.tomorrow()).wait().unwrap();
    own.create_session("two", &of(&"stranger".into()), on.tomorrow()).wait().unwrap();
    assert_eq!(listed(on, &ada), [id(on, "one")]);
    assert_eq!(find(on, "two").unwrap().user_id, None);
}

fn sessions_of_a_user_are_listed_by_age_and_ended_by_their_ids(on: &Store) {
    let (ada, bob) = (on.user("ada").id, on.user("bob").id);
    let tokens = ["one", "two", "three", "four"];
    for token in tokens {
        create(on, token, &of(&ada));
        on.clock.set(on.clock.now() + TICK);
    }
    create(on, "of bob", &of(&bob));
    web(on).create_session("expired", &of(&ada), on.clock.now() - TICK).wait().unwrap();
    let ids = tokens.map(|token| id(on, token));
    assert_eq!(listed(on, &ada), ids);
    assert_eq!(listed(on, &"stranger".into()), []);
    let end = |user_id: &UserId, id: &WebSessionId| web(on).end_session(user_id, id).wait().unwrap();
    for (user_id, id) in [(&bob, &ids[0]), (&ada, &"one".into()), (&ada, &"0".repeat(64).into()), (&ada, &"".into())] {
        assert_eq!(end(user_id, id), None);
    }
    assert_eq!(end(&ada, &ids[1].as_str().to_uppercase().into()), None);
    let ended = end(&ada, &ids[1]).unwrap();
    assert_eq!((ended.id, ended.user_id), (ids[1].clone(), Some(ada.clone())));
    assert_eq!(end(&ada, &ids[1]), None);
    assert_eq!(find(on, "two"), None);
    assert_eq!(listed(on, &ada), [&ids[0], &ids[2], &ids[3]].map(Clone::clone));
}

fn signing_out_everywhere_ends_sessions_of_both_kinds(on: &Store) {
    let (ada, bob) = (on.user("ada").id, on.user("bob").id);
    let sign_in = || {
        let session = on.kv.start_session(ada.clone(), ()).wait().unwrap();
        ["one", "two"].into_iter().for_each(|token| create(on, token, &of(&ada)));
        session
    };
    let valid = || [listed(on, &ada).len(), on.kv.list_sessions(&ada, None, 1_000).wait().unwrap().items.len()];
    create(on, "nobody", &nobody());
    create(on, "of bob", &of(&bob));

    sign_in();
    assert_eq!(on.kv.end_sessions(&ada, None).wait().unwrap(), 3);
    assert_eq!(valid(), [0, 0]);
    sign_in();
    assert_eq!(web(on).end_sessions(&ada, None).wait().unwrap(), 3);
    assert_eq!(valid(), [0, 0]);
    let session = sign_in();
    assert_eq!(on.kv.end_sessions(&ada, Some(&session.id)).wait().unwrap(), 2);
    assert_eq!(valid(), [0, 1]);
    sign_in();
    let here = id(on, "one");
    assert_eq!(web(on).end_sessions(&ada, Some(&here)).wait().unwrap(), 3);
    assert_eq!((valid(), listed(on, &ada)), ([1, 0], vec![here]));
    assert_eq!(web(on).end_sessions(&ada, Some(&id(on, "of bob"))).wait().unwrap(), 1);
    assert!(find(on, "of bob").is_some() && find(on, "nobody").is_some());

    let many: Vec<_> = (0..1_500).map(|n| web(on).create_session(format!("{n}"), &of(&ada), on.tomorrow())).collect();
    many.into_iter().for_each(|reply| reply.wait().unwrap());
    on.kv.start_session(ada.clone(), ()).wait().unwrap();
    let ended: Vec<_> = (0..3).map(|_| on.kv.end_sessions(&ada, None).wait().unwrap()).collect();
    assert_eq!(ended, [1_000, 501, 0]);
}

fn a_user_who_is_deleted_leaves_no_session(on: &Store) {
    const SESSIONS: usize = 600;
    let (ada, bob) = (on.user("ada").id, on.user("bob").id);
    let token = |n: usize| format!("session-{n}");
    let created: Vec<_> = (0..SESSIONS).map(|n| web(on).create_session(token(n), &of(&ada), on.tomorrow())).collect();
    created.into_iter().for_each(|reply| reply.wait().unwrap());
    create(on, "of bob", &of(&bob));
    on.auth.delete_user(&ada).wait().unwrap().unwrap();
    for n in (0..SESSIONS).rev() {
        assert_eq!(find(on, &token(n)), None);
        assert!(!save(on, &token(n), &nobody(), on.tomorrow()), "it was saved and thereby kept");
    }
    assert_eq!(listed(on, &ada), []);
    create(on, &token(SESSIONS - 1), &of(&bob));
    assert_eq!(web(on).delete_session(&token(SESSIONS - 2)).wait().unwrap(), None);
    eventually("everything is swept", || {
        on.token("sweeping", "goes on with writes");
        on.sound_report().waiting_to_be_swept == 0
    });
    assert_eq!(on.sound_report().web_sessions, 2);
    assert_eq!(find(on, &token(SESSIONS - 1)).unwrap().user_id, Some(bob));
}

fn purging_removes_the_expired_ones_and_counts_them(on: &Store) {
    let (ada, start) = (on.user("ada").id, on.clock.now());
    let at = |n| start + TimeDelta::days(n);
    for (token, expires) in [("one", at(10)), ("extended", at(10)), ("far", at(30))] {
        web(on).create_session(token, &of(&ada), expires).wait().unwrap();
    }
    assert!(save(on, "extended", &of(&ada), at(20)));
    let purged_at = |instant| {
        on.clock.set(instant);
        on.sound_report();
        on.kv.purge_expired().wait().unwrap().web_sessions
    };
    assert_eq!(purged_at(at(10)), 0);
    assert_eq!(purged_at(at(10) + TICK), 1);
    assert_eq!(purged_at(at(20)), 0);
    assert_eq!(find(on, "extended").unwrap().expires, at(20));
    assert_eq!(purged_at(at(20) + TICK), 1);
    assert_eq!(listed(on, &ada), [id(on, "far")]);
}

/// True if saving the session with this lifetime from now is a write.
fn is_written(on: &Store, data: &WebSessionData, lifetime: TimeDelta) -> bool {
    let before = find(on, "one").unwrap();
    assert!(save(on, "one", data, on.clock.now() + lifetime));
    let after = find(on, "one").unwrap();
    assert_eq!(after.expires == on.clock.now() + lifetime, after.saved == on.clock.now());
    before != after
}

fn an_expiry_that_moves_a_little_is_not_written(on: &Store) {
    let ada = on.user("ada").id;
    let half_an_hour = TimeDelta::minutes(30);
    web(on).create_session("one", &nobody(), on.clock.now() + half_an_hour).wait().unwrap();
    let later = |span: TimeDelta| on.clock.set(on.clock.now() + span);
    later(TimeDelta::seconds(60));
    assert!(!is_written(on, &nobody(), half_an_hour), "a thirtieth is not worth a write");
    later(TICK);
    assert!(is_written(on, &nobody(), half_an_hour), "no session is to end earlier than by a thirtieth");
    later(TICK);
    assert!(is_written(on, &of(&ada), half_an_hour), "a change of the data is written at once");
    later(TICK);
    assert!(is_written(on, &nobody(), half_an_hour));
    assert!(!is_written(on, &nobody(), half_an_hour));
    assert!(is_written(on, &nobody(), half_an_hour * 2));
}

fn an_expiry_that_moves_back_is_kept_to(on: &Store) {
    let (hour, second) = (TimeDelta::hours(1), TimeDelta::seconds(1));
    web(on).create_session("one", &nobody(), on.clock.now() + hour).wait().unwrap();
    on.clock.set(on.clock.now() + TICK);
    assert!(!is_written(on, &nobody(), hour - TICK - second), "requests that come together are a second apart at most");
    assert!(is_written(on, &nobody(), hour - TICK - second - TICK));
    assert!(save(on, "one", &nobody(), on.clock.now() + TICK), "it ends soon");
    assert!(save(on, "one", &nobody(), on.clock.now()), "it ends now");
    on.clock.set(on.clock.now() + TICK);
    assert_eq!(find(on, "one"), None);
}

fn a_burst_of_saves_writes_once(on: &Store) {
    let (lifetime, start) = (TimeDelta::days(14), on.clock.now());
    web(on).create_session("one", &nobody(), start + lifetime).wait().unwrap();
    on.clock.set(start + TimeDelta::days(1));
    let (begin, seen) = (Barrier::new(32), Mutex::new(BTreeSet::new()));
    let wanted = |n: i32| on.clock.now() + lifetime + TICK * n;
    thread::scope(|scope| {
        for n in 0..32 {
            let (begin, seen) = (&begin, &seen);
            scope.spawn(move || {
                begin.wait();
                assert!(save(on, "one", &nobody(), wanted(n)));
                seen.lock().unwrap().insert(find(on, "one").unwrap().expires);
            });
        }
    });
    let seen = seen.into_inner().unwrap();
    assert_eq!(seen.len(), 1, "{seen:?}");
    assert!(seen.iter().all(|expires| (wanted(0)..=wanted(31)).contains(expires)));
}

fn data_is_limited(on: &Store) {
    create(on, "one", &nobody());
    let nested = (0..32).fold(json!(1), |inner, _| json!([inner]));
    let many: Value =
        (0..9).map(|n| (n.to_string(), json!("x".repeat(60_000)))).collect::<serde_json::Map<_, _>>().into();
    let whole = "the data of the session";
    let too_long =
        |limit: usize| move |problem: &Problem| matches!(problem, Problem::TooLong { limit: l, .. } if *l == limit);
    type IsRight = Box<dyn Fn(&Problem) -> bool>;
    let refused: [(&str, Value, &str, IsRight); 4] = [
        ("two", json!({ "a": "x".repeat(65_535) }), "a", Box::new(too_long(64 << 10))),
        ("two", many, whole, Box::new(too_long(512 << 10))),
        ("two", json!({ "a": nested }), whole, Box::new(|problem| *problem == Problem::TooDeep { limit: 32 })),
        (&"t".repeat(513), json!({}), "session_token", Box::new(too_long(512))),
    ];
    for (token, value, field, is_right) in refused {
        let created = invalid(web(on).create_session(token, &data(value.clone()), on.tomorrow()).wait());
        assert!(created.0 == field && is_right(&created.1), "{created:?}");
        assert_eq!(find(on, token), None);
        if token == "two" {
            assert_eq!(invalid(web(on).save_session("one", &data(value), on.tomorrow()).wait()), created);
            assert_eq!(find(on, "one").unwrap().data, nobody());
        }
    }
    let empty = invalid(web(on).create_session("", &nobody(), on.tomorrow()).wait());
    assert_eq!(empty, ("session_token".to_owned(), Problem::Empty));
    create(on, "largest", &data(json!({ "a": "x".repeat(65_534), "\0": "\u{0}" })));
    assert_eq!(find(on, "largest").unwrap().data["\0"], "\u{0}");
}

/// One of the ways to end a session.
type End = fn(&Store, &UserId, &WebSessionId);

fn of_ending_and_saving_a_session_ending_wins(on: &Store) {
    let ends: [End; 5] = [
        |on, _, _| drop(web(on).delete_session("one").wait().unwrap().unwrap()),
        |on, ada, id| drop(web(on).end_session(ada, id).wait().unwrap().unwrap()),
        |on, ada, _| assert_eq!(web(on).end_sessions(ada, None).wait().unwrap(), 1),
        |on, ada, _| assert_eq!(on.kv.end_sessions(ada, None).wait().unwrap(), 1),
        |on, ada, _| drop(on.auth.delete_user(ada).wait().unwrap().unwrap()),
    ];
    for (round, end) in ends.into_iter().cycle().take(30).enumerate() {
        let ada = on.user(&format!("ada-{round}")).id;
        create(on, "one", &of(&ada));
        let id = id(on, "one");
        let (begin, ended) = (Barrier::new(17), AtomicBool::new(false));
        thread::scope(|scope| {
            for thread in 0..16 {
                let (begin, ended, ada) = (&begin, &ended, &ada);
                scope.spawn(move || {
                    begin.wait();
                    for n in 0..8 {
                        let was_ended = ended.load(Ordering::SeqCst);
                        let mut data = of(ada);
                        data.insert("n".to_owned(), json!(thread * 100 + n));
                        let is_there = save(on, "one", &data, on.tomorrow());
                        assert!(!(was_ended && is_there), "it was saved after it had ended");
                    }
                });
            }
            begin.wait();
            end(on, &ada, &id);
            ended.store(true, Ordering::SeqCst);
        });
        assert_eq!(find(on, "one"), None, "it was revived");
        assert!(listed(on, &ada).is_empty());
        assert_eq!(on.sound_report().web_sessions, 0);
    }
}
