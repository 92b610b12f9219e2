#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(not(doctest), doc = include_str!("links.md"))]
#![doc = include_str!("../README.md")]

mod error;

mod process;

pub mod models;

mod adapter;
mod reply;

mod kv;

mod records;

#[deny(clippy::disallowed_methods)]
mod ops;

mod engine;

mod store;

mod integrations;

#[cfg(feature = "conformance")]
pub mod conformance;

#[cfg(any(test, fuzzing))]
mod tests;

pub use adapter::Adapter;
pub use chrono;
pub use engine::Durability;
#[cfg(feature = "etcd")]
pub use engine::remote::etcd::Etcd;
pub use error::{Error, OpenProblem, Problem, Result, StorageError, UniqueKey};
#[cfg(feature = "axum-login")]
pub use integrations::axum_login;
pub use kv::table::RowKey;
pub use ops::check::CheckReport;
pub use ops::repair::{Repair, RepairKind, RepairStep, Repaired};
pub use ops::upkeep::Purged;
pub use records::EmailMatching;
pub use redb;
pub use reply::{Answer, Reply};
#[cfg(feature = "etcd")]
pub use store::copy::{CopyProgress, Place, Salvaged, copy, salvage};
pub use store::options::Options;
pub use store::web_sessions::WebSessions;
pub use store::{AuthKv, Stats};
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub use tests::fuzzing;

pub mod guide;

#[cfg_attr(not(doctest), doc = include_str!("links.md"))]
#[doc = include_str!("../docs/format.md")]
pub mod format {}
