//! Opening a database, and the errors when it is refused.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
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

/// Told the share of the pages that are done, while all of them are read.
pub(crate) type OnRecovery = Box<dyn Fn(f64) + Send>;

/// The largest cache for reading all pages. A larger file is read twice.
const RECOVERY_CACHE_BYTES_MAX: u64 = 256 << 20;

/// How redb reads the pages of a file that it opens.
pub(super) struct Pages {
    pub(super) cache_bytes: usize,
    /// Whether every page is verified, also those of a file that was closed.
    pub(super) verify: bool,
    pub(super) on_recovery: Option<OnRecovery>,
}

impl Pages {
    fn builder(&self) -> Builder {
        let mut builder = Builder::new();
        builder.set_cache_size(self.cache_bytes);
        builder
    }
}

/// Where the database is stored.
pub(crate) enum Source {
    /// In this file, created if it does not exist.
    File(PathBuf),
    /// In this file, which must exist.
    KnownFile(PathBuf),
    /// In this file, which must exist and have no other tables.
    #[cfg(feature = "etcd")]
    LoneFile(PathBuf),
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
    /// Claims an application's database, so that no other engine uses it. Waits for one that is about to let go of it, at
    /// most as long as given.
    pub(super) fn claim(&self, at_most: Duration) -> Result<Option<Claim>> {
        match self {
            Self::Shared(database) => Claim::on(database, at_most).map(Some),
            _ => Ok(None),
        }
    }

    /// Opens or creates the database, and says where it can be reopened. Fails if the store refuses the contents.
    pub(super) fn open(self, pages: Pages, setup: &Setup) -> Result<(Arc<Database>, Option<Origin>)> {
        let accept = |snapshot: &Snapshot| (setup.accept)(&Txn::new(snapshot));
        let accept_store = |snapshot: &Snapshot| match snapshot.count_tables()? {
            (0, 1..) => Err(OpenProblem::OtherTables.into()),
            _ => accept(snapshot),
        };
        let origin = match self {
            Self::File(path) => Origin::File(Arc::new(OpenFile::open(&path, Absent::Make)?)),
            Self::KnownFile(path) => {
                let origin = Origin::File(Arc::new(OpenFile::open(&path, Absent::Refuse)?));
                return Ok((origin.open(pages, &accept_store, Empty::Refused)?, Some(origin)));
            }
            #[cfg(feature = "etcd")]
            Self::LoneFile(path) => {
                let accept_alone = |snapshot: &Snapshot| match snapshot.count_tables()? {
                    (1.., 1..) => Err(OpenProblem::TablesBeside.into()),
                    _ => accept_store(snapshot),
                };
                let origin = Origin::File(Arc::new(OpenFile::open(&path, Absent::Refuse)?));
                return Ok((origin.open(pages, &accept_alone, Empty::Refused)?, Some(origin)));
            }
            #[cfg(test)]
            Self::Made(make) => Origin::Made(make),
            #[cfg(test)]
            Self::MadeOn(path, make) => Origin::MadeOn(Arc::new(OpenFile::open(&path, Absent::Make)?), make),
            Self::Memory => {
                let database = pages.builder().create_with_backend(InMemoryBackend::new());
                let database = database.map_err(|error| failed("a database in memory cannot be made", error))?;
                return Ok((accepted(Arc::new(database), &accept)?, None));
            }
            Self::Shared(database) => return Ok((accepted(database, &accept)?, None)),
        };
        Ok((origin.open(pages, &accept_store, Empty::BecomesAStore)?, Some(origin)))
    }
}

/// Opens a file as for a store of its own, for an application to share. It may have other tables.
pub(super) fn to_share(path: &Path, absent: Absent, pages: Pages, setup: &Setup) -> Result<Arc<Database>> {
    let empty = if absent == Absent::Make { Empty::BecomesAStore } else { Empty::Refused };
    let origin = Origin::File(Arc::new(OpenFile::open(path, absent)?));
    origin.open(pages, &|snapshot| (setup.accept)(&Txn::new(snapshot)), empty)
}

/// Refuses the contents of a database.
type Accept<'a> = &'a dyn Fn(&Snapshot) -> Result<()>;

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
    pub(super) fn reopen(&self, pages: Pages, signing: &Signing) -> Result<Arc<Database>> {
        let holds_other = |what: &dyn std::fmt::Display| match self.file() {
            Some(file) => file.holds_other(what),
            None => Error::corrupt("the contents of the storage were replaced"),
        };
        self.file().map_or(Ok(()), |file| file.look())?;
        let recognise =
            |snapshot: &Snapshot| signing.stranger(&Txn::new(snapshot))?.map_or(Ok(()), |what| Err(holds_other(&what)));
        match self.open(pages, &recognise, Empty::Refused) {
            Err(Error::Open { problem, .. }) if !matches!(problem, OpenProblem::Locked) => Err(holds_other(&problem)),
            opened => opened,
        }
    }

    fn open(&self, pages: Pages, accept: Accept<'_>, empty: Empty) -> Result<Arc<Database>> {
        catching_panics(|| {
            let mut builder = pages.builder();
            match self.file().map_or(Ok(Found::Tables), |file| inspect(file, accept, empty))? {
                Found::Tables if !pages.verify => {}
                // The tables may exist and be hidden by damage. New tables in their place would be an empty store.
                Found::MissingTables => {
                    builder.set_check_integrity_on_open(true);
                }
                Found::Tables | Found::UnverifiedPages => self.recover(pages)?,
            }
            accepted(Arc::new(self.create(&mut builder)?), accept)
        })
    }

    /// Has redb verify every page, and repair the file if it was not closed. redb visits each page twice; it reads each
    /// once if its cache holds the file. So it gets such a cache, and is closed to give it back.
    fn recover(&self, pages: Pages) -> Result<()> {
        let file_bytes = self.file().map_or(Ok(0), |file| file.len())?;
        let cache_bytes = usize::try_from(file_bytes.min(RECOVERY_CACHE_BYTES_MAX)).unwrap_or(pages.cache_bytes);
        let tell: Rc<dyn Fn(f64)> = Rc::new(move |done| {
            // A panic of the application's code is reported, and does not matter here.
            let _ = catching_panics(|| {
                pages.on_recovery.iter().for_each(|on_recovery| on_recovery(done));
                Ok(())
            });
        });
        let mut builder = Builder::new();
        builder.set_cache_size(cache_bytes.max(pages.cache_bytes)).set_check_integrity_on_open(true);
        builder.set_repair_callback({
            let tell = Rc::clone(&tell);
            move |session| tell(session.progress())
        });
        let database = self.create(&mut builder)?;
        database.close().map_err(|error| failed("the file cannot be closed after it was repaired", error))?;
        tell(1.0);
        Ok(())
    }

    fn create(&self, builder: &mut Builder) -> Result<Database> {
        let database = match self {
            Self::File(file) => builder.create_with_backend(file.backend()?),
            #[cfg(test)]
            Self::Made(make) => make(builder),
            #[cfg(test)]
            Self::MadeOn(file, make) => make(builder, file.backend()?),
        };
        database.map_err(refused)
    }
}

fn accepted(database: Arc<Database>, accept: Accept<'_>) -> Result<Arc<Database>> {
    catching_panics(|| accept(&Snapshot::begin(&*database)?))?;
    Ok(database)
}

/// What a file shows before redb opens it for writing.
enum Found {
    Tables,
    MissingTables,
    /// Nothing can be read before redb has verified every page.
    UnverifiedPages,
}

/// Refuses a file that is not for this store. Reads only, because redb changes a file that it opens for writing.
fn inspect(file: &OpenFile, accept: Accept<'_>, empty: Empty) -> Result<Found> {
    let start = file.start()?;
    if start.is_empty() {
        return if empty == Empty::Refused { Err(OpenProblem::NoStore.into()) } else { Ok(Found::MissingTables) };
    }
    if !start.starts_with(&MAGIC) {
        return Err(OpenProblem::NotRedb.into());
    }
    // Damage can change one of them.
    if FORMATS_AT.iter().all(|at| matches!(start.get(*at), Some(1 | 2))) {
        return Err(OpenProblem::OlderRedb.into());
    }
    // Damaged pages can make redb panic, which would end the process.
    if cfg!(panic = "abort") {
        return Ok(Found::UnverifiedPages);
    }
    match Builder::new().set_cache_size(0).open_read_only_with_backend(file.backend()?) {
        Ok(database) => {
            let snapshot = Snapshot::begin(&database)?;
            accept(&snapshot)?;
            Ok(if snapshot.missing_table()?.is_none() { Found::Tables } else { Found::MissingTables })
        }
        // It was not closed properly.
        Err(DatabaseError::RepairAborted) => Ok(Found::UnverifiedPages),
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
static IN_USE: Mutex<Vec<(Weak<Database>, Leaving)>> = Mutex::new(Vec::new());
/// Notified when a database is no longer in use.
static LET_GO: Condvar = Condvar::new();

/// An engine's claim to an application's database. Another engine can claim it once this is dropped.
pub(super) struct Claim(Weak<Database>, Leaving);

/// Whether an engine is about to let go of its database.
#[derive(Clone, Default)]
pub(super) struct Leaving(Arc<AtomicBool>);

impl Leaving {
    pub(super) fn set(&self) {
        self.0.store(true, Ordering::Release);
    }
}

impl Claim {
    /// Waits for an engine that is about to let go of the database, at most as long as given.
    pub(super) fn on(database: &Arc<Database>, at_most: Duration) -> Result<Self> {
        let deadline = Instant::now().checked_add(at_most);
        let mut in_use = IN_USE.lock();
        while let Some((_, leaving)) = in_use.iter().find(|(other, _)| other.as_ptr() == Arc::as_ptr(database)) {
            if !leaving.0.load(Ordering::Acquire) {
                return Err(OpenProblem::DatabaseInUse.into());
            }
            match deadline {
                None => LET_GO.wait(&mut in_use),
                Some(deadline) if deadline <= Instant::now() => return Err(Error::Busy),
                Some(deadline) => drop(LET_GO.wait_until(&mut in_use, deadline)),
            }
        }
        let claim = Self(Arc::downgrade(database), Leaving::default());
        in_use.push((Weak::clone(&claim.0), claim.1.clone()));
        Ok(claim)
    }

    pub(super) fn leaving(&self) -> Leaving {
        self.1.clone()
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        IN_USE.lock().retain(|(other, _)| !other.ptr_eq(&self.0));
        LET_GO.notify_all();
    }
}
