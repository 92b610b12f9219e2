//! Tests that need the inside of the crate: storage that fails, a cluster in memory, and what must hold for any bytes.
//!
//! May use every layer; nothing uses it but the fuzz targets, which call `fuzzing`.

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod bytes;
#[cfg(all(test, feature = "etcd"))]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]
mod cluster;
#[allow(clippy::expect_used)]
pub mod fuzzing;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]
mod storage;
