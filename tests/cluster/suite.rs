//! The store on a real etcd cluster. Goal: the contract holds there too, and whatever happens to the cluster, nothing that
//! was acknowledged is lost and nothing is done twice. Method: three etcd processes on loopback, which are killed, stopped,
//! compacted and filled up; the contract and the model run on one cluster, each case in a namespace of its own.
//!
//! It needs the program `etcd` (Debian: `apt-get install etcd-server`), or another one in `AUTHKV_ETCD`.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod cluster;
mod contract;
mod copying;
mod failures;
mod limits;
mod security;

use std::process::ExitCode;
use std::sync::{Arc, OnceLock};

use cluster::Cluster;
use libtest_mimic::{Arguments, Trial};

/// The cluster of the tests that leave it as it is, started by the first of them.
#[derive(Clone, Default)]
struct Shared(Arc<OnceLock<Cluster>>);

impl Shared {
    fn get(&self) -> &Cluster {
        self.0.get_or_init(Cluster::start)
    }
}

/// A test with a name, that may use the shared cluster.
type Test = (&'static str, fn(&Cluster));
/// A test with a name, that starts a cluster of its own.
type OwnTest = (&'static str, fn());

/// Names functions by themselves.
macro_rules! tests {
    ($($test:ident),+ $(,)?) => {
        &[$((stringify!($test), $test)),+]
    };
}
pub(crate) use tests;

fn main() -> ExitCode {
    let shared = Shared::default();
    let mut trials = contract::trials(&shared);
    for (name, test) in contract::TESTS.iter().chain(limits::TESTS).chain(copying::TESTS) {
        let shared = shared.clone();
        trials.push(trial(*name, move || test(shared.get())));
    }
    for (name, test) in failures::TESTS.iter().chain(limits::OWN_TESTS).chain(security::TESTS) {
        trials.push(trial(*name, test));
    }
    let outcome = libtest_mimic::run(&Arguments::from_args(), trials);
    // Ends its processes.
    drop(shared);
    outcome.exit_code()
}

fn trial(name: impl Into<String>, test: impl FnOnce() + Send + 'static) -> Trial {
    Trial::test(name, move || {
        test();
        Ok(())
    })
}
