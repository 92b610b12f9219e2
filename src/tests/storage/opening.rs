//! Opening a store while the storage fails.

use redb::Builder;

use super::{Call, Flaky, assert_all_there, user};
use crate::Error;
use crate::models::User;

#[test]
fn opening_that_failed_at_any_call_works_when_the_storage_does() {
    let without_tables = Flaky::default();
    drop(Builder::new().create_with_backend(without_tables.clone()).unwrap());
    let disk = Flaky::default();
    let store = disk.store();
    let users: Vec<_> = (0..50).map(|number| store.create_user(user(number)).wait().unwrap()).collect();
    let not_closed = disk.bytes();
    drop(store);
    for (bytes, users) in [(without_tables.bytes(), &[][..]), (not_closed, &users), (disk.bytes(), &users)] {
        let mut failed = 0;
        for call in [Call::Read, Call::Write, Call::Sync, Call::Resize] {
            for for_good in [false, true] {
                failed += open_with_faults(&bytes, call, for_good, users);
            }
        }
        assert!(failed > 10, "{failed}");
    }
}

/// Makes each call of opening fail in turn, and returns how many calls there were.
fn open_with_faults(bytes: &[u8], call: Call, for_good: bool, users: &[User]) -> usize {
    for after in 0.. {
        let disk = Flaky::new(bytes.to_vec());
        disk.fail(call, after, for_good);
        match disk.open() {
            Ok(store) => {
                let is_through = disk.is_waiting();
                disk.heal();
                assert_all_there(&store, users);
                if is_through {
                    return after;
                }
            }
            Err(Error::Storage(_) | Error::OutcomeUnknown(_)) => {}
            Err(error) => panic!("{error}"),
        }
        disk.heal();
        assert_all_there(&disk.store(), users);
    }
    unreachable!("opening ends")
}
