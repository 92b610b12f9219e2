//! The stores under test: how each is created, and the macro that runs a case on all of them.

use std::ops::Deref;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use authkv::redb::Database;
use authkv::{AuthKv, CheckReport, Error, Options};
use tempfile::TempDir;

use authkv::conformance::{Clock, Subject};

/// A store under test, with the methods that only `AuthKv` has.
pub(crate) struct Store {
    subject: Subject,
    pub(crate) kv: AuthKv,
    /// How long a soak test of the store should take.
    pub(crate) soak_for: Duration,
    _folder: Option<TempDir>,
}

impl Store {
    fn new(clock: Clock, kv: AuthKv, soak_for: Duration, folder: Option<TempDir>) -> Self {
        let subject = Subject::new(Arc::new(kv.clone()), clock);
        Self { subject, kv, soak_for, _folder: folder }
    }

    /// The report of a check of the whole store, which must find nothing wrong.
    #[track_caller]
    pub(crate) fn sound_report(&self) -> CheckReport {
        let report = self.kv.check().wait().expect("the store can be read");
        assert!(report.is_sound(), "{:?}", report.problems);
        report
    }

    /// The check that ends each test.
    pub(crate) fn must_be_sound_unless_closed(&self) {
        match self.kv.check().wait() {
            Err(Error::Closed) => {}
            _ => drop(self.sound_report()),
        }
    }
}

impl Deref for Store {
    type Target = Subject;

    fn deref(&self) -> &Subject {
        &self.subject
    }
}

pub(crate) fn in_a_file() -> Store {
    let (folder, path) = new_path();
    let clock = Clock::new();
    let kv = options(&clock).open(path).expect("the folder is writable");
    Store::new(clock, kv, Duration::from_secs(10), Some(folder))
}

pub(crate) fn in_memory() -> Store {
    let clock = Clock::new();
    let kv = options(&clock).in_memory().expect("there is memory");
    Store::new(clock, kv, Duration::from_secs(2), None)
}

pub(crate) fn on_a_shared_database() -> Store {
    let (folder, path) = new_path();
    let clock = Clock::new();
    let database = Arc::new(Database::create(path).expect("the folder is writable"));
    let kv = options(&clock).on_database(database).expect("the database is new");
    Store::new(clock, kv, Duration::from_secs(2), Some(folder))
}

pub(crate) fn options(clock: &Clock) -> Options {
    let clock = clock.clone();
    AuthKv::options().clock(move || clock.now())
}

/// A path in a new folder, which is removed when it is dropped.
pub(crate) fn new_path() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("there is a place for temporary files");
    let path = folder.path().join("auth.redb");
    (folder, path)
}

/// Makes one test of each case on each store.
macro_rules! cases {
    ($($case:ident),+ $(,)?) => {
        mod in_a_file { tests!(in_a_file: $($case),+); }
        mod in_memory { tests!(in_memory: $($case),+); }
        mod on_a_shared_database { tests!(on_a_shared_database: $($case),+); }
    };
}

macro_rules! tests {
    ($store:ident: $($case:ident),+) => {
        $(
            #[test]
            fn $case() {
                let store = crate::stores::$store();
                super::$case(&store);
                store.must_be_sound_unless_closed();
            }
        )+
    };
}
