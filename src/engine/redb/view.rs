//! redb as operations see it: a snapshot to read from, or a write transaction that applies changes.

use std::cell::{Cell, OnceCell};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, OnceLock};

use redb::{
    Database, ReadOnlyTable, ReadTransaction, ReadableDatabase, ReadableTable, ReadableTableMetadata, TableDefinition,
    TableError, TableHandle, WriteTransaction,
};

use super::published::Published;
use crate::engine::job::catching_panics;
use crate::error::{Error, Result, StorageError};
use crate::kv::table::TableId;
use crate::kv::txn::Rows;
use crate::kv::view::{ByteRange, RowVisitor, View};
use crate::records::schema::TABLES;

/// How the names of a store's tables start.
const NAMES: &str = "authkv_";

pub(super) type Bytes = &'static [u8];

pub(super) const fn definition(table: TableId) -> TableDefinition<'static, Bytes, Bytes> {
    TableDefinition::new(table.name)
}

/// The source of reads.
#[derive(Clone)]
pub(super) enum Readable {
    /// The last committed state, held for all readers.
    Snapshot(Arc<Snapshot>),
    /// A new snapshot for each read: on the application's database a shared one would keep old pages from being reused.
    Database(Arc<Database>),
    /// Nothing to read, and the reason.
    Nothing(Error),
}

impl Published<Readable> {
    /// True if readers read this snapshot now.
    pub(super) fn is(&self, snapshot: &Arc<Snapshot>) -> bool {
        matches!(self.get().0, Readable::Snapshot(published) if Arc::ptr_eq(&published, snapshot))
    }

    /// The reason why nothing can be read, if nothing can.
    pub(super) fn error(&self) -> Option<Error> {
        match self.get().0 {
            Readable::Nothing(error) => Some(error),
            Readable::Snapshot(_) | Readable::Database(_) => None,
        }
    }
}

/// A committed state of the database. Its tables are opened on first use.
pub(super) struct Snapshot {
    /// Set until the snapshot is dropped.
    transaction: Option<ReadTransaction>,
    tables: [OnceLock<ReadOnlyTable<Bytes, Bytes>>; TABLES.len()],
}

impl Snapshot {
    pub(super) fn begin(database: &impl ReadableDatabase) -> Result<Self> {
        let transaction = called("reading cannot begin", || database.begin_read())?;
        Ok(Self { transaction: Some(transaction), tables: [const { OnceLock::new() }; TABLES.len()] })
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

    /// True if there is a table with one of these names.
    pub(super) fn has_any(&self, names: &[&str]) -> Result<bool> {
        let transaction = self.transaction.as_ref().ok_or(Error::Closed)?;
        called("the tables cannot be listed", || {
            transaction.list_tables().map(|mut tables| tables.any(|table| names.contains(&table.name())))
        })
    }

    /// How many tables are a store's, and how many are not.
    pub(super) fn count_tables(&self) -> Result<(usize, usize)> {
        let transaction = self.transaction.as_ref().ok_or(Error::Closed)?;
        called("the tables cannot be listed", || {
            let multimaps = transaction.list_multimap_tables()?.count();
            let mut counts = (0, multimaps);
            for table in transaction.list_tables()? {
                let count = if table.name().starts_with(NAMES) { &mut counts.0 } else { &mut counts.1 };
                *count += 1;
            }
            Ok::<_, redb::StorageError>(counts)
        })
    }

    fn table(&self, table: TableId) -> Result<&ReadOnlyTable<Bytes, Bytes>> {
        let place = self.tables.get(table.index).ok_or(Error::MissingTable(table.name))?;
        if let Some(opened) = place.get() {
            return Ok(opened);
        }
        let transaction = self.transaction.as_ref().ok_or(Error::Closed)?;
        let opened = called("a table cannot be opened", || match transaction.open_table(definition(table)) {
            Err(TableError::TableDoesNotExist(_)) => Ok(None),
            result => result.map(Some),
        })?;
        opened.map(|opened| place.get_or_init(|| opened)).ok_or(Error::MissingTable(table.name))
    }
}

impl View for Snapshot {
    fn get(&self, table: TableId, key: &[u8], visit: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let table = self.table(table)?;
        // Not the inherent `get`, whose guard does not keep the snapshot's pages from being reused.
        match called("a row cannot be read", || ReadableTable::get(table, key))? {
            Some(value) => visit(catching_panics(|| Ok(value.value()))?),
            None => Ok(()),
        }
    }

    fn scan(&self, table: TableId, range: ByteRange<'_>, visit: &mut RowVisitor<'_>) -> Result<()> {
        let table = self.table(table)?;
        let mut rows = called("rows cannot be read", || ReadableTable::range::<&[u8]>(table, range))?;
        while let Some((key, value)) = called("rows cannot be read", || rows.next().transpose())? {
            let (key, value) = catching_panics(|| Ok((key.value(), value.value())))?;
            if visit(key, value)?.is_break() {
                break;
            }
        }
        Ok(())
    }

    fn len(&self, table: TableId) -> Result<u64> {
        let table = self.table(table)?;
        called("rows cannot be counted", || table.len())
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        self.tables.iter_mut().for_each(|table| discard(table.take()));
        discard(self.transaction.take());
    }
}

/// A write transaction. Its tables are opened on first use. It remembers whether redb failed in it, even if the
/// operation hides the failure.
pub(super) struct WriteView<'txn> {
    transaction: &'txn WriteTransaction,
    tables: [OnceCell<redb::Table<'txn, Bytes, Bytes>>; TABLES.len()],
    broken: Cell<bool>,
    /// Whether rows were removed or replaced.
    removes: bool,
}

impl<'txn> WriteView<'txn> {
    pub(super) fn new(transaction: &'txn WriteTransaction) -> Self {
        Self {
            transaction,
            tables: [const { OnceCell::new() }; TABLES.len()],
            broken: Cell::new(false),
            removes: false,
        }
    }

    pub(super) fn is_broken(&self) -> bool {
        self.broken.get()
    }

    /// True if rows were removed or replaced.
    pub(super) fn removes(&self) -> bool {
        self.removes
    }

    /// Creates a table unless it exists.
    pub(super) fn create(&self, table: TableId) -> Result<()> {
        self.table(table).map(drop)
    }

    /// Makes sure that the transaction is never committed after this error. `table` has rows.
    pub(super) fn poison(&mut self, error: &Error, table: TableId) {
        if is_latched(error) {
            // redb commits nothing before the database is reopened.
            return;
        }
        let Some(mut table) = self.tables.get_mut(table.index).and_then(OnceCell::take) else { return };
        // redb refuses to commit after a panic in the middle of `retain`.
        if !cfg!(panic = "abort")
            && let Err(_) = catch_unwind(AssertUnwindSafe(|| table.retain(|_, _| resume_unwind(Box::new(())))))
        {
            return discard(table);
        }
        // It also refuses if a table was never closed. That keeps the database locked for writing, which is right for a
        // damaged one if nothing else can be done.
        std::mem::forget(table);
    }

    pub(super) fn apply(&mut self, changed: Rows) -> Result<()> {
        for ((id, key), value) in changed {
            self.table(id)?;
            let table =
                self.tables.get_mut(id.index).and_then(OnceCell::get_mut).ok_or(Error::MissingTable(id.name))?;
            // A lookup descends at most 128 pages, whereas a change follows pages that damage has put into a circle
            // until the stack overflows.
            guarded(&self.broken, || table.get(&*key).map(drop))?;
            let old = guarded(&self.broken, || match value {
                Some(value) => table.insert(&*key, &*value).map(|old| old.is_some()),
                None => table.remove(&*key).map(|old| old.is_some()),
            })?;
            self.removes |= old;
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
            Some(value) => visit(catching_panics(|| Ok(value.value()))?),
            None => Ok(()),
        }
    }

    fn scan(&self, table: TableId, range: ByteRange<'_>, visit: &mut RowVisitor<'_>) -> Result<()> {
        let table = self.table(table)?;
        let mut rows = guarded(&self.broken, || table.range::<&[u8]>(range))?;
        while let Some((key, value)) = guarded(&self.broken, || rows.next().transpose())? {
            let (key, value) = catching_panics(|| Ok((key.value(), value.value())))?;
            if visit(key, value)?.is_break() {
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

impl Drop for WriteView<'_> {
    fn drop(&mut self) {
        self.tables.iter_mut().for_each(|table| discard(table.take()));
    }
}

/// Calls redb and sets `broken` if the call fails or panics.
fn guarded<T, E: Into<redb::Error>>(broken: &Cell<bool>, call: impl FnOnce() -> Result<T, E>) -> Result<T> {
    let result = called("the transaction failed", call);
    broken.set(broken.get() || result.is_err());
    result
}

/// Calls redb. Damage can make redb panic, and panic again when its values are dropped; two panics at once end the
/// process. So each panic is caught where it starts and does not unwind past redb's values.
pub(super) fn called<T, E: Into<redb::Error>>(context: &'static str, call: impl FnOnce() -> Result<T, E>) -> Result<T> {
    catching_panics(|| call().map_err(|error| failed(context, error)))
}

/// Drops a value of redb's, which may panic.
pub(super) fn discard<T>(of_redb: T) {
    let _ = catching_panics(|| {
        drop(of_redb);
        Ok(())
    });
}

pub(super) fn failed(context: &'static str, error: impl Into<redb::Error>) -> Error {
    Error::Storage(StorageError::caused(context, error.into()))
}

/// True if the read failed because the writer closed the database in order to reopen it.
pub(super) fn is_closed(error: &Error) -> bool {
    matches!(redb_error(error), Some(redb::Error::DatabaseClosed))
}

/// True if a table could not be opened because somebody has it open in the same transaction.
pub(super) fn is_in_use(error: &Error) -> bool {
    matches!(redb_error(error), Some(redb::Error::TableAlreadyOpen(..)))
}

/// True if redb returns only errors from now on, until the database is reopened.
pub(super) fn is_latched(error: &Error) -> bool {
    use redb::Error::{Backend, Io, LockPoisoned, PreviousIo};
    matches!(redb_error(error), Some(Io(_) | Backend(_) | PreviousIo | LockPoisoned(_)))
}

fn redb_error(error: &Error) -> Option<&redb::Error> {
    std::error::Error::source(error).and_then(|source| source.downcast_ref())
}
