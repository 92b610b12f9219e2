//! State that the engine's parts share: the cluster, the store's state, and the calls in flight.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc};

use super::cluster::{Cluster, Failure, Found, Op, Range, Reading, Txn};
use super::keys::Keys;
use super::proposal::{Proposal, Written};
use crate::engine::Setup;
use crate::error::{Error, OpenProblem, Result};
use crate::records::schema::META;

/// Settings of the engine.
#[derive(Clone)]
pub(crate) struct Config {
    /// How long a call may take before it fails.
    pub(crate) timeout: Duration,
    /// How many calls may be in flight at once.
    pub(crate) in_flight_max: usize,
    /// Which state read calls may see.
    pub(crate) reading: Reading,
    /// Whether opening creates a store where there is none.
    pub(crate) synchronize: bool,
}

pub(super) struct Core {
    pub(super) cluster: Arc<dyn Cluster>,
    pub(super) keys: Keys,
    pub(super) config: Config,
    pub(super) setup: Setup,
    /// None when no more proposals are accepted.
    proposals: Mutex<Option<mpsc::UnboundedSender<Proposal>>>,
    state: Mutex<State>,
    /// The rows that define the store, with their revisions, which are 0 before they are read. The first row exists if
    /// the store does. Nothing is written after another process has changed one of them.
    watched: Mutex<Vec<(Vec<u8>, i64)>>,
    opened: AtomicBool,
    in_flight: AtomicUsize,
    left: Notify,
}

#[derive(Clone)]
enum State {
    Open,
    Refused(Error),
    Closed,
}

/// A call in flight.
pub(super) struct InFlight(Arc<Core>);

impl Drop for InFlight {
    fn drop(&mut self) {
        if self.0.in_flight.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.0.left.notify_waiters();
        }
    }
}

impl Core {
    pub(super) fn new(
        cluster: Arc<dyn Cluster>,
        keys: Keys,
        config: Config,
        setup: Setup,
        proposals: mpsc::UnboundedSender<Proposal>,
    ) -> Self {
        let watched = setup.decisive.iter().map(|key| (keys.row(META.id, key), 0)).collect();
        Self {
            cluster,
            keys,
            config,
            setup,
            proposals: Mutex::new(Some(proposals)),
            state: Mutex::new(State::Open),
            watched: Mutex::new(watched),
            opened: AtomicBool::new(false),
            in_flight: AtomicUsize::new(0),
            left: Notify::new(),
        }
    }

    /// # Errors
    /// `Closed`, `Busy`, or the reason why the store can no longer be used.
    pub(super) fn enter(self: &Arc<Self>) -> Result<InFlight> {
        match &*self.state.lock() {
            State::Open => {}
            State::Refused(error) => return Err(error.clone()),
            State::Closed => return Err(Error::Closed),
        }
        let in_flight = self.go_on();
        if self.in_flight.load(Ordering::SeqCst) > self.config.in_flight_max { Err(Error::Busy) } else { Ok(in_flight) }
    }

    /// Counts a call as in flight without checking the limit, to continue accepted work.
    pub(super) fn go_on(self: &Arc<Self>) -> InFlight {
        self.in_flight.fetch_add(1, Ordering::SeqCst);
        InFlight(Arc::clone(self))
    }

    /// Stops accepting calls. Returns false if it was closed before.
    pub(super) fn close(&self) -> bool {
        !matches!(std::mem::replace(&mut *self.state.lock(), State::Closed), State::Closed)
    }

    pub(super) fn is_closed(&self) -> bool {
        matches!(*self.state.lock(), State::Closed)
    }

    /// Waits until no call is in flight.
    pub(super) async fn idle(&self) {
        loop {
            let left = self.left.notified();
            if self.in_flight.load(Ordering::SeqCst) == 0 {
                return;
            }
            left.await;
        }
    }

    pub(super) fn propose(&self, proposal: Proposal) -> Result<()> {
        let proposals = self.proposals.lock();
        proposals.as_ref().and_then(|proposals| proposals.send(proposal).ok()).ok_or(Error::Closed)
    }

    /// Lets the committer end once the queue is empty.
    pub(super) fn propose_no_more(&self) {
        self.proposals.lock().take();
    }

    pub(super) fn opened(&self) {
        self.opened.store(true, Ordering::SeqCst);
    }

    pub(super) fn watched(&self) -> Vec<(Vec<u8>, i64)> {
        self.watched.lock().clone()
    }

    /// True if no store is known to exist yet.
    pub(super) fn is_missing(&self) -> bool {
        self.watched.lock().first().is_some_and(|(_, revision)| *revision == 0)
    }

    /// Reads the rows that define the store.
    pub(super) async fn look(&self, deadline: Instant) -> Result<()> {
        let ranges = self.watched().into_iter().map(|(key, _)| Range::row(key)).collect();
        let (_, found) = self.fetch(ranges, Reading::Newest, deadline).await.map_err(Failure::into_error)?;
        let revision = |found: Found| found.into_rows().rows.first().map_or(0, |(_, row)| row.revision);
        self.watch(found.into_iter().map(|(_, found)| revision(found)).collect())
    }

    /// Records the revisions of the rows that define the store.
    ///
    /// # Errors
    /// `Busy` if another process has changed one while the store is being opened, so that the opener has to check
    /// again. After that, the error that the store can no longer be used.
    pub(super) fn watch(&self, revisions: Vec<i64>) -> Result<()> {
        let mut watched = self.watched.lock();
        let is_new = watched.iter().all(|(_, revision)| *revision == 0);
        let is_same = watched.iter().map(|(_, revision)| *revision).eq(revisions.iter().copied());
        if is_same || revisions.len() != watched.len() {
            return Ok(());
        }
        watched.iter_mut().zip(revisions).for_each(|(row, revision)| row.1 = revision);
        if !self.opened.load(Ordering::SeqCst) || is_new {
            return Err(Error::Busy);
        }
        let error: Error = OpenProblem::ChangedElsewhere.into();
        self.refuse(error.clone());
        Err(error)
    }

    pub(super) fn refuse(&self, error: Error) {
        let mut state = self.state.lock();
        if matches!(*state, State::Open) {
            *state = State::Refused(error);
        }
    }

    /// Records this process's own changes at a revision.
    pub(super) fn has_changed(&self, revision: i64, is_changed: impl Fn(&[u8]) -> Option<Written>) {
        for (key, known) in self.watched.lock().iter_mut() {
            match is_changed(key) {
                Some(Written::Row) => *known = revision,
                Some(Written::Nothing) => *known = 0,
                None => {}
            }
        }
    }

    /// Reads ranges, all at one revision: the one that they name, or otherwise the newest. Returns that revision.
    pub(super) async fn fetch(
        &self,
        ranges: Vec<Range>,
        reading: Reading,
        deadline: Instant,
    ) -> Result<(i64, Vec<(Range, Found)>), Failure> {
        let mut fetched = Vec::new();
        let mut revision = 0;
        for some in ranges.chunks(self.cluster.ops_max()) {
            // Later requests read at the revision of the first one.
            let at =
                |range: &Range| if range.revision == 0 { Range { revision, ..range.clone() } } else { range.clone() };
            let txn = Txn { then: some.iter().map(|range| Op::Range(at(range))).collect(), ..Txn::default() };
            let answer = self.cluster.txn(txn, reading, deadline).await?;
            if revision == 0 {
                revision = answer.revision;
            }
            fetched.extend(some.iter().cloned().zip(answer.done.results));
        }
        Ok((revision, fetched))
    }
}
