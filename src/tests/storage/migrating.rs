//! Migrating a store to newer models while the storage fails, and over damaged records.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::{Call, Flaky};
use crate::engine::redb::Source;
use crate::kv::key::Key;
use crate::kv::table::RowKey;
use crate::models::{DynamicFields, FieldKey, Index, MigrationError, Models, NewUser, User, Value};
use crate::records::schema;
use crate::tests::upkeep::change;
use crate::{AuthKv, Durability, Error, Options, Result};

const USERS: u64 = 1_000;

type Own = BTreeMap<String, u64>;

macro_rules! models {
    ($name:ident $version:literal $migrate_user:item) => {
        struct $name;

        impl Models for $name {
            const NAME: &'static str = "numbered";
            const VERSION: u32 = $version;
            type User = Own;
            type Account = ();
            type Session = ();
            type VerificationToken = ();

            $migrate_user
        }
    };
}

models! {
    First 1
    fn migrate_user(_: u32, _: User<DynamicFields>) -> Result<DynamicFields, MigrationError> {
        Err("there is nothing older".into())
    }
}

models! {
    Second 2
    fn migrate_user(_: u32, user: User<DynamicFields>) -> Result<DynamicFields, MigrationError> {
        match user.extra.get("once") {
            Some(Value::Integer(1)) => Ok([("twice".to_owned(), Value::Integer(2))].into()),
            _ => Err("it was migrated before".into()),
        }
    }
}

fn open<M: Models>(disk: &Flaky, options: Options<M>) -> Result<AuthKv<M>> {
    let disk = disk.clone();
    let source = Source::Made(Box::new(move |builder| builder.set_cache_size(0).create_with_backend(disk.clone())));
    options.open_source(source)
}

fn once() -> NewUser<Own> {
    NewUser { extra: Own::from([("once".to_owned(), 1)]), ..NewUser::default() }
}

/// Each sync in turn fails once, with either durability.
#[test]
fn a_change_during_which_a_sync_fails_is_finished_and_migrates_each_record_once() {
    let new = Flaky::default();
    let auth = open(&new, AuthKv::options().models::<First>()).unwrap();
    let create = |_| auth.create_user(once());
    let users: Vec<_> = (0..USERS).map(create).collect();
    let users: Vec<_> = users.into_iter().map(|reply| reply.wait().unwrap()).collect();
    drop(auth);
    let mut failed = 0;
    for (durability, after) in
        [Durability::Full, Durability::Deferred].into_iter().flat_map(|d| (0..24).map(move |n| (d, n)))
    {
        let disk = Flaky::new(new.bytes());
        disk.fail(Call::Sync, after, false);
        let options = || AuthKv::options().models::<Second>().durability(durability);
        let auth = open(&disk, options()).or_else(|_| {
            failed += 1;
            open(&disk, options())
        });
        let auth = auth.unwrap_or_else(|error| panic!("{durability:?}, sync {after}: {error}"));
        for user in &users {
            let found = auth.get_user(&user.id).wait().unwrap().unwrap();
            assert_eq!(found.extra, Own::from([("twice".to_owned(), 2)]), "{durability:?}, sync {after}");
        }
    }
    assert!(failed > 10, "only {failed} changes met the failure");
}

#[test]
fn a_migration_stops_at_a_damaged_record_unless_it_is_told_to_go_on() {
    let disk = Flaky::default();
    let auth = open(&disk, AuthKv::options().models::<First>()).unwrap();
    let mut ids: Vec<_> = (0..400).map(|_| auth.create_user(once()).wait().unwrap().id).collect();
    ids.sort();
    // A whole step of them, and the last one.
    let damaged: Vec<_> = ids[50..350].iter().chain(ids.last()).cloned().collect();
    let damage = damaged.iter().map(|id| ((schema::USERS.id, id.to_bytes()), Some(b"no record".to_vec()))).collect();
    change(&auth, damage);
    drop(auth);
    let before = disk.bytes();
    let refused = open(&disk, AuthKv::options().models::<Second>()).map(drop).unwrap_err();
    assert!(matches!(refused, Error::Storage(_)), "{refused}");
    let models = |disk: &Flaky| open(disk, AuthKv::options().models::<First>()).map(drop);
    models(&Flaky::new(before)).unwrap();
    models(&disk).unwrap();

    let left_out = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&left_out);
    let options = AuthKv::options().models::<Second>().leave_out_damaged(move |row| told.lock().push(row));
    let auth = open(&disk, options).unwrap();
    let expected: Vec<_> = damaged.iter().map(|id| RowKey::new(schema::USERS.id, &id.to_bytes())).collect();
    assert_eq!(*left_out.lock(), expected);
    for id in ids.iter().filter(|id| !damaged.contains(id)) {
        assert_eq!(auth.get_user(id).wait().unwrap().unwrap().extra, Own::from([("twice".to_owned(), 2)]));
    }
    assert_eq!(auth.check().wait().unwrap().problem_count, damaged.len() as u64);
    auth.carry_out(auth.repair().wait().unwrap()).wait().unwrap();
    assert!(auth.check().wait().unwrap().is_sound());
}

models! {
    Indexed 1
    const USER_INDEXES: &'static [Index] = &[Index::new("once")];
}

#[test]
fn a_damaged_entry_of_an_index_stops_no_migration() {
    let disk = Flaky::default();
    let auth = open(&disk, AuthKv::options().models::<Indexed>()).unwrap();
    let user = auth.create_user(once()).wait().unwrap();
    let value = FieldKey::of(Value::Integer(1)).unwrap().unwrap();
    let entry = (("once".to_owned(), value), user.id.clone()).to_bytes();
    change(&auth, vec![((schema::USER_BY_FIELD.id, entry), Some(b"no entry".to_vec()))]);
    drop(auth);
    let auth = open(&disk, AuthKv::options().models::<Second>()).unwrap();
    assert!(auth.check().wait().unwrap().is_sound());
}
