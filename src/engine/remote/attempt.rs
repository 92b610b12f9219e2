//! Carrying out one operation: run it on the fetched rows, fetch the rows that it misses, run it again, and propose its
//! changes. They are written if nothing that it read has changed meanwhile.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::batch::{Writes, check_size};
use super::cluster::{Failure, Range, Reading};
use super::known::{Known, Reads, Replay};
use super::proposal::{Outcome, Proposal, SendState};
use super::shared::Core;
use crate::engine::job::Job;
use crate::error::{Error, Result, StorageError};
use crate::kv::txn::{Changes, FollowUp};
use crate::records::schema::META;

/// How many records a step changes at first: deleting a record takes up to three rows, and a transaction may change
/// 128.
pub(super) const STEP_RECORDS_MAX: usize = 32;
/// The first and the longest delay before an operation is retried after its second conflict.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(100));

/// The purpose of an operation.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    Read,
    Write,
    /// To create the store, or to check what exists before there is one.
    Make,
}

/// Carries out the operation and answers its caller. Returns the follow-up, if the operation has one.
pub(super) async fn carry_out(core: &Core, mut job: Box<dyn Job>, purpose: Purpose) -> Option<FollowUp> {
    let mut attempt = Attempt {
        core,
        deadline: Instant::now() + core.config.timeout,
        reading: if purpose == Purpose::Read { core.config.reading } else { Reading::Newest },
        known: Known::default(),
        step_records_max: STEP_RECORDS_MAX,
        conflicts: 0,
    };
    let outcome = attempt.run(&mut *job, purpose).await;
    job.answer(outcome.as_ref().err());
    outcome.ok().flatten()
}

struct Attempt<'c> {
    core: &'c Core,
    deadline: Instant,
    reading: Reading,
    known: Known,
    step_records_max: usize,
    conflicts: u32,
}

/// What to do after a run of the operation.
enum Next {
    /// The operation is done and writes nothing.
    Nothing(Option<FollowUp>),
    Fetch(BTreeSet<Range>),
    Write(Reads, Writes, Option<FollowUp>),
    /// A step of the operation is too large for a transaction.
    SmallerSteps,
    Fail(Error),
}

impl Attempt<'_> {
    async fn run(&mut self, job: &mut dyn Job, purpose: Purpose) -> Result<Option<FollowUp>> {
        if purpose != Purpose::Make && self.core.is_missing() {
            self.find_store().await?;
        }
        loop {
            match self.next(job) {
                Next::Nothing(follow_up) => return Ok(follow_up),
                Next::Fail(error) => return Err(error),
                Next::SmallerSteps => self.step_records_max /= 2,
                Next::Fetch(missed) => self.fetch(missed).await?,
                Next::Write(reads, writes, follow_up) => {
                    if self.is_written(reads, writes).await? {
                        return Ok(follow_up);
                    }
                }
            }
        }
    }

    /// Another process may create the store.
    async fn find_store(&self) -> Result<()> {
        match self.core.look(self.deadline).await {
            Ok(()) | Err(Error::Busy) if self.core.is_missing() => Err(Error::MissingTable(META.id.name)),
            Ok(()) | Err(Error::Busy) => self.accept().await,
            Err(error) => Err(error),
        }
    }

    /// Checks whether a store that another process has created meanwhile fits.
    async fn accept(&self) -> Result<()> {
        let mut known = Known::default();
        loop {
            let replay = Replay::new(&known, &self.core.keys, STEP_RECORDS_MAX);
            let accepted = (self.core.setup.accept)(&crate::kv::txn::Txn::new(&replay));
            let missed = replay.into_reads().missed;
            if missed.is_empty() {
                return accepted.inspect_err(|error| self.core.refuse(error.clone()));
            }
            let fetched = self.core.fetch(at(missed, &known), Reading::Newest, self.deadline).await;
            let (revision, fetched) = fetched.map_err(Failure::into_error)?;
            known.learn(revision, fetched);
        }
    }

    /// Runs the operation on the known rows.
    fn next(&self, job: &mut dyn Job) -> Next {
        let replay = Replay::new(&self.known, &self.core.keys, self.step_records_max);
        let changes = job.run(&replay);
        let reads = replay.into_reads();
        let is_guess = !reads.missed.is_empty();
        match changes {
            Some(Changes { rows, follow_up }) if !rows.is_empty() => {
                if reads.counted && !is_guess {
                    return Next::Fail(Error::corrupt("an operation that counts rows cannot change any on a cluster"));
                }
                let key = |(table, key): (_, Vec<u8>)| self.core.keys.row(table, &key);
                let writes = rows.into_iter().map(|(place, value)| (key(place), value)).collect();
                match check_size(&reads, &writes, self.core.cluster.ops_max()) {
                    // A guess must not be relied on, but a transaction can have it as a condition.
                    Ok(()) if !reads.counted && !reads.is_wrong => Next::Write(reads, writes, follow_up),
                    _ if is_guess => Next::Fetch(reads.missed),
                    Err(_) if reads.in_steps && self.step_records_max > 1 => Next::SmallerSteps,
                    Err(error) => Next::Fail(error),
                    Ok(()) => Next::Nothing(None),
                }
            }
            _ if is_guess => Next::Fetch(reads.missed),
            changes => Next::Nothing(changes.and_then(|changes| changes.follow_up)),
        }
    }

    async fn fetch(&mut self, missed: BTreeSet<Range>) -> Result<()> {
        match self.core.fetch(at(missed, &self.known), self.reading, self.deadline).await {
            Ok((revision, fetched)) => {
                let revision = if self.known.revision() == 0 { revision } else { self.known.revision() };
                self.known.learn(revision, fetched);
                Ok(())
            }
            // The revision was compacted, or the member asked now is behind: the known rows are useless now.
            Err(Failure::OtherRevision) => self.begin_anew().await,
            Err(failure) => Err(failure.into_error()),
        }
    }

    /// Returns false if the operation has to be tried again.
    async fn is_written(&mut self, reads: Reads, writes: Writes) -> Result<bool> {
        let (sender, outcome) = oneshot::channel();
        let send_state = Arc::new(SendState::default());
        let proposal =
            Proposal { reads, writes, send_state: Arc::clone(&send_state), deadline: self.deadline, outcome: sender };
        self.core.propose(proposal)?;
        match self.outcome(outcome, &send_state).await? {
            Outcome::Done => Ok(true),
            Outcome::Conflict(revision, found) => {
                self.back_off().await?;
                self.known.learn(revision, found);
                Ok(false)
            }
            Outcome::Outdated => self.begin_anew().await.map(|()| false),
            Outcome::Failed(error) => Err(error),
        }
    }

    /// Waits for the outcome, but only until the deadline if the proposal has not been sent by then.
    async fn outcome(&self, mut outcome: oneshot::Receiver<Outcome>, send_state: &SendState) -> Result<Outcome> {
        let stopped = |_| Error::OutcomeUnknown(StorageError::new("the committer stopped"));
        match tokio::time::timeout_at(self.deadline.into(), &mut outcome).await {
            Ok(outcome) => outcome.map_err(stopped),
            Err(_) if send_state.give_up() => Err(Error::Busy),
            Err(_) => outcome.await.map_err(stopped),
        }
    }

    async fn begin_anew(&mut self) -> Result<()> {
        self.known = Known::default();
        self.back_off().await
    }

    async fn back_off(&mut self) -> Result<()> {
        if Instant::now() >= self.deadline {
            return Err(Error::Busy);
        }
        self.conflicts += 1;
        if self.conflicts > 1 {
            let longest = (BACKOFF.0 * (1 << self.conflicts.min(10))).min(BACKOFF.1);
            tokio::time::sleep(longest.mul_f64(chance())).await;
        }
        Ok(())
    }
}

/// The ranges at the known revision, if there is one.
fn at(missed: BTreeSet<Range>, known: &Known) -> Vec<Range> {
    missed.into_iter().map(|range| Range { revision: known.revision(), ..range }).collect()
}

/// A random number from 0 to 1, so that operations in conflict do not retry at the same time.
fn chance() -> f64 {
    let mut byte = [0];
    // Without randomness they wait equally long.
    let _ = getrandom::fill(&mut byte);
    f64::from(byte[0]) / 255.0
}
