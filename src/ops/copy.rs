//! Copies a store row by row, unchanged. The loop is in `store/copy.rs`.
//!
//! During a copy, `meta` of the target has the row `copy`, which names the source, and in a file the rows by which the
//! file is recognised. The rows that make the target a store are written last, all at once.

use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};

use crate::error::{Error, OpenProblem, Result};
use crate::kv::codec;
use crate::kv::table::{RowKey, TableId};
use crate::kv::txn::Txn;
use crate::ops::meta;
use crate::records::entries::change_rows;
use crate::records::schema::{META, TABLES};

/// The most rows that are compared and written at a time. Reaching `BYTES_MAX` ends a batch too.
pub(crate) const ROWS_MAX: usize = 100;
const BYTES_MAX: usize = 512 << 10;

/// Consecutive rows.
pub(crate) struct Rows {
    pub(crate) rows: Vec<(Vec<u8>, Vec<u8>)>,
    /// Those between them that are damaged.
    pub(crate) left_out: Vec<RowKey>,
    /// The last key, damaged or not.
    pub(crate) last: Option<Vec<u8>>,
    /// True if no rows follow.
    pub(crate) is_end: bool,
}

/// What happens to a damaged row.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Damaged {
    Stops,
    IsLeftOut,
}

/// Returns the rows of a table after a key, up to and including `to` if it is given.
pub(crate) fn rows(
    txn: &Txn<'_>,
    table: TableId,
    after: Option<&[u8]>,
    to: Option<&[u8]>,
    damaged: Damaged,
) -> Result<Rows> {
    let mut found = Rows { rows: Vec::new(), left_out: Vec::new(), last: None, is_end: true };
    let mut bytes = 0;
    let range = (after.map_or(Bound::Unbounded, Bound::Excluded), to.map_or(Bound::Unbounded, Bound::Included));
    txn.scan_bytes(table, range, &mut |key, value| {
        if found.rows.len() + found.left_out.len() >= ROWS_MAX || bytes >= BYTES_MAX {
            found.is_end = false;
            return Ok(ControlFlow::Break(()));
        }
        found.last = Some(key.to_vec());
        match codec::verified(table.name, key, value) {
            Err(_) if damaged == Damaged::IsLeftOut => found.left_out.push(RowKey::new(table, key)),
            verified => {
                verified?;
                bytes += key.len() + value.len();
                found.rows.push((key.to_vec(), value.to_vec()));
            }
        }
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(found)
}

/// Returns how many rows there are to copy.
pub(crate) fn count(txn: &Txn<'_>) -> Result<u64> {
    TABLES.into_iter().filter(|table| *table != META.id).map(|table| txn.row_count(table)).sum()
}

/// Refuses a target that holds a store, or an unfinished copy of another one.
pub(crate) fn accept(txn: &Txn<'_>, from: &str) -> Result<()> {
    if meta::is_store(txn)? {
        return Err(OpenProblem::NotEmpty.into());
    }
    match meta::copied_from(txn)? {
        Some(begun) if begun != from => Err(OpenProblem::CopyUnfinished { from: begun }.into()),
        Some(_) => Ok(()),
        None => TABLES.into_iter().try_for_each(|table| match rows(txn, table, None, None, Damaged::Stops) {
            Ok(rows) if !rows.rows.is_empty() => Err(OpenProblem::NotEmpty.into()),
            Ok(_) | Err(Error::MissingTable(_)) => Ok(()),
            Err(error) => Err(error),
        }),
    }
}

/// Records the source of the copy.
pub(crate) fn begin(txn: &mut Txn<'_>, from: &str) -> Result<()> {
    if meta::copied_from(txn)?.is_none() { meta::begin_copy(txn, from) } else { Ok(()) }
}

/// Returns the changes that turn the rows `has` of a table into the rows `wanted`.
pub(crate) fn differences(wanted: &Rows, has: &[Rows]) -> Vec<Changed> {
    let wanted: BTreeMap<&[u8], &[u8]> = wanted.rows.iter().map(|(key, value)| (&**key, &**value)).collect();
    let has: BTreeMap<&[u8], &[u8]> =
        has.iter().flat_map(|rows| &rows.rows).map(|(key, value)| (&**key, &**value)).collect();
    let missing = wanted.iter().filter(|(key, value)| has.get(*key) != Some(value));
    let surplus = has.keys().filter(|key| !wanted.contains_key(*key));
    let put = missing.map(|(key, value)| (key.to_vec(), Some(value.to_vec())));
    put.chain(surplus.map(|key| (key.to_vec(), None))).collect()
}

/// A key and its new value. `None` removes the row.
pub(crate) type Changed = (Vec<u8>, Option<Vec<u8>>);

/// Makes the copy a store by writing these rows of `meta`. `original` is the id of the store it was copied from.
pub(crate) fn finish(txn: &mut Txn<'_>, rows: &[(Vec<u8>, Vec<u8>)], original: Option<&str>) -> Result<()> {
    let changes: Vec<_> = rows.iter().map(|(key, value)| (key.clone(), Some(value.clone()))).collect();
    change_rows(txn, META.id, &changes);
    meta::end_copy(txn);
    original.map_or(Ok(()), |store| meta::put_original(txn, store))
}
