//! A cluster in memory: all revisions of all rows, with etcd's rules and limits for transactions.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;

use crate::engine::remote::cluster::{
    Answer, Answering, Cluster, Condition, Done, Failure, Found, Op, Range, Reading, Row, Rows, Txn,
};
use crate::error::{Error, StorageError};

#[derive(Clone)]
pub(super) struct Memory(Arc<Mutex<State>>);

struct State {
    revision: i64,
    /// Revisions before this one cannot be read.
    compacted: i64,
    rows: BTreeMap<Vec<u8>, History>,
    requests: usize,
    ops_max: usize,
}

/// The values of a row with their revisions; `None` where it was removed.
type History = Vec<(i64, Option<Vec<u8>>)>;

impl Memory {
    pub(super) fn new() -> Self {
        let state = State { revision: 1, compacted: 0, rows: BTreeMap::new(), requests: 0, ops_max: 128 };
        Self(Arc::new(Mutex::new(state)))
    }

    /// How many requests have been answered.
    pub(super) fn requests(&self) -> usize {
        self.0.lock().requests
    }

    /// Forgets all earlier revisions.
    pub(super) fn compact(&self) {
        let mut state = self.0.lock();
        state.compacted = state.revision;
    }

    /// The keys of all existing rows.
    pub(super) fn keys(&self) -> Vec<Vec<u8>> {
        let state = self.0.lock();
        state
            .rows
            .iter()
            .filter(|(_, history)| history.last().unwrap().1.is_some())
            .map(|(key, _)| key.clone())
            .collect()
    }

    /// How often the row at a key has changed.
    pub(super) fn changes(&self, key: &[u8]) -> usize {
        self.0.lock().rows.get(key).map_or(0, Vec::len)
    }

    pub(super) fn put(&self, key: &[u8], value: &[u8]) {
        let put = Op::Put { key: key.to_vec(), value: value.to_vec() };
        self.carry_out(&Txn { then: vec![put], ..Txn::default() }).unwrap();
    }

    pub(super) fn carry_out(&self, txn: &Txn) -> Result<Answer, Failure> {
        let mut state = self.0.lock();
        state.requests += 1;
        if let Err(why) = check_ops(txn, state.ops_max).and_then(|()| check_keys(txn).map(drop)) {
            return Err(Failure::Refused(Error::Storage(StorageError::new(why))));
        }
        if ranges(txn)
            .iter()
            .any(|range| range.revision > state.revision || (range.revision > 0 && range.revision < state.compacted))
        {
            return Err(Failure::OtherRevision);
        }
        let path = state.path(txn);
        let now = state.revision + 1;
        let done = state.apply(txn, &path, now);
        Ok(Answer { revision: state.revision, done })
    }
}

impl Cluster for Memory {
    fn txn(&self, txn: Txn, _: Reading, _: Instant) -> Answering<'_> {
        Box::pin(async move { self.carry_out(&txn) })
    }

    fn ops_max(&self) -> usize {
        self.0.lock().ops_max
    }
}

/// The branch that each transaction takes, with the nested transactions of that branch in order.
struct Path {
    held: bool,
    nested: Vec<Path>,
}

impl State {
    fn path(&self, txn: &Txn) -> Path {
        let held = txn.conditions.iter().all(|condition| self.holds(condition));
        let nested = branch(txn, held).iter().filter_map(|op| match op {
            Op::Txn(txn) => Some(self.path(txn)),
            _ => None,
        });
        Path { held, nested: nested.collect() }
    }

    fn holds(&self, condition: &Condition) -> bool {
        match condition {
            Condition::Unchanged { key, revision } => {
                self.row(key, self.revision).map_or(0, |row| row.revision) == *revision
            }
            Condition::Exists { key } => self.row(key, self.revision).is_some(),
            Condition::NoneAfter { start, end, revision } => self
                .read(&Range::rows(start.clone(), end.clone(), 0))
                .rows
                .iter()
                .all(|(_, row)| row.revision <= *revision),
            Condition::Value { key, value } => self.row(key, self.revision).is_some_and(|row| row.value == *value),
        }
    }

    fn apply(&mut self, txn: &Txn, path: &Path, now: i64) -> Done {
        let mut nested = path.nested.iter();
        let result = |op: &Op| match op {
            Op::Range(range) => Found::Rows(self.read(range)),
            Op::Put { key, value } => {
                self.change(key, Some(value.clone()), now);
                Found::Changed
            }
            Op::Delete { key } => {
                if self.row(key, now).is_some() {
                    self.change(key, None, now);
                }
                Found::Changed
            }
            Op::Txn(txn) => Found::Txn(self.apply(txn, nested.next().unwrap(), now)),
        };
        Done { held: path.held, results: branch(txn, path.held).iter().map(result).collect() }
    }

    fn change(&mut self, key: &[u8], value: Option<Vec<u8>>, now: i64) {
        self.rows.entry(key.to_vec()).or_default().push((now, value));
        self.revision = now;
    }

    fn row(&self, key: &[u8], revision: i64) -> Option<Row> {
        let (revision, value) = self.rows.get(key)?.iter().rev().find(|(changed, _)| *changed <= revision)?;
        Some(Row { value: value.clone()?, revision: *revision })
    }

    fn read(&self, range: &Range) -> Rows {
        let revision = if range.revision == 0 { i64::MAX } else { range.revision };
        let end = range.end.clone().unwrap_or_else(|| [&*range.start, &[0]].concat());
        let keys = self.rows.range(range.start.clone()..end.max(range.start.clone())).map(|(key, _)| key);
        let mut rows: Vec<_> = keys.filter_map(|key| Some((key.clone(), self.row(key, revision)?))).collect();
        let (count, limit) = (rows.len(), if range.limit == 0 { usize::MAX } else { range.limit });
        rows.truncate(if range.count_only { 0 } else { limit });
        Rows { rows, more: count > limit, count: count as u64 }
    }
}

fn branch(txn: &Txn, held: bool) -> &[Op] {
    if held { &txn.then } else { &txn.otherwise }
}

fn ranges(txn: &Txn) -> Vec<&Range> {
    let each = txn.then.iter().chain(&txn.otherwise).map(|op| match op {
        Op::Range(range) => vec![range],
        Op::Txn(txn) => ranges(txn),
        Op::Put { .. } | Op::Delete { .. } => Vec::new(),
    });
    each.flatten().collect()
}

/// A transaction leaves to those within it the limit minus its own largest part.
fn check_ops(txn: &Txn, ops_max: usize) -> Result<(), &'static str> {
    let ops = txn.conditions.len().max(txn.then.len()).max(txn.otherwise.len());
    let left = ops_max.checked_sub(ops).ok_or("too many operations in txn request")?;
    txn.then.iter().chain(&txn.otherwise).try_for_each(|op| match op {
        Op::Txn(txn) => check_ops(txn, left),
        _ => Ok(()),
    })
}

/// The keys that are written. No key may be written twice, whichever branches are taken.
fn check_keys(txn: &Txn) -> Result<Vec<&[u8]>, &'static str> {
    let mut all = Vec::new();
    for branch in [&txn.then, &txn.otherwise] {
        let mut keys: Vec<&[u8]> = Vec::new();
        for op in branch {
            match op {
                Op::Put { key, .. } | Op::Delete { key } => keys.push(key),
                Op::Txn(txn) => keys.extend(check_keys(txn)?),
                Op::Range(_) => {}
            }
        }
        keys.sort();
        if keys.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err("duplicate key given in txn request");
        }
        all.extend(keys);
    }
    Ok(all)
}
