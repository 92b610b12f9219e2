//! The rows known to an operation: a partial snapshot of the cluster at one revision, and a view of it that records
//! what the operation reads and misses.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Bound, ControlFlow};

use super::cluster::{Condition, Found, Range, Row, Rows};
use super::keys::{Keys, after};
use crate::error::Result;
use crate::kv::table::TableId;
use crate::kv::view::{ByteRange, RowVisitor, View};

/// How many rows of a range are fetched at first, and the growth factor each time that these are not enough.
const PAGE_ROWS: usize = 64;
const PAGE_GROWTH: usize = 4;
/// How many rows one request fetches at most.
const PAGE_ROWS_MAX: usize = 4_096;
/// How many bytes of values one request should return at most, judging by the rows already known.
const PAGE_BYTES: usize = 4 << 20;

#[derive(Default)]
pub(super) struct Known {
    /// The revision of the rows; 0 before anything was fetched.
    revision: i64,
    rows: BTreeMap<Vec<u8>, Row>,
    /// The keys that were looked up, whether a row exists or not.
    points: BTreeSet<Vec<u8>>,
    /// Ranges of which all rows are known.
    spans: BTreeMap<Vec<u8>, Vec<u8>>,
    counts: BTreeMap<Vec<u8>, u64>,
}

impl Known {
    pub(super) fn revision(&self) -> i64 {
        self.revision
    }

    /// Adds what was fetched at a revision, and drops what is known at another one.
    pub(super) fn learn(&mut self, revision: i64, fetched: impl IntoIterator<Item = (Range, Found)>) {
        if self.revision != revision {
            *self = Self { revision, ..Self::default() };
        }
        for (range, found) in fetched {
            self.learn_one(range, found.into_rows());
        }
    }

    fn learn_one(&mut self, range: Range, found: Rows) {
        if range.count_only {
            self.counts.insert(range.start, found.count);
            return;
        }
        match (range.end, found.more, found.rows.last()) {
            (None, _, _) => {
                self.points.insert(range.start);
            }
            (Some(_), true, Some((last, _))) => self.span(range.start, after(last.clone())),
            (Some(end), _, _) => self.span(range.start, end),
        }
        self.rows.extend(found.rows);
    }

    fn span(&mut self, start: Vec<u8>, end: Vec<u8>) {
        let known = self.spans.entry(start).or_default();
        *known = end.max(std::mem::take(known));
    }

    /// The row at a key. `Some(None)` if it is known not to exist, `None` if it is not known.
    fn get(&self, key: &[u8]) -> Option<Option<&Row>> {
        let row = self.rows.get(key);
        (row.is_some() || self.points.contains(key) || self.known_until(key).is_some()).then_some(row)
    }

    /// The end of the known range that contains a key, if one does.
    fn known_until(&self, place: &[u8]) -> Option<&[u8]> {
        let upto = (Bound::Unbounded, Bound::Included(place));
        let (_, end) = self.spans.range::<[u8], _>(upto).next_back()?;
        (place < end.as_slice()).then_some(end)
    }

    /// How many rows to fetch next of a range that is known up to `place`.
    fn next_page(&self, start: &[u8], place: &[u8]) -> usize {
        if start >= place {
            return PAGE_ROWS;
        }
        let known = self.rows.range::<[u8], _>((Bound::Included(start), Bound::Excluded(place)));
        let (rows, bytes) = known.fold((0, 0), |(rows, bytes), (_, row)| (rows + 1, bytes + row.value.len()));
        let fits = PAGE_BYTES * rows / bytes.max(1);
        (rows * (PAGE_GROWTH - 1)).min(fits).clamp(PAGE_ROWS, PAGE_ROWS_MAX)
    }
}

/// The view of an operation. Rows that are not known look as if they did not exist, and are recorded as missed. A
/// result with missed rows is no answer, but can be tried as a transaction on the condition that the rows do not exist.
pub(super) struct Replay<'k> {
    known: &'k Known,
    keys: &'k Keys,
    step_records_max: usize,
    reads: RefCell<Reads>,
}

/// The reads of an operation.
#[derive(Default)]
pub(super) struct Reads {
    points: BTreeMap<Vec<u8>, Seen>,
    spans: Vec<Span>,
    /// What to fetch before the next run.
    pub(super) missed: BTreeSet<Range>,
    /// Whether the guesses contradict each other.
    pub(super) is_wrong: bool,
    /// Whether rows were counted, which no condition can guard.
    pub(super) counted: bool,
    /// Whether the operation asked for the size of a step.
    pub(super) in_steps: bool,
}

/// How the operation saw a row that it looked up.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Seen {
    /// With this revision; 0 for a row that does not exist or is not known.
    At(i64),
    /// Assumed to exist.
    Expected,
}

impl Seen {
    fn condition(self, key: &[u8]) -> Condition {
        let key = key.to_vec();
        match self {
            Self::At(revision) => Condition::Unchanged { key, revision },
            Self::Expected => Condition::Exists { key },
        }
    }

    /// True if the row still matches.
    fn held(self, found: &Rows) -> bool {
        let revision = found.rows.first().map_or(0, |(_, row)| row.revision);
        match self {
            Self::At(seen) => revision == seen,
            Self::Expected => revision > 0,
        }
    }
}

/// The part of a range that was read.
struct Span {
    start: Vec<u8>,
    end: Vec<u8>,
    /// No row of the part is newer; 0 if none is known, so that none may exist.
    revision: i64,
    rows: Vec<(Vec<u8>, i64)>,
}

impl<'k> Replay<'k> {
    pub(super) fn new(known: &'k Known, keys: &'k Keys, step_records_max: usize) -> Self {
        Self { known, keys, step_records_max, reads: RefCell::default() }
    }

    pub(super) fn into_reads(self) -> Reads {
        self.reads.into_inner()
    }

    fn note(&self, note: impl FnOnce(&mut Reads)) {
        note(&mut self.reads.borrow_mut());
    }
}

impl View for Replay<'_> {
    fn get(&self, table: TableId, key: &[u8], visit: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let key = self.keys.row(table, key);
        let found = self.known.get(&key);
        let row = found.flatten();
        self.note(|reads| {
            if found.is_none() {
                reads.miss(Range::row(key.clone()));
            }
            // The row was assumed to exist, and now its value is needed.
            reads.is_wrong |= reads.points.get(&key) == Some(&Seen::Expected);
            reads.points.insert(key, Seen::At(row.map_or(0, |row| row.revision)));
        });
        row.map_or(Ok(()), |row| visit(&row.value))
    }

    fn scan(&self, table: TableId, range: ByteRange<'_>, visit: &mut RowVisitor<'_>) -> Result<()> {
        let (start, end) = self.keys.range(table, range);
        let prefix = self.keys.table(table).len();
        let mut place = start.clone();
        while place < end {
            let Some(until) = self.known.known_until(&place) else {
                let limit = self.known.next_page(&start, &place);
                self.note(|reads| {
                    reads.spans.push(Span { start: place.clone(), end: end.clone(), revision: 0, rows: Vec::new() });
                    reads.miss(Range::rows(place, end, limit));
                });
                return Ok(());
            };
            let until = until.min(&end).to_vec();
            let mut span = Span { start: place, end: until.clone(), revision: self.known.revision, rows: Vec::new() };
            let rows = self.known.rows.range::<[u8], _>((Bound::Included(&*span.start), Bound::Excluded(&*until)));
            let mut flow = Ok(ControlFlow::Continue(()));
            for (key, row) in rows {
                span.rows.push((key.clone(), row.revision));
                flow = visit(key.get(prefix..).unwrap_or_default(), &row.value);
                if !matches!(flow, Ok(ControlFlow::Continue(()))) {
                    span.end = after(key.clone());
                    break;
                }
            }
            self.note(|reads| reads.spans.push(span));
            if flow?.is_break() {
                return Ok(());
            }
            place = until;
        }
        Ok(())
    }

    fn prefetch(&self, table: TableId, key: &[u8]) {
        let key = self.keys.row(table, key);
        if self.known.get(&key).is_none() {
            self.note(|reads| reads.miss(Range::row(key)));
        }
    }

    fn prefetch_range(&self, table: TableId, range: ByteRange<'_>) {
        let (start, end) = self.keys.range(table, range);
        if self.known.known_until(&start).is_none() {
            self.note(|reads| reads.miss(Range::rows(start, end, PAGE_ROWS)));
        }
    }

    fn assume_exists(&self, table: TableId, key: &[u8]) -> bool {
        let key = self.keys.row(table, key);
        let mut reads = self.reads.borrow_mut();
        let is_expected = self.known.get(&key).is_none() && !reads.points.contains_key(&key);
        if is_expected {
            reads.miss(Range::row(key.clone()));
            reads.points.insert(key, Seen::Expected);
        }
        is_expected
    }

    fn len(&self, table: TableId) -> Result<u64> {
        let (start, end) = self.keys.range(table, (Bound::Unbounded, Bound::Unbounded));
        let count = self.known.counts.get(&start).copied();
        self.note(|reads| {
            reads.counted = true;
            if count.is_none() {
                reads.miss(Range { count_only: true, ..Range::rows(start, end, 0) });
            }
        });
        Ok(count.unwrap_or(0))
    }

    fn is_guess(&self) -> bool {
        !self.reads.borrow().missed.is_empty()
    }

    fn step_records_max(&self) -> usize {
        self.note(|reads| reads.in_steps = true);
        self.step_records_max
    }
}

impl Reads {
    fn miss(&mut self, range: Range) {
        self.missed.insert(range);
    }

    /// The conditions under which the operation has the same result.
    pub(super) fn conditions(&self) -> Vec<Condition> {
        let points = self.points.iter().map(|(key, seen)| seen.condition(key));
        let spans = self.spans.iter().flat_map(|span| {
            let rows = span.rows.iter().filter(|(key, _)| !self.points.contains_key(key));
            let none_after =
                Condition::NoneAfter { start: span.start.clone(), end: span.end.clone(), revision: span.revision };
            rows.map(|(key, revision)| Seen::At(*revision).condition(key)).chain([none_after])
        });
        points.chain(spans).collect()
    }

    /// The ranges to read to repeat all reads.
    pub(super) fn again(&self) -> Vec<Range> {
        let points = self.points.keys().cloned().map(Range::row);
        let spans = self.spans.iter().map(|span| {
            Range::rows(span.start.clone(), span.end.clone(), (span.rows.len() * 2).clamp(PAGE_ROWS, PAGE_ROWS_MAX))
        });
        points.chain(spans).collect()
    }

    /// The size of the keys in conditions, in bytes, with this overhead for each.
    pub(super) fn key_bytes(&self, around: usize) -> usize {
        let points = self.points.keys().map(|key| 2 * (key.len() + around));
        let spans = self.spans.iter().map(|span| {
            let rows = span.rows.iter().map(|(key, _)| key.len() + around).sum::<usize>();
            rows + 2 * (span.start.len() + span.end.len() + 2 * around)
        });
        points.chain(spans).sum()
    }

    /// The keys that were looked up.
    pub(super) fn points(&self) -> impl Iterator<Item = &Vec<u8>> {
        self.points.keys()
    }

    /// The start and end of each range that was read.
    pub(super) fn spans(&self) -> impl Iterator<Item = (&Vec<u8>, &Vec<u8>)> {
        self.spans.iter().map(|span| (&span.start, &span.end))
    }

    /// Whether the conditions held in a state that was read with [`again`](Self::again).
    pub(super) fn held(&self, state: &[Rows]) -> bool {
        let (points, spans) = state.split_at_checked(self.points.len()).unwrap_or_default();
        let span_held = |(span, found): (&Span, &Rows)| {
            !found.more
                && found.rows.len() == span.rows.len()
                && found
                    .rows
                    .iter()
                    .zip(&span.rows)
                    .all(|((key, row), (seen, revision))| key == seen && row.revision == *revision)
        };
        points.len() == self.points.len()
            && spans.len() == self.spans.len()
            && self.points.values().zip(points).all(|(seen, found)| seen.held(found))
            && self.spans.iter().zip(spans).all(span_held)
    }
}
