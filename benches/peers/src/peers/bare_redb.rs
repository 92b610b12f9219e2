//! Bare redb: a two-phase commit for each write, and reads from a snapshot that is kept until the next commit.

use std::cell::OnceCell;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use anyhow::{Context, Result};
use authkv::redb::backends::InMemoryBackend;
use authkv::redb::{
    Database, ReadOnlyTable, ReadTransaction, ReadableDatabase, ReadableTable, Table, TableDefinition, WriteTransaction,
};
use parking_lot::RwLock;

use super::rows::{Store, Txn, View};
use crate::rows::Shapes;

type Bytes = &'static [u8];

pub struct BareRedb {
    database: Database,
    tables: Vec<String>,
    snapshot: RwLock<Arc<Snapshot>>,
}

/// A committed state. Its tables are opened on first use.
pub struct Snapshot {
    transaction: ReadTransaction,
    tables: Vec<(String, OnceLock<ReadOnlyTable<Bytes, Bytes>>)>,
}

struct Writing<'txn> {
    transaction: &'txn WriteTransaction,
    tables: Vec<(&'txn str, OnceCell<Table<'txn, Bytes, Bytes>>)>,
}

impl BareRedb {
    pub fn open(path: &Path, shapes: &Shapes) -> Result<Self> {
        Self::new(Database::builder().set_cache_size(super::CACHE_BYTES).create(path)?, shapes)
    }

    pub fn in_memory(shapes: &Shapes) -> Result<Self> {
        let backend = InMemoryBackend::new();
        Self::new(Database::builder().set_cache_size(super::CACHE_BYTES).create_with_backend(backend)?, shapes)
    }

    /// Creates missing tables in one transaction.
    fn new(database: Database, shapes: &Shapes) -> Result<Self> {
        let mut transaction = database.begin_write()?;
        transaction.set_two_phase_commit(true);
        for name in &shapes.tables {
            transaction.open_table(definition(name))?;
        }
        transaction.commit()?;
        let tables = shapes.tables.clone();
        let snapshot = RwLock::new(Arc::new(Snapshot::of(&database, &tables)?));
        Ok(Self { database, tables, snapshot })
    }

    pub fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.snapshot.read())
    }
}

fn definition(name: &str) -> TableDefinition<'_, Bytes, Bytes> {
    TableDefinition::new(name)
}

impl Snapshot {
    fn of(database: &Database, tables: &[String]) -> Result<Self> {
        let tables = tables.iter().map(|name| (name.clone(), OnceLock::new())).collect();
        Ok(Self { transaction: database.begin_read()?, tables })
    }

    pub fn table(&self, table: usize) -> Result<&ReadOnlyTable<Bytes, Bytes>> {
        let (name, place) = self.tables.get(table).context("there is no such table")?;
        match place.get() {
            Some(opened) => Ok(opened),
            None => {
                let opened = self.transaction.open_table(definition(name))?;
                Ok(place.get_or_init(|| opened))
            }
        }
    }
}

impl Store for BareRedb {
    fn read<R>(&self, work: impl FnOnce(&dyn View) -> Result<R>) -> Result<R> {
        work(&*self.snapshot())
    }

    fn write<R>(&self, work: impl FnOnce(&mut dyn Txn) -> Result<R>) -> Result<R> {
        let mut transaction = self.database.begin_write()?;
        transaction.set_two_phase_commit(true);
        let tables = self.tables.iter().map(|name| (name.as_str(), OnceCell::new())).collect();
        let mut writing = Writing { transaction: &transaction, tables };
        let result = work(&mut writing)?;
        drop(writing);
        transaction.commit()?;
        let mut published = self.snapshot.write();
        *published = Arc::new(Snapshot::of(&self.database, &self.tables)?);
        Ok(result)
    }
}

impl View for Snapshot {
    fn get(&self, table: usize, key: &[u8]) -> Result<Option<Vec<u8>>> {
        get(self.table(table)?, key)
    }

    fn with_prefix(&self, table: usize, prefix: &[u8]) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
        with_prefix(self.table(table)?, prefix)
    }
}

impl<'txn> Writing<'txn> {
    fn table(&self, table: usize) -> Result<&Table<'txn, Bytes, Bytes>> {
        let (name, place) = self.tables.get(table).context("there is no such table")?;
        match place.get() {
            Some(opened) => Ok(opened),
            None => {
                let opened = self.transaction.open_table(definition(name))?;
                Ok(place.get_or_init(|| opened))
            }
        }
    }

    fn table_mut(&mut self, table: usize) -> Result<&mut Table<'txn, Bytes, Bytes>> {
        self.table(table)?;
        self.tables.get_mut(table).and_then(|(_, place)| place.get_mut()).context("there is no such table")
    }
}

impl View for Writing<'_> {
    fn get(&self, table: usize, key: &[u8]) -> Result<Option<Vec<u8>>> {
        get(self.table(table)?, key)
    }

    fn with_prefix(&self, table: usize, prefix: &[u8]) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
        with_prefix(self.table(table)?, prefix)
    }
}

impl Txn for Writing<'_> {
    fn put(&mut self, table: usize, key: &[u8], value: &[u8]) -> Result<()> {
        self.table_mut(table)?.insert(key, value)?;
        Ok(())
    }

    fn remove(&mut self, table: usize, key: &[u8]) -> Result<()> {
        self.table_mut(table)?.remove(key)?;
        Ok(())
    }
}

fn get(table: &impl ReadableTable<Bytes, Bytes>, key: &[u8]) -> Result<Option<Vec<u8>>> {
    Ok(table.get(key)?.map(|value| value.value().to_vec()))
}

fn with_prefix(table: &impl ReadableTable<Bytes, Bytes>, prefix: &[u8]) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
    let mut rows = Vec::new();
    for row in table.range::<&[u8]>(prefix..)? {
        let (key, value) = row?;
        if !key.value().starts_with(prefix) {
            break;
        }
        rows.push((key.value().to_vec(), value.value().to_vec()));
    }
    Ok(rows)
}
