//! The published state, and whether a value read earlier is still current. This makes exact caches possible.
//!
//! Every published state has a version. Before a commit changes rows, their slots get the version that the commit will
//! have; after the commit its state is published under that version. A read set, which is a version and the slots of
//! the rows read at it, is fresh while none of its slots has a later version. So a value turns stale before anybody can
//! read a newer one, and never becomes fresh again. Rows that share a slot make each other stale needlessly, which
//! costs a read.
//!
//! On an application's database its own transactions change rows too. Nobody says when they end, but only one
//! transaction is open at a time. So the slots of such rows are held, and no value read from them is fresh, until the
//! writer has a transaction itself: the others have ended then.

use std::sync::OnceLock;

use super::sync::{AtomicU64, Ordering, RwLock};

/// How many slots are allocated at a time.
const CHUNK: usize = 256;
/// How many chunks there are: 32,768 slots, which take 256 KiB when all are in use.
const CHUNKS: usize = 128;
/// How many rows a read set holds at most.
const ROWS_MAX: usize = 3;
/// The version while no state is published.
const WITHDRAWN: u64 = u64::MAX;
/// The version of a slot whose rows are changed by a transaction that may not have ended: later than any state.
const HELD: u64 = u64::MAX;

/// The state that readers read. It changes after each commit, before the callers are answered.
pub(crate) struct Published<T> {
    shown: RwLock<(T, u64)>,
    /// For each slot the version of the last commit, finished or under way, that changes its rows.
    changed: Box<[OnceLock<Box<[AtomicU64]>>]>,
    /// Values read at earlier versions are not fresh.
    since: AtomicU64,
    /// Not 0 if slots may be held.
    holds: AtomicU64,
}

/// The slot of a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Slot(u16);

impl Slot {
    pub(crate) fn of(table: usize, key: &[u8]) -> Self {
        let mut hasher = crc32fast::Hasher::new_with_initial(u32::try_from(table).unwrap_or(u32::MAX));
        hasher.update(key);
        // Cutting bits off makes rows share a slot.
        Self((hasher.finalize() % (CHUNK * CHUNKS) as u32) as u16)
    }
}

/// The rows that a value was read from, and the version it was read at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReadSet {
    version: u64,
    slots: [Slot; ROWS_MAX],
}

impl ReadSet {
    /// Returns `None` for more than `ROWS_MAX` rows.
    pub(crate) fn new(version: u64, rows: &[Slot]) -> Option<Self> {
        let mut slots = [rows.first().copied()?; ROWS_MAX];
        slots.get_mut(..rows.len())?.copy_from_slice(rows);
        Some(Self { version, slots })
    }
}

impl<T: Clone> Published<T> {
    /// Shows readers `shown` until a state is published.
    pub(crate) fn new(shown: T) -> Self {
        let changed = std::iter::repeat_with(OnceLock::new).take(CHUNKS).collect();
        Self { shown: RwLock::new((shown, 0)), changed, since: AtomicU64::new(WITHDRAWN), holds: AtomicU64::new(0) }
    }

    /// The published state and its version.
    pub(crate) fn get(&self) -> (T, u64) {
        self.shown.read().clone()
    }

    /// Marks rows as changed by the next state. The only writer calls this before it commits.
    pub(crate) fn changes(&self, rows: impl IntoIterator<Item = Slot>) {
        let next = self.next();
        rows.into_iter().for_each(|row| self.slot(row).store(next, Ordering::SeqCst));
    }

    /// Marks rows as changed by an application's transaction, which is open. No value that was read from them is fresh
    /// until [`release`](Self::release), whatever is published meanwhile.
    pub(crate) fn hold(&self, rows: impl IntoIterator<Item = Slot>) {
        rows.into_iter().for_each(|row| self.slot(row).store(HELD, Ordering::SeqCst));
        self.holds.store(1, Ordering::SeqCst);
    }

    /// Lets values be fresh that are read from now on, if rows are held. The writer calls this while no other
    /// transaction is open. What the others have changed counts as changed by a state of its own.
    pub(crate) fn release(&self) {
        if self.holds.load(Ordering::SeqCst) == 0 {
            return;
        }
        self.holds.store(0, Ordering::SeqCst);
        let next = self.next();
        for slot in self.changed.iter().filter_map(OnceLock::get).flatten() {
            let _ = slot.compare_exchange(HELD, next, Ordering::SeqCst, Ordering::SeqCst);
        }
        self.publish(self.get().0);
    }

    /// The version of the next state.
    fn next(&self) -> u64 {
        self.shown.read().1 + 1
    }

    /// Publishes the next state. Only the writer calls this.
    pub(crate) fn publish(&self, shown: T) {
        let next = self.next();
        if self.since.load(Ordering::SeqCst) == WITHDRAWN {
            // Writes that were never synced may be lost.
            self.since.store(next, Ordering::SeqCst);
        }
        *self.shown.write() = (shown, next);
    }

    /// Shows readers `shown` in place of any state. From now on no read set is fresh.
    pub(crate) fn withdraw(&self, shown: T) {
        self.since.store(WITHDRAWN, Ordering::SeqCst);
        self.shown.write().0 = shown;
    }

    /// True if no row of the read set has changed since it was read.
    pub(crate) fn is_fresh(&self, read_set: &ReadSet) -> bool {
        let is_at_most = |changed: &AtomicU64| changed.load(Ordering::SeqCst) <= read_set.version;
        is_at_most(&self.since) && read_set.slots.iter().all(|slot| is_at_most(self.slot(*slot)))
    }

    #[allow(clippy::indexing_slicing, reason = "a slot is below the number of slots by its making")]
    fn slot(&self, Slot(place): Slot) -> &AtomicU64 {
        let place = usize::from(place);
        let chunk = self.changed[place / CHUNK]
            .get_or_init(|| std::iter::repeat_with(|| AtomicU64::new(0)).take(CHUNK).collect());
        &chunk[place % CHUNK]
    }
}
