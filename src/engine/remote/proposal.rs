//! A proposal: what an operation has read and wants written, on its way to the committer.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Instant;

use tokio::sync::oneshot;

use super::cluster::{Found, Op, Range, Txn};
use super::known::Reads;
use crate::error::Error;

/// An operation that is ready to be written.
pub(super) struct Proposal {
    pub(super) reads: Reads,
    /// The new value of each changed row, or none where it is to be removed.
    pub(super) writes: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    pub(super) ticket: Arc<Ticket>,
    pub(super) deadline: Instant,
    pub(super) verdict: oneshot::Sender<Verdict>,
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

/// What became of a proposal.
pub(super) enum Verdict {
    Done,
    /// It was not written and never will be: something that it read has changed. This is how that is now.
    Conflict(i64, Vec<(Range, Found)>),
    /// It was not written and never will be, and is to be tried anew.
    Outdated,
    /// It was not written, or it is not known whether it was.
    Failed(Error),
}

/// Whether a proposal was sent, or is given up by whoever waits for it.
#[derive(Default)]
pub(super) struct Ticket(AtomicU8);

impl Ticket {
    const WAITING: u8 = 0;
    const SENT: u8 = 1;
    const GIVEN_UP: u8 = 2;

    /// Answers false if it was given up.
    pub(super) fn send(&self) -> bool {
        self.set(Self::SENT)
    }

    /// Answers false if it was sent.
    pub(super) fn give_up(&self) -> bool {
        self.set(Self::GIVEN_UP)
    }

    fn set(&self, to: u8) -> bool {
        self.0.compare_exchange(Self::WAITING, to, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }
}

/// What a key has now.
pub(super) enum Written {
    Row,
    Nothing,
}
