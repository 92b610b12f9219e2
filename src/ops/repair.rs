//! Lists what would make a damaged store sound, and does what was listed. The pages are the engine's to verify.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::ops::{Bound, ControlFlow};

use crate::error::{Error, Result, StorageError};
use crate::kv::key::Key;
use crate::kv::table::{RowKey, Table, TableId};
use crate::kv::txn::Txn;
use crate::models::{Indexes, UserId};
use crate::records::entries::{Record, change_row, record_of};
use crate::records::schema::{DELETED_USERS, SWEEP, USERS, indexes};
use crate::records::{
    AccountRecord, AuthenticatorRecord, CodeRequest, GuessBudget, OldCode, SessionRecord, StateRecord, TokenRecord,
    UserRecord, WebSessionRecord,
};

/// How many steps a repair lists at most.
const STEPS_MAX: usize = 10_000;
/// How many cases for the application it describes at most.
const UNDECIDED_MAX: usize = 100;
/// How many rows one transaction changes at most.
const STEP_ROWS_MAX: usize = 256;

/// What [`AuthKv::repair`](crate::AuthKv::repair) has found. Nothing has been changed yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Repair {
    /// Each row that would be written or removed, at most 10,000. Take out what should stay as it is.
    pub steps: Vec<RepairStep>,
    /// True if there are more steps than these: repair again after these were carried out.
    pub more: bool,
    /// Why nothing may be carried out. While a page is damaged, what seems to be missing may only be hidden.
    pub blocked: Option<String>,
    /// What nobody but the application can decide, such as two users with one address. They are described without
    /// secrets; only the first 100 are.
    pub undecided: Vec<String>,
}

impl Repair {
    /// True if nothing is to be done.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty() && self.blocked.is_none() && self.undecided.is_empty()
    }

    /// Forbids to carry anything out.
    pub(crate) fn block(&mut self, why: String) {
        self.blocked.get_or_insert(why);
    }
}

/// A row that a repair would write or remove. As text it says what would happen, and the [row](RowKey).
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RepairStep {
    /// What would happen.
    pub kind: RepairKind,
    /// The row.
    pub row: RowKey,
    table: TableId,
    /// The row that was found. It must still be the same when the step is carried out.
    found: Option<Vec<u8>>,
    /// The record for which the step is right.
    because: Option<Because>,
    /// The row that takes its place.
    wanted: Option<Vec<u8>>,
}

/// A record on which a step depends: the one that an entry belongs to, or the user of a record.
#[derive(Clone, PartialEq, Eq)]
struct Because {
    table: TableId,
    key: Vec<u8>,
    /// The fingerprint of the record that was found.
    found: Option<u64>,
}

/// What a repair would do with a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RepairKind {
    /// Writes an index entry that a sound record lacks.
    AddEntry,
    /// Corrects an index entry that differs from its sound record.
    CorrectEntry,
    /// Removes an index entry to which no sound record belongs. An address, an account or a token that nobody has is
    /// free again.
    RemoveEntry,
    /// Removes a record, or a note about a deleted user, that cannot be read.
    RemoveDamaged,
    /// Removes a record of a user who does not exist.
    RemoveOrphan,
}

impl fmt::Display for RepairStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            RepairKind::AddEntry => "add the missing entry",
            RepairKind::CorrectEntry => "correct the entry",
            RepairKind::RemoveEntry => "remove the entry of no record",
            RepairKind::RemoveDamaged => "remove the damaged row",
            RepairKind::RemoveOrphan => "remove the record of a missing user",
        };
        write!(f, "{what} {}", self.row)
    }
}

impl fmt::Debug for RepairStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RepairStep").field("kind", &self.kind).field("row", &self.row).finish_non_exhaustive()
    }
}

/// How many steps of a [`Repair`] were carried out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Repaired {
    /// Rows that were written or removed.
    pub done: usize,
    /// Rows that were left as they are: they, or the records for which they were listed, had changed since.
    pub changed: usize,
}

/// Runs a method for each kind of record.
macro_rules! of_each_record {
    ($planner:ident.$method:ident) => {{
        $planner.$method::<UserRecord>()?;
        $planner.$method::<AccountRecord>()?;
        $planner.$method::<SessionRecord>()?;
        $planner.$method::<AuthenticatorRecord>()?;
        $planner.$method::<TokenRecord>()?;
        $planner.$method::<CodeRequest>()?;
        $planner.$method::<GuessBudget>()?;
        $planner.$method::<OldCode>()?;
        $planner.$method::<StateRecord>()?;
        $planner.$method::<WebSessionRecord>()?;
    }};
}

/// Reads everything and lists the rows to change. It needs 8 bytes and a little of memory for each index entry.
pub(crate) fn plan(txn: &Txn<'_>, indexes: &Indexes) -> Result<Repair> {
    let (wanted, shared, orphaned) = (BTreeSet::new(), BTreeSet::new(), BTreeMap::new());
    let mut planner = Planner { txn, indexes, wanted, shared, orphaned, repair: Repair::default() };
    of_each_record!(planner.records);
    planner.notes(&DELETED_USERS)?;
    planner.notes(&SWEEP)?;
    planner.surplus_entries()?;
    of_each_record!(planner.missing_entries);
    Ok(planner.repair)
}

struct Planner<'p, 'v> {
    txn: &'p Txn<'v>,
    indexes: &'p Indexes,
    /// Fingerprints of the entries of sound records. Two that are equal by chance only hide a surplus entry.
    wanted: BTreeSet<u64>,
    /// Of those that more than one record has.
    shared: BTreeSet<u64>,
    /// Of the entries of records of no user, with that user.
    orphaned: BTreeMap<u64, Option<Because>>,
    repair: Repair,
}

impl Planner<'_, '_> {
    /// Lists records that are damaged or of no user, and notes the entries of the others.
    fn records<R: Record>(&mut self) -> Result<()> {
        let txn = self.txn;
        self.scan(R::TABLE.id, |planner, key, value| {
            let Ok((_, record)) = R::TABLE.row(key, value) else {
                planner.remove(RepairKind::RemoveDamaged, (R::TABLE.id, key, value), None);
                return Ok(());
            };
            if found(txn, R::TABLE.id, key)?.is_none() {
                planner.repair.block(format!("{}: a record is not found by its key", R::TABLE.id.name));
            }
            if planner.is_orphan(&record)? {
                let user = record.owner().map(|id| Because { table: USERS.id, key: id.to_bytes(), found: None });
                for entry in record.entries(planner.indexes)? {
                    planner.orphaned.insert(fingerprint(entry.table, &entry.key), user.clone());
                }
                planner.remove(RepairKind::RemoveOrphan, (R::TABLE.id, key, value), user);
                return Ok(());
            }
            for entry in record.entries(planner.indexes)? {
                let fingerprint = fingerprint(entry.table, &entry.key);
                if !planner.wanted.insert(fingerprint) {
                    planner.shared.insert(fingerprint);
                }
            }
            Ok(())
        })
    }

    /// Lists damaged notes about deleted users.
    fn notes<K: Key>(&mut self, table: &Table<K, ()>) -> Result<()> {
        self.scan(table.id, |planner, key, value| {
            if table.row(key, value).is_err() {
                planner.remove(RepairKind::RemoveDamaged, (table.id, key, value), None);
            }
            Ok(())
        })
    }

    fn surplus_entries(&mut self) -> Result<()> {
        let txn = self.txn;
        for index in indexes() {
            self.scan(index, |planner, key, value| {
                let fingerprint = fingerprint(index, key);
                if planner.wanted.contains(&fingerprint) {
                    return Ok(());
                }
                let because = match planner.orphaned.get(&fingerprint) {
                    Some(user) => user.clone(),
                    None => record_of(index, key, value).map(|(table, key)| because(txn, table, key)).transpose()?,
                };
                planner.remove(RepairKind::RemoveEntry, (index, key, value), because);
                Ok(())
            })?;
        }
        Ok(())
    }

    /// Lists entries that sound records lack, or that differ from them.
    fn missing_entries<R: Record>(&mut self) -> Result<()> {
        let txn = self.txn;
        self.scan(R::TABLE.id, |planner, key, value| {
            let Ok((_, record)) = R::TABLE.row(key, value) else {
                return Ok(());
            };
            if planner.is_orphan(&record)? {
                return Ok(());
            }
            for entry in record.entries(planner.indexes)? {
                let found = found(txn, entry.table, &entry.key)?;
                if found.as_ref() == Some(&entry.value) {
                    continue;
                }
                if planner.shared.contains(&fingerprint(entry.table, &entry.key)) {
                    planner.undecided(format!("{}: two records have one entry", entry.table.name));
                    continue;
                }
                let kind = if found.is_some() { RepairKind::CorrectEntry } else { RepairKind::AddEntry };
                let record =
                    Because { table: R::TABLE.id, key: key.to_vec(), found: Some(fingerprint(R::TABLE.id, value)) };
                planner.step(kind, (entry.table, &entry.key), found, Some(entry.value), Some(record));
            }
            Ok(())
        })
    }

    /// True if the record's user is neither there nor waiting to be swept. A damaged user is there.
    fn is_orphan<R: Record>(&self, record: &R) -> Result<bool> {
        let Some(owner) = record.owner().map(UserId::to_bytes) else {
            return Ok(false);
        };
        Ok(found(self.txn, USERS.id, &owner)?.is_none() && found(self.txn, SWEEP.id, &owner)?.is_none())
    }

    /// Visits each row of a table. If there are fewer than the table counts, some are hidden.
    fn scan(&mut self, table: TableId, mut visit: impl FnMut(&mut Self, &[u8], &[u8]) -> Result<()>) -> Result<()> {
        let (txn, mut rows) = (self.txn, 0);
        txn.scan_bytes(table, (Bound::Unbounded, Bound::Unbounded), &mut |key, value| {
            rows += 1;
            visit(self, key, value)?;
            Ok(ControlFlow::Continue(()))
        })?;
        let counted = txn.row_count(table)?;
        if rows != counted {
            self.repair.block(format!("{}: {rows} of {counted} rows are there", table.name));
        }
        Ok(())
    }

    fn remove(&mut self, kind: RepairKind, (table, key, found): (TableId, &[u8], &[u8]), because: Option<Because>) {
        self.step(kind, (table, key), Some(found.to_vec()), None, because);
    }

    fn step(
        &mut self,
        kind: RepairKind,
        (table, key): (TableId, &[u8]),
        found: Option<Vec<u8>>,
        wanted: Option<Vec<u8>>,
        because: Option<Because>,
    ) {
        if self.repair.steps.len() < STEPS_MAX {
            let row = RowKey::new(table, key);
            self.repair.steps.push(RepairStep { kind, row, table, found, because, wanted });
        } else {
            self.repair.more = true;
        }
    }

    fn undecided(&mut self, what: String) {
        if self.repair.undecided.len() < UNDECIDED_MAX {
            self.repair.undecided.push(what);
        }
    }
}

/// Of a key or a value.
fn fingerprint(table: TableId, bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    (table.index, bytes).hash(&mut hasher);
    hasher.finish()
}

fn because(txn: &Txn<'_>, table: TableId, key: Vec<u8>) -> Result<Because> {
    let found = found(txn, table, &key)?.map(|value| fingerprint(table, &value));
    Ok(Because { table, key, found })
}

fn found(txn: &Txn<'_>, table: TableId, key: &[u8]) -> Result<Option<Vec<u8>>> {
    let mut found = None;
    txn.get_bytes(table, key, &mut |value| {
        found = Some(value.to_vec());
        Ok(())
    })?;
    Ok(found)
}

/// Carries out the steps after the first ones, as many as one transaction may take.
///
/// # Errors
/// A storage failure if nothing may be carried out.
pub(crate) fn carry_out(txn: &mut Txn<'_>, repair: &Repair, after: usize) -> Result<Repaired> {
    if let Some(why) = &repair.blocked {
        return Err(Error::Storage(StorageError::caused("nothing was repaired", io::Error::other(why.clone()))));
    }
    let limit = txn.step_records(STEP_ROWS_MAX);
    let mut repaired = Repaired::default();
    for step in repair.steps.iter().skip(after).take(limit) {
        let is_same = found(txn, step.table, &step.row.key)? == step.found;
        if is_same && step.because.as_ref().map_or(Ok(true), |record| is_right(txn, step, record))? {
            change_row(txn, step.table, step.row.key.clone(), step.wanted.clone());
            repaired.done += 1;
        } else {
            repaired.changed += 1;
        }
    }
    Ok(repaired)
}

/// True if the record for which a step was listed is as it was. One that is gone by now has no entries.
fn is_right(txn: &Txn<'_>, step: &RepairStep, record: &Because) -> Result<bool> {
    Ok(match because(txn, record.table, record.key.clone())?.found {
        None => step.wanted.is_none(),
        now => now == record.found,
    })
}
