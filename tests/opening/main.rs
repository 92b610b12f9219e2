//! Opening: refusals, files written by an earlier version, and stores whose application has changed its models.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod defaults;
mod golden;
mod indexes;
mod migration;
mod refusals;
mod shared;
