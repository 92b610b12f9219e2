//! What an engine shows an operation: rows of bytes, in the order of their keys.

use std::ops::{Bound, ControlFlow};

use super::table::TableId;
use crate::error::Result;

/// What an engine shows an operation: one unchanging state of all tables, or its own not yet committed transaction.
pub(crate) trait View {
    /// Calls `visit` with the value at `key`, if there is one.
    fn get(&self, table: TableId, key: &[u8], visit: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()>;

    /// Calls `visit` with the rows of `range`, in the order of their keys, until it breaks.
    fn scan(&self, table: TableId, range: ByteRange<'_>, visit: &mut RowVisitor<'_>) -> Result<()>;

    /// How many rows the table should have.
    fn len(&self, table: TableId) -> Result<u64>;

    /// Says that the operation is going to look up this row, to an engine that fetches several at once.
    fn prefetch(&self, _: TableId, _: &[u8]) {}

    /// The same of the first rows of a range.
    fn prefetch_range(&self, _: TableId, _: ByteRange<'_>) {}

    /// Whether the operation may take it for granted that there is a row at `key`: an engine that does not know may make
    /// that a condition of the operation's changes.
    fn assume_exists(&self, _: TableId, _: &[u8]) -> bool {
        false
    }

    /// How many records a step of an operation may change at most; an engine may take smaller transactions than another.
    fn step_records_max(&self) -> usize {
        usize::MAX
    }
}

pub(crate) type ByteRange<'a> = (Bound<&'a [u8]>, Bound<&'a [u8]>);

pub(crate) type RowVisitor<'a> = dyn FnMut(&[u8], &[u8]) -> Result<ControlFlow<()>> + 'a;
