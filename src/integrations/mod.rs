//! The store as other crates want one: session stores of tower-sessions, a backend of axum-login.
//!
//! Uses the public face only, as an application could.

#[cfg(feature = "axum-login")]
pub mod axum_login;
#[cfg(any(feature = "tower-sessions", feature = "tower-sessions-014"))]
mod tower_sessions;
