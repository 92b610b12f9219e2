//! What stores take. Goal: a file with always the same rows stops growing, and a store in memory takes little. Method: the
//! same web sessions are saved over and over by several threads; a process of its own opens many stores in memory.

use std::{env, fs, thread};

use authkv::models::{NewUser, WebSessionData};
use authkv::{AuthKv, Durability, WebSessions};
use chrono::{TimeDelta, Utc};

#[cfg(target_os = "linux")]
const STORES: u64 = 300;

#[test]
fn a_file_with_always_the_same_rows_stops_growing() {
    const THREADS: usize = 8;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.redb");
    let auth = AuthKv::options().durability(Durability::Deferred).open(&path).unwrap();
    let sessions = WebSessions::new(auth.clone());
    let tomorrow = Utc::now() + TimeDelta::days(1);
    let data = |value: usize| {
        WebSessionData::from([("value".to_owned(), value.into()), ("text".to_owned(), "x".repeat(500).into())])
    };
    let name = |thread: usize, number: usize| format!("{thread}-{number}");
    for (thread, number) in (0..THREADS).flat_map(|thread| (0..50).map(move |number| (thread, number))) {
        sessions.create_session(name(thread, number), &data(0), tomorrow).wait().unwrap();
    }
    let mut sizes = Vec::new();
    for round in 1..=8 {
        thread::scope(|scope| {
            for thread in 0..THREADS {
                let (sessions, data, name) = (&sessions, &data, &name);
                scope.spawn(move || {
                    for save in 0..200 {
                        let expires = tomorrow + TimeDelta::minutes(save);
                        let saved = sessions.save_session(
                            name(thread, save as usize % 50),
                            &data(round * 1_000 + save as usize),
                            expires,
                        );
                        assert!(saved.wait().unwrap());
                    }
                });
            }
        });
        sizes.push(fs::metadata(&path).unwrap().len());
    }
    assert!(sizes[7] <= sizes[1] * 3 / 2, "{sizes:?}");
    assert!(auth.check().wait().unwrap().is_sound());
}

#[cfg(target_os = "linux")]
#[test]
fn stores_in_memory_take_little() {
    let mut process = std::process::Command::new(env::current_exe().unwrap());
    let arguments = ["size::the_process_with_many_stores", "--exact", "--ignored", "--nocapture"];
    let output = process.args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[cfg(target_os = "linux")]
#[test]
#[ignore = "the process with many stores"]
fn the_process_with_many_stores() {
    let before = resident_kib();
    let open = |_| {
        let auth = AuthKv::in_memory().unwrap();
        auth.create_user(NewUser::email("ada@example.com")).wait().unwrap();
        auth
    };
    let stores: Vec<AuthKv> = (0..STORES).map(open).collect();
    let each = (resident_kib() - before) / STORES;
    assert!(each < 256, "a store with one user takes {each} KiB");
    drop(stores);
}

/// How much memory this process has.
#[cfg(target_os = "linux")]
fn resident_kib() -> u64 {
    let text = fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}
