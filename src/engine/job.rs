//! Jobs: queued operations, each with the way to answer its caller.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::error::{Error, PANICKED, Result, StorageError};
use crate::kv::txn::{Changes, FollowUp, Txn};
use crate::kv::view::View;
use crate::reply::{Answer, Reply};

/// An operation queued for the writer, with the way to answer its caller.
pub(crate) trait Job: Send {
    /// Runs the operation and returns its changes. Returns `None` if the operation was refused or panicked.
    fn run(&mut self, view: &dyn View) -> Option<Changes>;

    /// Answers the caller with the operation's result, or with the reason why its transaction was not committed.
    fn answer(self: Box<Self>, failure: Option<&Error>);
}

/// A job and its caller's reply.
pub(crate) fn job<R: Send + 'static, T: Send + 'static>(
    op: impl Fn(&mut Txn<'_>) -> Result<R> + Send + 'static,
    finish: impl FnOnce(R) -> Result<T> + Send + 'static,
) -> (Box<dyn Job>, Reply<T>) {
    let (answer, reply) = Reply::later();
    (Box::new(TypedJob { op, finish, answer, found: None, not_finished: Error::after_commit }), reply)
}

/// Like `job`, for an operation that only reads. If `finish` fails, its error is passed on unchanged.
#[cfg(feature = "etcd")]
pub(super) fn reading<R: Send + 'static, T: Send + 'static>(
    op: impl Fn(&Txn<'_>) -> Result<R> + Send + 'static,
    finish: impl FnOnce(R) -> Result<T> + Send + 'static,
) -> (Box<dyn Job>, Reply<T>) {
    let (answer, reply) = Reply::later();
    let op = move |txn: &mut Txn<'_>| op(txn);
    (Box::new(TypedJob { op, finish, answer, found: None, not_finished: |error| error }), reply)
}

/// A job for which no caller waits.
pub(crate) fn background(op: impl Fn(&mut Txn<'_>) -> Result<()> + Send + 'static) -> Box<dyn Job> {
    job(op, Ok).0
}

impl FollowUp {
    pub(super) fn into_job(self) -> Box<dyn Job> {
        background(move |txn| self.run(txn))
    }
}

struct TypedJob<R, T, Op, Fin> {
    op: Op,
    finish: Fin,
    answer: Answer<T>,
    found: Option<Result<R>>,
    /// Maps an error of `finish` to the caller's error.
    not_finished: fn(Error) -> Error,
}

impl<R, T, Op, Fin> Job for TypedJob<R, T, Op, Fin>
where
    R: Send + 'static,
    T: Send + 'static,
    Op: Fn(&mut Txn<'_>) -> Result<R> + Send,
    Fin: FnOnce(R) -> Result<T> + Send + 'static,
{
    fn run(&mut self, view: &dyn View) -> Option<Changes> {
        let mut txn = Txn::new(view);
        let result = catching_panics(|| (self.op)(&mut txn));
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

/// Runs code in which damage can make redb panic, and turns a panic into a storage error.
pub(crate) fn catching_panics<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err(Error::Storage(StorageError::new(PANICKED))))
}
