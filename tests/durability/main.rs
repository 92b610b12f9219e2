//! Durability: acknowledged writes survive power cuts, kills and full disks, and damage is found. Each module states
//! its goal and method.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod corruption;
mod disk;
mod erasing;
#[cfg(target_os = "linux")]
mod exit;
#[cfg(unix)]
mod fork;
mod history;
#[path = "../seeds/mod.rs"]
mod seeds;
mod size;

#[cfg(target_os = "linux")]
mod full_disk;
mod kill;
mod power_loss;
