//! What an attacker may not get: guesses at codes without end, a link twice, secrets in what is printed. (The races between
//! ending and using a session are in `store`, the look of a stolen file in `src/tests/bytes.rs`.)

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

#[macro_use]
#[path = "../store/stores.rs"]
#[allow(dead_code)] // no test uses all of it
mod stores;

mod redaction;
mod verification;
