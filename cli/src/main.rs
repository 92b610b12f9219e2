//! The command `authkv`: copies a store between a file and a cluster.

use std::process::ExitCode;

use authkv::{CopyProgress, Place};
use clap::{Parser, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};

/// Looks after stores of the crate authkv.
#[derive(Parser)]
#[command(name = "authkv", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Copies a store to a place where there is none, and verifies the copy. A copy that was interrupted goes on when the
    /// same command is run again. Stop the application first.
    Copy {
        /// A file, or a cluster as etcd://a:2379,b:2379,c:2379/namespace
        from: Place,
        /// A file that does not exist, or a cluster with a namespace that is not used
        to: Place,
        /// Leave out rows that are damaged, and list each on standard error. Repair the copy afterwards
        #[arg(long)]
        salvage: bool,
    },
}

fn main() -> ExitCode {
    let Command::Copy { from, to, salvage } = Arguments::parse().command;
    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template("pass {prefix}: {wide_bar} {pos} of {len} rows, {eta} left") {
        bar.set_style(style);
    }
    let on_progress = |progress: CopyProgress| {
        bar.set_prefix(progress.pass.to_string());
        bar.set_length(progress.rows);
        bar.set_position(progress.rows_done);
    };
    let copied = if salvage {
        authkv::salvage(&from, &to, on_progress).map(|salvaged| (salvaged.rows, salvaged.left_out, salvaged.hidden))
    } else {
        authkv::copy(&from, &to, on_progress).map(|rows| (rows, Vec::new(), 0))
    };
    bar.finish_and_clear();
    match copied {
        Ok((rows, left_out, hidden)) => {
            for row in &left_out {
                eprintln!("left out: {row}");
            }
            if hidden > 0 {
                eprintln!("left out: {hidden} rows that damaged pages hide");
            }
            println!("{rows} rows copied from {from} to {to}, and verified");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("authkv: {error}");
            ExitCode::FAILURE
        }
    }
}
