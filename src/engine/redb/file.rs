//! The file of an open store: its handle, its place, and whether the file is still there.
//!
//! The handle is kept while the store is open, so that no other file gets the same device and inode.

use std::fmt;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek};
use std::path::{Path, PathBuf};

use redb::backends::FileBackend;
use redb::{Builder, Database};
use uuid::Uuid;

use super::backend::OwnBackend;
use super::view::failed;
use crate::error::{Error, OpenProblem, Problem, Result, StorageError};
use crate::process::Process;

/// The first bytes of every redb database.
pub(super) const MAGIC: [u8; 9] = [b'r', b'e', b'd', b'b', 0x1A, 0x0A, 0xA9, 0x0D, 0x0A];
const HEADER_BYTES: u64 = 320;
/// How many links are followed to a file that does not exist yet, as in Linux.
const LINKS_MAX: usize = 40;

/// A file that is open for writing.
pub(crate) struct OpenFile {
    /// Absolute and without links.
    path: PathBuf,
    handle: File,
    id: FileId,
    /// The process that opened it.
    process: Process,
}

/// Refuses what is not the name of a file but of something else, if there is no such file.
fn refuse_other_names(path: &Path) -> Result<()> {
    let Some(name) = path.to_str() else { return Ok(()) };
    let is_scheme =
        |scheme: &str| scheme.len() > 1 && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    match name {
        "" => Err(Error::invalid("path", Problem::Empty)),
        ":memory:" => Err(OpenProblem::InMemory.into()),
        _ if name.split_once("://").is_some_and(|(scheme, _)| is_scheme(scheme)) => Err(OpenProblem::Url.into()),
        _ => Ok(()),
    }
}

/// What happens if the file does not exist.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Absent {
    Make,
    Refuse,
}

impl OpenFile {
    /// Opens the file that the path names, and changes nothing in it.
    pub(super) fn open(path: &Path, absent: Absent) -> Result<Self> {
        let given = path;
        let path = resolved(given);
        if !path.try_exists().map_err(unreadable)? {
            refuse_other_names(given)?;
            match absent {
                Absent::Make => make(&path)?,
                Absent::Refuse => return Err(OpenProblem::Missing.into()),
            }
        }
        let metadata = std::fs::metadata(&path).map_err(unreadable)?;
        if metadata.is_dir() {
            return Err(OpenProblem::Folder.into());
        }
        if metadata.permissions().readonly() {
            return Err(OpenProblem::ReadOnly.into());
        }
        let handle = OpenOptions::new().read(true).write(true).open(&path).map_err(|error| match error.kind() {
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => OpenProblem::ReadOnly.into(),
            _ => unreadable(error),
        })?;
        let id = FileId::of(&handle.metadata().map_err(unreadable)?);
        let file = Self { path, handle, id, process: Process::current() };
        file.look()?;
        Ok(file)
    }

    /// A backend for redb on this file, whatever its path names by now.
    pub(super) fn backend(&self) -> Result<OwnBackend> {
        let handle = self.handle.try_clone().map_err(unreadable)?;
        let backend = FileBackend::new(handle).map_err(|error| failed("the file cannot be opened", error))?;
        Ok(OwnBackend::new(backend, self.process))
    }

    /// The length of the file, in bytes.
    pub(super) fn len(&self) -> Result<u64> {
        self.handle.metadata().map(|metadata| metadata.len()).map_err(unreadable)
    }

    /// redb's header: the first bytes, or fewer if the file is shorter.
    pub(super) fn start(&self) -> Result<Vec<u8>> {
        let mut handle = &self.handle;
        handle.rewind().and_then(|()| start_of(handle)).map_err(unreadable)
    }

    /// Checks that the path still names this file.
    ///
    /// # Errors
    /// [`Lost`], and no error if that cannot be told, for example because the folder may no longer be searched.
    pub(super) fn look(&self) -> Result<()> {
        let there = match std::fs::metadata(&self.path) {
            Ok(found) if FileId::of(&found) == self.id => return Ok(()),
            Ok(found) => Some(found),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => None,
            Err(_) if self.has_name() => return Ok(()),
            Err(_) => None,
        };
        let path = self.path.display();
        Err(lost(match there {
            Some(found) => format!("another file is at {path} now, {}", described(&self.path, &found)),
            None if self.has_name() => format!("{path} was moved or renamed"),
            None => format!("{path} was deleted"),
        }))
    }

    /// The error when the file is there and its contents are others.
    pub(super) fn holds_other(&self, what: impl fmt::Display) -> Error {
        lost(format!("the contents of {} were replaced: {what}", self.path.display()))
    }

    /// True if this file is still where it was opened, and `path` names it too.
    pub(super) fn is_at(&self, path: &Path) -> bool {
        let same_file = std::fs::metadata(path).is_ok_and(|found| FileId::of(&found) == self.id);
        same_file && (cfg!(unix) || resolved(path) == self.path) && self.look().is_ok()
    }

    /// False if the file was deleted under all of its names. True if that is not known.
    fn has_name(&self) -> bool {
        #[cfg(unix)]
        return self.handle.metadata().map_or(true, |found| std::os::unix::fs::MetadataExt::nlink(&found) > 0);
        #[cfg(not(unix))]
        true
    }
}

/// Tells files apart while they are open: device and inode. Outside of Unix the standard library offers neither, and
/// all files look the same; the ids in the file still tell stores apart.
#[derive(Clone, Copy, PartialEq, Eq)]
struct FileId(u64, u64);

impl FileId {
    #[cfg(unix)]
    fn of(file: &Metadata) -> Self {
        use std::os::unix::fs::MetadataExt;
        Self(file.dev(), file.ino())
    }

    #[cfg(not(unix))]
    fn of(_: &Metadata) -> Self {
        Self(0, 0)
    }
}

/// The file of an open store is no longer there, or is another one. Only a new opening helps.
#[derive(Debug)]
struct Lost(String);

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Lost {}

fn lost(how: String) -> Error {
    Error::Storage(StorageError::caused("the store has lost its file and must be opened again", Lost(how)))
}

/// True if the store has lost its file for good.
pub(super) fn is_lost(error: &Error) -> bool {
    std::error::Error::source(error).is_some_and(|source| source.is::<Lost>())
}

/// What lies at a path.
fn described(path: &Path, metadata: &Metadata) -> &'static str {
    if metadata.is_dir() {
        return "a folder";
    }
    let start = if metadata.is_file() { File::open(path).and_then(start_of) } else { Ok(Vec::new()) };
    match start.as_deref() {
        Ok([]) => "which is empty",
        Ok(start) if start.starts_with(&MAGIC) => "a redb database",
        Ok(_) => "which is not a redb database",
        Err(_) => "which cannot be read",
    }
}

fn start_of(file: impl Read) -> io::Result<Vec<u8>> {
    let mut start = Vec::new();
    file.take(HEADER_BYTES).read_to_end(&mut start)?;
    Ok(start)
}

/// The absolute path of the file that a path names, without links. The file need not exist yet, also if the path is a
/// link to it. A path that cannot be resolved is returned as it is; opening it says why.
fn resolved(path: &Path) -> PathBuf {
    let mut named = path.to_owned();
    for _ in 0..LINKS_MAX {
        if let Ok(found) = named.canonicalize() {
            return found;
        }
        match std::fs::read_link(&named) {
            Ok(target) => named = folder_of(&named).join(target),
            Err(_) => break,
        }
    }
    match (folder_of(&named).canonicalize(), named.file_name()) {
        (Ok(folder), Some(name)) => folder.join(name),
        _ => std::path::absolute(&named).unwrap_or(named),
    }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn unreadable(error: io::Error) -> Error {
    Error::Storage(StorageError::caused("the file cannot be read", error))
}

/// Creates an empty database that only its owner can access. It is created under a temporary name first, because redb
/// cannot open a file whose creation was interrupted.
fn make(path: &Path) -> Result<()> {
    let folder = folder_of(path);
    if !folder.exists() {
        return Err(OpenProblem::MissingFolder(folder.to_owned()).into());
    }
    let cannot = |error: io::Error| Error::Storage(StorageError::caused("the file cannot be made", error));
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
fn name_unless_taken(new: &Path, path: &Path) -> io::Result<()> {
    match std::fs::hard_link(new, path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        // Some file systems have no hard links.
        Err(_) => std::fs::rename(new, path),
        Ok(()) => Ok(()),
    }
}

/// Syncs the folder, so that a power cut does not undo the file's name.
fn sync_folder_of(path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    File::open(folder_of(path))?.sync_all()?;
    #[cfg(not(unix))]
    let _ = path;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn making_a_file_leaves_nothing_else_behind() {
        let folder = tempfile::tempdir().unwrap();
        make(&folder.path().join("app.redb")).unwrap();
        make(&folder.path().join("app.redb")).unwrap();
        let names: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["app.redb"]);
    }
}
