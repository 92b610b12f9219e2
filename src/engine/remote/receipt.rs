//! Receipts: how a process finds out whether a transaction was carried out although its answer was lost.
//!
//! Each process has one row that contains a number. A transaction that writes is conditional on the value that the
//! process last saw in the row, and replaces it with the next number. If its answer is lost, the process sends a fence:
//! a transaction that does only this, with another mark. Only the first of the two can succeed. If it is the fence, the
//! transaction never will; otherwise the row says that it did, and the row's revision says when. A row is never used
//! again once its contents are unknown, and never removed while its process could ask for it.

use std::time::{SystemTime, UNIX_EPOCH};

use super::keys::Keys;
use crate::error::{Error, Result, StorageError};

/// The age in milliseconds after which the receipt of a process that is gone may be removed: far longer than any caller
/// waits for an answer.
const ABANDONED_AFTER_MS: u64 = 24 * 60 * 60 * 1_000;

#[derive(Clone, Copy)]
enum Mark {
    Carried = 0,
    Fenced = 1,
    Closed = 2,
}

/// The receipt row of this process in its current state.
#[derive(Clone)]
pub(super) struct Receipt {
    pub(super) key: Vec<u8>,
    number: u64,
    pub(super) value: Vec<u8>,
}

impl Receipt {
    /// A row that no process has used.
    pub(super) fn new(keys: &Keys) -> Result<Self> {
        let mut id = [0; 16];
        getrandom::fill(&mut id).map_err(|error| {
            Error::Storage(StorageError::caused("the operating system gives no random numbers", error))
        })?;
        Ok(Self { key: keys.receipt(&id), number: 0, value: value(0, Mark::Carried) })
    }

    /// The row after the next transaction.
    pub(super) fn next(&self) -> Self {
        self.marked(Mark::Carried)
    }

    /// The row after a fence in place of that transaction.
    pub(super) fn fenced(&self) -> Self {
        self.marked(Mark::Fenced)
    }

    /// The row after the process has stopped writing.
    pub(super) fn closed(&self) -> Self {
        self.marked(Mark::Closed)
    }

    fn marked(&self, mark: Mark) -> Self {
        let number = self.number + 1;
        Self { key: self.key.clone(), number, value: value(number, mark) }
    }
}

fn value(number: u64, mark: Mark) -> Vec<u8> {
    [&number.to_be_bytes()[..], &[mark as u8], &now_ms().to_be_bytes()].concat()
}

/// True if the row's process is gone, as far as clocks can tell.
pub(super) fn is_abandoned(value: &[u8]) -> bool {
    let Some((_, written)) = value.split_last_chunk() else {
        return true;
    };
    now_ms().saturating_sub(u64::from_be_bytes(*written)) > ABANDONED_AFTER_MS
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
