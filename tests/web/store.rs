//! The stores under test, whose clock is as late as the test wants.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use authkv::models::Models;
use authkv::redb::{Database, ReadableTable, TableDefinition};
use authkv::{AuthKv, Options};
use chrono::{TimeDelta, Utc};
use tempfile::TempDir;

/// How much later than the system's clock, which tower-sessions reads, that of a store is.
#[derive(Clone, Default)]
pub(crate) struct Later(Arc<AtomicI64>);

impl Later {
    pub(crate) fn by(&self, span: TimeDelta) {
        self.0.store(span.num_milliseconds(), Ordering::SeqCst);
    }

    pub(crate) fn options<M: Models>(&self) -> Options<M> {
        let later = self.clone();
        AuthKv::options().models().clock(move || Utc::now() + TimeDelta::milliseconds(later.0.load(Ordering::SeqCst)))
    }
}

/// A path in a folder of its own.
pub(crate) struct Place {
    _folder: TempDir,
    pub(crate) path: PathBuf,
}

impl Place {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("auth.redb");
        Self { _folder: folder, path }
    }

    pub(crate) fn contains(&self, bytes: &[u8]) -> bool {
        contains(&self.path, bytes)
    }
}

fn contains(path: &Path, bytes: &[u8]) -> bool {
    std::fs::read(path).unwrap().windows(bytes.len()).any(|window| window == bytes)
}

/// Flips a bit in each row of a table.
pub(crate) fn damage(database: &Database, table: &str) {
    let transaction = database.begin_write().unwrap();
    {
        let mut table = transaction.open_table(TableDefinition::<&[u8], &[u8]>::new(table)).unwrap();
        let rows = table.iter().unwrap().map(|row| row.unwrap());
        let rows: Vec<_> = rows.map(|(key, value)| (key.value().to_vec(), value.value().to_vec())).collect();
        assert!(!rows.is_empty(), "there is nothing to damage");
        for (key, mut value) in rows {
            *value.last_mut().unwrap() ^= 1;
            table.insert(&*key, &*value).unwrap();
        }
    }
    transaction.commit().unwrap();
}
