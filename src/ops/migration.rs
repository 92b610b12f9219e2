//! Changing a store to other models or other indexes, in bounded steps that can be taken up again after each.
//!
//! While it goes on, `meta` says to which models it leads and how far it has come, and no index on own fields counts. It
//! clears those indexes, writes the records anew with the entries that they have in the new ones, and at last says that
//! the store has the new models.

use std::ops::{Bound, ControlFlow};

use crate::error::Result;
use crate::kv::txn::Txn;
use crate::models::Indexes;
use crate::ops::meta::{self, Change};
use crate::records::entries::{Record, clear_field_indexes, replace};

/// How much one step reads and writes at most: this many records, or so many bytes of them.
const STEP_RECORDS_MAX: usize = 256;
const STEP_BYTES_MAX: usize = 4 << 20;

/// Notes the change, from which moment the store is of no use before it is finished.
pub(crate) fn begin(txn: &mut Txn<'_>, change: &Change) -> Result<()> {
    meta::put_indexes(txn, &Indexes::default())?;
    meta::put_change(txn, Some(change))
}

/// Removes entries of the indexes on own fields, and answers whether any are left.
pub(crate) fn clear(txn: &mut Txn<'_>) -> Result<bool> {
    clear_field_indexes(txn, txn.step_records(STEP_RECORDS_MAX))
}

/// The records of a step, those after a key.
pub(crate) fn records<R: Record>(txn: &Txn<'_>, after: Option<&[u8]>) -> Result<Vec<R>> {
    let table = R::TABLE.id;
    let (mut records, mut bytes) = (Vec::new(), 0);
    let records_max = txn.step_records(STEP_RECORDS_MAX);
    let range = (after.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded);
    txn.scan_bytes(table, range, &mut |key, value| {
        records.push(R::TABLE.row(key, value)?.1);
        bytes += value.len();
        let is_full = records.len() >= records_max || bytes >= STEP_BYTES_MAX;
        Ok(if is_full { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    })?;
    Ok(records)
}

/// Writes the records of a step anew and notes how far the change has come.
pub(crate) fn rewrite<R: Record>(txn: &mut Txn<'_>, records: &[R], change: &Change) -> Result<()> {
    for record in records {
        replace(txn, None, Some(record))?;
    }
    meta::put_change(txn, Some(change))
}

/// Says that the store has the new models and indexes.
pub(crate) fn finish(txn: &mut Txn<'_>, change: &Change) -> Result<()> {
    let (name, version) = &change.to;
    meta::put_models(txn, name, *version, &change.indexes)?;
    meta::put_change(txn, None)
}
