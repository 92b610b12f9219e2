//! A file that the application shares with the store: made as `open` makes one, and nothing that opens or rewrites a file
//! loses tables that are not the store's.

use std::fs;
use std::path::{Path, PathBuf};

use authkv::models::{Models, NewUser};
use authkv::redb::{Database, MultimapTableDefinition, ReadableDatabase, ReadableTable, TableDefinition};
use authkv::{AuthKv, Error, OpenProblem, Options};
use tempfile::TempDir;

const NOTES: TableDefinition<u64, &str> = TableDefinition::new("notes");
const TAGS: MultimapTableDefinition<&str, u64> = MultimapTableDefinition::new("tags");
const NOTE: &str = "a note that is kept byte by byte";

fn place() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.redb");
    (folder, path)
}

fn put_own_rows(database: &Database) {
    let own = database.begin_write().unwrap();
    (0..500).for_each(|n| drop(own.open_table(NOTES).unwrap().insert(n, NOTE).unwrap()));
    (0..50).for_each(|n| assert!(!own.open_multimap_table(TAGS).unwrap().insert("red", n).unwrap()));
    own.commit().unwrap();
}

#[track_caller]
fn own_rows_are_there(database: &impl ReadableDatabase) {
    let snapshot = database.begin_read().unwrap();
    let notes = snapshot.open_table(NOTES).unwrap();
    let rows: Vec<_> =
        notes.iter().unwrap().map(|row| row.unwrap()).map(|(n, note)| (n.value(), note.value() == NOTE)).collect();
    assert_eq!(rows, (0..500).map(|n| (n, true)).collect::<Vec<_>>());
    let tags = snapshot.open_multimap_table(TAGS).unwrap();
    assert_eq!(
        tags.get("red").unwrap().map(|tag| tag.unwrap().value()).collect::<Vec<_>>(),
        (0..50).collect::<Vec<_>>()
    );
}

#[track_caller]
fn own_rows_are_in(path: &Path) {
    own_rows_are_there(&Database::open(path).unwrap());
}

#[test]
fn a_shared_file_is_made_as_open_makes_one_and_holds_both() {
    let (folder, path) = place();
    let (auth, database) = AuthKv::open_shared(&path).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
    put_own_rows(&database);
    let ada = auth.create_user(NewUser::email("ada@example.com")).wait().unwrap();
    for error in [AuthKv::open_shared(&path).map(drop).unwrap_err(), AuthKv::open(&path).unwrap_err()] {
        assert!(matches!(error, Error::Open { problem: OpenProblem::Locked, .. }), "{error}");
    }
    auth.close().wait().unwrap();
    own_rows_are_there(&*database);
    drop(database);
    // Later it is opened either way.
    let (auth, database) = AuthKv::open_shared(&path).unwrap();
    assert_eq!(auth.get_user(&ada.id).wait().unwrap(), Some(ada.clone()));
    drop((auth, database));
    let auth = AuthKv::open(&path).unwrap();
    assert_eq!(auth.get_user(&ada.id).wait().unwrap(), Some(ada));
    drop(auth);
    own_rows_are_in(&path);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_shared_file_is_refused_for_the_reasons_of_open() {
    let (folder, path) = place();
    let problem = |options: Options, path: &Path| match options.open_shared(path).map(drop).unwrap_err() {
        Error::Open { problem, path: Some(named) } => {
            assert_eq!(named, path);
            problem
        }
        error => panic!("{error}"),
    };
    let options = AuthKv::options;
    assert!(matches!(problem(options().create_if_missing(false), &path), OpenProblem::Missing));
    assert!(matches!(problem(options(), folder.path()), OpenProblem::Folder));
    fs::write(&path, "no database").unwrap();
    assert!(matches!(problem(options(), &path), OpenProblem::NotRedb));
    fs::remove_file(&path).unwrap();
    let secure = options().secure_delete(true).open_shared(&path).map(drop).unwrap_err();
    assert_eq!(secure.to_string(), "secure_delete needs a file of the store's own");
    assert!(!path.exists());
    drop(options().models::<Shop>().open_shared(&path).unwrap());
    assert!(matches!(problem(options(), &path), OpenProblem::OtherModels { .. }));
}

struct Shop;

impl Models for Shop {
    const NAME: &'static str = "shop";
    const VERSION: u32 = 1;
    type User = ();
    type Account = ();
    type Session = ();
    type VerificationToken = ();
}

#[test]
fn a_transaction_of_the_store_waits_no_longer_than_a_call() {
    let (_folder, path) = place();
    let wait = std::time::Duration::from_millis(50);
    let (auth, database) = AuthKv::options().wait_for_transaction(wait).open_shared(&path).unwrap();
    let own = auth.begin_write().unwrap();
    assert!(matches!(auth.begin_write(), Err(Error::Busy)));
    own.commit().unwrap();
    let own = database.begin_write().unwrap();
    assert!(matches!(auth.begin_write(), Err(Error::Busy)));
    own.commit().unwrap();
    auth.begin_write().unwrap().commit().unwrap();
    auth.close().wait().unwrap();
    assert!(matches!(auth.begin_write(), Err(Error::Closed)));
    let alone = AuthKv::in_memory().unwrap().begin_write().map(drop).unwrap_err();
    assert_eq!(alone.to_string(), "begin_write needs a store that was opened with open_shared or on_database");
}

#[test]
fn a_redb_file_with_other_tables_and_no_store_is_refused_and_one_with_a_store_is_opened() {
    let (_folder, path) = place();
    let database = Database::create(&path).unwrap();
    drop(AuthKv::open(&path).unwrap_err()); // It is locked.
    put_own_rows(&database);
    drop(database);
    for create in [true, false] {
        let before = fs::read(&path).unwrap();
        let error = AuthKv::options().create_if_missing(create).open(&path).unwrap_err();
        assert!(matches!(&error, Error::Open { problem: OpenProblem::OtherTables, .. }), "{error}");
        assert!(error.to_string().contains("open_shared or on_database"), "{error}");
        assert_eq!(fs::read(&path).unwrap(), before);
    }
    drop(AuthKv::open_shared(&path).unwrap());
    drop(AuthKv::open(&path).unwrap());
    own_rows_are_in(&path);
}

#[test]
fn only_a_multimap_is_also_somebody_elses() {
    let (_folder, path) = place();
    let database = Database::create(&path).unwrap();
    let own = database.begin_write().unwrap();
    own.open_multimap_table(TAGS).unwrap().insert("red", 1).unwrap();
    own.commit().unwrap();
    drop(database);
    assert!(matches!(AuthKv::open(&path), Err(Error::Open { problem: OpenProblem::OtherTables, .. })));
}

#[test]
fn a_redb_file_without_tables_becomes_a_store() {
    let (_folder, path) = place();
    drop(Database::create(&path).unwrap());
    drop(AuthKv::open(&path).unwrap());
}

/// A file whose process has died cannot be read before redb has repaired it.
#[test]
fn a_file_of_others_that_was_not_closed_is_refused() {
    let (folder, path) = place();
    let database = Database::create(&path).unwrap();
    put_own_rows(&database);
    let copy = folder.path().join("copy.redb");
    fs::copy(&path, &copy).unwrap();
    assert!(matches!(AuthKv::open(&copy), Err(Error::Open { problem: OpenProblem::OtherTables, .. })));
    own_rows_are_in(&copy);
}

/// Overwriting what was removed writes each table of the store anew, fills the free pages and compacts the file.
#[test]
fn overwriting_keeps_tables_that_are_not_the_stores() {
    let (_folder, path) = place();
    let (auth, database) = AuthKv::open_shared(&path).unwrap();
    put_own_rows(&database);
    drop((auth, database));
    let auth = AuthKv::options().secure_delete(true).open(&path).unwrap();
    let ids: Vec<_> = (0..200).map(|_| auth.create_user(NewUser::default()).wait().unwrap().id).collect();
    ids.iter().for_each(|id| drop(auth.delete_user(id).wait().unwrap()));
    auth.close().wait().unwrap();
    own_rows_are_in(&path);
}

#[test]
fn a_repair_keeps_tables_that_are_not_the_stores() {
    let (_folder, path) = place();
    let (auth, database) = AuthKv::open_shared(&path).unwrap();
    put_own_rows(&database);
    auth.create_user(NewUser::email("ada@example.com")).wait().unwrap();
    let own = database.begin_write().unwrap();
    {
        let mut users = own.open_table(TableDefinition::<&[u8], &[u8]>::new("authkv_users")).unwrap();
        let key = users.first().unwrap().unwrap().0.value().to_vec();
        users.insert(key.as_slice(), &b"damaged"[..]).unwrap();
    }
    own.commit().unwrap();
    drop((auth, database));
    let auth = AuthKv::open(&path).unwrap();
    let repair = auth.repair().wait().unwrap();
    auth.carry_out(repair).wait().unwrap();
    assert!(auth.check().wait().unwrap().is_sound());
    drop(auth);
    own_rows_are_in(&path);
}

#[test]
fn what_is_no_path_of_a_file_is_told_apart() {
    let (folder, path) = place();
    let refused = |path: &Path| AuthKv::open(path).unwrap_err().to_string();
    let missing = folder.path().join("no/such");
    assert_eq!(
        refused(&missing.join("app.redb")),
        format!("cannot open {}: the folder {} does not exist", missing.join("app.redb").display(), missing.display())
    );
    for url in ["etcd://127.0.0.1:2379", "http://localhost/app", "sqlite://app.db"] {
        let text = refused(Path::new(url));
        assert!(
            text.starts_with(&format!("cannot open {url}: it is a URL")) && text.contains("AuthKv::connect"),
            "{text}"
        );
    }
    assert_eq!(refused(Path::new(":memory:")), "cannot open :memory:: it is not the name of a file: use in_memory()");
    assert_eq!(refused(Path::new("")), "path must not be empty");
    drop(AuthKv::options().models::<Shop>().open(&path).unwrap());
    assert!(refused(&path).ends_with("was opened without models: call `.models::<…>()` on the options"));
    assert!(!Path::new(":memory:").exists());
}
