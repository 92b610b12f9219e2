//! Jobs: operations that wait for their turn, each with the way to answer its caller.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::error::{Error, Result, StorageError};
use crate::kv::txn::{Changes, FollowUp, Txn};
use crate::kv::view::View;
use crate::reply::{Answer, Reply};

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
    (Box::new(TypedJob { op, finish, answer, found: None, not_finished: after_commit }), reply)
}

/// The same for an operation that only reads, where that may fail before it answers.
#[cfg(feature = "etcd")]
pub(super) fn reading<R: Send + 'static, T: Send + 'static>(
    op: impl Fn(&Txn<'_>) -> Result<R> + Send + 'static,
    finish: impl FnOnce(R) -> Result<T> + Send + 'static,
) -> (Box<dyn Job>, Reply<T>) {
    let (answer, reply) = Reply::later();
    let op = move |txn: &mut Txn<'_>| op(txn);
    (Box::new(TypedJob { op, finish, answer, found: None, not_finished: |error| error }), reply)
}

/// An operation as a job that nobody waits for.
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
    /// Says what goes wrong in `finish`.
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

/// What goes wrong after the commit, as when own fields do not fit the application's model, must not say that nothing was
/// written.
fn after_commit(error: Error) -> Error {
    match error {
        Error::Storage(error) => Error::OutcomeUnknown(error),
        error => error,
    }
}

/// Runs what may meet damage that makes redb panic; a panic becomes a storage error.
pub(crate) fn catching_panics<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(Error::Storage(StorageError::new("the operation panicked, which is a bug or damage"))))
}
