//! A fault while a call changes rows in a transaction of the application's: the transaction is never committed with a part
//! of them. Method: the fault is at each access to the disk in turn, and what a read returns may also be damaged.

use std::sync::Arc;

use redb::{Builder, Database, ReadableDatabase, TableDefinition};

use super::{Call, Flaky, user};
use crate::engine::job::catching_panics;
use crate::{AuthKv, Error};

const NOTES: TableDefinition<&str, &str> = TableDefinition::new("notes");

/// A database with a user who has sessions, and the user's id.
fn disk() -> (Flaky, crate::models::UserId) {
    let disk = Flaky::default();
    let auth = AuthKv::options().on_database(open(&disk)).unwrap();
    let ids: Vec<_> = (0..40).map(|n| auth.create_user(user(n)).wait().unwrap().id).collect();
    (0..5).for_each(|_| drop(auth.start_session(&ids[20]).wait().unwrap()));
    drop(auth);
    (disk, ids[20].clone())
}

fn open(disk: &Flaky) -> Arc<Database> {
    Arc::new(Builder::new().set_cache_size(0).create_with_backend(disk.clone()).unwrap())
}

/// Deletes the user beside an own row, with a fault that `break_disk` arranges for. Returns whether it came to pass.
fn delete_with_a_fault(break_disk: impl Fn(&Flaky), came: impl Fn(&Flaky) -> bool) -> bool {
    let (disk, id) = disk();
    let before = {
        let database = open(&disk);
        let auth = AuthKv::options().on_database(Arc::clone(&database)).unwrap();
        let report = auth.check().wait().unwrap();
        let both = database.begin_write().unwrap();
        break_disk(&disk);
        let deleted = auth.delete_user_in(&both, &id);
        let came = came(&disk);
        disk.heal();
        // redb may panic behind a damaged page.
        let committed = catching_panics(|| {
            let noted = both.open_table(NOTES).is_ok_and(|mut notes| notes.insert("hers", "gone").is_ok());
            Ok(both.commit().is_ok() && noted)
        });
        let committed = committed.unwrap_or(false);
        assert!(came || (deleted.is_ok() && committed));
        drop(auth);
        (report, deleted, committed, came)
    };
    let (report, deleted, committed, came) = before;
    // The application opens its database again, as it has to after a failure.
    let database = open(&disk);
    let auth = AuthKv::options().on_database(Arc::clone(&database)).unwrap();
    let after = auth.check().wait().unwrap();
    assert!(after.is_sound(), "{:?}", after.problems);
    let is_gone = auth.get_user(&id).wait().unwrap().is_none();
    assert_eq!((after.users, after.sessions), if is_gone { (report.users - 1, 0) } else { (report.users, 5) });
    assert_eq!(is_gone, committed && deleted.is_ok(), "{deleted:?}, committed: {committed}");
    if let Err(error) = deleted {
        assert!(matches!(error, Error::Storage(_)), "{error}");
    }
    if !committed {
        assert!(database.begin_read().unwrap().open_table(NOTES).is_err(), "a part was committed");
    }
    came
}

#[test]
fn a_disk_that_fails_at_any_access_leaves_no_part_of_a_call_in_a_transaction() {
    for call in [Call::Read, Call::Write, Call::Resize] {
        let failures = (0..)
            .take_while(|after| delete_with_a_fault(|disk| disk.fail(call, *after, false), |disk| !disk.is_waiting()));
        let failures = failures.count();
        println!("{call:?}: {failures} failures");
        assert!(failures > 0 || call != Call::Read, "no access failed");
    }
}

#[test]
fn a_page_that_is_read_damaged_leaves_no_part_of_a_call_in_a_transaction() {
    let failures =
        (0..).take_while(|after| delete_with_a_fault(|disk| disk.damage_read(*after), |disk| !disk.is_waiting()));
    let failures = failures.count();
    println!("{failures} damaged pages");
    assert!(failures > 20, "{failures} pages were read");
}
