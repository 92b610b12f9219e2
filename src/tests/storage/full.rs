//! A full disk: stored data can be read and removed, and when there is room again everything works.

use super::{Flaky, Full, assert_all_there, eventually, user};
use crate::models::User;
use crate::{AuthKv, Error};

#[test]
fn on_a_full_disk_what_is_there_is_read_and_deletions_work_at_the_latest_when_there_is_room() {
    for full in [Full::Length, Full::Pages] {
        let disk = Flaky::default();
        let store = disk.store();
        let mut there = Vec::new();
        create_users(&store, 0..1_000, &mut there);
        disk.fill(full);
        let refused = (10..).find(|hundred| create_users(&store, hundred * 100..hundred * 100 + 100, &mut there) > 0);
        assert!(refused.is_some_and(|hundred| hundred < 100) && there.len() >= 1_000);

        // The disk is still full.
        assert_all_there(&store, &there);
        for _ in 0..20 {
            let user = there.swap_remove(there.len() / 2);
            match store.delete_user(&user.id).wait() {
                Ok(deleted) => assert_eq!(deleted, Some(user)),
                Err(Error::Storage(_)) => there.push(user),
                Err(Error::OutcomeUnknown(_)) => {
                    there.extend(eventually(|| store.get_user(&user.id).wait()));
                }
                Err(error) => panic!("{error}"),
            }
        }
        assert_all_there(&store, &there);

        disk.heal();
        eventually(|| store.create_user(user(1_000_000)).wait());
        for user in there.split_off(500) {
            assert_eq!(store.delete_user(&user.id).wait().unwrap(), Some(user));
        }
        assert_all_there(&store, &there);
        assert_eq!(store.check().wait().unwrap().users, 501);
        drop(store);
        assert_all_there(&disk.store(), &there);
    }
}

/// Creates users at once and returns how many were refused.
fn create_users(store: &AuthKv, numbers: std::ops::Range<usize>, there: &mut Vec<User>) -> usize {
    let replies: Vec<_> = numbers.map(|number| (number, store.create_user(user(number)))).collect();
    let mut refused = 0;
    for (number, reply) in replies {
        match reply.wait() {
            Ok(user) => there.push(user),
            Err(Error::Storage(_)) => refused += 1,
            Err(Error::OutcomeUnknown(_)) => {
                refused += 1;
                let found = eventually(|| store.get_user_by_email(&format!("{number}@example.com")).wait());
                there.extend(found);
            }
            Err(error) => panic!("{error}"),
        }
    }
    refused
}
