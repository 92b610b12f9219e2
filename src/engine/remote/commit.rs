//! The committer: sends waiting proposals as one transaction with one receipt, as many as fit, and reports each one's
//! outcome.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::batch::Batch;
use super::cluster::{Answer, Condition, Failure, Found, Op, Range, Reading, Rows, Txn};
use super::proposal::{Outcome, Proposal};
use super::queue::Queue;
use super::receipt::{Receipt, is_abandoned};
use super::shared::Core;
use crate::error::{Error, Result, StorageError};
use crate::kv::key::prefix_end;

/// The delay before asking again for the outcome of a transaction.
const PAUSE: Duration = Duration::from_millis(25);
/// How long each of the first attempts to learn an outcome may take. Requests to a member are lost while the cluster
/// elects a leader, so asking again soon ends the wait soon after the election.
const QUICK: Duration = Duration::from_millis(300);
const QUICK_TRIES: u32 = 10;
/// How long the last request to the cluster may take.
const RETIRING: Duration = Duration::from_secs(1);
/// How many receipts of processes are checked when a process opens the store.
const TIDIED_MAX: usize = 1_000;

/// The possible receipts of this process after a transaction whose answer was lost.
struct PossibleReceipts {
    /// The transaction was carried out.
    carried: Receipt,
    /// It was not and never will be.
    never: Receipt,
    /// Whether a fence prevents it, so that it can be retried; otherwise the cluster did not accept it.
    fenced: bool,
}

pub(super) struct Committer {
    core: Arc<Core>,
    /// None before the first write, and when its contents are unknown.
    receipt: Option<Receipt>,
}

impl Committer {
    pub(super) fn new(core: Arc<Core>) -> Self {
        Self { core, receipt: None }
    }

    /// Works until no more proposals can arrive.
    pub(super) async fn run(mut self, proposals: mpsc::UnboundedReceiver<Proposal>) {
        let mut queue = Queue::new(proposals);
        while queue.fill().await {
            let (batch, conflicting) = Batch::take(&mut queue.waiting, self.core.cluster.ops_max());
            if !batch.is_empty() {
                let began = Instant::now();
                let outcomes = self.commit(&batch).await;
                queue.answered(batch.len(), began.elapsed());
                for (proposal, outcome) in batch.into_iter().zip(outcomes) {
                    let _ = proposal.outcome.send(outcome);
                }
            }
            for proposal in conflicting {
                let _ = proposal.outcome.send(Outcome::Outdated);
            }
        }
        self.retire().await;
    }

    /// Commits a batch and returns one outcome for each proposal.
    async fn commit(&mut self, batch: &[Proposal]) -> Vec<Outcome> {
        let deadline = batch.iter().map(|proposal| proposal.deadline).max().unwrap_or_else(Instant::now);
        let receipt = match self.receipt(deadline).await {
            Ok(receipt) => receipt,
            Err(error) => return all(batch, || Outcome::Failed(error.clone())),
        };
        let next = receipt.next();
        let txn = self.txn(batch, &receipt, &next);
        match self.core.cluster.txn(txn, Reading::Newest, deadline).await {
            Ok(answer) if answer.done.held => {
                self.receipt = Some(next);
                self.outcomes(batch, answer)
            }
            Ok(answer) => self.not_held(batch, &next, answer, deadline).await,
            // A single proposal may be the reason.
            Err(Failure::Refused(_)) if batch.len() > 1 => self.commit_each(batch).await,
            Err(Failure::Refused(error)) => all(batch, || Outcome::Failed(error.clone())),
            Err(Failure::Full(why)) => {
                let look = Txn { then: vec![look_up(&receipt.key)], ..Txn::default() };
                self.resolve(
                    batch,
                    PossibleReceipts { carried: next, never: receipt, fenced: false },
                    look,
                    &why,
                    deadline,
                )
                .await
            }
            Err(failure) => {
                let never = receipt.fenced();
                let fence = Txn {
                    conditions: vec![is(&receipt)],
                    then: vec![put(&never), look_up(&receipt.key)],
                    otherwise: vec![look_up(&receipt.key)],
                };
                let possible = PossibleReceipts { carried: next, never, fenced: true };
                self.resolve(batch, possible, fence, &unanswered(failure), deadline).await
            }
        }
    }

    async fn commit_each(&mut self, batch: &[Proposal]) -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        for proposal in batch {
            outcomes.extend(Box::pin(self.commit(std::slice::from_ref(proposal))).await);
        }
        outcomes
    }

    /// The receipt of this process, created if there is none.
    async fn receipt(&mut self, deadline: Instant) -> Result<Receipt> {
        if let Some(receipt) = &self.receipt {
            return Ok(receipt.clone());
        }
        let receipt = Receipt::new(&self.core.keys)?;
        let make = Txn {
            conditions: vec![Condition::Unchanged { key: receipt.key.clone(), revision: 0 }],
            then: vec![put(&receipt)],
            otherwise: Vec::new(),
        };
        loop {
            let why = match self.core.cluster.txn(make.clone(), Reading::Newest, deadline).await {
                // If it already exists, an attempt whose answer was lost has created it.
                Ok(_) => return Ok(self.receipt.insert(receipt).clone()),
                Err(Failure::Refused(error)) => return Err(error),
                Err(Failure::Full(why)) => return Err(Error::Storage(why)),
                Err(failure) => unanswered(failure),
            };
            if Instant::now() + PAUSE >= deadline {
                return Err(Error::Storage(why));
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn txn(&self, batch: &[Proposal], receipt: &Receipt, next: &Receipt) -> Txn {
        let watched = self.core.watched();
        let unchanged =
            watched.iter().map(|(key, revision)| Condition::Unchanged { key: key.clone(), revision: *revision });
        Txn {
            conditions: [is(receipt)].into_iter().chain(unchanged).collect(),
            then: [put(next)].into_iter().chain(batch.iter().map(|proposal| Op::Txn(proposal.txn()))).collect(),
            otherwise: [&receipt.key]
                .into_iter()
                .chain(watched.iter().map(|(key, _)| key))
                .map(|key| look_up(key))
                .collect(),
        }
    }

    fn outcomes(&self, batch: &[Proposal], answer: Answer) -> Vec<Outcome> {
        let revision = answer.revision;
        let results = answer.done.results.into_iter().skip(1).map(Some).chain(std::iter::repeat_with(|| None));
        let outcome = |(proposal, result): (&Proposal, Option<Found>)| match result {
            Some(Found::Txn(done)) if done.held => {
                self.core.has_changed(revision, |key| proposal.writes_to(key));
                Outcome::Done
            }
            Some(Found::Txn(done)) => {
                Outcome::Conflict(revision, proposal.reads.again().into_iter().zip(done.results).collect())
            }
            _ => Outcome::Failed(Error::OutcomeUnknown(StorageError::new("the cluster's answer lacks a part"))),
        };
        batch.iter().zip(results).map(outcome).collect()
    }

    /// Handles a transaction whose conditions did not hold this time.
    async fn not_held(
        &mut self,
        batch: &[Proposal],
        next: &Receipt,
        answer: Answer,
        deadline: Instant,
    ) -> Vec<Outcome> {
        // The next transaction cannot rely on the receipt's contents if a repeated request may still be carried out.
        self.receipt = None;
        let mut found = answer.done.results.into_iter().map(|found| found.into_rows().rows.pop().map(|(_, row)| row));
        if let Some(row) = found.next().flatten()
            && row.value == next.value
        {
            self.receipt = Some(next.clone());
            return self.outcomes_at(batch, row.revision, deadline).await;
        }
        match self.core.watch(found.map(|row| row.map_or(0, |row| row.revision)).collect()) {
            Ok(()) => all(batch, || Outcome::Outdated),
            Err(error) => all(batch, || Outcome::Failed(error.clone())),
        }
    }

    /// Finds out the outcome of a transaction whose answer was lost. `ask` reads this process's receipt, after making
    /// sure that the transaction cannot be carried out from now on.
    async fn resolve(
        &mut self,
        batch: &[Proposal],
        possible: PossibleReceipts,
        ask: Txn,
        why: &StorageError,
        deadline: Instant,
    ) -> Vec<Outcome> {
        self.receipt = None;
        for tries in 0.. {
            let until = if tries < QUICK_TRIES { deadline.min(Instant::now() + QUICK) } else { deadline };
            match self.core.cluster.txn(ask.clone(), Reading::Newest, until).await {
                Ok(answer) => {
                    let row = answer.done.results.into_iter().find_map(|found| found.into_rows().rows.pop());
                    return match row {
                        Some((_, row)) if row.value == possible.carried.value => {
                            self.receipt = Some(possible.carried);
                            self.outcomes_at(batch, row.revision, deadline).await
                        }
                        Some((_, row)) if row.value == possible.never.value && possible.fenced => {
                            self.receipt = Some(possible.never);
                            all(batch, || Outcome::Outdated)
                        }
                        Some((_, row)) if row.value == possible.never.value => {
                            all(batch, || Outcome::Failed(Error::Storage(why.clone())))
                        }
                        _ => all(batch, || Outcome::Failed(Error::OutcomeUnknown(why.clone()))),
                    };
                }
                Err(_) if Instant::now() + PAUSE < deadline => tokio::time::sleep(PAUSE).await,
                Err(_) => break,
            }
        }
        all(batch, || Outcome::Failed(Error::OutcomeUnknown(why.clone())))
    }

    /// The outcome of each proposal in a transaction that was carried out at this revision, found by comparing its
    /// conditions with the state before.
    async fn outcomes_at(&self, batch: &[Proposal], revision: i64, deadline: Instant) -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        for proposal in batch {
            let ranges = proposal.reads.again().into_iter().map(|range| Range { revision: revision - 1, ..range });
            outcomes.push(match self.core.fetch(ranges.collect(), Reading::Newest, deadline).await {
                Ok((_, state)) => {
                    let state: Vec<Rows> = state.into_iter().map(|(_, found)| found.into_rows()).collect();
                    if proposal.reads.held(&state) {
                        self.core.has_changed(revision, |key| proposal.writes_to(key));
                        Outcome::Done
                    } else {
                        Outcome::Outdated
                    }
                }
                Err(_) => {
                    let why = "the answer was lost, and the state before the write is not there any more";
                    Outcome::Failed(Error::OutcomeUnknown(StorageError::new(why)))
                }
            });
        }
        outcomes
    }

    /// Removes some receipts of processes that are gone. The rest are removed another time.
    pub(super) async fn tidy(core: &Core) {
        let start = core.keys.receipts();
        let deadline = Instant::now() + core.config.timeout;
        let Some(all) = prefix_end(start.clone()).map(|end| Range::rows(start, end, TIDIED_MAX)) else {
            return;
        };
        let Ok((_, found)) = core.fetch(vec![all], Reading::Newest, deadline).await else {
            return;
        };
        let rows = found.into_iter().flat_map(|(_, found)| found.into_rows().rows);
        for (key, row) in rows.filter(|(_, row)| is_abandoned(&row.value)) {
            let conditions = vec![Condition::Unchanged { key: key.clone(), revision: row.revision }];
            let remove = Txn { conditions, then: vec![Op::Delete { key }], ..Txn::default() };
            let _ = core.cluster.txn(remove, Reading::Newest, deadline).await;
        }
    }

    /// Closes the receipt of this process, so that no earlier request can be carried out any more. The receipt is
    /// removed by age, not here: a late copy of the request that created it would create it again, and then a late copy
    /// of the first transaction could succeed.
    async fn retire(&mut self) {
        if let Some(receipt) = self.receipt.take() {
            let retire = Txn { conditions: vec![is(&receipt)], then: vec![put(&receipt.closed())], ..Txn::default() };
            let _ = self.core.cluster.txn(retire, Reading::Newest, Instant::now() + RETIRING).await;
        }
    }
}

fn all(batch: &[Proposal], outcome: impl Fn() -> Outcome) -> Vec<Outcome> {
    batch.iter().map(|_| outcome()).collect()
}

fn is(receipt: &Receipt) -> Condition {
    Condition::Value { key: receipt.key.clone(), value: receipt.value.clone() }
}

fn put(receipt: &Receipt) -> Op {
    Op::Put { key: receipt.key.clone(), value: receipt.value.clone() }
}

fn look_up(key: &[u8]) -> Op {
    Op::Range(Range::row(key.to_vec()))
}

fn unanswered(failure: Failure) -> StorageError {
    match failure {
        Failure::Full(why) | Failure::Unknown(why) => why,
        Failure::Refused(_) | Failure::OtherRevision => StorageError::new("the cluster gave no answer"),
    }
}
