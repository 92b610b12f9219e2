//! A view that records which rows an operation reads.

use std::cell::RefCell;

use super::published::{ReadSet, Slot};
use crate::error::Result;
use crate::kv::table::TableId;
use crate::kv::view::{ByteRange, RowVisitor, View};

pub(crate) struct RecordingView<'v> {
    view: &'v dyn View,
    /// None once the operation has read more than single rows.
    rows: RefCell<Option<Vec<Slot>>>,
}

impl<'v> RecordingView<'v> {
    pub(crate) fn new(view: &'v dyn View) -> Self {
        Self { view, rows: RefCell::new(Some(Vec::new())) }
    }

    /// The read set of this version. `None` if the operation read too many rows.
    pub(crate) fn into_read_set(self, version: u64) -> Option<ReadSet> {
        ReadSet::new(version, &self.rows.into_inner()?)
    }
}

impl View for RecordingView<'_> {
    fn get(&self, table: TableId, key: &[u8], visit: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        if let Some(rows) = self.rows.borrow_mut().as_mut() {
            rows.push(Slot::of(table.index, key));
        }
        self.view.get(table, key, visit)
    }

    fn scan(&self, table: TableId, range: ByteRange<'_>, visit: &mut RowVisitor<'_>) -> Result<()> {
        self.rows.replace(None);
        self.view.scan(table, range, visit)
    }

    fn len(&self, table: TableId) -> Result<u64> {
        self.rows.replace(None);
        self.view.len(table)
    }
}
