//! The program from the outside: its files, its exit codes, and that it leaves nothing behind. No test depends on
//! speed.

#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

const DEADLINE: Duration = Duration::from_secs(120);
const QUICK: [&str; 4] = ["--rounds", "1", "--round-ms", "2"];

fn program(data: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_authkv-bench"));
    command.args(arguments);
    if !arguments.is_empty() {
        command.arg("--folder").arg(data);
    }
    command
}

fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

fn is_empty(folder: &Path) -> bool {
    std::fs::read_dir(folder).unwrap().next().is_none()
}

#[test]
fn a_check_shows_every_goal_with_its_verdict_and_cleans_up() {
    let data = tempfile::tempdir().unwrap();
    let output = program(data.path(), &[&["check", "--users", "200", "--report-only"][..], &QUICK].concat()).output();
    let output = output.unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let goals: Vec<_> = stdout(&output).lines().filter(|line| line.contains('≤') || line.contains('≥')).collect();
    assert_eq!(goals.len(), 22, "{}", stdout(&output));
    assert!(goals.iter().all(|line| line.ends_with("met") || line.ends_with("MISSED")), "{goals:?}");
    assert!(stdout(&output).contains("machine: ") && stdout(&output).contains("SQLite 3."));
    assert_eq!(stderr(&output), "", "there is a progress bar, and no terminal");
    assert!(is_empty(data.path()));
}

#[test]
fn a_full_comparison_writes_its_tables_and_its_plot() {
    let (data, files) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (markdown, svg) = (files.path().join("tables.md"), files.path().join("plot.svg"));
    let mut command = program(data.path(), &[&["full", "--users", "40,60", "--callers", "1,3"][..], &QUICK].concat());
    command.args([
        "--operations",
        "session,session-skewed,create-session,extend-session,sign-up,use-token,delete-user100",
    ]);
    let output = command.arg("--markdown").arg(&markdown).arg("--svg").arg(&svg).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let tables = std::fs::read_to_string(markdown).unwrap();
    assert_eq!(tables, stdout(&output));
    // Six operations by 1 and 3 callers and a deletion by 1, in two tables, for two sizes.
    let rows = tables.lines().filter(|line| line.contains(" | 1 | ") || line.contains(" | 3 | "));
    let rows: Vec<_> = rows.map(|line| line.split(" | ").collect::<Vec<_>>()).collect();
    assert_eq!(rows.len(), 2 * 2 * (6 * 2 + 1), "{tables}");
    assert!(rows.iter().all(|row| row.len() == 8 && row.iter().all(|cell| !cell.is_empty())), "{tables}");
    assert!(!tables.contains("NaN") && !tables.contains("inf"), "{tables}");
    assert!(std::fs::read_to_string(svg).unwrap().contains("session and user, skewed, 60 users"));
    assert!(is_empty(data.path()));
}

#[test]
fn a_comparison_may_be_of_some_peers_and_one_operation() {
    let data = tempfile::tempdir().unwrap();
    let some = ["full", "--users", "40", "--peers", "authkv,rusqlite", "--operations", "delete-user10000"];
    let output = program(data.path(), &[&some[..], &QUICK].concat()).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let (_, deletions) = stdout(&output).split_once("longest wait of another writer").unwrap();
    let peers = deletions.lines().skip(2).map_while(|line| line.strip_prefix("| "));
    assert_eq!(peers.filter_map(|line| line.split(" | ").next()).collect::<Vec<_>>(), ["authkv", "rusqlite"]);
}

#[test]
fn an_interrupted_run_removes_its_files() {
    let data = tempfile::tempdir().unwrap();
    let mut running = program(data.path(), &["check", "--users", "100000"]).spawn().unwrap();
    let start = Instant::now();
    while is_empty(data.path()) {
        assert!(start.elapsed() < DEADLINE && running.try_wait().unwrap().is_none(), "it has made no files");
        std::thread::sleep(Duration::from_millis(20));
    }
    std::thread::sleep(Duration::from_millis(300));
    kill_process(Pid::from_child(&running), Signal::INT).unwrap();
    assert_eq!(running.wait().unwrap().code(), Some(130));
    assert!(is_empty(data.path()));
}

#[test]
fn what_cannot_be_done_is_refused_in_one_sentence() {
    let data = tempfile::tempdir().unwrap();
    let refused = |arguments: &[&str], code: i32, words: &str| {
        let output = program(data.path(), arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}");
        assert!(stderr(&output).contains(words), "{arguments:?}: {}", stderr(&output));
    };
    refused(&[], 2, "Usage");
    refused(&["full", "--peers", "postgres"], 2, "possible values");
    refused(&["full", "--callers", "0"], 2, "0 is not in 1..");
    refused(&["check", "--users", "5"], 2, "from 20 to 5000000 users");
    refused(&["check", "--rounds", "0"], 2, "0 is not in 1..");
    let nowhere = data.path().join("nowhere");
    let output = program(&nowhere, &["check"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("the folder for the data files cannot be made"));
    assert!(is_empty(data.path()));
}
