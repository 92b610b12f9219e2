//! Opening a store: refusals, each in one sentence and without changing the file, and what `synchronize` creates.
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use authkv::models::NewUser;
use authkv::models::{Models, NewSession};
use authkv::redb::{Database, ReadableDatabase, TableDefinition, TableHandle};
use authkv::{AuthKv, Durability, EmailMatching, Error, OpenProblem};
use tempfile::TempDir;

const META: TableDefinition<&[u8], &[u8]> = TableDefinition::new("authkv_meta");

fn place() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.redb");
    (folder, path)
}

fn one_sentence(error: &Error) -> String {
    let text = error.to_string();
    assert!(text.starts_with(|first: char| first.is_lowercase()) && !text.contains('\n'), "{text}");
    text
}

/// The error of opening, which must leave the file's bytes unchanged.
fn refused(path: &PathBuf, open: impl FnOnce(&PathBuf) -> authkv::Result<AuthKv>) -> Error {
    let before = fs::read(path).unwrap();
    let error = open(path).unwrap_err();
    assert_eq!(fs::read(path).unwrap(), before, "the file was changed");
    one_sentence(&error);
    error
}

#[test]
fn a_file_that_is_not_redb_is_refused() {
    let (_folder, path) = place();
    for contents in [&b"SQLite format 3\0 and so on"[..], b"r", b"redb"] {
        fs::write(&path, contents).unwrap();
        let error = refused(&path, |path| AuthKv::open(path));
        assert!(
            matches!(&error, Error::Open { path: Some(named), problem: OpenProblem::NotRedb } if *named == path),
            "{error}"
        );
    }
}

#[test]
fn a_file_that_is_cut_off_says_so() {
    let (_folder, path) = place();
    drop(AuthKv::open(&path).unwrap());
    let whole = fs::read(&path).unwrap();
    for length in (9..320).chain([320, 4_095, 4_096, 5_000, whole.len() / 2, whole.len() - 1]) {
        fs::write(&path, &whole[..length]).unwrap();
        let error = refused(&path, |path| AuthKv::open(path));
        let Error::Open { problem, .. } = &error else { panic!("{error}") };
        // The rest of the file can be missing and not be needed to see that something is.
        assert!(matches!(problem, OpenProblem::CutOff) || length >= 320, "{length}: {error}");
        assert!(matches!(problem, OpenProblem::CutOff | OpenProblem::Storage(_)), "{length}: {error}");
        assert!(length >= 320 || (error.to_string().contains("cut off") && !error.to_string().contains("I/O")));
    }
}

/// redb's format of the file is a byte in each of the two headers of a commit.
#[test]
fn a_file_of_an_older_redb_says_how_to_upgrade_it() {
    let (_folder, path) = place();
    drop(AuthKv::open(&path).unwrap());
    let mut bytes = fs::read(&path).unwrap();
    for format in [1, 2] {
        for header in [64, 192] {
            assert!([1, 2, 3].contains(&bytes[header]), "the format is elsewhere");
            bytes[header] = format;
        }
        fs::write(&path, &bytes).unwrap();
        let error = refused(&path, |path| AuthKv::open(path));
        assert!(matches!(&error, Error::Open { problem: OpenProblem::OlderRedb, .. }), "{error}");
        assert!(error.to_string().contains("open it with redb 2 or 3 and `upgrade`"), "{error}");
    }
}

#[test]
fn a_folder_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(AuthKv::open(folder.path()), Err(Error::Open { problem: OpenProblem::Folder, .. })));
}

#[test]
fn a_file_that_must_be_there_is_not_made() {
    let (folder, path) = place();
    let open = |path: &PathBuf| AuthKv::options().create_if_missing(false).open(path);
    let problem = |path: &PathBuf| match open(path).unwrap_err() {
        Error::Open { problem, .. } => problem,
        error => panic!("{error}"),
    };
    assert!(matches!(problem(&path), OpenProblem::Missing));
    assert!(matches!(problem(&folder.path().join("no/such/folder/app.redb")), OpenProblem::Missing));
    #[cfg(unix)]
    {
        let link = folder.path().join("link.redb");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(matches!(problem(&link), OpenProblem::Missing));
        fs::remove_file(link).unwrap();
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "something was made");
    fs::write(&path, "").unwrap();
    assert!(matches!(problem(&path), OpenProblem::NoStore));
    assert_eq!(fs::read(&path).unwrap(), b"");
    fs::remove_file(&path).unwrap();
    drop(AuthKv::open(&path).unwrap());
    drop(open(&path).unwrap());
}

#[test]
fn a_read_only_file_is_refused() {
    let (_folder, path) = place();
    drop(AuthKv::open(&path).unwrap());
    let mut permissions = fs::metadata(&path).unwrap().permissions();
    permissions.set_readonly(true);
    fs::set_permissions(&path, permissions).unwrap();
    assert!(matches!(refused(&path, |path| AuthKv::open(path)), Error::Open { problem: OpenProblem::ReadOnly, .. }));
}

#[test]
fn a_file_that_is_open_elsewhere_is_refused() {
    let (_folder, path) = place();
    let first = AuthKv::open(&path).unwrap();
    assert!(matches!(refused(&path, |path| AuthKv::open(path)), Error::Open { problem: OpenProblem::Locked, .. }));
    first.create_user(NewUser::email("ada@example.com")).wait().unwrap();
    drop(first);
    AuthKv::open(&path).unwrap();
}

#[test]
fn a_newer_format_is_refused() {
    let (_folder, path) = place();
    drop(AuthKv::open(&path).unwrap());
    let key = b"format\0\0";
    let body = b"\x019";
    let mut checksum = crc32fast::Hasher::new();
    for part in [&b"authkv_meta"[..], key, body] {
        checksum.update(part);
    }
    let value = [&[1][..], &checksum.finalize().to_le_bytes(), body].concat();
    let database = Database::open(&path).unwrap();
    let transaction = database.begin_write().unwrap();
    let old =
        transaction.open_table(META).unwrap().insert(&key[..], &value[..]).unwrap().map(|old| old.value().to_vec());
    assert!(old.is_some(), "the format row is elsewhere");
    transaction.commit().unwrap();
    drop(database);
    let error = refused(&path, |path| AuthKv::open(path));
    assert!(matches!(error, Error::Open { problem: OpenProblem::NewerFormat { found: 9, .. }, .. }), "{error}");
}

#[test]
fn other_email_matching_is_refused() {
    let (_folder, path) = place();
    drop(AuthKv::open(&path).unwrap());
    let exact = |path: &PathBuf| AuthKv::options().email_matching(EmailMatching::Exact).open(path);
    assert!(matches!(refused(&path, exact), Error::Open { problem: OpenProblem::OtherEmailMatching { .. }, .. }));
    fs::remove_file(&path).unwrap();
    drop(exact(&path).unwrap());
    exact(&path).unwrap();
}

#[test]
fn other_models_and_newer_ones_are_refused() {
    struct Shop<const VERSION: u32>;
    impl<const VERSION: u32> Models for Shop<VERSION> {
        const NAME: &'static str = "shop";
        const VERSION: u32 = VERSION;
        type User = ();
        type Account = ();
        type Session = ();
        type VerificationToken = ();
    }

    let (_folder, path) = place();
    drop(AuthKv::options().models::<Shop<2>>().open(&path).unwrap());
    let before = fs::read(&path).unwrap();
    let none = AuthKv::open(&path).map(drop).unwrap_err();
    let older = AuthKv::options().models::<Shop<1>>().open(&path).map(drop).unwrap_err();
    for error in [none, older] {
        assert!(
            matches!(&error, Error::Open { problem: OpenProblem::OtherModels { found, .. }, .. } if found == &("shop".into(), 2))
        );
        assert!(one_sentence(&error).contains("shop"));
    }
    assert_eq!(fs::read(&path).unwrap(), before);
    drop(AuthKv::options().models::<Shop<2>>().open(&path).unwrap());
}

#[test]
fn an_empty_file_becomes_a_store() {
    let (_folder, path) = place();
    fs::write(&path, "").unwrap();
    AuthKv::open(&path).unwrap().create_user(NewUser::email("ada@example.com")).wait().unwrap();
}

#[cfg(unix)]
#[test]
fn a_new_file_is_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;

    let (_folder, path) = place();
    drop(AuthKv::open(&path).unwrap());
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn synchronize_off_creates_nothing_until_it_is_called() {
    let (_folder, path) = place();
    let auth = AuthKv::options().synchronize(false).open(&path).unwrap();
    let missing = |result: Result<_, Error>| match result {
        Err(Error::MissingTable(name)) => assert!(name.starts_with("authkv_"), "{name}"),
        other => panic!("{other:?}"),
    };
    missing(auth.get_user("ada").wait().map(drop));
    missing(auth.create_user(NewUser::email("ada@example.com")).wait().map(drop));
    missing(auth.check().wait().map(drop));
    drop(auth);
    assert!(tables(&path).is_empty());

    let auth = AuthKv::options().synchronize(false).open(&path).unwrap();
    auth.synchronize().wait().unwrap();
    auth.synchronize().wait().unwrap();
    let ada = auth.create_user(NewUser::email("ada@example.com")).wait().unwrap();
    drop(auth);
    assert_eq!(tables(&path).len(), 22);
    let auth = AuthKv::options().synchronize(false).open(&path).unwrap();
    assert_eq!(auth.get_user(&ada.id).wait().unwrap(), Some(ada));
}

fn tables(path: &PathBuf) -> Vec<String> {
    let database = Database::open(path).unwrap();
    let transaction = database.begin_read().unwrap();
    transaction.list_tables().unwrap().map(|table| table.name().to_owned()).collect()
}

#[test]
fn the_applications_own_tables_live_in_the_same_file() {
    const NOTES: TableDefinition<&str, &str> = TableDefinition::new("notes");

    let (_folder, path) = place();
    let database = Arc::new(Database::create(&path).unwrap());
    let auth = AuthKv::options().on_database(Arc::clone(&database)).unwrap();
    let ada = auth.create_user(NewUser::email("ada@example.com")).wait().unwrap();
    let transaction = database.begin_write().unwrap();
    let waiting = auth.create_user(NewUser::email("bob@example.com"));
    transaction.open_table(NOTES).unwrap().insert("first", "note").unwrap();
    transaction.commit().unwrap();
    waiting.wait().unwrap();
    auth.close().wait().unwrap();
    drop(database);

    let auth = AuthKv::open(&path).unwrap();
    assert_eq!(auth.get_user(&ada.id).wait().unwrap(), Some(ada));
    drop(auth);
    let database = Database::open(&path).unwrap();
    let notes = database.begin_read().unwrap().open_table(NOTES).unwrap();
    assert_eq!(notes.get_owned("first").unwrap().unwrap().value(), "note");
}

#[test]
fn a_database_has_one_store_at_a_time() {
    let (_folder, path) = place();
    let database = Arc::new(Database::create(&path).unwrap());
    let open = || AuthKv::options().on_database(Arc::clone(&database));
    let first = open().unwrap();
    assert!(matches!(open(), Err(Error::Open { problem: OpenProblem::DatabaseInUse, .. })));
    first.close().wait().unwrap();
    let second = open().unwrap();
    assert!(matches!(first.get_user("ada").wait(), Err(Error::Closed)));
    drop(first);
    assert!(matches!(open(), Err(Error::Open { problem: OpenProblem::DatabaseInUse, .. })));
    drop(second);
    open().unwrap();
}

#[test]
fn deferred_writes_are_there_after_closing() {
    let (_folder, path) = place();
    for round in 0..3 {
        let auth = AuthKv::options().durability(Durability::Deferred).open(&path).unwrap();
        assert_eq!(auth.check().wait().unwrap().users, 50 * round);
        let replies: Vec<_> =
            (0..50).map(|number| auth.create_user(NewUser::email(format!("{round}-{number}@example.com")))).collect();
        for reply in replies {
            let user = reply.wait().unwrap();
            assert_eq!(auth.get_user(&user.id).wait().unwrap(), Some(user));
        }
        if round == 1 {
            auth.close().wait().unwrap();
        }
    }
}

#[test]
fn a_session_lives_in_a_file_for_as_long_as_it_is_valid() {
    let (_folder, path) = place();
    let auth = AuthKv::open(&path).unwrap();
    let ada = auth.create_user(NewUser::email("ada@example.com")).wait().unwrap();
    let expires = chrono::Utc::now() + chrono::Days::new(30);
    auth.create_session(NewSession::new("a-secret", ada.id.clone(), expires)).wait().unwrap();
    drop(auth);
    let auth = AuthKv::open(&path).unwrap();
    assert_eq!(auth.get_session_and_user("a-secret").wait().unwrap().map(|found| found.user), Some(ada));
}

#[test]
fn models_need_a_name_and_a_version_from_one() {
    macro_rules! models {
        ($models:ident, $name:literal, $version:literal) => {{
            struct $models;
            impl Models for $models {
                const NAME: &'static str = $name;
                const VERSION: u32 = $version;
                type User = ();
                type Account = ();
                type Session = ();
                type VerificationToken = ();
            }
            AuthKv::options().models::<$models>().in_memory().map(drop)
        }};
    }
    models!(Good, "shop", 1).unwrap();
    let refusals = [models!(Nameless, "", 1), models!(Unversioned, "shop", 0)];
    let [nameless, unversioned] = refusals.map(|refusal| one_sentence(&refusal.unwrap_err()));
    assert!(nameless.contains("the name of the models must not be empty"), "{nameless}");
    assert!(unversioned.contains("the version of the models must be from 1"), "{unversioned}");
    AuthKv::options().models::<authkv::models::Dynamic>().in_memory().unwrap();
}
