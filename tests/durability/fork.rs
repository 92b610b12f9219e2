//! fork(2). Goal: in a child, writes and `close` on a file are errors at once, dropping the store waits for nobody, and
//! the parent's file and its lock stay as they are. Method: the parent writes while a child tries everything and ends; a
//! third process tries to open the file meanwhile.

use std::env;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use authkv::models::{NewUser, SIGN_IN};
use authkv::redb::Database;
use authkv::{AuthKv, Error, OpenProblem, Reply};
use authkv_fork::fork;
use chrono::TimeDelta;

const FILE: &str = "AUTHKV_TEST_FORK_FILE";
/// How many writes of the parent there are while a child lives, and again after its end.
const WRITES: usize = 500;

#[test]
fn a_child_leaves_the_parents_file_and_its_lock_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.redb");
    let auth = AuthKv::open(&path).unwrap();
    write_around_a_child(&auth, &path, || must_fail_at_once(auth.clone()));
    auth.close().wait().unwrap();
    assert_eq!(AuthKv::open(&path).unwrap().check().wait().unwrap().users, 2 * WRITES as u64);
}

#[test]
fn a_child_leaves_the_applications_database_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.redb");
    let database = Arc::new(Database::create(&path).unwrap());
    let auth = AuthKv::options().on_database(Arc::clone(&database)).unwrap();
    write_around_a_child(&auth, &path, || must_fail_at_once(auth.clone()));
}

#[test]
fn the_last_handle_can_be_dropped_in_a_child() {
    let folder = tempfile::tempdir().unwrap();
    let (path, shared) = (folder.path().join("app.redb"), folder.path().join("shared.redb"));
    let database = Arc::new(Database::create(&shared).unwrap());
    let on_database = AuthKv::options().on_database(database).unwrap();
    for (path, auth) in [(path.clone(), AuthKv::open(path).unwrap()), (shared, on_database)] {
        auth.create_user(NewUser::default()).wait().unwrap();
        let mut mine = Some(auth);
        fork(|| drop(mine.take())).wait();
        must_be_locked(&path);
        mine.unwrap().close().wait().unwrap();
    }
}

#[test]
fn a_store_that_was_closed_is_dropped_in_a_child() {
    let folder = tempfile::tempdir().unwrap();
    let mut auth = Some(AuthKv::open(folder.path().join("app.redb")).unwrap());
    auth.as_ref().unwrap().close().wait().unwrap();
    fork(|| drop(auth.take())).wait();
}

#[test]
fn a_reply_from_before_the_fork_is_an_error_in_the_child() {
    let folder = tempfile::tempdir().unwrap();
    let database = Arc::new(Database::create(folder.path().join("app.redb")).unwrap());
    let auth = AuthKv::options().on_database(Arc::clone(&database)).unwrap();
    let holds_writes_up = database.begin_write().unwrap();
    let mut reply = Some(auth.create_user(NewUser::email("ada@example.com")));
    let child = fork(|| {
        let answer = reply.take().unwrap().wait();
        assert!(matches!(answer, Err(Error::OutcomeUnknown(_))), "{answer:?}");
    });
    child.wait();
    holds_writes_up.abort().unwrap();
    reply.unwrap().wait().unwrap();
}

#[test]
fn a_store_in_memory_goes_on_in_a_child_with_what_it_had() {
    let auth = AuthKv::in_memory().unwrap();
    let ada = auth.create_user(NewUser::email("ada@example.com")).wait().unwrap();
    let mut mine = Some(auth);
    let child = fork(|| {
        let auth = mine.take().unwrap();
        auth.create_user(NewUser::email("bob@example.com")).wait().unwrap();
        assert_eq!(auth.get_user(&ada.id).wait().unwrap().as_ref(), Some(&ada));
        auth.close().wait().unwrap();
    });
    child.wait();
    assert_eq!(mine.unwrap().check().wait().unwrap().users, 1);
}

/// Writes while a child does its work and after its end. Nobody else can open the file meanwhile.
fn write_around_a_child(auth: &AuthKv, path: &Path, work: impl FnOnce()) {
    let (ended, written, before_end) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0..2 * WRITES {
                while number == WRITES && !ended.load(Ordering::SeqCst) {
                    std::thread::sleep(Duration::from_millis(1));
                }
                auth.create_user(NewUser::email(format!("{number}@example.com"))).wait().unwrap();
                written.fetch_add(1, Ordering::SeqCst);
            }
        });
        while written.load(Ordering::SeqCst) < WRITES / 10 {
            std::thread::sleep(Duration::from_millis(1));
        }
        let child = fork(work);
        before_end.store(written.load(Ordering::SeqCst), Ordering::SeqCst);
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            child.wait();
            must_be_locked(path);
        }));
        // The writes go on in any case, so that a failure is reported.
        ended.store(true, Ordering::SeqCst);
        outcome.unwrap_or_else(|panic| resume_unwind(panic));
    });
    assert!(before_end.into_inner() < WRITES, "all were written before there was a child");
    must_be_locked(path);
    let report = auth.check().wait().unwrap();
    assert!(report.is_sound() && report.users == 2 * WRITES as u64, "{report:?}");
}

fn must_fail_at_once(auth: AuthKv) {
    fn refused<T: std::fmt::Debug>(reply: Reply<T>) {
        let answer = reply.wait();
        assert!(matches!(answer, Err(Error::Storage(_))), "{answer:?}");
    }
    for _ in 0..10 {
        refused(auth.create_user(NewUser::email("mallory@example.com")));
        refused(auth.issue_link_token(SIGN_IN, "mallory@example.com", TimeDelta::hours(1)));
        refused(auth.delete_session("a token"));
        refused(auth.purge_expired());
        refused(auth.synchronize());
        refused(auth.close());
    }
}

/// A process that was not forked tries to open the file.
fn must_be_locked(path: &Path) {
    let mut third = Command::new(env::current_exe().unwrap());
    third.args(["fork::the_third_process", "--exact", "--ignored", "--nocapture"]).env(FILE, path);
    let output = third.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
#[ignore = "the third process"]
fn the_third_process() {
    let Some(file) = env::var_os(FILE) else { return };
    let opened = AuthKv::open(file);
    assert!(matches!(opened, Err(Error::Open { problem: OpenProblem::Locked, .. })), "{opened:?}");
}
