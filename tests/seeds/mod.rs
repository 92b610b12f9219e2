//! The amount and the seeds of random tests: `AUTHKV_TEST_SCALE` multiplies their counts, and `AUTHKV_TEST_SEED`
//! repeats one case with the seed that the case printed when it failed.

#![allow(dead_code)] // no test uses all of it

use std::env;
use std::ops::Range;
use std::str::FromStr;
use std::sync::Mutex;
use std::thread;

/// How many cases run in parallel.
const THREADS: usize = 2;

/// The factor for the counts of random tests.
pub(crate) fn scale() -> u32 {
    variable("AUTHKV_TEST_SCALE").unwrap_or(1)
}

/// The seed of the one case to repeat.
pub(crate) fn replayed() -> Option<u64> {
    variable("AUTHKV_TEST_SEED")
}

/// This many seeds, multiplied by the scale, or the one seed to repeat.
pub(crate) fn seeds(count: u32) -> Range<u64> {
    match replayed() {
        Some(seed) => seed..seed + 1,
        None => 0..u64::from(count * scale()),
    }
}

/// Runs a case for each of `count` seeds, multiplied by the scale, or for the one seed to repeat.
pub(crate) fn for_each_seed<T: Send>(count: u32, case: impl Fn(u64) -> T + Sync) -> Vec<T> {
    let (seeds, results) = (Mutex::new(seeds(count)), Mutex::new(Vec::new()));
    let work = || {
        let next = || seeds.lock().unwrap().next();
        while let Some(seed) = next() {
            let _named = Named(seed);
            let result = case(seed);
            results.lock().unwrap().push(result);
        }
    };
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(work);
        }
    });
    results.into_inner().unwrap()
}

/// Prints the seed of a case that fails.
pub(crate) struct Named(pub(crate) u64);

impl Drop for Named {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("to run this case again: AUTHKV_TEST_SEED={}", self.0);
        }
    }
}

fn variable<T: FromStr>(name: &str) -> Option<T> {
    let value = env::var(name).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{name} is not a number")))
}
