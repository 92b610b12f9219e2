//! The contract of [`Adapter`](crate::Adapter) as tests that run on any adapter.
//!
//! For authors of adapters. It needs the feature `conformance`, which is meant for tests: enable it in
//! `[dev-dependencies]`. One call runs everything, each case on an adapter of its own:
//!
//! ```
//! use authkv::AuthKv;
//! use authkv::conformance::{self, Subject};
//! use std::sync::Arc;
//!
//! conformance::run(|clock| {
//!     let now = clock.clone();
//!     let adapter = AuthKv::options().clock(move || now.now()).in_memory().expect("there is memory");
//!     Subject::new(Arc::new(adapter), clock)
//! });
//! ```
//!
//! An adapter with an application's own fields must be wrapped in [`WithOwnFields`].
//!
//! For a test harness of your own, [`cases`] returns the cases one by one. [`model`] compares an adapter with a naive
//! model in random operations.
//!
//! # Panics
//! As in any test, everything here panics if an adapter breaks the contract.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::fmt;
use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::thread;

pub use own_fields::{Sample, WithOwnFields};
pub use subject::{Clock, Subject, THREADS, at_once, authenticator, conflict, eventually, invalid};

/// Lists the cases of a module under their names.
macro_rules! cases {
    ($($case:ident),+ $(,)?) => {
        pub(super) const CASES: &[crate::conformance::Case] =
            &[$(crate::conformance::Case { module: module_path!(), statement: stringify!($case), test: $case }),+];
    };
}

pub mod model;

mod own_fields;
mod subject;

mod accounts;
mod authenticators;
mod sessions;
mod tokens;
mod users;

mod emails;
mod expiry;
mod limits;
mod patches;
mod texts;

mod races;
mod replies;

const CASES: [&[Case]; 12] = [
    users::CASES,
    accounts::CASES,
    sessions::CASES,
    tokens::CASES,
    authenticators::CASES,
    emails::CASES,
    expiry::CASES,
    limits::CASES,
    patches::CASES,
    texts::CASES,
    races::CASES,
    replies::CASES,
];

/// One statement of the contract, as a test. It is displayed as its topic and the statement, for example
/// `tokens::a_token_is_taken_once`.
#[derive(Clone, Copy)]
pub struct Case {
    module: &'static str,
    statement: &'static str,
    test: fn(&Subject),
}

/// Returns all cases.
pub fn cases() -> impl Iterator<Item = Case> {
    CASES.into_iter().flatten().copied()
}

impl Case {
    /// Runs the case on an adapter that is still empty.
    ///
    /// # Panics
    /// When the adapter breaks this part of the contract.
    pub fn run(&self, subject: &Subject) {
        (self.test)(subject);
        subject.contents();
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let topic = self.module.rsplit("::").next().unwrap_or(self.module);
        write!(f, "{topic}::{}", self.statement)
    }
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Case({self})")
    }
}

/// Runs all cases, several at a time, each on an empty adapter of its own.
///
/// # Panics
/// When the adapter breaks the contract. The message names the cases that failed. Before that, each failed case prints
/// its failure from a thread that has the name of the case.
pub fn run(make: impl Fn(Clock) -> Subject + Sync) {
    let waiting = Mutex::new(cases());
    let failed = Mutex::new(Vec::new());
    let next = || waiting.lock().unwrap().next();
    let run_case = |case: Case| {
        thread::scope(|scope| {
            let named = thread::Builder::new().name(case.to_string());
            let test = || catch_unwind(AssertUnwindSafe(|| case.run(&make(Clock::new()))));
            let passed = named.spawn_scoped(scope, test).expect("a thread can be started").join();
            if !matches!(passed, Ok(Ok(()))) {
                failed.lock().unwrap().push(case.to_string());
            }
        });
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, NonZero::get) {
            scope.spawn(|| {
                while let Some(case) = next() {
                    run_case(case);
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "the adapter does not keep the contract:\n  {}", failed.join("\n  "));
}
