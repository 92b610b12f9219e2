//! When a session is extended, to the millisecond.

use chrono::{DateTime, TimeDelta};

use crate::AuthKv;
use crate::models::{Millis, NewSession, NewUser, TokenHash};
use crate::ops::resolve;
use crate::ops::sessions::extend;
use crate::records::{AsOf, SessionRecord};

const EXPIRES: i64 = 1_000;

/// The session's expiry and its last extension, after extensions with these arguments: now, due, until.
fn extended(calls: &'static [(i64, i64, i64)]) -> (i64, i64) {
    let auth = AuthKv::options().clock(|| DateTime::UNIX_EPOCH).in_memory().unwrap();
    let ada = auth.create_user(NewUser::default()).wait().unwrap();
    let expires = DateTime::from_timestamp_millis(EXPIRES).unwrap();
    let session = auth.create_session(NewSession::new("token", ada.id, expires)).wait().unwrap();
    let max_age = TimeDelta::days(1);
    let record = auth.write(
        move |txn| {
            for (now, due, until) in calls {
                let [now, due, until] = [now, due, until].map(|millis| Millis::new(*millis));
                extend(txn, &TokenHash::of("token"), AsOf { now, max_age }, due, until)?;
            }
            resolve::<SessionRecord>(txn, &(session.user_id.clone(), session.id.clone()))
        },
        Ok,
    );
    let record = record.wait().unwrap();
    (record.lifetime.expires.since_epoch(), record.lifetime.extended.since_epoch())
}

#[test]
fn a_session_is_extended_when_it_is_due_and_valid_and_only_then() {
    assert_eq!(extended(&[]), (EXPIRES, 0));
    assert_eq!(extended(&[(500, EXPIRES, 2_000)]), (EXPIRES, 0), "it was not due");
    assert_eq!(extended(&[(EXPIRES, EXPIRES + 1, 2_000)]), (2_000, EXPIRES));
    assert_eq!(extended(&[(EXPIRES + 1, EXPIRES + 2, 2_000)]), (EXPIRES, 0), "it had expired");
    let burst = extended(&[(500, 1_500, 2_000), (501, 1_501, 2_001), (502, 1_502, 2_002)]);
    assert_eq!(burst, (2_000, 500), "it was extended more than once");
}
