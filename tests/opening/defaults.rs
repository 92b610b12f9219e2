//! Indexes on fields with a serde default. Goal: an index has what the model reads, and the records have it too. Method: a
//! store without the field is opened with models that read a value for it.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use authkv::models::{
    AccountKey, AccountPatch, AccountType, Dynamic, FieldPatch, FieldRange, Index, Models, NewAccount, NewUser, Proof,
    ProviderAccount, SignIn, UserPatch, Value, Visitor,
};
use authkv::redb::{Database, ReadableDatabase, TableDefinition};
use authkv::{AuthKv, Error, OpenProblem, Problem};
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

macro_rules! own {
    ($name:ident { $($(#[$attribute:meta])* $field:ident: $type:ty),* }) => {
        #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
        struct $name {
            $($(#[$attribute])* $field: $type),*
        }
    };
}

own!(Name { name2: String });
own!(Plan {
    name2: String,
    #[serde(default = "free")]
    plan: String
});
own!(Basic {
    name2: String,
    #[serde(default = "basic")]
    plan: String
});
own!(Maybe { name2: String, #[serde(default = "perhaps")] plan: Option<String> });
own!(Drawn {
    name2: String,
    #[serde(default = "draw")]
    number: u64
});
own!(Skipped {
    name2: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    plan: String
});
own!(AllDefault {
    #[serde(default)]
    name2: String,
    #[serde(default = "free")]
    plan: String
});
own!(AllSkipped {
    #[serde(default)]
    name2: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    plan: String
});
own!(Optional { name2: String, #[serde(skip_serializing_if = "Option::is_none")] plan: Option<String> });

fn free() -> String {
    "free".to_owned()
}

fn basic() -> String {
    "basic".to_owned()
}

fn perhaps() -> Option<String> {
    Some("perhaps".to_owned())
}

/// Another number each time.
fn draw() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::SeqCst)
}

macro_rules! models {
    ($($name:ident: $own:ty, $indexes:expr;)*) => {$(
        struct $name;

        impl Models for $name {
            const NAME: &'static str = "app";
            const VERSION: u32 = 1;
            type User = $own;
            type Account = $own;
            type Session = ();
            type VerificationToken = ();
            const USER_INDEXES: &'static [Index] = $indexes;
            const ACCOUNT_INDEXES: &'static [Index] = $indexes;
        }
    )*};
}

models! {
    Before: Name, &[];
    ByPlan: Plan, &[Index::new("plan")];
    ByBasic: Basic, &[Index::new("plan")];
    ByUniquePlan: Plan, &[Index::unique("plan")];
    ByMaybe: Maybe, &[Index::new("plan")];
    ByDrawn: Drawn, &[Index::unique("number")];
    BySkipped: Skipped, &[Index::new("plan")];
    ByAllDefault: AllDefault, &[Index::new("plan")];
    ByAllSkipped: AllSkipped, &[Index::new("plan")];
    ByOptional: Optional, &[Index::new("plan")];
}

fn new_path() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("auth.redb");
    (folder, path)
}

fn open<M: Models>(path: &Path) -> AuthKv<M> {
    AuthKv::options().models::<M>().open(path).unwrap()
}

#[track_caller]
fn refusal<M: Models>(path: &Path) -> OpenProblem {
    match AuthKv::options().models::<M>().open(path) {
        Err(Error::Open { problem, .. }) => problem,
        other => panic!("{other:?}"),
    }
}

/// A file with this many users, each with an account, that have no plan.
fn file_before(users: usize) -> (TempDir, PathBuf) {
    let (folder, path) = new_path();
    let auth = open::<Before>(&path);
    for number in 0..users {
        let extra = Name { name2: number.to_string() };
        let new = NewUser { id: Some(number.to_string().into()), extra: extra.clone(), ..NewUser::default() };
        let id = auth.create_user(new).wait().unwrap().id;
        let account = NewAccount::new(id, AccountType::Oauth, "github", number as u64);
        auth.link_account(NewAccount { extra, ..account }).wait().unwrap();
    }
    (folder, path)
}

fn count<M: Models>(auth: &AuthKv<M>, field: &str, range: FieldRange) -> [usize; 2] {
    let users = auth.list_users_by(field, range.clone(), None, 1_000).wait().unwrap().items.len();
    [users, auth.list_accounts_by(field, range, None, 1_000).wait().unwrap().items.len()]
}

#[track_caller]
fn must_be_sound<M: Models>(auth: &AuthKv<M>) {
    let report = auth.check().wait().unwrap();
    assert!(report.is_sound(), "{:?}", report.problems);
}

/// The row of `meta` about indexes, as it is in the file.
fn stored_indexes(path: &Path) -> String {
    let meta: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("authkv_meta");
    let database = Database::open(path).unwrap();
    let table = database.begin_read().unwrap().open_table(meta).unwrap();
    let row = table.get(&b"indexes\0\0"[..]).unwrap().unwrap().value().to_vec();
    String::from_utf8_lossy(&row).into_owned()
}

#[test]
fn an_index_on_a_field_with_a_default_finds_the_records_that_did_not_have_it() {
    let (_folder, path) = file_before(300);
    let auth = open::<ByPlan>(&path);
    assert_eq!(count(&auth, "plan", FieldRange::only("free")), [300, 300]);
    must_be_sound(&auth);
    drop(auth);
    assert!(stored_indexes(&path).contains(r#""absent":{"value":"free"}"#), "{}", stored_indexes(&path));
    // The records have it, so another default does not change them.
    let auth = open::<ByBasic>(&path);
    assert_eq!(count(&auth, "plan", FieldRange::only("free")), [300, 300]);
    assert_eq!(auth.get_user("7").wait().unwrap().unwrap().extra.plan, "free");
    must_be_sound(&auth);
}

#[test]
fn a_default_that_two_records_would_share_is_refused_where_the_index_is_unique() {
    let (_folder, path) = file_before(2);
    let OpenProblem::MigrationRefused { record, why } = refusal::<ByUniquePlan>(&path) else { panic!() };
    assert_eq!((record.as_str(), why.as_str()), ("user 1", "two users have the same plan, and its index is unique"));
    let auth = open::<Before>(&path);
    assert_eq!(auth.get_user("1").wait().unwrap().unwrap().extra, Name { name2: "1".to_owned() });
    drop(auth);
    assert!(stored_indexes(&path).ends_with(r#"{"users":[],"accounts":[]}"#), "nothing was changed");
}

#[test]
fn a_value_that_is_read_for_an_absent_option_is_written_too() {
    let (_folder, path) = file_before(2);
    let auth = open::<ByMaybe>(&path);
    assert_eq!(count(&auth, "plan", FieldRange::only("perhaps")), [2, 2]);
    // No value is not absent.
    let extra = Maybe { plan: None, ..Maybe::default() };
    auth.create_user(NewUser { extra, ..NewUser::default() }).wait().unwrap();
    assert_eq!(count(&auth, "plan", FieldRange::all()), [2, 2]);
    must_be_sound(&auth);
}

#[test]
fn a_default_that_differs_each_time_is_written_once_and_kept() {
    let (_folder, path) = file_before(300);
    let numbers = || {
        let auth = open::<ByDrawn>(&path);
        must_be_sound(&auth);
        let page = auth.list_users_by("number", FieldRange::all(), None, 1_000).wait().unwrap();
        page.items.into_iter().map(|user| (user.id.to_string(), user.extra.number)).collect::<Vec<_>>()
    };
    let first = numbers();
    assert_eq!(first.len(), 300);
    assert_eq!(numbers(), first);
    assert!(stored_indexes(&path).contains(r#""absent":"something""#), "{}", stored_indexes(&path));
    // The number of the next user is not known to a host without the models.
    let tool = open::<Dynamic>(&path);
    let extra = [("name2".to_owned(), "".into())].into();
    let refused = tool.create_user(NewUser { extra, ..NewUser::default() }).wait();
    assert!(is_missing(&refused, "number"), "{refused:?}");
}

fn is_missing<T>(result: &Result<T, Error>, name: &str) -> bool {
    matches!(result, Err(Error::InvalidArgument { field, problem: Problem::Missing }) if field == name)
}

#[test]
fn a_field_that_is_not_stored_although_the_model_has_a_value_is_refused() {
    let (_folder, path) = file_before(1);
    let OpenProblem::MigrationRefused { record, why } = refusal::<BySkipped>(&path) else { panic!() };
    assert_eq!(record, "user 0");
    assert!(why.starts_with("plan is not stored"), "{why}");
    // Without a record the first one shows it, or the model itself if it reads one without fields.
    let auth = AuthKv::options().models::<BySkipped>().in_memory().unwrap();
    let refused = auth.create_user(NewUser::default()).wait();
    assert!(is_missing(&refused, "plan"), "{refused:?}");
    let extra = Skipped { plan: "free".to_owned(), ..Skipped::default() };
    auth.create_user(NewUser { extra, ..NewUser::default() }).wait().unwrap();
    assert!(is_missing(&AuthKv::options().models::<ByAllSkipped>().in_memory().map(drop), "plan"));
    // An absent option is no value.
    let auth = open::<ByOptional>(&path);
    auth.create_user(NewUser::default()).wait().unwrap();
    assert_eq!(count(&auth, "plan", FieldRange::all()), [0, 0]);
    must_be_sound(&auth);
}

#[test]
fn a_patch_that_clears_a_field_stores_what_the_model_reads_then() {
    let (_folder, path) = file_before(1);
    let auth = open::<ByPlan>(&path);
    let set = |extra| auth.update_user(UserPatch { extra, ..UserPatch::new("0") }).wait();
    set(FieldPatch::new().set("plan", "gold")).unwrap();
    assert_eq!(count(&auth, "plan", FieldRange::only("gold")), [1, 0]);
    assert_eq!(set(FieldPatch::new().clear("plan").set("name2", "x")).unwrap().extra.plan, "free");
    assert_eq!(count(&auth, "plan", FieldRange::only("free")), [1, 1]);
    let key = AccountKey::new("github", 0_u64);
    let patch = AccountPatch { extra: FieldPatch::new().clear("plan"), ..AccountPatch::new(key) };
    assert_eq!(auth.update_account(patch).wait().unwrap().unwrap().extra.plan, "free");
    assert_eq!(count(&auth, "plan", FieldRange::only("free")), [1, 1]);
    let nobody = UserPatch { extra: FieldPatch::new().clear("plan"), ..UserPatch::new("nobody") };
    assert!(matches!(auth.update_user(nobody).wait(), Err(Error::UnknownUser)));
    must_be_sound(&auth);
}

#[test]
fn a_host_without_the_models_writes_what_they_read() {
    let (_folder, path) = file_before(1);
    drop(open::<ByPlan>(&path));
    let tool = open::<Dynamic>(&path);
    let name = || [("name2".to_owned(), Value::from("x"))].into();
    let ada = tool.create_user(NewUser { extra: name(), ..NewUser::email("ada@example.com") }).wait().unwrap();
    assert_eq!(ada.extra["plan"], Value::from("free"));
    let account = NewAccount::new(ada.id.clone(), AccountType::Oauth, "gitlab", 1_u64);
    let account = tool.link_account(NewAccount { extra: name(), ..account }).wait().unwrap();
    assert_eq!(account.extra["plan"], Value::from("free"));
    let proof = Proof::Own { address: "bob@example.com" };
    let bob = tool.sign_in_with_email(proof, NewUser::with(name()), Visitor::default()).wait().unwrap();
    let bob = bob.done().unwrap().user;
    assert_eq!(bob.extra["plan"], Value::from("free"));
    let eve = ProviderAccount { extra: name(), ..ProviderAccount::new(AccountType::Oauth, "gitlab", 2_u64) };
    let eve = tool.sign_in_with_account(eve, NewUser { extra: name(), ..NewUser::default() }).wait().unwrap();
    let SignIn::Done(eve) = eve else { panic!("{eve:?}") };
    assert_eq!((&eve.user.extra["plan"], &eve.account.extra["plan"]), (&Value::from("free"), &Value::from("free")));
    let patch = UserPatch { extra: FieldPatch::new().clear("plan"), ..UserPatch::new(ada.id.clone()) };
    assert_eq!(tool.update_user(patch).wait().unwrap().extra["plan"], Value::from("free"));
    must_be_sound(&tool);
    drop(tool);
    let auth = open::<ByPlan>(&path);
    assert_eq!(count(&auth, "plan", FieldRange::only("free")), [4, 3]);
    must_be_sound(&auth);
}

#[test]
fn the_default_of_a_new_store_is_known_where_a_record_without_fields_can_be_read() {
    let (_folder, path) = new_path();
    drop(open::<ByAllDefault>(&path));
    let tool = open::<Dynamic>(&path);
    let user = tool.create_user(NewUser::default()).wait().unwrap();
    assert_eq!(user.extra["plan"], Value::from("free"));
    drop(tool);
    assert_eq!(count(&open::<ByAllDefault>(&path), "plan", FieldRange::only("free")), [1, 0]);
}

#[test]
fn a_model_that_reads_a_value_for_a_field_that_was_an_option_builds_its_index_again() {
    let (_folder, path) = new_path();
    let auth = open::<ByOptional>(&path);
    auth.create_user(NewUser::default()).wait().unwrap();
    drop(auth);
    let refused = AuthKv::options().models::<ByPlan>().synchronize(false).open(&path).unwrap_err();
    assert!(matches!(refused, Error::Open { problem: OpenProblem::ModelsNotSynchronized { .. }, .. }), "{refused}");
    let auth = open::<ByPlan>(&path);
    assert_eq!(count(&auth, "plan", FieldRange::only("free")), [1, 0]);
    must_be_sound(&auth);
    drop(auth);
    // It is built once.
    AuthKv::options().models::<ByPlan>().synchronize(false).open(&path).unwrap();
}

#[test]
fn an_index_that_an_earlier_version_built_is_built_once_more() {
    let (_folder, path) = new_path();
    std::fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/format-3-models.redb"), &path).unwrap();
    assert!(!stored_indexes(&path).contains("absent"));
    drop(open::<super::golden::content::Shop>(&path));
    let indexes = stored_indexes(&path);
    assert_eq!(indexes.matches("absent").count(), 4, "{indexes}");
    AuthKv::options().models::<super::golden::content::Shop>().synchronize(false).open(&path).unwrap();
}
