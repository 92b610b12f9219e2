//! Transactions: typed tables over an engine's bytes. Changes are collected until the engine applies them.

use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow, RangeBounds};
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::codec;
use super::key::{Key, prefix_end};
use super::table::{Entry, Table, TableId};
use super::view::{ByteRange, RowVisitor, View};
use crate::error::{Error, Result};
use crate::models::Indexes;

/// One operation's view of the store. Its reads and scans see its own changes. Nobody else sees them before they are
/// committed.
pub(crate) struct Txn<'v> {
    view: &'v dyn View,
    changes: Changes,
    /// The application's indexes. `None` if the operation changes no record that can have any.
    indexes: Option<Arc<Indexes>>,
}

/// Runs the operation with the application's indexes, so that its writes update them.
pub(crate) fn with_indexes<R>(
    indexes: Arc<Indexes>,
    op: impl Fn(&mut Txn<'_>) -> Result<R>,
) -> impl Fn(&mut Txn<'_>) -> Result<R> {
    move |txn| {
        txn.indexes = Some(Arc::clone(&indexes));
        op(txn)
    }
}

/// The changes that an operation has made.
#[derive(Default)]
pub(crate) struct Changes {
    pub(crate) rows: Rows,
    /// Work for the engine to run in a later transaction, after this one is committed.
    pub(crate) follow_up: Option<FollowUp>,
}

/// The new value of each changed row. `None` removes the row.
pub(crate) type Rows = BTreeMap<(TableId, Vec<u8>), Option<Vec<u8>>>;

/// The rest of the work that is too much for one transaction.
pub(crate) struct FollowUp {
    work: Work,
    indexes: Option<Arc<Indexes>>,
}

type Work = Box<dyn Fn(&mut Txn<'_>) -> Result<()> + Send>;

/// The bytes of a row's key, and the row, unless it is damaged.
pub(crate) type RowOrDamaged<K, V> = (Vec<u8>, Option<(K, V)>);

impl FollowUp {
    pub(crate) fn run(&self, txn: &mut Txn<'_>) -> Result<()> {
        txn.indexes.clone_from(&self.indexes);
        (self.work)(txn)
    }
}

impl<'v> Txn<'v> {
    pub(crate) fn new(view: &'v dyn View) -> Self {
        Self { view, changes: Changes::default(), indexes: None }
    }

    /// The indexes on own fields, which each write must update.
    pub(crate) fn indexes(&self) -> &Indexes {
        static NONE: Indexes = Indexes { users: Vec::new(), accounts: Vec::new() };
        self.indexes.as_deref().unwrap_or(&NONE)
    }

    /// Runs an operation on the same view and drops its changes.
    pub(crate) fn trying<R>(&self, op: impl FnOnce(&mut Txn<'_>) -> Result<R>) -> Result<R> {
        op(&mut Txn::new(self.view))
    }

    /// Drops all that the operation has changed so far.
    pub(crate) fn drop_changes(&mut self) {
        self.changes = Changes::default();
    }

    pub(crate) fn into_changes(self) -> Changes {
        self.changes
    }

    pub(crate) fn get<K: Key, V: DeserializeOwned>(&self, table: &Table<K, V>, key: &K) -> Result<Option<V>> {
        let mut found = None;
        let key_bytes = key.to_bytes();
        self.get_bytes(table.id, &key_bytes, &mut |bytes| {
            let value = found.insert(codec::decode(table.id.name, &key_bytes, bytes)?);
            (table.keyed)(value, key);
            Ok(())
        })?;
        Ok(found)
    }

    /// Like [`get`](Self::get), for upkeep, which goes on behind a damaged row. `None` if the row is missing or damaged.
    /// A view that fails is still an error.
    pub(crate) fn get_sound<K: Key, V: DeserializeOwned>(&self, table: &Table<K, V>, key: &K) -> Result<Option<V>> {
        let mut found = None;
        let key_bytes = key.to_bytes();
        self.get_bytes(table.id, &key_bytes, &mut |bytes| {
            found = table.row(&key_bytes, bytes).ok();
            Ok(())
        })?;
        if found.is_none() && self.view.is_guess() {
            return Err(Error::corrupt("a row is not known yet"));
        }
        Ok(found.map(|(_, value)| value))
    }

    pub(crate) fn contains<K: Key, V>(&self, table: &Table<K, V>, key: &K) -> Result<bool> {
        let mut found = false;
        let key = key.to_bytes();
        self.get_bytes(table.id, &key, &mut |bytes| {
            codec::verified(table.id.name, &key, bytes)?;
            found = true;
            Ok(())
        })?;
        Ok(found)
    }

    /// Like [`contains`](Self::contains), for a row that almost always exists.
    pub(crate) fn contains_or_assumed<K: Key, V>(&self, table: &Table<K, V>, key: &K) -> Result<bool> {
        let bytes = key.to_bytes();
        let is_changed = self.changes.rows.contains_key(&(table.id, bytes.clone()));
        Ok((!is_changed && self.view.assume_exists(table.id, &bytes)) || self.contains(table, key)?)
    }

    /// Hints that the operation will get this row, so that an engine can fetch it together with others.
    pub(crate) fn prefetch<K: Key, V>(&self, table: &Table<K, V>, key: &K) {
        self.view.prefetch(table.id, &key.to_bytes());
    }

    /// Hints that the operation will read the rows whose key starts with `prefix`.
    pub(crate) fn prefetch_prefix<A: Key, B: Key, V>(&self, table: &Table<(A, B), V>, prefix: &A) {
        with_prefix(prefix, |range| self.view.prefetch_range(table.id, range));
    }

    /// Returns the first rows of a table, at most `limit`.
    pub(crate) fn first<K: Key, V: DeserializeOwned>(&self, table: &Table<K, V>, limit: usize) -> Result<Vec<(K, V)>> {
        self.rows(table, (Bound::Unbounded, Bound::Unbounded), limit)
    }

    /// Returns the rows whose key starts with `prefix`, at most `limit`.
    pub(crate) fn with_prefix<A: Key, B: Key, V: DeserializeOwned>(
        &self,
        table: &Table<(A, B), V>,
        prefix: &A,
        limit: usize,
    ) -> Result<Vec<((A, B), V)>> {
        with_prefix(prefix, |range| self.rows(table, range, limit))
    }

    /// Returns the rows in a range of keys, at most `limit`.
    pub(crate) fn rows<K: Key, V: DeserializeOwned>(
        &self,
        table: &Table<K, V>,
        range: ByteRange<'_>,
        limit: usize,
    ) -> Result<Vec<(K, V)>> {
        let mut rows = Vec::new();
        if limit == 0 {
            return Ok(rows);
        }
        self.scan_bytes(table.id, range, &mut |key, value| {
            rows.push(table.row(key, value)?);
            Ok(if rows.len() < limit { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
        })?;
        Ok(rows)
    }

    /// Like [`rows`](Self::rows), for upkeep, which goes on behind a damaged row.
    pub(crate) fn rows_or_damaged<K: Key, V: DeserializeOwned>(
        &self,
        table: &Table<K, V>,
        range: ByteRange<'_>,
        limit: usize,
    ) -> Result<Vec<RowOrDamaged<K, V>>> {
        let mut rows = Vec::new();
        if limit == 0 {
            return Ok(rows);
        }
        self.scan_bytes(table.id, range, &mut |key, value| {
            rows.push((key.to_vec(), table.row(key, value).ok()));
            Ok(if rows.len() < limit { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
        })?;
        Ok(rows)
    }

    pub(crate) fn put<K: Key, V: Serialize>(&mut self, table: &Table<K, V>, key: &K, value: &V) -> Result<()> {
        let entry = table.entry(key, value)?;
        self.put_entry(entry);
        Ok(())
    }

    pub(crate) fn remove<K: Key, V>(&mut self, table: &Table<K, V>, key: &K) {
        self.remove_bytes(table.id, key.to_bytes());
    }

    pub(crate) fn put_entry(&mut self, entry: Entry) {
        self.changes.rows.insert((entry.table, entry.key), Some(entry.value));
    }

    pub(crate) fn remove_bytes(&mut self, table: TableId, key: Vec<u8>) {
        self.changes.rows.insert((table, key), None);
    }

    /// Makes the engine run `work` in a transaction of its own after this one.
    pub(crate) fn follow_up(&mut self, work: impl Fn(&mut Txn<'_>) -> Result<()> + Send + 'static) {
        self.changes.follow_up = Some(FollowUp { work: Box::new(work), indexes: self.indexes.clone() });
    }

    pub(crate) fn get_bytes(
        &self,
        table: TableId,
        key: &[u8],
        visit: &mut dyn FnMut(&[u8]) -> Result<()>,
    ) -> Result<()> {
        if !self.changes.rows.is_empty()
            && let Some(change) = self.changes.rows.get(&(table, key.to_vec()))
        {
            return change.as_deref().map_or(Ok(()), visit);
        }
        self.view.get(table, key, visit)
    }

    /// How many rows the view says the table has. This operation's own changes are not counted.
    pub(crate) fn row_count(&self, table: TableId) -> Result<u64> {
        self.view.len(table)
    }

    /// Returns `wanted`, or the number of records that a step may change if that is smaller.
    pub(crate) fn step_records(&self, wanted: usize) -> usize {
        wanted.min(self.view.step_records_max())
    }

    /// Visits the view's rows merged with the changed ones.
    pub(crate) fn scan_bytes(&self, table: TableId, range: ByteRange<'_>, visit: &mut RowVisitor<'_>) -> Result<()> {
        let start = match range.0 {
            Bound::Unbounded => Bound::Included((table, Vec::new())),
            start => start.map(|start| (table, start.to_vec())),
        };
        let end = match range.1 {
            Bound::Unbounded => Bound::Excluded((TableId { index: table.index + 1, name: "" }, Vec::new())),
            end => end.map(|end| (table, end.to_vec())),
        };
        let mut changed = self.changes.rows.range((start, end)).peekable();
        let mut stopped = false;
        self.scan_view(table, range, &mut |key, value| {
            while let Some(((_, changed_key), change)) = changed.next_if(|((_, changed), _)| changed.as_slice() <= key)
            {
                if let Some(change) = change
                    && visit(changed_key, change)?.is_break()
                {
                    stopped = true;
                    return Ok(ControlFlow::Break(()));
                }
                if changed_key.as_slice() == key {
                    return Ok(ControlFlow::Continue(()));
                }
            }
            let flow = visit(key, value)?;
            stopped = flow.is_break();
            Ok(flow)
        })?;
        for ((_, key), change) in changed {
            if stopped {
                break;
            }
            if let Some(change) = change {
                stopped = visit(key, change)?.is_break();
            }
        }
        Ok(())
    }

    /// Scans the view while its keys ascend within the range. Damaged pages can return keys from anywhere, over and
    /// over.
    fn scan_view(&self, table: TableId, range: ByteRange<'_>, visit: &mut RowVisitor<'_>) -> Result<()> {
        let mut last = Vec::new();
        self.view.scan(table, range, &mut |key, value| {
            if key <= last.as_slice() || !RangeBounds::<[u8]>::contains(&range, key) {
                return Err(Error::corrupt("the rows of a table are not in order"));
            }
            last.clear();
            last.extend_from_slice(key);
            visit(key, value)
        })
    }
}

/// Calls `range` with the range of all keys that start with `prefix`.
fn with_prefix<A: Key, R>(prefix: &A, range: impl FnOnce(ByteRange<'_>) -> R) -> R {
    let start = prefix.to_bytes();
    let end = prefix_end(start.clone());
    range((Bound::Included(&start), end.as_deref().map_or(Bound::Unbounded, Bound::Excluded)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A damaged table, whose rows are out of order.
    struct Disorder(&'static [&'static str]);

    impl View for Disorder {
        fn get(&self, _: TableId, _: &[u8], _: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
            Ok(())
        }

        fn scan(&self, _: TableId, _: ByteRange<'_>, visit: &mut RowVisitor<'_>) -> Result<()> {
            self.0.iter().try_for_each(|key| visit(key.as_bytes(), b"").map(drop))
        }

        fn len(&self, _: TableId) -> Result<u64> {
            Ok(0)
        }
    }

    #[test]
    fn rows_that_do_not_ascend_within_the_range_are_damage() {
        let range = (Bound::Included(&b"b"[..]), Bound::Excluded(&b"d"[..]));
        let scan = |keys| {
            let table = TableId { index: 0, name: "fruit" };
            Txn::new(&Disorder(keys)).scan_bytes(table, range, &mut |_, _| Ok(ControlFlow::Continue(())))
        };
        scan(&["b", "c"]).unwrap();
        let disorder: [&[&str]; 5] = [&["c", "b"], &["b", "b"], &["a"], &["b", "d"], &[""]];
        for keys in disorder {
            assert!(matches!(scan(keys), Err(Error::Storage(_))), "{keys:?}");
        }
    }
}
