//! Random sequences of calls against naive models. Each module states its goal and method.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod calls;
mod indexes;
#[path = "../seeds/mod.rs"]
mod seeds;
#[path = "../shop/mod.rs"]
mod shop;
mod sign_ins;
mod web_sessions;
