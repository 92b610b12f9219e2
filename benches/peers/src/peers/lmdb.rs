//! LMDB, through heed: its commits are synced.

use std::path::Path;

use anyhow::{Context, Result};
use heed::types::Bytes;
use heed::{Database, Env, EnvOpenOptions, RoTxn, RwTxn, WithTls};

use super::rows::{Store, Txn, View};
use crate::rows::Shapes;

/// The maximum size of the file, which takes no more space than it needs.
const MAP_BYTES: usize = 32 << 30;
const READERS_MAX: u32 = 1_024;

type Tables = Vec<Database<Bytes, Bytes>>;

pub struct Lmdb {
    env: Env,
    tables: Tables,
}

impl Lmdb {
    pub fn open(folder: &Path, shapes: &Shapes) -> Result<Self> {
        std::fs::create_dir_all(folder)?;
        let mut options = EnvOpenOptions::new();
        options.map_size(MAP_BYTES).max_dbs(u32::try_from(shapes.tables.len())?).max_readers(READERS_MAX);
        // SAFETY: the file is in this program's own folder, so nothing else changes it while it is mapped.
        #[allow(unsafe_code)]
        let env = unsafe { options.open(folder)? };
        let mut transaction = env.write_txn()?;
        let tables = shapes.tables.iter().map(|name| env.create_database(&mut transaction, Some(name)));
        let tables = tables.collect::<Result<_, _>>()?;
        transaction.commit()?;
        Ok(Self { env, tables })
    }
}

impl Store for Lmdb {
    fn read<R>(&self, work: impl FnOnce(&dyn View) -> Result<R>) -> Result<R> {
        work(&Reading { transaction: self.env.read_txn()?, tables: &self.tables })
    }

    fn write<R>(&self, work: impl FnOnce(&mut dyn Txn) -> Result<R>) -> Result<R> {
        let mut writing = Writing { transaction: self.env.write_txn()?, tables: &self.tables };
        let result = work(&mut writing)?;
        writing.transaction.commit()?;
        Ok(result)
    }
}

struct Reading<'s> {
    transaction: RoTxn<'s, WithTls>,
    tables: &'s Tables,
}

struct Writing<'s> {
    transaction: RwTxn<'s>,
    tables: &'s Tables,
}

impl View for Reading<'_> {
    fn get(&self, table: usize, key: &[u8]) -> Result<Option<Vec<u8>>> {
        get(&self.transaction, self.tables, table, key)
    }

    fn with_prefix(&self, table: usize, prefix: &[u8]) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
        with_prefix(&self.transaction, self.tables, table, prefix)
    }
}

impl View for Writing<'_> {
    fn get(&self, table: usize, key: &[u8]) -> Result<Option<Vec<u8>>> {
        get(&self.transaction, self.tables, table, key)
    }

    fn with_prefix(&self, table: usize, prefix: &[u8]) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
        with_prefix(&self.transaction, self.tables, table, prefix)
    }
}

impl Txn for Writing<'_> {
    fn put(&mut self, table: usize, key: &[u8], value: &[u8]) -> Result<()> {
        Ok(find(self.tables, table)?.put(&mut self.transaction, key, value)?)
    }

    fn remove(&mut self, table: usize, key: &[u8]) -> Result<()> {
        find(self.tables, table)?.delete(&mut self.transaction, key)?;
        Ok(())
    }
}

fn find(tables: &Tables, table: usize) -> Result<&Database<Bytes, Bytes>> {
    tables.get(table).context("there is no such table")
}

fn get(transaction: &RoTxn<'_>, tables: &Tables, table: usize, key: &[u8]) -> Result<Option<Vec<u8>>> {
    Ok(find(tables, table)?.get(transaction, key)?.map(<[u8]>::to_vec))
}

fn with_prefix(
    transaction: &RoTxn<'_>,
    tables: &Tables,
    table: usize,
    prefix: &[u8],
) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
    let rows = find(tables, table)?.prefix_iter(transaction, prefix)?;
    rows.map(|row| row.map(|(key, value)| (key.to_vec(), value.to_vec())).map_err(Into::into)).collect()
}
