//! Random sequences of calls against naive models. Each module states its goal and method.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod ages;
mod calls;
mod indexes;
#[path = "../seeds/mod.rs"]
mod seeds;
#[path = "../shop/mod.rs"]
mod shop;
mod sign_ins;
mod web_sessions;

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, FileFailurePersistence, RngSeed, TestRunner};

/// Runs a test on this many random values, multiplied by the scale. A run that fails is shortened, and prints the seed that
/// makes the same values again.
fn for_random<S: Strategy>(values: &S, count: u32, failures: Option<FileFailurePersistence>, test: impl Fn(S::Value)) {
    let seed = seeds::replayed().unwrap_or_else(|| fastrand::u64(..));
    let _named = seeds::Named(seed);
    let config = Config {
        cases: count * seeds::scale(),
        rng_seed: RngSeed::Fixed(seed),
        failure_persistence: failures.map(|failures| Box::new(failures) as _),
        ..Config::default()
    };
    let outcome = TestRunner::new(config).run(values, |value| {
        test(value);
        Ok(())
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
}
