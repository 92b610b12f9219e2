//! The command as people run it, each run a process of its own.

#![cfg(unix)] // the cluster sends signals
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "../../tests/cluster/cluster.rs"]
#[allow(dead_code)] // the tests of the store do more to it
mod cluster;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use authkv::AuthKv;
use authkv::models::{NewSession, NewUser};
use authkv::redb::{Database, ReadableTable, TableDefinition};
use chrono::{TimeDelta, Utc};
use cluster::Cluster;

const USERS: usize = 350;

fn authkv(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_authkv")).args(arguments).output().unwrap()
}

fn new_file(folder: &Path) -> PathBuf {
    let path = folder.join("app.redb");
    let auth = AuthKv::open(&path).unwrap();
    let users = (0..USERS).map(|n| auth.create_user(NewUser::email(format!("{n}@example.com")))).collect::<Vec<_>>();
    let tomorrow = Utc::now() + TimeDelta::days(1);
    for (n, user) in users.into_iter().enumerate() {
        drop(auth.create_session(NewSession::new(format!("token {n}"), user.wait().unwrap().id, tomorrow)));
    }
    auth.close().wait().unwrap();
    path
}

fn must_be_filled(auth: &AuthKv) {
    let report = auth.check().wait().unwrap();
    assert!(report.is_sound(), "{:?}", report.problems);
    assert_eq!((report.users, report.sessions), (USERS as u64, USERS as u64));
    let found = auth.get_session_and_user("token 7").wait().unwrap().expect("it was copied");
    assert_eq!(found.user.email.as_deref(), Some("7@example.com"));
}

#[test]
fn the_command_copies_and_says_what_is_wrong() {
    let (folder, cluster) = (tempfile::tempdir().unwrap(), Cluster::start());
    let (file, url) = (new_file(folder.path()), cluster.url());
    let run = || authkv(&["copy", file.to_str().unwrap(), &url]);
    let first = run();
    assert!(first.status.success(), "{first:?}");
    // Users with addresses, sessions with tokens and expiries.
    assert!(String::from_utf8(first.stdout).unwrap().starts_with(&format!("{} rows copied", 5 * USERS)));
    must_be_filled(&AuthKv::connect(url.clone()).unwrap());
    let second = run();
    assert!(!second.status.success());
    assert!(String::from_utf8(second.stderr).unwrap().contains("it is not empty"));
}

#[test]
fn a_file_moves_to_another_file_and_replaces_none() {
    let folder = tempfile::tempdir().unwrap();
    let (file, to) = (new_file(folder.path()), folder.path().join("copy.redb"));
    let run = || authkv(&["copy", file.to_str().unwrap(), to.to_str().unwrap()]);
    let first = run();
    assert!(first.status.success() && first.stderr.is_empty(), "{first:?}");
    must_be_filled(&AuthKv::open(&to).unwrap());
    let second = run();
    assert_eq!(second.status.code(), Some(1), "{second:?}");
    assert!(second.stdout.is_empty() && String::from_utf8(second.stderr).unwrap().contains("it is not empty"));
}

#[test]
fn damaged_rows_stop_a_copy_and_are_left_out_and_listed_by_a_salvage() {
    let folder = tempfile::tempdir().unwrap();
    let (file, to) = (new_file(folder.path()), folder.path().join("salvaged.redb"));
    let database = Database::open(&file).unwrap();
    let txn = database.begin_write().unwrap();
    let users = TableDefinition::<&[u8], &[u8]>::new("authkv_users");
    let mut table = txn.open_table(users).unwrap();
    let key = table.first().unwrap().unwrap().0.value().to_vec();
    table.insert(key.as_slice(), &b"no record"[..]).unwrap();
    drop(table);
    txn.commit().unwrap();
    drop(database);

    let [from, to] = [file, to].map(|path| path.to_str().unwrap().to_owned());
    let stopped = authkv(&["copy", &from, &to]);
    assert!(!stopped.status.success());
    let salvaged = authkv(&["copy", "--salvage", &from, &to]);
    assert!(salvaged.status.success(), "{salvaged:?}");
    let listed = String::from_utf8(salvaged.stderr).unwrap();
    let expected = format!("left out: authkv_users {}", key.escape_ascii());
    assert_eq!(listed.lines().collect::<Vec<_>>(), [expected]);
    assert!(String::from_utf8(salvaged.stdout).unwrap().starts_with(&format!("{} rows copied", 5 * USERS - 1)));
}

#[test]
fn a_mistyped_place_is_named_and_nothing_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing.redb");
    let to = folder.path().join("copy.redb");
    let (missing, to) = (missing.to_str().unwrap(), to.to_str().unwrap());
    let output = authkv(&["copy", missing, to]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.starts_with("authkv: ") && said.contains(missing), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 0, "nothing is left behind");

    for (url, problem) in [
        ("etcd://localhost:2379", "it names no namespace"),
        ("etcd://localhost:2379/app?nonsense=1", "it has an option that is not known"),
    ] {
        let output = authkv(&["copy", missing, url]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{url}: {said}");
        let first = said.lines().next().unwrap();
        assert!(first.contains(&format!("'{url}'")) && first.contains(problem), "{said}");
    }
    let file = new_file(folder.path());
    let output = authkv(&["copy", file.to_str().unwrap(), "etcd:///app"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(
        (output.status.code(), said.as_str()),
        (Some(1), "authkv: endpoints cannot be used: it names no member\n")
    );
}

#[test]
fn the_arguments_are_explained() {
    let help = authkv(&["copy", "--help"]);
    let text = String::from_utf8(help.stdout).unwrap();
    assert!(help.status.success() && text.contains("Usage: authkv copy [OPTIONS] <FROM> <TO>"), "{text}");
    assert!(text.contains("etcd://a:2379,b:2379,c:2379/namespace") && text.contains("--salvage"), "{text}");

    let version = authkv(&["--version"]);
    assert!(version.status.success());
    assert_eq!(String::from_utf8(version.stdout).unwrap(), concat!("authkv ", env!("CARGO_PKG_VERSION"), "\n"));

    for wrong in [&[] as &[&str], &["move", "a", "b"], &["copy", "a"]] {
        let output = authkv(wrong);
        assert_eq!(output.status.code(), Some(2), "{wrong:?}");
        assert!(String::from_utf8(output.stderr).unwrap().contains("Usage: authkv"), "{wrong:?}");
    }
}
