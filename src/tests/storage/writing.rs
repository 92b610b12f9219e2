//! Writes while the storage fails.

use super::{Call, Flaky, assert_all_there, eventually, hide_half_of_the_users, user};
use crate::models::{AccountKey, AccountType, NewAccount, NewUser, ProviderAccount, SignIn};
use crate::{AuthKv, Durability, Error};

/// One call of each kind fails at each of the first places where it can, once or for good until the disk heals.
#[test]
fn after_any_single_failure_nothing_acknowledged_is_lost_and_the_store_recovers() {
    let mut seen = [0; 3];
    for call in [Call::Read, Call::Write, Call::Sync, Call::Resize] {
        for (after, for_good) in (0..24).flat_map(|after| [(after, false), (after, true)]) {
            let disk = Flaky::default();
            let store = disk.store();
            let mut acknowledged: Vec<_> = (0..3).map(|n| store.create_user(user(n)).wait().unwrap()).collect();
            disk.fail(call, after, for_good);
            for number in 3..12 {
                match store.create_user(user(number)).wait() {
                    Ok(user) => {
                        seen[0] += 1;
                        acknowledged.push(user);
                    }
                    Err(Error::Storage(_)) => {
                        seen[1] += 1;
                    }
                    Err(Error::OutcomeUnknown(_)) => seen[2] += 1,
                    Err(error) => panic!("{error}"),
                }
            }
            disk.heal();
            assert_all_there(&store, &acknowledged);
            let late = eventually(|| store.create_user(NewUser::email("late@example.com")).wait());
            acknowledged.push(late);
            assert_all_there(&store, &acknowledged);
            drop(store);
            assert_all_there(&disk.store(), &acknowledged);
        }
    }
    // The test proves nothing if the faults do not reach the calls.
    assert!(seen.iter().all(|count| *count > 20), "{seen:?}");
}

/// Reopening returns to the last sync.
#[test]
fn a_failure_loses_only_the_last_of_the_deferred_writes() {
    let (mut kept, mut lost) = (0, 0);
    for call in [Call::Read, Call::Write, Call::Sync, Call::Resize] {
        for after in 0..16 {
            let disk = Flaky::default();
            let store = disk.open_with(AuthKv::options().durability(Durability::Deferred)).unwrap();
            let synced = store.create_user(user(0)).wait().unwrap();
            // Closing a database syncs it, so this user is synced.
            drop(store);
            let store = disk.open_with(AuthKv::options().durability(Durability::Deferred)).unwrap();
            disk.fail(call, after, false);
            let replies: Vec<_> = (1..30).map(|number| store.create_user(user(number))).collect();
            let acknowledged: Vec<_> = replies.into_iter().map_while(|reply| reply.wait().ok()).collect();
            if (call, after) == (Call::Sync, 1) {
                // The first sync marks that there are writes. The failing one belongs to these writes, and certainly
                // comes after an answer.
                eventually(|| if disk.is_waiting() { Err(Error::Busy) } else { Ok(()) });
            }
            disk.heal();
            assert_all_there(&store, &[synced]);
            let found: Vec<_> =
                acknowledged.iter().map(|user| eventually(|| store.get_user(&user.id).wait())).collect();
            let gone = found.iter().skip_while(|found| found.is_some()).take_while(|found| found.is_none()).count();
            assert_eq!(found.iter().filter(|found| found.is_none()).count(), gone, "{found:?}");
            kept += found.len() - gone;
            lost += gone;
        }
    }
    assert!(kept > 100 && lost > 0, "{kept} {lost}");
}

/// Signing up is atomic: a crash or a failure during it never leaves a user whose address is taken and whose account is
/// not linked.
#[test]
fn a_sign_up_that_failed_was_done_whole_or_not_at_all_and_can_be_tried_again() {
    let mut seen = [0; 2];
    for call in [Call::Read, Call::Write, Call::Sync, Call::Resize] {
        for after in 0..24 {
            let disk = Flaky::default();
            let store = disk.store();
            store.create_user(user(0)).wait().unwrap();
            disk.fail(call, after, false);
            let sign_up = |store: &AuthKv| {
                let account = ProviderAccount::new(AccountType::Oauth, "github", 1_u64);
                store.sign_in_with_account(account, user(1)).wait()
            };
            let first = sign_up(&store);
            // As after a crash: uncommitted changes are lost.
            let image = Flaky::new(disk.bytes());
            disk.heal();
            for store in [store, image.store()] {
                let report = eventually(|| store.check().wait());
                assert!(report.is_sound(), "{:?}", report.problems);
                let is_there = report.users - 1;
                assert_eq!((report.accounts, report.sessions), (is_there, is_there));
                assert!(is_there == 1 || first.is_err());
                let SignIn::Done(again) = eventually(|| sign_up(&store)) else { panic!("the address is taken") };
                assert_eq!(again.is_new_user, is_there == 0);
                seen[usize::try_from(is_there).unwrap()] += usize::from(first.is_err());
            }
        }
    }
    assert!(seen.iter().all(|count| *count > 0), "{seen:?}");
}

/// "Storage" promises that nothing was written.
#[test]
fn a_write_that_failed_with_a_storage_error_was_not_done() {
    let mut failed = 0;
    for call in [Call::Write, Call::Resize, Call::Read] {
        for after in 0..16 {
            let disk = Flaky::default();
            let store = disk.store();
            store.create_user(user(0)).wait().unwrap();
            disk.fail(call, after, true);
            if let Err(Error::Storage(_)) = store.create_user(user(1)).wait() {
                failed += 1;
                disk.heal();
                assert_eq!(eventually(|| store.get_user_by_email("1@example.com").wait()), None);
            }
        }
    }
    assert!(failed > 0);
}

#[test]
fn a_failed_sync_is_an_unknown_outcome_that_reading_resolves() {
    let disk = Flaky::default();
    let store = disk.store();
    disk.fail(Call::Sync, 0, false);
    let result = store.create_user(user(0)).wait();
    assert!(matches!(result, Err(Error::OutcomeUnknown(_))), "{result:?}");
    let found = eventually(|| store.get_user_by_email("0@example.com").wait());
    let again = eventually(|| match store.create_user(user(0)).wait() {
        Err(Error::Conflict(_)) => Ok(None),
        result => result.map(Some),
    });
    assert_eq!(found.is_some(), again.is_none());
}

#[test]
fn while_the_storage_is_down_calls_fail_and_do_not_hang() {
    let disk = Flaky::default();
    let store = disk.store();
    let user_before = store.create_user(user(0)).wait().unwrap();
    disk.fail(Call::Sync, 0, true);
    assert!(store.create_user(user(1)).wait().is_err());
    for _ in 0..5 {
        assert!(matches!(store.create_user(user(2)).wait(), Err(Error::Storage(_) | Error::OutcomeUnknown(_))));
    }
    disk.heal();
    assert_all_there(&store, &[user_before]);
}

#[test]
fn closing_a_store_whose_storage_is_down_says_so() {
    let disk = Flaky::default();
    let store = disk.store();
    let before = store.create_user(user(0)).wait().unwrap();
    disk.fail(Call::Sync, 0, true);
    assert!(store.create_user(user(1)).wait().is_err());
    assert!(matches!(store.close().wait(), Err(Error::Storage(_))));
    assert!(matches!(store.get_user(&before.id).wait(), Err(Error::Closed)));
    disk.heal();
    assert_all_there(&disk.store(), &[before]);
}

#[test]
fn a_panic_in_an_operation_harms_only_its_caller() {
    let folder = tempfile::tempdir().unwrap();
    for store in [AuthKv::in_memory().unwrap(), AuthKv::open(folder.path().join("a.redb")).unwrap()] {
        for round in 0..20 {
            let before = store.create_user(user(3 * round));
            let panicking = store.write(
                |txn| -> crate::Result<()> {
                    txn.put(&crate::records::schema::SWEEP, &"left".into(), &())?;
                    panic!("on purpose")
                },
                Ok,
            );
            let after = store.create_user(user(3 * round + 1));
            assert!(matches!(panicking.wait(), Err(Error::Storage(_))));
            assert!(before.wait().is_ok() && after.wait().is_ok());
        }
        assert!(store.check().wait().unwrap().is_sound());
        assert!(!store.read(crate::ops::upkeep::must_sweep, Ok).wait().unwrap());
    }
}

/// The process may have been killed while it overwrote removed rows, and the option may be off now.
#[test]
fn what_a_pass_has_left_is_removed_by_the_next_opening() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.redb");
    drop(AuthKv::open(&path).unwrap());
    let names = || {
        let database = redb::Database::open(&path).unwrap();
        let transaction = redb::ReadableDatabase::begin_read(&database).unwrap();
        let tables = transaction.list_tables().unwrap();
        tables.map(|table| redb::TableHandle::name(&table).to_owned()).collect::<Vec<_>>()
    };
    let before = names();
    let database = redb::Database::open(&path).unwrap();
    let transaction = database.begin_write().unwrap();
    for name in ["authkv_filler", "authkv_reserve"] {
        let table = redb::TableDefinition::<u64, &[u8]>::new(name);
        transaction.open_table(table).unwrap().insert(0, [0; 4_000].as_slice()).unwrap();
    }
    transaction.commit().unwrap();
    drop(database);
    assert_ne!(names(), before);
    drop(AuthKv::open(&path).unwrap());
    assert_eq!(names(), before);
}

#[test]
fn a_damaged_table_keeps_no_other_from_being_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.redb");
    let auth = AuthKv::open(&path).unwrap();
    let users: Vec<_> = (0..100).map(|number| auth.create_user(user(number)).wait().unwrap()).collect();
    for number in 0..400_u64 {
        let text = if number % 3 == 0 { "a removed token" } else { "another token" };
        let refresh_token = Some(format!("{text} {number}").as_str().into());
        let new = NewAccount::new(users[0].id.clone(), AccountType::Oidc, "google", number);
        auth.link_account(NewAccount { refresh_token, ..new }).wait().unwrap();
    }
    // Together, so that many pages become free at once.
    let unlink = |number: u64| auth.unlink_account(AccountKey::new("google", number));
    let unlinked: Vec<_> = (0..400).step_by(3).map(unlink).collect();
    unlinked.into_iter().for_each(|reply| drop(reply.wait().unwrap()));
    auth.close().wait().unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    let has_secret = |bytes: &[u8]| bytes.windows(15).any(|part| part == b"a removed token");
    assert!(has_secret(&bytes));
    hide_half_of_the_users(&mut bytes);
    std::fs::write(&path, bytes).unwrap();

    let auth = AuthKv::options().secure_delete(true).open(&path).unwrap();
    let refused = auth.close().wait().unwrap_err();
    assert!(refused.to_string().contains("damaged table"), "{refused}");
    drop(auth);
    assert!(!has_secret(&std::fs::read(&path).unwrap()), "the damaged table of users stopped the pass");
}
