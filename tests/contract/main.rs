//! The contract of `Adapter`, as one suite that runs on every store: in a file, in memory, on a shared database.
//!
//! A case is a plain function that is given a [`Subject`](subject::Subject): an adapter, known only as
//! `Arc<dyn Adapter>`, and the clock that it reads. Cases about what only `AuthKv` has (upkeep, checking, closing) are
//! given the [`Store`](stores::Store) instead. The `cases!` at the head of a module makes one test of each case on each
//! store, and each test ends with a check of the whole store.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

#[macro_use]
mod stores;
mod subject;

mod accounts;
mod authenticators;
mod sessions;
mod tokens;
mod users;

mod emails;
mod expiry;
mod limits;
mod patches;
mod texts;

mod deletion;
mod races;
mod replies;
mod soak;

mod models;
mod persistence;
mod redaction;
