//! Deleting a user with very many records. The store removes them in steps that no caller may notice.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use authkv::UniqueKey;
use authkv::models::NewUser;
use authkv::models::{AccountKey, NewSession, User};

use crate::stores::Store;
use authkv::conformance::{conflict, eventually};

cases! {
    a_user_with_10_000_sessions_is_gone_at_once,
    the_id_of_a_user_with_many_sessions_is_free_when_they_are_swept,
    many_users_with_many_sessions_are_all_swept,
}

const SESSIONS: usize = 10_000;
const OTHERS: usize = 20;

fn create_sessions(on: &Store, prefix: &str, user: &User, count: usize) {
    const CALLERS: usize = 8;
    thread::scope(|scope| {
        for caller in 0..CALLERS {
            scope.spawn(move || {
                let new = |n| NewSession::new(format!("{prefix}-{n}"), user.id.clone(), on.tomorrow());
                let replies: Vec<_> =
                    (caller..count).step_by(CALLERS).map(|n| on.auth.create_session(new(n))).collect();
                for reply in replies {
                    reply.wait().unwrap();
                }
            });
        }
    });
}

/// Ada, who will be deleted, with many sessions and some accounts and authenticators.
fn ada_with_very_much(on: &Store) -> User {
    let ada = on.user_with_id("ada");
    create_sessions(on, "ada", &ada, SESSIONS);
    for n in 0..OTHERS {
        on.account("github", format!("ada-{n}").as_str(), &ada.id);
        on.authenticator(&format!("ada-{n}"), &ada.id);
    }
    ada
}

/// Writes and reads for another user until it has to stop. Returns how many sessions that user has.
fn keep_busy(on: &Store, bob: &User, thread: usize, stop: &AtomicBool) -> usize {
    let mut written = 0;
    while !stop.load(Ordering::SeqCst) {
        let token = format!("bob-{thread}-{written}");
        on.session(&token, &bob.id);
        written += 1;
        assert_eq!(on.find_session(&token).unwrap().user, *bob);
        assert_eq!(on.find_account("google", "bob").unwrap().user_id, bob.id);
        assert_eq!(on.authenticators_of(&bob.id), ["bob"]);
    }
    written
}

/// Looks for Ada's records until it has to stop. Once her deletion is answered, none may be found.
fn look_for_ada(on: &Store, deleted: &AtomicBool, stop: &AtomicBool) {
    for n in (0..SESSIONS).cycle() {
        if stop.load(Ordering::SeqCst) {
            break;
        }
        let was_deleted = deleted.load(Ordering::SeqCst);
        let owners = [
            on.find_session(&format!("ada-{n}")).map(|found| found.user.id),
            on.find_account("github", &format!("ada-{}", n % OTHERS)).map(|found| found.user_id),
            on.find_authenticator(&format!("ada-{}", n % OTHERS)).map(|found| found.user_id),
        ];
        // A record found now belongs to the key's new owner.
        assert!(!(was_deleted && owners.contains(&Some("ada".into()))), "{owners:?}");
    }
}

fn a_user_with_10_000_sessions_is_gone_at_once(on: &Store) {
    let ada = ada_with_very_much(on);
    let bob = on.user("bob");
    on.account("google", "bob", &bob.id);
    on.authenticator("bob", &bob.id);
    let carol = on.user("carol");
    let (deleted, stop, written) = (AtomicBool::new(false), AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        let (bob, deleted, stop, written) = (&bob, &deleted, &stop, &written);
        for thread in 0..2 {
            scope.spawn(move || written.fetch_add(keep_busy(on, bob, thread, stop), Ordering::SeqCst));
            scope.spawn(move || look_for_ada(on, deleted, stop));
        }
        // Stops the threads even if an assertion fails here, so that the failure is seen.
        let _stop_at_the_end = SetOnDrop(stop);
        assert_eq!(on.auth.delete_user(&ada.id).wait().unwrap().as_ref(), Some(&ada));
        deleted.store(true, Ordering::SeqCst);
        let reused = reuse_keys(on, &carol);
        must_be_gone(on, &ada, &reused);
    });
    eventually("everything is swept", || {
        on.token("sweeping", "goes on with writes");
        on.sound_report().waiting_to_be_swept == 0
    });
    let report = on.sound_report();
    let sessions = (written.into_inner() + SESSIONS.div_ceil(REUSED_EVERY)) as u64;
    assert_eq!((report.users, report.sessions), (2, sessions));
    assert_eq!((report.accounts, report.authenticators), (2, 2));
}

struct SetOnDrop<'a>(&'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

const REUSED_EVERY: usize = 500;

/// Gives some of Ada's keys to Carol, first those that are likely to be swept last.
fn reuse_keys(on: &Store, carol: &User) -> Vec<usize> {
    let last = format!("ada-{}", OTHERS - 1);
    on.account("github", last.as_str(), &carol.id);
    on.authenticator(&last, &carol.id);
    let reused: Vec<_> = (0..SESSIONS).step_by(REUSED_EVERY).collect();
    let new = |n| NewSession::new(format!("ada-{n}"), carol.id.clone(), on.tomorrow());
    let replies: Vec<_> = reused.iter().rev().map(|n| on.auth.create_session(new(n))).collect();
    for reply in replies {
        reply.wait().unwrap();
    }
    reused
}

/// Asserts that no record of Ada's is seen, and that the keys given to Carol are Carol's.
fn must_be_gone(on: &Store, ada: &User, reused: &[usize]) {
    on.sound_report();
    for n in 0..SESSIONS {
        let token = format!("ada-{n}");
        let found = on.find_session(&token).map(|found| found.user.email);
        let expected = reused.contains(&n).then(|| Some("carol@example.com".to_owned()));
        assert_eq!(found, expected, "{token}");
    }
    for n in (0..SESSIONS).rev().filter(|n| !reused.contains(n)).step_by(997) {
        assert_eq!(on.auth.delete_session(&format!("ada-{n}")).wait().unwrap(), None);
    }
    for n in 0..OTHERS - 1 {
        let key = AccountKey::new("github", format!("ada-{n}"));
        assert_eq!(on.auth.get_user_by_account(&key).wait().unwrap(), None);
        assert_eq!(on.auth.unlink_account(&key).wait().unwrap(), None);
        assert_eq!(on.find_authenticator(&format!("ada-{n}")), None);
    }
    assert_eq!(on.find_user(&ada.id), None);
    assert!(on.authenticators_of(&ada.id).is_empty());
}

fn the_id_of_a_user_with_many_sessions_is_free_when_they_are_swept(on: &Store) {
    let ada = on.user_with_id("ada");
    create_sessions(on, "ada", &ada, 2_000);
    let again = || on.auth.create_user(NewUser { id: Some(ada.id.clone()), ..NewUser::default() });
    // Both calls are made before either is waited for, so that no sweep can end between them.
    let (deleted, refused) = (on.auth.delete_user(&ada.id), again());
    assert_eq!(deleted.wait().unwrap().as_ref(), Some(&ada));
    assert_eq!(conflict(refused.wait()), UniqueKey::UserId);
    eventually("the id is free", || match again().wait() {
        Ok(user) => user.id == ada.id,
        refused => conflict(refused) != UniqueKey::UserId,
    });
    let report = on.sound_report();
    assert_eq!((report.users, report.sessions, report.waiting_to_be_swept), (1, 0, 0));
    assert_eq!(on.find_session("ada-0"), None);
    assert!(on.authenticators_of(&ada.id).is_empty());
}

fn many_users_with_many_sessions_are_all_swept(on: &Store) {
    let users = ["ada", "bob", "eve"].map(|id| on.user_with_id(id));
    for user in &users {
        create_sessions(on, user.id.as_str(), user, 700);
    }
    let [ada, bob, eve] = users;
    let replies = [on.auth.delete_user(&ada.id), on.auth.delete_user(&bob.id)];
    for reply in replies {
        assert!(reply.wait().unwrap().is_some());
    }
    for n in 0..700 {
        assert_eq!(on.find_session(&format!("ada-{n}")), None);
        assert_eq!(on.find_session(&format!("bob-{n}")), None);
        assert_eq!(on.find_session(&format!("eve-{n}")).unwrap().user, eve);
    }
    eventually("everything is swept", || {
        on.token("sweeping", "goes on with writes");
        on.sound_report().waiting_to_be_swept == 0
    });
    let report = on.sound_report();
    assert_eq!((report.users, report.sessions), (1, 700));
}
