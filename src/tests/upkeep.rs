//! Purges that fail.

use chrono::{DateTime, Utc};

use crate::models::{Millis, NewUser};
use crate::records::expiring::Expiring;
use crate::records::schema::BY_EXPIRY;
use crate::{Adapter, AuthKv, Error};

#[test]
fn a_removal_that_fails_harms_no_write() {
    let auth = AuthKv::options().clock(|| DateTime::<Utc>::UNIX_EPOCH).in_memory().unwrap();
    // An entry without a record.
    let entry = (Millis::new(i64::MIN), Expiring::Code("nobody's".to_owned()));
    auth.write_alone(move |txn| txn.put(&BY_EXPIRY, &entry, &()), Ok).wait().unwrap();
    let ada = auth.create_user(NewUser::default()).wait().unwrap();
    assert_eq!(auth.get_user(&ada.id).wait().unwrap(), Some(ada));
    assert!(matches!(auth.purge_expired().wait(), Err(Error::Storage(_))));
}
