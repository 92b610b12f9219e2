//! Writing: durable sessions by few and by many callers, and waiting while a user with very many sessions is deleted.

use std::sync::Arc;

use anyhow::Result;

use super::reads::ratio;
use super::{Goal, Limit, Plan, Unit};
use crate::call::Peer;
use crate::deletion::{Deletion, SESSIONS};
use crate::fleet::Fleet;
use crate::load::{self, Timing};
use crate::peers::Kind;
use crate::rounds::{self, Variant};
use crate::stats::Spread;
use crate::work::Operation;

const DELETIONS_MAX: u64 = 3;
/// Limits the duration of a round: most peers create about this many sessions per second.
const CALLS_PER_SECOND: u64 = 5_000;

pub fn measure(plan: &Plan<'_>, fleet: &Fleet) -> Result<Vec<Goal>> {
    let mut goals = creating_sessions(plan, fleet)?;
    goals.push(beside_a_deletion(plan, fleet)?);
    Ok(goals)
}

fn creating_sessions(plan: &Plan<'_>, fleet: &Fleet) -> Result<Vec<Goal>> {
    let open = |kind: Kind| fleet.open(kind, &format!("{}-writes", kind.name()), plan.progress);
    let (authkv, bare) = (open(Kind::Authkv)?, open(Kind::Redb)?);
    let (rusqlite, sqlx) = (open(Kind::Rusqlite)?, open(Kind::Sqlx)?);
    // The same number of calls for each peer, so that all files have equally many sessions in each round.
    let calls = |callers: usize| plan.calls(CALLS_PER_SECOND, callers);
    let variant = |peer: &Arc<dyn Peer>, callers: usize| -> Variant<'_> {
        let peer = Arc::clone(peer);
        let each = calls(callers);
        Box::new(move |round| fleet.ns_per_call(&peer, Operation::CreateSession, callers, each, round))
    };
    let quantile = |peer: &Arc<dyn Peer>, callers: usize, quantile: f64| -> Variant<'_> {
        let peer = Arc::clone(peer);
        let each = calls(callers);
        Box::new(move |round| {
            let calls = fleet.work.calls(&peer, Operation::CreateSession, callers, each, round)?;
            Ok(load::run(&peer, calls, Timing::Each)?.waits.value_at_quantile(quantile) as f64)
        })
    };
    let variants = vec![
        variant(&authkv, 1),
        variant(&bare, 1),
        variant(&authkv, 64),
        variant(&bare, 64),
        variant(&rusqlite, 64),
        variant(&sqlx, 64),
        variant(&authkv, 512),
        variant(&bare, 512),
        quantile(&authkv, 8, 0.99),
        quantile(&bare, 1, 0.5),
        quantile(&bare, 1, 0.99),
    ];
    let costs = rounds::measure(plan.rounds, variants, plan.progress, "creating sessions")?;
    Ok(vec![
        ratio("create_session, 1 caller, beside a bare commit of the same rows", Limit::AtMost(1.15), &costs, 0, 1)?,
        ratio("create_session, 64 callers: throughput of bare redb", Limit::AtLeast(5.0), &costs, 3, 2)?,
        ratio("create_session, 64 callers: throughput of rusqlite", Limit::AtLeast(3.0), &costs, 4, 2)?,
        ratio("create_session, 64 callers: throughput of sqlx", Limit::AtLeast(5.0), &costs, 5, 2)?,
        ratio("create_session, 512 callers: throughput of bare redb", Limit::AtLeast(8.0), &costs, 7, 6)?,
        ratio("create_session, 8 callers: p99 beside one bare commit", Limit::AtMost(4.0), &costs, 8, 9)?,
        ratio(
            "bare commit, 1 caller: p99 beside the median, which is the disk's share in that",
            Limit::None,
            &costs,
            10,
            9,
        )?,
    ])
}

/// The longest time that another caller waits for a write, the worst of several deletions.
fn beside_a_deletion(plan: &Plan<'_>, fleet: &Fleet) -> Result<Goal> {
    let authkv = fleet.open(Kind::Authkv, "authkv-deletion", plan.progress)?;
    let rounds = plan.rounds.min(DELETIONS_MAX);
    let stage = plan.progress.stage("waiting while a user is deleted", rounds);
    let mut longest = Vec::new();
    for _ in 0..rounds {
        longest.push(Deletion::measure(fleet, &authkv)?.longest_wait.as_secs_f64() * 1e3);
        stage.inc(1);
    }
    let spread = Spread::whole(longest);
    Ok(Goal {
        what: format!("longest wait of a writer while a user with {SESSIONS} sessions is deleted"),
        limit: Limit::AtMost(50.0),
        figure: Spread { median: spread.high, ..spread },
        unit: Unit::Milliseconds,
    })
}
