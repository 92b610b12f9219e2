//! Size: of the file and of the process that serves it, and how fast the file opens.

use std::path::Path;
use std::time::Instant;

use anyhow::Result;
use authkv::AuthKv;

use super::{Goal, Limit, Plan, Unit};
use crate::child::{self, Role};
use crate::fleet::Fleet;
use crate::peers::Kind;
use crate::stats::Spread;

const OPENINGS_MAX: u64 = 5;

pub fn measure(plan: &Plan<'_>, fleet: &Fleet) -> Result<Vec<Goal>> {
    let stage = plan.progress.stage("size, memory and opening", 5);
    let length = |kind| -> Result<f64> { Ok(std::fs::metadata(fleet.filled(kind, plan.progress)?)?.len() as f64) };
    let size = Goal {
        what: format!("size of a file with {} users beside rusqlite's", fleet.users),
        limit: Limit::AtMost(1.4),
        figure: Spread::exactly(length(Kind::Authkv)? / length(Kind::Rusqlite)?),
        unit: Unit::Times,
    };
    stage.inc(1);

    let path = fleet.copied(Kind::Authkv, "authkv-size", plan.progress)?;
    let served = child::finished(Role::Serve, &path, fleet.users)?;
    let resident = Goal {
        what: format!("resident memory when serving {} users with default settings, at most", fleet.users),
        limit: Limit::AtMost(96.0),
        figure: Spread::exactly(served / 1_024.0),
        unit: Unit::Mebibytes,
    };
    stage.inc(1);

    let mut goals = vec![size, resident];
    for (what, role, most_ms) in [
        ("a clean close", None, 5.0),
        ("a kill when idle", Some(Role::Idle), 5.0),
        ("a kill under load", Some(Role::Write), 1_000.0),
    ] {
        let opened = (0..plan.rounds.min(OPENINGS_MAX))
            .map(|_| open_after(&path, role, fleet.users))
            .collect::<Result<Vec<_>>>()?;
        goals.push(Goal {
            what: format!("opening a file of {} users after {what}", fleet.users),
            limit: Limit::AtMost(most_ms),
            figure: Spread::whole(opened),
            unit: Unit::Milliseconds,
        });
        stage.inc(1);
    }
    Ok(goals)
}

/// The milliseconds that opening takes after a process in this role was killed, or after a clean close.
fn open_after(path: &Path, killed: Option<Role>, users: u64) -> Result<f64> {
    match killed {
        Some(role) => child::killed(role, path, users)?,
        None => drop(AuthKv::open(path)?),
    }
    let start = Instant::now();
    let auth = AuthKv::open(path)?;
    let elapsed = start.elapsed();
    auth.close().wait()?;
    Ok(elapsed.as_secs_f64() * 1e3)
}
