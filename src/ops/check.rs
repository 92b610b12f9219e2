//! Checks that every record can be read, that no record is missing, and that the indexes agree exactly with the
//! records.

use std::ops::{Bound, ControlFlow};

use crate::error::Result;
use crate::kv::key::Key;
use crate::kv::table::{Table, TableId};
use crate::kv::txn::Txn;
use crate::models::{FieldKey, Indexes};
use crate::records::entries::{FieldIndexed, Record};
use crate::records::schema::{ACCOUNTS, BY_EXPIRY, DELETED_USERS, SWEEP, TABLES, USERS, indexes};
use crate::records::{
    AccountRecord, AuthenticatorRecord, CodeRequest, GuessBudget, OldCode, SessionRecord, StateRecord, TokenRecord,
    UserRecord, WebSessionRecord,
};

/// How many problems a report describes. Further problems are only counted.
const DESCRIBED_MAX: usize = 100;

/// The result of a check.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CheckReport {
    /// How many users there are.
    pub users: u64,
    /// How many accounts.
    pub accounts: u64,
    /// How many sessions, expired ones included.
    pub sessions: u64,
    /// How many verification tokens, expired ones included.
    pub verification_tokens: u64,
    /// How many authenticators.
    pub authenticators: u64,
    /// How many requests for codes, expired ones included, and codes that formats before 5 have.
    pub codes: u64,
    /// How many addresses have a budget for guesses at codes, of which something is used or reserved.
    pub guess_budgets: u64,
    /// How many states and keys that were used once, expired ones included.
    pub states: u64,
    /// How many web sessions, expired ones included.
    pub web_sessions: u64,
    /// How many accounts, authenticators, sessions and web sessions belong to deleted users and are waiting to be
    /// removed. No method sees them.
    pub waiting_to_be_swept: u64,
    /// How many problems were found.
    pub problem_count: u64,
    /// Descriptions of the first 100 problems. They contain no secrets.
    pub problems: Vec<String>,
}

impl CheckReport {
    /// True if no problem was found.
    pub fn is_sound(&self) -> bool {
        self.problem_count == 0
    }

    /// Adds the entries of the expiry index that purges have dropped because they were of no sound record.
    pub(crate) fn with_dropped(mut self, entries: u64) -> Self {
        if entries > 0 {
            self.problem(BY_EXPIRY.id, &format!("{entries} entries of missing or damaged records were dropped"));
        }
        self
    }

    pub(crate) fn problem(&mut self, table: TableId, what: &str) {
        self.problem_count += 1;
        if self.problems.len() < DESCRIBED_MAX {
            self.problems.push(format!("{}: {what}", table.name));
        }
    }
}

/// Reads everything. Each record must be found by its key and have the index entries computed from it. There must be no
/// other entries, and each table must have as many rows as its counter says.
pub(crate) fn check(txn: &Txn<'_>, indexes: &Indexes) -> Result<CheckReport> {
    let mut check = Check { txn, indexes, report: CheckReport::default(), expected: [0; TABLES.len()] };
    check.report.users = check.records::<UserRecord>()?;
    check.report.accounts = check.records::<AccountRecord>()?;
    check.report.sessions = check.records::<SessionRecord>()?;
    check.report.authenticators = check.records::<AuthenticatorRecord>()?;
    check.report.verification_tokens = check.records::<TokenRecord>()?;
    check.report.codes = check.records::<CodeRequest>()? + check.records::<OldCode>()?;
    check.report.guess_budgets = check.records::<GuessBudget>()?;
    check.report.states = check.records::<StateRecord>()?;
    check.report.web_sessions = check.records::<WebSessionRecord>()?;
    check.keys(&DELETED_USERS)?;
    check.keys(&SWEEP)?;
    check.indexes()?;
    check.unique_values::<UserRecord>(|_| true)?;
    check.unique_values::<AccountRecord>(|id| {
        // A missing or damaged account was already reported.
        let account = txn.get(&ACCOUNTS, id).ok().flatten();
        account.is_some_and(|account| txn.contains(&USERS, &account.user_id).unwrap_or(false))
    })?;
    Ok(check.report)
}

struct Check<'c, 'v> {
    txn: &'c Txn<'v>,
    indexes: &'c Indexes,
    report: CheckReport,
    /// How many entries the records should have in each index, by the index's place among the tables.
    expected: [u64; TABLES.len()],
}

impl Check<'_, '_> {
    fn records<R: Record>(&mut self) -> Result<u64> {
        let table = R::TABLE.id;
        let mut count = 0;
        let txn = self.txn;
        txn.scan_bytes(table, (Bound::Unbounded, Bound::Unbounded), &mut |key, value| {
            count += 1;
            match R::TABLE.row(key, value) {
                Ok((_, record)) => self.record(&record, key)?,
                Err(error) => self.report.problem(table, &error.to_string()),
            }
            Ok(ControlFlow::Continue(()))
        })?;
        self.count(table, count)?;
        Ok(count)
    }

    fn count(&mut self, table: TableId, found: u64) -> Result<()> {
        let counted = self.txn.row_count(table)?;
        if found != counted {
            self.report.problem(table, &format!("{found} of {counted} rows are there"));
        }
        Ok(())
    }

    fn record<R: Record>(&mut self, record: &R, key: &[u8]) -> Result<()> {
        if !self.has(R::TABLE.id, key, |_| true)? {
            self.report.problem(R::TABLE.id, "a record is not found by its key");
        }
        for entry in record.entries(self.indexes)? {
            if let Some(expected) = self.expected.get_mut(entry.table.index) {
                *expected += 1;
            }
            if !self.has(entry.table, &entry.key, |value| value == entry.value)? {
                self.report.problem(entry.table, "an entry of a record is missing or differs from the record");
            }
        }
        match record.owner() {
            Some(id) if self.has(USERS.id, &id.to_bytes(), |_| true)? => {}
            Some(id) if self.has(SWEEP.id, &id.to_bytes(), |_| true)? => self.report.waiting_to_be_swept += 1,
            Some(_) => self.report.problem(R::TABLE.id, "a record belongs to a user who does not exist"),
            None => {}
        }
        Ok(())
    }

    /// True if a lookup finds a row and `right` accepts its value.
    fn has(&self, table: TableId, key: &[u8], right: impl Fn(&[u8]) -> bool) -> Result<bool> {
        let mut found = false;
        self.txn.get_bytes(table, key, &mut |value| {
            found = right(value);
            Ok(())
        })?;
        Ok(found)
    }

    /// Reads and counts the rows of a table that are all key: traces and marks of deleted users.
    fn keys<K: Key>(&mut self, table: &Table<K, ()>) -> Result<()> {
        let (report, mut found) = (&mut self.report, 0);
        self.txn.scan_bytes(table.id, (Bound::Unbounded, Bound::Unbounded), &mut |key, value| {
            found += 1;
            if let Err(error) = table.row(key, value) {
                report.problem(table.id, &error.to_string());
            }
            Ok(ControlFlow::Continue(()))
        })?;
        self.count(table.id, found)
    }

    fn indexes(&mut self) -> Result<()> {
        for index in indexes() {
            let mut found = 0_u64;
            self.txn.scan_bytes(index, (Bound::Unbounded, Bound::Unbounded), &mut |_, _| {
                found += 1;
                Ok(ControlFlow::Continue(()))
            })?;
            self.count(index, found)?;
            let expected = self.expected.get(index.index).copied().unwrap_or(0);
            if found > expected {
                self.report.problem(index, &format!("{} entries belong to no record", found - expected));
            }
        }
        Ok(())
    }

    /// Counts shared values in unique indexes. Entries with the same value are adjacent. `is_there` returns whether a
    /// record is a live one, and not one that is waiting to be swept.
    fn unique_values<R: FieldIndexed>(&mut self, is_there: impl Fn(&R::Key) -> bool) -> Result<()> {
        let table = R::BY_FIELD.id;
        let unique = |field: &str| R::indexes(self.indexes).iter().any(|index| index.unique && index.field == field);
        let (mut last, mut shared) = (None, 0);
        self.txn.scan_bytes(table, (Bound::Unbounded, Bound::Unbounded), &mut |key, _| {
            if let Some((value, id)) = <((String, FieldKey), R::Key)>::from_bytes(key)
                && unique(&value.0)
                && is_there(&id)
            {
                shared += u64::from(last.as_ref() == Some(&value));
                last = Some(value);
            }
            Ok(ControlFlow::Continue(()))
        })?;
        if shared > 0 {
            self.report
                .problem(table, &format!("{shared} entries have a value that another one has in a unique index"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kv::table::Entry;
    use crate::kv::view::{ByteRange, RowVisitor, View};
    use crate::models::{Millis, NewUser, UserId};
    use crate::ops::repair::plan;
    use crate::records::EmailMatching;

    /// A store with one user, who has no e-mail address. Its counter says `counted`, and a lookup finds the user only
    /// if `found`.
    struct OneUser {
        row: Entry,
        counted: u64,
        found: bool,
    }

    impl View for OneUser {
        fn get(&self, table: TableId, key: &[u8], visit: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
            if self.found && table == USERS.id && key == self.row.key { visit(&self.row.value) } else { Ok(()) }
        }

        fn scan(&self, table: TableId, _: ByteRange<'_>, visit: &mut RowVisitor<'_>) -> Result<()> {
            if table == USERS.id { visit(&self.row.key, &self.row.value).map(drop) } else { Ok(()) }
        }

        fn len(&self, table: TableId) -> Result<u64> {
            Ok(if table == USERS.id { self.counted } else { 0 })
        }
    }

    #[test]
    fn rows_that_are_lost_or_cannot_be_found_are_problems() {
        let store = |counted, found| {
            let id = || UserId::from("ada");
            let user = UserRecord::new(NewUser::<()>::default(), id, EmailMatching::Exact, Millis::new(0)).unwrap();
            OneUser { row: USERS.entry(&id(), &user).unwrap(), counted, found }
        };
        let problems = |counted, found| check(&Txn::new(&store(counted, found)), &Indexes::default()).unwrap().problems;
        assert!(problems(1, true).is_empty());
        assert_eq!(problems(2, true), ["authkv_users: 1 of 2 rows are there"]);
        assert_eq!(problems(1, false), ["authkv_users: a record is not found by its key"]);

        let blocked = |counted, found| plan(&Txn::new(&store(counted, found)), &Indexes::default()).unwrap().blocked;
        assert_eq!(blocked(1, true), None);
        assert!(blocked(2, true).is_some() && blocked(1, false).is_some(), "what is missing may be hidden");
    }
}
