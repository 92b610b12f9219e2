//! The program as people at one computer use it, each run a process of its own.

#![cfg(unix)] // elsewhere the data folder is not for the environment to say
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_example-desktop");
const PASSWORD: &str = "correct horse";

/// A computer with its user's home.
struct Computer(TempDir);

/// What a run came to.
#[derive(Debug)]
struct Run {
    code: i32,
    output: String,
    errors: String,
}

impl Computer {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn start(&self, arguments: &[&str]) -> Child {
        let mut command = Command::new(PROGRAM);
        command.args(arguments).env("HOME", self.0.path()).env_remove("XDG_DATA_HOME");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    fn run(&self, arguments: &[&str], typed: &str) -> Run {
        let mut child = self.start(arguments);
        // A run that asks for nothing may have ended already.
        let _ = child.stdin.take().unwrap().write_all(typed.as_bytes());
        let output = child.wait_with_output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Run { code: output.status.code().unwrap(), output: text(output.stdout), errors: text(output.stderr) }
    }

    fn succeeds(&self, arguments: &[&str], typed: &str) -> String {
        let run = self.run(arguments, typed);
        assert_eq!(run.code, 0, "{arguments:?}: {run:?}");
        run.output
    }

    /// Runs what must fail, and answers why it says it did: one sentence.
    fn fails(&self, arguments: &[&str], typed: &str) -> String {
        let run = self.run(arguments, typed);
        assert!(run.code == 1 && run.output.is_empty(), "{arguments:?}: {run:?}");
        let sentence = run.errors.rsplit("example-desktop: ").next().unwrap().to_owned();
        assert!(run.errors.contains("example-desktop: ") && sentence.trim_end().lines().count() == 1, "{run:?}");
        sentence
    }

    /// The file with this name in the data folder, wherever the system has that.
    fn file(&self, name: &str) -> PathBuf {
        let mut folders = vec![self.0.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.file_name().unwrap() == name {
                    return path;
                }
            }
        }
        panic!("there is no file {name}");
    }
}

#[test]
fn people_sign_up_in_and_out_and_stay_signed_in_between_runs() {
    let computer = Computer::new();
    assert!(computer.fails(&["whoami"], "").contains("nobody is signed in"));
    assert!(computer.succeeds(&["sign-up", "Ada"], PASSWORD).contains("Hello, ada."));
    for _ in 0..2 {
        assert_eq!(computer.succeeds(&["whoami"], ""), "ada\n");
    }
    assert!(computer.fails(&["sign-up", "bob"], PASSWORD).contains("ada is signed in; sign out first"));
    assert_eq!(computer.succeeds(&["sign-out"], ""), "Goodbye, ada.\n");
    assert!(computer.fails(&["whoami"], "").contains("nobody is signed in"));
    assert!(computer.fails(&["sign-out"], "").contains("nobody is signed in"));

    computer.succeeds(&["sign-up", "bob"], "another password");
    computer.succeeds(&["sign-out"], "");
    computer.succeeds(&["sign-in", "ADA"], &format!("{PASSWORD}\n"));
    assert_eq!(computer.succeeds(&["whoami"], ""), "ada\n");
}

#[test]
fn only_the_right_password_of_the_right_person_signs_in() {
    let computer = Computer::new();
    for (login, password) in [("ada", PASSWORD), ("bob", "another password")] {
        computer.succeeds(&["sign-up", login], password);
        computer.succeeds(&["sign-out"], "");
    }
    for (login, typed) in
        [("ada", "another password"), ("ada", ""), ("ada", "correct horse "), ("eve", PASSWORD), ("", PASSWORD)]
    {
        let refused = computer.fails(&["sign-in", login], typed);
        assert!(refused.contains("the login or the password is wrong"), "{login} {typed:?}: {refused}");
        assert!(computer.fails(&["whoami"], "").contains("nobody is signed in"));
    }
    computer.succeeds(&["sign-in", "ada"], PASSWORD);
}

#[test]
fn a_login_is_one_word_that_nobody_has_and_a_password_is_not_short() {
    let computer = Computer::new();
    computer.succeeds(&["sign-up", "ada"], PASSWORD);
    computer.succeeds(&["sign-out"], "");
    for (login, typed, sentence) in [
        ("ADA", PASSWORD, "somebody is called ada already"),
        ("", PASSWORD, "one word"),
        ("ada l", PASSWORD, "one word"),
        ("bob", "1234567", "at least 8 characters"),
    ] {
        let refused = computer.fails(&["sign-up", login], typed);
        assert!(refused.contains(sentence), "{login}: {refused}");
    }
    computer.succeeds(&["sign-in", "ada"], PASSWORD);
}

#[test]
fn a_session_whose_token_was_lost_is_listed_and_ends_with_all_others() {
    let computer = Computer::new();
    computer.succeeds(&["sign-up", "ada"], PASSWORD);
    let lost = fs::read(computer.file("session")).unwrap();
    fs::remove_file(computer.file("session")).unwrap();
    computer.succeeds(&["sign-in", "ada"], PASSWORD);
    let listed = computer.succeeds(&["sessions"], "");
    let marks: Vec<bool> = listed.lines().map(|line| line.ends_with("(this one)")).collect();
    assert_eq!(marks, [false, true], "{listed}");

    let token_file = computer.file("session");
    computer.succeeds(&["sign-out", "--everywhere"], "");
    assert!(!token_file.exists());
    fs::write(token_file, lost).unwrap();
    assert!(computer.fails(&["whoami"], "").contains("nobody is signed in"));
    computer.succeeds(&["sign-in", "ada"], PASSWORD);
    assert_eq!(computer.succeeds(&["sessions"], "").lines().count(), 1);
}

#[test]
fn what_is_kept_is_for_its_owner_only_and_has_no_password() {
    let computer = Computer::new();
    computer.succeeds(&["sign-up", "ada"], PASSWORD);
    for (name, mode) in [("session", 0o600), ("accounts.redb", 0o600)] {
        let path = computer.file(name);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, mode, "{name}");
        let bytes = fs::read(&path).unwrap();
        assert!(!bytes.windows(PASSWORD.len()).any(|window| window == PASSWORD.as_bytes()), "{name}");
        let folder = path.parent().unwrap();
        assert_eq!(fs::metadata(folder).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(fs::read_dir(folder).unwrap().count(), 2, "nothing else is left there");
    }
    let token = fs::read(computer.file("session")).unwrap();
    let file = fs::read(computer.file("accounts.redb")).unwrap();
    assert!(!file.windows(token.len()).any(|window| window == token));
}

#[test]
fn a_second_window_is_told_that_there_is_one() {
    let computer = Computer::new();
    let mut first = computer.start(&["sign-up", "ada"]);
    let mut question = [0; 10];
    first.stderr.as_mut().unwrap().read_exact(&mut question).unwrap();
    assert_eq!(&question, b"Choose a p");
    assert!(computer.fails(&["whoami"], "").contains("another window of this program is open; close it first"));
    first.stdin.take().unwrap().write_all(PASSWORD.as_bytes()).unwrap();
    assert!(first.wait().unwrap().success());
    assert_eq!(computer.succeeds(&["whoami"], ""), "ada\n");
}
