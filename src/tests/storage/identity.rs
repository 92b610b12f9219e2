//! Files that are moved, replaced, deleted or overwritten under an open store. Goal: a store works on the file that it
//! opened or not at all, says what has become of the file, and never touches another one. Method: the file and its
//! folder are changed, then the storage fails so that the store reopens its file, a second passes, or the store is
//! closed.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::ops::Bound;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use redb::{BackendError, Builder, Database, StorageBackend, TableDefinition};
use tempfile::TempDir;

use super::{Flaky, assert_all_there, eventually, user};
use crate::engine::redb::{OwnBackend, Source};
use crate::kv::key::Key;
use crate::models::{NewUser, User};
use crate::ops::meta;
use crate::records::Identity;
use crate::records::schema::META;
use crate::{AuthKv, Durability, Error, OpenProblem};

/// A file whose writes and syncs fail while the gate is shut.
#[derive(Debug)]
struct Gated {
    file: OwnBackend,
    gate: Gate,
}

#[derive(Clone, Debug, Default)]
struct Gate {
    shut: Arc<AtomicBool>,
    /// A file that the next sync removes, and for how long the sync goes on.
    removes: Arc<Mutex<Option<(PathBuf, Duration)>>>,
}

impl Gate {
    fn shut(&self, shut: bool) {
        self.shut.store(shut, Ordering::SeqCst);
    }

    fn pass(&self) -> Result<(), io::Error> {
        if self.shut.load(Ordering::SeqCst) { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn open(&self, path: &Path) -> crate::Result<AuthKv> {
        let gate = self.clone();
        let make = move |builder: &mut Builder, file| builder.create_with_backend(Gated { file, gate: gate.clone() });
        AuthKv::options().open_source(Source::MadeOn(path.to_owned(), Box::new(make)))
    }
}

impl StorageBackend for Gated {
    fn len(&self) -> Result<u64, io::Error> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), io::Error> {
        self.file.read(offset, out)
    }

    fn set_len(&self, len: u64) -> Result<(), io::Error> {
        self.gate.pass().and_then(|()| self.file.set_len(len))
    }

    fn sync_data(&self) -> Result<(), io::Error> {
        if let Some((path, duration)) = self.gate.removes.lock().take() {
            fs::remove_file(path)?;
            std::thread::sleep(duration);
        }
        self.gate.pass().and_then(|()| self.file.sync_data())
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), io::Error> {
        self.gate.pass().and_then(|()| self.file.write(offset, data))
    }

    fn close(&self) -> Result<(), io::Error> {
        self.file.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.try_lock_range(start, end)
    }

    fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.query_lock_range(start, end)
    }
}

/// A store that is open and has one user, `ada`, and files that can take its place.
///
/// ```text
/// entry.redb       a link to here/app.redb, by which the store was opened
/// here/app.redb    the store
/// there/app.redb   the store of others, closed, with the user `mallory`
/// backup.redb      an earlier state of the store
/// ```
struct Scene {
    auth: AuthKv,
    ada: User,
    gate: Gate,
    root: TempDir,
    inode: u64,
}

const MALLORY: &str = "mallory@example.com";

impl Scene {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        fs::create_dir(at("here")).unwrap();
        fs::create_dir(at("there")).unwrap();
        let others = AuthKv::open(at("there/app.redb")).unwrap();
        others.create_user(NewUser::email(MALLORY)).wait().unwrap();
        others.close().wait().unwrap();
        symlink("here/app.redb", at("entry.redb")).unwrap();
        let ada =
            AuthKv::open(at("entry.redb")).unwrap().create_user(NewUser::email("ada@example.com")).wait().unwrap();
        fs::copy(at("here/app.redb"), at("backup.redb")).unwrap();
        let gate = Gate::default();
        let auth = gate.open(&at("entry.redb")).unwrap();
        auth.create_user(user(0)).wait().unwrap();
        let inode = fs::metadata(at("here/app.redb")).unwrap().ino();
        Self { auth, ada, gate, root, inode }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// Makes the storage fail, so that the store reopens its file.
    fn fail_once(&self) {
        self.gate.shut(true);
        let refused = self.auth.create_user(user(1)).wait();
        assert!(matches!(refused, Err(Error::Storage(_) | Error::OutcomeUnknown(_))), "{refused:?}");
        self.gate.shut(false);
    }

    /// The contents of all files that are not the store's.
    fn others(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut files = BTreeMap::new();
        for folder in ["", "here", "there", "away"] {
            let Ok(entries) = fs::read_dir(self.at(folder)) else { continue };
            for path in entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_file()) {
                if fs::metadata(&path).unwrap().ino() != self.inode {
                    files.insert(path.clone(), fs::read(&path).unwrap());
                }
            }
        }
        files
    }

    /// Every call says that the file is lost, and so does closing.
    fn must_be_lost(&self, how: &str, what: &str) {
        let call = || {
            let write = self.auth.create_user(user(2)).wait().map(drop);
            let read = self.auth.get_user_by_email(MALLORY).wait().map(drop);
            [write, read].map(|answer| match answer {
                Err(Error::Storage(why)) => why.to_string(),
                answer => panic!("{how}: {answer:?}"),
            })
        };
        // Nothing heals it.
        for _ in 0..5 {
            let [write, read] = call();
            assert!(write.contains("has lost its file") && write.contains(what), "{how}: {write}");
            assert!(write == read && !write.contains('\n'), "{how}: {read}");
            std::thread::sleep(Duration::from_millis(5));
        }
        assert!(!self.auth.is_at(self.at("entry.redb")) && !self.auth.is_at(self.at("here/app.redb")), "{how}");
        let closed = self.auth.close().wait();
        assert!(matches!(&closed, Err(Error::Storage(why)) if why.to_string().contains(what)), "{how}: {closed:?}");
    }

    fn must_work(&self, how: &str) {
        assert_all_there(&self.auth, std::slice::from_ref(&self.ada));
        eventually(|| self.auth.create_user(NewUser::email("late@example.com")).wait());
        assert_eq!(self.auth.get_user_by_email(MALLORY).wait().unwrap(), None, "{how}");
        assert!(self.auth.is_at(self.at("here/app.redb")) && !self.auth.is_at(self.at("there/app.redb")), "{how}");
        self.auth.close().wait().unwrap_or_else(|error| panic!("{how}: {error}"));
    }
}

/// How something is changed, the change, and what the error says.
type Change = (&'static str, fn(&Scene) -> io::Result<()>, &'static str);

/// After these the path names another file, or none.
const MOVES: [Change; 14] = [
    ("moved", |scene| fs::rename(scene.at("here/app.redb"), scene.at("here/moved.redb")), "was moved or renamed"),
    ("deleted", |scene| fs::remove_file(scene.at("here/app.redb")), "was deleted"),
    (
        "deleted, with a name left",
        |scene| {
            fs::hard_link(scene.at("here/app.redb"), scene.at("here/second.redb"))?;
            fs::remove_file(scene.at("here/app.redb"))
        },
        "was moved or renamed",
    ),
    (
        "replaced by another store",
        |scene| fs::rename(scene.at("there/app.redb"), scene.at("here/app.redb")),
        "another file is at",
    ),
    ("replaced by a backup", |scene| fs::rename(scene.at("backup.redb"), scene.at("here/app.redb")), "a redb database"),
    (
        "replaced by a copy of itself",
        |scene| {
            fs::copy(scene.at("here/app.redb"), scene.at("here/copy.redb"))?;
            fs::rename(scene.at("here/copy.redb"), scene.at("here/app.redb"))
        },
        "a redb database",
    ),
    (
        "replaced by a text",
        |scene| {
            fs::remove_file(scene.at("here/app.redb"))?;
            fs::write(scene.at("here/app.redb"), "a text")
        },
        "not a redb database",
    ),
    (
        "replaced by an empty file",
        |scene| {
            fs::remove_file(scene.at("here/app.redb"))?;
            fs::write(scene.at("here/app.redb"), "")
        },
        "which is empty",
    ),
    (
        "replaced by a folder",
        |scene| {
            fs::remove_file(scene.at("here/app.redb"))?;
            fs::create_dir(scene.at("here/app.redb"))
        },
        "a folder",
    ),
    (
        "replaced by a link to another store",
        |scene| {
            fs::rename(scene.at("here/app.redb"), scene.at("here/moved.redb"))?;
            symlink(scene.at("there/app.redb"), scene.at("here/app.redb"))
        },
        "another file is at",
    ),
    (
        "replaced by a link to itself",
        |scene| {
            fs::remove_file(scene.at("here/app.redb"))?;
            symlink("app.redb", scene.at("here/app.redb"))
        },
        "was deleted",
    ),
    ("folder deleted", |scene| fs::remove_dir_all(scene.at("here")), "was deleted"),
    (
        "folder replaced by that of another store",
        |scene| {
            fs::rename(scene.at("here"), scene.at("away"))?;
            fs::rename(scene.at("there"), scene.at("here"))
        },
        "another file is at",
    ),
    (
        "folder replaced by a file",
        |scene| {
            fs::rename(scene.at("here"), scene.at("away"))?;
            fs::write(scene.at("here"), "a text")
        },
        "was moved or renamed",
    ),
];

/// After these the path names the same file, which holds something else.
const OVERWRITES: [Change; 5] = [
    (
        "another store copied over it",
        |scene| fs::copy(scene.at("there/app.redb"), scene.at("here/app.redb")).map(drop),
        "it holds another store",
    ),
    (
        "a backup copied over it",
        |scene| fs::copy(scene.at("backup.redb"), scene.at("here/app.redb")).map(drop),
        "an earlier or a later state",
    ),
    ("cut to nothing", |scene| fs::write(scene.at("here/app.redb"), ""), "there is no store"),
    ("overwritten by a text", |scene| fs::write(scene.at("here/app.redb"), "a text"), "not a redb database"),
    (
        "a store without tables copied over it",
        |scene| {
            drop(Database::create(scene.at("new.redb")).unwrap());
            fs::copy(scene.at("new.redb"), scene.at("here/app.redb")).map(drop)
        },
        "there is no store",
    ),
];

/// After these the path still names the file.
const HARMLESS: [Change; 4] = [
    ("nothing", |_| Ok(()), ""),
    ("a second name", |scene| fs::hard_link(scene.at("here/app.redb"), scene.at("here/second.redb")), ""),
    (
        "moved, with a link to it in its place",
        |scene| {
            fs::rename(scene.at("here/app.redb"), scene.at("here/moved.redb"))?;
            symlink("moved.redb", scene.at("here/app.redb"))
        },
        "",
    ),
    (
        "the link by which it was opened leads elsewhere",
        |scene| {
            fs::remove_file(scene.at("entry.redb"))?;
            symlink("there/app.redb", scene.at("entry.redb"))
        },
        "",
    ),
];

#[test]
fn a_store_that_reopens_its_file_gets_the_same_one_or_an_error() {
    for (how, change, what) in MOVES {
        let scene = Scene::new();
        change(&scene).unwrap();
        let others = scene.others();
        scene.fail_once();
        scene.must_be_lost(how, what);
        assert!(scene.others() == others, "{how}");
    }
    for (how, change, what) in OVERWRITES {
        let scene = Scene::new();
        change(&scene).unwrap();
        let path = scene.at("here/app.redb");
        let before = (scene.others(), fs::read(&path).unwrap());
        scene.fail_once();
        scene.must_be_lost(how, what);
        assert!((scene.others(), fs::read(&path).unwrap()) == before, "{how}");
    }
    for (how, change, _) in HARMLESS {
        let scene = Scene::new();
        change(&scene).unwrap();
        let others = scene.others();
        scene.fail_once();
        scene.must_work(how);
        assert!(scene.others() == others, "{how}");
    }
}

/// A call that begins a second after the change is not acknowledged, however slow the machine is.
#[test]
fn a_second_after_the_file_was_moved_no_write_is_acknowledged() {
    let begin = |change: Change| {
        let scene = Scene::new();
        (change.1)(&scene).unwrap();
        (scene.others(), scene, change)
    };
    let (moved, harmless) = (MOVES.map(begin), HARMLESS.map(begin));
    std::thread::sleep(Duration::from_secs(1));
    for (others, scene, (how, _, what)) in moved {
        scene.must_be_lost(how, what);
        assert!(scene.others() == others, "{how}");
    }
    for (others, scene, (how, ..)) in harmless {
        scene.must_work(how);
        assert!(scene.others() == others, "{how}");
    }
}

#[test]
fn a_write_whose_commit_outlasts_the_second_is_not_acknowledged() {
    let scene = Scene::new();
    *scene.gate.removes.lock() = Some((scene.at("here/app.redb"), Duration::from_secs(1)));
    let slow = scene.auth.create_user(user(1)).wait();
    assert!(matches!(&slow, Err(Error::OutcomeUnknown(why)) if why.to_string().contains("was deleted")), "{slow:?}");
    scene.must_be_lost("deleted during a commit", "was deleted");
}

#[test]
fn closing_says_that_the_file_is_another_one() {
    for (how, change, what) in MOVES {
        let scene = Scene::new();
        change(&scene).unwrap();
        let others = scene.others();
        let closed = scene.auth.close().wait();
        assert!(matches!(&closed, Err(Error::Storage(why)) if why.to_string().contains(what)), "{how}: {closed:?}");
        assert!(scene.others() == others, "{how}");
    }
}

#[test]
fn a_file_that_is_put_back_belongs_to_the_next_opening() {
    let scene = Scene::new();
    fs::rename(scene.at("here/app.redb"), scene.at("moved.redb")).unwrap();
    scene.fail_once();
    fs::rename(scene.at("moved.redb"), scene.at("here/app.redb")).unwrap();
    scene.must_be_lost("put back", "was moved or renamed");
    let again = AuthKv::open(scene.at("entry.redb")).unwrap();
    assert_all_there(&again, std::slice::from_ref(&scene.ada));
}

#[test]
fn a_file_written_by_another_process_while_the_storage_failed_is_not_the_same() {
    let scene = Scene::new();
    scene.gate.shut(true);
    scene.auth.create_user(user(1)).wait().unwrap_err();
    // The store cannot reopen the file, so that it is free for others.
    let other = eventually(|| AuthKv::open(scene.at("here/app.redb")));
    other.create_user(user(7)).wait().unwrap();
    drop(other);
    scene.gate.shut(false);
    eventually(|| match scene.auth.create_user(user(8)).wait() {
        Err(Error::Storage(why)) if why.to_string().contains("an earlier or a later state") => Ok(()),
        Err(error) => Err(error),
        Ok(_) => panic!("it goes on in a file that another process has changed"),
    });
    scene.must_be_lost("written elsewhere", "an earlier or a later state");
}

const FOLDERS: &str = "AUTHKV_TEST_FOLDERS";

#[test]
fn a_relative_path_is_that_of_the_opening() {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let others = AuthKv::open(folders[1].path().join("app.redb")).unwrap();
    others.create_user(NewUser::email(MALLORY)).wait().unwrap();
    others.close().wait().unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["tests::storage::identity::the_process_that_changes_its_folder", "--exact", "--ignored"]);
    command.env(FOLDERS, std::env::join_paths(folders.iter().map(TempDir::path)).unwrap());
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

#[test]
#[ignore = "the process that changes its folder"]
fn the_process_that_changes_its_folder() {
    let Some(folders) = std::env::var_os(FOLDERS) else { return };
    let folders: Vec<_> = std::env::split_paths(&folders).collect();
    std::env::set_current_dir(&folders[0]).unwrap();
    let gate = Gate::default();
    let auth = gate.open(Path::new("app.redb")).unwrap();
    let ada = auth.create_user(NewUser::email("ada@example.com")).wait().unwrap();
    std::env::set_current_dir(&folders[1]).unwrap();
    for number in 0..3 {
        gate.shut(true);
        auth.create_user(user(number)).wait().unwrap_err();
        gate.shut(false);
        assert_all_there(&auth, std::slice::from_ref(&ada));
        assert_eq!(auth.get_user_by_email(MALLORY).wait().unwrap(), None);
        eventually(|| auth.create_user(user(10 + number)).wait());
    }
    assert!(!auth.is_at("app.redb") && auth.is_at(folders[0].join("app.redb")));
    auth.close().wait().unwrap();
}

fn identity(auth: &AuthKv) -> Identity {
    auth.read(meta::identity, Ok).wait().unwrap()
}

#[test]
fn a_store_keeps_its_id_and_the_first_write_after_an_opening_changes_its_mark() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.redb");
    let mut before = Identity::default();
    for round in 0..3 {
        let auth = AuthKv::open(&path).unwrap();
        if round > 0 {
            assert_eq!(identity(&auth), before, "an opening alone writes nothing");
        }
        auth.create_user(user(2 * round)).wait().unwrap();
        let after = identity(&auth);
        assert!(after.store.is_some() && after.mark.is_some() && after.mark != before.mark || round == 0);
        assert!(before.store.is_none() || before.store == after.store);
        auth.create_user(user(2 * round + 1)).wait().unwrap();
        assert_eq!(identity(&auth), after);
        before = after;
    }
    let other = AuthKv::open(folder.path().join("other.redb")).unwrap();
    assert_ne!(identity(&other).store, before.store);
}

#[test]
fn an_applications_database_gets_an_id_too_and_a_store_in_memory_none() {
    let folder = tempfile::tempdir().unwrap();
    let database = Arc::new(Database::create(folder.path().join("app.redb")).unwrap());
    let mut seen = Vec::new();
    for number in 0..2 {
        let auth = AuthKv::options().on_database(Arc::clone(&database)).unwrap();
        auth.create_user(user(number)).wait().unwrap();
        assert!(!auth.is_at(folder.path().join("app.redb")));
        seen.push(identity(&auth));
        // The application's file is the application's concern.
        fs::rename(folder.path().join("app.redb"), folder.path().join("moved.redb")).ok();
        auth.close().wait().unwrap();
    }
    assert!(seen[0].store.is_some() && seen[0].store == seen[1].store && seen[0].mark != seen[1].mark);
    let memory = AuthKv::in_memory().unwrap();
    memory.create_user(user(0)).wait().unwrap();
    assert_eq!(identity(&memory), Identity::default());
}

#[test]
fn a_file_without_an_id_gets_one_with_its_first_write() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.redb");
    drop(AuthKv::open(&path).unwrap());
    let database = Database::open(&path).unwrap();
    let txn = database.begin_write().unwrap();
    let mut meta = txn.open_table(TableDefinition::<&[u8], &[u8]>::new(META.id.name)).unwrap();
    for row in ["store_id", "mark"] {
        assert!(meta.remove(row.to_owned().to_bytes().as_slice()).unwrap().is_some());
    }
    drop(meta);
    txn.commit().unwrap();
    drop(database);
    let gate = Gate::default();
    let auth = gate.open(&path).unwrap();
    assert_eq!(identity(&auth), Identity::default());
    gate.shut(true);
    auth.create_user(user(0)).wait().unwrap_err();
    gate.shut(false);
    eventually(|| auth.create_user(user(1)).wait());
    let first = identity(&auth);
    assert!(first.store.is_some() && first.mark.is_some());
    drop(auth);
    assert_eq!(identity(&AuthKv::open(&path).unwrap()), first);
}

/// A killed process leaves what it has written: the bytes of the file at that moment.
#[test]
fn a_process_killed_between_creation_and_the_first_writes_leaves_a_store_with_one_id() {
    for durability in [Durability::Full, Durability::Deferred] {
        let disk = Flaky::default();
        let mut images = vec![disk.bytes()];
        let open = |disk: &Flaky| disk.open_with(AuthKv::options().durability(durability)).unwrap();
        let auth = open(&disk);
        images.push(disk.bytes());
        let id = identity(&auth).store;
        for number in 0..3 {
            auth.create_user(user(number)).wait().unwrap();
            images.push(disk.bytes());
        }
        drop(auth);
        let auth = open(&disk);
        images.push(disk.bytes());
        auth.create_user(user(3)).wait().unwrap();
        images.push(disk.bytes());
        assert!(id.is_some() && identity(&auth).store == id);
        for (place, image) in images.into_iter().enumerate() {
            let auth = open(&Flaky::new(image));
            eventually(|| auth.create_user(user(100)).wait());
            assert!(auth.check().wait().unwrap().is_sound());
            assert_eq!(place > 0, identity(&auth).store == id, "image {place}");
        }
    }
}

#[test]
fn a_link_to_a_file_that_does_not_exist_makes_that_file() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::create_dir_all(at("volume/deep")).unwrap();
    symlink("volume/second.redb", at("app.redb")).unwrap();
    symlink("deep/../deep/third.redb", at("volume/second.redb")).unwrap();
    symlink(at("volume"), at("volumes")).unwrap();
    symlink(at("volumes/deep/absolute.redb"), at("absolute.redb")).unwrap();
    for (name, target) in [("app.redb", "volume/deep/third.redb"), ("absolute.redb", "volume/deep/absolute.redb")] {
        let auth = AuthKv::open(at(name)).unwrap();
        auth.create_user(user(0)).wait().unwrap();
        assert!(auth.is_at(at(name)) && auth.is_at(at(target)));
        auth.close().wait().unwrap();
        assert!(fs::symlink_metadata(at(name)).unwrap().is_symlink());
        let made = fs::symlink_metadata(at(target)).unwrap();
        assert!(made.is_file() && made.permissions().mode() & 0o777 == 0o600, "{target}");
        assert_eq!(AuthKv::open(at(name)).unwrap().check().wait().unwrap().users, 1);
    }
    let names: Vec<_> = fs::read_dir(at("volume/deep")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "{names:?}");

    symlink("no-such-folder/app.redb", at("nowhere.redb")).unwrap();
    symlink("round.redb", at("round.redb")).unwrap();
    let refused = AuthKv::open(at("nowhere.redb")).unwrap_err();
    assert!(matches!(refused, Error::Open { problem: OpenProblem::MissingFolder(_), .. }), "{refused}");
    let refused = AuthKv::open(at("round.redb")).unwrap_err();
    assert!(matches!(refused, Error::Open { problem: OpenProblem::Storage(_), .. }), "{refused}");
}
