//! What the parts of the engine share: the cluster, how far it has come, and who is still at work.

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

/// How the engine works.
#[derive(Clone)]
pub(crate) struct Config {
    /// How long a call may take before it is given up.
    pub(crate) timeout: Duration,
    /// How many calls may be under way at once.
    pub(crate) in_flight_max: usize,
    /// Which state reading calls may see.
    pub(crate) reading: Reading,
    /// Whether opening makes a store where there is none.
    pub(crate) synchronize: bool,
}

pub(super) struct Core {
    pub(super) cluster: Arc<dyn Cluster>,
    pub(super) keys: Keys,
    pub(super) config: Config,
    pub(super) setup: Setup,
    /// None when nothing may be proposed any more.
    proposals: Mutex<Option<mpsc::UnboundedSender<Proposal>>>,
    state: Mutex<State>,
    /// The rows that say what the store is, and their revisions, none before they were read: the first is there if there
    /// is a store. Nothing is written after somebody else has changed one.
    watched: Mutex<Vec<(Vec<u8>, i64)>>,
    settled: AtomicBool,
    in_flight: AtomicUsize,
    left: Notify,
}

#[derive(Clone)]
enum State {
    Open,
    Refused(Error),
    Closed,
}

/// That a call is under way.
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
            settled: AtomicBool::new(false),
            in_flight: AtomicUsize::new(0),
            left: Notify::new(),
        }
    }

    /// # Errors
    /// `Closed`, `Busy`, and why the store is of no use any more.
    pub(super) fn enter(self: &Arc<Self>) -> Result<InFlight> {
        match &*self.state.lock() {
            State::Open => {}
            State::Refused(error) => return Err(error.clone()),
            State::Closed => return Err(Error::Closed),
        }
        let in_flight = self.go_on();
        if self.in_flight.load(Ordering::SeqCst) > self.config.in_flight_max { Err(Error::Busy) } else { Ok(in_flight) }
    }

    /// Goes on with what was accepted.
    pub(super) fn go_on(self: &Arc<Self>) -> InFlight {
        self.in_flight.fetch_add(1, Ordering::SeqCst);
        InFlight(Arc::clone(self))
    }

    /// Accepts nothing more; answers whether something was accepted until now.
    pub(super) fn close(&self) -> bool {
        !matches!(std::mem::replace(&mut *self.state.lock(), State::Closed), State::Closed)
    }

    pub(super) fn is_closed(&self) -> bool {
        matches!(*self.state.lock(), State::Closed)
    }

    /// Waits until nothing is under way.
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

    /// Lets the committer end.
    pub(super) fn propose_no_more(&self) {
        self.proposals.lock().take();
    }

    pub(super) fn settled(&self) {
        self.settled.store(true, Ordering::SeqCst);
    }

    pub(super) fn watched(&self) -> Vec<(Vec<u8>, i64)> {
        self.watched.lock().clone()
    }

    /// Whether there is no store yet, as far as is known.
    pub(super) fn is_missing(&self) -> bool {
        self.watched.lock().first().is_some_and(|(_, revision)| *revision == 0)
    }

    /// Reads the rows that say what the store is.
    pub(super) async fn look(&self, deadline: Instant) -> Result<()> {
        let ranges = self.watched().into_iter().map(|(key, _)| Range::row(key)).collect();
        let (_, found) = self.fetch(ranges, Reading::Newest, deadline).await.map_err(Failure::into_error)?;
        let revision = |found: Found| found.into_rows().rows.first().map_or(0, |(_, row)| row.revision);
        self.watch(found.into_iter().map(|(_, found)| revision(found)).collect())
    }

    /// Takes note of these revisions of the rows that say what the store is.
    ///
    /// # Errors
    /// `Busy` if somebody else has changed one while the store is being opened, so that it is to be looked at again; after
    /// that, that the store is of no use any more.
    pub(super) fn watch(&self, revisions: Vec<i64>) -> Result<()> {
        let mut watched = self.watched.lock();
        let is_new = watched.iter().all(|(_, revision)| *revision == 0);
        let is_same = watched.iter().map(|(_, revision)| *revision).eq(revisions.iter().copied());
        if is_same || revisions.len() != watched.len() {
            return Ok(());
        }
        watched.iter_mut().zip(revisions).for_each(|(row, revision)| row.1 = revision);
        if !self.settled.load(Ordering::SeqCst) || is_new {
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

    /// Takes note of what this process has changed itself at a revision.
    pub(super) fn has_changed(&self, revision: i64, is_changed: impl Fn(&[u8]) -> Option<Written>) {
        for (key, known) in self.watched.lock().iter_mut() {
            match is_changed(key) {
                Some(Written::Row) => *known = revision,
                Some(Written::Nothing) => *known = 0,
                None => {}
            }
        }
    }

    /// Reads ranges, all as they were at one revision: that which they name, or the newest, which is in the answer.
    pub(super) async fn fetch(
        &self,
        ranges: Vec<Range>,
        reading: Reading,
        deadline: Instant,
    ) -> Result<(i64, Vec<(Range, Found)>), Failure> {
        let mut fetched = Vec::new();
        let mut revision = 0;
        for some in ranges.chunks(self.cluster.ops_max()) {
            // What is read after the first request has to be of the same state.
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
