//! Engines: they hold the bytes, run operations on them and make changes durable.

pub(crate) mod any;
pub(crate) mod job;
pub(crate) mod redb;
#[cfg(feature = "etcd")]
pub(crate) mod remote;
mod thread;

use crate::engine::job::Job;
use crate::error::Result;
use crate::kv::txn::Txn;
use crate::records::Identity;
use crate::reply::Reply;

/// When a write is acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Durability {
    /// After a two-phase commit that is synced to the disk: a power cut loses nothing acknowledged.
    #[default]
    Full,
    /// Once it is visible; the sync follows a moment later. A power cut, a killed process or a failing disk may lose
    /// the last moments, but never leaves a part of a write or an index that disagrees with its records.
    Deferred,
}

/// The only way from callers to the threads where operations run. `finish` turns the operation's result into the
/// caller's value; it runs on the caller's side, because it may be the application's code.
pub(crate) trait Engine {
    /// Runs a read on the last committed state.
    fn read<R: Send + 'static, T: Send + 'static>(
        &self,
        op: impl Fn(&Txn<'_>) -> Result<R> + Send + 'static,
        finish: impl FnOnce(R) -> Result<T> + Send + 'static,
    ) -> Reply<T>;

    /// Runs an operation, perhaps several times, and commits its changes once, all or none.
    fn write<R: Send + 'static, T: Send + 'static>(
        &self,
        op: impl Fn(&mut Txn<'_>) -> Result<R> + Send + 'static,
        finish: impl FnOnce(R) -> Result<T> + Send + 'static,
    ) -> Reply<T> {
        self.write_before(op, finish, None)
    }

    /// Like [`write`](Self::write), followed by a job that nobody waits for.
    fn write_before<R: Send + 'static, T: Send + 'static>(
        &self,
        op: impl Fn(&mut Txn<'_>) -> Result<R> + Send + 'static,
        finish: impl FnOnce(R) -> Result<T> + Send + 'static,
        behind: Option<Box<dyn Job>>,
    ) -> Reply<T>;

    /// Runs a write that nobody waits for, followed by another such job. Nothing but the end of the store keeps it from
    /// being tried.
    fn write_in_background(
        &self,
        op: impl Fn(&mut Txn<'_>) -> Result<()> + Send + 'static,
        behind: Option<Box<dyn Job>>,
    ) {
        drop(self.write_before(op, Ok, behind));
    }

    /// Answers when what was begun before is done, also what nobody waits for.
    fn settle(&self) -> Reply<()>;

    /// Creates missing tables and their first rows.
    fn synchronize(&self) -> Reply<()>;

    /// Verifies that everything stored is as it was written, below the rows. Calls that come meanwhile may answer `Busy`.
    fn verify(&self) -> Reply<()>;

    /// Carries out the accepted calls and refuses later ones.
    fn close(&self) -> Reply<()>;

    /// Tells the engine that opening has finished: the store fits its application.
    fn opened(&self);
}

/// What the store wants done when an engine opens and when its tables are created.
pub(crate) struct Setup {
    /// Refuses data that the store cannot use.
    pub(crate) accept: Accept,
    /// Fills new tables.
    pub(crate) synchronize: Fill,
    /// The keys in the meta table that define the store: whether it exists and which models it has. The first one
    /// exists in every store.
    #[cfg_attr(not(feature = "etcd"), expect(dead_code, reason = "in a file nobody else changes them"))]
    pub(crate) decisive: Vec<Vec<u8>>,
    pub(crate) signature: Signature,
}

pub(crate) type Accept = Box<dyn Fn(&Txn<'_>) -> Result<()> + Send + Sync>;
pub(crate) type Fill = Box<dyn Fn(&mut Txn<'_>) -> Result<()> + Send + Sync>;

/// How a file gets the rows by which it is recognised when it is reopened. Nothing else uses them: a store in memory
/// and one on a cluster have none.
pub(crate) struct Signature {
    pub(crate) read: fn(&Txn<'_>) -> Result<Identity>,
    pub(crate) write: fn(&mut Txn<'_>, &Identity) -> Result<()>,
    /// The mark of this opening, and the id for a store that has none yet.
    pub(crate) fresh: Identity,
}
