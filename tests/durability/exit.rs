//! Programs that end without closing their store. Goal: the next opening reads the file at most once, and tells how far it
//! is. Method: this program starts itself as a process that exits right after its writes, and as others that open the file
//! and count the bytes that they read.

use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use authkv::models::NewUser;
use authkv::{AuthKv, Durability, Options};

const FILE: &str = "AUTHKV_TEST_EXIT_FILE";
/// Much less than the file, so that what is read twice comes from the file twice.
const CACHE_BYTES: usize = 1 << 20;

fn options() -> Options {
    AuthKv::options().cache_bytes(CACHE_BYTES)
}

#[test]
fn after_an_exit_the_file_is_read_once_and_the_progress_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.redb");
    let auth = options().durability(Durability::Deferred).open(&path).unwrap();
    for number in 0..400 {
        let user =
            NewUser { image: Some("an image ".repeat(4_000)), ..NewUser::email(format!("{number}@example.com")) };
        auth.create_user(user).wait().unwrap();
    }
    auth.close().wait().unwrap();
    let file_bytes = fs::metadata(&path).unwrap().len();
    assert!(file_bytes > 10 * CACHE_BYTES as u64);

    let closed = opened(&path);
    assert!(closed.progress.is_empty(), "{:?}", closed.progress);
    run("exit::the_process_that_exits", &path);
    let exited = opened(&path);
    let (first, last) = (exited.progress.first(), exited.progress.last());
    assert!(first == Some(&0.0) && last == Some(&1.0) && exited.progress.is_sorted(), "{:?}", exited.progress);
    // In debug builds redb reads a file that was closed as well.
    let more = exited.bytes.saturating_sub(closed.bytes);
    assert!(more < file_bytes * 11 / 10, "{more} bytes are read of {file_bytes}");
    println!("exit: of {file_bytes} bytes {} are read after closing, {} after an exit", closed.bytes, exited.bytes);
    assert!(opened(&path).progress.is_empty(), "it was closed by then");
}

#[test]
fn a_panic_in_the_callback_does_not_fail_the_opening() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.redb");
    run("exit::the_process_that_exits", &path);
    let auth = options().on_recovery(|_| panic!("this panic is part of the test")).open(&path).unwrap();
    assert_eq!(auth.check().wait().unwrap().users, 1);
}

#[test]
#[ignore = "the process that exits"]
fn the_process_that_exits() {
    let Some(file) = env::var_os(FILE) else { return };
    let auth = options().open(file).unwrap();
    auth.create_user(NewUser::default()).wait().unwrap();
    std::process::exit(0);
}

#[test]
#[ignore = "the process that opens the file"]
fn the_process_that_opens_the_file() {
    let Some(file) = env::var_os(FILE) else { return };
    let progress = Arc::new(Mutex::new(Vec::new()));
    let options = options().on_recovery({
        let progress = Arc::clone(&progress);
        move |done| progress.lock().unwrap().push(done.to_string())
    });
    let before = read_bytes();
    let auth = options.open(file).unwrap();
    let bytes = read_bytes() - before;
    auth.close().wait().unwrap();
    println!("\nread {bytes} {}", progress.lock().unwrap().join(" "));
}

/// What opening a file took.
struct Opened {
    bytes: u64,
    progress: Vec<f64>,
}

fn opened(path: &Path) -> Opened {
    let text = run("exit::the_process_that_opens_the_file", path);
    let line = text.lines().find_map(|line| line.strip_prefix("read ")).expect("the process says what it read");
    let (bytes, progress) = line.split_once(' ').unwrap();
    let progress = progress.split_whitespace().map(|done| done.parse().unwrap()).collect();
    Opened { bytes: bytes.parse().unwrap(), progress }
}

fn run(test: &str, path: &Path) -> String {
    let mut process = Command::new(env::current_exe().unwrap());
    let output = process.args([test, "--exact", "--ignored", "--nocapture"]).env(FILE, path).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// How many bytes this process has read.
fn read_bytes() -> u64 {
    let text = fs::read_to_string("/proc/self/io").unwrap();
    text.lines().find_map(|line| line.strip_prefix("rchar: ")).unwrap().parse().unwrap()
}
