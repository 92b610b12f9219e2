//! The full comparison: each operation with each number of callers at each peer, at several sizes.

mod markdown;
mod matrix;
mod plot;

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};

use crate::args::Full;
use crate::fleet::Fleet;
use crate::goals::{self, Goal, Plan};
use crate::machine;
use crate::peers::Kind;
use crate::progress::Progress;
use crate::rows::Shapes;
use crate::stats::Spread;
use crate::work::Operation;

/// All measurements.
pub struct Results {
    /// The numbers of users, of callers, and the peers, in the order of the arguments.
    sizes: Vec<u64>,
    callers: Vec<usize>,
    kinds: Vec<Kind>,
    cells: Vec<Cell>,
    files: Vec<Files>,
    deletions: Vec<Deletions>,
    /// The goals that apply at every size.
    goals: Vec<Goal>,
    machine: String,
}

/// One operation with this many callers at one peer.
pub struct Cell {
    users: u64,
    operation: Operation,
    callers: usize,
    kind: Kind,
    per_second: f64,
    /// The ratio to authkv's time. None if authkv was not measured.
    beside_authkv: Option<Spread>,
    p50_us: f64,
    p99_us: f64,
}

/// The disk space of one peer's files.
pub struct Files {
    users: u64,
    kind: Kind,
    bytes: u64,
}

/// Deleting a user with very many sessions.
pub struct Deletions {
    users: u64,
    kind: Kind,
    answered_ms: Spread,
    /// The longest time that another writer waited, during the deletion and shortly after.
    longest_wait_ms: Spread,
}

/// Measures, prints the tables, and writes the files that the arguments ask for.
///
/// # Errors
/// When a store fails or gives a wrong answer, or a file cannot be written.
pub fn run(full: &Full, folder: &Path, shapes: &Arc<Shapes>, progress: &Progress) -> Result<()> {
    let mut results = Results {
        sizes: full.users.clone(),
        callers: full.callers.iter().copied().map(usize::from).collect(),
        kinds: full.peers.clone(),
        cells: Vec::new(),
        files: Vec::new(),
        deletions: Vec::new(),
        goals: Vec::new(),
        machine: machine::facts(folder),
    };
    for users in &full.users {
        let fleet = Fleet::new(folder, *users, shapes)?;
        for kind in &full.peers {
            let bytes = bytes(&fleet.filled(*kind, progress)?)?;
            results.files.push(Files { users: *users, kind: *kind, bytes });
        }
        matrix::measure(full, &fleet, progress, &mut results)?;
        let plan = Plan { folder, users: *users, rounds: full.rounds, round_ms: full.round_ms, progress };
        results.goals.extend(goals::measure_at_every_size(&plan, &fleet)?);
        fleet.remove()?;
    }
    let text = markdown::text(&results);
    print!("{text}");
    if let Some(path) = &full.markdown {
        write(path, &text)?;
    }
    if let Some(path) = &full.svg {
        write(path, &plot::svg(&results)?)?;
    }
    Ok(())
}

impl Results {
    fn cell(&self, users: u64, operation: Operation, callers: usize, kind: Kind) -> Option<&Cell> {
        let wanted = (users, operation, callers, kind);
        self.cells.iter().find(|cell| (cell.users, cell.operation, cell.callers, cell.kind) == wanted)
    }

    /// The middle size, for a table or picture that shows only one.
    fn middle_size(&self) -> u64 {
        self.sizes.get(self.sizes.len() / 2).copied().unwrap_or_default()
    }
}

fn write(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text).with_context(|| format!("{} cannot be written", path.display()))
}

/// The disk space of a file, or of all files in a folder. It is less than their lengths where they have holes.
fn bytes(path: &Path) -> Result<u64> {
    let metadata = std::fs::metadata(path)?;
    if metadata.is_dir() {
        return std::fs::read_dir(path)?.map(|entry| bytes(&entry?.path())).sum();
    }
    Ok(metadata.len().min(metadata.blocks() * 512))
}
