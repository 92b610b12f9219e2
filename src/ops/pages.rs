//! Pages of lists: filtered before they are cut, and bounded in the rows that they read.

use std::ops::Bound;

use serde::de::DeserializeOwned;

use crate::error::{Error, Problem, Result};
use crate::kv::key::{Key, prefix_end};
use crate::kv::table::{Table, TableId};
use crate::kv::txn::Txn;
use crate::models::{Cursor, Page};

/// The size of a page, both at least 1.
#[derive(Clone, Copy)]
pub(crate) struct PageLimit {
    /// How many items it has at most.
    pub(crate) items: usize,
    /// How many rows are read for it at most.
    pub(crate) rows: usize,
}

/// The keys of a list: from the first one up to the second one, exclusive.
pub(super) type KeyRange = (Vec<u8>, Option<Vec<u8>>);

/// All keys of a table.
pub(super) const ALL: KeyRange = (Vec::new(), None);

/// Returns the keys that start with `prefix`.
pub(super) fn keys_of(prefix: &impl Key) -> KeyRange {
    let start = prefix.to_bytes();
    let end = prefix_end(start.clone());
    (start, end)
}

/// Reads a page of the rows in a range, after a cursor. `items` returns for each row its item, or `None` if it is not
/// listed. The page ends early if it would read too many rows; then it says that there may be more.
///
/// # Errors
/// `InvalidArgument` for a cursor of another list.
pub(super) fn page<K: Key, V: DeserializeOwned, T>(
    txn: &Txn<'_>,
    table: &Table<K, V>,
    (start, end): KeyRange,
    after: Option<&Cursor>,
    limit: PageLimit,
    items: impl Fn(Vec<(K, V)>) -> Result<Vec<Option<T>>>,
) -> Result<Page<T>> {
    let mut page = Page { items: Vec::new(), next: None };
    let mut place = match after {
        Some(after) => {
            let after = position::<K>(table.id, after)?.to_bytes();
            if after < start || end.as_ref().is_some_and(|end| after >= *end) {
                return Err(not_of_list());
            }
            Bound::Excluded(after)
        }
        None => Bound::Included(start),
    };
    let end = end.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
    let (mut read, mut last_listed) = (0, Vec::new());
    loop {
        // One more than there is room for, to know whether there are more; then ever more at once.
        let wanted = limit.items.saturating_add(1).max(read).min(limit.rows - read);
        let rows = txn.rows(table, (place.as_ref().map(Vec::as_slice), end), wanted)?;
        let keys: Vec<_> = rows.iter().map(|(key, _)| key.to_bytes()).collect();
        read += rows.len();
        let is_end = rows.len() < wanted;
        for (key, item) in keys.iter().zip(items(rows)?) {
            if let Some(item) = item {
                if page.items.len() == limit.items {
                    page.next = Some(cursor(table.id, &last_listed));
                    return Ok(page);
                }
                page.items.push(item);
                last_listed.clone_from(key);
            }
        }
        match keys.into_iter().next_back() {
            Some(last) if !is_end && read == limit.rows => {
                page.next = Some(cursor(table.id, &last));
                return Ok(page);
            }
            Some(last) if !is_end => place = Bound::Excluded(last),
            _ => return Ok(page),
        }
    }
}

/// The cursor of a position in a list. It begins with the index of the table that is listed, so that no other list takes it.
pub(super) fn cursor(table: TableId, position: &[u8]) -> Cursor {
    Cursor([&[table.index as u8], position].concat())
}

/// The position in a list of this table.
///
/// # Errors
/// `InvalidArgument` for a cursor of another list.
pub(super) fn position<K: Key>(table: TableId, Cursor(bytes): &Cursor) -> Result<K> {
    let position = bytes.split_first().filter(|(index, _)| usize::from(**index) == table.index);
    position.and_then(|(_, position)| K::from_bytes(position)).ok_or_else(not_of_list)
}

pub(super) fn not_of_list() -> Error {
    Error::invalid("cursor", Problem::NotACursor)
}
