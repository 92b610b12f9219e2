//! Calls that meet a write transaction of the application's, which keeps the writer of a shared database waiting. Goal:
//! no call hangs, `Busy` means that nothing was written and never will be, and background work is not lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use authkv::conformance::Clock;
use authkv::models::{NewSession, NewUser};
use authkv::redb::{Database, TableDefinition};
use authkv::{AuthKv, Durability, Error, OpenProblem, Options};
use chrono::TimeDelta;
use tempfile::TempDir;

use crate::stores::{new_path, options};

const NOTES: TableDefinition<u64, &str> = TableDefinition::new("notes");
const WAIT: Duration = Duration::from_millis(150);
/// Longer than any wait of these tests may take.
const SOON: Duration = Duration::from_secs(5);

fn database() -> (TempDir, Arc<Database>) {
    let (folder, path) = new_path();
    (folder, Arc::new(Database::create(path).unwrap()))
}

fn patient(options: Options) -> Options {
    options.wait_for_transaction(WAIT)
}

fn shared() -> (TempDir, Arc<Database>, AuthKv) {
    let (folder, database) = database();
    let auth = patient(AuthKv::options()).on_database(Arc::clone(&database)).unwrap();
    (folder, database, auth)
}

/// Opens a store whose last writer may still have something to sync, which takes long on a busy disk.
fn reopened(database: &Arc<Database>) -> AuthKv {
    AuthKv::options().on_database(Arc::clone(database)).unwrap()
}

/// Runs a call that must take about as long as a call waits, or less.
fn in_time<T>(call: impl FnOnce() -> T) -> T {
    let began = Instant::now();
    let answer = call();
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    answer
}

fn busy<T>(result: authkv::Result<T>) {
    assert!(matches!(result, Err(Error::Busy)), "{:?}", result.err());
}

/// Asks until the condition holds.
fn eventually(holds: impl Fn() -> bool) {
    let deadline = Instant::now() + SOON;
    while !holds() {
        assert!(Instant::now() < deadline, "it never holds");
        thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn a_call_inside_of_a_transaction_is_busy_and_is_never_done() {
    let (_folder, database, auth) = shared();
    let ada = auth.create_user(NewUser::email("ada@example.com")).wait().unwrap();
    let own = database.begin_write().unwrap();
    let began = Instant::now();
    busy(auth.create_user(NewUser::email("bob@example.com")).wait());
    assert!(began.elapsed() >= WAIT, "it gave up too early");
    busy(in_time(|| auth.synchronize().wait()));
    // Reads go on.
    assert_eq!(auth.get_user(&ada.id).wait().unwrap(), Some(ada));
    assert_eq!(auth.get_user_by_email("bob@example.com").wait().unwrap(), None);
    own.commit().unwrap();
    auth.create_user(NewUser::email("cleo@example.com")).wait().unwrap();
    auth.synchronize().wait().unwrap();
    assert_eq!(auth.get_user_by_email("bob@example.com").wait().unwrap(), None);
}

/// Nobody is left who wants the turn that the writer gets when the transaction ends.
#[test]
fn a_turn_that_comes_too_late_is_given_back() {
    let (_folder, database, auth) = shared();
    for _ in 0..3 {
        let own = database.begin_write().unwrap();
        busy(auth.create_user(NewUser::default()).wait());
        own.commit().unwrap();
        thread::sleep(Duration::from_millis(20));
        let free = database.try_begin_write();
        assert!(free.is_ok(), "the store keeps its turn");
    }
}

#[test]
fn a_call_whose_wait_is_not_over_is_done_when_the_transaction_ends() {
    let (_folder, database) = database();
    let auth = AuthKv::options().on_database(Arc::clone(&database)).unwrap();
    let own = database.begin_write().unwrap();
    let replies: Vec<_> = (0..100).map(|n| auth.create_user(NewUser::email(format!("{n}@example.com")))).collect();
    thread::sleep(Duration::from_millis(50));
    own.commit().unwrap();
    let users = replies.into_iter().map(|reply| in_time(|| reply.wait()).unwrap());
    users.for_each(|user| assert_eq!(auth.get_user(&user.id).wait().unwrap(), Some(user)));
}

/// Each call counts from when it came: one that comes late in a long transaction gets its whole wait.
#[test]
fn a_wait_counts_from_when_the_call_came() {
    let (_folder, database, auth) = shared();
    let own = database.begin_write().unwrap();
    let first = auth.create_user(NewUser::email("first@example.com"));
    thread::sleep(WAIT * 2 / 3);
    let second = auth.create_user(NewUser::email("second@example.com"));
    busy(in_time(|| first.wait()));
    own.commit().unwrap();
    second.wait().unwrap();
}

#[test]
fn a_wait_must_be_longer_than_zero() {
    for wait in [TimeDelta::zero(), TimeDelta::milliseconds(-1), TimeDelta::nanoseconds(5)] {
        let error = AuthKv::options().wait_for_transaction(wait).in_memory().unwrap_err();
        assert_eq!(error.to_string(), "wait_for_transaction must be at least a millisecond");
    }
    AuthKv::options().wait_for_transaction(TimeDelta::MAX).in_memory().unwrap();
    let (_folder, database) = database();
    drop(AuthKv::options().wait_for_transaction(TimeDelta::MAX).on_database(database).unwrap());
}

#[test]
fn a_store_is_not_made_inside_of_a_transaction_and_one_that_exists_is_opened() {
    let (_folder, database) = database();
    let open = || patient(AuthKv::options()).on_database(Arc::clone(&database));
    let own = database.begin_write().unwrap();
    let error = in_time(open).unwrap_err();
    assert!(matches!(&error, Error::Open { problem: OpenProblem::TransactionOpen, .. }), "{error}");
    assert!(error.to_string().contains("commit or abort that first"), "{error}");
    own.abort().unwrap();
    drop(open().unwrap());
    let own = database.begin_write().unwrap();
    drop(in_time(open).unwrap());
    own.abort().unwrap();
}

#[test]
fn closing_gives_up_and_is_done_when_the_transaction_ends() {
    let (_folder, database) = database();
    let deferred = AuthKv::options().durability(Durability::Deferred);
    let auth = patient(deferred).on_database(Arc::clone(&database)).unwrap();
    let own = database.begin_write().unwrap();
    let waiting = auth.create_user(NewUser::email("ada@example.com"));
    busy(in_time(|| auth.close().wait()));
    busy(waiting.wait());
    assert!(matches!(auth.create_user(NewUser::default()).wait(), Err(Error::Closed)));
    in_time(|| drop(auth));
    own.commit().unwrap();
    // The claim to the database is let go of.
    let auth = reopened(&database);
    assert_eq!(auth.get_user_by_email("ada@example.com").wait().unwrap(), None);
}

#[test]
fn the_last_handle_can_be_dropped_inside_of_a_transaction() {
    let (_folder, database, auth) = shared();
    let own = database.begin_write().unwrap();
    in_time(|| drop(auth));
    // Nothing was left to write, so the store is closed.
    let auth = patient(AuthKv::options()).on_database(Arc::clone(&database)).unwrap();
    let waiting = auth.create_user(NewUser::email("ada@example.com"));
    in_time(|| drop(auth));
    busy(waiting.wait());
    own.commit().unwrap();
    let auth = reopened(&database);
    auth.create_user(NewUser::email("ada@example.com")).wait().unwrap();
}

/// The extension of a session and the purge behind it wait for longer than a call does, also when the store is dropped.
#[test]
fn background_work_waits_and_is_not_lost() {
    for is_dropped in [false, true] {
        let (_folder, database) = database();
        let clock = Clock::new();
        let auth = patient(options(&clock)).on_database(Arc::clone(&database)).unwrap();
        let ada = auth.create_user(NewUser::email("ada@example.com")).wait().unwrap();
        let session = auth.start_session(ada.id.clone()).wait().unwrap();
        let expired =
            NewSession { session_token: "expired".into(), user_id: ada.id.clone(), expires: clock.now(), extra: () };
        auth.create_session(expired).wait().unwrap();
        clock.set(clock.now() + TimeDelta::days(3));
        let own = database.begin_write().unwrap();
        let token = session.session_token.reveal();
        auth.authenticate(token).wait().unwrap().passed().expect("it is valid");
        busy(auth.create_user(NewUser::default()).wait());
        let kept = (!is_dropped).then(|| auth.clone());
        in_time(|| drop(auth));
        own.commit().unwrap();
        let auth = kept.unwrap_or_else(|| options(&clock).on_database(Arc::clone(&database)).unwrap());
        let extended = session.expires + TimeDelta::days(3);
        eventually(|| auth.get_session_and_user(token).wait().unwrap().unwrap().session.expires == extended);
        eventually(|| auth.check().wait().unwrap().sessions == 1);
    }
}

/// A deferred write that is not synced yet has to wait for the application's transaction, too.
#[test]
fn a_deferred_write_is_synced_behind_the_transaction() {
    for n in 0..20 {
        let (_folder, database) = database();
        let deferred = AuthKv::options().durability(Durability::Deferred);
        let auth = patient(deferred).on_database(Arc::clone(&database)).unwrap();
        let ada = auth.create_user(NewUser::email("ada@example.com")).wait().unwrap();
        let own = database.begin_write().unwrap();
        if n % 2 == 0 {
            in_time(|| auth.close().wait().or_else(busy_is_fine).unwrap());
        }
        in_time(|| drop(auth));
        own.abort().unwrap();
        assert_eq!(reopened(&database).get_user(&ada.id).wait().unwrap(), Some(ada));
    }
}

fn busy_is_fine(error: Error) -> authkv::Result<()> {
    if matches!(error, Error::Busy) { Ok(()) } else { Err(error) }
}

/// A user with more sessions than one step removes, while transactions of the application's come between the steps.
#[test]
fn a_sweep_goes_on_between_the_applications_transactions() {
    let (_folder, database, auth) = shared();
    let ada = auth.create_user(NewUser::email("ada@example.com")).wait().unwrap();
    let starts: Vec<_> = (0..1_500).map(|_| auth.start_session(ada.id.clone())).collect();
    starts.into_iter().for_each(|start| drop(start.wait().unwrap()));
    auth.delete_user(&ada.id).wait().unwrap();
    for _ in 0..5 {
        let own = database.begin_write().unwrap();
        thread::sleep(WAIT / 4);
        own.commit().unwrap();
    }
    eventually(|| auth.check().wait().unwrap().waiting_to_be_swept == 0);
}

/// The writer stands in line with the application's own threads, which leave the database no free moment.
#[test]
fn an_application_that_writes_all_the_while_does_not_starve_the_store() {
    let (_folder, database) = database();
    let auth =
        AuthKv::options().wait_for_transaction(TimeDelta::seconds(5)).on_database(Arc::clone(&database)).unwrap();
    let (stop, written) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        for thread in 0..3 {
            let (database, stop, written) = (&database, &stop, &written);
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let own = database.begin_write().unwrap();
                    own.open_table(NOTES).unwrap().insert(thread, "a note").unwrap();
                    own.commit().unwrap();
                    written.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for n in 0..30 {
            auth.create_user(NewUser::email(format!("{n}@example.com"))).wait().unwrap();
        }
        stop.store(true, Ordering::Relaxed);
    });
    println!("{} transactions of the application's beside 30 writes", written.into_inner());
}
