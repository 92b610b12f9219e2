//! Signing in with a proven e-mail address, in one step.

use authkv::models::{Change, NewUser, SignedInWithEmail, User, UserPatch};
use authkv::{Problem, UniqueKey};
use chrono::TimeDelta;

use crate::stores::Store;
use authkv::conformance::{THREADS, at_once, conflict, invalid};

cases! {
    a_first_sign_in_creates_a_verified_user_and_a_session,
    a_later_sign_in_is_of_the_same_user_as_they_are_now,
    an_address_that_was_not_verified_is_from_then_on,
    an_address_is_the_same_in_other_case,
    what_cannot_be_stored_is_refused_and_nothing_is_written,
    of_many_first_sign_ins_with_one_address_one_creates_the_user,
    a_sign_in_while_its_user_is_deleted_leaves_nothing_behind,
}

const ADA: &str = "ada@example.com";
const ROUNDS: usize = 20;

fn sign_in(on: &Store, user: NewUser) -> SignedInWithEmail {
    on.kv.sign_in_with_email(user).wait().unwrap()
}

/// Asserts that the store contains the session and the user that were answered.
#[track_caller]
fn must_be_there(on: &Store, done: &SignedInWithEmail) {
    let found = on.find_session(done.session.session_token.reveal()).unwrap();
    assert_eq!((&found.session, &found.user), (&done.session, &done.user));
}

fn a_first_sign_in_creates_a_verified_user_and_a_session(on: &Store) {
    let done =
        sign_in(on, NewUser { name: Some("Ada".into()), image: Some("a-picture".into()), ..NewUser::email(ADA) });
    assert!(done.is_new_user && !done.was_unverified);
    must_be_there(on, &done);
    let expected = User {
        id: done.user.id.clone(),
        name: Some("Ada".into()),
        email: Some(ADA.into()),
        email_verified: Some(on.clock.now()),
        image: Some("a-picture".into()),
        created: on.clock.now(),
        extra: (),
    };
    assert_eq!(on.find_by_email(ADA), Some(expected));
    assert_eq!(done.session.expires, on.clock.now() + TimeDelta::days(30));
    assert_eq!(done.session.session_token.reveal().len(), 64);
}

fn a_later_sign_in_is_of_the_same_user_as_they_are_now(on: &Store) {
    let first = sign_in(on, NewUser::email(ADA));
    let patch = UserPatch { name: Change::to("Countess"), ..UserPatch::new(first.user.id.clone()) };
    let ada = on.auth.update_user(patch).wait().unwrap();
    on.clock.set(on.clock.now() + TimeDelta::days(1));
    let named = NewUser { id: Some("another".into()), name: Some("Ada".into()), ..NewUser::email(ADA) };
    for user in [NewUser::email(ADA), named] {
        let again = sign_in(on, user);
        assert!(!again.is_new_user && !again.was_unverified);
        assert_eq!(again.user, ada);
        must_be_there(on, &again);
    }
    let report = on.sound_report();
    assert_eq!((report.users, report.sessions), (1, 3));
}

fn an_address_that_was_not_verified_is_from_then_on(on: &Store) {
    let ada = on.auth.create_user(NewUser { name: Some("Ada".into()), ..NewUser::email(ADA) }).wait().unwrap();
    let session = on.kv.start_session(ada.id.clone()).wait().unwrap();
    on.find_session(session.session_token.reveal()).unwrap();
    let first_proof = on.clock.now();
    for was_unverified in [true, false] {
        let done = sign_in(on, NewUser::email(ADA));
        assert_eq!((done.is_new_user, done.was_unverified), (false, was_unverified));
        assert_eq!(done.user, User { email_verified: Some(first_proof), ..ada.clone() });
        must_be_there(on, &done);
        assert_eq!(on.find_session(session.session_token.reveal()).unwrap().user, done.user);
        on.clock.set(on.clock.now() + TimeDelta::seconds(1));
    }
}

fn an_address_is_the_same_in_other_case(on: &Store) {
    let ada = sign_in(on, NewUser::email("Ada@example.com")).user;
    assert_eq!(sign_in(on, NewUser::email("aDA@Example.com")).user, ada);
    assert_eq!(ada.email.as_deref(), Some("Ada@example.com"));
    let patch = UserPatch { email: Change::to("ADA@example.com"), ..UserPatch::new(ada.id) };
    let spelt_anew = on.auth.update_user(patch).wait().unwrap();
    assert_eq!(spelt_anew.email_verified, ada.email_verified, "another spelling of a proven address stays proven");
    assert!(sign_in(on, NewUser::email("ada@example.co")).is_new_user);
}

fn what_cannot_be_stored_is_refused_and_nothing_is_written(on: &Store) {
    sign_in(on, NewUser { id: Some("ada".into()), ..NewUser::email(ADA) });
    let before = on.sound_report();
    for (user, field) in [
        (NewUser::default(), "email"),
        (NewUser::email(""), "email"),
        (NewUser::email("x".repeat(513)), "email"),
        (NewUser { id: Some("".into()), ..NewUser::email("new@example.com") }, "id"),
        (NewUser { name: Some("x".repeat(65_537)), ..NewUser::email(ADA) }, "name"),
    ] {
        let (named, problem) = invalid(on.kv.sign_in_with_email(user).wait());
        assert_eq!(named, field);
        assert!(matches!(problem, Problem::Empty | Problem::TooLong { .. }), "{problem:?}");
    }
    let taken = NewUser { id: Some("ada".into()), ..NewUser::email("new@example.com") };
    assert_eq!(conflict(on.kv.sign_in_with_email(taken).wait()), UniqueKey::UserId);
    assert_eq!(on.sound_report(), before);
}

fn of_many_first_sign_ins_with_one_address_one_creates_the_user(on: &Store) {
    for round in 0..ROUNDS {
        let email = format!("ada-{round}@example.com");
        let all = at_once(|_| sign_in(on, NewUser::email(email.as_str())));
        assert_eq!(all.iter().filter(|done| done.is_new_user).count(), 1);
        let holder = on.find_by_email(&email).unwrap();
        assert!(all.iter().all(|done| done.user == holder && !done.was_unverified));
    }
    let report = on.sound_report();
    assert_eq!((report.users, report.sessions), (ROUNDS as u64, (ROUNDS * THREADS) as u64));
}

fn a_sign_in_while_its_user_is_deleted_leaves_nothing_behind(on: &Store) {
    for _ in 0..ROUNDS {
        let ada = sign_in(on, NewUser::email(ADA)).user;
        let results = at_once(|n| {
            if n == THREADS / 2 {
                assert!(on.auth.delete_user(&ada.id).wait().unwrap().is_some());
                return None;
            }
            Some(sign_in(on, NewUser::email(ADA)))
        });
        let holder = on.find_by_email(ADA);
        for done in results.into_iter().flatten() {
            let found = on.find_session(done.session.session_token.reveal());
            assert_eq!(found.is_some(), Some(&done.user.id) == holder.as_ref().map(|holder| &holder.id));
        }
        if let Some(again) = holder {
            on.auth.delete_user(&again.id).wait().unwrap();
        }
    }
    let report = on.sound_report();
    assert_eq!((report.users, report.sessions), (0, 0));
}
