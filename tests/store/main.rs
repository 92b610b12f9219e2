//! What only `AuthKv` promises, beyond the contract of `Adapter` that the conformance kit covers: upkeep, deletion in
//! steps, options, closing, custom models and `Debug` output; and a soak test.
//!
//! A case is a function that gets a [`Store`](stores::Store). The `cases!` at the head of a module makes one test of
//! each case on each store, and each test ends with a check of the whole store.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

#[macro_use]
mod stores;

mod accounts;
mod ages;
mod authenticators;
mod calls;
mod deletion;
mod email_sign_in;
mod emails;
mod executor;
mod hot_sessions;
mod linking;
mod misfit;
mod models;
mod own_transactions;
mod persistence;
mod proofs;
mod purging;
mod settling;
mod sign_in;
mod soak;
mod states;
mod tokens;
mod used_keys;
mod waiting;
mod web_sessions;
