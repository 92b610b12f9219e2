//! The costs of authkv compared with bare redb and with what people use now.

mod args;
mod call;
mod child;
mod deletion;
mod fleet;
mod folder;
mod full;
mod goals;
mod load;
mod machine;
mod peers;
mod people;
mod progress;
mod rounds;
mod rows;
mod stats;
mod stopwatch;
mod work;

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Result;
use clap::Parser;

use args::{Args, Task};
use folder::Folder;
use goals::Plan;
use progress::Progress;

/// Exits with 1 when a goal is missed, and with 2 when nothing could be measured.
fn main() -> ExitCode {
    run().unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::from(2)
    })
}

fn run() -> Result<ExitCode> {
    match Args::parse().task {
        Task::Check(check) => {
            let folder = Folder::new(check.data.folder.as_deref())?;
            let progress = Progress::shown();
            let plan = Plan {
                folder: folder.path(),
                users: check.users,
                rounds: check.rounds,
                round_ms: check.round_ms,
                progress: &progress,
            };
            let goals = goals::measure(&plan, &Arc::new(rows::learn()?))?;
            print!("{}\n{}", goals::table(&goals), machine::facts(folder.path()));
            let met = goals.iter().all(goals::Goal::is_met);
            Ok(if met || check.report_only { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Task::Full(full) => {
            let folder = Folder::new(full.data.folder.as_deref())?;
            full::run(&full, folder.path(), &Arc::new(rows::learn()?), &Progress::shown())?;
            Ok(ExitCode::SUCCESS)
        }
        Task::Child { role, path, users } => {
            child::run(role, &path, users)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}
