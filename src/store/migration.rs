//! Migrating a store to newer models or other indexes when it is opened.
//!
//! First every record is tried, so that a store that cannot be migrated stays as it is. Then the change is recorded,
//! and the records are rewritten in steps; each step stores its progress, so that an interrupted change resumes there.
//! The application's code runs on the opening thread, between the steps.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use crate::engine::Engine;
use crate::engine::any::AnyEngine;
use crate::error::{Error, OpenProblem, Result};
use crate::kv::key::Key;
use crate::kv::table::RowKey;
use crate::kv::txn::{Txn, with_indexes};
use crate::models::{
    Dynamic, DynamicFields, FieldKey, Fields, Indexes, MigrationError, MigrationProgress, MigrationStep, Models,
    fingerprint,
};
use crate::ops::meta::{self, Change, Settings, Stage};
use crate::ops::migration::Step;
use crate::ops::{migration, upkeep};
use crate::records::entries::{FieldIndexed, Record};
use crate::records::{AccountRecord, SessionRecord, TokenRecord, UserRecord};
use crate::store::fit::Fitted;

/// The application's callback for progress.
pub(crate) type OnProgress = Box<dyn FnMut(MigrationProgress) + Send>;
/// The application's callback for damaged records, which it wants left as they are.
pub(crate) type OnLeftOut = Box<dyn FnMut(RowKey) + Send>;

/// Migrates a store to the models and indexes of its application, if it has others. Returns the indexes it has now.
pub(crate) fn settle<M: Models>(
    engine: &AnyEngine,
    settings: &Settings,
    mut on_progress: Option<OnProgress>,
    mut on_left_out: Option<OnLeftOut>,
) -> Result<Arc<Indexes>> {
    let to = (settings.models.0.to_owned(), settings.models.1);
    loop {
        let found = match engine.read(meta::stored_models, Ok).wait() {
            Ok(Some(found)) => found,
            // A new store gets the declared indexes when its tables are created.
            Ok(None) | Err(Error::MissingTable(_)) => return Ok(Arc::new(settings.indexes.clone())),
            Err(error) => return Err(error),
        };
        match engine.confirm() {
            // Another process changed the store between this look at it and the one before.
            Err(Error::Busy) => continue,
            confirmed => confirmed?,
        }
        if found.is_settled(settings) {
            return Ok(Arc::new(found.indexes));
        }
        let is_dynamic = to.0 == Dynamic::NAME;
        // A change that only builds indexes starts again if the application now wants other indexes.
        let goes_on = found.is_migrated()
            || found
                .change
                .as_ref()
                .is_some_and(|change| is_dynamic || (change.to == to && change.indexes == settings.indexes));
        let mut settling = Settling::<M> {
            engine,
            migrates: found.models != to && !is_dynamic,
            on_progress: &mut on_progress,
            on_left_out: &mut on_left_out,
            progress: MigrationProgress { step: MigrationStep::Trying, records_done: 0, records: None },
            models: PhantomData,
        };
        let change = found.change.filter(|_| goes_on);
        let from = if found.models.0 == to.0 { found.models.1 } else { 0 };
        let new =
            Change { from, to: to.clone(), indexes: settings.indexes.clone(), stage: Stage::Indexes, after: None };
        match settling.change(change, new, &found.indexes) {
            // Another process opens the store as well: they take turns.
            Err(Error::Busy) if engine.is_shared() => {}
            outcome => outcome?,
        }
    }
}

struct Settling<'e, M> {
    engine: &'e AnyEngine,
    /// Whether the application's code has to run.
    migrates: bool,
    on_progress: &'e mut Option<OnProgress>,
    on_left_out: &'e mut Option<OnLeftOut>,
    progress: MigrationProgress,
    models: PhantomData<fn() -> M>,
}

impl<M: Models> Settling<'_, M> {
    /// Resumes a change that was begun, or begins a new one.
    fn change(&mut self, begun: Option<Change>, new: Change, indexes: &Indexes) -> Result<()> {
        let change = match begun {
            Some(change) => change,
            None => {
                self.sweep(indexes)?;
                self.try_all(&new)?;
                self.write(&new, migration::begin)?;
                new
            }
        };
        self.carry_out(change)
    }

    /// Removes what deleted users left, so that the migration does not meet it.
    fn sweep(&self, indexes: &Indexes) -> Result<()> {
        while self.engine.read(upkeep::must_sweep, Ok).wait()? {
            let swept = self.engine.write(with_indexes(Arc::new(indexes.clone()), upkeep::sweep_soundly), Ok).wait();
            match swept {
                // What is left is migrated with the other records.
                Err(Error::Storage(_)) if self.on_left_out.is_some() => return Ok(()),
                swept => swept?,
            }
        }
        Ok(())
    }

    fn try_all(&mut self, change: &Change) -> Result<()> {
        let mut taken = HashSet::new();
        self.start(MigrationStep::Trying);
        self.try_records::<UserRecord>(change, &mut taken)?;
        self.try_records::<AccountRecord>(change, &mut taken)?;
        if self.migrates {
            self.try_records::<SessionRecord>(change, &mut taken)?;
            self.try_records::<TokenRecord>(change, &mut taken)?;
        }
        self.progress.records = Some(self.progress.records_done);
        Ok(())
    }

    fn try_records<R: Migrated<M>>(&mut self, change: &Change, taken: &mut HashSet<[u8; 32]>) -> Result<()> {
        let mut after = None;
        loop {
            let Step { records, last, .. } = self.step::<R>(after)?;
            if last.is_none() {
                return Ok(());
            }
            after = last;
            for record in &records {
                let refused = |why: &dyn fmt::Display| refused::<M, R>(record, why);
                let changed = self.changed(record, change)?;
                for (field, value) in changed.unique_values(&change.indexes).map_err(|why| refused(&why))? {
                    let key = [R::TABLE.id.name.as_bytes(), b"/", field.as_bytes(), b"/", &value.to_bytes()].concat();
                    if !taken.insert(fingerprint(&key)) {
                        let two = format!("two {} have the same {field}, and its index is unique", R::PLURAL);
                        return Err(refused(&two));
                    }
                }
                changed.entries(&change.indexes).map_err(|why| refused(&why))?;
                R::TABLE.entry(&changed.key(), &changed).map_err(|why| refused(&why))?;
            }
            self.advance(records.len());
        }
    }

    /// Runs the stages of a change from where it stands.
    fn carry_out(&mut self, mut change: Change) -> Result<()> {
        if change.stage == Stage::Indexes {
            self.start(MigrationStep::ClearingIndexes);
            while self.engine.write(migration::clear, Ok).wait()? {
                self.advance(0);
            }
        }
        self.start(MigrationStep::Changing);
        self.change_records::<UserRecord>(&mut change)?;
        self.change_records::<AccountRecord>(&mut change)?;
        if self.migrates {
            self.change_records::<SessionRecord>(&mut change)?;
            self.change_records::<TokenRecord>(&mut change)?;
        }
        self.write(&change, migration::finish)
    }

    fn change_records<R: Migrated<M>>(&mut self, change: &mut Change) -> Result<()> {
        if change.stage > R::STAGE {
            return Ok(());
        }
        if change.stage < R::STAGE {
            change.stage = R::STAGE;
            change.after = None;
        }
        loop {
            let Step { records, left_out, last } = self.step::<R>(change.after.clone())?;
            if last.is_none() {
                return Ok(());
            }
            change.after = last;
            if let Some(on_left_out) = self.on_left_out {
                left_out.into_iter().for_each(on_left_out);
            }
            let done = records.len();
            let changed = records.iter().map(|record| self.changed(record, change)).collect::<Result<Vec<_>>>()?;
            self.write(change, move |txn, change| migration::rewrite(txn, &changed, change))?;
            self.advance(done);
        }
    }

    fn changed<R: Migrated<M>>(&self, record: &R, change: &Change) -> Result<R> {
        if !self.migrates {
            return Ok(record.clone());
        }
        record.migrated(change.from).map_err(|why| refused::<M, R>(record, &why))
    }

    fn step<R: Record + Send>(&self, after: Option<Vec<u8>>) -> Result<Step<R>> {
        let goes_on = self.on_left_out.is_some();
        self.engine.read(move |txn| migration::step(txn, after.as_deref(), goes_on), Ok).wait()
    }

    fn write(&self, change: &Change, op: impl Fn(&mut Txn<'_>, &Change) -> Result<()> + Send + 'static) -> Result<()> {
        let (change, indexes) = (change.clone(), Arc::new(change.indexes.clone()));
        self.engine.write(with_indexes(indexes, move |txn| op(txn, &change)), Ok).wait()
    }

    fn start(&mut self, step: MigrationStep) {
        self.progress = MigrationProgress { step, records_done: 0, ..self.progress };
        self.advance(0);
    }

    fn advance(&mut self, records: usize) {
        self.progress.records_done += records as u64;
        if let Some(on_progress) = self.on_progress {
            on_progress(self.progress);
        }
    }
}

fn refused<M: Models, R: Migrated<M>>(record: &R, why: &dyn fmt::Display) -> Error {
    OpenProblem::MigrationRefused { record: record.name().to_string(), why: why.to_string() }.into()
}

/// A record with own fields, which a change can affect.
trait Migrated<M: Models>: Fitted<M> {
    const STAGE: Stage;

    fn migrated(&self, from: u32) -> Result<Self, MigrationError>;

    fn unique_values(&self, _: &Indexes) -> Result<Vec<(Cow<'static, str>, FieldKey)>> {
        Ok(Vec::new())
    }
}

impl<M: Models> Migrated<M> for UserRecord {
    const STAGE: Stage = Stage::Users;

    fn migrated(&self, from: u32) -> Result<Self, MigrationError> {
        let fields = M::migrate_user(from, self.clone().into_model()?)?;
        fitting::<M, _>(self.clone().with_fields(&fields)?)
    }

    fn unique_values(&self, indexes: &Indexes) -> Result<Vec<(Cow<'static, str>, FieldKey)>> {
        FieldIndexed::unique_values(self, indexes)
    }
}

impl<M: Models> Migrated<M> for AccountRecord {
    const STAGE: Stage = Stage::Accounts;

    fn migrated(&self, from: u32) -> Result<Self, MigrationError> {
        let fields = M::migrate_account(from, self.clone().into_model()?)?;
        fitting::<M, _>(self.clone().with_fields(&fields)?)
    }

    fn unique_values(&self, indexes: &Indexes) -> Result<Vec<(Cow<'static, str>, FieldKey)>> {
        FieldIndexed::unique_values(self, indexes)
    }
}

impl<M: Models> Migrated<M> for SessionRecord {
    const STAGE: Stage = Stage::Sessions;

    fn migrated(&self, from: u32) -> Result<Self, MigrationError> {
        let fields = M::migrate_session(from, dynamic(&self.extra)?)?;
        fitting::<M, _>(self.clone().with_fields(&fields)?)
    }
}

impl<M: Models> Migrated<M> for TokenRecord {
    const STAGE: Stage = Stage::VerificationTokens;

    fn migrated(&self, from: u32) -> Result<Self, MigrationError> {
        let fields = M::migrate_verification_token(from, dynamic(&self.extra)?)?;
        fitting::<M, _>(self.clone().with_fields(&fields)?)
    }
}

fn dynamic(fields: &Fields) -> Result<DynamicFields, MigrationError> {
    fields.clone().into_extra().map_err(|misfit| misfit.to_string().into())
}

/// Returns the record if the application's model can read its own fields.
fn fitting<M: Models, R: Fitted<M>>(record: R) -> Result<R, MigrationError> {
    record.check_fit().map_err(|misfit| format!("its fields do not fit them: {misfit}"))?;
    Ok(record)
}
