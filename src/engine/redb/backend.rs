//! The file as redb sees it. In a child that was made by fork(2) it refuses whatever would change the file or its lock,
//! which the child shares with its parent.

use std::io;
use std::ops::Bound;

use redb::backends::FileBackend;
use redb::{BackendError, StorageBackend};

use crate::process::{FORKED, Process};

#[derive(Debug)]
pub(crate) struct OwnBackend {
    file: FileBackend,
    process: Process,
}

impl OwnBackend {
    pub(super) fn new(file: FileBackend, process: Process) -> Self {
        Self { file, process }
    }

    fn check(&self) -> io::Result<()> {
        if self.process.is_current() { Ok(()) } else { Err(io::Error::other(FORKED)) }
    }

    /// The file, for changing its lock.
    fn lockable(&self) -> Result<&FileBackend, BackendError> {
        self.check().map(|()| &self.file).map_err(BackendError::Io)
    }
}

impl StorageBackend for OwnBackend {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.check()?;
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.check()?;
        self.file.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.check()?;
        self.file.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.check()?;
        self.file.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.lockable()?.try_lock_range(start, end)
    }

    fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.lockable()?.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.lockable()?.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.lockable()?.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.lockable()?.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.lockable()?.query_lock_range(start, end)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    #[test]
    fn another_process_changes_neither_the_file_nor_its_lock() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("app.redb");
        std::fs::write(&path, "bytes").unwrap();
        let file = File::options().read(true).write(true).open(&path).unwrap();
        let own = OwnBackend::new(FileBackend::new(file.try_clone().unwrap()).unwrap(), Process::current());
        let childs = OwnBackend::new(FileBackend::new(file).unwrap(), Process::another());
        let all = (Bound::Unbounded, Bound::Unbounded);
        assert!(own.try_lock_range(all.0, all.1).unwrap());
        assert!(childs.write(0, b"other").is_err() && childs.set_len(0).is_err() && childs.sync_data().is_err());
        assert!(childs.try_lock_range(all.0, all.1).is_err() && childs.unlock_range(all.0, all.1).is_err());
        assert!(childs.close().is_err());
        drop(childs);
        let third = FileBackend::new(File::options().read(true).write(true).open(&path).unwrap()).unwrap();
        assert!(!third.try_lock_range(all.0, all.1).unwrap(), "the lock is gone");
        assert_eq!(std::fs::read(&path).unwrap(), b"bytes");
        own.close().unwrap();
        assert!(third.try_lock_range(all.0, all.1).unwrap());
    }
}
