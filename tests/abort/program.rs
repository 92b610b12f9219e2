//! Builds in which a panic cannot be caught. Goal: damage that a file has when it is opened is an error and ends no process.
//! Method: this program starts itself once for each of many damaged files, opens them and uses what opens.
//!
//! ```text
//! cargo run --profile aborting -p authkv-abort          # 150 files
//! cargo run --profile aborting -p authkv-abort -- 1000  # as many as that
//! ```
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::env;
use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use authkv::models::{AccountType, NewUser, ProviderAccount, SIGN_IN};
use authkv::{AuthKv, Durability};
use chrono::TimeDelta;
use fastrand::Rng;

const FILES: u64 = 150;
const PEOPLE: u64 = 200;
const PAGE_BYTES: usize = 4_096;
/// What a child's code says of the file.
const REFUSED: i32 = 3;

fn main() {
    if cfg!(panic = "unwind") {
        panic!("build this with --profile aborting");
    }
    match env::args().nth(1) {
        Some(argument) if argument.starts_with("file=") => use_file(Path::new(&argument["file=".len()..])),
        files => damage_files(files.map_or(FILES, |files| files.parse().expect("the number of files"))),
    }
}

fn damage_files(files: u64) {
    let folder = tempfile::tempdir().unwrap();
    let (closed, open) = make(folder.path());
    let (mut used, mut refused, mut ended) = (0, 0, Vec::new());
    for seed in 0..files {
        let path = folder.path().join("damaged.redb");
        let mut random = Rng::with_seed(seed);
        let bytes = if random.bool() { &closed } else { &open };
        fs::write(&path, damaged(bytes.clone(), &mut random)).unwrap();
        let argument = format!("file={}", path.display());
        let mut child = Command::new(env::current_exe().unwrap());
        let output = child.arg(argument).env("RUST_BACKTRACE", "0").stdin(Stdio::null()).output().unwrap();
        match output.status.code() {
            Some(0) => used += 1,
            Some(REFUSED) => refused += 1,
            _ => ended.push(format!("seed {seed}: {}: {}", output.status, last_words(&output))),
        }
    }
    println!("of {files} damaged files {refused} were refused and {used} used; {} ended the process", ended.len());
    assert!(ended.is_empty(), "{}", ended.join("\n"));
    assert!(refused > files / 3, "the files are hardly damaged");
}

fn last_words(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr);
    text.lines().skip_while(|line| !line.contains("panicked")).take(2).collect::<Vec<_>>().join(" ")
}

/// A file that was closed, and the same one while it is open, which redb has to repair.
fn make(folder: &Path) -> (Vec<u8>, Vec<u8>) {
    let path = folder.join("whole.redb");
    let auth = AuthKv::options().durability(Durability::Deferred).open(&path).unwrap();
    for number in 0..PEOPLE {
        let account = ProviderAccount::new(AccountType::Oidc, "google", number);
        drop(auth.sign_in_with_account(account, NewUser::email(email(number))).wait().unwrap());
        auth.issue_link_token(SIGN_IN, &email(number), TimeDelta::hours(1)).wait().unwrap();
    }
    auth.close().wait().unwrap();
    let closed = fs::read(&path).unwrap();
    let auth = AuthKv::open(&path).unwrap();
    auth.create_user(NewUser::default()).wait().unwrap();
    (closed, fs::read(&path).unwrap())
}

fn email(number: u64) -> String {
    format!("person-{number}@example.com")
}

/// Damages pages that are in use, and sometimes redb's header, which is in the first.
fn damaged(mut bytes: Vec<u8>, random: &mut Rng) -> Vec<u8> {
    let page = |bytes: &[u8], number: usize| bytes[number * PAGE_BYTES..][..PAGE_BYTES].to_vec();
    let used: Vec<_> =
        (0..bytes.len() / PAGE_BYTES).filter(|number| page(&bytes, *number).iter().any(|byte| *byte != 0)).collect();
    for _ in 0..random.usize(1..6) {
        let at = used[random.usize(..used.len())] * PAGE_BYTES;
        match random.u8(..4) {
            0 => bytes[at + random.usize(..320)] ^= 1 << random.u8(..8),
            1 => bytes[at..at + PAGE_BYTES].fill(0),
            2 => {
                let other = page(&bytes, used[random.usize(..used.len())]);
                bytes[at..at + PAGE_BYTES].copy_from_slice(&other);
            }
            _ => bytes[at..at + 16].fill_with(|| random.u8(..)),
        }
    }
    bytes
}

fn use_file(path: &Path) {
    let auth = match AuthKv::options().durability(Durability::Deferred).open(path) {
        Ok(auth) => auth,
        Err(error) => {
            println!("{error}");
            std::process::exit(REFUSED);
        }
    };
    for number in 0..PEOPLE {
        let Ok(Some(user)) = auth.get_user_by_email(&email(number)).wait() else { continue };
        drop(auth.start_session(user.id.clone()).wait());
        if number % 7 == 0 {
            drop(auth.delete_user(&user.id).wait());
        }
    }
    drop(auth.check().wait());
    drop(auth.close().wait());
}
