//! fjall, with transactions whose journal is synced.

use std::path::Path;

use anyhow::{Context, Result};
use fjall::{
    KeyspaceCreateOptions, PersistMode, Readable, SingleWriterTxDatabase, SingleWriterTxKeyspace,
    SingleWriterWriteTx as WriteTransaction,
};

use super::rows::{Store, Txn, View};
use crate::rows::Shapes;

pub struct Fjall {
    database: SingleWriterTxDatabase,
    tables: Vec<SingleWriterTxKeyspace>,
}

impl Fjall {
    pub fn open(folder: &Path, shapes: &Shapes) -> Result<Self> {
        let database = SingleWriterTxDatabase::builder(folder).cache_size(super::CACHE_BYTES as u64).open()?;
        let tables = shapes.tables.iter().map(|name| database.keyspace(name, KeyspaceCreateOptions::default));
        let tables = tables.collect::<Result<_, _>>()?;
        Ok(Self { database, tables })
    }
}

impl Store for Fjall {
    fn read<R>(&self, work: impl FnOnce(&dyn View) -> Result<R>) -> Result<R> {
        work(&Viewing { view: self.database.read_tx(), tables: &self.tables })
    }

    fn write<R>(&self, work: impl FnOnce(&mut dyn Txn) -> Result<R>) -> Result<R> {
        let view = self.database.write_tx().durability(Some(PersistMode::SyncData));
        let mut viewing = Viewing { view, tables: &self.tables };
        let result = work(&mut viewing)?;
        viewing.view.commit()?;
        Ok(result)
    }
}

struct Viewing<'s, V> {
    view: V,
    tables: &'s [SingleWriterTxKeyspace],
}

impl<V> Viewing<'_, V> {
    fn table(&self, table: usize) -> Result<&SingleWriterTxKeyspace> {
        self.tables.get(table).context("there is no such table")
    }
}

impl<V: Readable> View for Viewing<'_, V> {
    fn get(&self, table: usize, key: &[u8]) -> Result<Option<Vec<u8>>> {
        Ok(self.view.get(self.table(table)?, key)?.map(|value| value.to_vec()))
    }

    fn with_prefix(&self, table: usize, prefix: &[u8]) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
        let rows = self.view.prefix(self.table(table)?, prefix);
        let read = |row: fjall::Guard| row.into_inner().map(|(key, value)| (key.to_vec(), value.to_vec()));
        Ok(rows.map(read).collect::<Result<_, _>>()?)
    }
}

impl Txn for Viewing<'_, WriteTransaction<'_>> {
    fn put(&mut self, table: usize, key: &[u8], value: &[u8]) -> Result<()> {
        let table = self.tables.get(table).context("there is no such table")?;
        self.view.insert(table, key, value);
        Ok(())
    }

    fn remove(&mut self, table: usize, key: &[u8]) -> Result<()> {
        let table = self.tables.get(table).context("there is no such table")?;
        self.view.remove(table, key);
        Ok(())
    }
}
