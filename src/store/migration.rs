//! Migrating a store to newer models or other indexes when it is opened.
//!
//! First every record is tried, so that a store that cannot be migrated stays as it is. Then the change is recorded,
//! and the records are rewritten in steps; each step stores its progress, so that an interrupted change resumes there.
//! The application's code runs on the opening thread, between the steps.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use serde_json::Value;

use crate::engine::Engine;
use crate::engine::any::AnyEngine;
use crate::error::{Error, OpenProblem, Result};
use crate::kv::key::Key;
use crate::kv::table::RowKey;
use crate::kv::txn::{Txn, with_indexes};
use crate::models::{
    Absent, Absentees, Dynamic, DynamicFields, FieldKey, Fields, Index, Indexes, MigrationError, MigrationProgress,
    MigrationStep, Models, fingerprint,
};
use crate::ops::meta::{self, Change, Settings, Stage};
use crate::ops::migration::Step;
use crate::ops::{fields, migration, upkeep};
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
    let is_dynamic = to.0 == Dynamic::NAME;
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
            // The application's own model says what it reads now; of another's only the store knows.
            return Ok(Arc::new(if is_dynamic { found.indexes } else { settings.indexes.clone() }));
        }
        // A change that only builds indexes starts again if the application now wants other indexes.
        let goes_on = found.is_migrated()
            || found
                .change
                .as_ref()
                .is_some_and(|change| is_dynamic || (change.to == to && change.indexes == settings.indexes));
        let mut settling = Settling::<M> {
            engine,
            migrates: found.models != to && !is_dynamic,
            is_dynamic,
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
    /// Whether the application's migration has to run.
    migrates: bool,
    /// Whether the application's models are not known here, so that what they read is in the indexes.
    is_dynamic: bool,
    on_progress: &'e mut Option<OnProgress>,
    on_left_out: &'e mut Option<OnLeftOut>,
    progress: MigrationProgress,
    models: PhantomData<fn() -> M>,
}

impl<M: Models> Settling<'_, M> {
    /// Resumes a change that was begun, or begins a new one.
    fn change(&mut self, begun: Option<Change>, mut new: Change, indexes: &Indexes) -> Result<()> {
        let change = match begun {
            Some(change) => change,
            None => {
                self.sweep(indexes)?;
                self.try_all(&mut new)?;
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

    /// Tries the change on every record, and notes in it what the models read where records lack an indexed field.
    fn try_all(&mut self, change: &mut Change) -> Result<()> {
        let mut taken = HashSet::new();
        self.start(MigrationStep::Trying);
        let users = self.try_records::<UserRecord>(change, &mut taken)?;
        let accounts = self.try_records::<AccountRecord>(change, &mut taken)?;
        if self.migrates {
            self.try_records::<SessionRecord>(change, &mut taken)?;
            self.try_records::<TokenRecord>(change, &mut taken)?;
        }
        note(&mut change.indexes.users, users);
        note(&mut change.indexes.accounts, accounts);
        self.progress.records = Some(self.progress.records_done);
        Ok(())
    }

    /// Returns what the models read where records lack an indexed field.
    fn try_records<R: Migrated<M>>(&mut self, change: &Change, taken: &mut HashSet<[u8; 32]>) -> Result<Readings> {
        let (mut after, mut readings) = (None, Readings::new());
        loop {
            let Step { records, last, .. } = self.step::<R>(after)?;
            if last.is_none() {
                return Ok(readings);
            }
            after = last;
            for record in &records {
                let refused = |why: &dyn fmt::Display| refused::<M, R>(record, why);
                let (changed, absentees) = self.changed(record, change)?;
                for (field, value) in absentees {
                    readings.entry(field).and_modify(|reading| reading.add(&value)).or_insert(Reading::Always(value));
                }
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
            let changed =
                records.iter().map(|record| Ok(self.changed(record, change)?.0)).collect::<Result<Vec<_>>>()?;
            self.write(change, move |txn, change| migration::rewrite(txn, &changed, change, R::require_free))?;
            self.advance(done);
        }
    }

    /// Returns the record as it will be, and the indexed fields that it lacked.
    fn changed<R: Migrated<M>>(&self, record: &R, change: &Change) -> Result<(R, Absentees)> {
        let refused = |why: &dyn fmt::Display| refused::<M, R>(record, why);
        let mut changed = match self.migrates {
            true => record.migrated(change.from).map_err(|why| refused(&why))?,
            false => record.clone(),
        };
        let indexes = R::indexed(&change.indexes);
        let absentees = if self.is_dynamic {
            changed.own_fields_mut().fill_as_known(indexes);
            Absentees::new()
        } else {
            changed
                .check_fit()
                .and_then(|()| changed.own_fields_mut().fill::<R::Own>(indexes))
                .map_err(|why| refused(&why))?
        };
        match changed.own_fields().check_indexed(indexes) {
            // Only the models themselves know what this record gets.
            Err(_) if self.is_dynamic => Err(OpenProblem::ChangeUnfinished { to: change.to.clone() }.into()),
            Err(why) => Err(refused(&why)),
            Ok(()) => Ok((changed, absentees)),
        }
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

/// What the models read for an indexed field, by its name.
type Readings = HashMap<Cow<'static, str>, Reading>;

/// What the models read for a field where records lack it.
enum Reading {
    /// The same each time. `None` is no value.
    Always(Option<Value>),
    /// A value for some records only.
    Sometimes,
    /// A value each time, and not always the same one.
    Different,
}

impl Reading {
    fn add(&mut self, value: &Option<Value>) {
        *self = match (&*self, value) {
            (Self::Always(all), value) if all == value => return,
            (Self::Always(Some(_)) | Self::Different, Some(_)) => Self::Different,
            _ => Self::Sometimes,
        };
    }
}

/// Notes in the indexes what the models read where records lack a field.
fn note(indexes: &mut [Index], mut readings: Readings) {
    for index in indexes {
        index.absent = match (readings.remove(&index.field), index.absent.take()) {
            (Some(Reading::Always(Some(value))), Some(Absent::Value(known))) if value != known => {
                Some(Absent::Something)
            }
            (Some(Reading::Always(Some(value))), _) => Some(Absent::Value(value)),
            (Some(Reading::Different), _) => Some(Absent::Something),
            (Some(Reading::Always(None) | Reading::Sometimes) | None, known) => known,
        };
    }
}

/// A record with own fields, which a change can affect.
trait Migrated<M: Models>: Fitted<M> {
    const STAGE: Stage;

    fn migrated(&self, from: u32) -> Result<Self, MigrationError>;

    /// The indexes on own fields of this kind of record.
    fn indexed(_: &Indexes) -> &[Index] {
        &[]
    }

    /// Refuses a value that another record already has in a unique index.
    fn require_free(&self, _: &Txn<'_>) -> Result<()> {
        Ok(())
    }

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

    fn indexed(indexes: &Indexes) -> &[Index] {
        Self::indexes(indexes)
    }

    fn require_free(&self, txn: &Txn<'_>) -> Result<()> {
        fields::require_free(txn, self)
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

    fn indexed(indexes: &Indexes) -> &[Index] {
        Self::indexes(indexes)
    }

    fn require_free(&self, txn: &Txn<'_>) -> Result<()> {
        fields::require_free(txn, self)
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
