//! Engines: what holds the bytes, runs the operations on them and makes their changes last.

pub(crate) mod any;
pub(crate) mod job;
pub(crate) mod redb;
#[cfg(feature = "etcd")]
pub(crate) mod remote;

use crate::engine::job::Job;
use crate::error::Result;
use crate::kv::txn::Txn;
use crate::reply::Reply;

/// When a write is acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Durability {
    /// After it has been synced to the disk with a two-phase commit: a power cut loses nothing acknowledged.
    #[default]
    Full,
    /// After it is visible, and synced a moment later: a power cut, a killed process or a failing disk may lose the last
    /// moments, but never leaves a part of a write or an index that disagrees with its records.
    Deferred,
}

/// The only crossing from callers to where operations run. `finish` turns what the operation found into what the caller
/// gets; it runs in the caller, as it may be the application's code.
pub(crate) trait Engine {
    /// Runs a reading operation on the last committed state.
    fn read<R: Send + 'static, T: Send + 'static>(
        &self,
        op: impl Fn(&Txn<'_>) -> Result<R> + Send + 'static,
        finish: impl FnOnce(R) -> Result<T> + Send + 'static,
    ) -> Reply<T>;

    /// Runs an operation, perhaps several times, and applies and commits its changes once, all or none.
    fn write<R: Send + 'static, T: Send + 'static>(
        &self,
        op: impl Fn(&mut Txn<'_>) -> Result<R> + Send + 'static,
        finish: impl FnOnce(R) -> Result<T> + Send + 'static,
    ) -> Reply<T> {
        self.write_before(op, finish, None)
    }

    /// The same, and then another operation for which nobody waits.
    fn write_before<R: Send + 'static, T: Send + 'static>(
        &self,
        op: impl Fn(&mut Txn<'_>) -> Result<R> + Send + 'static,
        finish: impl FnOnce(R) -> Result<T> + Send + 'static,
        behind: Option<Box<dyn Job>>,
    ) -> Reply<T>;

    /// Creates what a store has to begin with, where it is missing.
    fn synchronize(&self) -> Reply<()>;

    /// Carries out what was accepted, and refuses everything after it.
    fn close(&self) -> Reply<()>;

    /// Says that the store is open: it fits its application from now on.
    fn settled(&self);
}

/// What the layers above want done when a store is opened and when its tables are created.
pub(crate) struct Setup {
    /// Refuses a store that they cannot use.
    pub(crate) accept: Box<dyn Fn(&Txn<'_>) -> Result<()> + Send + Sync>,
    /// Fills new tables.
    pub(crate) synchronize: Box<dyn Fn(&mut Txn<'_>) -> Result<()> + Send + Sync>,
    /// The keys of the rows of the meta table that say whether there is a store and which models it has; the first is
    /// there if there is one.
    #[cfg_attr(not(feature = "etcd"), expect(dead_code, reason = "in a file nobody else changes them"))]
    pub(crate) decisive: Vec<Vec<u8>>,
}
