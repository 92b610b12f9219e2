//! Removed rows in the bytes of the file. Goal: with `secure_delete` nothing that was removed or replaced can be found in
//! the file once it is closed, or a moment later while it is open; and the rest of the file is as it was. Method: every
//! secret text is unique, and the tests search the file for it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use authkv::models::{
    AccountKey, AccountType, Authenticator, Change, Dynamic, DynamicFields, FieldPatch, NewAccount, NewSession,
    NewUser, ProviderAccount, SignIn, UserId, UserPatch, Value, VerificationToken, Visitor,
};
use authkv::{AuthKv, Durability, Error, Options, Problem, redb};
use chrono::{Days, TimeDelta, Utc};
use tempfile::TempDir;

/// A file in a folder of its own.
struct Place {
    _folder: TempDir,
    path: PathBuf,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { path: folder.path().join("app.redb"), _folder: folder }
    }

    fn open(&self) -> AuthKv {
        erasing().open(&self.path).unwrap()
    }

    fn open_without(&self) -> AuthKv {
        AuthKv::options().durability(Durability::Deferred).open(&self.path).unwrap()
    }
}

fn erasing() -> Options {
    AuthKv::options().durability(Durability::Deferred).secure_delete(true)
}

fn close(auth: &AuthKv) {
    assert!(auth.check().wait().unwrap().is_sound());
    auth.close().wait().unwrap();
}

/// The texts that are in the bytes of the file.
fn found_in<'t>(path: &Path, texts: &'t [String]) -> Vec<&'t str> {
    let bytes = std::fs::read(path).unwrap();
    // All texts are ASCII, which a conversion keeps.
    let all = String::from_utf8_lossy(&bytes);
    texts.iter().filter(|text| all.contains(text.as_str())).map(String::as_str).collect()
}

/// The address, the name and the refresh token of a person.
fn texts(n: usize) -> [String; 3] {
    [
        format!("{n:05}-person@example.com"),
        format!("{n:05} Person Somebody"),
        format!("{n:05} refresh token, which is secret"),
    ]
}

fn all_texts(people: impl Iterator<Item = usize>) -> Vec<String> {
    people.flat_map(texts).collect()
}

fn sign_up(auth: &AuthKv, n: usize) -> UserId {
    let [email, name, token] = texts(n);
    let account = ProviderAccount {
        refresh_token: Some(token.as_str().into()),
        ..ProviderAccount::new(AccountType::Oidc, "google", n as u64)
    };
    let user = NewUser { name: Some(name), ..NewUser::email(email) };
    let SignIn::Done(done) = auth.sign_in_with_account(account, user).wait().unwrap() else { panic!("refused") };
    done.user.id
}

fn sign_up_all(auth: &AuthKv, count: usize) -> Vec<UserId> {
    (0..count).map(|n| sign_up(auth, n)).collect()
}

/// Makes people, deletes the first of them, writes some more, closes, and returns what is left of the deleted.
fn left_of_the_deleted(auth: &AuthKv, path: &Path, all: usize, deleted: usize, after: usize) -> usize {
    let ids = sign_up_all(auth, all);
    for id in &ids[..deleted] {
        auth.delete_user(id).wait().unwrap();
    }
    for n in 0..after {
        auth.issue_link_token("a purpose", &format!("reader-{n}@example.com"), TimeDelta::minutes(1)).wait().unwrap();
    }
    close(auth);
    let living = all_texts(deleted..all);
    assert_eq!(found_in(path, &living).len(), living.len(), "the living are there");
    found_in(path, &all_texts(0..deleted)).len()
}

#[test]
fn nothing_of_a_deleted_user_is_left_in_a_closed_file() {
    for (all, deleted, after) in [(40, 1, 0), (300, 100, 0), (300, 100, 50), (300, 299, 0)] {
        let (place, without) = (Place::new(), Place::new());
        let left = left_of_the_deleted(&place.open(), &place.path, all, deleted, after);
        let left_without = left_of_the_deleted(&without.open_without(), &without.path, all, deleted, after);
        let [bytes, bytes_without] = [&place, &without].map(|place| std::fs::metadata(&place.path).unwrap().len());
        println!(
            "{all} people, {deleted} deleted, {after} writes: {left} texts left in {} KiB; without the option \
             {left_without} in {} KiB",
            bytes >> 10,
            bytes_without >> 10
        );
        assert_eq!(left, 0);
        assert!(bytes <= bytes_without, "the file has grown");
        assert!(left_without > 0, "the option does nothing");
    }
}

/// Two of five people are deleted, so that most leaves are edited in place, by several deletions of one commit.
#[test]
fn deletions_that_share_a_commit_leave_nothing() {
    let place = Place::new();
    let auth = place.open();
    let ids = sign_up_all(&auth, 600);
    let (deleted, living): (Vec<_>, Vec<_>) = (0..600).partition(|n| n % 5 < 2);
    thread::scope(|scope| {
        for some in deleted.chunks(8) {
            let (auth, ids) = (&auth, &ids);
            scope.spawn(move || {
                let replies: Vec<_> = some.iter().map(|n| auth.delete_user(&ids[*n])).collect();
                replies.into_iter().for_each(|reply| assert!(reply.wait().unwrap().is_some()));
            });
        }
    });
    close(&auth);
    assert_eq!(found_in(&place.path, &all_texts(deleted.into_iter())), [""; 0]);
    let living = all_texts(living.into_iter());
    assert_eq!(found_in(&place.path, &living).len(), living.len());
}

/// A branch page may separate "a@example.com" and "a@example.com.au" with the shorter one.
#[test]
fn keys_of_deleted_users_are_not_left_in_branch_pages() {
    let place = Place::new();
    let auth = place.open();
    let create = |email: String| auth.create_user(NewUser::email(email));
    let replies: Vec<_> =
        (0..600).map(|n| [create(format!("{n:05}@example.com")), create(format!("{n:05}@example.com.au"))]).collect();
    for [deleted, living] in replies {
        living.wait().unwrap();
        auth.delete_user(&deleted.wait().unwrap().id).wait().unwrap();
    }
    close(&auth);
    let bytes = std::fs::read(&place.path).unwrap();
    let all = String::from_utf8_lossy(&bytes);
    let ends = all.match_indices("@example.com").map(|(at, found)| &all[at + found.len()..]);
    assert!(ends.clone().count() >= 1_200 && ends.clone().all(|end| end.starts_with(".au")));
}

/// Own fields with one text.
fn note(text: &str) -> DynamicFields {
    DynamicFields::from([("note".to_owned(), Value::from(text))])
}

#[test]
fn what_any_call_replaces_or_removes_is_erased() {
    let place = Place::new();
    let open = || erasing().models::<Dynamic>().open(&place.path).unwrap();
    let auth = open();
    let tomorrow = Utc::now() + Days::new(1);
    let secrets: Vec<_> = (0..12).map(|n| format!("secret-number-{n:02}")).collect();
    let long = |n: usize| secrets[n].repeat(2_000);
    let ada = NewUser {
        name: Some(secrets[0].clone()),
        image: Some(long(1)),
        extra: note(&long(2)),
        ..NewUser::email(&secrets[3])
    };
    let ada = auth.create_user(ada).wait().unwrap();
    let account = NewAccount {
        access_token: Some(long(4).as_str().into()),
        ..NewAccount::new(ada.id.clone(), AccountType::Oauth, "github", secrets[5].as_str())
    };
    auth.link_account(account).wait().unwrap();
    let token = VerificationToken {
        identifier: secrets[6].clone(),
        token: "token".into(),
        expires: tomorrow,
        extra: note(&secrets[7]),
    };
    auth.create_verification_token(token).wait().unwrap();
    let session = NewSession { extra: note(&secrets[8]), ..NewSession::new("ended", ada.id.clone(), tomorrow) };
    auth.create_session(session).wait().unwrap();
    let handle = auth.put_state("test", &secrets[9], TimeDelta::minutes(1)).wait().unwrap();
    let _code = auth.issue_code("test", &secrets[10], TimeDelta::minutes(1), Visitor::default()).wait().unwrap();
    let authenticator = Authenticator {
        credential_id: "credential".into(),
        user_id: ada.id.clone(),
        provider_account_id: "provider".into(),
        credential_public_key: secrets[11].clone(),
        counter: 0,
        credential_device_type: "singleDevice".to_owned(),
        credential_backed_up: false,
        transports: None,
    };
    auth.create_authenticator(authenticator).wait().unwrap();
    auth.close().wait().unwrap();
    assert_eq!(found_in(&place.path, &secrets).len(), secrets.len(), "what was not removed is there");

    let auth = open();
    let patch = UserPatch {
        name: Change::to("Ada"),
        email: Change::to("ada@example.com"),
        image: Change::Clear,
        extra: FieldPatch::default().set("note", "nothing"),
        ..UserPatch::new(ada.id.clone())
    };
    auth.update_user(patch).wait().unwrap();
    auth.unlink_account(AccountKey::new("github", secrets[5].as_str())).wait().unwrap();
    auth.use_verification_token(Some(&secrets[6]), "token").wait().unwrap();
    auth.delete_session("ended").wait().unwrap();
    assert!(auth.take_state::<String>("test", handle.reveal()).wait().unwrap().has_passed());
    auth.close().wait().unwrap();
    assert_eq!(found_in(&place.path, &secrets), &secrets[10..]);
}

#[test]
fn a_user_with_thousands_of_sessions_is_erased() {
    let place = Place::new();
    let auth = erasing().models::<Dynamic>().open(&place.path).unwrap();
    let tomorrow = Utc::now() + Days::new(1);
    let ada = auth.create_user(NewUser::email("ada@example.com")).wait().unwrap();
    let secrets: Vec<_> = (0..3_000).map(|n| format!("{n:05}-session")).collect();
    let session = |secret: &String| NewSession {
        extra: note(secret),
        ..NewSession::new(secret.as_str(), ada.id.clone(), tomorrow)
    };
    let replies: Vec<_> = secrets.iter().map(|secret| auth.create_session(session(secret))).collect();
    replies.into_iter().for_each(|reply| drop(reply.wait().unwrap()));
    auth.delete_user(&ada.id).wait().unwrap();
    eventually(|| auth.check().wait().unwrap().waiting_to_be_swept == 0);
    auth.close().wait().unwrap();
    assert_eq!(found_in(&place.path, &secrets).len(), 0);
}

/// Waits until something is so.
fn eventually(is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < deadline);
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_file_is_erased_while_it_is_open() {
    let place = Place::new();
    let ids = sign_up_all(&place.open_without(), 300);
    place.open_without().delete_user(&ids[0]).wait().unwrap();
    assert_ne!(found_in(&place.path, &texts(0)), [""; 0]);

    // What was removed before the option was on is erased too.
    let auth = place.open();
    eventually(|| found_in(&place.path, &texts(0)).is_empty());
    auth.delete_user(&ids[1]).wait().unwrap();
    eventually(|| found_in(&place.path, &texts(1)).is_empty());
    auth.get_user(&ids[2]).wait().unwrap().unwrap();
    close(&auth);
    let living = all_texts(2..300);
    assert_eq!(found_in(&place.path, &living).len(), living.len());
}

#[test]
fn a_file_does_not_grow_with_each_pass() {
    let place = Place::new();
    let auth = place.open();
    let ids = sign_up_all(&auth, 300);
    close(&auth);
    let length = || std::fs::metadata(&place.path).unwrap().len();
    let (closed, mut longest) = (length(), 0);
    for id in &ids[..20] {
        let auth = place.open();
        auth.delete_user(id).wait().unwrap();
        longest = longest.max(length());
        close(&auth);
        assert!(length() <= closed + (32 << 10), "{} after {closed}", length());
    }
    println!("{} KiB closed, {} KiB open, {} KiB after 20 deletions", closed >> 10, longest >> 10, length() >> 10);
}

#[test]
fn tables_of_others_stay_as_they_are() {
    const OWN: redb::TableDefinition<'_, u64, &str> = redb::TableDefinition::new("own");
    let place = Place::new();
    close(&place.open());
    let db = redb::Database::create(&place.path).unwrap();
    let txn = db.begin_write().unwrap();
    txn.open_table(OWN).unwrap().insert(1, "kept").unwrap();
    txn.commit().unwrap();
    drop(db);
    assert_eq!(left_of_the_deleted(&place.open(), &place.path, 40, 20, 0), 0);
    let db = redb::Database::create(&place.path).unwrap();
    let txn = redb::ReadableDatabase::begin_read(&db).unwrap();
    assert_eq!(txn.open_table(OWN).unwrap().get(1).unwrap().unwrap().value(), "kept");
    let tables = txn.list_tables().unwrap().map(|table| redb::TableHandle::name(&table).to_owned());
    let strange: Vec<_> =
        tables.filter(|name| ["copy", "filler", "reserve"].iter().any(|it| name.contains(it))).collect();
    assert_eq!(strange, [""; 0]);
}

#[test]
fn only_a_file_of_the_stores_own_can_be_erased() {
    let place = Place::new();
    let db = Arc::new(redb::Database::create(&place.path).unwrap());
    let refused = erasing().on_database(db).err();
    let Some(Error::InvalidArgument { field, problem: Problem::NotOwnFile }) = &refused else { panic!("{refused:?}") };
    assert_eq!(field, "secure_delete");
    let auth = erasing().in_memory().unwrap();
    let ids = sign_up_all(&auth, 2);
    auth.delete_user(&ids[0]).wait().unwrap();
    close(&auth);
}
