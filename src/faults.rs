//! Tests of storage that fails. Goal: the caller learns whether the outcome is known, nothing acknowledged is lost, and
//! the store recovers by itself when the storage does. Method: a storage backend that fails on demand and keeps its bytes
//! when the database is reopened.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use redb::{BackendError, StorageBackend};

use crate::engine::redb::Source;
use crate::models::NewUser;
use crate::models::{NewSession, User};
use crate::{Adapter, AuthKv, Error};

/// What fails, and how often.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Call {
    Read,
    Write,
    Sync,
    Resize,
}

#[derive(Debug, Default)]
struct Disk {
    bytes: Vec<u8>,
    /// Which call fails, after how many more that work, and whether for good.
    fault: Option<(Call, usize, bool)>,
}

#[derive(Clone, Debug, Default)]
struct Flaky(Arc<Mutex<Disk>>);

impl Flaky {
    fn fail(&self, call: Call, after: usize, for_good: bool) {
        self.0.lock().fault = Some((call, after, for_good));
    }

    fn heal(&self) {
        self.0.lock().fault = None;
    }

    fn call(&self, call: Call) -> Result<parking_lot::MutexGuard<'_, Disk>, io::Error> {
        let mut disk = self.0.lock();
        match &mut disk.fault {
            Some((failing, 0, for_good)) if *failing == call => {
                if !*for_good {
                    disk.fault = None;
                }
                Err(io::Error::from(io::ErrorKind::StorageFull))
            }
            Some((failing, after, _)) if *failing == call => {
                *after -= 1;
                Ok(disk)
            }
            _ => Ok(disk),
        }
    }

    fn store(&self) -> AuthKv {
        let disk = self.clone();
        let source = Source::Made(Box::new(move |builder| builder.set_cache_size(0).create_with_backend(disk.clone())));
        AuthKv::options().open_source(source).unwrap()
    }
}

impl StorageBackend for Flaky {
    fn len(&self) -> Result<u64, io::Error> {
        Ok(self.0.lock().bytes.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), io::Error> {
        let disk = self.call(Call::Read)?;
        let offset = usize::try_from(offset).unwrap();
        out.copy_from_slice(&disk.bytes[offset..offset + out.len()]);
        Ok(())
    }

    fn set_len(&self, len: u64) -> Result<(), io::Error> {
        self.call(Call::Resize)?.bytes.resize(usize::try_from(len).unwrap(), 0);
        Ok(())
    }

    fn sync_data(&self) -> Result<(), io::Error> {
        self.call(Call::Sync).map(drop)
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), io::Error> {
        let mut disk = self.call(Call::Write)?;
        let offset = usize::try_from(offset).unwrap();
        disk.bytes[offset..offset + data.len()].copy_from_slice(data);
        Ok(())
    }

    fn try_lock_range(&self, _: std::ops::Bound<u64>, _: std::ops::Bound<u64>) -> Result<bool, BackendError> {
        Ok(true)
    }
}

fn user(number: usize) -> NewUser {
    NewUser::email(format!("{number}@example.com"))
}

/// Calls until the store has recovered.
fn eventually<T>(call: impl Fn() -> crate::Result<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        match call() {
            Ok(found) => return found,
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn assert_all_there(store: &AuthKv, users: &[User]) {
    for user in users {
        assert_eq!(eventually(|| store.get_user(&user.id).wait()).as_ref(), Some(user));
    }
    let report = eventually(|| store.check().wait());
    assert!(report.is_sound(), "{:?}", report.problems);
}

/// One call of each kind fails at each of the first places where it can, once or for good until it heals.
#[test]
fn after_any_single_failure_nothing_acknowledged_is_lost_and_the_store_recovers() {
    let mut seen = [0; 3];
    for call in [Call::Read, Call::Write, Call::Sync, Call::Resize] {
        for (after, for_good) in (0..24).flat_map(|after| [(after, false), (after, true)]) {
            let disk = Flaky::default();
            let store = disk.store();
            let mut acknowledged: Vec<_> = (0..3).map(|n| store.create_user(user(n)).wait().unwrap()).collect();
            disk.fail(call, after, for_good);
            for number in 3..12 {
                match store.create_user(user(number)).wait() {
                    Ok(user) => {
                        seen[0] += 1;
                        acknowledged.push(user);
                    }
                    Err(Error::Storage(_)) => {
                        seen[1] += 1;
                    }
                    Err(Error::OutcomeUnknown(_)) => seen[2] += 1,
                    Err(error) => panic!("{error}"),
                }
            }
            disk.heal();
            assert_all_there(&store, &acknowledged);
            let late = eventually(|| store.create_user(NewUser::email("late@example.com")).wait());
            acknowledged.push(late);
            assert_all_there(&store, &acknowledged);
            drop(store);
            assert_all_there(&disk.store(), &acknowledged);
        }
    }
    // The test is worth nothing if the faults do not reach the calls.
    assert!(seen.iter().all(|count| *count > 20), "{seen:?}");
}

/// "Storage" promises that nothing was written.
#[test]
fn a_write_that_failed_with_a_storage_error_was_not_done() {
    let mut failed = 0;
    for call in [Call::Write, Call::Resize, Call::Read] {
        for after in 0..16 {
            let disk = Flaky::default();
            let store = disk.store();
            store.create_user(user(0)).wait().unwrap();
            disk.fail(call, after, true);
            if let Err(Error::Storage(_)) = store.create_user(user(1)).wait() {
                failed += 1;
                disk.heal();
                assert_eq!(eventually(|| store.get_user_by_email("1@example.com").wait()), None);
            }
        }
    }
    assert!(failed > 0);
}

#[test]
fn a_failed_sync_is_an_unknown_outcome_that_reading_resolves() {
    let disk = Flaky::default();
    let store = disk.store();
    disk.fail(Call::Sync, 0, false);
    let result = store.create_user(user(0)).wait();
    assert!(matches!(result, Err(Error::OutcomeUnknown(_))), "{result:?}");
    let found = eventually(|| store.get_user_by_email("0@example.com").wait());
    let again = eventually(|| match store.create_user(user(0)).wait() {
        Err(Error::Conflict(_)) => Ok(None),
        result => result.map(Some),
    });
    assert_eq!(found.is_some(), again.is_none());
}

#[test]
fn a_read_that_fails_is_an_error_and_never_none() {
    let disk = Flaky::default();
    let store = disk.store();
    let expires = chrono::Utc::now() + chrono::Days::new(1);
    let person = store.create_user(user(0)).wait().unwrap();
    store.create_session(NewSession::new("secret", person.id, expires)).wait().unwrap();
    // Enough that the trees have more than the one page that redb holds in memory.
    for reply in (1..2_000).map(|number| store.create_user(user(number))).collect::<Vec<_>>() {
        reply.wait().unwrap();
    }
    drop(store);
    let store = disk.store();
    let mut failed = 0;
    for after in 0..4 {
        disk.fail(Call::Read, after, true);
        match store.get_session_and_user("secret").wait() {
            Ok(found) => assert!(found.is_some()),
            Err(Error::Storage(_)) => failed += 1,
            Err(error) => panic!("{error}"),
        }
        disk.heal();
        // redb answers nothing but errors after a failed read, so this shows that the store reopened by itself.
        assert!(eventually(|| store.get_session_and_user("secret").wait()).is_some());
    }
    assert!(failed > 0);
}

#[test]
fn while_the_storage_is_down_calls_fail_and_do_not_hang() {
    let disk = Flaky::default();
    let store = disk.store();
    let user_before = store.create_user(user(0)).wait().unwrap();
    disk.fail(Call::Sync, 0, true);
    assert!(store.create_user(user(1)).wait().is_err());
    for _ in 0..5 {
        assert!(matches!(store.create_user(user(2)).wait(), Err(Error::Storage(_) | Error::OutcomeUnknown(_))));
    }
    disk.heal();
    assert_all_there(&store, &[user_before]);
}

#[test]
fn closing_a_store_whose_storage_is_down_says_so() {
    let disk = Flaky::default();
    let store = disk.store();
    let before = store.create_user(user(0)).wait().unwrap();
    disk.fail(Call::Sync, 0, true);
    assert!(store.create_user(user(1)).wait().is_err());
    assert!(matches!(store.close().wait(), Err(Error::Storage(_))));
    assert!(matches!(store.get_user(&before.id).wait(), Err(Error::Closed)));
    disk.heal();
    assert_all_there(&disk.store(), &[before]);
}

#[test]
fn a_panic_in_an_operation_harms_only_its_caller() {
    let folder = tempfile::tempdir().unwrap();
    for store in [AuthKv::in_memory().unwrap(), AuthKv::open(folder.path().join("a.redb")).unwrap()] {
        for round in 0..20 {
            let before = store.create_user(user(3 * round));
            let panicking = store.write(
                |txn| -> crate::Result<()> {
                    txn.put(&crate::schema::SWEEP, &"left".into(), &())?;
                    panic!("on purpose")
                },
                Ok,
            );
            let after = store.create_user(user(3 * round + 1));
            assert!(matches!(panicking.wait(), Err(Error::Storage(_))));
            assert!(before.wait().is_ok() && after.wait().is_ok());
        }
        assert!(store.check().wait().unwrap().is_sound());
        assert!(!store.read(crate::ops::upkeep::must_sweep, Ok).wait().unwrap());
    }
}
