//! The contract and the model on a cluster, with and without faults.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Faulty, Memory, scale};
use crate::AuthKv;
use crate::conformance::model::{AuthKvTarget, Comparison, OPERATION_BYTES, Operation};
use crate::conformance::{self, Clock, Subject};
use crate::engine::remote::cluster::Cluster;

/// One request in this many meets a fault.
const FAULTS: usize = 6;

fn run_on(cluster: impl Fn() -> Arc<dyn Cluster> + Sync) {
    conformance::run(|clock: Clock| {
        let now = clock.clone();
        let auth = AuthKv::options().clock(move || now.now()).on_cluster(cluster()).unwrap();
        Subject::new(Arc::new(auth.clone()), clock).described_by(move || {
            let report = auth.check().wait().unwrap();
            assert!(report.is_sound(), "{:?}", report.problems);
            format!("{report:?}")
        })
    });
}

#[test]
fn a_cluster_keeps_the_contract() {
    run_on(|| Arc::new(Memory::new()));
}

#[test]
fn a_cluster_keeps_the_contract_when_requests_and_answers_are_lost_late_and_repeated() {
    let seeds = AtomicU64::new(1);
    run_on(|| Faulty::one_in(&Memory::new(), FAULTS, seeds.fetch_add(1, Ordering::SeqCst)));
}

#[test]
fn a_cluster_does_what_the_model_does() {
    compare(|_| Arc::new(Memory::new()));
}

#[test]
fn a_cluster_with_faults_does_what_the_model_does() {
    compare(|seed| Faulty::one_in(&Memory::new(), FAULTS, seed));
}

fn compare(cluster: impl Fn(u64) -> Arc<dyn Cluster>) {
    for seed in 0..40 * u64::from(scale()) {
        eprintln!("seed {seed}");
        let mut random = fastrand::Rng::with_seed(seed);
        let cluster = cluster(seed);
        let target = AuthKvTarget::new(move |options| options.on_cluster(Arc::clone(&cluster)));
        let mut comparison = Comparison::new(target.unwrap());
        for _ in 0..random.usize(10..80) {
            let bytes: [u8; OPERATION_BYTES] = std::array::from_fn(|_| random.u8(..));
            comparison.step(&Operation::from_bytes(bytes));
        }
        comparison.read_back();
    }
}
