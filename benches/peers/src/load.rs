//! Load: callers who call one after another, each waiting for its answer, and how long they waited.

use std::sync::{Arc, Barrier, OnceLock};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use hdrhistogram::Histogram;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;

use crate::call::{Call, Outcome, Peer, Waiting};

/// How many threads carry the tasks.
pub const WORKERS: usize = 2;
const WAIT_MAX_NS: u64 = 600_000_000_000;

/// What became of a load.
pub struct Done {
    pub calls: usize,
    pub elapsed: Duration,
    /// How long each call took, in nanoseconds; nothing if that was not asked for.
    pub waits: Histogram<u64>,
}

impl Done {
    pub fn ns_per_call(&self) -> f64 {
        self.elapsed.as_secs_f64() * 1e9 / self.calls as f64
    }
}

/// Whether each call is timed, which takes longer than some of them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Timing {
    Whole,
    Each,
}

/// The executor of everything that is async.
pub fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    #[allow(clippy::expect_used)] // without threads there is nothing to measure
    RUNTIME.get_or_init(|| {
        Builder::new_multi_thread().worker_threads(WORKERS).enable_time().build().expect("threads can be started")
    })
}

/// Has each caller make its calls. One caller has the thread; more of them are tasks on [`WORKERS`] threads, unless
/// waiting blocks: then they are threads.
///
/// # Errors
/// When a call fails, or does not find what it is about.
pub fn run(peer: &Arc<dyn Peer>, callers: Vec<Vec<Call>>, timing: Timing) -> Result<Done> {
    let calls = callers.iter().map(Vec::len).sum();
    let reads = callers.iter().flatten().all(Call::reads);
    let (elapsed, waits) = match <[_; 1]>::try_from(callers) {
        Ok([calls]) => alone(peer, &calls, timing)?,
        Err(callers) if reads || peer.waiting() == Waiting::Tasks => {
            runtime().block_on(tasks(peer, callers, timing))?
        }
        Err(callers) => threads(peer, callers, timing)?,
    };
    let mut histogram = Histogram::new_with_bounds(1, WAIT_MAX_NS, 3)?;
    waits.into_iter().for_each(|wait| histogram.saturating_record(wait));
    Ok(Done { calls, elapsed, waits: histogram })
}

type Waits = Vec<u64>;

fn alone(peer: &Arc<dyn Peer>, calls: &[Call], timing: Timing) -> Result<(Duration, Waits)> {
    let start = Instant::now();
    let waits = block(&**peer, calls, timing)?;
    Ok((start.elapsed(), waits))
}

fn threads(peer: &Arc<dyn Peer>, callers: Vec<Vec<Call>>, timing: Timing) -> Result<(Duration, Waits)> {
    let barrier = Barrier::new(callers.len() + 1);
    std::thread::scope(|scope| {
        let threads: Vec<_> = callers
            .iter()
            .map(|calls| {
                scope.spawn(|| {
                    barrier.wait();
                    block(&**peer, calls, timing)
                })
            })
            .collect();
        barrier.wait();
        let start = Instant::now();
        let mut waits = Waits::new();
        for thread in threads {
            waits.extend(thread.join().ok().context("a caller panicked")??);
        }
        Ok((start.elapsed(), waits))
    })
}

async fn tasks(peer: &Arc<dyn Peer>, callers: Vec<Vec<Call>>, timing: Timing) -> Result<(Duration, Waits)> {
    let mut tasks = JoinSet::new();
    let start = Instant::now();
    for calls in callers {
        let peer = Arc::clone(peer);
        tasks.spawn(async move {
            let mut waits = Waits::new();
            for call in &calls {
                let start = (timing == Timing::Each).then(Instant::now);
                found(&peer.call(call).outcome().await?)?;
                waits.extend(start.map(nanoseconds));
            }
            Ok::<_, anyhow::Error>(waits)
        });
    }
    let mut waits = Waits::new();
    while let Some(task) = tasks.join_next().await {
        waits.extend(task??);
    }
    Ok((start.elapsed(), waits))
}

fn block(peer: &dyn Peer, calls: &[Call], timing: Timing) -> Result<Waits> {
    let mut waits = Waits::new();
    for call in calls {
        let start = (timing == Timing::Each).then(Instant::now);
        found(&peer.call(call).wait()?)?;
        waits.extend(start.map(nanoseconds));
    }
    Ok(waits)
}

fn nanoseconds(start: Instant) -> u64 {
    u64::try_from(start.elapsed().as_nanos()).unwrap_or(WAIT_MAX_NS)
}

/// Whoever answers fast because there is nothing there has not answered.
fn found(outcome: &Outcome) -> Result<()> {
    ensure!(matches!(outcome, Outcome::Found(Some(_)) | Outcome::Done(true)), "a call did not find what it is about");
    Ok(())
}
