//! Changes a store to other models or indexes, in bounded steps. It can be resumed after each step.
//!
//! During the change, `meta` records the target models and the progress, and no index on own fields is valid. The
//! change clears those indexes, rewrites the records with their entries in the new indexes, and finally records the new
//! models as those of the store.

use std::ops::{Bound, ControlFlow};

use crate::error::Result;
use crate::kv::table::RowKey;
use crate::kv::txn::Txn;
use crate::models::Indexes;
use crate::ops::meta::{self, Change};
use crate::records::entries::{Record, clear_field_indexes, replace};

/// The most records that one step reads and writes. Reaching `STEP_BYTES_MAX` ends a step too.
const STEP_RECORDS_MAX: usize = 256;
const STEP_BYTES_MAX: usize = 4 << 20;

/// Records the change. From then on the store cannot be used until the change is finished.
pub(crate) fn begin(txn: &mut Txn<'_>, change: &Change) -> Result<()> {
    meta::put_indexes(txn, &Indexes::default())?;
    meta::put_change(txn, Some(change))
}

/// Removes entries of the indexes on own fields. Returns true if any may be left.
pub(crate) fn clear(txn: &mut Txn<'_>) -> Result<bool> {
    clear_field_indexes(txn, txn.step_records(STEP_RECORDS_MAX))
}

/// The records of a step.
pub(crate) struct Step<R> {
    pub(crate) records: Vec<R>,
    /// Those between them that are damaged, and stay as they are.
    pub(crate) left_out: Vec<RowKey>,
    /// The last key, damaged or not. `None` if there are no more records.
    pub(crate) last: Option<Vec<u8>>,
}

/// Returns the records of a step: those after a key. `goes_on` says whether a damaged one is left out, or an error.
pub(crate) fn step<R: Record>(txn: &Txn<'_>, after: Option<&[u8]>, goes_on: bool) -> Result<Step<R>> {
    let table = R::TABLE.id;
    let (mut step, mut bytes) = (Step { records: Vec::new(), left_out: Vec::new(), last: None }, 0);
    let records_max = txn.step_records(STEP_RECORDS_MAX);
    let range = (after.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded);
    txn.scan_bytes(table, range, &mut |key, value| {
        step.last = Some(key.to_vec());
        match R::TABLE.row(key, value) {
            Err(_) if goes_on => step.left_out.push(RowKey::new(table, key)),
            row => step.records.push(row?.1),
        }
        bytes += value.len();
        let is_full = step.records.len() + step.left_out.len() >= records_max || bytes >= STEP_BYTES_MAX;
        Ok(if is_full { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    })?;
    Ok(step)
}

/// Rewrites the records of a step and records the progress of the change.
/// `require_free` refuses a value that another record has in a unique index: a default that differs each time may be
/// another one than when it was tried.
pub(crate) fn rewrite<R: Record>(
    txn: &mut Txn<'_>,
    records: &[R],
    change: &Change,
    require_free: fn(&R, &Txn<'_>) -> Result<()>,
) -> Result<()> {
    for record in records {
        require_free(record, txn)?;
        replace(txn, None, Some(record))?;
    }
    meta::put_change(txn, Some(change))
}

/// Records that the store has the new models and indexes.
pub(crate) fn finish(txn: &mut Txn<'_>, change: &Change) -> Result<()> {
    let (name, version) = &change.to;
    meta::put_models(txn, name, *version, &change.indexes)?;
    meta::put_change(txn, None)
}
