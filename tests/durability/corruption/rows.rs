//! Rows damaged one at a time through redb itself, so that every page is intact and only the rows are wrong.

use std::fs;

use authkv::models::SessionPatch;
use authkv::redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use authkv::{Error, OpenProblem, Purged, Result};
use chrono::Days;
use fastrand::Rng;
use tempfile::TempDir;

use super::sample::{self, Answer, Question, Store, options};

const RECORDS: [&str; 9] = [
    "users",
    "accounts",
    "sessions",
    "verification_tokens",
    "authenticators",
    "code_requests",
    "guess_budgets",
    "states",
    "web_sessions",
];
const INDEXES: [&str; 9] = [
    "user_by_email",
    "account_by_provider",
    "session_by_token",
    "accounts_by_user",
    "authenticators_by_user",
    "by_expiry",
    "user_by_field",
    "account_by_field",
    "web_sessions_by_user",
];

/// The tables that no [`Question`] reads.
const NOT_ASKED: [&str; 7] =
    ["sessions", "verification_tokens", "code_requests", "guess_budgets", "states", "accounts_by_user", "by_expiry"];

type Row = (Vec<u8>, Vec<u8>);

/// A closed store of three users, and all its answers.
struct Sample {
    folder: TempDir,
    answers: Vec<(Question, Answer)>,
}

impl Sample {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = options().open(folder.path().join("whole.redb")).unwrap();
        (0..3).for_each(|number| sample::add_user(&store, number).unwrap());
        let questions = Question::about(0..3).into_iter();
        let answers = questions.map(|question| (question.clone(), question.ask(&store).unwrap())).collect();
        Self { folder, answers }
    }

    fn rows(&self, table: &str) -> Vec<Row> {
        let database = Database::open(self.folder.path().join("whole.redb")).unwrap();
        let table = database.begin_read().unwrap().open_table(definition(&name(table))).unwrap();
        let rows = ReadableTable::iter(&table).unwrap().map(|row| row.unwrap());
        rows.map(|(key, value)| (key.value().to_vec(), value.value().to_vec())).collect()
    }

    /// A copy of the store with this row in place of another one.
    fn with(&self, table: &str, old: &[u8], new: Option<(&[u8], &[u8])>) -> Result<Store> {
        let path = self.folder.path().join("damaged.redb");
        fs::copy(self.folder.path().join("whole.redb"), &path).unwrap();
        let database = Database::open(&path).unwrap();
        let transaction = database.begin_write().unwrap();
        {
            let name = name(table);
            let mut table = transaction.open_table(definition(&name)).unwrap();
            assert!(table.remove(old).unwrap().is_some());
            if let Some((key, value)) = new {
                assert!(table.insert(key, value).unwrap().is_none());
            }
        }
        transaction.commit().unwrap();
        drop(database);
        options().open(&path)
    }

    /// A copy of the store with a row removed, or with a byte of it changed, opened when everything has expired.
    fn expired_with(&self, table: &str, key: &[u8], changed: Option<&[u8]>) -> Store {
        drop(self.with(table, key, changed.map(|changed| (key, changed))).unwrap());
        let long_after = || sample::late() + Days::new(30);
        options().clock(long_after).open(self.folder.path().join("damaged.redb")).unwrap()
    }

    /// How many answers are right, how many say less, and how many are storage errors. There are no others.
    fn answers(&self, store: &Store) -> [usize; 3] {
        let mut counts = [0; 3];
        for (question, right) in &self.answers {
            let place = match question.ask(store) {
                Ok(answer) if answer == *right => 0,
                Ok(answer) if answer.lacks_some_of(right) => 1,
                Err(Error::Storage(_)) => 2,
                other => panic!("{question:?} is answered with {other:?}"),
            };
            counts[place] += 1;
        }
        counts
    }
}

fn name(table: &str) -> String {
    format!("authkv_{table}")
}

fn definition(name: &str) -> TableDefinition<'_, &'static [u8], &'static [u8]> {
    TableDefinition::new(name)
}

fn must_be_reported(store: &Store, table: &str) {
    let report = store.check().wait().unwrap();
    let of_table = format!("{}: ", name(table));
    assert!(report.problems.iter().any(|problem| problem.starts_with(&of_table)), "{table}: {:?}", report.problems);
}

/// How many of three calls answer a storage error: nothing was done, or only a part.
fn failing<T: std::fmt::Debug>(call: impl Fn(usize) -> Result<T>) -> usize {
    (0..3).filter(|number| matches!(call(*number), Err(Error::Storage(_) | Error::OutcomeUnknown(_)))).count()
}

#[test]
fn an_entry_whose_record_is_missing_is_a_storage_error() {
    let sample = Sample::new();
    let without = |table, reported_in, test: &dyn Fn(&Store)| {
        for (key, _) in sample.rows(table) {
            let store = sample.with(table, &key, None).unwrap();
            must_be_reported(&store, reported_in);
            sample.answers(&store);
            test(&store);
        }
    };
    without("users", "accounts", &|store| {
        assert_eq!(failing(|number| Question::WebSession(number).ask(store)), 1);
        assert_eq!(failing(|number| Question::UserByEmail(number).ask(store)), 1);
        assert_eq!(failing(|number| Question::UserByAccount(number).ask(store)), 1);
        assert_eq!(failing(|number| Question::Session(number).ask(store)), 1);
    });
    without("accounts", "account_by_provider", &|store| {
        assert_eq!(failing(|number| Question::Account(number).ask(store)), 1);
        assert_eq!(failing(|number| store.unlink_account(sample::account(number)).wait()), 1);
    });
    without("sessions", "session_by_token", &|store| {
        assert_eq!(failing(|number| store.update_session(SessionPatch::new(sample::session(number))).wait()), 1);
        assert_eq!(failing(|number| store.delete_session(&sample::session(number)).wait()), 1);
    });
    without("authenticators", "authenticators_by_user", &|store| {
        assert_eq!(failing(|number| Question::Authenticators(number).ask(store)), 1);
        assert_eq!(failing(|number| store.delete_user(sample::user_id(number)).wait()), 1);
    });
    without("verification_tokens", "by_expiry", &|_| {});
    without("code_requests", "by_expiry", &|_| {});
    without("guess_budgets", "by_expiry", &|_| {});
    without("states", "by_expiry", &|_| {});
    without("web_sessions", "web_sessions_by_user", &|store| {
        assert_eq!(failing(|number| Question::WebSessions(number).ask(store)), 1);
        assert_eq!(failing(|number| store.end_all_sessions(sample::user_id(number)).wait()), 1);
    });
}

#[test]
fn a_purge_goes_on_behind_a_row_that_is_missing_or_damaged() {
    let sample = Sample::new();
    let purge = |store: &Store| {
        let counted = store.count_expired().wait().unwrap();
        let purged = store.purge_expired().wait().unwrap();
        assert_eq!(purged, counted);
        assert_eq!(store.purge_expired().wait().unwrap(), Purged::default());
        let of_codes = purged.codes + purged.guess_budgets;
        let sum = [purged.sessions, purged.web_sessions, purged.verification_tokens, of_codes, purged.states];
        (sum.iter().sum::<usize>(), purged.damaged)
    };
    let (key, value) = &sample.rows("users")[0];
    let (all, none) = purge(&sample.expired_with("users", key, Some(value)));
    assert_eq!((all, none), (sample.rows("by_expiry").len(), 0));
    for table in NOT_ASKED.into_iter().chain(["web_sessions"]).filter(|table| *table != "accounts_by_user") {
        for (key, value) in sample.rows(table) {
            let mut changed = value.clone();
            changed[value.len() - 1] ^= 1;
            for changed in [Some(changed.as_slice()), None].into_iter().take(1 + usize::from(table != "by_expiry")) {
                let store = sample.expired_with(table, &key, changed);
                assert!(!store.check().wait().unwrap().is_sound());
                assert_eq!(purge(&store), (all - 1, 1), "{table}");
                assert_eq!(store.stats().damaged_entries, 1);
                assert!(!store.check().wait().unwrap().is_sound());
            }
        }
    }
}

#[test]
fn a_record_whose_entry_is_missing_is_reported() {
    let sample = Sample::new();
    for table in INDEXES {
        for (key, _) in sample.rows(table) {
            let store = sample.with(table, &key, None).unwrap();
            must_be_reported(&store, table);
            assert_eq!(sample.answers(&store)[2], 0);
        }
    }
}

#[test]
fn a_row_with_the_bytes_of_another_one_is_a_storage_error_and_reported() {
    let sample = Sample::new();
    for table in RECORDS.into_iter().chain(INDEXES) {
        let rows = sample.rows(table);
        for (place, (key, value)) in rows.iter().enumerate() {
            let (_, other) = &rows[(place + 1) % rows.len()];
            let store = sample.with(table, key, Some((key, other))).unwrap();
            must_be_reported(&store, table);
            let [_, less, errors] = sample.answers(&store);
            assert_ne!(value, other);
            assert!(less == 0 && (errors > 0 || NOT_ASKED.contains(&table)), "{table}: {less} {errors}");
        }
    }
}

#[test]
fn a_changed_byte_is_a_storage_error_and_reported() {
    let sample = Sample::new();
    let mut random = Rng::with_seed(1);
    for table in RECORDS.into_iter().chain(INDEXES) {
        let rows = sample.rows(table);
        for _ in 0..24 {
            let (key, value) = &rows[random.usize(..rows.len())];
            let mut changed = value.clone();
            changed[random.usize(..value.len())] ^= 1 << random.usize(..8);
            let store = sample.with(table, key, Some((key, &changed))).unwrap();
            must_be_reported(&store, table);
            let [_, less, errors] = sample.answers(&store);
            assert!(less == 0 && (errors > 0 || NOT_ASKED.contains(&table)), "{table}: {less} {errors}");
        }
    }
}

/// The row is then at another place, where only a scan finds it.
#[test]
fn a_changed_key_is_absence_or_a_storage_error_and_reported() {
    let sample = Sample::new();
    let mut random = Rng::with_seed(1);
    for table in RECORDS.into_iter().chain(INDEXES) {
        let rows = sample.rows(table);
        for _ in 0..24 {
            let (key, value) = &rows[random.usize(..rows.len())];
            let mut changed = key.clone();
            changed[random.usize(..key.len())] ^= 1 << random.usize(..8);
            if rows.iter().all(|(other, _)| *other != changed) {
                let store = sample.with(table, key, Some((&changed, value))).unwrap();
                must_be_reported(&store, table);
                sample.answers(&store);
            }
        }
    }
}

/// "user-1" and "user-3" are one bit apart.
#[test]
fn a_key_that_becomes_that_of_another_user_gives_them_nothing() {
    let sample = Sample::new();
    for table in ["accounts_by_user", "sessions", "authenticators_by_user"] {
        for (key, value) in sample.rows(table).iter().filter(|(key, _)| key.starts_with(b"\x02user-1")) {
            let mut changed = key.clone();
            changed[6] = b'3';
            let store = sample.with(table, key, Some((&changed, value))).unwrap();
            let user = store.create_user(sample::user(3)).wait().unwrap();
            let listed = store.list_authenticators_by_user_id(&user.id).wait();
            assert!(listed.is_err() || table != "authenticators_by_user", "{listed:?}");
            assert!(matches!(store.delete_user(&user.id).wait(), Err(Error::Storage(_))));
            assert_eq!(sample.answers(&store)[2], 0);
        }
    }
}

#[test]
fn a_damaged_setting_is_an_error_of_opening() {
    let sample = Sample::new();
    for (key, value) in sample.rows("meta") {
        for place in 0..value.len() {
            let mut changed = value.clone();
            changed[place] ^= 1;
            match sample.with("meta", &key, Some((&key, &changed))) {
                Err(Error::Open { problem: OpenProblem::Storage(_), .. }) => {}
                // Nothing depends on the version that created the store.
                Ok(_) if key.starts_with(b"created_by") => {}
                other => panic!("{other:?}"),
            }
        }
    }
}

/// If the tables were created again, their records would be absent.
#[test]
fn tables_whose_names_are_damaged_are_not_made_anew() {
    let sample = Sample::new();
    let whole = fs::read(sample.folder.path().join("whole.redb")).unwrap();
    let path = sample.folder.path().join("damaged.redb");
    for table in RECORDS.into_iter().chain(INDEXES) {
        let name = name(table);
        let places = (0..whole.len() - name.len()).filter(|place| whole[*place..].starts_with(name.as_bytes()));
        let mut refused = 0;
        for place in places {
            let mut damaged = whole.clone();
            damaged[place + name.len() - 1] ^= 1;
            fs::write(&path, damaged).unwrap();
            match options().open(&path) {
                // The name is in a page that is no longer in use.
                Ok(store) => assert_eq!(sample.answers(&store), [sample.answers.len(), 0, 0]),
                Err(error) => {
                    assert!(matches!(error, Error::Open { problem: OpenProblem::Storage(_), .. }), "{error}");
                    refused += 1;
                }
            }
        }
        assert_ne!(refused, 0, "{table}");
    }
}
