//! The store against a naive model. Goal: no order of calls makes the store give an answer that the contract does not
//! allow, or leaves an index entry without its record. Method: random operations on few ids, addresses and tokens run
//! on both; every answer is compared in full, the store checks itself after each step, and now and then everything is
//! read back.
//!
//! `AUTHKV_TEST_SCALE=10` runs ten times as many.
use std::cell::RefCell;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use authkv::Options;
use authkv::conformance::model::{AuthKvTarget, Comparison, OPERATION_BYTES, Operation, Tallies, Target};
use authkv::redb::Database;
use proptest::array::uniform8;
use proptest::collection::vec;
use proptest::num::u8;
use proptest::test_runner::FileFailurePersistence;

use crate::for_random;
use crate::shop::Shop;

/// The maximum number of operations in a sequence; the average is 60. A failing sequence is cut short as long as a
/// shorter one fails too.
const OPERATIONS_MAX: usize = 120;
/// How many steps pass before everything is read back again.
const STEPS: usize = 20;
/// How often each operation must have had an effect, and how often none, in 100 sequences.
const FLOOR: u64 = 5;

#[test]
fn a_store_in_memory_does_what_the_model_does() {
    let tallies = compare(1_400, || AuthKvTarget::in_memory().unwrap());
    must_be_varied(&tallies, 1_400, &["reopen"]);
}

#[test]
fn a_file_does_what_the_model_does_however_often_it_is_reopened() {
    let tallies = compare(200, || {
        let folder = tempfile::tempdir().unwrap();
        AuthKvTarget::new(move |options| options.open(folder.path().join("auth.redb"))).unwrap()
    });
    must_be_varied(&tallies, 200, &[]);
}

#[test]
fn a_file_does_what_the_model_does_with_one_hot_session() {
    let tallies = compare(200, || {
        let folder = tempfile::tempdir().unwrap();
        AuthKvTarget::new(move |options| options.hot_sessions(1).open(folder.path().join("auth.redb"))).unwrap()
    });
    must_be_varied(&tallies, 200, &[]);
}

#[test]
fn a_store_on_a_shared_database_does_what_the_model_does() {
    let tallies = compare(200, || {
        let folder = tempfile::tempdir().unwrap();
        let database = Arc::new(Database::create(folder.path().join("app.redb")).unwrap());
        let target = move |options: Options| {
            let _in_use = &folder;
            options.on_database(Arc::clone(&database))
        };
        AuthKvTarget::new(target).unwrap()
    });
    must_be_varied(&tallies, 200, &[]);
}

#[test]
fn a_file_with_own_fields_and_indexes_does_what_the_model_does() {
    let tallies = compare(300, || {
        let folder = tempfile::tempdir().unwrap();
        let open = move |options: Options<Shop>| options.open(folder.path().join("auth.redb"));
        AuthKvTarget::with_own_fields(open).unwrap()
    });
    must_be_varied(&tallies, 300, &[]);
}

#[test]
fn sequences_that_were_found_do_what_the_model_does() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/regressions/operations");
    let mut sequences = 0;
    for file in fs::read_dir(&folder).unwrap() {
        let path = file.unwrap().path();
        eprintln!("{}", path.display());
        let bytes = fs::read(path).unwrap();
        run(AuthKvTarget::in_memory().unwrap(), bytes.as_chunks().0);
        sequences += 1;
    }
    assert!(sequences > 0, "{} is empty", folder.display());
}

/// Compares this many sequences of operations, each on a new store, and returns what they did.
fn compare<T: Target>(sequences: u32, new_target: impl Fn() -> T) -> Tallies {
    let found = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/model/calls.proptest-regressions");
    let total = RefCell::new(Tallies::new());
    let values = vec(uniform8(u8::ANY), 0..=OPERATIONS_MAX);
    for_random(&values, sequences, Some(FileFailurePersistence::Direct(found)), |sequence| {
        let tallies = run(new_target(), &sequence);
        let mut total = total.borrow_mut();
        for (name, tally) in tallies {
            let sum = total.entry(name).or_default();
            sum.done += tally.done;
            sum.refused += tally.refused;
        }
    });
    total.into_inner()
}

fn run(target: impl Target, sequence: &[[u8; OPERATION_BYTES]]) -> Tallies {
    let mut comparison = Comparison::new(target);
    for (step, bytes) in sequence.iter().enumerate() {
        comparison.step(&Operation::from_bytes(*bytes));
        if step % STEPS == STEPS - 1 {
            comparison.read_back();
        }
    }
    comparison.read_back();
    comparison.tallies().clone()
}

/// A test whose operations all fail, or all succeed, proves little.
fn must_be_varied(tallies: &Tallies, sequences: u64, never_done: &[&str]) {
    let floor = FLOOR * sequences / 100;
    let never_refused = ["advance the clock", "reopen"];
    assert_eq!(tallies.len(), 22, "{tallies:#?}");
    for (name, tally) in tallies {
        eprintln!("{name}: {} done, {} refused", tally.done, tally.refused);
        assert!(tally.done >= floor || never_done.contains(name), "{name} did something only {} times", tally.done);
        assert!(
            tally.refused >= floor || never_refused.contains(name),
            "{name} did nothing only {} times",
            tally.refused
        );
    }
}
