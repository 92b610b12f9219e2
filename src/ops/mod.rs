//! The operations: each method of the store as a pure function of a transaction.
//!
//! They use no clock, randomness, hashing or I/O: instants, ids and hashes are arguments. An operation decides first
//! and writes last. If it returns an error, its writes are discarded.

pub(crate) mod accounts;
pub(crate) mod authenticators;
pub(crate) mod check;
pub(crate) mod codes;
#[cfg(feature = "etcd")]
pub(crate) mod copy;
pub(crate) mod fields;
pub(crate) mod meta;
pub(crate) mod migration;
pub(crate) mod pages;
pub(crate) mod repair;
pub(crate) mod sessions;
pub(crate) mod sign_in;
pub(crate) mod states;
pub(crate) mod tokens;
pub(crate) mod upkeep;
pub(crate) mod users;
pub(crate) mod web_sessions;

use crate::error::{Error, Result};
use crate::kv::txn::Txn;
use crate::records::entries::Record;

/// Returns the record that an index entry points to. An entry without its record is damage.
pub(crate) fn resolve<R: Record>(txn: &Txn<'_>, key: &R::Key) -> Result<R> {
    txn.get(&R::TABLE, key)?.ok_or_else(|| Error::corrupt("an index entry points to a record that is missing"))
}

/// Returns the records that index entries point to.
fn resolve_all<R: Record, A>(txn: &Txn<'_>, entries: &[((A, R::Key), ())]) -> Result<Vec<R>> {
    entries.iter().for_each(|((_, key), ())| txn.prefetch(&R::TABLE, key));
    entries.iter().map(|((_, key), ())| resolve(txn, key)).collect()
}

/// Like [`resolve_all`], for a list that has all of the records.
fn listed_all<R: Record, A>(txn: &Txn<'_>, entries: &[((A, R::Key), ())]) -> Result<Vec<Option<R>>> {
    Ok(resolve_all(txn, entries)?.into_iter().map(Some).collect())
}
