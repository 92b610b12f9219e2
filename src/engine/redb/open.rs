//! Opening a database: what is refused, and with which words.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use redb::backends::InMemoryBackend;
use redb::{Builder, Database, DatabaseError, ReadableDatabase};

use super::Verify;
use super::view::{Snapshot, failed};
use crate::engine::unpanicked;
use crate::error::{Error, OpenError, Result, StorageError};
use crate::txn::Txn;

/// The first bytes of every redb database.
const MAGIC: [u8; 9] = [b'r', b'e', b'd', b'b', 0x1A, 0x0A, 0xA9, 0x0D, 0x0A];

#[cfg(test)]
pub(crate) type Make = Box<dyn Fn(&mut Builder) -> Result<Database, DatabaseError> + Send>;

/// Where the bytes are.
pub(crate) enum Source {
    File(PathBuf),
    Memory,
    /// A database that the application has open.
    Shared(Arc<Database>),
    /// Storage that a test has made.
    #[cfg(test)]
    Made(Make),
}

impl Source {
    /// Claims an application's database, so that no other engine works on it.
    pub(super) fn claim(&self) -> Result<Option<Claim>> {
        match self {
            Self::Shared(database) => Claim::on(database).map(Some),
            _ => Ok(None),
        }
    }

    /// Opens the database, or makes it, unless `verify` refuses what is in it.
    pub(super) fn open(&self, cache_bytes: usize, verify: &Verify) -> Result<Arc<Database>> {
        let database = unpanicked(|| match self {
            Self::File(path) => open_file(path, cache_bytes, verify),
            Self::Memory => Builder::new()
                .set_cache_size(cache_bytes)
                .create_with_backend(InMemoryBackend::new())
                .map(Arc::new)
                .map_err(|error| failed("a database in memory cannot be made", error)),
            Self::Shared(database) => Ok(Arc::clone(database)),
            #[cfg(test)]
            Self::Made(make) => make(Builder::new().set_cache_size(cache_bytes))
                .map(Arc::new)
                .map_err(|error| failed("the database cannot be opened", error)),
        })?;
        unpanicked(|| verify_in(&*database, verify))?;
        Ok(database)
    }

    /// Whether a database whose storage failed can be closed and opened again by the engine.
    pub(super) fn can_reopen(&self) -> bool {
        !matches!(self, Self::Memory | Self::Shared(_))
    }
}

fn verify_in(database: &impl ReadableDatabase, verify: &Verify) -> Result<()> {
    verify(&Txn::new(&Snapshot::begin(database)?))
}

fn open_file(path: &Path, cache_bytes: usize, verify: &Verify) -> Result<Arc<Database>> {
    if !is_new(path)? {
        look_into(path, verify)?;
    }
    let database = Builder::new().set_cache_size(cache_bytes).create(path);
    database.map(Arc::new).map_err(|error| refused(path, error))
}

/// Makes the file if there is none, for its owner only. Answers whether it holds nothing yet.
fn is_new(path: &Path) -> Result<bool> {
    let cannot = |error| Error::Storage(StorageError::caused("the file cannot be opened", error));
    let metadata = match std::fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return make(path)
                .map(|()| true)
                .map_err(|error| Error::Storage(StorageError::caused("the file cannot be made", error)));
        }
        Err(error) => return Err(cannot(error)),
    };
    if metadata.is_dir() {
        return Err(OpenError::Folder(path.to_owned()).into());
    }
    if metadata.permissions().readonly() {
        return Err(OpenError::ReadOnly(path.to_owned()).into());
    }
    let mut start = Vec::new();
    File::open(path).and_then(|file| file.take(MAGIC.len() as u64).read_to_end(&mut start)).map_err(cannot)?;
    if !start.is_empty() && start != MAGIC {
        return Err(OpenError::NotRedb(path.to_owned()).into());
    }
    Ok(start.is_empty())
}

fn make(path: &Path) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Ok(_) => sync_folder_of(path),
        // Somebody else was faster.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

/// Makes sure that a power cut does not take back the file's name.
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

/// Verifies the file without writing to it, as opening it for writing would. After a crash it needs repair first and
/// cannot be looked into; it is then verified when it is open.
fn look_into(path: &Path, verify: &Verify) -> Result<()> {
    match Builder::new().set_cache_size(0).open_read_only(path) {
        Ok(database) => verify_in(&database, verify),
        Err(DatabaseError::RepairAborted) => Ok(()),
        Err(error) => Err(refused(path, error)),
    }
}

fn refused(path: &Path, error: DatabaseError) -> Error {
    match error {
        DatabaseError::DatabaseAlreadyOpen => OpenError::Locked(path.to_owned()).into(),
        DatabaseError::Storage(redb::StorageError::Io(error)) if error.kind() == ErrorKind::PermissionDenied => {
            OpenError::ReadOnly(path.to_owned()).into()
        }
        error => failed("the file cannot be opened", error),
    }
}

/// The databases of applications that an engine works on, so that no second one does.
static IN_USE: Mutex<Vec<Weak<Database>>> = Mutex::new(Vec::new());

/// Holds an application's database; another engine cannot until this is dropped.
pub(super) struct Claim(Arc<Database>);

impl Claim {
    pub(super) fn on(database: &Arc<Database>) -> Result<Self> {
        let mut in_use = IN_USE.lock();
        if in_use.iter().any(|other| std::ptr::eq(other.as_ptr(), Arc::as_ptr(database))) {
            return Err(OpenError::DatabaseInUse.into());
        }
        in_use.push(Arc::downgrade(database));
        Ok(Self(Arc::clone(database)))
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        IN_USE.lock().retain(|other| !std::ptr::eq(other.as_ptr(), Arc::as_ptr(&self.0)));
    }
}
