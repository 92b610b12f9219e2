//! What readers read, and whether a value that was read is still what they would read: without this no cache could be
//! exact.
//!
//! Each state that is published has a version. Before rows are changed by a commit, their slots get the version that it
//! will have; after the commit the state is published under it. A value that was read from one version, and notes the
//! slots of the rows that were read, is fresh while none of them has a later version. So a value is found stale before
//! anybody can read a newer one, and it is never found fresh after that. Rows that share a slot make each other stale
//! for nothing, which costs a read.

use std::sync::OnceLock;

use super::sync::{AtomicU64, Ordering, RwLock};

/// How many slots are made at a time.
const CHUNK: usize = 256;
/// How many chunks there are: 32,768 slots, and 256 KiB when all of them are in use.
const CHUNKS: usize = 128;
/// How many rows a read set has room for.
const ROWS_MAX: usize = 3;
/// The version of a state that nobody can read.
const WITHDRAWN: u64 = u64::MAX;

/// What readers read. It changes after each commit, before the callers are answered.
pub(crate) struct Published<T> {
    shown: RwLock<(T, u64)>,
    /// The version that changed the rows of a slot last, or will.
    changed: Box<[OnceLock<Box<[AtomicU64]>>]>,
    /// Values read from earlier versions than this are not fresh.
    since: AtomicU64,
}

/// The place of a row among the slots.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Slot(u16);

impl Slot {
    pub(crate) fn of(table: usize, key: &[u8]) -> Self {
        let mut hasher = crc32fast::Hasher::new_with_initial(u32::try_from(table).unwrap_or(u32::MAX));
        hasher.update(key);
        // What is cut off makes rows share a slot.
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
    /// Nothing that can be read yet, but `shown`.
    pub(crate) fn new(shown: T) -> Self {
        let changed = std::iter::repeat_with(OnceLock::new).take(CHUNKS).collect();
        Self { shown: RwLock::new((shown, 0)), changed, since: AtomicU64::new(WITHDRAWN) }
    }

    /// What readers read now, and its version.
    pub(crate) fn get(&self) -> (T, u64) {
        self.shown.read().clone()
    }

    /// Says that the next state has these rows changed. To be called before it is committed, by the only writer.
    pub(crate) fn changes(&self, rows: impl IntoIterator<Item = Slot>) {
        let next = self.next();
        rows.into_iter().for_each(|row| self.slot(row).store(next, Ordering::SeqCst));
    }

    /// The version of the next state.
    fn next(&self) -> u64 {
        self.shown.read().1 + 1
    }

    /// Shows readers the next state. To be called by the only writer.
    pub(crate) fn publish(&self, shown: T) {
        let next = self.next();
        if self.since.load(Ordering::SeqCst) == WITHDRAWN {
            // Writes that were never synced may be gone since.
            self.since.store(next, Ordering::SeqCst);
        }
        *self.shown.write() = (shown, next);
    }

    /// Shows readers this in the place of any state. No value that was read is fresh from now on.
    pub(crate) fn withdraw(&self, shown: T) {
        self.since.store(WITHDRAWN, Ordering::SeqCst);
        self.shown.write().0 = shown;
    }

    /// Whether what was read is what would be read now.
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
