//! Engines: what holds the bytes, runs the operations on them and makes their changes last.

pub(crate) mod any;
pub(crate) mod redb;
#[cfg(feature = "etcd")]
pub(crate) mod remote;

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::error::{Error, Result, StorageError};
use crate::kv::txn::{Changes, FollowUp, Txn, View};
use crate::reply::{Answer, Reply};

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

/// An operation that reads.
pub(crate) type Accept = Box<dyn Fn(&Txn<'_>) -> Result<()> + Send + Sync>;
/// An operation that writes.
pub(crate) type Fill = Box<dyn Fn(&mut Txn<'_>) -> Result<()> + Send + Sync>;

/// What the layers above want done when a store is opened and when its tables are created.
pub(crate) struct Setup {
    /// Refuses a store that they cannot use.
    pub(crate) accept: Accept,
    /// Fills new tables.
    pub(crate) synchronize: Fill,
    /// The keys of the rows of the meta table that say whether there is a store and which models it has; the first is
    /// there if there is one.
    #[cfg_attr(not(feature = "etcd"), expect(dead_code, reason = "in a file nobody else changes them"))]
    pub(crate) decisive: Vec<Vec<u8>>,
}

/// An operation that waits for the writer, with the way to answer its caller.
pub(crate) trait Job: Send {
    /// Runs the operation. Its changes, if it was not refused; a refused or panicking operation has none.
    fn run(&mut self, view: &dyn View) -> Option<Changes>;

    /// Answers the caller: with what the operation found, or with why its transaction was not committed.
    fn answer(self: Box<Self>, failure: Option<&Error>);
}

/// A job and its caller's reply.
pub(crate) fn job<R: Send + 'static, T: Send + 'static>(
    op: impl Fn(&mut Txn<'_>) -> Result<R> + Send + 'static,
    finish: impl FnOnce(R) -> Result<T> + Send + 'static,
) -> (Box<dyn Job>, Reply<T>) {
    let (answer, reply) = Reply::later();
    (Box::new(Write { op, finish, answer, found: None, not_finished: after_commit }), reply)
}

/// The same for an operation that only reads, where that may fail before it answers.
#[cfg(feature = "etcd")]
fn reading<R: Send + 'static, T: Send + 'static>(
    op: impl Fn(&Txn<'_>) -> Result<R> + Send + 'static,
    finish: impl FnOnce(R) -> Result<T> + Send + 'static,
) -> (Box<dyn Job>, Reply<T>) {
    let (answer, reply) = Reply::later();
    let op = move |txn: &mut Txn<'_>| op(txn);
    (Box::new(Write { op, finish, answer, found: None, not_finished: |error| error }), reply)
}

/// An operation as a job that nobody waits for.
pub(crate) fn background(op: impl Fn(&mut Txn<'_>) -> Result<()> + Send + 'static) -> Box<dyn Job> {
    job(op, Ok).0
}

impl FollowUp {
    fn into_job(self) -> Box<dyn Job> {
        background(move |txn| self.run(txn))
    }
}

struct Write<R, T, Op, Fin> {
    op: Op,
    finish: Fin,
    answer: Answer<T>,
    found: Option<Result<R>>,
    /// Says what goes wrong in `finish`.
    not_finished: fn(Error) -> Error,
}

impl<R, T, Op, Fin> Job for Write<R, T, Op, Fin>
where
    R: Send + 'static,
    T: Send + 'static,
    Op: Fn(&mut Txn<'_>) -> Result<R> + Send,
    Fin: FnOnce(R) -> Result<T> + Send + 'static,
{
    fn run(&mut self, view: &dyn View) -> Option<Changes> {
        let mut txn = Txn::new(view);
        let result = unpanicked(|| (self.op)(&mut txn));
        let changes = result.is_ok().then(|| txn.into_changes());
        self.found = Some(result);
        changes
    }

    fn answer(self: Box<Self>, failure: Option<&Error>) {
        let Self { finish, answer, found, not_finished, .. } = *self;
        let result = match (failure, found) {
            (Some(error), _) => Err(error.clone()),
            (None, Some(found)) => found,
            (None, None) => Err(Error::Storage(StorageError::new("the writer stopped"))),
        };
        answer.send_finished_by(move || result.and_then(|found| finish(found).map_err(not_finished)));
    }
}

/// What goes wrong after the commit, as when own fields do not fit the application's model, must not say that nothing was
/// written.
fn after_commit(error: Error) -> Error {
    match error {
        Error::Storage(error) => Error::OutcomeUnknown(error),
        error => error,
    }
}

/// Runs what may meet damage that makes redb panic; a panic becomes a storage error.
pub(crate) fn unpanicked<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(Error::Storage(StorageError::new("the operation panicked, which is a bug or damage"))))
}
