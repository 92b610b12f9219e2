//! tower-sessions 0.15.

use ::tower_sessions as ts;

#[path = "sessions/mod.rs"]
mod sessions;
