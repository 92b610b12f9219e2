//! The conformance kit on every kind of store. Each case is a separate test, named by the store and the case.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::process::ExitCode;
use std::sync::Arc;

use authkv::conformance::{self, Clock, Subject, WithOwnFields};
use authkv::models::Models;
use authkv::redb::Database;
use authkv::{AuthKv, Options};
use libtest_mimic::{Arguments, Trial};
use shop::Shop;
use tempfile::TempDir;

mod kit;
#[path = "../shop/mod.rs"]
mod shop;

/// Creates an empty store.
type Make = fn(Clock) -> Subject;

const STORES: [(&str, Make); 4] = [
    ("in_a_file", in_a_file),
    ("in_memory", in_memory),
    ("on_a_shared_database", on_a_shared_database),
    ("with_own_fields", with_own_fields),
];

fn main() -> ExitCode {
    let trials = STORES.into_iter().flat_map(|(store, make)| {
        conformance::cases().map(move |case| {
            Trial::test(format!("{store}::{case}"), move || {
                case.run(&make(Clock::new()));
                Ok(())
            })
        })
    });
    let kit = kit::TESTS.iter().map(|(name, test)| {
        Trial::test(format!("kit::{name}"), move || {
            test();
            Ok(())
        })
    });
    libtest_mimic::run(&Arguments::from_args(), trials.chain(kit).collect()).exit_code()
}

fn in_a_file(clock: Clock) -> Subject {
    let folder = new_folder();
    let auth = options(&clock).open(folder.path().join("auth.redb")).expect("the folder is writable");
    subject(auth, clock, Some(folder))
}

fn in_memory(clock: Clock) -> Subject {
    let auth = options(&clock).in_memory().expect("there is memory");
    subject(auth, clock, None)
}

fn on_a_shared_database(clock: Clock) -> Subject {
    let folder = new_folder();
    let database = Database::create(folder.path().join("auth.redb")).expect("the folder is writable");
    let auth = options(&clock).on_database(Arc::new(database)).expect("the database is new");
    subject(auth, clock, Some(folder))
}

fn with_own_fields(clock: Clock) -> Subject {
    let auth = options(&clock).models::<Shop>().in_memory().expect("there is memory");
    let adapter = WithOwnFields::new(Arc::new(auth.clone()));
    Subject::new(Arc::new(adapter), clock).described_by(move || described(&auth))
}

fn options(clock: &Clock) -> Options {
    let clock = clock.clone();
    AuthKv::options().clock(move || clock.now())
}

fn new_folder() -> TempDir {
    tempfile::tempdir().expect("there is a place for temporary files")
}

/// The store as a subject of the kit. The folder lives as long as the store in it.
fn subject(auth: AuthKv, clock: Clock, folder: Option<TempDir>) -> Subject {
    Subject::new(Arc::new(auth.clone()), clock).described_by(move || {
        let _ = &folder;
        described(&auth)
    })
}

/// The result of checking all indexes, which includes the numbers of records.
fn described<M: Models>(auth: &AuthKv<M>) -> String {
    let report = auth.check().wait().expect("the store can be read");
    assert!(report.is_sound(), "{:?}", report.problems);
    format!("{report:?}")
}
