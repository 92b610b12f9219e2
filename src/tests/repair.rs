//! Repairs of damaged stores. Goal: what is carried out was listed before; sound records stay as they are and get all of
//! their entries; afterwards a check finds nothing; and while anything may be hidden, nothing changes. Method: in stores with
//! some of everything, random rows are removed or changed, and repairs are carried out until none is left to do.
//!
//! `AUTHKV_TEST_SCALE=10` runs ten times as many.

use std::collections::BTreeSet;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use fastrand::Rng;

use super::upkeep::{Row, Rows, change, damaged, options, rows, scale, some_of_everything};
use crate::conformance::{Clock, authenticator};
use crate::kv::key::Key;
use crate::models::{AccountType, NewAccount, NewUser, UserId};
use crate::records::schema::{META, TABLES, USER_BY_EMAIL, USERS, WEB_SESSIONS, indexes};
use crate::{AuthKv, Error, Repair, RepairKind};

/// A store with two users who have some of everything, and one who was deleted.
fn sample(clock: &Clock, random: &mut Rng) -> AuthKv {
    let auth = options(clock).in_memory().unwrap();
    for name in ["ada", "bob"] {
        let id = Some(UserId::from(name));
        auth.create_user(NewUser { id, ..NewUser::email(format!("{name}@example.com")) }).wait().unwrap();
        for number in 0..random.u64(0..4) {
            let account = NewAccount::new(name, AccountType::Oauth, name, number);
            auth.link_account(account).wait().unwrap();
        }
        auth.create_authenticator(authenticator(name, &name.into(), name)).wait().unwrap();
    }
    some_of_everything(&auth, &"ada".into(), clock.now(), random);
    let gone = auth.create_user(NewUser::email("gone@example.com")).wait().unwrap();
    auth.delete_user(&gone.id).wait().unwrap();
    auth
}

fn is_index(row: &Row) -> bool {
    indexes().any(|index| index == row.0)
}

fn row_of(step: &crate::RepairStep) -> Row {
    (TABLES.into_iter().find(|table| table.name == step.row.table).unwrap(), step.row.key.clone())
}

/// Carries out repairs until nothing is left to do. Returns the rows that were listed.
fn repair(auth: &AuthKv) -> BTreeSet<Row> {
    let mut listed = BTreeSet::new();
    for _ in 0..4 {
        let before = rows(auth);
        let repair = auth.repair().wait().unwrap();
        assert!(rows(auth) == before, "a repair changes nothing before it is carried out");
        assert!(repair.blocked.is_none() && repair.undecided.is_empty() && !repair.more, "{repair:?}");
        if repair.is_empty() {
            return listed;
        }
        let now: BTreeSet<Row> = repair.steps.iter().map(row_of).collect();
        assert_eq!(now.len(), repair.steps.len(), "a row is listed twice");
        let repaired = auth.carry_out(repair.clone()).wait().unwrap();
        assert_eq!((repaired.done, repaired.changed), (repair.steps.len(), 0));
        let after = rows(auth);
        let differ = |row: &&Row| before.get(*row) != after.get(*row);
        let changed: BTreeSet<Row> = before.keys().chain(after.keys()).filter(differ).cloned().collect();
        assert_eq!(changed, now, "other rows were changed than were listed");
        let again = auth.carry_out(repair).wait().unwrap();
        assert!(again.done == 0 && rows(auth) == after, "a row that has changed since stays as it is");
        listed.extend(now);
    }
    panic!("repairs come to no end");
}

#[test]
fn a_repair_makes_any_damaged_store_sound_and_keeps_what_is_sound() {
    let mut kinds = BTreeSet::new();
    for seed in 0..200 * scale() {
        eprintln!("seed {seed}");
        let (random, clock) = (&mut Rng::with_seed(seed), Clock::new());
        let auth = sample(&clock, random);
        assert!(auth.repair().wait().unwrap().is_empty());
        let whole = rows(&auth);
        let only_indexes = random.bool();
        let may_be_damaged = |row: &&Row| row.0 != META.id && (!only_indexes || is_index(row));
        let all: Vec<Row> = whole.keys().filter(may_be_damaged).cloned().collect();
        let chosen: BTreeSet<Row> = (0..random.usize(1..6)).map(|_| all[random.usize(..all.len())].clone()).collect();
        let changes = chosen.iter().map(|row| (row.clone(), damaged(random, &whole[row]))).collect();
        change(&auth, changes);

        kinds.extend(auth.repair().wait().unwrap().steps.iter().map(|step| format!("{:?}", step.kind)));
        repair(&auth);
        let report = auth.check().wait().unwrap();
        assert!(report.is_sound(), "seed {seed}: {:?}", report.problems);
        let left = rows(&auth);
        if only_indexes {
            assert!(left == whole, "seed {seed}: damaged entries are made anew from the records");
        }
        let no_users = |rows: &Rows| !chosen.iter().any(|row| row.0 == USERS.id && rows.contains_key(row));
        if no_users(&whole) {
            let records = whole.keys().filter(|row| !is_index(row) && !chosen.contains(*row));
            records.for_each(|row| assert_eq!(left.get(row), whole.get(row), "seed {seed}: a sound record is lost"));
        }
    }
    assert_eq!(kinds.len(), 5, "{kinds:?}");
}

#[test]
fn nothing_is_carried_out_while_a_page_is_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.redb");
    let auth = AuthKv::open(&path).unwrap();
    for number in 0..200 {
        let user = NewUser { image: Some("x".repeat(500)), ..NewUser::email(format!("{number}@example.com")) };
        auth.create_user(user).wait().unwrap();
    }
    let entry = USERS.entry(&UserId::from("ada"), &auth_record()).unwrap();
    change(&auth, vec![((entry.table, entry.key), Some(entry.value))]);
    let sound_pages = auth.repair().wait().unwrap();
    assert_eq!(kinds(&sound_pages), [RepairKind::AddEntry]);

    let file = std::fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    // In whichever page the user is now, and in older copies of it.
    let name = |window: &[u8]| window.ends_with(b"77@example.com");
    let places: Vec<_> = (0..bytes.len() - 20).filter(|at| name(&bytes[*at..at + 16])).collect();
    let spoil = |byte: &[u8; 1]| places.iter().for_each(|at| file.write_all_at(byte, *at as u64 + 15).unwrap());
    spoil(b"x");
    let blocked = auth.repair().wait().unwrap();
    assert!(blocked.blocked.is_some(), "{blocked:?}");
    let before = rows(&auth);
    let refused = auth.carry_out(blocked).wait().unwrap_err();
    assert!(matches!(refused, Error::Storage(_)), "{refused}");
    assert!(rows(&auth) == before, "a row was changed");
    // The store goes on as before, and the repair does, once the page is whole.
    spoil(b"m");
    assert_eq!(auth.carry_out(auth.repair().wait().unwrap()).wait().unwrap().done, 1);
    assert!(auth.check().wait().unwrap().is_sound());
}

fn kinds(repair: &Repair) -> Vec<RepairKind> {
    repair.steps.iter().map(|step| step.kind).collect()
}

fn auth_record() -> crate::records::UserRecord {
    let user = NewUser::<()>::email("ada@example.com");
    let matching = crate::EmailMatching::AsciiCaseInsensitive;
    crate::records::UserRecord::new(user, || "ada".into(), matching, crate::models::Millis::new(0)).unwrap()
}

#[test]
fn an_applications_database_is_not_repaired_and_says_why() {
    let backend = redb::backends::InMemoryBackend::new();
    let database = Arc::new(redb::Database::builder().create_with_backend(backend).unwrap());
    let auth = AuthKv::options().on_database(database).unwrap();
    let repair = auth.repair().wait().unwrap();
    assert!(repair.blocked.as_ref().unwrap().contains("application's database"), "{repair:?}");
    let refused = auth.carry_out(repair).wait().unwrap_err();
    assert!(refused.to_string().contains("nothing was repaired"), "{refused}");
}

#[test]
fn what_only_the_application_can_decide_is_left_to_it() {
    let auth = AuthKv::in_memory().unwrap();
    auth.create_user(NewUser::email("ADA@example.com")).wait().unwrap();
    let entry = USERS.entry(&UserId::from("ada"), &auth_record()).unwrap();
    change(&auth, vec![((entry.table, entry.key), Some(entry.value))]);
    let before = rows(&auth);
    let repair = auth.repair().wait().unwrap();
    assert_eq!(repair.undecided, ["authkv_user_by_email: two records have one entry"]);
    assert!(repair.steps.is_empty() && !repair.is_empty());
    auth.carry_out(repair).wait().unwrap();
    assert!(rows(&auth) == before);
}

#[test]
fn a_step_says_what_and_where_and_its_debug_form_no_address() {
    let auth = AuthKv::in_memory().unwrap();
    auth.create_user(NewUser::email("ada@example.com")).wait().unwrap();
    let user = rows(&auth).into_keys().find(|row| row.0 == USERS.id).unwrap();
    change(&auth, vec![(user, None)]);
    let repair = auth.repair().wait().unwrap();
    let [step] = repair.steps.as_slice() else { panic!("{repair:?}") };
    assert_eq!(step.to_string(), "remove the entry of no record authkv_user_by_email ada@example.com\\x00\\x00");
    assert_eq!(
        format!("{step:?}"),
        "RepairStep { kind: RemoveEntry, row: RowKey { table: \"authkv_user_by_email\", .. }, .. }"
    );
    assert_eq!(step.row.key, "ada@example.com".to_owned().to_bytes());
    // Who takes a step out keeps the row.
    let before = rows(&auth);
    auth.carry_out(Repair { steps: Vec::new(), ..repair }).wait().unwrap();
    assert!(rows(&auth) == before);
}

/// Removes the address of a user from the index, and returns the repair that lists it.
fn without_address(auth: &AuthKv, email: &str) -> Repair {
    let entry = (USER_BY_EMAIL.id, email.to_owned().to_bytes());
    change(auth, vec![(entry, None)]);
    let repair = auth.repair().wait().unwrap();
    assert_eq!(kinds(&repair), [RepairKind::AddEntry]);
    repair
}

#[test]
fn an_entry_of_a_record_that_has_changed_since_is_not_added() {
    let auth = AuthKv::in_memory().unwrap();
    let ada = auth.create_user(NewUser::email("ada@example.com")).wait().unwrap();
    let repair = without_address(&auth, "ada@example.com");
    let email = crate::models::Change::Set("countess@example.com".to_owned());
    let patch = crate::models::UserPatch { email, ..crate::models::UserPatch::new(ada.id.clone()) };
    auth.update_user(patch).wait().unwrap();
    let repaired = auth.carry_out(repair).wait().unwrap();
    assert_eq!((repaired.done, repaired.changed), (0, 1));
    assert_eq!(auth.get_user_by_email("ada@example.com").wait().unwrap(), None, "nobody has this address");

    let repair = without_address(&auth, "countess@example.com");
    auth.delete_user(&ada.id).wait().unwrap();
    auth.carry_out(repair).wait().unwrap();
    auth.create_user(NewUser::email("countess@example.com")).wait().unwrap();
    assert!(auth.check().wait().unwrap().is_sound());
}

#[test]
fn an_entry_that_a_record_has_by_now_is_not_removed() {
    let (auth, expires) = (AuthKv::in_memory().unwrap(), chrono::Utc::now() + chrono::TimeDelta::days(1));
    let ada = auth.create_user(NewUser::email("ada@example.com")).wait().unwrap();
    let data = [("axum-login.data".to_owned(), serde_json::json!({ "user_id": ada.id.as_str() }))].into();
    let web = crate::WebSessions::new(auth.clone());
    web.create_session("token", &data, expires).wait().unwrap();
    let session = rows(&auth).into_keys().find(|row| row.0 == WEB_SESSIONS.id).unwrap();
    change(&auth, vec![(session, None)]);
    let repair = auth.repair().wait().unwrap();
    assert_eq!(kinds(&repair), [RepairKind::RemoveEntry; 2]);
    web.create_session("token", &data, expires).wait().unwrap();
    auth.carry_out(repair).wait().unwrap();
    let report = auth.check().wait().unwrap();
    assert!(report.is_sound(), "{:?}", report.problems);
}

#[test]
fn a_record_whose_user_is_there_by_now_is_not_removed() {
    let auth = AuthKv::in_memory().unwrap();
    let ada = NewUser { id: Some("ada".into()), ..NewUser::email("ada@example.com") };
    auth.create_user(ada.clone()).wait().unwrap();
    auth.link_account(NewAccount::new("ada", AccountType::Oauth, "github", "1")).wait().unwrap();
    let user = rows(&auth).into_keys().find(|row| row.0 == USERS.id).unwrap();
    change(&auth, vec![(user, None)]);
    let repair = auth.repair().wait().unwrap();
    assert!(kinds(&repair).contains(&RepairKind::RemoveOrphan));
    // The address is taken by the entry, so the user comes back without.
    auth.create_user(NewUser { email: None, ..ada }).wait().unwrap();
    auth.carry_out(repair).wait().unwrap();
    let account = crate::models::AccountKey::new("github", "1");
    assert!(auth.get_user_by_account(&account).wait().unwrap().is_some(), "the account was removed");
    auth.carry_out(auth.repair().wait().unwrap()).wait().unwrap();
    assert!(auth.check().wait().unwrap().is_sound());
}
