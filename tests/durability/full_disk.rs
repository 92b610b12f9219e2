//! A really full disk. Goal: a store whose file cannot grow refuses writes that need room, continues to read, and works
//! again without help once there is room. Method: this program starts itself as another process with a limit on file
//! sizes. That process fills a store up to the limit and lifts the limit later.

use std::env;
use std::process::Command;
use std::time::{Duration, Instant};

use authkv::models::{Change, NewUser, User, UserPatch};
use authkv::{AuthKv, Error, Result};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

const FILE: &str = "AUTHKV_TEST_FULL_FILE";
const LIMIT_BYTES: u64 = 3 << 20;
const DEADLINE: Duration = Duration::from_secs(60);

#[test]
fn a_store_whose_file_cannot_grow_works_again_when_it_can() {
    run("the_process_with_a_limit");
}

#[test]
fn writes_go_on_while_there_is_no_room_to_overwrite_removed_rows() {
    run("the_process_that_has_no_room_to_overwrite");
}

/// Runs a test of this module in another process.
fn run(test: &str) {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new("sh");
    // A write beyond the limit then fails instead of killing the process.
    command.args(["-c", r#"trap "" XFSZ; exec "$0" "full_disk::$1" --exact --ignored"#]);
    command.arg(env::current_exe().unwrap()).arg(test).env(FILE, folder.path().join("app.redb"));
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

#[test]
#[ignore = "the process with a limit"]
fn the_process_with_a_limit() {
    let Some(file) = env::var_os(FILE) else { return };
    let kv = AuthKv::open(&file).unwrap();
    let usual = getrlimit(Resource::Fsize);
    setrlimit(Resource::Fsize, Rlimit { current: Some(LIMIT_BYTES), ..usual }).unwrap();
    let mut there = Vec::new();
    let mut number = 0;
    while create(&kv, number, &mut there) {
        number += 1;
        assert!(number < 10_000, "the limit has no effect");
    }
    assert!(there.len() > 20);

    // The disk is still full.
    must_all_be_there(&kv, &there);
    create(&kv, number + 1, &mut there);
    must_all_be_there(&kv, &there);

    setrlimit(Resource::Fsize, usual).unwrap();
    eventually(|| kv.delete_session("nobody's").wait());
    for number in number + 2..number + 100 {
        assert!(create(&kv, number, &mut there));
    }
    for user in there.drain(..20) {
        assert_eq!(kv.delete_user(&user.id).wait().unwrap(), Some(user));
    }
    must_all_be_there(&kv, &there);
    kv.close().wait().unwrap();
    must_all_be_there(&AuthKv::open(&file).unwrap(), &there);
}

#[test]
#[ignore = "the process with a limit"]
fn the_process_that_has_no_room_to_overwrite() {
    let Some(file) = env::var_os(FILE) else { return };
    let kv = AuthKv::open(&file).unwrap();
    let mut ada = kv.create_user(NewUser::email("ada@example.com")).wait().unwrap();
    let mut there = Vec::new();
    assert!((0..80).all(|number| create(&kv, number, &mut there)));
    for user in there.drain(..5) {
        assert_eq!(kv.delete_user(&user.id).wait().unwrap(), Some(user));
    }
    kv.close().wait().unwrap();
    // What they leave is room for writes, and not for a pass, which needs it for another copy of the users. The first pass
    // begins a second after the opening, and fails.
    let usual = getrlimit(Resource::Fsize);
    let limit = std::fs::metadata(&file).unwrap().len();
    setrlimit(Resource::Fsize, Rlimit { current: Some(limit), ..usual }).unwrap();
    let kv = AuthKv::options().secure_delete(true).open(&file).unwrap();
    let end = Instant::now() + Duration::from_secs(4);
    while Instant::now() < end {
        let patch = UserPatch { name: Change::to(fastrand::u32(..).to_string()), ..UserPatch::new(ada.id.clone()) };
        ada = kv.update_user(patch).wait().unwrap();
        std::thread::sleep(Duration::from_millis(1));
    }
    there.push(ada);
    must_all_be_there(&kv, &there);
    kv.close().wait().unwrap_err();
    setrlimit(Resource::Fsize, usual).unwrap();
    let kv = AuthKv::options().secure_delete(true).open(&file).unwrap();
    must_all_be_there(&kv, &there);
    kv.close().wait().unwrap();
    let bytes = std::fs::read(&file).unwrap();
    let text = String::from_utf8_lossy(&bytes);
    assert!((0..5).all(|number| !text.contains(&format!("\u{0}{number}@example.com"))));
}

/// Creates a large user. Returns whether there was room.
fn create(kv: &AuthKv, number: usize, there: &mut Vec<User>) -> bool {
    let email = format!("{number}@example.com");
    let user = NewUser { image: Some("an image ".repeat(2_000)), ..NewUser::email(&email) };
    match kv.create_user(user).wait() {
        Ok(user) => {
            there.push(user);
            return true;
        }
        Err(Error::Storage(_)) => {}
        Err(Error::OutcomeUnknown(_)) => there.extend(eventually(|| kv.get_user_by_email(&email).wait())),
        Err(error) => panic!("{error}"),
    }
    false
}

fn must_all_be_there(kv: &AuthKv, users: &[User]) {
    for user in users {
        assert_eq!(eventually(|| kv.get_user(&user.id).wait()).as_ref(), Some(user));
    }
    let report = eventually(|| kv.check().wait());
    assert!(report.is_sound(), "{:?}", report.problems);
    assert_eq!(report.users, users.len() as u64);
}

/// Repeats a call until the store has recovered.
fn eventually<T>(call: impl Fn() -> Result<T>) -> T {
    let deadline = Instant::now() + DEADLINE;
    loop {
        match call() {
            Ok(found) => return found,
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}
