//! Copying a store as it is, row by row; see `copying`.
//!
//! While it goes on, `meta` of the copy has one row, `copy`, which says from where; the rows that make it a store come last
//! and all at once.

use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};

use crate::error::{Error, OpenProblem, Result};
use crate::kv::codec;
use crate::kv::table::TableId;
use crate::kv::txn::Txn;
use crate::ops::meta;
use crate::records::entries::change_rows;
use crate::records::schema::{META, TABLES};

/// How many rows are compared and written at a time: this many, or so many bytes of them.
pub(crate) const ROWS_MAX: usize = 100;
const BYTES_MAX: usize = 512 << 10;

/// Rows that follow each other.
pub(crate) struct Rows {
    pub(crate) rows: Vec<(Vec<u8>, Vec<u8>)>,
    /// Whether these are the last ones.
    pub(crate) is_end: bool,
}

/// The rows of a table after a key, and up to another one if it is given.
pub(crate) fn rows(txn: &Txn<'_>, table: TableId, after: Option<&[u8]>, to: Option<&[u8]>) -> Result<Rows> {
    let mut found = Rows { rows: Vec::new(), is_end: true };
    let mut bytes = 0;
    let range = (after.map_or(Bound::Unbounded, Bound::Excluded), to.map_or(Bound::Unbounded, Bound::Included));
    txn.scan_bytes(table, range, &mut |key, value| {
        if found.rows.len() >= ROWS_MAX || bytes >= BYTES_MAX {
            found.is_end = false;
            return Ok(ControlFlow::Break(()));
        }
        codec::verified(table.name, key, value)?;
        bytes += key.len() + value.len();
        found.rows.push((key.to_vec(), value.to_vec()));
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(found)
}

/// How many rows there are to copy.
pub(crate) fn count(txn: &Txn<'_>) -> Result<u64> {
    TABLES.into_iter().filter(|table| *table != META.id).map(|table| txn.row_count(table)).sum()
}

/// Refuses a place that holds a store, or the copy of another one.
pub(crate) fn accept(txn: &Txn<'_>, from: &str) -> Result<()> {
    if meta::is_store(txn)? {
        return Err(OpenProblem::NotEmpty.into());
    }
    match meta::copied_from(txn)? {
        Some(begun) if begun != from => Err(OpenProblem::CopyUnfinished { from: begun }.into()),
        Some(_) => Ok(()),
        None => TABLES.into_iter().try_for_each(|table| match rows(txn, table, None, None) {
            Ok(rows) if !rows.rows.is_empty() => Err(OpenProblem::NotEmpty.into()),
            Ok(_) | Err(Error::MissingTable(_)) => Ok(()),
            Err(error) => Err(error),
        }),
    }
}

/// Notes from where the copy is.
pub(crate) fn begin(txn: &mut Txn<'_>, from: &str) -> Result<()> {
    if meta::copied_from(txn)?.is_none() { meta::begin_copy(txn, from) } else { Ok(()) }
}

/// What must change in a table so that it has the rows `wanted` in the place of those that it has.
pub(crate) fn differences(wanted: &Rows, has: &[Rows]) -> Vec<Changed> {
    let wanted: BTreeMap<&[u8], &[u8]> = wanted.rows.iter().map(|(key, value)| (&**key, &**value)).collect();
    let has: BTreeMap<&[u8], &[u8]> =
        has.iter().flat_map(|rows| &rows.rows).map(|(key, value)| (&**key, &**value)).collect();
    let missing = wanted.iter().filter(|(key, value)| has.get(*key) != Some(value));
    let surplus = has.keys().filter(|key| !wanted.contains_key(*key));
    let put = missing.map(|(key, value)| (key.to_vec(), Some(value.to_vec())));
    put.chain(surplus.map(|key| (key.to_vec(), None))).collect()
}

/// A key, and its new value or none where there is to be no row.
pub(crate) type Changed = (Vec<u8>, Option<Vec<u8>>);

/// Makes the copy a store, with these rows of `meta`.
pub(crate) fn finish(txn: &mut Txn<'_>, rows: &[(Vec<u8>, Vec<u8>)]) -> Result<()> {
    let changes: Vec<_> = rows.iter().map(|(key, value)| (key.clone(), Some(value.clone()))).collect();
    change_rows(txn, META.id, &changes);
    meta::end_copy(txn);
    Ok(())
}
