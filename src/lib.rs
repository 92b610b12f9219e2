#![cfg_attr(not(doctest), doc = include_str!("links.md"))]
#![doc = include_str!("../README.md")]

mod error;
mod reply;
mod secret;

mod model;

mod codec;
mod key;
mod record;

mod schema;
mod txn;

#[deny(clippy::disallowed_methods)]
mod ops;

mod engine;

mod adapter;
mod calls;
#[cfg(feature = "etcd")]
mod connect;
#[cfg(feature = "etcd")]
mod copying;
mod hot_sessions;
mod linking;
mod listing;
mod migration;
mod options;
mod purging;
mod sign_in;
mod states;
mod store;
mod verification;
mod web_sessions;

#[cfg(any(feature = "tower-sessions", feature = "tower-sessions-014"))]
mod tower_sessions;

#[cfg(feature = "axum-login")]
pub mod axum_login;

#[cfg(feature = "conformance")]
pub mod conformance;

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]
mod faults;

#[cfg(any(test, fuzzing))]
#[doc(hidden)]
#[allow(clippy::expect_used)]
pub mod fuzzing;

pub use adapter::Adapter;
#[cfg(feature = "etcd")]
pub use copying::{CopyProgress, Place, copy};
pub use engine::Durability;
#[cfg(feature = "etcd")]
pub use engine::remote::etcd::Etcd;
pub use error::{Error, OpenProblem, Problem, Result, StorageError, UniqueKey};
pub use ops::check::CheckReport;
pub use ops::upkeep::Purged;
pub use options::Options;
pub use record::EmailMatching;
pub use redb;
pub use reply::{Answer, Reply};
pub use store::{AuthKv, Stats};
pub use web_sessions::WebSessions;

/// The records: what the adapter takes and gives.
pub mod models {
    pub use crate::model::*;
    pub use crate::secret::Token;
}

pub mod guide;

#[cfg_attr(not(doctest), doc = include_str!("links.md"))]
#[doc = include_str!("../docs/format.md")]
pub mod format {}
