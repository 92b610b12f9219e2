//! The matrix: each operation with each number of callers at each peer.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use hdrhistogram::Histogram;

use super::{Cell, Deletions, Results};
use crate::args::Full;
use crate::call::Peer;
use crate::deletion::Deletion;
use crate::fleet::Fleet;
use crate::load::{self, Timing};
use crate::peers::Kind;
use crate::progress::Progress;
use crate::rounds::{self, Variant};
use crate::stats::Spread;
use crate::work::Operation;

/// The maximum number of calls in a round, however fast they are.
const CALLS_MAX: usize = 200_000;
/// How many users a round deletes: their sessions have to be created first.
const DELETED: usize = 8;
/// The maximum number of rounds for deleting a user with very many sessions.
const LARGE_DELETIONS_MAX: u64 = 3;

struct At<'a> {
    peers: Vec<(Kind, Arc<dyn Peer>)>,
    full: &'a Full,
    fleet: &'a Fleet,
    progress: &'a Progress,
}

pub fn measure(full: &Full, fleet: &Fleet, progress: &Progress, results: &mut Results) -> Result<()> {
    let open = |kind: &Kind| Ok((*kind, fleet.open(*kind, &format!("{}-matrix", kind.name()), progress)?));
    let peers = full.peers.iter().map(open).collect::<Result<_>>()?;
    let at = At { peers, full, fleet, progress };
    for operation in &full.operations {
        if *operation == Operation::DeleteUser10000 {
            results.deletions.extend(at.deletions()?);
            continue;
        }
        for callers in if operation.deletes() { &[1] } else { full.callers.as_slice() } {
            results.cells.extend(at.cells(*operation, usize::from(*callers))?);
        }
    }
    Ok(())
}

impl At<'_> {
    /// Measures one operation with this many callers at all peers.
    fn cells(&self, operation: Operation, callers: usize) -> Result<Vec<Cell>> {
        let waits = self.peers.iter().map(|_| load::no_waits().map(RefCell::new)).collect::<Result<Vec<_>>>()?;
        let variants =
            self.peers.iter().zip(&waits).map(|((_, peer), waits)| self.variant(peer, operation, callers, waits));
        let users = self.fleet.users;
        let what = format!("{users} users: {}, {callers} callers", operation.name());
        let costs = rounds::measure(self.full.rounds, variants.collect(), self.progress, &what)?;
        let authkv = self.peers.iter().position(|(kind, _)| *kind == Kind::Authkv).and_then(|place| costs.get(place));
        let mut cells = Vec::new();
        for (((kind, _), costs), waits) in self.peers.iter().zip(&costs).zip(waits) {
            let waits = waits.into_inner();
            cells.push(Cell {
                users,
                operation,
                callers,
                kind: *kind,
                per_second: 1e9 / Spread::of(costs.iter().copied()).median,
                beside_authkv: authkv.map(|authkv| Spread::of_ratios(costs, authkv)),
                p50_us: waits.value_at_quantile(0.5) as f64 / 1e3,
                p99_us: waits.value_at_quantile(0.99) as f64 / 1e3,
            });
        }
        Ok(cells)
    }

    /// Measures the cost of a call, and adds the calls' waits to `waits`.
    fn variant<'v>(
        &'v self,
        peer: &'v Arc<dyn Peer>,
        operation: Operation,
        callers: usize,
        waits: &'v RefCell<Histogram<u64>>,
    ) -> Variant<'v> {
        let mut each = DELETED;
        Box::new(move |round| {
            if round == 0 && !operation.deletes() {
                each = self.calls_in_a_round(peer, operation, callers)?;
            }
            let run = |timing, seed| {
                let calls = self.fleet.work.calls(peer, operation, callers, each, seed)?;
                load::run(peer, calls, timing)
            };
            let timed = run(Timing::Each, round * 2)?;
            if round > 0 {
                waits.borrow_mut().add(&timed.waits)?;
            }
            // Reading the clock takes a notable part of a read's time, and a negligible part of a write's.
            let whole = if operation.reads() { run(Timing::Whole, round * 2 + 1)? } else { timed };
            Ok(whole.ns_per_call())
        })
    }

    /// How many calls each caller can make in the time of a round.
    fn calls_in_a_round(&self, peer: &Arc<dyn Peer>, operation: Operation, callers: usize) -> Result<usize> {
        let round = Duration::from_millis(self.full.round_ms);
        let mut each = 1;
        loop {
            let calls = self.fleet.work.calls(peer, operation, callers, each, each as u64)?;
            let elapsed = load::run(peer, calls, Timing::Whole)?.elapsed;
            let enough = (each as f64 * round.as_secs_f64() / elapsed.as_secs_f64()).ceil() as usize;
            if elapsed * 8 >= round || each * callers >= CALLS_MAX {
                return Ok(enough.clamp(1, (CALLS_MAX / callers).max(1)));
            }
            each = enough.min(each * 8);
        }
    }

    fn deletions(&self) -> Result<Vec<Deletions>> {
        let what = format!("{} users: {}", self.fleet.users, Operation::DeleteUser10000.name());
        let rounds = self.full.rounds.min(LARGE_DELETIONS_MAX);
        let stage = self.progress.stage(&what, rounds * self.peers.len() as u64);
        let mut deletions: Vec<_> = self.peers.iter().map(|_| Vec::new()).collect();
        for _ in 0..rounds {
            for ((_, peer), deletions) in self.peers.iter().zip(&mut deletions) {
                deletions.push(Deletion::measure(self.fleet, peer)?);
                stage.inc(1);
            }
        }
        let ms = |durations: &[Deletion], which: fn(&Deletion) -> Duration| {
            Spread::whole(durations.iter().map(|deletion| which(deletion).as_secs_f64() * 1e3))
        };
        let mut all = Vec::new();
        for ((kind, _), measured) in self.peers.iter().zip(deletions) {
            all.push(Deletions {
                users: self.fleet.users,
                kind: *kind,
                answered_ms: ms(&measured, |deletion| deletion.answered_after),
                longest_wait_ms: ms(&measured, |deletion| deletion.longest_wait),
            });
        }
        Ok(all)
    }
}
