//! What an attacker must not get: unlimited guesses at codes, a way to lock their owner out, a link that works twice, secrets
//! in printed output. (The races between ending and using a session are in `tests/store`, the bytes in a stolen file in
//! `src/tests/bytes.rs`.)

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

#[macro_use]
#[path = "../store/stores.rs"]
#[allow(dead_code)] // no test uses all of it
mod stores;

mod browser;
mod budget;
mod code_races;
mod codes;
mod erasing;
mod redaction;
#[path = "../seeds/mod.rs"]
mod seeds;
mod strangers;
mod verification;
