//! Growth: a file in which sessions come and go keeps its size.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use anyhow::Result;
use authkv::AuthKv;
use chrono::{DateTime, TimeDelta};

use super::{Goal, Limit, Plan, Unit};
use crate::peers::authkv::{new_session, new_user};
use crate::people::{Person, token};
use crate::stats::Spread;

const TURNS: u64 = 10;
const USERS: u64 = 100;
/// How many writes may be unanswered at a time.
const IN_FLIGHT: u64 = 2_048;
/// The lifetime of the sessions, on a clock that is moved by hand.
const DAY_MS: i64 = 86_400_000;

/// Each turn creates as many sessions as the plan has users. Before each turn those of the previous turn have expired
/// and are purged.
pub fn measure(plan: &Plan<'_>) -> Result<Vec<Goal>> {
    let path = plan.folder.join("authkv-growth");
    let now_ms = Arc::new(AtomicI64::new(1_750_000_000_000));
    let clock = {
        let now_ms = Arc::clone(&now_ms);
        move || DateTime::UNIX_EPOCH + TimeDelta::milliseconds(now_ms.load(Ordering::Relaxed))
    };
    let auth = AuthKv::options().clock(clock).open(&path)?;
    for number in 0..USERS {
        auth.create_user(new_user(Person(number))).wait()?;
    }
    let stage = plan.progress.stage("sessions that come and go", TURNS);
    let mut dice = fastrand::Rng::new();
    let mut sizes = Vec::new();
    for _ in 0..TURNS {
        let expires_ms = now_ms.load(Ordering::Relaxed) + DAY_MS;
        let sessions: Vec<_> = (0..plan.users / TURNS).collect();
        for some in sessions.chunks(IN_FLIGHT as usize) {
            let create = |number: &u64| {
                let user = Person(number % USERS).user_id();
                Ok(auth.create_session(new_session(user, &token(&mut dice), expires_ms)?))
            };
            let replies = some.iter().map(create).collect::<Result<Vec<_>>>()?;
            replies.into_iter().try_for_each(|reply| reply.wait().map(drop))?;
        }
        now_ms.fetch_add(2 * DAY_MS, Ordering::Relaxed);
        while auth.purge_expired().wait()?.more {}
        sizes.push(std::fs::metadata(&path)?.len() as f64);
        stage.inc(1);
    }
    // A file grows a little from turn to turn and then releases the space.
    let (first, last) = sizes.split_at(sizes.len() / 2);
    let largest = |sizes: &[f64]| sizes.iter().copied().fold(f64::NAN, f64::max);
    Ok(vec![Goal {
        what: format!("largest size of a file while {} sessions come and go, second half beside first", plan.users),
        limit: Limit::AtMost(1.1),
        figure: Spread::exactly(largest(last) / largest(first)),
        unit: Unit::Times,
    }])
}
