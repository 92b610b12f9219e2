//! The store on a cluster in memory that loses, delays and repeats requests and answers.

mod codes;
mod contract;
mod engine;
mod faulty;
#[cfg(unix)]
mod fork;
mod memory;
mod misfits;
mod trips;

use std::sync::Arc;
use std::time::Duration;

use faulty::{Fault, Faulty};
use memory::Memory;

use crate::engine::any::AnyEngine;
use crate::engine::remote::cluster::{Cluster, Reading};
use crate::engine::remote::{Config, Keys, RemoteEngine};
use crate::models::Models;
use crate::{AuthKv, Options, Result};

fn config() -> Config {
    Config { timeout: Duration::from_secs(20), in_flight_max: 4_096, reading: Reading::Newest, synchronize: true }
}

impl<M: Models> Options<M> {
    fn on_cluster(self, cluster: Arc<dyn Cluster>) -> Result<AuthKv<M>> {
        self.on_cluster_with(cluster, config())
    }

    fn on_cluster_with(self, cluster: Arc<dyn Cluster>, config: Config) -> Result<AuthKv<M>> {
        self.open_engine(|setup| RemoteEngine::open(cluster, Keys::new("test"), config, setup).map(AnyEngine::Remote))
    }
}

/// `AUTHKV_TEST_SCALE` multiplies the amount of random tests.
fn scale() -> u32 {
    std::env::var("AUTHKV_TEST_SCALE").ok().and_then(|scale| scale.parse().ok()).unwrap_or(1)
}
