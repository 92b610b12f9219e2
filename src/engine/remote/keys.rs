//! Keys in the cluster: below the namespace and the table's name.
//!
//! ```text
//! my-app/users/…        a row of a table: its name without the prefix that it has in a file, then the key's bytes
//! my-app/receipts/…     a receipt; see `receipt`
//! ```

use std::ops::Bound;

use crate::kv::key::prefix_end;
use crate::kv::table::TableId;
use crate::kv::view::ByteRange;

#[derive(Clone, Debug)]
pub(crate) struct Keys {
    namespace: String,
}

impl Keys {
    /// A namespace contains no slash, so that none lies within another.
    pub(crate) fn new(namespace: &str) -> Self {
        Self { namespace: namespace.to_owned() }
    }

    pub(super) fn row(&self, table: TableId, key: &[u8]) -> Vec<u8> {
        let mut bytes = self.table(table);
        bytes.extend_from_slice(key);
        bytes
    }

    /// The prefix of all keys of a table.
    pub(super) fn table(&self, table: TableId) -> Vec<u8> {
        let name = table.name.strip_prefix("authkv_").unwrap_or(table.name);
        self.under(name)
    }

    pub(super) fn receipt(&self, id: &[u8]) -> Vec<u8> {
        let mut bytes = self.under("receipts");
        bytes.extend_from_slice(id);
        bytes
    }

    /// The prefix of the keys of all receipts.
    pub(super) fn receipts(&self) -> Vec<u8> {
        self.under("receipts")
    }

    fn under(&self, name: &str) -> Vec<u8> {
        format!("{}/{name}/", self.namespace).into_bytes()
    }

    /// The start and end of a table's range.
    pub(super) fn range(&self, table: TableId, range: ByteRange<'_>) -> (Vec<u8>, Vec<u8>) {
        let start = match range.0 {
            Bound::Unbounded => self.table(table),
            Bound::Included(start) => self.row(table, start),
            Bound::Excluded(start) => after(self.row(table, start)),
        };
        let end = match range.1 {
            Bound::Unbounded => prefix_end(self.table(table)).unwrap_or_default(),
            Bound::Included(end) => after(self.row(table, end)),
            Bound::Excluded(end) => self.row(table, end),
        };
        (start, end)
    }
}

/// The key that follows a key.
pub(super) fn after(mut key: Vec<u8>) -> Vec<u8> {
    key.push(0);
    key
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::schema::{ACCOUNTS, ACCOUNTS_BY_USER, TABLES};

    #[test]
    fn tables_namespaces_and_receipts_share_no_key() {
        let starts: Vec<_> = ["a", "ab", "a.b"]
            .into_iter()
            .flat_map(|namespace| {
                let keys = Keys::new(namespace);
                TABLES.into_iter().map(|table| keys.table(table)).chain([keys.receipts()]).collect::<Vec<_>>()
            })
            .collect();
        for (place, start) in starts.iter().enumerate() {
            for (other, begun) in starts.iter().enumerate() {
                assert!(place == other || !begun.starts_with(start), "{begun:?} lies within {start:?}");
            }
        }
    }

    #[test]
    fn a_range_has_the_rows_of_its_table_only() {
        let keys = Keys::new("a");
        let (start, end) = keys.range(ACCOUNTS.id, (Bound::Unbounded, Bound::Unbounded));
        for key in [&[][..], &[0], &[255, 255]] {
            let row = keys.row(ACCOUNTS.id, key);
            assert!(start <= row && row < end);
            let row = keys.row(ACCOUNTS_BY_USER.id, key);
            assert!(row < start || row >= end);
        }
        let (start, end) = keys.range(ACCOUNTS.id, (Bound::Excluded(b"b"), Bound::Included(b"d")));
        let within = |key: &[u8]| (&start..&end).contains(&&keys.row(ACCOUNTS.id, key));
        assert_eq!([&b"b"[..], b"b\0", b"c", b"d", b"d\0"].map(within), [false, true, true, true, false]);
    }
}
