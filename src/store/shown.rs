//! Writes that are made only if the application can read their answer.

use std::any::TypeId;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::kv::txn::{Txn, with_indexes};
use crate::models::{DynamicFields, Extra, FieldPatch, Models};
use crate::reply::Reply;
use crate::store::AuthKv;

/// How often a write is tried when other writes keep changing what its answer shows.
const TRIES: u32 = 1_000;

/// Whether the application's code has to be tried on what an answer shows.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trial {
    Needed,
    /// Whatever is stored fits: no own fields, or any.
    Spared,
}

impl Trial {
    /// For an answer that shows stored fields of this model.
    pub(crate) fn of<X: Extra>() -> Self {
        let takes_anything = [TypeId::of::<()>(), TypeId::of::<DynamicFields>()].contains(&TypeId::of::<X>());
        if takes_anything { Self::Spared } else { Self::Needed }
    }

    /// For a patch of fields of this model.
    pub(crate) fn of_patch<X: Extra>(patch: &FieldPatch) -> Self {
        // Every name is unknown to a model without fields.
        if !patch.is_empty() && TypeId::of::<X>() == TypeId::of::<()>() { Self::Needed } else { Self::of::<X>() }
    }

    pub(crate) fn or(self, other: Self) -> Self {
        if self == Self::Needed { self } else { other }
    }
}

type Operation<R> = Box<dyn Fn(&mut Txn<'_>) -> Result<R> + Send + Sync>;

/// A write with an answer for which the application's code has to run.
struct Shown<R, K, T> {
    op: Operation<R>,
    shown: fn(&R) -> K,
    finish: Box<dyn Fn(R) -> Result<T> + Send + Sync>,
}

impl<M: Models> AuthKv<M> {
    /// Runs a write whose answer shows fields that were stored before. `finish` turns the outcome into the answer; it may
    /// be the application's code and may fail. Then nothing is written.
    ///
    /// `finish` cannot run within the transaction, so it runs on an outcome before that. First the operation is tried on
    /// the committed state, and its changes are dropped. Then it is carried out; its changes are kept only if it still
    /// shows what `finish` has taken, by the value of `shown`. If another write came between, `finish` gets the outcome
    /// as it would be now, and the operation is carried out again. On a file and in memory that takes somebody who waits
    /// for the reply.
    ///
    /// # Errors
    /// `Busy` when other writes come between again and again.
    pub(crate) fn write_shown<R, K, T>(
        &self,
        trial: Trial,
        op: impl Fn(&mut Txn<'_>) -> Result<R> + Send + Sync + 'static,
        shown: fn(&R) -> K,
        finish: impl Fn(R) -> Result<T> + Send + Sync + 'static,
    ) -> Reply<T>
    where
        R: Send + 'static,
        K: PartialEq + Send + 'static,
        T: Send + 'static,
    {
        if trial == Trial::Spared {
            return self.write(op, finish);
        }
        let op = Box::new(with_indexes(Arc::clone(self.indexes()), op));
        let write = Arc::new(Shown { op, shown, finish: Box::new(finish) });
        let tried = Arc::clone(&write);
        let outcome = self.read(move |txn| txn.trying(|txn| (tried.op)(txn)), Ok);
        // What fails now may be right once the writes before this one are done.
        self.then(outcome, move |auth, outcome| {
            let taken = outcome.ok().and_then(|outcome| write.taken(outcome).ok());
            auth.make_shown(write, taken, TRIES)
        })
    }

    /// Carries the write out if it shows what `finish` has taken.
    fn make_shown<R, K, T>(&self, write: Arc<Shown<R, K, T>>, taken: Option<K>, tries: u32) -> Reply<T>
    where
        R: Send + 'static,
        K: PartialEq + Send + 'static,
        T: Send + 'static,
    {
        let carried_out = Arc::clone(&write);
        let step = move |txn: &mut Txn<'_>| {
            let outcome = (carried_out.op)(txn)?;
            let is_taken = taken.as_ref() == Some(&(carried_out.shown)(&outcome));
            if !is_taken {
                txn.drop_changes();
            }
            Ok((outcome, is_taken))
        };
        let auth = self.handle();
        let next = move |outcome| match outcome {
            Ok((outcome, true)) => Reply::by(move || (write.finish)(outcome).map_err(Error::after_commit)),
            Ok((_, false)) if tries == 0 => Reply::ready(Err(Error::Busy)),
            Ok((outcome, false)) => match (write.taken(outcome), auth.get()) {
                (Ok(taken), Some(auth)) => auth.make_shown(write, Some(taken), tries - 1),
                (Ok(_), None) => Reply::ready(Err(Error::Closed)),
                (Err(error), _) => Reply::ready(Err(error)),
            },
            Err(error) => Reply::ready(Err(error)),
        };
        let made = self.write(step, Ok);
        if made.is_ready() { next(made.wait()) } else { self.engine().then(made, next) }
    }
}

impl<R, K, T> Shown<R, K, T> {
    /// Returns what the outcome shows, if `finish` takes it.
    fn taken(&self, outcome: R) -> Result<K> {
        let shown = (self.shown)(&outcome);
        (self.finish)(outcome).map(|_| shown)
    }
}
