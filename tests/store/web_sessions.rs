//! Web sessions: found by token, bound to users, listed and ended with the user's other sessions, and never revived.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Barrier, Mutex};
use std::thread;

use authkv::conformance::{conflict, eventually, invalid};
use authkv::models::{NewUser, UserId, WebSession, WebSessionData, WebSessionId};
use authkv::{Error, Problem, UniqueKey, WebSessions};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::stores::Store;

cases! {
    a_session_is_found_by_its_token_until_it_has_expired,
    a_token_has_one_session,
    saving_changes_a_session_and_never_creates_one,
    a_session_belongs_to_the_user_whom_its_data_names,
    a_session_that_names_a_user_who_was_never_here_is_nobodys_and_counted,
    a_session_that_names_a_deleted_user_is_refused,
    a_session_with_a_user_does_not_become_a_strangers,
    a_user_who_comes_later_gets_the_sessions_that_name_them,
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
    overlapping_requests_keep_each_others_values,
    a_value_that_two_requests_change_is_taken_whole_from_the_last,
    an_expiry_that_a_request_has_not_changed_is_not_saved,
    data_without_a_mark_replaces_all,
    a_mark_is_in_what_is_loaded_and_nowhere_else,
    saving_again_in_the_same_request_is_not_stale,
    saving_again_keeps_what_others_have_saved_before,
    a_session_that_is_loaded_between_two_saves_of_a_request_is_not_the_last,
    a_session_that_went_over_to_another_user_is_not_saved,
    a_stale_save_is_refused_on_request,
    a_session_made_anew_with_the_same_token_is_not_the_loaded_one,
    what_two_requests_add_together_is_limited_too,
    of_many_overlapping_requests_none_undoes_another,
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

fn a_session_that_names_a_user_who_was_never_here_is_nobodys_and_counted(on: &Store) {
    let stranger = of(&"stranger".into());
    on.user("ada");
    let counted = || on.kv.stats().sessions_of_strangers;
    let before = counted();
    create(on, "one", &stranger);
    create(on, "two", &nobody());
    assert_eq!(counted(), before + 1);
    assert!(save(on, "two", &stranger, on.tomorrow()));
    assert_eq!(counted(), before + 2);
    for token in ["one", "two"] {
        let found = find(on, token).unwrap();
        assert_eq!((found.user_id, found.data), (None, stranger.clone()));
        assert!(save(on, token, &stranger, on.tomorrow()));
    }
    assert_eq!(counted(), before + 2, "nothing was written");
    assert!(listed(on, &"stranger".into()).is_empty());
    let elsewhere = web(on).user_id_from(|_| None);
    elsewhere.create_session("three", &stranger, on.tomorrow()).wait().unwrap();
    assert_eq!(counted(), before + 2, "the application has said where its users are");
    on.sound_report();
}

fn a_session_that_names_a_deleted_user_is_refused(on: &Store) {
    let delete = |id: &UserId| drop(on.auth.delete_user(id).wait().unwrap().unwrap());
    // With few records and with so many that they are swept later; made anew and deleted again.
    let (ada, bob) = (on.user("ada").id, on.user("bob").id);
    for n in 0..300 {
        create(on, &format!("of bob {n}"), &of(&bob));
    }
    create(on, "of ada", &of(&ada));
    create(on, "one", &nobody());
    delete(&ada);
    delete(&bob);
    for _ in 0..2 {
        for user_id in [&ada, &bob] {
            let refused = web(on).create_session("two", &of(user_id), on.tomorrow()).wait();
            assert!(matches!(refused, Err(Error::UnknownUser)), "{refused:?}");
            let refused = web(on).save_session("one", &of(user_id), on.tomorrow()).wait();
            assert!(matches!(refused, Err(Error::UnknownUser)), "{refused:?}");
        }
        assert_eq!((find(on, "one").unwrap().data, find(on, "two")), (nobody(), None));
        eventually("everything is swept", || {
            on.token("sweeping", "goes on with writes");
            on.sound_report().waiting_to_be_swept == 0
        });
        let again = NewUser { id: Some(ada.clone()), ..NewUser::default() };
        on.auth.create_user(again).wait().unwrap();
        create(on, "of ada", &of(&ada));
        assert_eq!(listed(on, &ada).len(), 1);
        delete(&ada);
    }
    assert_eq!(on.kv.stats().sessions_of_strangers, 0);
}

fn a_session_with_a_user_does_not_become_a_strangers(on: &Store) {
    let ada = on.user("ada").id;
    create(on, "one", &of(&ada));
    let refused = web(on).save_session("one", &of(&"stranger".into()), on.tomorrow()).wait();
    assert!(matches!(refused, Err(Error::UnknownUser)), "{refused:?}");
    let found = find(on, "one").unwrap();
    assert_eq!((found.user_id, found.data), (Some(ada.clone()), of(&ada)));
    assert_eq!((listed(on, &ada).len(), on.kv.stats().sessions_of_strangers), (1, 0));
}

fn a_user_who_comes_later_gets_the_sessions_that_name_them(on: &Store) {
    let late = UserId::from("late");
    create(on, "one", &of(&late));
    on.auth.create_user(NewUser { id: Some(late.clone()), ..NewUser::default() }).wait().unwrap();
    assert!(listed(on, &late).is_empty());
    let mut changed = load(on, "one");
    changed.insert("theme".to_owned(), json!("light"));
    assert!(save(on, "one", &changed, on.tomorrow()));
    assert_eq!((find(on, "one").unwrap().user_id, listed(on, &late).len()), (Some(late), 1));
    on.sound_report();
}

const MARK: &str = "authkv.mark";

/// The data of a session for a request that may save it.
fn load(on: &Store, token: &str) -> WebSessionData {
    web(on).load_session(token).wait().unwrap().unwrap().data
}

/// The data with values changed, or removed if they are null.
fn with(mut data: WebSessionData, changes: Value) -> WebSessionData {
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => drop(data.remove(name)),
            value => drop(data.insert(name.clone(), value.clone())),
        }
    }
    data
}

fn overlapping_requests_keep_each_others_values(on: &Store) {
    create(on, "one", &data(json!({ "kept": 1, "changed": 1, "removed": 1, "also": { "a": [1] } })));
    let (slow, fast) = (load(on, "one"), load(on, "one"));
    let fast = with(fast, json!({ "basket": "a bicycle", "removed": null, "also": { "a": [2] } }));
    assert!(save(on, "one", &fast, on.tomorrow()));
    assert!(save(on, "one", &with(slow.clone(), json!({ "changed": 2, "visits": 1 })), on.tomorrow()));
    let both = json!({ "kept": 1, "changed": 2, "also": { "a": [2] }, "basket": "a bicycle", "visits": 1 });
    assert_eq!(find(on, "one").unwrap().data, data(both.clone()));
    let unchanged = find(on, "one");
    assert!(save(on, "one", &slow, on.tomorrow()), "a request that has changed nothing");
    assert_eq!(find(on, "one"), unchanged);
    on.sound_report();
}

fn a_value_that_two_requests_change_is_taken_whole_from_the_last(on: &Store) {
    create(on, "one", &data(json!({ "basket": { "a": 1 }, "gone": 1 })));
    let (one, other, third) = (load(on, "one"), load(on, "one"), load(on, "one"));
    assert!(save(on, "one", &with(one, json!({ "basket": { "a": 1, "b": 1 }, "gone": null })), on.tomorrow()));
    assert!(save(on, "one", &with(other, json!({ "basket": { "a": 1, "c": 1 }, "gone": 2 })), on.tomorrow()));
    assert_eq!(find(on, "one").unwrap().data, data(json!({ "basket": { "a": 1, "c": 1 }, "gone": 2 })));
    assert!(save(on, "one", &with(third, json!({ "basket": null })), on.tomorrow()));
    assert_eq!(find(on, "one").unwrap().data, data(json!({ "gone": 2 })));
}

fn an_expiry_that_a_request_has_not_changed_is_not_saved(on: &Store) {
    let (short, long) = (on.tomorrow(), on.tomorrow() + TimeDelta::days(30));
    create(on, "one", &nobody());
    let (slow, other) = (load(on, "one"), load(on, "one"));
    assert!(save(on, "one", &load(on, "one"), long), "somebody wants to be remembered");
    assert!(save(on, "one", &with(slow, json!({ "n": 1 })), short));
    assert_eq!(find(on, "one").unwrap().expires, long);
    assert!(save(on, "one", &with(other, json!({ "m": 1 })), short + TimeDelta::hours(1)));
    let found = find(on, "one").unwrap();
    assert_eq!(found.expires, short + TimeDelta::hours(1), "of two that change it, the last one wins");
    assert_eq!(found.data, data(json!({ "theme": "dark", "n": 1, "m": 1 })));
}

fn data_without_a_mark_replaces_all(on: &Store) {
    create(on, "one", &data(json!({ "a": 1 })));
    let slow = load(on, "one");
    assert!(save(on, "one", &data(json!({ "b": 1 })), on.tomorrow() + TimeDelta::hours(9)));
    let found = find(on, "one").unwrap();
    assert_eq!((found.data, found.expires), (data(json!({ "b": 1 })), on.tomorrow() + TimeDelta::hours(9)));
    assert!(save(on, "one", &WebSessionData::new(), on.tomorrow()));
    let found = find(on, "one").unwrap();
    assert_eq!((found.data, found.expires), (WebSessionData::new(), on.tomorrow()));
    assert!(save(on, "one", &with(slow, json!({ "c": 1 })), on.tomorrow()));
    assert_eq!(find(on, "one").unwrap().data, data(json!({ "c": 1 })), "what was cleared comes back");
}

fn a_mark_is_in_what_is_loaded_and_nowhere_else(on: &Store) {
    let ada = on.user("ada").id;
    create(on, "one", &of(&ada));
    let loaded = load(on, "one");
    assert_ne!(loaded[MARK], load(on, "one")[MARK], "each load has its own");
    assert_eq!(with(loaded.clone(), json!({ MARK: null })), of(&ada));
    let asked = Mutex::new(Vec::new());
    let own = WebSessions::new(on.kv.clone()).user_id_from(|data| {
        assert!(!data.contains_key(MARK));
        data.get("axum-login.data")?.get("user_id")?.as_str().map(UserId::from)
    });
    own.create_session("two", &with(loaded.clone(), json!({ "n": 1 })), on.tomorrow()).wait().unwrap();
    assert!(own.save_session("one", &with(loaded, json!({ "n": 1 })), on.tomorrow()).wait().unwrap());
    for token in ["one", "two"] {
        asked.lock().unwrap().push(find(on, token).unwrap().data);
    }
    for listed in web(on).list_sessions(&ada, None, 1_000).wait().unwrap().items {
        asked.lock().unwrap().push(listed.data);
    }
    asked.lock().unwrap().push(web(on).delete_session("two").wait().unwrap().unwrap().data);
    let shown = asked.into_inner().unwrap();
    assert_eq!(shown.len(), 5);
    assert!(shown.into_iter().all(|data| data == with(of(&ada), json!({ "n": 1 }))));
    let not_a_mark = with(nobody(), json!({ MARK: "of the application" }));
    for refused in [
        invalid(web(on).create_session("three", &not_a_mark, on.tomorrow()).wait()),
        invalid(web(on).save_session("one", &not_a_mark, on.tomorrow()).wait()),
    ] {
        assert_eq!(refused, (MARK.to_owned(), Problem::ReservedName));
    }
    assert_eq!(web(on).load_session("three").wait().unwrap(), None);
}

fn saving_again_in_the_same_request_is_not_stale(on: &Store) {
    create(on, "one", &data(json!({ "a": 1 })));
    let sessions = web(on).refuse_stale_saves();
    let again = |data: &WebSessionData| sessions.save_session("one", data, on.tomorrow()).wait().unwrap();
    let loaded = load(on, "one");
    for changes in [json!({ "a": 2 }), json!({ "a": 1 }), json!({ "a": 1, "b": 1 }), json!({ "a": null })] {
        let wanted = with(loaded.clone(), changes);
        assert!(again(&wanted));
        assert_eq!(find(on, "one").unwrap().data, with(wanted, json!({ MARK: null })));
    }
    // A session that the request itself has made, as when it gets a new token.
    sessions.create_session("two", &with(loaded.clone(), json!({ "a": 3 })), on.tomorrow()).wait().unwrap();
    assert!(sessions.save_session("two", &loaded, on.tomorrow()).wait().unwrap());
    assert_eq!(find(on, "two").unwrap().data, data(json!({ "a": 1 })));
}

fn saving_again_keeps_what_others_have_saved_before(on: &Store) {
    let ada = on.user("ada").id;
    create(on, "one", &data(json!({ "a": 1 })));
    let (signing_in, other) = (load(on, "one"), load(on, "one"));
    assert!(save(on, "one", &with(other, json!({ "basket": 1 })), on.tomorrow()));
    let signed_in = with(signing_in, json!({ "axum-login.data": { "user_id": ada } }));
    assert!(save(on, "one", &signed_in, on.tomorrow()));
    assert!(save(on, "one", &with(signed_in, json!({ "n": 1 })), on.tomorrow()));
    let found = find(on, "one").unwrap();
    let all = json!({ "a": 1, "basket": 1, "n": 1, "axum-login.data": { "user_id": ada } });
    assert_eq!((found.data, found.user_id), (data(all), Some(ada)));
}

fn a_session_that_is_loaded_between_two_saves_of_a_request_is_not_the_last(on: &Store) {
    create(on, "one", &WebSessionData::new());
    let first = with(load(on, "one"), json!({ "a": 1 }));
    assert!(save(on, "one", &first, on.tomorrow()));
    let between = load(on, "one");
    assert!(save(on, "one", &with(first, json!({ "b": 1 })), on.tomorrow()));
    assert!(save(on, "one", &with(between, json!({ "c": 1 })), on.tomorrow()));
    assert_eq!(find(on, "one").unwrap().data, data(json!({ "a": 1, "b": 1, "c": 1 })));
}

fn a_session_that_went_over_to_another_user_is_not_saved(on: &Store) {
    let (ada, bob) = (on.user("ada").id, on.user("bob").id);
    let (stranger, nobody) = (of(&"stranger".into()), nobody());
    let states = [of(&ada), of(&bob), stranger, nobody];
    for loaded in &states {
        for now in states.iter().filter(|now| *now != loaded) {
            let replace = |data: &WebSessionData| {
                drop(web(on).delete_session("one").wait().unwrap());
                create(on, "one", data);
            };
            replace(loaded);
            let slow = load(on, "one");
            replace(now);
            let before = find(on, "one");
            let changed = with(slow.clone(), json!({ "n": 1 }));
            assert!(!save(on, "one", &changed, on.tomorrow() + TimeDelta::days(9)));
            assert!(!save(on, "one", &slow, on.tomorrow() + TimeDelta::days(9)), "nor the expiry alone");
            assert_eq!(find(on, "one"), before);
        }
    }
    // The request that signs somebody in is not one of those.
    drop(web(on).delete_session("one").wait().unwrap());
    create(on, "one", &data(json!({ "theme": "dark" })));
    let signing_in = load(on, "one");
    assert!(save(on, "one", &with(load(on, "one"), json!({ "n": 1 })), on.tomorrow()));
    assert!(save(on, "one", &with(signing_in, json!({ "axum-login.data": { "user_id": ada } })), on.tomorrow()));
    let found = find(on, "one").unwrap();
    assert_eq!((found.user_id, &found.data["n"]), (Some(ada), &json!(1)));
    on.sound_report();
}

fn a_stale_save_is_refused_on_request(on: &Store) {
    create(on, "one", &data(json!({ "a": 1 })));
    let sessions = web(on).refuse_stale_saves();
    let [slow, reading, moving] = [(); 3].map(|()| load(on, "one"));
    assert!(sessions.save_session("one", &moving, on.tomorrow() + TimeDelta::days(2)).wait().unwrap());
    assert!(save(on, "one", &with(load(on, "one"), json!({ "b": 1 })), on.tomorrow() + TimeDelta::days(2)));
    let before = find(on, "one");
    let refused = sessions.save_session("one", &with(slow.clone(), json!({ "c": 1 })), on.tomorrow()).wait();
    assert!(matches!(refused, Err(Error::StaleSession)), "{refused:?}");
    let refused = sessions.clone().save_session("one", &with(slow, json!({ "a": null })), on.tomorrow()).wait();
    assert!(matches!(refused, Err(Error::StaleSession)), "{refused:?}");
    assert_eq!(find(on, "one"), before);
    assert!(sessions.save_session("one", &reading, on.tomorrow() + TimeDelta::days(3)).wait().unwrap());
    let changed = with(load(on, "one"), json!({ "c": 1 }));
    assert!(save(on, "one", &load(on, "one"), on.tomorrow() + TimeDelta::days(4)), "only the expiry");
    assert!(sessions.save_session("one", &changed, on.tomorrow()).wait().unwrap(), "nobody has changed the data");
    assert_eq!(find(on, "one").unwrap().data, data(json!({ "a": 1, "b": 1, "c": 1 })));
}

fn a_session_made_anew_with_the_same_token_is_not_the_loaded_one(on: &Store) {
    create(on, "one", &data(json!({ "a": 1, "b": 1 })));
    let slow = load(on, "one");
    web(on).delete_session("one").wait().unwrap().unwrap();
    create(on, "one", &data(json!({ "a": 2 })));
    assert!(save(on, "one", &with(slow, json!({ "c": 1 })), on.tomorrow()));
    assert_eq!(find(on, "one").unwrap().data, data(json!({ "a": 2, "c": 1 })));
}

fn what_two_requests_add_together_is_limited_too(on: &Store) {
    create(on, "one", &WebSessionData::new());
    let half = |who: &str| -> WebSessionData {
        (0..5).map(|n| (format!("{who} {n}"), json!("x".repeat(60_000)))).chain(load(on, "one")).collect()
    };
    let (one, other) = (half("one"), half("other"));
    assert!(save(on, "one", &one, on.tomorrow()));
    let before = find(on, "one");
    let (_, problem) = invalid(web(on).save_session("one", &other, on.tomorrow()).wait());
    assert!(matches!(problem, Problem::TooLong { limit, .. } if limit == 512 << 10), "{problem:?}");
    assert_eq!(find(on, "one"), before);
}

fn of_many_overlapping_requests_none_undoes_another(on: &Store) {
    const REQUESTS: i32 = 32;
    create(on, "one", &WebSessionData::new());
    let begin = Barrier::new(REQUESTS as usize);
    thread::scope(|scope| {
        for n in 0..REQUESTS {
            let begin = &begin;
            scope.spawn(move || {
                let loaded = load(on, "one");
                begin.wait();
                assert!(save(on, "one", &with(loaded, json!({ n.to_string(): n })), on.tomorrow() + TICK * n));
            });
        }
    });
    let all: WebSessionData = (0..REQUESTS).map(|n| (n.to_string(), json!(n))).collect();
    assert_eq!(find(on, "one").unwrap().data, all);
    on.sound_report();
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
    assert!(listed(on, &"stranger".into()).is_empty());
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
        let session = on.kv.start_session(ada.clone()).wait().unwrap();
        ["one", "two"].into_iter().for_each(|token| create(on, token, &of(&ada)));
        session
    };
    let valid = || [listed(on, &ada).len(), on.kv.list_sessions(&ada, None, 1_000).wait().unwrap().items.len()];
    create(on, "nobody", &nobody());
    create(on, "of bob", &of(&bob));

    sign_in();
    assert_eq!(on.kv.end_all_sessions(&ada).wait().unwrap(), 3);
    assert_eq!(valid(), [0, 0]);
    sign_in();
    assert_eq!(on.kv.end_all_sessions(&ada).wait().unwrap(), 3);
    assert_eq!(valid(), [0, 0]);
    let session = sign_in();
    assert_eq!(on.kv.end_other_sessions(&ada, &session.id).wait().unwrap(), 2);
    assert_eq!(valid(), [0, 1]);
    sign_in();
    let here = id(on, "one");
    assert_eq!(web(on).end_other_sessions(&ada, &here).wait().unwrap(), 3);
    assert_eq!((valid(), listed(on, &ada)), ([1, 0], vec![here]));
    for unknown in [id(on, "of bob"), "no hash".into()] {
        assert!(matches!(web(on).end_other_sessions(&ada, &unknown).wait(), Err(Error::UnknownSession)));
    }
    assert_eq!(on.kv.end_all_sessions(&ada).wait().unwrap(), 1);
    assert!(find(on, "of bob").is_some() && find(on, "nobody").is_some());

    let many: Vec<_> = (0..1_500).map(|n| web(on).create_session(format!("{n}"), &of(&ada), on.tomorrow())).collect();
    many.into_iter().for_each(|reply| reply.wait().unwrap());
    on.kv.start_session(ada.clone()).wait().unwrap();
    let ended = [(); 2].map(|()| on.kv.end_all_sessions(&ada).wait().unwrap());
    assert_eq!(ended, [1_501, 0]);
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
    assert!(listed(on, &ada).is_empty());
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
        |on, ada, _| assert_eq!(on.kv.end_all_sessions(ada).wait().unwrap(), 1),
        |on, ada, _| assert_eq!(on.kv.end_all_sessions(ada).wait().unwrap(), 1),
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
