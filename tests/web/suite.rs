//! The sessions of tower-sessions and sign-in with axum-login, through their own middleware. Goal: what a browser sees of a
//! store is what a store must do, and an ended session stays ended whatever requests are under way. Method: browsers with
//! cookies of their own send requests to axum applications, without a socket; the same tests run on both versions of
//! tower-sessions.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
#![allow(clippy::duplicate_mod)] // one file of tests for each version of tower-sessions

mod browser;
mod login;
mod store;
mod tower_sessions_014;
mod tower_sessions_015;
