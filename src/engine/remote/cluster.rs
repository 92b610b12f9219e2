//! The engine's interface to a cluster: transactions on rows with revisions, as in etcd.

use std::pin::Pin;
use std::time::Instant;

use crate::error::{Error, StorageError};

/// A cluster, or a test's substitute for one.
pub(crate) trait Cluster: Send + Sync {
    /// Carries out a transaction. A read-only one may be sent repeatedly until the deadline; any other is sent once.
    fn txn(&self, txn: Txn, reading: Reading, deadline: Instant) -> Answering<'_>;

    /// How many operations or conditions a transaction may have, counted along a path through nested transactions.
    fn ops_max(&self) -> usize;
}

pub(crate) type Answering<'c> = Pin<Box<dyn Future<Output = Result<Answer, Failure>> + Send + 'c>>;

/// Which state a read-only transaction may see.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Reading {
    /// The newest state, confirmed by a majority.
    #[default]
    Newest,
    /// The state of the member that is asked.
    Stale,
}

/// Conditions on the state before the transaction, and what to do if they hold or fail.
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

/// A row with the revision of its last change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) value: Vec<u8>,
    pub(crate) revision: i64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Condition {
    /// The row at the key was last changed at this revision; 0 if it does not exist.
    Unchanged { key: Vec<u8>, revision: i64 },
    /// A row exists at the key.
    Exists { key: Vec<u8> },
    /// No row of the range was changed after this revision.
    NoneAfter { start: Vec<u8>, end: Vec<u8>, revision: i64 },
    /// The row at the key exists and has this value.
    Value { key: Vec<u8>, value: Vec<u8> },
}

#[derive(Clone, Debug)]
pub(crate) enum Op {
    Range(Range),
    Put { key: Vec<u8>, value: Vec<u8> },
    Delete { key: Vec<u8> },
    Txn(Txn),
}

/// Reads the rows from `start` up to but excluding `end`. Without an end it reads the row at `start`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Range {
    pub(crate) start: Vec<u8>,
    pub(crate) end: Option<Vec<u8>>,
    /// The maximum number of rows; 0 for all.
    pub(crate) limit: usize,
    /// The revision to read at; 0 for the newest.
    pub(crate) revision: i64,
    /// Count the rows instead of reading them.
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

/// The result of a transaction.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    /// The cluster's revision after the transaction.
    pub(crate) revision: i64,
    pub(crate) done: Done,
}

#[derive(Clone, Debug)]
pub(crate) struct Done {
    /// Whether the conditions held.
    pub(crate) held: bool,
    /// The result of each operation in the branch that was taken.
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
    /// Whether the range has more rows than the limit.
    pub(crate) more: bool,
    /// How many rows the whole range has.
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

/// Why a transaction has no answer.
#[derive(Clone, Debug)]
pub(crate) enum Failure {
    /// Not carried out, and never will be.
    Refused(Error),
    /// The revision to read at is compacted, or not reached yet.
    OtherRevision,
    /// The cluster has no space left. The transaction was carried out or never will be.
    Full(StorageError),
    /// The transaction may have been carried out, or may yet be.
    Unknown(StorageError),
}

impl Failure {
    /// The error for a failed read, which the caller may repeat.
    pub(crate) fn into_error(self) -> Error {
        match self {
            Self::Refused(error) => error,
            Self::OtherRevision => Error::corrupt("the cluster does not have the revision that was to be read"),
            Self::Full(error) | Self::Unknown(error) => Error::Storage(error),
        }
    }
}
