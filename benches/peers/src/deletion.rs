//! Deleting a user with very many sessions, and how long others wait meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::call::Peer;
use crate::fleet::Fleet;
use crate::load::{self, Timing};
use crate::work::Operation;

pub const SESSIONS: u64 = 10_000;

/// How long the others continue to call after the deletion was answered, because sessions may be removed after the
/// answer.
const SWEEPING: Duration = Duration::from_secs(1);

pub struct Deletion {
    pub answered_after: Duration,
    /// The longest time that another caller waited for a write.
    pub longest_wait: Duration,
}

impl Deletion {
    /// # Errors
    /// When a call fails.
    pub fn measure(fleet: &Fleet, peer: &Arc<dyn Peer>) -> Result<Self> {
        let deletion = fleet.work.user_to_delete(peer, SESSIONS)?;
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let other = scope.spawn(|| longest_wait(fleet, peer, &over));
            let deleted = load::run(peer, vec![vec![deletion]], Timing::Whole);
            std::thread::sleep(SWEEPING);
            over.store(true, Ordering::Relaxed);
            let longest_wait = other.join().ok().context("the other caller panicked")??;
            Ok(Self { answered_after: deleted?.elapsed, longest_wait })
        })
    }
}

fn longest_wait(fleet: &Fleet, peer: &Arc<dyn Peer>, over: &AtomicBool) -> Result<Duration> {
    let mut longest = Duration::ZERO;
    while !over.load(Ordering::Relaxed) {
        let calls = fleet.work.calls(peer, Operation::CreateSession, 1, 1, 0)?;
        let start = Instant::now();
        load::run(peer, calls, Timing::Whole)?;
        longest = longest.max(start.elapsed());
    }
    Ok(longest)
}
