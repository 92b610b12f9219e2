//! The stores that are open in this process, so that the same file opened twice is one store, on any thread.

use std::collections::HashMap;
use std::mem;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use authkv::models::Dynamic;
use authkv::{AuthKv, Error, OpenProblem};

use crate::failure::{Failure, Result};
use crate::options::Options;

/// By path, without symbolic links. A place stays while a handle has its file open or is opening it. What decides is the
/// file: a place whose path names another one by now is left, and a file is also found by another name of it.
static PLACES: LazyLock<Mutex<HashMap<PathBuf, Arc<Place>>>> = LazyLock::new(Mutex::default);

/// Where a file may be open; locked while it is being opened or closed.
#[derive(Default)]
struct Place(Mutex<Option<Opened>>);

struct Opened {
    auth: AuthKv<Dynamic>,
    options: Options,
    handles: usize,
}

impl Opened {
    /// Another handle on the store, if it was opened with these options.
    fn join(&mut self, path: &Path, options: &Options) -> Result<AuthKv<Dynamic>> {
        if self.options != *options {
            return Err(opened_otherwise(path));
        }
        self.handles += 1;
        Ok(self.auth.clone())
    }
}

/// A share in an open store. The last one that is given back closes the file.
pub struct Shared {
    pub(crate) auth: AuthKv<Dynamic>,
    share: Share,
}

enum Share {
    /// Nobody else has a store in memory.
    Memory,
    File(PathBuf, Arc<Place>),
    GivenBack,
}

impl Shared {
    pub(crate) fn in_memory(options: &Options) -> Result<Self> {
        Ok(Self { auth: options.to_rust().in_memory()?, share: Share::Memory })
    }

    /// Opens the file, or takes a share in the store that has it open in this process.
    pub(crate) fn open(path: &Path, options: Options) -> Result<Self> {
        let key = without_links(path);
        let place = place_of(&key);
        let mut opened = lock(&place.0);
        if opened.as_ref().is_some_and(|opened| !opened.auth.is_at(&key)) {
            // The file was removed or replaced while it was open: its handles keep it, and this opens the new one.
            leave(&key, &place);
            drop(opened);
            return Self::open(path, options);
        }
        let auth = match &mut *opened {
            Some(opened) => opened.join(path, &options)?,
            None => match options.to_rust().open(path) {
                Ok(auth) => {
                    *opened = Some(Opened { auth: auth.clone(), options, handles: 1 });
                    auth
                }
                Err(error) => {
                    forget(&key, &place);
                    // No two places are locked at once.
                    drop(opened);
                    let is_locked = matches!(error, Error::Open { problem: OpenProblem::Locked, .. });
                    let found = if is_locked { Self::by_file(path, &options) } else { None };
                    return found.unwrap_or_else(|| Err(error.into()));
                }
            },
        };
        drop(opened);
        Ok(Self { auth, share: Share::File(key, place) })
    }

    /// Takes a share in the store that has the file open under another name, such as a second hard link.
    fn by_file(path: &Path, options: &Options) -> Option<Result<Self>> {
        let places: Vec<_> = lock(&PLACES).iter().map(|(key, place)| (key.clone(), Arc::clone(place))).collect();
        places.into_iter().find_map(|(key, place)| {
            let mut opened = lock(&place.0);
            let auth = opened.as_mut().filter(|opened| opened.auth.is_at(path))?.join(path, options);
            drop(opened);
            Some(auth.map(|auth| Self { auth, share: Share::File(key, place) }))
        })
    }

    /// Gives the share back. The last one waits for the writes that were accepted, and closes the file.
    pub(crate) fn close(mut self) -> Result<()> {
        self.give_back()
    }

    fn give_back(&mut self) -> Result<()> {
        let (key, place) = match mem::replace(&mut self.share, Share::GivenBack) {
            Share::File(key, place) => (key, place),
            Share::Memory => return Ok(self.auth.close().wait()?),
            Share::GivenBack => return Ok(()),
        };
        let mut opened = lock(&place.0);
        let closed = match &mut *opened {
            Some(shared) if shared.handles > 1 => {
                shared.handles -= 1;
                return Ok(());
            }
            Some(last) => last.auth.close().wait(),
            None => Ok(()),
        };
        *opened = None;
        forget(&key, &place);
        closed.map_err(Failure::from)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // A caller who wants to see the error calls `close`.
        let _ = self.give_back();
    }
}

fn place_of(key: &Path) -> Arc<Place> {
    Arc::clone(lock(&PLACES).entry(key.to_owned()).or_default())
}

/// Forgets a place unless another handle has it, or has just taken it in order to open it. Places are taken with the
/// list locked, and no place is locked while the list is.
fn forget(key: &Path, place: &Arc<Place>) {
    let mut places = lock(&PLACES);
    if Arc::strong_count(place) == 2 && is_at(&places, key, place) {
        places.remove(key);
    }
}

/// Leaves a place to the handles that have it. The next one gets a new place.
fn leave(key: &Path, place: &Arc<Place>) {
    let mut places = lock(&PLACES);
    if is_at(&places, key, place) {
        places.remove(key);
    }
}

fn is_at(places: &HashMap<PathBuf, Arc<Place>>, key: &Path, place: &Arc<Place>) -> bool {
    places.get(key).is_some_and(|known| Arc::ptr_eq(known, place))
}

fn opened_otherwise(path: &Path) -> Failure {
    let message = format!(
        "{} is open in this process already, with other options; close it there, or start the process again, to change \
         them",
        path.display()
    );
    Failure::new("OTHER_OPTIONS", message)
}

/// The path of a file, which need not exist yet.
fn without_links(path: &Path) -> PathBuf {
    if let Ok(path) = path.canonicalize() {
        return path;
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match (folder.canonicalize(), path.file_name()) {
        (Ok(folder), Some(name)) => folder.join(name),
        _ => path.to_owned(),
    }
}

/// Nothing panics while it holds one of these locks, and what they guard is whole at any time.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
