//! Operations on a transaction of the application's, beside its own rows. It commits or aborts them together.

use redb::{TableHandle, WriteTransaction};

use super::RedbEngine;
use super::published::Slot;
use super::queue::{Caller, Task};
use super::signing::StoreId;
use super::turns::Turns;
use super::view::{Readable, WriteView, called, is_in_use};
use crate::engine::job::catching_panics;
use crate::error::{Error, Problem, Result, StorageError};
use crate::kv::txn::{Changes, Rows, Txn};
use crate::records::schema::{META, TABLES};
use crate::reply::Reply;

impl RedbEngine {
    /// Begins a transaction of the application's, with a two-phase commit. Waits for another one as long as a call does.
    ///
    /// # Errors
    /// `InvalidArgument` for a store that shares no database, `Busy`, `Closed` and `Storage`.
    pub(crate) fn begin_write(&self) -> Result<WriteTransaction> {
        let Some(patience) = self.queue.patience() else {
            return Err(Error::invalid("begin_write", Problem::NotShared));
        };
        self.writer.check()?;
        let database = match self.published.get().0 {
            Readable::Database(database) => database,
            Readable::Nothing(error) => return Err(error),
            Readable::Snapshot(_) => return Err(Error::Closed),
        };
        let mut turns = Turns::new();
        turns.wait(&database, patience);
        let mut transaction = turns.begin(&database)?;
        transaction.set_two_phase_commit(true);
        Ok(transaction)
    }

    /// Runs an operation on the transaction, and `finish` on its result. Only if both succeed the changes are made. If
    /// making them fails half way, the transaction cannot be committed any more.
    ///
    /// # Errors
    /// `InvalidArgument` for a store that shares no database, and for a transaction of another database; `Busy` while
    /// another call works on the transaction; `Closed` and `Storage`. Nothing was written then.
    pub(crate) fn run_in<R, T>(
        &self,
        transaction: &WriteTransaction,
        op: impl Fn(&mut Txn<'_>) -> Result<R>,
        finish: impl FnOnce(R) -> Result<T>,
    ) -> Result<T> {
        let store = self.store_id.as_ref().ok_or_else(|| Error::invalid("transaction", Problem::NotShared))?;
        self.writer.check()?;
        if let Some(error) = self.published.error() {
            return Err(error);
        }
        let mut view = WriteView::new(transaction);
        require_store(transaction, &view, store).map_err(busy_if_in_use)?;
        let mut txn = Txn::new(&view);
        let found = catching_panics(|| op(&mut txn)).map_err(busy_if_in_use)?;
        let Changes { rows, follow_up } = txn.into_changes();
        if view.is_broken() {
            return Err(Error::Storage(StorageError::new("the transaction failed")));
        }
        let answer = finish(found)?;
        if rows.is_empty() {
            return Ok(answer);
        }
        let applied = self.apply_in(&mut view, rows);
        drop(view);
        let follow_up = follow_up.filter(|_| applied.is_ok());
        drop(self.submit(Task::Ended(follow_up), Caller::None, Reply::ready(Ok(()))));
        applied.map(|()| answer)
    }

    /// Makes the changes. No value that was read from the changed rows is fresh until the transaction has ended.
    fn apply_in(&self, view: &mut WriteView<'_>, rows: Rows) -> Result<()> {
        // Opening a table is what fails if the application has it open. Nothing is changed then.
        rows.keys().try_for_each(|(table, _)| view.create(*table)).map_err(busy_if_in_use)?;
        self.published.hold(rows.keys().map(|(table, key)| Slot::of(table.index, key)));
        view.apply(rows).inspect_err(|error| view.poison(error, META.id))
    }
}

/// Refuses a transaction of another database. Opening a table would make one that is missing, so first all are looked for.
fn require_store(transaction: &WriteTransaction, view: &WriteView<'_>, store: &StoreId) -> Result<()> {
    let names: Vec<_> = called("the tables cannot be listed", || transaction.list_tables())?
        .map(|table| table.name().to_owned())
        .collect();
    let has_all = TABLES.iter().all(|table| names.iter().any(|name| name == table.name));
    if has_all && store.is_in(view)? { Ok(()) } else { Err(Error::invalid("transaction", Problem::OtherDatabase)) }
}

/// The table of settings stays open while a call works on the transaction, so a second call meets it.
fn busy_if_in_use(error: Error) -> Error {
    if is_in_use(&error) { Error::Busy } else { error }
}
