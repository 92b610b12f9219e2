//! Integrations with other crates: session stores for tower-sessions, a backend for axum-login.
//!
//! They use the public API as an application does; axum-login also reads the security stamp from the stored user.

#[cfg(feature = "axum-login")]
pub mod axum_login;
#[cfg(any(feature = "tower-sessions", feature = "tower-sessions-014"))]
mod tower_sessions;
