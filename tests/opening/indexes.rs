//! Indexes and own fields that the application declares wrongly. Goal: a spelling never makes or removes an index
//! silently; opening refuses it by its name, and nothing is made.

use std::collections::BTreeMap;

use authkv::models::{FieldRange, Index, Models, NewUser, Value};
use authkv::{AuthKv, Error, Problem};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Profile {
    #[serde(alias = "mobile")]
    phone_number: Option<String>,
    #[serde(default, rename = "tier")]
    plan: String,
    logins: u64,
    is_member: bool,
    tags: Vec<String>,
    height: f64,
    address: Option<BTreeMap<String, String>>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Flat {
    tags: Vec<String>,
    #[serde(flatten)]
    others: BTreeMap<String, u64>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Reserved {
    email: String,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct ReadsReserved {
    #[serde(alias = "email")]
    mail: String,
}

macro_rules! models {
    ($($name:ident: $user:ty, $account:ty, $users:expr, $accounts:expr;)*) => {$(
        struct $name;

        impl Models for $name {
            const NAME: &'static str = "app";
            const VERSION: u32 = 1;
            type User = $user;
            type Account = $account;
            type Session = ();
            type VerificationToken = ();
            const USER_INDEXES: &'static [Index] = $users;
            const ACCOUNT_INDEXES: &'static [Index] = $accounts;
        }
    )*};
}

models! {
    Right: Profile, (), &[Index::unique("phoneNumber"), Index::unique("logins"), Index::unique("isMember")], &[];
    RustName: Profile, (), &[Index::unique("phone_number")], &[];
    Misspelt: Profile, (), &[Index::unique("tierr")], &[];
    Renamed: Profile, (), &[Index::new("plan")], &[];
    Alias: Profile, (), &[Index::new("mobile")], &[];
    NoFields: Profile, (), &[], &[Index::new("plan")];
    List: Profile, (), &[Index::new("tags")], &[];
    Fraction: Profile, (), &[Index::new("height")], &[];
    Map: Profile, (), &[Index::new("address")], &[];
    FlatList: Flat, (), &[Index::new("tags")], &[];
    FlatOther: Flat, (), &[Index::new("points")], &[];
    AnyMap: BTreeMap<String, Value>, (), &[Index::new("points")], &[];
    OnEmail: Profile, (), &[Index::unique("email")], &[];
    OnImage: Profile, (), &[Index::new("image")], &[];
    OnProvider: (), Profile, &[], &[Index::new("provider")];
    Twice: Profile, (), &[Index::new("tier"), Index::unique("tier")], &[];
    OwnEmail: Reserved, (), &[], &[];
    OtherAccounts: (), Reserved, &[], &[];
    ReadsEmail: ReadsReserved, (), &[], &[];
}

/// The field that opening refuses, what is wrong with it, and the whole message.
#[track_caller]
fn refused<M: Models>() -> (String, Problem, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("auth.redb");
    let error = AuthKv::options().models::<M>().open(&path).unwrap_err();
    assert!(!path.exists(), "a file was made");
    let said = error.to_string();
    match error {
        Error::InvalidArgument { field, problem } => (field.into_owned(), problem, said),
        error => panic!("{error:?}"),
    }
}

#[test]
fn an_index_on_a_field_that_the_model_does_not_have_is_refused_with_those_that_there_are() {
    let own = ["phoneNumber", "tier", "logins", "isMember", "tags", "height", "address"].map(str::to_owned);
    let cases = [
        ("phone_number", refused::<RustName>()),
        ("tierr", refused::<Misspelt>()),
        ("plan", refused::<Renamed>()),
        ("mobile", refused::<Alias>()),
    ];
    for (field, (refused, problem, said)) in cases {
        assert_eq!((refused.as_str(), problem), (field, Problem::NoSuchField { fields: own.to_vec() }));
        assert!(said.ends_with("which has phoneNumber, tier, logins, isMember, tags, height, address"), "{said}");
    }
    let (field, problem, said) = refused::<NoFields>();
    assert_eq!((field.as_str(), problem), ("plan", Problem::NoSuchField { fields: Vec::new() }));
    assert!(said.ends_with("which has none"), "{said}");
}

#[test]
fn an_index_on_a_kind_that_cannot_be_in_one_is_refused() {
    for (field, found) in [
        ("tags", refused::<List>()),
        ("height", refused::<Fraction>()),
        ("address", refused::<Map>()),
        ("tags", refused::<FlatList>()),
    ] {
        assert_eq!((found.0.as_str(), found.1), (field, Problem::NotIndexable));
        assert!(found.2.contains("a boolean, an integer, an Instant and a text"), "{}", found.2);
    }
}

#[test]
fn an_index_on_a_standard_field_is_refused_with_the_method_that_finds_by_it() {
    let (field, problem, said) = refused::<OnEmail>();
    assert_eq!((field.as_str(), problem), ("email", Problem::FoundBy("get_user_by_email")));
    assert!(said.contains("use get_user_by_email"), "{said}");
    assert_eq!(refused::<OnProvider>().1, Problem::FoundBy("get_account"));
    assert_eq!(refused::<OnImage>().1, Problem::ReservedName);
    let (field, problem, _) = refused::<Twice>();
    assert_eq!((field.as_str(), problem), ("tier", Problem::IndexedTwice));
}

#[test]
fn an_own_field_with_the_name_of_a_standard_one_is_refused() {
    let (field, problem, _) = refused::<OwnEmail>();
    assert_eq!((field.as_str(), problem), ("email", Problem::ReservedName));
    // Accounts have no such field.
    AuthKv::options().models::<OtherAccounts>().in_memory().unwrap();
    // It is read under that name and never written.
    let auth = AuthKv::options().models::<ReadsEmail>().in_memory().unwrap();
    auth.create_user(NewUser { extra: ReadsReserved { mail: "1".to_owned() }, ..NewUser::default() }).wait().unwrap();
}

#[test]
fn where_the_model_does_not_tell_its_names_the_first_record_decides() {
    let flat = AuthKv::options().models::<FlatOther>().in_memory().unwrap();
    let others = BTreeMap::from([("points".to_owned(), 7)]);
    let extra = Flat { tags: Vec::new(), others };
    flat.create_user(NewUser { extra, ..NewUser::default() }).wait().unwrap();
    assert_eq!(flat.list_users_by("points", FieldRange::only(7), None, 9).wait().unwrap().items.len(), 1);

    let map = AuthKv::options().models::<AnyMap>().in_memory().unwrap();
    let extra = BTreeMap::from([("points".to_owned(), Value::List(Vec::new()))]);
    let refused = map.create_user(NewUser { extra, ..NewUser::default() }).wait().unwrap_err();
    assert!(matches!(refused, Error::InvalidArgument { field, problem: Problem::NotIndexable } if field == "points"));
}

#[test]
fn a_lookup_by_another_kind_of_value_than_the_field_has_is_refused() {
    let auth = AuthKv::options().models::<Right>().in_memory().unwrap();
    let extra = Profile { phone_number: Some("7".to_owned()), logins: 7, is_member: true, ..Profile::default() };
    auth.create_user(NewUser { extra, ..NewUser::default() }).wait().unwrap();
    let find = |field, value: Value| auth.get_user_by(field, value).wait();
    for (field, value) in [("phoneNumber", "7".into()), ("logins", 7.into()), ("isMember", true.into())] {
        assert!(find(field, value).unwrap().is_some(), "{field}");
        assert!(find(field, Value::Null).unwrap().is_none(), "{field}");
    }
    for (field, value, kind) in [
        ("phoneNumber", Value::from(7), "a text"),
        ("logins", "7".into(), "an integer"),
        ("isMember", 1.into(), "a boolean"),
        ("logins", 7.0.into(), "an integer"),
    ] {
        match find(field, value) {
            Err(Error::InvalidArgument { field: named, problem }) => {
                assert_eq!((&*named, problem), (field, Problem::OtherKind(kind)));
            }
            other => panic!("{other:?}"),
        }
    }
}
