//! A proposal: what an operation has read and wants to write, on its way to the committer.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Instant;

use tokio::sync::oneshot;

use super::cluster::{Found, Op, Range, Txn};
use super::known::Reads;
use crate::error::Error;

/// The reads and writes of an operation that is ready to commit.
pub(super) struct Proposal {
    pub(super) reads: Reads,
    /// The new value of each changed row. None to remove the row.
    pub(super) writes: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    pub(super) send_state: Arc<SendState>,
    pub(super) deadline: Instant,
    pub(super) outcome: oneshot::Sender<Outcome>,
}

impl Proposal {
    pub(super) fn txn(&self) -> Txn {
        let write = |(key, value): &(Vec<u8>, Option<Vec<u8>>)| match value.clone() {
            Some(value) => Op::Put { key: key.clone(), value },
            None => Op::Delete { key: key.clone() },
        };
        Txn {
            conditions: self.reads.conditions(),
            then: self.writes.iter().map(write).collect(),
            otherwise: self.reads.again().into_iter().map(Op::Range).collect(),
        }
    }

    pub(super) fn writes_to(&self, key: &[u8]) -> Option<Written> {
        let (_, value) = self.writes.iter().find(|(changed, _)| changed == key)?;
        Some(if value.is_some() { Written::Row } else { Written::Nothing })
    }
}

/// The outcome of a proposal.
pub(super) enum Outcome {
    Done,
    /// Not written, and never will be: something that it read has changed, and now has these values at this revision.
    Conflict(i64, Vec<(Range, Found)>),
    /// Not written, and never will be: retry.
    Outdated,
    /// Not written, or the outcome is unknown.
    Failed(Error),
}

/// Whether the proposal was sent, or its operation has given up.
#[derive(Default)]
pub(super) struct SendState(AtomicU8);

impl SendState {
    const WAITING: u8 = 0;
    const SENT: u8 = 1;
    const GIVEN_UP: u8 = 2;

    /// Marks the proposal as sent. Returns false if the operation has given up.
    pub(super) fn mark_sent(&self) -> bool {
        self.set(Self::SENT)
    }

    /// Gives up. Returns false if the proposal was sent.
    pub(super) fn give_up(&self) -> bool {
        self.set(Self::GIVEN_UP)
    }

    fn set(&self, to: u8) -> bool {
        self.0.compare_exchange(Self::WAITING, to, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }
}

/// The new state of a key.
pub(super) enum Written {
    Row,
    Nothing,
}
