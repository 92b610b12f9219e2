//! Tests that need the crate's inside and a whole store: the bytes of each record, storage that fails, a cluster in
//! memory, and properties of arbitrary bytes. (Tests of one file's private parts are in that file.)
//!
//! They may use every layer. Only the fuzz targets use them, by calling `fuzzing`.

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
mod lists;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]
mod repair;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod sessions;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]
pub(crate) mod storage;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]
mod upkeep;
