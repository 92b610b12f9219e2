//! The synchronisation primitives of `published`; tests/interleavings.rs replaces them with loom's.

pub(crate) use std::sync::atomic::{AtomicU64, Ordering};

pub(crate) use parking_lot::RwLock;
