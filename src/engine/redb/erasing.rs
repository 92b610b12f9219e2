//! Secure deletion: a *pass* overwrites what removed rows have left in the file.
//!
//! redb never changes a page that is committed. So removed rows stay readable in three places: in pages that are free
//! again, in live leaves behind the rows (redb edits a page in place within one transaction), and in branch pages, whose
//! keys may be those of rows that are gone.
//!
//! A pass first writes every table anew, row by row, into new pages. From then on only free pages hold removed rows.
//! Then it fills all free pages with rows of a table of its own, and drops this table. redb decides what is free, so a
//! pass cannot overwrite anything else, and a pass that is cut off leaves a whole store.

use std::ops::{Bound, ControlFlow};
use std::time::{Duration, Instant};

use redb::{ReadableTableMetadata, TableDefinition, WriteTransaction};

use super::view::{Bytes, WriteView, called, definition, discard};
use crate::error::Result;
use crate::kv::table::TableId;
use crate::kv::view::View;
use crate::records::schema::TABLES;

/// How long after a removal a pass begins, so that it covers the removals that follow.
const SETTLE: Duration = Duration::from_secs(1);
/// How many times as long as a pass the writer waits before the next one.
const REST: u32 = 100;
/// After how long a pass that failed is tried again.
const RETRY: Duration = Duration::from_secs(60);

/// When passes are due, and how far the current one is.
pub(super) struct Erasing {
    /// When the next part is due. None while there is nothing to erase.
    due: Option<Instant>,
    /// The next part of the pass.
    next: usize,
    /// How long the parts of this pass have taken.
    spent: Duration,
    /// No pass begins before.
    rest_until: Instant,
    /// True if rows were removed after the pass began.
    again: bool,
    /// True if a table could not be written anew.
    left_out: bool,
}

/// What happens between two opportunities for writes.
pub(super) enum Part {
    /// Write a table anew.
    Rewrite(TableId),
    /// Overwrite the free pages.
    Overwrite,
}

impl Erasing {
    /// What was removed before the store was opened is not known, so that a pass is due.
    pub(super) fn new() -> Self {
        let now = Instant::now();
        Self { due: Some(now + SETTLE), next: 0, spent: Duration::ZERO, rest_until: now, again: false, left_out: false }
    }

    /// When the next part of a pass is due.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    pub(super) fn part(&self) -> Part {
        TABLES.get(self.next).map_or(Part::Overwrite, |table| Part::Rewrite(*table))
    }

    /// Rows were removed or replaced.
    pub(super) fn removed(&mut self) {
        if self.next == 0 {
            self.due.get_or_insert((Instant::now() + SETTLE).max(self.rest_until));
        } else {
            self.again = true;
        }
    }

    /// A table is damaged, so that removed rows may stay in it.
    pub(super) fn leave_out(&mut self) {
        self.left_out = true;
    }

    /// True if removed rows may be left in a damaged table.
    pub(super) fn has_left_out(&self) -> bool {
        self.left_out
    }

    /// A part of the pass was carried out.
    pub(super) fn done(&mut self, took: Duration) {
        let now = Instant::now();
        self.spent += took;
        self.next += 1;
        self.due = Some(now);
        if self.next > TABLES.len() {
            self.rest_until = now + self.spent * REST;
            let due = self.again.then(|| (now + SETTLE).max(self.rest_until));
            (self.due, self.next, self.spent, self.again) = (due, 0, Duration::ZERO, false);
        }
    }

    /// The next part has to wait for reads that have not ended.
    pub(super) fn postpone(&mut self) {
        self.due = Some(Instant::now() + SETTLE);
    }

    /// The pass has failed.
    pub(super) fn failed(&mut self) {
        (self.due, self.next, self.again) = (Some(Instant::now() + RETRY), 0, false);
    }

    /// Begins a pass now if there is anything to erase.
    pub(super) fn hurry(&mut self) {
        if self.due.is_some() {
            (self.due, self.next, self.again) = (Some(Instant::now()), 0, false);
        }
    }
}

const FAILED: &str = "removed rows cannot be overwritten";

/// The table under construction. It is renamed in the transaction that creates it.
const COPY: TableDefinition<'static, Bytes, Bytes> = TableDefinition::new("authkv_copy");
/// What a pass that was cut off may leave in the file. The next opening removes it, and so does the next pass.
pub(super) const LEFTOVERS: [&str; 2] = ["authkv_filler", "authkv_reserve"];
/// The table that fills the free pages.
const FILLER: TableDefinition<'static, u64, Bytes> = TableDefinition::new(LEFTOVERS[0]);
/// The table that keeps pages free for commits while the filler takes the others.
const RESERVE: TableDefinition<'static, u64, Bytes> = TableDefinition::new(LEFTOVERS[1]);

/// Writes a table anew. Inserting rows in their order into an empty table puts nothing else into its pages. Returns false if
/// damage hides rows: they may be found in the table as it is, so it stays.
pub(super) fn rewrite(transaction: &WriteTransaction, table: TableId) -> Result<bool> {
    let view = WriteView::new(transaction);
    let rows = view.len(table)?;
    let mut copied = 0;
    let mut copy = called(FAILED, || transaction.open_table(COPY))?;
    view.scan(table, (Bound::Unbounded, Bound::Unbounded), &mut |key, value| {
        copied += 1;
        called(FAILED, || copy.insert(key, value).map(drop))?;
        Ok(ControlFlow::Continue(()))
    })?;
    discard(copy);
    drop(view);
    let is_whole = copied == rows;
    if is_whole {
        called(FAILED, || transaction.delete_table(definition(table)))?;
        called(FAILED, || transaction.rename_table(COPY, definition(table)))?;
    } else {
        called(FAILED, || transaction.delete_table(COPY))?;
    }
    Ok(is_whole)
}

/// A step of overwriting the free pages: a transaction of its own. It gets the length of the file.
pub(super) type Step = fn(&WriteTransaction, u64) -> Result<()>;

/// Frees the pages of a table that was written anew, so that the next writes can use them.
pub(super) const RELEASE: [Step; 2] = [nothing, nothing];

/// Overwrites every page that is free before the first step. A page that a commit releases is free after a later commit,
/// which is all that some steps are for.
///
/// The filler cannot take the last free pages: its commit needs some itself, and would let the file grow. That is what
/// the reserve is for. It is one block of pages, larger than all that the filler leaves, and redb splits the smallest
/// block that is large enough. So once the reserve is dropped, the last rows take all that was left, and the commit takes
/// pages of the reserve.
pub(super) const OVERWRITE: [Step; 14] = [
    remove_leftovers,
    nothing,
    nothing,
    reserve,
    fill,
    fill,
    fill,
    remove_reserve,
    nothing,
    fill_last,
    remove_leftovers,
    nothing,
    nothing,
    nothing,
];

/// How many pages a commit needs, besides those that grow with the pages in the transaction.
const COMMIT_PAGES: u64 = 16;
/// More than the pages that `fill` leaves.
const LAST_ROWS: u64 = 48;
/// The reserve holds the last rows and their commit.
const RESERVE_PAGES: u64 = 64;
/// Two such rows do not fit into a page of redb's, which has 4 KiB.
const FILLER_BYTES: usize = 4_000;

fn nothing(_: &WriteTransaction, _: u64) -> Result<()> {
    Ok(())
}

pub(super) fn remove_leftovers(transaction: &WriteTransaction, _: u64) -> Result<()> {
    called(FAILED, || transaction.delete_table(FILLER))?;
    remove_reserve(transaction, 0)
}

fn remove_reserve(transaction: &WriteTransaction, _: u64) -> Result<()> {
    called(FAILED, || transaction.delete_table(RESERVE)).map(drop)
}

fn reserve(transaction: &WriteTransaction, file_bytes: u64) -> Result<()> {
    let (free, page_bytes) = free_pages(transaction, file_bytes)?;
    let pages = (free / 64).max(RESERVE_PAGES).next_power_of_two();
    // The block also holds the key, and what redb writes before it.
    let value = vec![0; usize::try_from(pages * page_bytes - 64).unwrap_or(usize::MAX)];
    let mut table = called(FAILED, || transaction.open_table(RESERVE))?;
    let inserted = called(FAILED, || table.insert(0, &*value).map(drop));
    discard(table);
    inserted
}

/// Takes the free pages, except those that the filler's branch pages and the commit need.
fn fill(transaction: &WriteTransaction, file_bytes: u64) -> Result<()> {
    let (free, _) = free_pages(transaction, file_bytes)?;
    add_rows(transaction, free.saturating_sub(COMMIT_PAGES + free / 32))
}

fn fill_last(transaction: &WriteTransaction, _: u64) -> Result<()> {
    add_rows(transaction, LAST_ROWS)
}

/// Adds rows to the filler, each of which takes a page.
fn add_rows(transaction: &WriteTransaction, count: u64) -> Result<()> {
    let mut filler = called(FAILED, || transaction.open_table(FILLER))?;
    let first = called(FAILED, || filler.len())?;
    let mut rows = first..first + count;
    let added = rows.try_for_each(|row| called(FAILED, || filler.insert(row, [0; FILLER_BYTES].as_slice()).map(drop)));
    discard(filler);
    added
}

/// How many pages are free, and how large a page is. The file consists of a header, which takes a page, and pages.
fn free_pages(transaction: &WriteTransaction, file_bytes: u64) -> Result<(u64, u64)> {
    let stats = called(FAILED, || transaction.stats())?;
    let page_bytes = stats.page_size() as u64;
    Ok(((file_bytes / page_bytes).saturating_sub(1 + stats.allocated_pages()), page_bytes))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use fastrand::Rng;
    use redb::Database;

    use super::*;

    const SECRETS: TableDefinition<'_, u64, Bytes> = TableDefinition::new("secrets");
    /// The only step that may let the file grow.
    const RESERVE_STEP: usize = 3;
    /// The byte of which all secrets consist.
    const SECRET: u8 = b'S';

    fn pages_with_secrets(path: &Path) -> usize {
        let bytes = std::fs::read(path).unwrap();
        bytes.chunks(4_096).filter(|page| page.iter().filter(|byte| **byte == SECRET).count() > 64).count()
    }

    fn commit(database: &Database, step: impl FnOnce(&WriteTransaction)) {
        let mut transaction = database.begin_write().unwrap();
        step(&transaction);
        transaction.set_two_phase_commit(true);
        transaction.commit().unwrap();
    }

    /// Adds and removes secrets of all sizes, so that the free pages lie in blocks of all sizes.
    fn scatter_secrets(database: &Database, random: &mut Rng) {
        for _ in 0..random.u32(1..40) {
            commit(database, |transaction| {
                let mut table = transaction.open_table(SECRETS).unwrap();
                for _ in 0..random.u32(1..60) {
                    let (key, bytes) = (random.u64(..300), 1 << random.u32(6..15));
                    match random.u8(..3) {
                        0 => table.remove(key).map(drop).unwrap(),
                        _ => table.insert(key, &*vec![SECRET; random.usize(64..bytes + 65)]).map(drop).unwrap(),
                    }
                }
            });
        }
    }

    #[test]
    fn every_free_page_is_overwritten() {
        let mut found = 0;
        for seed in 0..40 {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("app.redb");
            let database = Database::create(&path).unwrap();
            scatter_secrets(&database, &mut Rng::with_seed(seed));
            commit(&database, |transaction| assert!(transaction.delete_table(SECRETS).unwrap()));
            found += pages_with_secrets(&path);
            let length = || std::fs::metadata(&path).unwrap().len();
            let mut lengths = Vec::new();
            for step in OVERWRITE {
                let bytes = length();
                commit(&database, |transaction| step(transaction, bytes).unwrap());
                lengths.push(length());
            }
            assert_eq!(pages_with_secrets(&path), 0, "seed {seed}");
            let (_, after_the_reserve) = lengths.split_at(RESERVE_STEP);
            assert!(after_the_reserve.is_sorted_by(|earlier, later| earlier >= later), "seed {seed}: {lengths:?}");
        }
        println!("{found} pages were overwritten");
    }
}
