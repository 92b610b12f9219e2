//! What an operation sees of redb: a snapshot to read from, or a write transaction that takes its changes.

use std::cell::{Cell, OnceCell};
use std::ops::ControlFlow;
use std::sync::OnceLock;

use redb::{
    ReadOnlyTable, ReadTransaction, ReadableDatabase, ReadableTable, ReadableTableMetadata, TableDefinition,
    TableError, WriteTransaction,
};

use crate::error::{Error, Result, StorageError};
use crate::schema::TABLES;
use crate::txn::{ByteRange, Changes, RowVisitor, TableId, View};

type Bytes = &'static [u8];

const fn definition(table: TableId) -> TableDefinition<'static, Bytes, Bytes> {
    TableDefinition::new(table.name)
}

/// One committed state of the database, with its tables opened as they are needed.
pub(super) struct Snapshot {
    transaction: ReadTransaction,
    tables: [OnceLock<ReadOnlyTable<Bytes, Bytes>>; TABLES.len()],
}

impl Snapshot {
    pub(super) fn begin(database: &impl ReadableDatabase) -> Result<Self> {
        let transaction = database.begin_read().map_err(|error| failed("reading cannot begin", error))?;
        Ok(Self { transaction, tables: [const { OnceLock::new() }; TABLES.len()] })
    }

    /// The first table that does not exist.
    pub(super) fn missing_table(&self) -> Result<Option<&'static str>> {
        for table in TABLES {
            match self.table(table) {
                Ok(_) => {}
                Err(Error::MissingTable(name)) => return Ok(Some(name)),
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    fn table(&self, table: TableId) -> Result<&ReadOnlyTable<Bytes, Bytes>> {
        let place = self.tables.get(table.index).ok_or(Error::MissingTable(table.name))?;
        if let Some(opened) = place.get() {
            return Ok(opened);
        }
        match self.transaction.open_table(definition(table)) {
            Ok(opened) => Ok(place.get_or_init(|| opened)),
            Err(TableError::TableDoesNotExist(_)) => Err(Error::MissingTable(table.name)),
            Err(error) => Err(failed("a table cannot be opened", error)),
        }
    }
}

impl View for Snapshot {
    fn get(&self, table: TableId, key: &[u8], visit: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        // Not the inherent `get`, whose guard does not keep the snapshot's pages from being reused.
        match ReadableTable::get(self.table(table)?, key).map_err(|error| failed("a row cannot be read", error))? {
            Some(value) => visit(value.value()),
            None => Ok(()),
        }
    }

    fn scan(&self, table: TableId, range: ByteRange<'_>, visit: &mut RowVisitor<'_>) -> Result<()> {
        let failed = |error| failed("rows cannot be read", error);
        for row in ReadableTable::range::<&[u8]>(self.table(table)?, range).map_err(failed)? {
            let (key, value) = row.map_err(failed)?;
            if visit(key.value(), value.value())?.is_break() {
                break;
            }
        }
        Ok(())
    }

    fn len(&self, table: TableId) -> Result<u64> {
        self.table(table)?.len().map_err(|error| failed("rows cannot be counted", error))
    }
}

/// A write transaction and its tables, opened as they are needed. It knows whether redb failed in it, even if the
/// operation that met the failure hides it.
pub(super) struct WriteView<'txn> {
    transaction: &'txn WriteTransaction,
    tables: [OnceCell<redb::Table<'txn, Bytes, Bytes>>; TABLES.len()],
    /// Set while redb works, so that it stays set when redb panics.
    broken: Cell<bool>,
}

impl<'txn> WriteView<'txn> {
    pub(super) fn new(transaction: &'txn WriteTransaction) -> Self {
        Self { transaction, tables: [const { OnceCell::new() }; TABLES.len()], broken: Cell::new(false) }
    }

    pub(super) fn is_broken(&self) -> bool {
        self.broken.get()
    }

    /// Creates a table, or makes sure that it exists.
    pub(super) fn create(&self, table: TableId) -> Result<()> {
        self.table(table).map(drop)
    }

    pub(super) fn apply(&mut self, changes: Changes) -> Result<()> {
        for ((id, key), value) in changes.rows {
            self.table(id)?;
            let table =
                self.tables.get_mut(id.index).and_then(OnceCell::get_mut).ok_or(Error::MissingTable(id.name))?;
            guarded(&self.broken, || match value {
                Some(value) => table.insert(&*key, &*value).map(drop),
                None => table.remove(&*key).map(drop),
            })?;
        }
        Ok(())
    }

    fn table(&self, table: TableId) -> Result<&redb::Table<'txn, Bytes, Bytes>> {
        let place = self.tables.get(table.index).ok_or(Error::MissingTable(table.name))?;
        if let Some(opened) = place.get() {
            return Ok(opened);
        }
        let opened = guarded(&self.broken, || self.transaction.open_table(definition(table)))?;
        Ok(place.get_or_init(|| opened))
    }
}

impl View for WriteView<'_> {
    fn get(&self, table: TableId, key: &[u8], visit: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let table = self.table(table)?;
        match guarded(&self.broken, || table.get(key))? {
            Some(value) => visit(value.value()),
            None => Ok(()),
        }
    }

    fn scan(&self, table: TableId, range: ByteRange<'_>, visit: &mut RowVisitor<'_>) -> Result<()> {
        let table = self.table(table)?;
        let mut rows = guarded(&self.broken, || table.range::<&[u8]>(range))?;
        while let Some((key, value)) = guarded(&self.broken, || rows.next().transpose())? {
            if let ControlFlow::Break(()) = visit(key.value(), value.value())? {
                break;
            }
        }
        Ok(())
    }

    fn len(&self, table: TableId) -> Result<u64> {
        let table = self.table(table)?;
        guarded(&self.broken, || table.len())
    }
}

/// Calls redb, and leaves `broken` set if it fails or panics.
fn guarded<T, E: Into<redb::Error>>(broken: &Cell<bool>, call: impl FnOnce() -> Result<T, E>) -> Result<T> {
    let before = broken.replace(true);
    let result = call().map_err(|error| failed("the transaction failed", error));
    broken.set(before || result.is_err());
    result
}

pub(super) fn failed(context: &'static str, error: impl Into<redb::Error>) -> Error {
    Error::Storage(StorageError::caused(context, error.into()))
}

/// Whether a read failed only because its database was closed, as it is to be reopened.
pub(super) fn is_closed(error: &Error) -> bool {
    matches!(redb_error(error), Some(redb::Error::DatabaseClosed))
}

/// Whether redb answers nothing but errors from now on, until the database is reopened.
pub(super) fn is_latched(error: &Error) -> bool {
    use redb::Error::{Backend, Io, LockPoisoned, PreviousIo};
    matches!(redb_error(error), Some(Io(_) | Backend(_) | PreviousIo | LockPoisoned(_)))
}

fn redb_error(error: &Error) -> Option<&redb::Error> {
    std::error::Error::source(error).and_then(|source| source.downcast_ref())
}
