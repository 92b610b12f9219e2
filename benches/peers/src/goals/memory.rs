//! Stores in memory, which tests create in large numbers: opening one, and creating users in it.

use std::sync::Arc;

use anyhow::Result;
use authkv::AuthKv;

use super::reads::ratio;
use super::{Goal, Limit, Plan, Unit};
use crate::peers::authkv::new_user;
use crate::peers::bare_redb::BareRedb;
use crate::peers::rows::{Store, put};
use crate::people::Person;
use crate::rounds::{self, Variant};
use crate::rows::{Shapes, Values};
use crate::stats::Spread;
use crate::stopwatch::Stopwatch;

/// How many rounds replace one of the plan's, because these are short.
const ROUNDS: u64 = 3;

pub fn measure(plan: &Plan<'_>, shapes: &Arc<Shapes>) -> Result<Vec<Goal>> {
    Ok(vec![opening(plan, shapes)?, creating_users(plan, shapes)?, threads()?])
}

fn opening(plan: &Plan<'_>, shapes: &Shapes) -> Result<Goal> {
    let count = plan.calls(5_000, 1);
    let ours: Variant<'_> = Box::new(|_| {
        let stopwatch = Stopwatch::start();
        for _ in 0..count {
            AuthKv::in_memory()?;
        }
        Ok(stopwatch.seconds())
    });
    let theirs: Variant<'_> = Box::new(|_| {
        let stopwatch = Stopwatch::start();
        for _ in 0..count {
            BareRedb::in_memory(shapes)?;
        }
        Ok(stopwatch.seconds())
    });
    let costs = rounds::measure(plan.rounds * ROUNDS, vec![ours, theirs], plan.progress, "opening in memory")?;
    let what = format!("in memory: stores opened, beside bare redb with the same {} tables", shapes.tables.len());
    ratio(&what, Limit::AtLeast(0.8), &costs, 1, 0)
}

fn creating_users(plan: &Plan<'_>, shapes: &Shapes) -> Result<Goal> {
    let auth = AuthKv::in_memory()?;
    let bare = BareRedb::in_memory(shapes)?;
    let count = plan.calls(15_000, 1) as u64;
    let ours: Variant<'_> = Box::new(|round| {
        let stopwatch = Stopwatch::start();
        for number in round * count..(round + 1) * count {
            auth.create_user(new_user(Person(number))).wait()?;
        }
        Ok(stopwatch.seconds())
    });
    let theirs: Variant<'_> = Box::new(|round| {
        let stopwatch = Stopwatch::start();
        for number in round * count..(round + 1) * count {
            bare.write(|txn| put(txn, &shapes.user, &Values::of_user(Person(number))))?;
        }
        Ok(stopwatch.seconds())
    });
    let costs = rounds::measure(plan.rounds * ROUNDS, vec![ours, theirs], plan.progress, "creating users in memory")?;
    ratio("in memory: create_user beside a bare insert of the same rows", Limit::AtMost(3.0), &costs, 0, 1)
}

fn threads() -> Result<Goal> {
    let count = || std::fs::read_dir("/proc/self/task").map(Iterator::count);
    let before = count()?;
    let auth = AuthKv::in_memory()?;
    auth.create_user(new_user(Person(0))).wait()?;
    let started = count()?.saturating_sub(before);
    Ok(Goal {
        what: "in memory: threads started".into(),
        limit: Limit::AtMost(0.0),
        figure: Spread::exactly(started as f64),
        unit: Unit::Threads,
    })
}
