//! The process that something belongs to: fork(2) copies the memory of a process and only one of its threads.

use crate::error::{Error, Result, StorageError};

/// A process. A child that it makes with fork(2) is another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Process(u32);

impl Process {
    /// The process that calls. This takes a system call, which is longer than a cached session takes to be found.
    pub(crate) fn current() -> Self {
        Self(std::process::id())
    }

    pub(crate) fn is_current(self) -> bool {
        self == Self::current()
    }

    /// # Errors
    /// `Storage` in every other process.
    pub(crate) fn check(self) -> Result<()> {
        if self.is_current() { Ok(()) } else { Err(Error::Storage(StorageError::new(FORKED))) }
    }

    #[cfg(test)]
    pub(crate) fn another() -> Self {
        Self(std::process::id() ^ 1)
    }
}

/// Why a child gets no answer.
pub(crate) const FORKED: &str = "the store was opened before fork(2), by another process";
