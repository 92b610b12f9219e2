//! Migrations: their results, and the fate of a file that cannot be migrated.

use std::sync::{Arc, Mutex};

use authkv::models::{
    AccountKey, AccountType, Dynamic, DynamicFields, FieldPatch, FieldRange, MigrationError, MigrationProgress,
    MigrationStep, Models, NewAccount, NewSession, NewUser, User, UserPatch, Value, VerificationToken,
};
use authkv::redb::{Database, TableDefinition};
use authkv::{AuthKv, Error, OpenProblem};
use chrono::{DateTime, Utc};

use super::models::{Careless, Contact, Device, First, Other, Phone, Renamed, Second};
use super::{must_be_sound, new_path, open, refusal};

const EXPIRES: DateTime<Utc> = DateTime::<Utc>::MAX_UTC;

/// Creates users with one record of each kind. Their numbers are their ids.
pub(crate) fn fill(auth: &AuthKv<First>, users: std::ops::Range<usize>) {
    let mut replies = Vec::new();
    for n in users.clone() {
        let extra = Phone { phone: format!("+44 {n}") };
        let user = NewUser { id: Some(n.to_string().into()), name: Some(format!("user {n}")), extra, ..email(n) };
        replies.push(auth.create_user(user));
    }
    replies.into_iter().for_each(|reply| drop(reply.wait().unwrap()));
    let device = |n: usize| Device { device: format!("device {n}") };
    let mut replies = (Vec::new(), Vec::new(), Vec::new());
    for n in users {
        let id = n.to_string();
        let account = NewAccount { extra: device(n), ..NewAccount::new(&*id, AccountType::Oauth, "github", n as u64) };
        replies.0.push(auth.link_account(account));
        replies.1.push(auth.create_session(NewSession { extra: device(n), ..NewSession::new(&*id, &*id, EXPIRES) }));
        let token = VerificationToken { extra: device(n), ..VerificationToken::new(&*id, &*id, EXPIRES) };
        replies.2.push(auth.create_verification_token(token));
    }
    replies.0.into_iter().for_each(|reply| drop(reply.wait().unwrap()));
    replies.1.into_iter().for_each(|reply| drop(reply.wait().unwrap()));
    replies.2.into_iter().for_each(|reply| drop(reply.wait().unwrap()));
}

fn email(n: usize) -> NewUser<Phone> {
    NewUser::email(format!("{n}@example.com"))
}

/// Asserts that everything from [`fill`] exists and was migrated exactly once.
pub(crate) fn must_be_migrated(auth: &AuthKv<Second>, users: usize) {
    let agent = |n: usize| Renamed { agent: format!("device {n}"), since: DateTime::UNIX_EPOCH.into() };
    for n in 0..users {
        let id = n.to_string();
        let user = auth.get_user_by("number", &*id).wait().unwrap().unwrap();
        let contact = Contact { country: 44, number: id.clone(), nickname: Some(format!("user {n}")) };
        assert_eq!((user.id.as_str(), &user.extra), (&*id, &contact));
        let found = auth.get_session_and_user(&id).wait().unwrap().unwrap();
        assert_eq!((found.session.extra, found.user), (agent(n), user));
        let account = auth.get_account(AccountKey::new("github", n as u64)).wait().unwrap().unwrap();
        assert_eq!(account.extra, agent(n));
        let token = auth.find_verification_token(&id, &id).wait().unwrap().unwrap();
        assert_eq!(token.extra, agent(n));
    }
    must_be_sound(auth);
    let report = auth.check().wait().unwrap();
    let users = users as u64;
    assert_eq!([report.users, report.accounts, report.sessions, report.verification_tokens], [users; 4]);
}

#[test]
fn every_record_is_migrated_once_and_found_by_the_new_indexes() {
    let (_folder, path) = new_path();
    fill(&open::<First>(&path), 0..1_000);
    let auth = open::<Second>(&path);
    must_be_migrated(&auth, 1_000);
    let page = auth.list_users_by("country", FieldRange::only(44), None, 1_000).wait().unwrap();
    assert_eq!(page.items.len(), 1_000);
    assert!(matches!(auth.get_user_by("phone", "+44 1").wait(), Err(Error::InvalidArgument { .. })));
    drop(auth);
    must_be_migrated(&open::<Second>(&path), 1_000);
    let auth = open::<Second>(&path);
    let taken = auth.use_verification_token(Some("7"), "7").wait().unwrap().unwrap();
    assert_eq!(taken.extra.agent, "device 7");
}

#[test]
fn a_store_on_a_shared_database_is_migrated_too() {
    let (_folder, path) = new_path();
    let database = Arc::new(Database::create(path).unwrap());
    fill(&AuthKv::options().models::<First>().on_database(Arc::clone(&database)).unwrap(), 0..300);
    must_be_migrated(&AuthKv::options().models::<Second>().on_database(database).unwrap(), 300);
}

#[test]
fn older_and_other_models_are_refused_and_named() {
    let (_folder, path) = new_path();
    fill(&open::<First>(&path), 0..1);
    let expected = [("app".to_owned(), 1), ("other".to_owned(), 7)];
    match refusal::<Other>(&path) {
        OpenProblem::OtherModels { found, expected: opened_with } => assert_eq!([found, opened_with], expected),
        problem => panic!("{problem}"),
    }
    drop(open::<Second>(&path));
    let problem = refusal::<First>(&path);
    let OpenProblem::OtherModels { found, expected } = &problem else { panic!("{problem}") };
    assert_eq!((found, expected), (&("app".to_owned(), 2), &("app".to_owned(), 1)));
    for name in ["\"app\" version 2", "\"app\" version 1"] {
        assert!(problem.to_string().contains(name), "{problem}");
    }
    must_be_migrated(&open::<Second>(&path), 1);
}

/// Fills a file that `spoil` makes unfit, and asserts that it is refused with these words and stays as it is.
#[track_caller]
fn must_stay_as_it_is<M: Models>(record: &str, why: &str, spoil: impl Fn(&AuthKv<First>)) {
    let (_folder, path) = new_path();
    let auth = open::<First>(&path);
    fill(&auth, 0..600);
    spoil(&auth);
    drop(auth);
    for _ in 0..2 {
        match refusal::<M>(&path) {
            OpenProblem::MigrationRefused { record: found, why: found_why } => {
                assert_eq!(found, record);
                assert!(found_why.contains(why), "{found_why}");
            }
            problem => panic!("{problem}"),
        }
    }
    let auth = open::<First>(&path);
    must_be_sound(&auth);
    assert_eq!(auth.check().wait().unwrap().users, 600);
    assert_eq!(auth.get_user_by("phone", "+44 0").wait().unwrap().unwrap().id.as_str(), "0");
}

fn set_phone(auth: &AuthKv<First>, id: &str, phone: &str) {
    let patch = UserPatch { extra: FieldPatch::new().set("phone", phone), ..UserPatch::new(id) };
    auth.update_user(patch).wait().unwrap();
}

#[test]
fn a_file_with_a_record_that_the_application_cannot_migrate_stays_as_it_is() {
    must_stay_as_it_is::<Second>("user 599", "the phone number has no country", |auth| set_phone(auth, "599", "599"));
    must_stay_as_it_is::<Second>("user 300", "invalid digit", |auth| set_phone(auth, "300", "+x 300"));
}

#[test]
fn a_file_whose_migrated_records_do_not_fit_the_models_stays_as_it_is() {
    must_stay_as_it_is::<Careless>("user 0", "its fields do not fit them: missing field `country`", |_| {});
}

#[test]
fn a_file_with_two_records_that_want_one_value_of_a_unique_index_stays_as_it_is() {
    must_stay_as_it_is::<Second>("user 7", "two users have the same number, and its index is unique", |auth| {
        set_phone(auth, "7", "+49 5")
    });
}

#[test]
fn nothing_is_changed_while_synchronize_is_off() {
    let (_folder, path) = new_path();
    fill(&open::<First>(&path), 0..1);
    let refused = AuthKv::options().models::<Second>().synchronize(false).open(&path);
    let Err(Error::Open { problem: OpenProblem::ModelsNotSynchronized { found, expected }, .. }) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!((found, expected), (("app".to_owned(), 1), ("app".to_owned(), 2)));
    drop(AuthKv::options().models::<First>().synchronize(false).open(&path).unwrap());
    drop(open::<Second>(&path));
    let auth = AuthKv::options().models::<Second>().synchronize(false).open(&path).unwrap();
    must_be_migrated(&auth, 1);
}

#[test]
fn progress_is_told_in_steps_up_to_the_last_record() {
    let (_folder, path) = new_path();
    fill(&open::<First>(&path), 0..600);
    let told: Arc<Mutex<Vec<MigrationProgress>>> = Arc::default();
    let options = AuthKv::options().models::<Second>().on_migration({
        let told = Arc::clone(&told);
        move |progress| told.lock().unwrap().push(progress)
    });
    drop(options.open(&path).unwrap());
    let told = std::mem::take(&mut *told.lock().unwrap());
    let steps = [MigrationStep::Trying, MigrationStep::ClearingIndexes, MigrationStep::Changing];
    let of = |step| told.iter().filter(move |progress| progress.step == step);
    assert!(told.is_sorted_by_key(|progress| steps.iter().position(|step| *step == progress.step)));
    for step in steps {
        assert!(of(step).is_sorted_by_key(|progress| progress.records_done), "{told:?}");
    }
    let last = of(MigrationStep::Changing).next_back().unwrap();
    assert_eq!((last.records_done, last.records), (4 * 600, Some(4 * 600)));
    assert!(of(MigrationStep::Changing).count() > 8, "{told:?}");
    drop(AuthKv::options().models::<Second>().on_migration(|progress| panic!("{progress:?}")).open(&path).unwrap());
}

#[test]
fn the_first_models_of_an_application_may_come_after_its_users() {
    let (_folder, path) = new_path();
    let user = AuthKv::open(&path).unwrap().create_user(NewUser::email("ada@example.com")).wait().unwrap();
    assert!(matches!(refusal::<First>(&path), OpenProblem::MigrationRefused { .. }), "its phone number is missing");
    assert_eq!(AuthKv::open(&path).unwrap().get_user(&user.id).wait().unwrap().as_ref(), Some(&user));

    let auth = open::<Lenient>(&path);
    assert_eq!(auth.get_user(&user.id).wait().unwrap().unwrap().extra, Device::default());
    drop(auth);
    assert!(matches!(AuthKv::open(&path), Err(Error::Open { problem: OpenProblem::OtherModels { .. }, .. })));
}

/// Models that fit a user without own fields.
struct Lenient;

impl Models for Lenient {
    const NAME: &'static str = "app";
    const VERSION: u32 = 1;
    type User = Device;
    type Account = ();
    type Session = ();
    type VerificationToken = ();
}

#[test]
fn the_dynamic_model_opens_any_file_and_keeps_its_indexes() {
    let (_folder, path) = new_path();
    fill(&open::<First>(&path), 0..10);
    let auth = open::<Dynamic>(&path);
    let user = auth.get_user_by("phone", "+44 7").wait().unwrap().unwrap();
    assert_eq!(user.extra["phone"], Value::from("+44 7"));
    let patch = UserPatch { extra: FieldPatch::new().set("phone", "+1 7").set("fax", 1.5), ..UserPatch::new("7") };
    auth.update_user(patch).wait().unwrap();
    let extra = [("phone".to_owned(), Value::from("+44 8"))].into();
    let taken = auth.create_user(NewUser { extra, ..NewUser::default() }).wait();
    assert!(matches!(taken, Err(Error::Conflict(_))), "{taken:?}");
    must_be_sound(&auth);
    drop(auth);
    let auth = open::<First>(&path);
    assert_eq!(auth.get_user_by("phone", "+1 7").wait().unwrap().unwrap().id.as_str(), "7");
    assert_eq!(auth.get_user_by("phone", "+44 7").wait().unwrap(), None);
    must_be_sound(&auth);
}

#[test]
fn a_file_of_the_dynamic_model_is_taken_over_by_models_that_fit_it() {
    let (_folder, path) = new_path();
    let auth = open::<Dynamic>(&path);
    let extra = [("phone".to_owned(), Value::from("+44 1")), ("other".to_owned(), Value::Null)].into();
    let user = auth.create_user(NewUser { extra, ..NewUser::email("ada@example.com") }).wait().unwrap();
    drop(auth);
    assert!(matches!(AuthKv::open(&path), Err(Error::Open { problem: OpenProblem::OtherModels { .. }, .. })));
    let auth = open::<First>(&path);
    assert_eq!(auth.get_user_by("phone", "+44 1").wait().unwrap().unwrap().id, user.id);
    drop(auth);
    assert_eq!(open::<Dynamic>(&path).get_user(&user.id).wait().unwrap(), Some(user));
}

#[test]
fn a_file_whose_migrated_records_would_be_too_long_stays_as_it_is() {
    let (_folder, path) = new_path();
    let auth = open::<Short>(&path);
    let extra = Texts::from([("text".to_owned(), "x".repeat(60_000))]);
    let user = NewUser { id: Some("ada".into()), image: Some("y".repeat(64_000)), extra, ..NewUser::default() };
    let user = auth.create_user(user).wait().unwrap();
    drop(auth);
    let OpenProblem::MigrationRefused { record, why } = refusal::<Long>(&path) else { panic!("not refused") };
    assert_eq!(record, "user ada");
    assert!(why.contains("the limit is 524288"), "{why}");
    assert_eq!(open::<Short>(&path).get_user(&user.id).wait().unwrap(), Some(user));
}

type Texts = std::collections::BTreeMap<String, String>;

struct Short;
struct Long;

impl Models for Short {
    const NAME: &'static str = "texts";
    const VERSION: u32 = 1;
    type User = Texts;
    type Account = ();
    type Session = ();
    type VerificationToken = ();
}

impl Models for Long {
    const NAME: &'static str = "texts";
    const VERSION: u32 = 2;
    type User = Texts;
    type Account = ();
    type Session = ();
    type VerificationToken = ();

    fn migrate_user(_: u32, user: User<DynamicFields>) -> Result<DynamicFields, MigrationError> {
        let text = user.extra.get("text").cloned().ok_or("there is no text")?;
        Ok((0..8).map(|n| (n.to_string(), text.clone())).collect())
    }
}

#[test]
fn what_a_migration_leaves_alone_stays_as_it_is_stored() {
    let (_folder, path) = new_path();
    let labels =
        || Labels { labels: [("$instant", "x"), ("$$instant", "y")].map(|(k, v)| (k.into(), v.into())).into() };
    let auth = open::<OldLabels>(&path);
    let user = auth.create_user(NewUser { extra: labels(), ..NewUser::default() }).wait().unwrap();
    drop(auth);
    assert_eq!(open::<NewLabels>(&path).get_user(&user.id).wait().unwrap().unwrap().extra, labels());
}

#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
struct Labels {
    labels: Texts,
}

macro_rules! labelled {
    ($name:ident $version:literal) => {
        struct $name;

        impl Models for $name {
            const NAME: &'static str = "labels";
            const VERSION: u32 = $version;
            type User = Labels;
            type Account = ();
            type Session = ();
            type VerificationToken = ();
        }
    };
}

labelled!(OldLabels 1);
labelled!(NewLabels 2);

#[test]
fn a_store_with_other_models_is_not_made_whole_while_synchronize_is_off() {
    let (_folder, path) = new_path();
    fill(&open::<First>(&path), 0..3);
    let database = Arc::new(Database::open(&path).unwrap());
    let transaction = database.begin_write().unwrap();
    let table = TableDefinition::<&[u8], &[u8]>::new("authkv_sweep");
    assert!(transaction.delete_table(table).unwrap());
    transaction.commit().unwrap();
    let off = AuthKv::options().models::<Second>().synchronize(false).on_database(Arc::clone(&database));
    assert!(matches!(off, Err(Error::Open { problem: OpenProblem::ModelsNotSynchronized { .. }, .. })), "{off:?}");
    let auth = AuthKv::options().models::<First>().synchronize(false).on_database(Arc::clone(&database)).unwrap();
    assert!(matches!(auth.check().wait(), Err(Error::MissingTable("authkv_sweep"))));
    auth.synchronize().wait().unwrap();
    assert!(auth.get_user_by("phone", "+44 1").wait().unwrap().is_some());
    must_be_sound(&auth);
    drop(auth);
    must_be_migrated(&AuthKv::options().models::<Second>().on_database(database).unwrap(), 3);
}
