//! Indexes on own fields: built and removed as declared, maintained, and used for lists.

use authkv::models::{
    AccountKey, AccountType, Cursor, FieldPatch, FieldRange, Index, Models, NewAccount, NewUser, UserPatch, Value,
};
use authkv::{AuthKv, Error, OpenProblem, Problem, UniqueKey};
use serde::{Deserialize, Serialize};

use super::{must_be_sound, new_path, open, refusal};

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Own {
    number: Option<i64>,
    text: Option<String>,
    any: Option<Value>,
}

macro_rules! indexed {
    ($name:ident: $indexes:expr) => {
        struct $name;

        impl Models for $name {
            const NAME: &'static str = "indexed";
            const VERSION: u32 = 1;
            type User = Own;
            type Account = Own;
            type Session = ();
            type VerificationToken = ();
            const USER_INDEXES: &'static [Index] = $indexes;
            const ACCOUNT_INDEXES: &'static [Index] = $indexes;
        }
    };
}

indexed!(None_: &[]);
indexed!(Numbers: &[Index::new("number")]);
indexed!(UniqueNumbers: &[Index::unique("number")]);
indexed!(Texts: &[Index::unique("text"), Index::new("any")]);

fn user(number: i64, text: &str) -> NewUser<Own> {
    NewUser { extra: Own { number: Some(number), text: Some(text.to_owned()), any: None }, ..NewUser::default() }
}

fn in_memory<M: Models>() -> AuthKv<M> {
    AuthKv::options().models::<M>().in_memory().unwrap()
}

/// The numbers of the users on all pages, with pages of this size.
fn numbers<M: Models<User = Own>>(auth: &AuthKv<M>, field: &str, range: &FieldRange, size: usize) -> Vec<i64> {
    let (mut numbers, mut after) = (Vec::new(), None);
    loop {
        let page = auth.list_users_by(field, range.clone(), after.as_ref(), size).wait().unwrap();
        assert!(page.items.len() == size || page.next.is_none());
        assert!(!page.items.is_empty() || after.is_none(), "a page led to an empty one");
        numbers.extend(page.items.iter().filter_map(|user| user.extra.number));
        // Converted to text and back, as in a link.
        match page.next {
            Some(next) => after = Some(next.to_string().parse::<Cursor>().unwrap()),
            None => return numbers,
        }
    }
}

#[test]
fn ranges_are_listed_in_order_and_in_pages() {
    let auth = in_memory::<Numbers>();
    let all = [i64::MIN, -300, -1, 0, 1, 7, 255, 256, i64::MAX];
    for number in all.into_iter().rev() {
        auth.create_user(user(number, "")).wait().unwrap();
    }
    auth.create_user(NewUser::default()).wait().unwrap();
    let ranges = [
        (FieldRange::all(), &all[..]),
        (FieldRange::at_least(0), &all[3..]),
        (FieldRange::at_most(-1), &all[..3]),
        (FieldRange::between(-300, 7), &all[1..6]),
        (FieldRange::only(7), &all[5..6]),
        (FieldRange::only(8), &[]),
        (FieldRange::between(7, -300), &[]),
        (FieldRange::at_least("7"), &[]),
        (FieldRange::between(7, "7"), &[]),
        (FieldRange::prefix(""), &[]),
        (FieldRange::only(0.5), &[]),
        (FieldRange::at_most(Value::Null), &[]),
    ];
    for (range, expected) in ranges {
        for size in [1, 2, 3, 9, 1_000] {
            assert_eq!(numbers(&auth, "number", &range, size), expected, "{range:?} in pages of {size}");
        }
    }
}

#[test]
fn texts_are_listed_by_what_they_start_with() {
    let auth = in_memory::<Texts>();
    let texts = ["", "a", "a\0", "a\0b", "ab", "abc", "b", "é", "👩‍👩‍👧"];
    for (number, text) in texts.iter().enumerate() {
        auth.create_user(user(number as i64, text)).wait().unwrap();
    }
    let ranges = [
        (FieldRange::prefix(""), 0..9),
        (FieldRange::prefix("a"), 1..6),
        (FieldRange::prefix("a\0"), 2..4),
        (FieldRange::prefix("ab"), 4..6),
        (FieldRange::prefix("abcd"), 0..0),
        (FieldRange::at_least("ab"), 4..9),
        (FieldRange::between("a", "ab"), 1..5),
        (FieldRange::at_most("b".repeat(513)), 0..7),
    ];
    for (range, expected) in ranges {
        assert_eq!(numbers(&auth, "text", &range, 2), expected.collect::<Vec<i64>>(), "{range:?}");
    }
    for (number, text) in texts.iter().enumerate() {
        let found = auth.get_user_by("text", *text).wait().unwrap().unwrap();
        assert_eq!(found.extra.number, Some(number as i64));
    }
}

#[test]
fn a_value_of_a_unique_index_belongs_to_one_record_and_is_free_after_it() {
    let auth = in_memory::<UniqueNumbers>();
    let (ada, bob) = (auth.create_user(user(1, "")).wait().unwrap(), auth.create_user(user(2, "")).wait().unwrap());
    let to = |id: &authkv::models::UserId, number: i64| {
        let extra = FieldPatch::new().set("number", number);
        auth.update_user(UserPatch { extra, ..UserPatch::new(id.clone()) }).wait()
    };
    let taken = |result| matches!(result, Err(Error::Conflict(UniqueKey::Field(name))) if name == "number");
    assert!(taken(auth.create_user(user(1, "")).wait()));
    assert!(taken(to(&bob.id, 1)));
    to(&ada.id, 1).unwrap();
    to(&ada.id, 3).unwrap();
    to(&bob.id, 1).unwrap();
    assert_eq!(auth.get_user_by("number", 1).wait().unwrap().unwrap().id, bob.id);
    let clear = FieldPatch::new().clear("number");
    auth.update_user(UserPatch { extra: clear, ..UserPatch::new(bob.id.clone()) }).wait().unwrap();
    assert_eq!(auth.get_user_by("number", 1).wait().unwrap(), None);
    auth.delete_user(&ada.id).wait().unwrap();
    auth.create_user(user(3, "")).wait().unwrap();
    must_be_sound(&auth);
}

#[test]
fn of_many_users_with_one_value_of_a_unique_index_one_is_created() {
    let auth = in_memory::<UniqueNumbers>();
    for round in 0..20 {
        let created = std::thread::scope(|scope| {
            let create = || auth.create_user(user(round, "")).wait();
            let threads: Vec<_> = (0..32).map(|_| scope.spawn(create)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).filter(Result::is_ok).count()
        });
        assert_eq!(created, 1);
    }
    must_be_sound(&auth);
}

#[test]
fn accounts_are_found_by_their_fields_until_their_user_is_deleted() {
    let auth = in_memory::<UniqueNumbers>();
    let account = |user: &str, key: u64| NewAccount {
        extra: Own { number: Some(7), ..Own::default() },
        ..NewAccount::new(user, AccountType::Oauth, "github", key)
    };
    for id in ["ada", "bob"] {
        auth.create_user(NewUser { id: Some(id.into()), ..NewUser::default() }).wait().unwrap();
    }
    let linked = auth.link_account(account("ada", 1)).wait().unwrap();
    assert_eq!(auth.get_account_by("number", 7).wait().unwrap(), Some(linked));
    let taken = auth.link_account(account("bob", 2)).wait();
    assert!(matches!(taken, Err(Error::Conflict(UniqueKey::Field(_)))), "{taken:?}");
    // More than one sweep step removes, so that some wait to be swept.
    for n in 100..1_100_u64 {
        let extra = Own { number: Some(n as i64), ..Own::default() };
        auth.link_account(NewAccount { extra, ..account("ada", n) }).wait().unwrap();
    }
    auth.delete_user("ada").wait().unwrap().unwrap();
    assert_eq!(auth.get_account_by("number", 7).wait().unwrap(), None);
    assert!(auth.list_accounts_by("number", FieldRange::all(), None, 10).wait().unwrap().items.is_empty());
    let linked = auth.link_account(account("bob", 2)).wait().unwrap();
    assert_eq!(auth.get_account_by("number", 7).wait().unwrap(), Some(linked.clone()));
    auth.unlink_account(AccountKey::new("github", 2_u64)).wait().unwrap();
    assert_eq!(auth.get_account_by("number", 7).wait().unwrap(), None);
    while auth.check().wait().unwrap().waiting_to_be_swept > 0 {
        auth.purge_expired().wait().unwrap();
    }
    must_be_sound(&auth);
}

#[test]
fn what_cannot_be_in_an_index_is_refused() {
    let auth = in_memory::<Texts>();
    let refused = |value: Value| {
        let extra = Own { any: Some(value), ..Own::default() };
        match auth.create_user(NewUser { extra, ..NewUser::default() }).wait() {
            Err(Error::InvalidArgument { field, problem }) if field == "any" => problem,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(refused(0.5.into()), Problem::NotIndexable);
    assert_eq!(refused(Value::List(Vec::new())), Problem::NotIndexable);
    assert_eq!(refused("x".repeat(513).into()), Problem::TooLong { bytes: 513, limit: 512 });
    let not_indexed =
        |result| matches!(result, Err(Error::InvalidArgument { problem, .. }) if problem == Problem::NotIndexed);
    assert!(not_indexed(auth.get_user_by("number", 1).wait().map(drop)));
    assert!(not_indexed(auth.list_users_by("number", FieldRange::all(), None, 1).wait().map(drop)));
    let not_unique = auth.get_user_by("any", 1).wait();
    assert!(matches!(not_unique, Err(Error::InvalidArgument { problem: Problem::NotUnique, .. })), "{not_unique:?}");
    for text in ["0", "zz", "-1", "00é"] {
        assert!(text.parse::<Cursor>().is_err(), "{text}");
    }
}

#[test]
fn an_index_is_built_when_it_is_declared_and_removed_when_it_is_not() {
    let (_folder, path) = new_path();
    let auth = open::<None_>(&path);
    for number in 0..600 {
        auth.create_user(user(number, &number.to_string())).wait().unwrap();
    }
    drop(auth);
    let auth = open::<Numbers>(&path);
    assert_eq!(numbers(&auth, "number", &FieldRange::all(), 100), (0..600).collect::<Vec<_>>());
    must_be_sound(&auth);
    drop(auth);
    let auth = open::<UniqueNumbers>(&path);
    assert_eq!(auth.get_user_by("number", 7).wait().unwrap().unwrap().extra.text.as_deref(), Some("7"));
    auth.create_user(user(7, "")).wait().expect_err("the number is taken");
    must_be_sound(&auth);
    drop(auth);
    let auth = open::<Texts>(&path);
    auth.create_user(user(7, "7")).wait().expect_err("the text is taken");
    auth.create_user(user(7, "another")).wait().unwrap();
    must_be_sound(&auth);
    drop(auth);
    let OpenProblem::MigrationRefused { why, .. } = refusal::<UniqueNumbers>(&path) else { panic!("not refused") };
    assert!(why.contains("two users have the same number, and its index is unique"), "{why}");
    must_be_sound(&open::<Texts>(&path));
    must_be_sound(&open::<None_>(&path));
    let auth = open::<Numbers>(&path);
    assert_eq!(numbers(&auth, "number", &FieldRange::only(7), 1), [7, 7]);
    must_be_sound(&auth);
}
