//! Which proposals share a transaction: those of which none changes what another one reads or changes, for the cluster
//! compares the conditions of all with the state before any of them; and as many as its limits allow.

use std::collections::{BTreeSet, HashSet, VecDeque};

use super::known::Reads;
use super::proposal::Proposal;
use crate::error::{Error, Result, StorageError};

/// How many proposals share a transaction at most. Each costs those beside it an operation of the transaction's limit.
pub(super) const PROPOSALS_MAX: usize = 64;
/// How many bytes they have together at most, unless one alone has more.
const BATCH_BYTES_MAX: usize = 1 << 20;
/// How many bytes one may have: a request to etcd may have 1.5 MiB, and this is counted generously.
const BYTES_MAX: usize = 1_400 << 10;
/// How many conditions and operations surround the proposals, besides the proposals themselves.
const AROUND: usize = 4;

#[derive(Default)]
pub(super) struct Batch {
    proposals: Vec<Proposal>,
    changed: BTreeSet<Vec<u8>>,
    /// The keys that were looked up, and from where to where ranges were read.
    points: HashSet<Vec<u8>>,
    spans: Vec<(Vec<u8>, Vec<u8>)>,
    /// How many operations the largest has.
    ops: usize,
    bytes: usize,
}

impl Batch {
    /// Takes from what waits those that share the next transaction, and those that have to be tried anew after it.
    pub(super) fn take(waiting: &mut VecDeque<Proposal>, ops_max: usize) -> (Vec<Proposal>, Vec<Proposal>) {
        let (mut batch, mut in_the_way, mut left) = (Self::default(), Vec::new(), VecDeque::new());
        while let Some(proposal) = waiting.pop_front() {
            if batch.conflicts(&proposal) {
                in_the_way.push(proposal);
            } else if !batch.has_room(&proposal, ops_max) {
                left.push_back(proposal);
            } else if proposal.ticket.send() {
                batch.push(proposal);
            }
        }
        *waiting = left;
        (batch.proposals, in_the_way)
    }

    /// What one is told of its rows, if its conditions do not hold, must be of the state after the transaction; so nobody
    /// may change what one that comes before has read either.
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

/// What an operation wants to write.
pub(super) type Writes = Vec<(Vec<u8>, Option<Vec<u8>>)>;

/// Whether an operation fits into a transaction of its own.
///
/// # Errors
/// What is too large about it.
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

/// Every key comes twice, in a condition and in what is read if that does not hold.
fn bytes(reads: &Reads, writes: &Writes) -> usize {
    /// What surrounds a key or value in a request.
    const EACH: usize = 16;
    let written = writes.iter().map(|(key, value)| key.len() + value.as_ref().map_or(0, Vec::len) + 2 * EACH);
    reads.key_bytes(EACH) + written.sum::<usize>()
}
