//! Reading: the session and its user, on every request.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};
use authkv::AuthKv;
use authkv::redb::ReadableTable;

use super::{Goal, Limit, Plan, Unit};
use crate::call::Peer;
use crate::call::WORKERS;
use crate::fleet::Fleet;
use crate::load::{self, Timing};
use crate::peers::Kind;
use crate::peers::bare_redb::BareRedb;
use crate::people::{Person, hash};
use crate::rounds::{self, Variant};
use crate::rows::{Part, Values};
use crate::stats::Spread;
use crate::stopwatch::Stopwatch;
use crate::work::Operation;

/// How many rounds of reads replace one of the plan's, because they are short.
const ROUNDS: u64 = 3;
/// As many tasks as a busy server has requests.
const TASKS: usize = 64;

pub fn measure(plan: &Plan<'_>, fleet: &Fleet) -> Result<Vec<Goal>> {
    let mut goals = vec![beside_bare_redb(plan, fleet)?];
    goals.extend(beside_sqlite(plan, fleet)?);
    goals.push(with_two_threads(plan, fleet)?);
    goals.extend(beside_a_writer(plan, fleet)?);
    Ok(goals)
}

/// The whole call without the session cache, compared with only the two lookups that it needs.
pub fn beside_bare_redb(plan: &Plan<'_>, fleet: &Fleet) -> Result<Goal> {
    let auth = AuthKv::options().hot_sessions(0).open(fleet.copied(Kind::Authkv, "authkv-reads", plan.progress)?)?;
    let bare = BareRedb::open(&fleet.copied(Kind::Redb, "redb-reads", plan.progress)?, &fleet.shapes)?;
    let snapshot = bare.snapshot();
    let find = |rows: &[crate::rows::Row], part| {
        let known = Values::default().with(part, []);
        rows.iter().position(|row| row.key.is_known(&known)).context("a lookup has no row")
    };
    let by_token = fleet.shapes.session.get(find(&fleet.shapes.session, Part::TokenHash)?).context("no such row")?;
    let by_id = fleet.shapes.user.get(find(&fleet.shapes.user, Part::UserId)?).context("no such row")?;
    let (sessions, users) = (snapshot.table(by_token.table)?, snapshot.table(by_id.table)?);

    let count = plan.calls(300_000, 1);
    let people = |side: u64, round: u64| {
        let mut dice = fastrand::Rng::with_seed(round * 2 + side);
        (0..count).map(move |_| Person(dice.u64(..fleet.users)))
    };
    let ours: Variant<'_> = Box::new(|round| {
        let tokens: Vec<_> = people(0, round).map(Person::session_token).collect();
        let stopwatch = Stopwatch::start();
        for token in &tokens {
            black_box(auth.get_session_and_user(token).wait()?.context("a session is missing")?);
        }
        Ok(stopwatch.seconds())
    });
    let theirs: Variant<'_> = Box::new(|round| {
        let key = |person: Person| {
            let values = Values::default()
                .with(Part::TokenHash, hash(&person.session_token()))
                .with(Part::UserId, *person.user_id().as_bytes());
            (by_token.key.bytes(&values), by_id.key.bytes(&values))
        };
        let keys: Vec<_> = people(1, round).map(key).collect();
        let stopwatch = Stopwatch::start();
        for (token, user) in &keys {
            black_box(ReadableTable::get(sessions, &**token)?.context("a session is missing")?.value());
            black_box(ReadableTable::get(users, &**user)?.context("a user is missing")?.value());
        }
        Ok(stopwatch.seconds())
    });
    let costs = rounds::measure(plan.rounds * ROUNDS, vec![ours, theirs], plan.progress, "reads beside bare redb")?;
    let what = format!("get_session_and_user, {} users, cache off, beside bare redb's two gets", fleet.users);
    ratio(&what, Limit::AtMost(1.35), &costs, 0, 1)
}

fn beside_sqlite(plan: &Plan<'_>, fleet: &Fleet) -> Result<Vec<Goal>> {
    let open = |kind: Kind| fleet.open(kind, &format!("{}-reads", kind.name()), plan.progress);
    let (authkv, rusqlite, sqlx) = (open(Kind::Authkv)?, open(Kind::Rusqlite)?, open(Kind::Sqlx)?);
    let mut goals = Vec::new();
    for (operation, limits) in [(Operation::Session, [2.0, 18.0]), (Operation::SessionSkewed, [10.0, 60.0])] {
        let variant = |peer: &Arc<dyn Peer>, callers: usize, per_second: u64, seed: u64| -> Variant<'_> {
            let peer = Arc::clone(peer);
            let each = plan.calls(per_second, callers);
            Box::new(move |round| fleet.ns_per_call(&peer, operation, callers, each, round * 4 + seed))
        };
        let variants = vec![
            variant(&authkv, 1, 300_000, 0),
            variant(&rusqlite, 1, 150_000, 1),
            variant(&authkv, TASKS, 600_000, 2),
            variant(&sqlx, TASKS, 15_000, 3),
        ];
        let what = format!("{} beside SQLite", operation.name());
        let costs = rounds::measure(plan.rounds * ROUNDS, variants, plan.progress, &what)?;
        let [rusqlite_limit, sqlx_limit] = limits.map(Limit::AtLeast);
        goals.push(ratio(
            &format!("{}: throughput of rusqlite's JOIN, 1 thread", operation.name()),
            rusqlite_limit,
            &costs,
            1,
            0,
        )?);
        let what = format!("{}: throughput of sqlx, {TASKS} tasks on {WORKERS} threads", operation.name());
        goals.push(ratio(&what, sqlx_limit, &costs, 3, 2)?);
    }
    Ok(goals)
}

fn with_two_threads(plan: &Plan<'_>, fleet: &Fleet) -> Result<Goal> {
    let authkv = fleet.open(Kind::Authkv, "authkv-threads", plan.progress)?;
    let each = plan.calls(300_000, 1);
    let variant = |threads: usize| -> Variant<'_> {
        let authkv = &authkv;
        Box::new(move |round| {
            let calls = fleet.work.calls(authkv, Operation::Session, threads, each, round * 2 + threads as u64)?;
            Ok(load::run_on_threads(authkv, &calls)?.as_secs_f64() / threads as f64)
        })
    };
    let costs =
        rounds::measure(plan.rounds * ROUNDS, vec![variant(1), variant(2)], plan.progress, "reads on two threads")?;
    ratio("session and user: throughput of two threads beside one", Limit::AtLeast(1.7), &costs, 0, 1)
}

/// The duration of the slowest read in a hundred, alone and while somebody commits without pause.
fn beside_a_writer(plan: &Plan<'_>, fleet: &Fleet) -> Result<Vec<Goal>> {
    let authkv = fleet.open(Kind::Authkv, "authkv-beside", plan.progress)?;
    let each = plan.calls(300_000, 1);
    let p99_us = |seed| -> Result<f64> {
        let calls = fleet.work.calls(&authkv, Operation::Session, 1, each, seed)?;
        Ok(load::run(&authkv, calls, Timing::Each)?.waits.value_at_quantile(0.99) as f64 / 1e3)
    };
    let alone: Variant<'_> = Box::new(|round| p99_us(round * 2));
    let beside: Variant<'_> = Box::new(|round| {
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| -> Result<()> {
                while !stop.load(Ordering::Relaxed) {
                    fleet.ns_per_call(&authkv, Operation::CreateSession, 1, 1, 0)?;
                }
                Ok(())
            });
            let p99 = p99_us(round * 2 + 1);
            stop.store(true, Ordering::Relaxed);
            writer.join().ok().context("the writer panicked")??;
            p99
        })
    });
    let costs = rounds::measure(plan.rounds, vec![alone, beside], plan.progress, "reads beside a writer")?;
    let whats =
        ["session and user: p99 of one reader", "session and user: p99 of one reader beside a committing writer"];
    let goal = |(what, costs): (&str, Vec<f64>)| Goal {
        what: what.into(),
        limit: Limit::None,
        figure: Spread::of(costs),
        unit: Unit::Microseconds,
    };
    Ok(whats.into_iter().zip(costs).map(goal).collect())
}

/// The ratio of the costs at place `of` to those at place `to`.
pub fn ratio(what: &str, limit: Limit, costs: &[Vec<f64>], of: usize, to: usize) -> Result<Goal> {
    let (of, to) = (costs.get(of).context("no such variant")?, costs.get(to).context("no such variant")?);
    Ok(Goal { what: what.into(), limit, figure: Spread::of_ratios(of, to), unit: Unit::Times })
}
