//! tower-sessions 0.14, as axum-login has it.

use axum_login::tower_sessions as ts;

#[path = "sessions/mod.rs"]
mod sessions;
