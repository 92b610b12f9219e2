//! The fleet: a store with the same people for each peer, in its own files.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};

use crate::call::Peer;
use crate::load::{self, Timing};
use crate::peers::Kind;
use crate::people::Person;
use crate::progress::Progress;
use crate::rows::Shapes;
use crate::work::{Operation, Work};

pub struct Fleet {
    folder: PathBuf,
    pub users: u64,
    pub shapes: Arc<Shapes>,
    pub work: Work,
}

impl Fleet {
    /// Prepares a fleet with this many users per store, in this folder, which is created.
    ///
    /// # Errors
    /// When the folder cannot be created, and the errors of [`Work::new`].
    pub fn new(folder: &Path, users: u64, shapes: &Arc<Shapes>) -> Result<Self> {
        let folder = folder.join(users.to_string());
        std::fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
        Ok(Self { folder, users, shapes: Arc::clone(shapes), work: Work::new(users)? })
    }

    /// The path of this peer's store, filled with all people and closed cleanly.
    ///
    /// # Errors
    /// The errors of filling it.
    pub fn filled(&self, kind: Kind, progress: &Progress) -> Result<PathBuf> {
        let path = self.folder.join(kind.name().replace(' ', "-"));
        if !path.exists() {
            // These peers make the same file from the same rows; only its use is compared.
            match kind {
                Kind::Redb => copy(&self.filled(Kind::Authkv, progress)?, &path)?,
                Kind::Sqlx => copy(&self.filled(Kind::Rusqlite, progress)?, &path)?,
                _ => self.fill(kind, &path, progress)?,
            }
        }
        Ok(path)
    }

    fn fill(&self, kind: Kind, path: &Path, progress: &Progress) -> Result<()> {
        let stage = progress.stage(&format!("filling {} with {} users", kind.name(), self.users), self.users);
        let people: Vec<_> = (0..self.users).map(Person).collect();
        kind.fill(path, &self.shapes, &people, &mut |filled| stage.inc(filled as u64))
    }

    /// A separate copy of the filled store.
    pub fn copied(&self, kind: Kind, name: &str, progress: &Progress) -> Result<PathBuf> {
        let path = self.folder.join(name);
        copy(&self.filled(kind, progress)?, &path)?;
        Ok(path)
    }

    /// Opens a copy of the filled store.
    pub fn open(&self, kind: Kind, name: &str, progress: &Progress) -> Result<Arc<dyn Peer>> {
        kind.open(&self.copied(kind, name, progress)?, &self.shapes)
    }

    /// Removes all stores.
    pub fn remove(self) -> Result<()> {
        std::fs::remove_dir_all(&self.folder).with_context(|| format!("{} cannot be removed", self.folder.display()))
    }

    /// The nanoseconds per call when this many callers each make this many calls.
    pub fn ns_per_call(
        &self,
        peer: &Arc<dyn Peer>,
        operation: Operation,
        callers: usize,
        each: usize,
        seed: u64,
    ) -> Result<f64> {
        let calls = self.work.calls(peer, operation, callers, each, seed)?;
        Ok(load::run(peer, calls, Timing::Whole)?.ns_per_call())
    }
}

/// Copies a file, or a folder with its contents, and syncs the copy, so that nothing is left to write later.
fn copy(from: &Path, to: &Path) -> Result<()> {
    if from.is_dir() {
        std::fs::create_dir_all(to)?;
        for entry in std::fs::read_dir(from)? {
            let entry = entry?;
            copy(&entry.path(), &to.join(entry.file_name()))?;
        }
        return Ok(());
    }
    std::fs::copy(from, to).with_context(|| format!("{} cannot be copied", from.display()))?;
    Ok(std::fs::File::open(to)?.sync_all()?)
}
