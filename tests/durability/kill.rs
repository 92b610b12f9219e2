//! Kills. Goal: when a process is killed at any moment, the file contains every operation that was acknowledged, and
//! each other operation completely or not at all.
//!
//! Method: this program starts itself as another process, in which eight callers do random operations on one file. Each
//! prints a line before an operation and another after its acknowledgement. The process is killed without warning, and
//! sometimes again while it reopens the file. Then everything that any process has done is compared with a model: for
//! an operation without acknowledgement either outcome is right. The file is used again and grows.

use std::collections::BTreeMap;
use std::env;
use std::io::{BufRead, BufReader, Lines};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;
use std::time::Duration;

use authkv::AuthKv;
use fastrand::Rng;

use crate::history::{Counts, Keys, Op, State, options};
use crate::seeds;

const FILES: u32 = 1;
const KILLS_PER_FILE: u64 = 30;
const CALLERS: u64 = 8;
const ACKNOWLEDGED_MAX: usize = 600;

const FILE: &str = "AUTHKV_TEST_KILL_FILE";
const SEED: &str = "AUTHKV_TEST_KILL_SEED";
const LIFE: &str = "AUTHKV_TEST_KILL_LIFE";

#[test]
fn what_a_killed_process_acknowledged_is_in_the_file() {
    for tally in seeds::for_each_seed(FILES, |seed| History::new(seed).run()) {
        let Tally { acknowledged, kept, lost, in_opening } = tally;
        println!(
            "kill: {KILLS_PER_FILE} kills under load and {in_opening} while opening; {acknowledged} operations were \
             acknowledged; of the others {kept} were kept and {lost} lost or without effect"
        );
        let kills = KILLS_PER_FILE as usize;
        assert!(acknowledged > 50 * kills && kept + lost > kills && in_opening > kills / 5);
    }
}

/// The operations of one caller in one life of the process. Each works on records made in this life or an earlier one.
fn operations(seed: u64, life: u64, caller: u64) -> impl Iterator<Item = (Owner, Op)> {
    let mut random = Rng::with_seed(seed << 32 | life << 8 | caller);
    std::iter::repeat_with(move || {
        let life = if random.u8(..4) == 0 { random.u64(..=life) } else { life };
        (Owner { life, caller }, Op::random(&mut random))
    })
    // A purge affects all callers, but here each caller must know its own records.
    .filter(|(_, op)| !op.is_about_expiry())
}

/// The owner of keys: a caller in a life.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Owner {
    life: u64,
    caller: u64,
}

impl Owner {
    fn keys(self) -> Keys {
        Keys(format!("{}.{}.example.com", self.caller, self.life))
    }
}

#[test]
#[ignore = "the process that is killed"]
fn the_process_that_is_killed() {
    let variable = |name| env::var(name).ok();
    let (Some(file), Some(seed), life) = (variable(FILE), variable(SEED), variable(LIFE)) else { return };
    let seed = seed.parse().unwrap();
    let kv = options().open(file).unwrap();
    // The test harness may have left a line unfinished.
    println!("\nopen");
    let Some(life) = life else {
        thread::park();
        return;
    };
    let life = life.parse().unwrap();
    thread::scope(|scope| {
        for caller in 0..CALLERS {
            let kv = &kv;
            let executor = tokio::runtime::Builder::new_current_thread().build().unwrap();
            scope.spawn(move || executor.block_on(work(kv, operations(seed, life, caller), caller)));
        }
    });
}

async fn work(kv: &AuthKv, operations: impl Iterator<Item = (Owner, Op)>, caller: u64) {
    for (owner, op) in operations {
        println!("{caller} starts");
        let answer = op.call(kv, &owner.keys()).await.unwrap();
        println!("{caller} {answer}");
    }
}

/// Everything that was done to one file.
struct History {
    seed: u64,
    random: Rng,
    states: BTreeMap<Owner, State>,
    tally: Tally,
}

#[derive(Default)]
struct Tally {
    acknowledged: usize,
    kept: usize,
    lost: usize,
    in_opening: usize,
}

impl History {
    fn new(seed: u64) -> Self {
        Self { seed, random: Rng::with_seed(seed), states: BTreeMap::new(), tally: Tally::default() }
    }

    fn run(mut self) -> Tally {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("app.redb");
        for life in 0..KILLS_PER_FILE {
            if self.random.bool() {
                self.kill_in_opening(&file);
            }
            let started = self.live(&file, life);
            if self.random.bool() {
                self.kill_in_opening(&file);
            }
            self.must_be_in(&file, started);
        }
        self.tally
    }

    fn kill_in_opening(&mut self, file: &Path) {
        let process = Process::start(file, self.seed, None);
        thread::sleep(Duration::from_micros(self.random.u64(..30_000)));
        process.kill();
        self.tally.in_opening += 1;
    }

    /// Lets the process work and kills it. Returns the operations that were started and not acknowledged.
    fn live(&mut self, file: &Path, life: u64) -> BTreeMap<Owner, Op> {
        let mut callers: Vec<_> = (0..CALLERS).map(|caller| operations(self.seed, life, caller)).collect();
        let mut started = BTreeMap::new();
        let mut process = Process::start(file, self.seed, Some(life));
        let last = self.random.usize(..ACKNOWLEDGED_MAX);
        let (mut acknowledged, mut is_struck) = (0, false);
        while let Some((caller, event)) = process.next() {
            match event {
                Event::Started => {
                    let operation = callers[caller].next().unwrap();
                    assert!(started.insert(caller, operation).is_none());
                }
                Event::Acknowledged(answer) => {
                    let (owner, op) = started.remove(&caller).unwrap();
                    assert_eq!(self.states.entry(owner).or_default().apply(&op), answer, "{op:?}");
                    acknowledged += 1;
                }
            }
            if acknowledged >= last && !is_struck {
                thread::sleep(Duration::from_micros(self.random.u64(..3_000)));
                process.strike();
                is_struck = true;
            }
        }
        process.kill();
        self.tally.acknowledged += acknowledged;
        started.into_values().collect()
    }

    /// Opens the file and compares its contents with the history.
    fn must_be_in(&mut self, file: &Path, mut started: BTreeMap<Owner, Op>) {
        let kv = options().open(file).unwrap();
        let counts = Counts::read(&kv).unwrap();
        for owner in started.keys() {
            self.states.entry(*owner).or_default();
        }
        for (owner, state) in &mut self.states {
            let found = State::read(&kv, &owner.keys()).unwrap();
            match started.remove(owner) {
                Some(op) if found != *state => {
                    self.tally.kept += 1;
                    state.apply(&op);
                }
                Some(_) => self.tally.lost += 1,
                None => {}
            }
            assert_eq!(found, *state);
        }
        assert_eq!(counts, Counts::sum(self.states.values().map(State::counts)));
        for state in self.states.values_mut() {
            *state = std::mem::take(state).without_tokens();
        }
        kv.close().wait().unwrap();
    }
}

/// The process that is killed.
struct Process {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

enum Event {
    Started,
    Acknowledged(bool),
}

impl Process {
    /// Starts the process. Without a life it only opens the file.
    fn start(file: &Path, seed: u64, life: Option<u64>) -> Self {
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["kill::the_process_that_is_killed", "--exact", "--ignored", "--nocapture"]);
        command.env(FILE, file).env(SEED, seed.to_string()).env_remove(LIFE).stdout(Stdio::piped());
        if let Some(life) = life {
            command.env(LIFE, life.to_string());
        }
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// The next line of a caller. `None` when the process is dead.
    fn next(&mut self) -> Option<(usize, Event)> {
        loop {
            let line = self.lines.next()?.unwrap();
            let Some((caller, event)) = line.split_once(' ') else { continue };
            let Ok(caller) = caller.parse() else { continue };
            let event = if event == "starts" { Event::Started } else { Event::Acknowledged(event.parse().unwrap()) };
            return Some((caller, event));
        }
    }

    fn strike(&mut self) {
        self.child.kill().unwrap();
    }

    /// Kills the process, which must not have ended by itself.
    fn kill(mut self) {
        self.strike();
        let status = self.child.wait().unwrap();
        assert!(status.code().is_none() || cfg!(windows), "the process ended by itself: {status}");
    }
}
