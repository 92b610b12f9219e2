//! Opening: what is refused, files that an earlier version wrote, and stores whose application has changed its models.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod golden;
mod migration;
mod refusals;
