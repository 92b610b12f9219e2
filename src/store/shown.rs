//! Writes that are made only if the application can read their answer.

use std::any::TypeId;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

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
    /// as it would be now, and the operation is carried out again. If the reply was dropped, nobody is left for whom `finish`
    /// could run: then the operation is kept as it is, unless `finish` has refused just what it shows.
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
            let tried = outcome.map_or(Tried::Unknown, |outcome| write.tried(outcome).0);
            auth.make_shown(write, tried, TRIES)
        })
    }

    /// Carries the write out if it shows what `finish` has taken.
    fn make_shown<R, K, T>(&self, write: Arc<Shown<R, K, T>>, tried: Tried<K>, tries: u32) -> Reply<T>
    where
        R: Send + 'static,
        K: PartialEq + Send + 'static,
        T: Send + 'static,
    {
        let (carried_out, attempt) = (Arc::clone(&write), Arc::new(Attempt::default()));
        let of_step = Arc::clone(&attempt);
        let step = move |txn: &mut Txn<'_>| {
            let outcome = (carried_out.op)(txn)?;
            let shown = (carried_out.shown)(&outcome);
            let is_kept = match &tried {
                Tried::Takes(taken) if *taken == shown => true,
                Tried::Refuses(refused) if *refused == shown => false,
                _ => !of_step.put_off(),
            };
            if !is_kept {
                txn.drop_changes();
            }
            Ok((outcome, is_kept))
        };
        let auth = self.handle();
        let next = move |outcome| match outcome {
            Ok((outcome, true)) => Reply::by(move || (write.finish)(outcome).map_err(Error::after_commit)),
            Ok((_, false)) if tries == 0 => Reply::ready(Err(Error::Busy)),
            Ok((outcome, false)) => match (write.tried(outcome), auth.get()) {
                ((_, Err(error)), _) => Reply::ready(Err(error)),
                ((tried, Ok(())), Some(auth)) => auth.make_shown(write, tried, tries - 1),
                ((_, Ok(())), None) => Reply::ready(Err(Error::Closed)),
            },
            Err(error) => Reply::ready(Err(error)),
        };
        let made = self.write(step, Ok);
        if made.is_ready() {
            next(made.wait())
        } else if self.is_shared() {
            self.engine().then(made, next)
        } else {
            Reply::rest(Waiting { made, next: Some(next), attempt }.finish())
        }
    }
}

impl<R, K, T> Shown<R, K, T> {
    /// Runs `finish` on an outcome. Returns what the outcome shows, and the error of `finish`.
    fn tried(&self, outcome: R) -> (Tried<K>, Result<()>) {
        let shown = (self.shown)(&outcome);
        match (self.finish)(outcome) {
            Ok(_) => (Tried::Takes(shown), Ok(())),
            Err(error) => (Tried::Refuses(shown), Err(error)),
        }
    }
}

/// What is known of `finish` before the write is made.
enum Tried<K> {
    /// It takes an outcome that shows this.
    Takes(K),
    /// It refuses an outcome that shows this.
    Refuses(K),
    Unknown,
}

/// Settles between the writer and whoever has the reply, which of the two sees to a write that shows something else than
/// expected.
#[derive(Default)]
struct Attempt(AtomicU8);

const WAITED_FOR: u8 = 0;
const PUT_OFF: u8 = 1;
const GIVEN_UP: u8 = 2;

impl Attempt {
    /// Leaves the write to whoever waits for the reply. Returns false if nobody does.
    fn put_off(&self) -> bool {
        self.0.compare_exchange(WAITED_FOR, PUT_OFF, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }

    /// Leaves the write to the writer. Returns false if the writer has put it off already.
    fn give_up(&self) -> bool {
        self.0.swap(GIVEN_UP, Ordering::SeqCst) != PUT_OFF
    }
}

/// A write under way and what follows it. Dropping it cancels nothing.
struct Waiting<R, N: FnOnce(Result<R>) -> Reply<T>, T> {
    made: Reply<R>,
    /// None once the write is made.
    next: Option<N>,
    attempt: Arc<Attempt>,
}

impl<R, N: FnOnce(Result<R>) -> Reply<T>, T> Waiting<R, N, T> {
    async fn finish(mut self) -> Result<T> {
        let made = (&mut self.made).await;
        match self.next.take() {
            Some(next) => next(made).await,
            None => Err(Error::Closed),
        }
    }
}

impl<R, N: FnOnce(Result<R>) -> Reply<T>, T> Drop for Waiting<R, N, T> {
    fn drop(&mut self) {
        if let Some(next) = self.next.take()
            && !self.attempt.give_up()
        {
            // The commit that the writer has put it off in is under way.
            let made = std::mem::replace(&mut self.made, Reply::ready(Err(Error::Closed)));
            drop(next(made.wait()));
        }
    }
}
