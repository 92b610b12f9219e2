//! Opening a database, and the errors when it is refused.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use redb::backends::InMemoryBackend;
use redb::{Builder, Database, DatabaseError};

#[cfg(test)]
use super::backend::OwnBackend;
use super::file::{Absent, MAGIC, OpenFile};
use super::signing::Signing;
use super::view::{Snapshot, failed};
use crate::engine::Setup;
use crate::engine::job::catching_panics;
use crate::error::{Error, OpenProblem, Result};
use crate::kv::txn::Txn;

#[cfg(test)]
pub(crate) type Make = Box<dyn Fn(&mut Builder) -> Result<Database, DatabaseError> + Send>;
#[cfg(test)]
pub(crate) type MakeOn = Box<dyn Fn(&mut Builder, OwnBackend) -> Result<Database, DatabaseError> + Send>;

/// Where the database is stored.
pub(crate) enum Source {
    /// In this file, created if it does not exist.
    File(PathBuf),
    /// In this file, which must exist.
    #[cfg(feature = "etcd")]
    KnownFile(PathBuf),
    Memory,
    /// A database that the application has open.
    Shared(Arc<Database>),
    /// In a backend that a test provides.
    #[cfg(test)]
    Made(Make),
    /// In this file, created if it does not exist, through a backend that a test puts in front of it.
    #[cfg(test)]
    MadeOn(PathBuf, MakeOn),
}

/// Where the database is reopened after its storage failed.
pub(super) enum Origin {
    /// In the file that was opened, wherever it is now.
    File(Arc<OpenFile>),
    #[cfg(test)]
    Made(Make),
    #[cfg(test)]
    MadeOn(Arc<OpenFile>, MakeOn),
}

impl Source {
    /// Claims an application's database, so that no other engine uses it.
    pub(super) fn claim(&self) -> Result<Option<Claim>> {
        match self {
            Self::Shared(database) => Claim::on(database).map(Some),
            _ => Ok(None),
        }
    }

    /// Opens or creates the database, and says where it can be reopened. Fails if the store refuses the contents.
    pub(super) fn open(self, builder: &mut Builder, setup: &Setup) -> Result<(Arc<Database>, Option<Origin>)> {
        let accept = |txn: &Txn<'_>| (setup.accept)(txn);
        let origin = match self {
            Self::File(path) => Origin::File(Arc::new(OpenFile::open(&path, Absent::Make)?)),
            #[cfg(feature = "etcd")]
            Self::KnownFile(path) => {
                let origin = Origin::File(Arc::new(OpenFile::open(&path, Absent::Refuse)?));
                return Ok((origin.open(builder, &accept, Empty::Refused)?, Some(origin)));
            }
            #[cfg(test)]
            Self::Made(make) => Origin::Made(make),
            #[cfg(test)]
            Self::MadeOn(path, make) => Origin::MadeOn(Arc::new(OpenFile::open(&path, Absent::Make)?), make),
            Self::Memory => {
                let database = builder.create_with_backend(InMemoryBackend::new());
                let database = database.map_err(|error| failed("a database in memory cannot be made", error))?;
                return Ok((accepted(Arc::new(database), &accept)?, None));
            }
            Self::Shared(database) => return Ok((accepted(database, &accept)?, None)),
        };
        Ok((origin.open(builder, &accept, Empty::BecomesAStore)?, Some(origin)))
    }
}

/// Refuses the contents of a database.
type Accept<'a> = &'a dyn Fn(&Txn<'_>) -> Result<()>;

/// What a file without a byte is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Empty {
    BecomesAStore,
    Refused,
}

impl Origin {
    /// The file of a store that has one.
    pub(super) fn file(&self) -> Option<&Arc<OpenFile>> {
        match self {
            Self::File(file) => Some(file),
            #[cfg(test)]
            Self::Made(_) => None,
            #[cfg(test)]
            Self::MadeOn(file, _) => Some(file),
        }
    }

    /// Opens the database again.
    ///
    /// # Errors
    /// [`Lost`](super::file::is_lost) if the path names another file, or the file holds other contents than it had.
    pub(super) fn reopen(&self, builder: &mut Builder, signing: &Signing) -> Result<Arc<Database>> {
        let holds_other = |what: &dyn std::fmt::Display| match self.file() {
            Some(file) => file.holds_other(what),
            None => Error::corrupt("the contents of the storage were replaced"),
        };
        self.file().map_or(Ok(()), |file| file.look())?;
        let recognise = |txn: &Txn<'_>| signing.stranger(txn)?.map_or(Ok(()), |what| Err(holds_other(&what)));
        match self.open(builder, &recognise, Empty::Refused) {
            Err(Error::Open { problem, .. }) if !matches!(problem, OpenProblem::Locked) => Err(holds_other(&problem)),
            opened => opened,
        }
    }

    fn open(&self, builder: &mut Builder, accept: Accept<'_>, empty: Empty) -> Result<Arc<Database>> {
        catching_panics(|| {
            if let Some(file) = self.file()
                && let Tables::SomeMissing = inspect(file, accept, empty)?
            {
                // The tables may exist and be hidden by damage. New tables in their place would be an empty store.
                builder.set_check_integrity_on_open(true);
            }
            let database = match self {
                Self::File(file) => builder.create_with_backend(file.backend()?),
                #[cfg(test)]
                Self::Made(make) => make(builder),
                #[cfg(test)]
                Self::MadeOn(file, make) => make(builder, file.backend()?),
            };
            accepted(Arc::new(database.map_err(refused)?), accept)
        })
    }
}

fn accepted(database: Arc<Database>, accept: Accept<'_>) -> Result<Arc<Database>> {
    catching_panics(|| accept(&Txn::new(&Snapshot::begin(&*database)?)))?;
    Ok(database)
}

enum Tables {
    AllThere,
    SomeMissing,
}

/// Refuses a file that is not for this store. Reads only, because redb changes a file that it opens for writing.
fn inspect(file: &OpenFile, accept: Accept<'_>, empty: Empty) -> Result<Tables> {
    let start = file.start()?;
    if start.is_empty() {
        return if empty == Empty::Refused { Err(OpenProblem::NoStore.into()) } else { Ok(Tables::SomeMissing) };
    }
    if !start.starts_with(&MAGIC) {
        return Err(OpenProblem::NotRedb.into());
    }
    match Builder::new().set_cache_size(0).open_read_only_with_backend(file.backend()?) {
        Ok(database) => {
            let snapshot = Snapshot::begin(&database)?;
            accept(&Txn::new(&snapshot))?;
            Ok(if snapshot.missing_table()?.is_none() { Tables::AllThere } else { Tables::SomeMissing })
        }
        // It was not closed properly and cannot be read before redb repairs it, which also checks every page.
        Err(DatabaseError::RepairAborted) => Ok(Tables::AllThere),
        // Damage can change one of them.
        Err(DatabaseError::UpgradeRequired(_)) if FORMATS_AT.iter().all(|at| matches!(start.get(*at), Some(1 | 2))) => {
            Err(OpenProblem::OlderRedb.into())
        }
        Err(error) => Err(refused(error)),
    }
}

/// Where redb's header has the version of redb's format: in each of its two commits.
const FORMATS_AT: [usize; 2] = [64, 192];

fn refused(error: DatabaseError) -> Error {
    use redb::StorageError::Io;
    match error {
        DatabaseError::DatabaseAlreadyOpen => OpenProblem::Locked.into(),
        DatabaseError::Storage(Io(error)) if error.kind() == ErrorKind::UnexpectedEof => OpenProblem::CutOff.into(),
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
