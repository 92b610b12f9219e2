//! Durability: what was acknowledged survives power cuts and kills. Each module states its goal and method.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod disk;
mod history;
#[path = "../seeds/mod.rs"]
mod seeds;

#[cfg(target_os = "linux")]
mod full_disk;
mod kill;
mod power_loss;
