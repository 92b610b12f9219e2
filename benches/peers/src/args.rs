//! The arguments.

use std::path::PathBuf;

use clap::{Args as Arguments, Parser, Subcommand};

use crate::child::Role;
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
    /// Time the calls of every peer beside those of authkv
    Compare(Compare),
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
    #[arg(long, default_value_t = 11)]
    pub rounds: u64,
    /// How long each variant is measured in a round, about, in milliseconds
    #[arg(long, default_value_t = 250)]
    pub round_ms: u64,
    /// Exit with 0 even if a goal is missed
    #[arg(long)]
    pub report_only: bool,
    #[command(flatten)]
    pub data: Data,
}

#[derive(Arguments)]
pub struct Compare {
    /// How many users there are, each with an account and a session
    #[arg(long, default_value_t = 10_000)]
    pub users: u64,
    /// How many rounds are measured
    #[arg(long, default_value_t = 5)]
    pub rounds: u64,
    /// What is called
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        default_value = "session,user-by-email,create-session,extend-session,sign-up,use-token,delete-user,delete-user100"
    )]
    pub operations: Vec<Operation>,
    /// How many call at once; deletions are called by one
    #[arg(long, value_delimiter = ',', default_value = "1,64")]
    pub callers: Vec<usize>,
    #[command(flatten)]
    pub data: Data,
}

#[derive(Arguments)]
pub struct Data {
    /// The folder for the data files, which are removed at the end [default: the system's for temporary files]
    #[arg(long)]
    pub folder: Option<PathBuf>,
}
