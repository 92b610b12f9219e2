//! The thread of a store. It does not exist in a child that was made by fork(2).

use std::mem;
use std::thread::{Builder, JoinHandle, current};

use crate::error::{Error, Result, StorageError};
use crate::process::Process;

/// A thread of a store. Dropping it waits for its end, except in a child of the process that started it, where nothing
/// would ever end the wait.
pub(crate) struct OwnThread {
    process: Process,
    handle: Option<JoinHandle<()>>,
}

impl OwnThread {
    pub(crate) fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<Self> {
        let handle = Builder::new().name(name.to_owned()).spawn(work);
        let handle = handle
            .map_err(|error| Error::Storage(StorageError::caused("the store's thread cannot be started", error)))?;
        Ok(Self { process: Process::current(), handle: Some(handle) })
    }

    /// Checks that the thread exists in this process. In a child nothing may be locked that the thread locks too: it may
    /// have held the lock when the child was made.
    ///
    /// # Errors
    /// `Storage` in a child that was made by fork(2).
    pub(crate) fn check(&self) -> Result<()> {
        self.process.check()
    }

    /// True on this thread.
    pub(crate) fn is_current(&self) -> bool {
        self.handle.as_ref().is_some_and(|handle| handle.thread().id() == current().id())
    }

    /// Lets the thread go on by itself: dropping this no longer waits for its end.
    pub(crate) fn leave(&mut self) {
        self.handle = None;
    }
}

impl Drop for OwnThread {
    fn drop(&mut self) {
        let Some(handle) = self.handle.take() else { return };
        if !self.process.is_current() {
            mem::forget(handle);
        } else if handle.thread().id() != current().id() {
            // If the thread panicked, its callers have already been answered.
            let _ = handle.join();
        }
        // Otherwise the last handle of the store was dropped on this thread, by a caller who was answered there.
    }
}
