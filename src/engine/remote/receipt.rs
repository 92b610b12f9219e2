//! Receipts: how a process finds out whether a transaction was carried out whose answer was lost.
//!
//! Each process has one row, with a number in it. A transaction that writes is carried out only if the row has the value
//! that the process last saw, and gives it the next number. When its answer is lost, a fence does the same with nothing
//! else in it, and another mark. Whichever of the two comes first is the only one: if the fence, the transaction never will
//! be carried out; else the row says that it was, and its revision says when. A row is never used again once it is not
//! known what it holds, and never removed while its process could ask for it.

use std::time::{SystemTime, UNIX_EPOCH};

use super::keys::Keys;
use crate::error::{Error, Result, StorageError};

/// After how long the row of a process that is gone may be removed, in milliseconds: far longer than anybody waits for an
/// answer.
const ABANDONED_AFTER_MS: u64 = 24 * 60 * 60 * 1_000;

#[derive(Clone, Copy)]
enum Mark {
    Carried = 0,
    Fenced = 1,
    Closed = 2,
}

/// The row of this process, as it is now.
#[derive(Clone)]
pub(super) struct Receipt {
    pub(super) key: Vec<u8>,
    number: u64,
    pub(super) value: Vec<u8>,
}

impl Receipt {
    /// A row that nobody has had.
    pub(super) fn new(keys: &Keys) -> Result<Self> {
        let mut id = [0; 16];
        getrandom::fill(&mut id).map_err(|error| {
            Error::Storage(StorageError::caused("the operating system gives no random numbers", error))
        })?;
        Ok(Self { key: keys.receipt(&id), number: 0, value: value(0, Mark::Carried) })
    }

    /// As the next transaction leaves it.
    pub(super) fn next(&self) -> Self {
        self.marked(Mark::Carried)
    }

    /// As a fence leaves it that comes in the place of that transaction.
    pub(super) fn fenced(&self) -> Self {
        self.marked(Mark::Fenced)
    }

    /// As a process leaves it that writes no more.
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

/// Whether a row with this value is of a process that is gone, as far as clocks can tell.
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
