//! Tests that need the inside of the crate and a whole store: the bytes of each record, storage that fails, a cluster in
//! memory, and what must hold for any bytes. (Tests of one file's private parts stand in that file.)
//!
//! They may use every layer; nothing uses them but the fuzz targets, which call `fuzzing`.

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]
mod bytes;
#[cfg(all(test, feature = "etcd"))]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]
mod cluster;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod fields;
#[allow(clippy::expect_used)]
pub mod fuzzing;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod sessions;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]
mod storage;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod upkeep;
