//! Child processes that serve a file, to be measured from outside or killed.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use authkv::AuthKv;
use clap::ValueEnum;

use crate::peers::authkv::new_session;
use crate::people::{Person, token};

/// How many sessions are read and how many are written while a file is served.
const SERVED: (u64, u64) = (200_000, 2_000);
/// How many callers write until the process is killed.
const WRITERS: usize = 8;
/// How many writes may be unanswered at a time.
const IN_FLIGHT: u64 = 64;
/// How long a process stays idle or writes before it is killed.
const BEFORE_KILL: Duration = Duration::from_secs(2);
const READY: &str = "ready";

/// What the process does with the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Role {
    /// Reads and writes, and prints how many KiB were resident at most.
    Serve,
    /// Writes, and then does nothing until it is killed.
    Idle,
    /// Writes until it is killed.
    Write,
}

/// The work of the child process.
///
/// # Errors
/// When the store fails.
pub fn run(role: Role, path: &Path, users: u64) -> Result<()> {
    let auth = AuthKv::open(path)?;
    let mut dice = fastrand::Rng::new();
    match role {
        Role::Serve => {
            for _ in 0..SERVED.0 {
                let token = Person(dice.u64(..users)).session_token();
                auth.get_session_and_user(&token).wait()?.context("a session is missing")?;
            }
            write(&auth, users, SERVED.1)?;
            println!("{}", resident_kib()?);
        }
        Role::Idle => {
            write(&auth, users, IN_FLIGHT)?;
            println!("{READY}");
            std::thread::sleep(Duration::MAX);
        }
        Role::Write => std::thread::scope(|scope| {
            let writers: Vec<_> = (0..WRITERS)
                .map(|_| {
                    scope.spawn(|| -> Result<()> {
                        loop {
                            write(&auth, users, 1)?
                        }
                    })
                })
                .collect();
            println!("{READY}");
            writers.into_iter().try_for_each(|writer| writer.join().ok().context("a writer panicked")?)
        })?,
    }
    Ok(())
}

fn write(auth: &AuthKv, users: u64, sessions: u64) -> Result<()> {
    let mut dice = fastrand::Rng::new();
    let expires_ms = crate::peers::first_expiry_ms();
    let mut left = sessions;
    while left > 0 {
        let some = left.min(IN_FLIGHT);
        let create = |_| {
            let user_id = Person(dice.u64(..users)).user_id();
            Ok(auth.create_session(new_session(user_id, &token(&mut dice), expires_ms)?))
        };
        let replies = (0..some).map(create).collect::<Result<Vec<_>>>()?;
        replies.into_iter().try_for_each(|reply| reply.wait().map(drop))?;
        left -= some;
    }
    Ok(())
}

fn resident_kib() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("the memory is not told")?;
    Ok(line.trim().trim_end_matches("kB").trim().parse()?)
}

/// Starts a process in this role and returns the number that it prints.
///
/// # Errors
/// When the process cannot be started, or fails.
pub fn finished(role: Role, path: &Path, users: u64) -> Result<f64> {
    let mut child = spawn(role, path, users)?;
    let mut printed = String::new();
    child.stdout.take().context("it has no output")?.read_to_string(&mut printed)?;
    ensure!(child.wait()?.success(), "the process failed");
    Ok(printed.trim().parse()?)
}

/// Starts a process in this role and kills it after a while.
///
/// # Errors
/// When the process cannot be started, or ends by itself.
pub fn killed(role: Role, path: &Path, users: u64) -> Result<()> {
    let mut child = spawn(role, path, users)?;
    let mut line = String::new();
    BufReader::new(child.stdout.take().context("it has no output")?).read_line(&mut line)?;
    ensure!(line.trim() == READY, "the process failed");
    std::thread::sleep(BEFORE_KILL);
    ensure!(child.try_wait()?.is_none(), "the process has ended by itself");
    child.kill()?;
    child.wait()?;
    Ok(())
}

fn spawn(role: Role, path: &Path, users: u64) -> Result<Child> {
    let role = role.to_possible_value().context("the role has no name")?;
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["child", role.get_name()]).arg(path).arg(users.to_string());
    command.stdout(Stdio::piped()).spawn().context("a process cannot be started")
}
