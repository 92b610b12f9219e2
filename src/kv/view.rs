//! The view of the tables that an engine gives an operation: rows of bytes, in key order.

use std::ops::{Bound, ControlFlow};

use super::table::TableId;
use crate::error::Result;

/// The view that an engine gives an operation: either one unchanging state of all tables, or the engine's own
/// uncommitted transaction.
pub(crate) trait View {
    /// Calls `visit` with the value at `key`, if there is one.
    fn get(&self, table: TableId, key: &[u8], visit: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()>;

    /// Calls `visit` with the rows of `range`, in key order, until it breaks.
    fn scan(&self, table: TableId, range: ByteRange<'_>, visit: &mut RowVisitor<'_>) -> Result<()>;

    /// How many rows the table should have.
    fn len(&self, table: TableId) -> Result<u64>;

    /// Hints that the operation will look up this row, for an engine that fetches several rows at once.
    fn prefetch(&self, _: TableId, _: &[u8]) {}

    /// Hints that the operation will read the first rows of a range.
    fn prefetch_range(&self, _: TableId, _: ByteRange<'_>) {}

    /// True if the operation may assume that there is a row at `key`. An engine that does not know may answer true and
    /// make the row's existence a condition of the operation's changes.
    fn assume_exists(&self, _: TableId, _: &[u8]) -> bool {
        false
    }

    /// True if a row that an operation looked up is not known yet, so that its absence is only a guess, and the operation
    /// will run again.
    fn is_guess(&self) -> bool {
        false
    }

    /// The maximum number of records that one step of an operation may change. It differs between engines, because one
    /// may take smaller transactions than another.
    fn step_records_max(&self) -> usize {
        usize::MAX
    }
}

pub(crate) type ByteRange<'a> = (Bound<&'a [u8]>, Bound<&'a [u8]>);

pub(crate) type RowVisitor<'a> = dyn FnMut(&[u8], &[u8]) -> Result<ControlFlow<()>> + 'a;
