//! The writer: takes queued jobs, runs them in one transaction, commits once, publishes the snapshot, then answers all
//! callers.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use redb::{CommitError, Database, DatabaseError, WriteTransaction};

use super::erasing::{self, Erasing, Part};
use super::file::{OpenFile, is_lost};
use super::open::{Claim, Leaving, OnRecovery, Origin, Pages, Source};
use super::queue::{Queue, Task};
use super::signing::{Signing, StoreId};
use super::turns::Turns;
use super::view::{Readable, Snapshot, WriteView, failed};
use crate::engine::job::{Job, catching_panics};
use crate::engine::redb::published::{Published, Slot};
use crate::engine::{Durability, Fill, Setup};
use crate::error::{Error, Result, StorageError};
use crate::kv::txn::{Changes, FollowUp, Rows, Txn};
use crate::records::schema::TABLES;

/// How many operations share a commit at most.
const BATCH_MAX: usize = 512;
/// After how many changed rows a transaction takes no more operations, so that no caller waits long behind large ones.
const BATCH_ROWS_MAX: usize = 2_048;
/// How long deferred writes wait for their sync while more arrive.
const SYNC_EVERY: Duration = Duration::from_millis(50);
/// From how many operations on a commit saves redb's allocator state: it then costs little beside the rest.
const QUICK_REPAIR_FROM: usize = 8;
/// After how long without a write a separate commit saves the allocator state.
const IDLE_AFTER: Duration = Duration::from_secs(1);
/// While there are writes, how often the writer looks whether the store still has its file.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long overwriting lets writes wait for reads that go on, and how long closing waits for them.
const READS_MAX: Duration = Duration::from_millis(50);
const CLOSING_READS_MAX: Duration = Duration::from_secs(10);
/// The first and the longest delay before reopening is tried again.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(2));

/// Settings of the engine.
pub(crate) struct Config {
    pub(crate) durability: Durability,
    pub(crate) cache_bytes: usize,
    /// Whether opening creates missing tables.
    pub(crate) synchronize: bool,
    /// Whether opening verifies the checksum of every page.
    pub(crate) check_pages: bool,
    /// Called while opening reads the whole file, not when the file is reopened.
    pub(crate) on_recovery: Option<OnRecovery>,
    /// Whether what removed rows leave in a file of the store's own is overwritten.
    pub(crate) erases: bool,
    /// How long a call waits for a write transaction of the application's on a shared database.
    pub(crate) wait_for_transaction: Duration,
}

pub(super) struct Writer {
    /// Where to reopen the database after a failure. None if it cannot be reopened, or never again.
    origin: Option<Origin>,
    /// None in memory, where nothing is reopened.
    signing: Option<Signing>,
    /// When the writer last looked whether the store still has its file.
    looked: Instant,
    config: Config,
    /// Fills new tables.
    synchronize: Fill,
    published: Arc<Published<Readable>>,
    defers: Arc<AtomicBool>,
    /// None while the database cannot be reopened, and after it was closed.
    database: Option<Arc<Database>>,
    /// The name of a missing table, if one is missing.
    missing_table: Option<&'static str>,
    /// The rest of an operation, to run in the next transaction.
    follow_up: Option<FollowUp>,
    /// The time since which committed writes are not synced.
    unsynced_since: Option<Instant>,
    /// The time of the last commit if it did not save the allocator state. Without that state, opening the file after a
    /// kill has to read all of it.
    allocator_unsaved_since: Option<Instant>,
    /// The time of the next attempt to reopen, and the delay after it.
    retry: Option<(Instant, Duration)>,
    /// None if removed rows are not overwritten.
    erasing: Option<Erasing>,
    /// Earlier snapshots that may still be read. Kept only if removed rows are overwritten.
    replaced: Vec<Weak<Snapshot>>,
    /// The turns on an application's database, which has write transactions of its own.
    turns: Option<Turns>,
    /// The claim to an application's database, which keeps other engines off.
    claim: Option<Claim>,
}

impl Writer {
    pub(super) fn open(
        source: Source,
        mut config: Config,
        setup: Setup,
        published: Arc<Published<Readable>>,
        defers: Arc<AtomicBool>,
    ) -> Result<Self> {
        let claim = source.claim(config.wait_for_transaction)?;
        let in_memory = matches!(source, Source::Memory);
        let on_recovery = config.on_recovery.take();
        let pages = Pages { cache_bytes: config.cache_bytes, verify: config.check_pages, on_recovery };
        let (database, origin) = source.open(pages, &setup)?;
        let signing = if in_memory { None } else { Some(Signing::new(setup.signature, &database)?) };
        let erases = config.erases && origin.is_some();
        let mut writer = Self {
            origin,
            signing,
            looked: Instant::now(),
            config,
            synchronize: setup.synchronize,
            published,
            defers,
            database: Some(database),
            missing_table: None,
            follow_up: None,
            unsynced_since: None,
            allocator_unsaved_since: None,
            retry: None,
            erasing: erases.then(Erasing::new),
            replaced: Vec::new(),
            turns: claim.is_some().then(Turns::new),
            claim,
        };
        if writer.config.synchronize { writer.synchronize() } else { writer.find_tables() }?;
        Ok(writer)
    }

    /// The file of the store, if it has one of its own.
    pub(super) fn file(&self) -> Weak<OpenFile> {
        self.origin.as_ref().and_then(Origin::file).map(Arc::downgrade).unwrap_or_default()
    }

    /// What tells an application's database from others.
    pub(super) fn store_id(&self) -> Option<StoreId> {
        self.claim.as_ref().and(self.signing.as_ref()).and_then(Signing::store_id)
    }

    /// Where a claim to an application's database is told that it is about to be let go of.
    pub(super) fn leaving(&self) -> Option<Leaving> {
        self.claim.as_ref().map(Claim::leaving)
    }

    /// Works until the queue is closed and empty.
    pub(super) fn run(mut self, queue: &Queue) {
        /// If the writer panics, no caller may wait for ever.
        struct Abandon<'q>(&'q Queue);
        impl Drop for Abandon<'_> {
            fn drop(&mut self) {
                self.0.abandon();
            }
        }

        let _abandon = Abandon(queue);
        while queue.wait(self.idle_for()) {
            if !self.has_turn(queue) {
                continue;
            }
            self.serve(queue);
            self.sync_if_due(queue);
            self.save_allocator_if_idle(queue);
            self.reopen_if_due();
            self.erase_if_due();
            self.turns.iter_mut().for_each(Turns::end);
        }
        while self.unsynced_since.is_some() && !self.has_turn(queue) {}
        // The last handle is gone, so nobody is left to learn of a failure.
        let _ = self.close();
    }

    /// False if a transaction of the application's keeps waiting what is to be done next. Calls that it has kept waiting
    /// for too long are answered.
    fn has_turn(&mut self, queue: &Queue) -> bool {
        let needs_turn = self.needs_turn(queue);
        let (Some(turns), Some(database)) = (&mut self.turns, &self.database) else { return true };
        if !needs_turn || turns.try_take(database) {
            if !needs_turn {
                turns.end();
            }
            queue.set_kept(false);
            return true;
        }
        queue.set_kept(true);
        if turns.wait(database, queue.patience_left()) {
            queue.set_kept(false);
            return true;
        }
        for task in queue.take_impatient() {
            match task {
                Task::Write(job) => job.answer(Some(&Error::Busy)),
                Task::Settle(answer) | Task::Synchronize(answer) | Task::Verify(answer) | Task::Close(answer) => {
                    answer.send(Err(Error::Busy));
                }
                // Nobody waits for these.
                Task::Ended(_) | Task::Reopen(_) => {}
            }
        }
        if !self.needs_turn(queue) {
            self.turns.iter_mut().for_each(Turns::end);
            queue.set_kept(false);
        }
        false
    }

    /// False if the writer has no turn on an application's database.
    fn may_write(&self) -> bool {
        self.turns.as_ref().is_none_or(Turns::has_one)
    }

    /// Goes on where a transaction of the application's has changed rows of the store. It may have been aborted: then
    /// there is nothing left to do.
    fn take_over(&mut self, follow_up: Option<FollowUp>) {
        let ended = self.guard(|writer| {
            let transaction = writer.begin()?;
            transaction.abort().map_err(|error| failed("the transaction cannot be ended", error))
        });
        // After a failure the sweep is resumed when the store is next opened.
        if ended.is_ok() {
            self.follow_up = follow_up.or(self.follow_up.take());
        }
    }

    /// True if what is to be done next needs a write transaction.
    fn needs_turn(&self, queue: &Queue) -> bool {
        let is_writable = self.unavailable().is_none();
        self.unsynced_since.is_some()
            || (self.follow_up.is_some() && is_writable)
            || queue.next_is(|task| match task {
                Task::Write(_) => is_writable,
                Task::Ended(_) | Task::Synchronize(_) => true,
                Task::Settle(_) | Task::Verify(_) | Task::Reopen(_) | Task::Close(_) => false,
            })
    }

    /// Carries out one batch of writes or one other task. Returns false if there was neither.
    pub(super) fn serve(&mut self, queue: &Queue) -> bool {
        if self.write(queue) {
            return true;
        }
        match queue.pop_other(self.may_write()) {
            Some(Task::Ended(follow_up)) => self.take_over(follow_up),
            // A follow-up is a write, and comes first.
            Some(Task::Settle(answer)) => answer.send(self.unavailable().map_or(Ok(()), Err)),
            Some(Task::Synchronize(answer)) => answer.send(self.synchronize()),
            Some(Task::Verify(answer)) => answer.send(self.verify()),
            Some(Task::Reopen(snapshot)) => self.reopen_after(&snapshot),
            Some(Task::Close(answer)) => answer.send(self.close()),
            Some(Task::Write(_)) | None => return false,
        }
        true
    }

    /// How long the writer can sleep if no task arrives.
    fn idle_for(&self) -> Option<Duration> {
        if self.unsynced_since.is_some() || (self.follow_up.is_some() && self.unavailable().is_none()) {
            return Some(Duration::ZERO);
        }
        let allocator_due = self.allocator_unsaved_since.map(|since| since + IDLE_AFTER);
        let erasing_due = self.erasing.as_ref().and_then(Erasing::due).filter(|_| self.unavailable().is_none());
        let due = self.retry.map(|(at, _)| at).or(allocator_due).into_iter().chain(erasing_due).min();
        due.map(|at| at.saturating_duration_since(Instant::now()))
    }

    /// Runs one batch of writes and answers it. Returns false if no write was waiting.
    fn write(&mut self, queue: &Queue) -> bool {
        let mut jobs = Vec::new();
        let result = match self.unavailable() {
            Some(error) => {
                jobs.extend(std::iter::from_fn(|| queue.pop_write()).take(BATCH_MAX));
                Err(error)
            }
            // It came after the writer had looked whether it needs one.
            None if !self.may_write() => return false,
            None => self.guard(|writer| writer.transact(queue, &mut jobs)),
        };
        let worked = !jobs.is_empty();
        for job in jobs {
            job.answer(result.as_ref().err());
        }
        worked
    }

    /// Why nothing can be written now. `None` if writing is possible.
    fn unavailable(&self) -> Option<Error> {
        if self.database.is_none() {
            return Some(self.published.error().unwrap_or(Error::Closed));
        }
        self.missing_table.map(Error::MissingTable)
    }

    /// Runs the follow-up, if there is one, and queued jobs in one transaction, commits it and publishes the result. An
    /// error before the commit means that nothing was written.
    fn transact(&mut self, queue: &Queue, jobs: &mut Vec<Box<dyn Job>>) -> Result<()> {
        // Taken out, so that a follow-up that always fails is not repeated for ever. It continues when the store is
        // next opened.
        let follow_up = self.follow_up.take();
        let Some(first) = follow_up.map(FollowUp::into_job).or_else(|| queue.pop_write()) else {
            return Ok(());
        };
        jobs.push(first);
        self.look_if_due()?;
        let transaction = self.begin()?;
        let mut view = WriteView::new(&transaction);
        let mut rows = 0;
        let mut next_follow_up = None;
        // A job is stored before it runs, so that it is answered whatever happens.
        while let Some(job) = jobs.last_mut() {
            let changes = job.run(&view);
            if view.is_broken() {
                return Err(Error::Storage(StorageError::new("the transaction failed")));
            }
            if let Some(Changes { rows: changed, follow_up }) = changes {
                rows += changed.len();
                next_follow_up = follow_up.or(next_follow_up);
                self.apply(changed, &mut view)?;
            }
            if jobs.len() >= BATCH_MAX || rows >= BATCH_ROWS_MAX {
                break;
            }
            match queue.pop_write() {
                Some(next) => jobs.push(next),
                None => break,
            }
        }
        let signs = rows > 0 && self.sign(&mut view)?;
        if view.removes() {
            self.erasing.iter_mut().for_each(Erasing::removed);
        }
        drop(view);
        let durability = self.durability();
        if rows == 0 {
            transaction.abort().map_err(|error| failed("the transaction cannot be ended", error))?;
        } else {
            let repair = if jobs.len() < QUICK_REPAIR_FROM { Repair::Slow } else { Repair::Quick };
            self.commit(transaction, durability, repair)?;
            if signs {
                self.signed(durability);
            }
            // The commit may have taken long.
            self.look_if_due().map_err(outcome_unknown)?;
        }
        self.follow_up = next_follow_up;
        if rows > 0 && self.guard(Self::publish).is_ok() && durability == Durability::Deferred {
            self.unsynced_since.get_or_insert_with(Instant::now);
        }
        Ok(())
    }

    /// Applies changes. Read sets with the changed rows are stale from now on.
    fn apply(&self, changed: Rows, view: &mut WriteView<'_>) -> Result<()> {
        self.published.changes(changed.keys().map(|(table, key)| Slot::of(table.index, key)));
        view.apply(changed)
    }

    /// Adds the rows by which the file is recognised, if it does not have them yet.
    fn sign(&self, view: &mut WriteView<'_>) -> Result<bool> {
        let due = self.signing.as_ref().map_or(Ok(None), |signing| signing.due(view))?;
        due.map_or(Ok(false), |rows| self.apply(rows, view).map(|()| true))
    }

    fn signed(&mut self, durability: Durability) {
        self.signing.iter_mut().for_each(|signing| signing.written(durability));
    }

    fn look_if_due(&mut self) -> Result<()> {
        let is_due = self.origin.is_some() && self.looked.elapsed() >= LOOK_EVERY;
        if is_due { self.look() } else { Ok(()) }
    }

    /// Looks whether the store still has its file. If not, the store is of no more use.
    fn look(&mut self) -> Result<()> {
        self.looked = Instant::now();
        let file = self.origin.as_ref().and_then(Origin::file);
        file.map_or(Ok(()), |file| file.look()).inspect_err(|error| self.lose(error.clone()))
    }

    /// Gives up the file, which is no longer the store's. Every call gets this error from now on.
    fn lose(&mut self, why: Error) {
        (self.origin, self.retry, self.missing_table) = (None, None, None);
        self.release(why);
    }

    fn durability(&self) -> Durability {
        if self.defers.load(Ordering::Acquire) { self.config.durability } else { Durability::Full }
    }

    /// # Errors
    /// `Storage`, and `Busy` while a transaction of the application's is open.
    fn begin(&mut self) -> Result<WriteTransaction> {
        let database = self.database.as_ref().ok_or(Error::Closed)?;
        match &mut self.turns {
            Some(turns) => {
                let transaction = turns.begin(database)?;
                // Every transaction of the application's has ended.
                self.published.release();
                Ok(transaction)
            }
            None => database.begin_write().map_err(|error| failed("writing cannot begin", error)),
        }
    }

    /// Waits for a transaction of the application's to end, at most as long as a call does.
    fn wait_for_turn(&mut self) {
        if let (Some(turns), Some(database)) = (&mut self.turns, &self.database) {
            turns.wait(database, self.config.wait_for_transaction);
        }
    }

    fn commit(&mut self, mut transaction: WriteTransaction, durability: Durability, repair: Repair) -> Result<()> {
        // A one-phase commit is not safe to reopen after a failed sync.
        transaction.set_two_phase_commit(true);
        let quick = repair == Repair::Quick && durability == Durability::Full;
        transaction.set_quick_repair(quick);
        self.allocator_unsaved_since = (!quick && self.origin.is_some()).then(Instant::now);
        if durability == Durability::Deferred {
            let none = transaction.set_durability(redb::Durability::None);
            none.map_err(|error| failed("writes cannot be deferred", error))?;
        }
        match catching_panics(|| Ok(transaction.commit())) {
            Ok(Ok(())) => {
                if durability == Durability::Full {
                    self.signing.iter_mut().for_each(Signing::synced);
                }
                Ok(())
            }
            Ok(Err(error @ CommitError::TransactionPoisoned)) => Err(failed("the transaction failed", error)),
            Ok(Err(error)) => Err(outcome_unknown(failed("the commit failed", error))),
            Err(error) => Err(outcome_unknown(error)),
        }
    }

    /// Publishes the last commit to readers.
    fn publish(&mut self) -> Result<()> {
        let database = self.database.as_ref().ok_or(Error::Closed)?;
        if let (Readable::Snapshot(replaced), Some(_)) = (self.published.get().0, &self.erasing) {
            self.replaced.retain(|snapshot| snapshot.strong_count() > 0);
            self.replaced.push(Arc::downgrade(&replaced));
        }
        match (self.missing_table, &self.claim) {
            (Some(table), _) => self.published.withdraw(Readable::Nothing(Error::MissingTable(table))),
            (None, Some(_)) => self.published.publish(Readable::Database(Arc::clone(database))),
            (None, None) => {
                self.published.publish(Readable::Snapshot(Arc::new(Snapshot::begin(&**database)?)));
            }
        }
        Ok(())
    }

    fn find_tables(&mut self) -> Result<()> {
        let database = self.database.as_ref().ok_or(Error::Closed)?;
        self.missing_table = Snapshot::begin(&**database)?.missing_table()?;
        self.publish()
    }

    /// Creates and fills missing tables, and removes what a pass that was cut off has left: perhaps no pass follows.
    fn synchronize(&mut self) -> Result<()> {
        if let Some(error) = self.unavailable()
            && self.missing_table.is_none()
        {
            return Err(error);
        }
        self.guard(|writer| {
            if !writer.is_synchronized()? {
                writer.wait_for_turn();
                let transaction = writer.begin()?;
                erasing::remove_leftovers(&transaction, 0)?;
                let mut view = WriteView::new(&transaction);
                for table in TABLES {
                    view.create(table)?;
                }
                let mut txn = Txn::new(&view);
                (writer.synchronize)(&mut txn)?;
                let changed = txn.into_changes().rows;
                writer.apply(changed, &mut view)?;
                let signs = writer.sign(&mut view)?;
                drop(view);
                writer.commit(transaction, Durability::Full, Repair::Slow)?;
                if signs {
                    writer.signed(Durability::Full);
                }
            }
            writer.find_tables()
        })
    }

    /// True if an application's transactions could not be told from those of another database.
    fn lacks_id(&self) -> bool {
        self.claim.is_some() && self.signing.as_ref().is_some_and(Signing::lacks_id)
    }

    fn is_synchronized(&self) -> Result<bool> {
        let database = self.database.as_ref().ok_or(Error::Closed)?;
        let snapshot = Snapshot::begin(&**database)?;
        if snapshot.missing_table()?.is_some() || snapshot.has_any(&erasing::LEFTOVERS)? || self.lacks_id() {
            return Ok(false);
        }
        let mut txn = Txn::new(&snapshot);
        (self.synchronize)(&mut txn)?;
        Ok(txn.into_changes().rows.is_empty())
    }

    fn sync_if_due(&mut self, queue: &Queue) {
        if self.unsynced_since.is_some_and(|since| queue.is_empty() || since.elapsed() >= SYNC_EVERY) {
            // The writes were acknowledged as deferred, so no caller can be told; the next write fails instead.
            let _ = self.sync();
        }
    }

    fn sync(&mut self) -> Result<()> {
        let Some(since) = self.unsynced_since.take() else {
            return Ok(());
        };
        let synced = self.commit_nothing(Repair::Slow);
        if matches!(synced, Err(Error::Busy)) {
            self.unsynced_since = Some(since);
        }
        synced
    }

    /// Makes a commit without changes, which syncs the earlier ones.
    fn commit_nothing(&mut self, repair: Repair) -> Result<()> {
        self.guard(|writer| {
            let transaction = writer.begin()?;
            writer.commit(transaction, Durability::Full, repair)
        })
    }

    /// The next commit discards a saved allocator state, so saving it pays only when no more writes arrive.
    fn save_allocator_if_idle(&mut self, queue: &Queue) {
        if queue.is_empty() && self.allocator_unsaved_since.take_if(|since| since.elapsed() >= IDLE_AFTER).is_some() {
            // This commit has no caller to tell; the next write fails instead.
            let _ = self.commit_nothing(Repair::Quick);
        }
    }

    fn erase_if_due(&mut self) {
        if self.erasing.as_ref().and_then(Erasing::due).is_some_and(|due| due <= Instant::now()) {
            // The next pass is tried later.
            let _ = self.erase();
        }
    }

    /// Carries out the next part of overwriting removed rows.
    fn erase(&mut self) -> Result<()> {
        let began = Instant::now();
        let part = self.erasing.as_ref().map(Erasing::part);
        let (Some(part), None) = (part, self.unavailable()) else { return Ok(()) };
        if matches!(part, Part::Overwrite) && !self.wait_for_reads() {
            self.erasing.iter_mut().for_each(Erasing::postpone);
            return Ok(());
        }
        let result = self.guard(|writer| match part {
            Part::Rewrite(table) => {
                let mut is_whole = true;
                writer.erase_in(|transaction, _| {
                    is_whole = erasing::rewrite(transaction, table)?;
                    Ok(())
                })?;
                writer.erasing.iter_mut().filter(|_| !is_whole).for_each(Erasing::leave_out);
                erasing::RELEASE.into_iter().try_for_each(|step| writer.erase_in(step))
            }
            Part::Overwrite => erasing::OVERWRITE.into_iter().try_for_each(|step| writer.erase_in(step)),
        });
        if let Some(erasing) = &mut self.erasing {
            match result {
                Ok(()) => erasing.done(began.elapsed()),
                Err(_) => erasing.failed(),
            }
        }
        result
    }

    /// Waits a moment until nobody reads an earlier snapshot, whose pages are not free. Returns false if somebody does.
    fn wait_for_reads(&mut self) -> bool {
        let deadline = Instant::now() + READS_MAX;
        loop {
            self.replaced.retain(|snapshot| snapshot.strong_count() > 0);
            if self.replaced.is_empty() || Instant::now() > deadline {
                return self.replaced.is_empty();
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Overwrites everything that was removed, at the end.
    fn erase_all(&mut self) -> Result<()> {
        self.erasing.iter_mut().for_each(Erasing::hurry);
        let deadline = Instant::now() + CLOSING_READS_MAX;
        while self.unavailable().is_none() && self.erasing.as_ref().is_some_and(|erasing| erasing.due().is_some()) {
            self.erase()?;
            if Instant::now() > deadline && !self.replaced.is_empty() {
                return Err(Error::Storage(StorageError::new("a read goes on, so removed rows are not overwritten")));
            }
        }
        match &self.erasing {
            Some(erasing) if erasing.has_left_out() => {
                Err(Error::corrupt("removed rows may be left in a damaged table"))
            }
            _ => Ok(()),
        }
    }

    /// Runs a step of overwriting removed rows in a transaction of its own.
    fn erase_in(&mut self, step: impl FnOnce(&WriteTransaction, u64) -> Result<()>) -> Result<()> {
        self.look_if_due()?;
        let file = self.origin.as_ref().and_then(Origin::file).ok_or(Error::Closed)?;
        let file_bytes = file.len()?;
        let transaction = self.begin()?;
        step(&transaction, file_bytes)?;
        self.commit(transaction, Durability::Full, Repair::Slow)?;
        self.publish()
    }

    /// Runs code that may fail in redb. After a failure redb refuses writes until the database is reopened, so this
    /// reopens it at once.
    fn guard(&mut self, work: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        let result = catching_panics(|| work(self));
        if let Err(Error::Storage(why) | Error::OutcomeUnknown(why)) = &result
            && self.origin.is_some()
        {
            self.release(Error::Storage(why.clone()));
            self.reopen(BACKOFF.0);
        }
        result
    }

    /// Reopens a database on which a read failed, unless it has been reopened since.
    fn reopen_after(&mut self, snapshot: &Arc<Snapshot>) {
        if self.published.is(snapshot) && self.origin.is_some() {
            self.release(Error::Storage(StorageError::new("the database is being reopened after a failed read")));
            self.reopen(BACKOFF.0);
        }
    }

    fn reopen_if_due(&mut self) {
        if let Some((at, wait)) = self.retry
            && at <= Instant::now()
        {
            self.reopen(wait);
        }
    }

    /// Verifies the checksum of every page, which redb does only when it opens a file. Calls answer `Busy` until then.
    fn verify(&mut self) -> Result<()> {
        if let Some(error) = self.unavailable() {
            return Err(error);
        }
        if self.claim.is_some() {
            return Err(Error::Storage(StorageError::new("the pages of an application's database are not verified")));
        }
        if self.origin.is_none() {
            // Memory.
            return Ok(());
        }
        self.sync()?;
        self.release(Error::Busy);
        let verified = self.try_reopen(true);
        if verified.is_err() {
            self.reopen(BACKOFF.0);
        }
        verified
    }

    fn try_reopen(&mut self, check_pages: bool) -> Result<()> {
        catching_panics(|| {
            let origin = self.origin.as_ref().ok_or(Error::Closed)?;
            let pages = Pages { cache_bytes: self.config.cache_bytes, verify: check_pages, on_recovery: None };
            // What can be reopened can be recognised.
            let signing = self.signing.as_mut().ok_or(Error::Closed)?;
            let database = origin.reopen(pages, signing)?;
            signing.reopened(&database)?;
            self.database = Some(database);
            self.find_tables()
        })
    }

    fn reopen(&mut self, wait: Duration) {
        self.retry = None;
        let result = self.try_reopen(false);
        self.looked = Instant::now();
        if let Err(error) = result {
            if is_lost(&error) {
                return self.lose(error);
            }
            self.release(Error::Storage(StorageError::caused("the database cannot be reopened", error)));
            self.retry = Some((Instant::now() + wait, (wait * 2).min(BACKOFF.1)));
        }
    }

    /// Closes the database, which ends its snapshots, and shows readers the reason.
    fn release(&mut self, why: Error) {
        (self.unsynced_since, self.allocator_unsaved_since) = (None, None);
        self.published.withdraw(Readable::Nothing(why));
        let database = self.database.take();
        // The database's error was already reported; an error while closing it adds nothing.
        let _ = catching_panics(|| {
            drop(database);
            Ok(())
        });
    }

    fn close(&mut self) -> Result<()> {
        // After a mismatch there is no database left to close, and the error is the one that everybody gets.
        let _ = self.look();
        let synced = self.sync();
        let erased = self.erase_all();
        if let (None, Some(error)) = (&self.database, self.published.error()) {
            self.published.withdraw(Readable::Nothing(Error::Closed));
            return Err(error);
        }
        self.published.withdraw(Readable::Nothing(Error::Closed));
        self.retry = None;
        let database = self.database.take().and_then(Arc::into_inner);
        let closed = catching_panics(|| match database {
            Some(mut database) => {
                if self.erasing.is_some() {
                    // Passes move live pages to where pages were free. The file is no less whole if they stay there.
                    let _ = database.compact();
                }
                match database.close() {
                    // The application's transaction closes the database when it ends.
                    Err(DatabaseError::TransactionInProgress) => Ok(()),
                    closed => closed.map_err(|error| failed("the file cannot be closed cleanly", error)),
                }
            }
            // The application's database, which stays open.
            None => Ok(()),
        });
        (self.turns, self.claim, self.origin) = (None, None, None);
        synced.and(erased).and(closed)
    }
}

/// What opening an unclosed file costs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Repair {
    /// redb reads the whole file to find its free pages.
    Slow,
    /// The commit saves the allocator state, which lists them.
    Quick,
}

fn outcome_unknown(error: Error) -> Error {
    match error {
        Error::Storage(error) => Error::OutcomeUnknown(error),
        error => error,
    }
}
