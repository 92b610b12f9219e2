//! Opening a database, and the errors when it is refused.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use redb::backends::InMemoryBackend;
use redb::{Builder, Database, DatabaseError};
use uuid::Uuid;

use super::view::{Snapshot, failed};
use crate::engine::Setup;
use crate::engine::job::catching_panics;
use crate::error::{Error, OpenProblem, Result, StorageError};
use crate::kv::txn::Txn;

/// The first bytes of every redb database.
const MAGIC: [u8; 9] = [b'r', b'e', b'd', b'b', 0x1A, 0x0A, 0xA9, 0x0D, 0x0A];

#[cfg(test)]
pub(crate) type Make = Box<dyn Fn(&mut Builder) -> Result<Database, DatabaseError> + Send>;

/// Where the database is stored.
pub(crate) enum Source {
    /// In this file, created if it does not exist.
    File(PathBuf),
    /// In this file, which must exist.
    KnownFile(PathBuf),
    Memory,
    /// A database that the application has open.
    Shared(Arc<Database>),
    /// In a backend that a test provides.
    #[cfg(test)]
    Made(Make),
}

impl Source {
    /// Claims an application's database, so that no other engine uses it.
    pub(super) fn claim(&self) -> Result<Option<Claim>> {
        match self {
            Self::Shared(database) => Claim::on(database).map(Some),
            _ => Ok(None),
        }
    }

    /// Opens or creates the database. Fails if the store refuses the contents.
    pub(super) fn open(&self, builder: &mut Builder, setup: &Setup) -> Result<Arc<Database>> {
        let database = catching_panics(|| match self {
            Self::File(path) => {
                if !path.try_exists().map_err(unreadable)? {
                    make(path)?;
                }
                open_file(builder, path, setup, |builder| builder.create(path))
            }
            Self::KnownFile(path) => open_file(builder, path, setup, |builder| builder.open(path)),
            Self::Memory => {
                let database = builder.create_with_backend(InMemoryBackend::new());
                database.map(Arc::new).map_err(|error| failed("a database in memory cannot be made", error))
            }
            Self::Shared(database) => Ok(Arc::clone(database)),
            #[cfg(test)]
            Self::Made(make) => {
                make(builder).map(Arc::new).map_err(|error| failed("the database cannot be opened", error))
            }
        })?;
        catching_panics(|| (setup.accept)(&Txn::new(&Snapshot::begin(&*database)?)))?;
        Ok(database)
    }

    /// Where to reopen the database after its storage failed. `None` if the engine cannot reopen it.
    pub(super) fn reopened(self) -> Option<Self> {
        match self {
            // If the file is gone, a new empty one would claim that nothing was ever written.
            Self::File(path) | Self::KnownFile(path) => Some(Self::KnownFile(path)),
            Self::Memory | Self::Shared(_) => None,
            #[cfg(test)]
            Self::Made(make) => Some(Self::Made(make)),
        }
    }
}

fn open_file(
    builder: &mut Builder,
    path: &Path,
    setup: &Setup,
    open: impl Fn(&Builder) -> Result<Database, DatabaseError>,
) -> Result<Arc<Database>> {
    if let Tables::SomeMissing = inspect(path, &std::fs::metadata(path).map_err(unreadable)?, setup)? {
        // The tables may exist and be hidden by damage. New tables in their place would be an empty store.
        builder.set_check_integrity_on_open(true);
    }
    open(builder).map(Arc::new).map_err(refused)
}

enum Tables {
    AllThere,
    SomeMissing,
}

/// Refuses a file that is not for this store. Reads only, because opening a file for writing would write to it. An
/// empty file is accepted.
fn inspect(path: &Path, metadata: &Metadata, setup: &Setup) -> Result<Tables> {
    if metadata.is_dir() {
        return Err(OpenProblem::Folder.into());
    }
    if metadata.permissions().readonly() {
        return Err(OpenProblem::ReadOnly.into());
    }
    let mut start = Vec::new();
    File::open(path).and_then(|file| file.take(MAGIC.len() as u64).read_to_end(&mut start)).map_err(unreadable)?;
    if start.is_empty() {
        return Ok(Tables::SomeMissing);
    }
    if start != MAGIC {
        return Err(OpenProblem::NotRedb.into());
    }
    match Builder::new().set_cache_size(0).open_read_only(path) {
        Ok(database) => {
            let snapshot = Snapshot::begin(&database)?;
            (setup.accept)(&Txn::new(&snapshot))?;
            Ok(if snapshot.missing_table()?.is_none() { Tables::AllThere } else { Tables::SomeMissing })
        }
        // It was not closed properly and cannot be read before redb repairs it, which also checks every page.
        Err(DatabaseError::RepairAborted) => Ok(Tables::AllThere),
        Err(error) => Err(refused(error)),
    }
}

fn unreadable(error: std::io::Error) -> Error {
    Error::Storage(StorageError::caused("the file cannot be read", error))
}

/// Creates an empty database that only its owner can access. It is created under a temporary name first, because redb
/// cannot open a file whose creation was interrupted.
fn make(path: &Path) -> Result<()> {
    let cannot = |error: std::io::Error| Error::Storage(StorageError::caused("the file cannot be made", error));
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", Uuid::now_v7()));
    let new = path.with_file_name(name);
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(&new).map_err(cannot)?;
    let database = Builder::new().set_cache_size(0).create(&new);
    let made = database.and_then(Database::close).map_err(|error| failed("the file cannot be made", error));
    let named = made.and_then(|()| name_unless_taken(&new, path).map_err(cannot));
    // A leftover temporary file takes little room, and another attempt uses another name.
    let _ = std::fs::remove_file(&new);
    named.and_then(|()| sync_folder_of(path).map_err(cannot))
}

/// Gives the new file its name, unless another process was faster.
fn name_unless_taken(new: &Path, path: &Path) -> std::io::Result<()> {
    match std::fs::hard_link(new, path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        // Some file systems have no hard links.
        Err(_) => std::fs::rename(new, path),
        Ok(()) => Ok(()),
    }
}

/// Syncs the folder, so that a power cut does not undo the file's name.
fn sync_folder_of(path: &Path) -> std::io::Result<()> {
    #[cfg(unix)]
    if let Some(folder) = path.parent() {
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        File::open(folder)?.sync_all()?;
    }
    #[cfg(not(unix))]
    let _ = path;
    Ok(())
}

fn refused(error: DatabaseError) -> Error {
    match error {
        DatabaseError::DatabaseAlreadyOpen => OpenProblem::Locked.into(),
        DatabaseError::Storage(redb::StorageError::Io(error)) if error.kind() == ErrorKind::PermissionDenied => {
            OpenProblem::ReadOnly.into()
        }
        error => failed("the file cannot be opened", error),
    }
}

/// Application databases in use by an engine, so that no second engine uses one.
static IN_USE: Mutex<Vec<Weak<Database>>> = Mutex::new(Vec::new());

/// An engine's claim to an application's database. Another engine can claim it once this is dropped.
pub(super) struct Claim(Weak<Database>);

impl Claim {
    pub(super) fn on(database: &Arc<Database>) -> Result<Self> {
        let mut in_use = IN_USE.lock();
        if in_use.iter().any(|other| other.as_ptr() == Arc::as_ptr(database)) {
            return Err(OpenProblem::DatabaseInUse.into());
        }
        let claimed = Arc::downgrade(database);
        in_use.push(Weak::clone(&claimed));
        Ok(Self(claimed))
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        IN_USE.lock().retain(|other| !other.ptr_eq(&self.0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_gone_is_not_made_again_when_the_store_reopens() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("app.redb");
        let setup = Setup { accept: Box::new(|_| Ok(())), synchronize: Box::new(|_| Ok(())), decisive: Vec::new() };
        let open = |source: &Source| source.open(&mut Builder::new(), &setup);
        let known = Source::File(path.clone()).reopened().unwrap();
        assert!(matches!(open(&known), Err(Error::Storage(_))));
        File::create(&path).unwrap();
        assert!(matches!(open(&known), Err(Error::Storage(_))));
        std::fs::remove_file(&path).unwrap();
        open(&Source::File(path.clone())).unwrap();
        open(&known).unwrap();
    }

    #[test]
    fn making_a_file_leaves_nothing_else_behind() {
        let folder = tempfile::tempdir().unwrap();
        make(&folder.path().join("app.redb")).unwrap();
        make(&folder.path().join("app.redb")).unwrap();
        let names: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["app.redb"]);
    }
}
