//! Tests of damaged files. Goal: a value is never wrong, detectable damage is reported, and redb's panics over damaged
//! pages neither reach the caller nor end the process. Method: a store with some of everything is closed, its file
//! damaged at random, opened with and without verification, and asked for everything that was stored. This happens in
//! child processes, so that the death of one is noticed, and the parent names the damage that caused it.
mod damage;
mod harm;
mod rows;
mod sample;

use std::env;
use std::io::{BufRead, BufReader};
use std::ops::Range;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use harm::Harm;

use crate::seeds;

const DAMAGES: u32 = 600;
/// How many damages a child handles: starting a child takes longer than handling a damage.
const DAMAGES_OF_A_CHILD: u64 = 30;
/// Longer than any damage takes on a slow machine.
const PATIENCE: Duration = Duration::from_secs(120);
/// Names the file and the seeds for a child.
const CHILD: &str = "AUTHKV_TEST_CHILD";

/// `AUTHKV_TEST_SCALE` multiplies the number of damages; `AUTHKV_TEST_SEED` handles only the one with this seed.
#[test]
fn damage_is_reported_or_harmless_and_never_ends_the_process() {
    if let Ok(task) = env::var(CHILD) {
        return harm::suffer(&task);
    }
    let seeds = seeds::seeds(DAMAGES);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("whole.redb");
    sample::make(&path).unwrap();
    let failures = Mutex::new(Vec::new());
    let harm = Mutex::new(Harm::default());
    let rest = Mutex::new(seeds.clone());
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().unwrap().get() {
            scope.spawn(|| {
                let next = || some_of(&mut rest.lock().unwrap());
                while let Some(mut seeds) = next() {
                    // If a child dies of a damage, another child continues after it.
                    while !seeds.is_empty() {
                        if let Err(failure) = child(&path, &mut seeds, &mut |line| harm.lock().unwrap().add(line)) {
                            failures.lock().unwrap().push(failure);
                        }
                    }
                }
            });
        }
    });
    let (failures, harm) = (failures.into_inner().unwrap(), harm.into_inner().unwrap());
    println!("{harm}");
    assert!(failures.is_empty(), "{} of {} damages:\n{}", failures.len(), seeds.end - seeds.start, failures.join("\n"));
    if seeds.end - seeds.start >= u64::from(DAMAGES) {
        harm.must_be_telling();
    }
}

fn some_of(rest: &mut Range<u64>) -> Option<Range<u64>> {
    let end = rest.end.min(rest.start + DAMAGES_OF_A_CHILD);
    let some = rest.start..end;
    rest.start = end;
    (!some.is_empty()).then_some(some)
}

/// Handles these damages in a child process and removes the handled ones from `seeds`. The child prints a line when it
/// begins a damage, and one about its effect.
fn child(path: &Path, seeds: &mut Range<u64>, count: &mut dyn FnMut(&str)) -> Result<(), String> {
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "corruption::damage_is_reported_or_harmless_and_never_ends_the_process", "--nocapture"])
        .env(CHILD, format!("{} {} {}", seeds.start, seeds.end, path.display()))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (sender, lines) = mpsc::channel();
    let said = BufReader::new(child.stderr.take().unwrap());
    thread::spawn(move || said.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
    let mut last = "it did not begin".to_owned();
    let why = loop {
        match lines.recv_timeout(PATIENCE) {
            Ok(line) if line.starts_with("seed ") => {
                seeds.start = line.split(' ').nth(1).unwrap().parse::<u64>().unwrap() + 1;
                last = line;
            }
            Ok(line) if line.starts_with("harm ") => count(&line),
            Ok(line) => last = format!("{last}\n    {line}"),
            Err(mpsc::RecvTimeoutError::Timeout) => {
                child.kill().unwrap();
                break "the process hangs".to_owned();
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => break child.wait().unwrap().to_string(),
        }
    };
    child.wait().unwrap();
    if seeds.is_empty() && why == "exit status: 0" {
        return Ok(());
    }
    if last == "it did not begin" {
        seeds.start = seeds.end;
    }
    Err(format!("{why}: {last}"))
}
