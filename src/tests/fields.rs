//! Unique values, deleted users and addresses, in states that only access to the store's inside can create.

use std::collections::BTreeMap;
use std::sync::Arc;

use redb::Database;
use redb::backends::InMemoryBackend;

use crate::models::{
    Absent, AccountType, Dynamic, FieldKey, Index, Indexes, Millis, Models, NewAccount, NewUser, RangeOf,
};
use crate::ops::meta::{Change, Stage};
use crate::ops::pages::PageLimit;
use crate::ops::{accounts, migration, users};
use crate::records::entries::replace;
use crate::records::schema::ACCOUNT_BY_FIELD;
use crate::records::{AccountRecord, Email, UserRecord};
use crate::store::fresh_id;
use crate::{AuthKv, Error, OpenProblem};

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

#[test]
fn an_address_that_was_stored_with_blanks_is_still_found() {
    let auth = AuthKv::in_memory().unwrap();
    let matching = auth.email_matching();
    let trimmed = UserRecord::new(NewUser::<()>::email("ada@example.com"), fresh_id, matching, auth.now_ms()).unwrap();
    let with_blanks = UserRecord {
        id: fresh_id(),
        email: Some(Email::new(" Ada@example.com".to_owned(), matching)),
        ..trimmed.clone()
    };
    for user in [trimmed.clone(), with_blanks.clone()] {
        auth.write(move |txn| users::create(txn, &user), Ok).wait().unwrap();
    }
    let found = |email: &str| auth.get_user_by_email(email).wait().unwrap().map(|user| user.id);
    assert_eq!(found(" ada@example.com"), Some(with_blanks.id));
    for spelling in ["ada@example.com", "ada@example.com ", "\tADA@example.com"] {
        assert_eq!(found(spelling), Some(trimmed.id.clone()));
    }
}

struct Planned;

#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
struct Plan {
    id2: u64,
    #[serde(default)]
    plan: String,
}

impl Models for Planned {
    const NAME: &'static str = "numbered";
    const VERSION: u32 = 1;
    type User = ();
    type Account = Plan;
    type Session = ();
    type VerificationToken = ();
    const ACCOUNT_INDEXES: &'static [Index] = &[Index::new("plan")];
}

#[test]
fn a_host_without_the_models_does_not_finish_a_change_for_which_it_must_know_them() {
    let database = Database::builder().create_with_backend(InMemoryBackend::new()).unwrap();
    let database = Arc::new(database);
    let open = || AuthKv::options().models::<Numbered>().on_database(Arc::clone(&database)).unwrap();
    let auth = open();
    let ada = auth.create_user(NewUser::default()).wait().unwrap();
    let account = NewAccount::new(ada.id, AccountType::Oauth, "a", 1_u64);
    auth.link_account(NewAccount { extra: [("id2".to_owned(), 1)].into(), ..account }).wait().unwrap();
    let begin = |absent: Absent| {
        let mut indexes = Indexes::new(&[], Planned::ACCOUNT_INDEXES);
        indexes.accounts[0].absent = Some(absent);
        let to = (Planned::NAME.to_owned(), Planned::VERSION);
        Change { from: 1, to, indexes, stage: Stage::Indexes, after: None }
    };
    let change = begin(Absent::Something);
    auth.write(move |txn| migration::begin(txn, &change), Ok).wait().unwrap();
    drop(auth);
    let dynamic = || AuthKv::options().models::<Dynamic>().on_database(Arc::clone(&database));
    let refused = dynamic().unwrap_err();
    assert!(matches!(refused, Error::Open { problem: OpenProblem::ChangeUnfinished { .. }, .. }), "{refused}");
    drop(AuthKv::options().models::<Planned>().on_database(Arc::clone(&database)).unwrap());
    assert!(dynamic().unwrap().check().wait().unwrap().is_sound());
}
