//! Unique values and deleted users, in conflicts that only access to the store's inside can create.

use std::collections::BTreeMap;

use crate::AuthKv;
use crate::models::{AccountType, FieldKey, Index, Millis, Models, NewAccount, NewUser, RangeOf};
use crate::ops::pages::PageLimit;
use crate::ops::{accounts, users};
use crate::records::AccountRecord;
use crate::records::entries::replace;
use crate::records::schema::ACCOUNT_BY_FIELD;

type Own = BTreeMap<String, u64>;

struct Numbered;

impl Models for Numbered {
    const NAME: &'static str = "numbered";
    const VERSION: u32 = 1;
    type User = ();
    type Account = Own;
    type Session = ();
    type VerificationToken = ();
    const ACCOUNT_INDEXES: &'static [Index] = &[Index::unique("number")];
}

const ALL: PageLimit = PageLimit { items: usize::MAX, rows: usize::MAX };

#[test]
fn two_accounts_with_one_value_of_a_unique_index_are_reported() {
    let auth = AuthKv::options().models::<Numbered>().in_memory().unwrap();
    let ada = auth.create_user(NewUser::default()).wait().unwrap();
    for key in 0..2_u64 {
        let extra: Own = [("number".to_owned(), 7)].into();
        let account = NewAccount { extra, ..NewAccount::new(ada.id.clone(), AccountType::Oauth, "a", key) };
        let account = AccountRecord::new(account, || key.to_string().into(), Millis::new(0)).unwrap();
        // Written directly, past the operation that would refuse it.
        auth.write(move |txn| replace(txn, None, Some(&account)), Ok).wait().unwrap();
    }
    let report = auth.check().wait().unwrap();
    assert_eq!(report.problem_count, 1, "{:?}", report.problems);
    assert!(report.problems[0].contains("unique index"), "{:?}", report.problems);
}

#[test]
fn accounts_that_wait_to_be_swept_are_found_by_no_value_and_in_no_list() {
    const ACCOUNTS: u64 = 600;
    let auth = AuthKv::options().models::<Numbered>().in_memory().unwrap();
    let ada = auth.create_user(NewUser::default()).wait().unwrap();
    for number in 0..ACCOUNTS {
        let extra = [("number".to_owned(), number)].into();
        let account = NewAccount { extra, ..NewAccount::new(ada.id.clone(), AccountType::Oauth, "a", number) };
        auth.link_account(account).wait().unwrap();
    }
    // Reads in the same transaction, before the rest is swept.
    let found = auth.write(
        move |txn| {
            users::delete(txn, &ada.id, &ada.id.trace())?;
            let left = txn.first(&ACCOUNT_BY_FIELD, usize::MAX)?.len();
            let mut listed = accounts::list_by_field(txn, "number", &RangeOf::All, None, ALL)?.items.len();
            listed += accounts::page(txn, &ada.id, None, ALL)?.items.len();
            let mut found = 0;
            for number in 0..ACCOUNTS {
                found += usize::from(accounts::by_field(txn, "number", &FieldKey::Integer(number.into()))?.is_some());
            }
            Ok((left > 100, listed, found))
        },
        Ok,
    );
    assert_eq!(found.wait().unwrap(), (true, 0, 0));
}
