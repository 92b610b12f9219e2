//! What `published` is synchronised with; tests/interleavings.rs puts loom's in their place.

pub(crate) use std::sync::atomic::{AtomicU64, Ordering};

pub(crate) use parking_lot::RwLock;
