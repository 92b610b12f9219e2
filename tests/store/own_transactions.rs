//! Calls on a transaction of the application's: its rows and the store's change together or not at all, and a session in
//! the cache is never one that was ended there.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use authkv::models::{AccountType, Change, NewAccount, NewUser, ProviderAccount, SignIn, User, UserPatch, Visitor};
use authkv::redb::{Database, ReadableDatabase, ReadableTable, TableDefinition, TableHandle};
use authkv::{AuthKv, Error, Problem, UniqueKey};
use tempfile::TempDir;

use crate::stores::new_path;

const NOTES: TableDefinition<&str, &str> = TableDefinition::new("notes");
const META: TableDefinition<&[u8], &[u8]> = TableDefinition::new("authkv_meta");

fn shared() -> (TempDir, Arc<Database>, AuthKv) {
    let (folder, path) = new_path();
    let database = Arc::new(Database::create(path).unwrap());
    let auth = AuthKv::options().on_database(Arc::clone(&database)).unwrap();
    (folder, database, auth)
}

fn ada(auth: &AuthKv) -> User {
    auth.create_user(NewUser::email("ada@example.com")).wait().unwrap()
}

fn renamed(user: &User, name: &str) -> UserPatch {
    UserPatch { name: Change::Set(name.to_owned()), ..UserPatch::new(user.id.clone()) }
}

fn name_of(auth: &AuthKv, token: &str) -> Option<String> {
    auth.authenticate(token).wait().unwrap().passed().map(|here| here.user.name.unwrap_or_default())
}

/// Makes a session hot: the next look-up finds it in the cache.
fn heat(auth: &AuthKv, token: &str) {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let hits = auth.stats().hot_session_hits;
        name_of(auth, token);
        if auth.stats().hot_session_hits > hits {
            return;
        }
        assert!(Instant::now() < deadline, "it never becomes hot");
        thread::sleep(Duration::from_millis(1));
    }
}

fn sound(auth: &AuthKv) {
    let report = auth.check().wait().unwrap();
    assert!(report.is_sound(), "{:?}", report.problems);
}

/// The names of all tables, and of each table with bytes its rows.
fn contents(database: &Database) -> Vec<String> {
    let snapshot = database.begin_read().unwrap();
    let mut all = Vec::new();
    for table in snapshot.list_tables().unwrap() {
        all.push(table.name().to_owned());
        if let Ok(opened) = snapshot.open_table(TableDefinition::<&[u8], &[u8]>::new(table.name())) {
            let rows = opened.iter().unwrap().map(|row| row.unwrap());
            all.extend(rows.map(|(key, value)| format!("{:?} {:?}", key.value(), value.value())));
        }
    }
    all
}

#[test]
fn each_call_does_what_the_call_without_a_transaction_does() {
    let (_folder, database, auth) = shared();
    let github = || ProviderAccount::new(AccountType::Oauth, "github", "1");
    let both = database.begin_write().unwrap();
    let ada = auth.create_user_in(&both, NewUser::email("ada@example.com")).unwrap();
    let ada = auth.update_user_in(&both, renamed(&ada, "Ada")).unwrap();
    assert_eq!(auth.get_user_in(&both, &ada.id).unwrap(), Some(ada.clone()));
    let account = NewAccount { id: None, ..github().of_user(ada.id.clone()) };
    auth.link_account_in(&both, account).unwrap();
    let started = auth.start_session_in(&both, &ada.id, ()).unwrap();
    let SignIn::Done(back) = auth.sign_in_with_account_in(&both, github(), NewUser::default(), ()).unwrap() else {
        panic!("it is ada's")
    };
    assert!(!back.is_new_user && back.user == ada);
    let held = auth.sign_in_with_account_in(
        &both,
        ProviderAccount::new(AccountType::Oauth, "google", "2"),
        NewUser::email("ADA@example.com"),
        (),
    );
    assert!(matches!(held.unwrap(), SignIn::EmailInUse(held) if held.user_id == ada.id));
    let by_mail = |address| auth.sign_in_with_email_in(&both, address, NewUser::default(), (), Visitor::default());
    let ada_again = by_mail("ada@example.com").unwrap().done().unwrap();
    assert!(ada_again.was_unverified && !ada_again.is_new_user);
    let bob = by_mail("bob@example.com").unwrap().done().unwrap();
    assert!(bob.is_new_user);
    assert!(auth.delete_user_in(&both, &bob.user.id).unwrap());
    assert!(!auth.delete_user_in(&both, &bob.user.id).unwrap());
    // Nobody else sees any of it.
    assert_eq!(auth.get_user(&ada.id).wait().unwrap(), None);
    both.commit().unwrap();
    assert_eq!(auth.get_user(&ada.id).wait().unwrap(), Some(ada_again.user));
    for token in [started.session_token, back.session.session_token, ada_again.session.session_token] {
        assert!(auth.authenticate(token.reveal()).wait().unwrap().has_passed());
    }
    assert!(!auth.authenticate(bob.session.session_token.reveal()).wait().unwrap().has_passed());
    sound(&auth);
}

#[test]
fn own_rows_and_the_stores_change_together_or_not_at_all() {
    let (_folder, database, auth) = shared();
    for commits in [false, true] {
        let both = database.begin_write().unwrap();
        let ada = auth.create_user_in(&both, NewUser::email("ada@example.com")).unwrap();
        both.open_table(NOTES).unwrap().insert(ada.id.as_str(), "hers").unwrap();
        if commits {
            both.commit().unwrap()
        } else {
            both.abort().unwrap()
        }
        let snapshot = database.begin_read().unwrap();
        let note = snapshot.open_table(NOTES).ok().and_then(|notes| notes.get_owned(ada.id.as_str()).unwrap());
        assert_eq!((note.is_some(), auth.get_user(&ada.id).wait().unwrap().is_some()), (commits, commits));
        sound(&auth);
    }
}

#[test]
fn a_refused_call_changes_nothing_and_the_transaction_goes_on() {
    let (_folder, database, auth) = shared();
    let first = ada(&auth);
    let both = database.begin_write().unwrap();
    let taken = auth.create_user_in(&both, NewUser::email("Ada@example.com"));
    assert!(matches!(taken, Err(Error::Conflict(UniqueKey::Email))));
    let unknown = auth.start_session_in(&both, "nobody", ());
    assert!(matches!(unknown, Err(Error::UnknownUser)));
    let misfit = auth.update_user_in(&both, UserPatch::new("nobody"));
    assert!(matches!(misfit, Err(Error::UnknownUser)));
    let bob = auth.create_user_in(&both, NewUser::email("bob@example.com")).unwrap();
    // A conflict with what the transaction itself has made.
    let twice = auth.create_user_in(&both, NewUser::email("bob@example.com"));
    assert!(matches!(twice, Err(Error::Conflict(UniqueKey::Email))));
    both.commit().unwrap();
    assert_eq!(auth.get_user(&first.id).wait().unwrap(), Some(first));
    assert_eq!(auth.get_user(&bob.id).wait().unwrap(), Some(bob));
    sound(&auth);
}

#[test]
fn a_transaction_of_another_database_is_refused_and_gets_no_table() {
    let (_folder, _database, auth) = shared();
    let (_folder, path) = new_path();
    let bare = Database::create(path).unwrap();
    let (_folder, others, _other) = shared();
    // It has a table of the name of the store's settings.
    let (_folder, path) = new_path();
    let similar = Database::create(path).unwrap();
    let own = similar.begin_write().unwrap();
    own.open_table(META).unwrap().insert(&b"store_id"[..], &b"any"[..]).unwrap();
    own.commit().unwrap();
    for database in [&bare, &*others, &similar] {
        let before = contents(database);
        let both = database.begin_write().unwrap();
        let error = auth.create_user_in(&both, NewUser::email("ada@example.com")).unwrap_err();
        assert!(
            matches!(&error, Error::InvalidArgument { field, problem: Problem::OtherDatabase } if field == "transaction"),
            "{error}"
        );
        assert_eq!(error.to_string(), "transaction is not of the database that the store is in");
        both.commit().unwrap();
        assert_eq!(contents(database), before);
    }
}

#[test]
fn a_store_that_shares_no_database_and_one_that_is_closed_refuse_it() {
    let (folder, database, auth) = shared();
    let both = database.begin_write().unwrap();
    let alone = [AuthKv::in_memory().unwrap(), AuthKv::open(folder.path().join("other.redb")).unwrap()];
    for auth in alone {
        let error = auth.create_user_in(&both, NewUser::default()).unwrap_err();
        assert_eq!(error.to_string(), "transaction needs a store that was opened with open_shared or on_database");
    }
    auth.close().wait().unwrap();
    assert!(matches!(auth.create_user_in(&both, NewUser::default()), Err(Error::Closed)));
}

#[test]
fn two_calls_at_once_on_one_transaction_do_not_mix() {
    let (_folder, database, auth) = shared();
    let both = database.begin_write().unwrap();
    let made = thread::scope(|scope| {
        let threads = [(); 4].map(|()| {
            scope.spawn(|| {
                let tries = (0..100).map(|_| auth.create_user_in(&both, NewUser::email("ada@example.com")));
                tries
                    .filter(|made| match made {
                        Ok(_) => true,
                        Err(Error::Busy | Error::Conflict(UniqueKey::Email)) => false,
                        Err(error) => panic!("{error}"),
                    })
                    .count()
            })
        });
        threads.into_iter().map(|thread| thread.join().unwrap()).sum::<usize>()
    });
    assert_eq!(made, 1);
    // A table of the store's that the application has open.
    let meta = both.open_table(META).unwrap();
    assert!(matches!(auth.create_user_in(&both, NewUser::default()), Err(Error::Busy)));
    drop(meta);
    let users = both.open_table(TableDefinition::<&[u8], &[u8]>::new("authkv_users")).unwrap();
    assert!(matches!(auth.create_user_in(&both, NewUser::default()), Err(Error::Busy)));
    drop(users);
    auth.create_user_in(&both, NewUser::default()).unwrap();
    both.commit().unwrap();
    sound(&auth);
}

#[test]
fn a_hot_session_sees_a_commit_and_no_abort() {
    let (_folder, database, auth) = shared();
    let ada = ada(&auth);
    let token = auth.start_session(&ada.id).wait().unwrap().session_token;
    let token = token.reveal();
    for (name, commits) in [("Lovelace", true), ("Byron", false), ("Countess", true)] {
        heat(&auth, token);
        let before = name_of(&auth, token);
        let both = database.begin_write().unwrap();
        auth.update_user_in(&both, renamed(&ada, name)).unwrap();
        // As often as it takes to become hot.
        (0..5).for_each(|_| assert_eq!(name_of(&auth, token), before, "it is seen before the commit"));
        if commits {
            both.commit().unwrap()
        } else {
            both.abort().unwrap()
        }
        let after = if commits { Some(name.to_owned()) } else { before };
        (0..5).for_each(|_| assert_eq!(name_of(&auth, token), after));
        auth.settle().wait().unwrap();
        heat(&auth, token);
        assert_eq!(name_of(&auth, token), after);
    }
    heat(&auth, token);
    let both = database.begin_write().unwrap();
    auth.delete_user_in(&both, &ada.id).unwrap();
    assert!(name_of(&auth, token).is_some());
    both.commit().unwrap();
    assert_eq!(name_of(&auth, token), None);
}

/// Names only ever get longer. Readers of hot sessions and the store's own writes go on all the while.
#[test]
fn readers_never_go_back_while_transactions_and_the_store_write() {
    let (_folder, database, auth) = shared();
    let (ada, bob) = (ada(&auth), auth.create_user(NewUser::default()).wait().unwrap());
    let token = auth.start_session(&ada.id).wait().unwrap().session_token;
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        /// Stops the others also if this thread fails.
        struct Stop<'s>(&'s AtomicBool);
        impl Drop for Stop<'_> {
            fn drop(&mut self) {
                self.0.store(true, Ordering::Relaxed);
            }
        }
        let _stop = Stop(&stop);
        for _ in 0..2 {
            scope.spawn(|| {
                let mut longest = 0;
                while !stop.load(Ordering::Relaxed) {
                    let length = name_of(&auth, token.reveal()).unwrap().len();
                    assert!(length >= longest, "{length} after {longest}");
                    longest = length;
                }
            });
        }
        scope.spawn(|| {
            for n in 0.. {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                auth.update_user(renamed(&bob, &n.to_string())).wait().unwrap();
            }
        });
        for length in 1..200 {
            let both = database.begin_write().unwrap();
            auth.update_user_in(&both, renamed(&ada, &"a".repeat(length))).unwrap();
            if length % 3 == 0 {
                both.abort().unwrap()
            } else {
                both.commit().unwrap()
            }
            let expected = if length % 3 == 0 { length - 1 } else { length };
            assert_eq!(name_of(&auth, token.reveal()).unwrap().len(), expected);
        }
    });
    sound(&auth);
}

#[test]
fn a_user_with_many_sessions_is_swept_after_the_commit() {
    let (_folder, database, auth) = shared();
    let ada = ada(&auth);
    let starts: Vec<_> = (0..1_000).map(|_| auth.start_session(&ada.id)).collect();
    let tokens: Vec<_> = starts.into_iter().map(|start| start.wait().unwrap().session_token).collect();
    for commits in [false, true] {
        let both = database.begin_write().unwrap();
        auth.delete_user_in(&both, &ada.id).unwrap();
        if commits {
            both.commit().unwrap()
        } else {
            both.abort().unwrap()
        }
        assert_eq!(auth.authenticate(tokens[999].reveal()).wait().unwrap().has_passed(), !commits);
        auth.settle().wait().unwrap();
        let report = auth.check().wait().unwrap();
        assert!(report.is_sound(), "{:?}", report.problems);
        assert_eq!((report.sessions, report.waiting_to_be_swept), (if commits { 0 } else { 1_000 }, 0));
    }
}

/// A store that was opened and never written to is recognised, too.
#[test]
fn the_first_write_of_a_store_can_be_in_a_transaction() {
    let (_folder, database, auth) = shared();
    drop(auth);
    let auth = AuthKv::options().on_database(Arc::clone(&database)).unwrap();
    let both = database.begin_write().unwrap();
    let ada = auth.create_user_in(&both, NewUser::email("ada@example.com")).unwrap();
    both.commit().unwrap();
    drop(auth);
    let auth = AuthKv::options().on_database(Arc::clone(&database)).unwrap();
    assert_eq!(auth.get_user(&ada.id).wait().unwrap(), Some(ada));
}

/// A file of an early version has no id; opening gives it one.
#[test]
fn a_store_without_an_id_gets_one_when_it_is_opened() {
    let (_folder, database, auth) = shared();
    drop(auth);
    let own = database.begin_write().unwrap();
    {
        let mut meta = own.open_table(META).unwrap();
        let keys: Vec<_> = meta.iter().unwrap().map(|row| row.unwrap().0.value().to_vec()).collect();
        let is_of_id = |key: &&Vec<u8>| [&b"store_id"[..], b"mark"].iter().any(|row| key.starts_with(row));
        let removed = keys.iter().filter(is_of_id).map(|key| drop(meta.remove(key.as_slice()).unwrap())).count();
        assert!(removed >= 1, "the rows have other keys");
    }
    own.commit().unwrap();
    let auth = AuthKv::options().on_database(Arc::clone(&database)).unwrap();
    let both = database.begin_write().unwrap();
    auth.create_user_in(&both, NewUser::email("ada@example.com")).unwrap();
    both.commit().unwrap();
    sound(&auth);
}
