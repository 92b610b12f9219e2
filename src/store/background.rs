//! Background work of the store: purging expired records, sweeping what deleted users left, extending sessions in use.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use chrono::TimeDelta;
use parking_lot::Mutex;

use crate::engine::Engine;
use crate::engine::any::AnyEngine;
use crate::engine::job::{Job, background};
use crate::error::Result;
use crate::kv::txn::{Txn, with_indexes};
use crate::models::{Indexes, Millis, TokenHash};
use crate::ops::upkeep::Purged;
use crate::ops::{meta, upkeep};
use crate::records::AsOf;

/// Expired records are kept this long, so that support can tell "expired" from "never existed".
const GRACE: TimeDelta = TimeDelta::days(1);
/// The interval between two background purges.
const INTERVAL: TimeDelta = TimeDelta::minutes(1);
/// How many records one purge removes at most: so few that the write beside it hardly takes longer.
const RECORDS_MAX: usize = 64;

/// Resumes a sweep that closing the store interrupted. A failure does no harm here, because no caller sees the rows
/// that wait to be swept.
pub(super) fn resume_sweep(engine: &AnyEngine, indexes: &Arc<Indexes>) {
    if let Ok(true) = engine.read(upkeep::must_sweep, Ok).wait() {
        engine.write_in_background(with_indexes(Arc::clone(indexes), upkeep::sweep), None);
    }
}

/// When the store last claimed a background purge, by its own clock.
pub(crate) struct BackgroundPurge {
    is_on: bool,
    last: Arc<AtomicI64>,
    /// When this process last claimed the purge for all who share the store.
    mine: Arc<AtomicI64>,
    damaged: Arc<AtomicU64>,
}

const NEVER: i64 = i64::MIN;

impl BackgroundPurge {
    pub(super) fn new(is_on: bool) -> Self {
        let never = || Arc::new(AtomicI64::new(NEVER));
        Self { is_on, last: never(), mine: never(), damaged: Arc::default() }
    }

    /// How many damaged entries purges have dropped.
    pub(super) fn damaged(&self) -> u64 {
        self.damaged.load(Ordering::Relaxed)
    }

    /// The operation of a purge that counts the damaged entries it drops. It counts once, however often it is tried.
    pub(super) fn purge(&self, as_of: AsOf, limit: usize) -> impl Fn(&mut Txn<'_>) -> Result<Purged> + Send + 'static {
        let (total, counted) = (Arc::clone(&self.damaged), AtomicU64::new(0));
        move |txn| {
            let purged = upkeep::purge_expired(txn, as_of, limit)?;
            let damaged = purged.damaged as u64;
            let before = counted.swap(damaged, Ordering::Relaxed);
            total.fetch_add(damaged.wrapping_sub(before), Ordering::Relaxed);
            Ok(purged)
        }
    }

    /// The purge to queue behind a write, if one is due. It usually shares the write's commit.
    pub(super) fn due(&self, as_of: impl FnOnce() -> AsOf, is_shared: bool) -> Option<Box<dyn Job>> {
        if !self.is_on {
            return None;
        }
        let AsOf { now, max_age } = as_of();
        if !self.claim(now) {
            return None;
        }
        let (last, mine) = (Arc::clone(&self.last), Arc::clone(&self.mine));
        let purge_expired = self.purge(AsOf { now: now.plus(-GRACE), max_age }, RECORDS_MAX);
        let purge = move |txn: &mut Txn<'_>| {
            if is_shared {
                let before = Millis::new(mine.load(Ordering::Relaxed));
                if !meta::claim_purge(txn, now, INTERVAL, before)? {
                    return Ok(());
                }
                mine.store(now.since_epoch(), Ordering::Relaxed);
            }
            if purge_expired(txn)?.more {
                last.store(NEVER, Ordering::Relaxed);
            }
            Ok(())
        };
        // A purge that fails is due again later.
        Some(background(purge))
    }

    /// Claims the next purge. Returns true to exactly one caller per interval. A clock that was set back makes a purge
    /// due.
    pub(super) fn claim(&self, now: Millis) -> bool {
        let (last, now) = (self.last.load(Ordering::Relaxed), now.since_epoch());
        let is_due = now < last || now.saturating_sub(last) >= INTERVAL.num_milliseconds();
        is_due && self.last.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

/// The sessions that are being extended, so that a burst of requests extends a session once.
#[derive(Clone, Default)]
pub(crate) struct Extensions(Arc<Mutex<HashSet<TokenHash>>>);

impl Extensions {
    /// Claims a session. Returns `None` if it is already claimed.
    pub(super) fn claim(&self, hash: TokenHash) -> Option<Extension> {
        self.0.lock().insert(hash).then(|| Extension { all: self.clone(), hash })
    }
}

/// The claim to extend a session, held until it is dropped.
pub(super) struct Extension {
    all: Extensions,
    hash: TokenHash,
}

impl Drop for Extension {
    fn drop(&mut self) {
        self.all.0.lock().remove(&self.hash);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn of_those_who_claim_at_once_one_removes() {
        let purge = BackgroundPurge::new(true);
        for minute in 0..100 {
            let now = Millis::new(0).plus(INTERVAL * minute);
            let claimed = std::thread::scope(|scope| {
                let threads = [(); 8].map(|()| scope.spawn(|| purge.claim(now)));
                threads.into_iter().map(|thread| usize::from(thread.join().unwrap())).sum::<usize>()
            });
            assert_eq!(claimed, 1);
        }
    }
}
