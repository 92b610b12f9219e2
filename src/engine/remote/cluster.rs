//! What the engine asks of a cluster: transactions on rows with revisions, as etcd has them.

use std::pin::Pin;
use std::time::Instant;

use crate::error::{Error, StorageError};

/// A cluster, or what stands in for one.
pub(crate) trait Cluster: Send + Sync {
    /// Carries out a transaction. One that only reads may be asked for again and again until the deadline; any other is
    /// sent once.
    fn txn(&self, txn: Txn, reading: Reading, deadline: Instant) -> Answering<'_>;

    /// How many operations or conditions a transaction may have, all of them along a path through nested ones together.
    fn ops_max(&self) -> usize;
}

pub(crate) type Answering<'c> = Pin<Box<dyn Future<Output = Result<Answer, Failure>> + Send + 'c>>;

/// Which state a transaction that only reads may see.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Reading {
    /// The newest, by the word of a majority.
    #[default]
    Newest,
    /// That of whichever member is asked.
    Stale,
}

/// Does one or the other of two things, by conditions on the state before it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Txn {
    pub(crate) conditions: Vec<Condition>,
    pub(crate) then: Vec<Op>,
    pub(crate) otherwise: Vec<Op>,
}

impl Txn {
    pub(crate) fn is_read_only(&self) -> bool {
        self.then.iter().chain(&self.otherwise).all(|op| match op {
            Op::Range(_) => true,
            Op::Put { .. } | Op::Delete { .. } => false,
            Op::Txn(txn) => txn.is_read_only(),
        })
    }
}

/// A row is as it was at its last change, whose revision it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) value: Vec<u8>,
    pub(crate) revision: i64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Condition {
    /// The row at the key was last changed at this revision; 0 if there is none.
    Unchanged { key: Vec<u8>, revision: i64 },
    /// There is a row at the key.
    Exists { key: Vec<u8> },
    /// Each row of the range was last changed at this revision or before.
    NoneAfter { start: Vec<u8>, end: Vec<u8>, revision: i64 },
    /// There is a row at the key, with this value.
    Value { key: Vec<u8>, value: Vec<u8> },
}

#[derive(Clone, Debug)]
pub(crate) enum Op {
    Range(Range),
    Put { key: Vec<u8>, value: Vec<u8> },
    Delete { key: Vec<u8> },
    Txn(Txn),
}

/// Reads the rows from `start` on that lie below `end`, or without an end the row at `start`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Range {
    pub(crate) start: Vec<u8>,
    pub(crate) end: Option<Vec<u8>>,
    /// How many rows at most; 0 for all.
    pub(crate) limit: usize,
    /// As it was at this revision; 0 for the newest.
    pub(crate) revision: i64,
    /// Only how many there are.
    pub(crate) count_only: bool,
}

impl Range {
    pub(crate) fn row(key: Vec<u8>) -> Self {
        Self { start: key, end: None, limit: 0, revision: 0, count_only: false }
    }

    pub(crate) fn rows(start: Vec<u8>, end: Vec<u8>, limit: usize) -> Self {
        Self { start, end: Some(end), limit, revision: 0, count_only: false }
    }
}

/// What a transaction came to.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    /// The revision after it.
    pub(crate) revision: i64,
    pub(crate) done: Done,
}

#[derive(Clone, Debug)]
pub(crate) struct Done {
    /// Whether the conditions held.
    pub(crate) held: bool,
    /// What each operation of the branch found that was taken.
    pub(crate) results: Vec<Found>,
}

#[derive(Clone, Debug)]
pub(crate) enum Found {
    Rows(Rows),
    Changed,
    Txn(Done),
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Rows {
    pub(crate) rows: Vec<(Vec<u8>, Row)>,
    /// Whether there are more than the limit allowed.
    pub(crate) more: bool,
    /// How many rows the range has.
    pub(crate) count: u64,
}

impl Found {
    pub(crate) fn into_rows(self) -> Rows {
        match self {
            Self::Rows(rows) => rows,
            Self::Changed | Self::Txn(_) => Rows::default(),
        }
    }
}

/// Why there is no answer.
#[derive(Clone, Debug)]
pub(crate) enum Failure {
    /// It was not carried out and never will be.
    Refused(Error),
    /// The revision to be read at is gone already, or not there yet.
    OtherRevision,
    /// There is no space left. It was carried out, or never will be.
    Full(StorageError),
    /// It may have been carried out, or may yet be.
    Unknown(StorageError),
}

impl Failure {
    /// For a transaction that reads, which may be asked for again by whoever called.
    pub(crate) fn into_error(self) -> Error {
        match self {
            Self::Refused(error) => error,
            Self::OtherRevision => Error::corrupt("the cluster does not have the revision that was to be read"),
            Self::Full(error) | Self::Unknown(error) => Error::Storage(error),
        }
    }
}
