//! Tables: the key and value types of their rows, and the stored form of a row.

use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::codec;
use super::key::Key;
use crate::error::{Error, Result};

/// How an engine identifies a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TableId {
    /// The table's place among all tables.
    pub(crate) index: usize,
    pub(crate) name: &'static str,
}

/// The place of a row: its table and its key, as in the [format](crate::format).
///
/// As text the key is shown as it is, escaped. There may be e-mail addresses and ids in it, but no tokens, which are stored
/// as hashes. `Debug` does not show the key.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct RowKey {
    /// The name of the table.
    pub table: &'static str,
    /// The bytes of the key.
    pub key: Vec<u8>,
}

impl RowKey {
    pub(crate) fn new(table: TableId, key: &[u8]) -> Self {
        Self { table: table.name, key: key.to_vec() }
    }
}

impl fmt::Display for RowKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.table, self.key.escape_ascii())
    }
}

impl fmt::Debug for RowKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RowKey").field("table", &self.table).finish_non_exhaustive()
    }
}

/// A table that maps `K` to `V`.
pub(crate) struct Table<K, V> {
    pub(crate) id: TableId,
    /// Fills in the fields of a decoded value that are stored only in its key.
    pub(super) keyed: fn(&mut V, &K),
}

impl<K, V> Table<K, V> {
    pub(crate) const fn new(index: usize, name: &'static str) -> Self {
        Self { id: TableId { index, name }, keyed: |_, _| {} }
    }

    /// Sets how to fill in the fields of a value that are stored only in its key.
    pub(crate) const fn keyed(self, keyed: fn(&mut V, &K)) -> Self {
        Self { keyed, ..self }
    }
}

impl<K: Key, V: DeserializeOwned> Table<K, V> {
    /// Decodes a row from its stored form.
    ///
    /// # Errors
    /// A storage failure if the row is damaged.
    pub(crate) fn row(&self, key: &[u8], value: &[u8]) -> Result<(K, V)> {
        let mut value = codec::decode(self.id.name, key, value)?;
        let key = K::from_bytes(key).ok_or_else(|| Error::corrupt("a key cannot be read"))?;
        (self.keyed)(&mut value, &key);
        Ok((key, value))
    }
}

/// A row of an index, as bytes.
#[derive(PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) table: TableId,
    pub(crate) key: Vec<u8>,
    pub(crate) value: Vec<u8>,
}

impl<K: Key, V: Serialize> Table<K, V> {
    pub(crate) fn entry(&self, key: &K, value: &V) -> Result<Entry> {
        let key = key.to_bytes();
        let value = codec::encode(self.id.name, &key, value)?;
        Ok(Entry { table: self.id, key, value })
    }
}
