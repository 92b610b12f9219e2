//! Checking the whole store: its rows, and whether its records fit the application's models.

use std::sync::Arc;

use crate::error::Result;
use crate::models::Models;
use crate::ops::check::{self, CheckReport};
use crate::ops::migration;
use crate::records::{AccountRecord, SessionRecord, TokenRecord, UserRecord};
use crate::reply::Reply;
use crate::store::AuthKv;
use crate::store::fit::Fitted;
use crate::store::shown::Trial;

impl<M: Models> AuthKv<M> {
    /// Checks the whole store on the calling thread: looks up every record and every index entry, and compares them and
    /// their counts. This takes microseconds per record. Damage is in the report, not an error, and so are the damaged
    /// entries that purges have dropped since the store was opened.
    ///
    /// Records that do not fit the application's models are in the report, too: the calls that meet them answer
    /// [`Misfit`](crate::Error::Misfit).
    ///
    /// It sees everything that a call can encounter. It does not see damage to redb's list of free pages, which may
    /// spoil a later write; opening with [`Options::verify`](crate::Options::verify) does.
    ///
    /// # Errors
    /// [`Storage`](crate::Error::Storage) when the tables themselves are too damaged to be read.
    ///
    /// ```
    /// # use authkv::AuthKv;
    /// let report = AuthKv::in_memory()?.check().wait()?;
    /// assert!(report.is_sound(), "{:?}", report.problems);
    /// # Ok::<(), authkv::Error>(())
    /// ```
    pub fn check(&self) -> Reply<CheckReport> {
        let (indexes, dropped) = (Arc::clone(self.indexes()), self.background_purge().damaged());
        let report = self.read(move |txn| check::check(txn, &indexes), move |report| Ok(report.with_dropped(dropped)));
        let auth = self.clone();
        report.and_then(move |report| Reply::rest(async move { auth.with_misfits(report?).await }))
    }

    async fn with_misfits(&self, mut report: CheckReport) -> Result<CheckReport> {
        self.find_misfits::<UserRecord>(&mut report).await?;
        self.find_misfits::<AccountRecord>(&mut report).await?;
        self.find_misfits::<SessionRecord>(&mut report).await?;
        self.find_misfits::<TokenRecord>(&mut report).await?;
        Ok(report)
    }

    /// Adds the records that do not fit to the report. The application's code runs between two reads.
    async fn find_misfits<R: Fitted<M>>(&self, report: &mut CheckReport) -> Result<()> {
        if Trial::of::<R::Own>() == Trial::Spared {
            return Ok(());
        }
        let mut after = None;
        loop {
            // Damaged rows are in the report already.
            let step = self.read(move |txn| migration::step::<R>(txn, after.as_deref(), true), Ok).await?;
            for record in &step.records {
                if let Err(misfit) = record.check_fit() {
                    report.problem(R::TABLE.id, &misfit.of(record.name()).to_string());
                }
            }
            after = step.last;
            if after.is_none() {
                return Ok(());
            }
        }
    }
}
