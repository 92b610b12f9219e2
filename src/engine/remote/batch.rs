//! Choosing proposals to share a transaction: none of them changes a row that another one reads or changes, because the
//! cluster compares all conditions with the state before the transaction. The cluster's limits bound their number.

use std::collections::{BTreeSet, HashSet, VecDeque};

use super::known::Reads;
use super::proposal::Proposal;
use crate::error::{Error, Result, StorageError};

/// How many proposals share a transaction at most. Each one uses up an operation of the transaction's limit.
pub(super) const PROPOSALS_MAX: usize = 64;
/// How many bytes the proposals of a transaction have at most, unless a single one has more.
const BATCH_BYTES_MAX: usize = 1 << 20;
/// How many bytes one proposal may have: a request to etcd may have 1.5 MiB, and this count errs on the high side.
const BYTES_MAX: usize = 1_400 << 10;
/// How many conditions and operations a transaction has besides those of its proposals.
const AROUND: usize = 4;

#[derive(Default)]
pub(super) struct Batch {
    proposals: Vec<Proposal>,
    changed: BTreeSet<Vec<u8>>,
    /// The keys that were looked up, and the start and end of the ranges that were read.
    points: HashSet<Vec<u8>>,
    spans: Vec<(Vec<u8>, Vec<u8>)>,
    /// The operations of the largest proposal.
    ops: usize,
    bytes: usize,
}

impl Batch {
    /// Takes waiting proposals for the next transaction. Also returns those that conflict with it and have to be
    /// retried after it.
    pub(super) fn take(waiting: &mut VecDeque<Proposal>, ops_max: usize) -> (Vec<Proposal>, Vec<Proposal>) {
        let (mut batch, mut conflicting, mut left) = (Self::default(), Vec::new(), VecDeque::new());
        while let Some(proposal) = waiting.pop_front() {
            if batch.conflicts(&proposal) {
                conflicting.push(proposal);
            } else if !batch.has_room(&proposal, ops_max) {
                left.push_back(proposal);
            } else if proposal.send_state.mark_sent() {
                batch.push(proposal);
            }
        }
        *waiting = left;
        (batch.proposals, conflicting)
    }

    /// True if the proposal conflicts with the batch. If a proposal's conditions fail, the rows returned for it must be
    /// those after the transaction; so no later proposal may change what an earlier one has read either.
    fn conflicts(&self, new: &Proposal) -> bool {
        let is_read = |key: &Vec<u8>| {
            self.points.contains(key) || self.spans.iter().any(|(start, end)| (start..end).contains(&key))
        };
        let is_changed_within = |(start, end): (&Vec<u8>, &Vec<u8>)| {
            start < end && self.changed.range::<Vec<u8>, _>(start..end).next().is_some()
        };
        new.writes.iter().any(|(key, _)| self.changed.contains(key) || is_read(key))
            || new.reads.points().any(|key| self.changed.contains(key))
            || new.reads.spans().any(is_changed_within)
    }

    fn has_room(&self, new: &Proposal, ops_max: usize) -> bool {
        let count = self.proposals.len() + 1;
        let ops = self.ops.max(ops(&new.reads, new.writes.len()));
        count == 1
            || (count <= PROPOSALS_MAX
                && ops + count + AROUND <= ops_max
                && self.bytes + bytes(&new.reads, &new.writes) <= BATCH_BYTES_MAX)
    }

    fn push(&mut self, new: Proposal) {
        self.changed.extend(new.writes.iter().map(|(key, _)| key.clone()));
        self.points.extend(new.reads.points().cloned());
        self.spans.extend(new.reads.spans().map(|(start, end)| (start.clone(), end.clone())));
        self.ops = self.ops.max(ops(&new.reads, new.writes.len()));
        self.bytes += bytes(&new.reads, &new.writes);
        self.proposals.push(new);
    }
}

/// The rows that an operation writes.
pub(super) type Writes = Vec<(Vec<u8>, Option<Vec<u8>>)>;

/// Checks that an operation fits into a transaction of its own.
///
/// # Errors
/// The limit that it exceeds.
pub(super) fn check_size(reads: &Reads, writes: &Writes, ops_max: usize) -> Result<()> {
    if ops(reads, writes.len()) + 1 + AROUND > ops_max {
        return Err(Error::Storage(StorageError::new(
            "the operation has more rows than a transaction of the cluster may",
        )));
    }
    if bytes(reads, writes) > BYTES_MAX {
        return Err(Error::Storage(StorageError::new(
            "the operation has more bytes than a request to the cluster may",
        )));
    }
    Ok(())
}

fn ops(reads: &Reads, writes: usize) -> usize {
    reads.conditions().len().max(writes)
}

/// Every key is sent twice: in a condition, and in the read in case the condition fails.
fn bytes(reads: &Reads, writes: &Writes) -> usize {
    /// The overhead of a key or value in a request.
    const EACH: usize = 16;
    let written = writes.iter().map(|(key, value)| key.len() + value.as_ref().map_or(0, Vec::len) + 2 * EACH);
    reads.key_bytes(EACH) + written.sum::<usize>()
}
