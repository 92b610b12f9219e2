//! Command-line arguments.

use std::path::PathBuf;

use clap::{Args as Arguments, Parser, Subcommand, value_parser};

use crate::child::Role;
use crate::peers::Kind;
use crate::work::Operation;

/// Measures authkv beside bare redb, which is the limit, and beside SQLite, LMDB and fjall.
///
/// All peers hold the same people and sync each write before they answer it. What is compared is measured in turns within
/// one run, in an order that chance decides; a figure is the median of the ratios of the rounds.
#[derive(Parser)]
#[command(name = "authkv-bench", version)]
pub struct Args {
    #[command(subcommand)]
    pub task: Task,
}

#[derive(Subcommand)]
pub enum Task {
    /// Compare with the goals, and exit with 1 if one is missed; takes less than 10 minutes
    Check(Check),
    /// Measure each operation at each peer, at several sizes, as tables and a plot; takes most of an hour
    Full(Full),
    /// What the parent looks at from outside, or kills
    #[command(hide = true)]
    Child { role: Role, path: PathBuf, users: u64 },
}

#[derive(Arguments)]
pub struct Check {
    /// How many users there are, each with an account and a session
    #[arg(long, default_value_t = 100_000)]
    pub users: u64,
    /// How many rounds of writes are measured; of reads, which are short, three times as many
    #[arg(long, default_value_t = 11, value_parser = value_parser!(u64).range(1..))]
    pub rounds: u64,
    /// How long each variant is measured in a round, about, in milliseconds
    #[arg(long, default_value_t = 250, value_parser = value_parser!(u64).range(1..))]
    pub round_ms: u64,
    /// Exit with 0 even if a goal is missed
    #[arg(long)]
    pub report_only: bool,
    #[command(flatten)]
    pub data: Data,
}

#[derive(Arguments)]
pub struct Full {
    /// How many users there are, each with an account and a session: one table for each number
    #[arg(long, value_delimiter = ',', default_values_t = [10_000, 100_000, 1_000_000])]
    pub users: Vec<u64>,
    /// Which peers are measured; `authkv` has to be among them for the others to be compared with it
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Kind::ALL)]
    pub peers: Vec<Kind>,
    /// What is called
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Operation::ALL)]
    pub operations: Vec<Operation>,
    /// How many call at once; deletions are called by one
    #[arg(long, value_delimiter = ',', default_values_t = [1, 8, 64, 512], value_parser = value_parser!(u16).range(1..))]
    pub callers: Vec<u16>,
    /// How many rounds are measured
    #[arg(long, default_value_t = 5, value_parser = value_parser!(u64).range(1..))]
    pub rounds: u64,
    /// How long each operation is measured at each peer in a round, about, in milliseconds
    #[arg(long, default_value_t = 200, value_parser = value_parser!(u64).range(1..))]
    pub round_ms: u64,
    /// Write the tables into this file too, as Markdown
    #[arg(long)]
    pub markdown: Option<PathBuf>,
    /// Write a plot into this file
    #[arg(long)]
    pub svg: Option<PathBuf>,
    #[command(flatten)]
    pub data: Data,
}

#[derive(Arguments)]
pub struct Data {
    /// The folder for the data files, which are removed at the end [default: the system's for temporary files]
    #[arg(long)]
    pub folder: Option<PathBuf>,
}
