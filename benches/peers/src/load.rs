//! Load: callers that each make one call after another and wait for each answer, and how long they waited.

use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use hdrhistogram::Histogram;
use tokio::task::JoinSet;

use crate::call::{Call, Outcome, Peer, Waiting, runtime};

const WAIT_MAX_NS: u64 = 600_000_000_000;

/// The results of a load.
pub struct Done {
    pub calls: usize,
    pub elapsed: Duration,
    /// How long each call took, in nanoseconds; empty unless each call is timed.
    pub waits: Histogram<u64>,
}

impl Done {
    pub fn ns_per_call(&self) -> f64 {
        self.elapsed.as_secs_f64() * 1e9 / self.calls as f64
    }
}

/// Whether each call is timed. Timing takes longer than some calls.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Timing {
    Whole,
    Each,
}

/// Makes each caller's calls. A single caller uses this thread. Several callers are tasks on [`WORKERS`](crate::call::WORKERS) threads, or
/// threads if waiting blocks.
///
/// # Errors
/// When a call fails, or does not find its record.
pub fn run(peer: &Arc<dyn Peer>, callers: Vec<Vec<Call>>, timing: Timing) -> Result<Done> {
    let calls = callers.iter().map(Vec::len).sum();
    let reads = callers.iter().flatten().all(Call::reads);
    let (elapsed, waits) = match <[_; 1]>::try_from(callers) {
        Ok([calls]) => alone(peer, &calls, timing)?,
        Err(callers) if reads || peer.waiting() == Waiting::Tasks => {
            runtime().block_on(tasks(peer, callers, timing))?
        }
        Err(callers) => threads(peer, &callers, timing)?,
    };
    let mut histogram = no_waits()?;
    waits.into_iter().for_each(|wait| histogram.saturating_record(wait));
    Ok(Done { calls, elapsed, waits: histogram })
}

/// Makes each caller's calls on a separate thread, even where tasks would do. Returns how long they took.
///
/// # Errors
/// The errors of [`run`].
pub fn run_on_threads(peer: &Arc<dyn Peer>, callers: &[Vec<Call>]) -> Result<Duration> {
    Ok(threads(peer, callers, Timing::Whole)?.0)
}

/// An empty histogram for waits of up to ten minutes, to three digits.
pub fn no_waits() -> Result<Histogram<u64>> {
    Ok(Histogram::new_with_bounds(1, WAIT_MAX_NS, 3)?)
}

type Waits = Vec<u64>;

fn alone(peer: &Arc<dyn Peer>, calls: &[Call], timing: Timing) -> Result<(Duration, Waits)> {
    let start = Instant::now();
    let waits = block(&**peer, calls, timing)?;
    Ok((start.elapsed(), waits))
}

fn threads(peer: &Arc<dyn Peer>, callers: &[Vec<Call>], timing: Timing) -> Result<(Duration, Waits)> {
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

/// A fast answer does not count if it found nothing.
fn found(outcome: &Outcome) -> Result<()> {
    ensure!(matches!(outcome, Outcome::Found(Some(_)) | Outcome::Done(true)), "a call did not find what it is about");
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::call::Reply;
    use crate::people::Person;

    /// A peer that answers calls after a while and records how many it had at the same time at most.
    struct Slow {
        waiting: Waiting,
        now: AtomicUsize,
        at_once: AtomicUsize,
    }

    impl Slow {
        fn peer(waiting: Waiting) -> Arc<Self> {
            Arc::new(Self { waiting, now: AtomicUsize::new(0), at_once: AtomicUsize::new(0) })
        }

        fn begin(&self) {
            self.at_once.fetch_max(self.now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        }

        fn end(&self) -> Result<Outcome> {
            self.now.fetch_sub(1, Ordering::SeqCst);
            Ok(Outcome::Done(true))
        }
    }

    const WAIT: Duration = Duration::from_millis(20);

    impl Peer for Slow {
        fn call<'a>(&'a self, _: &'a Call) -> Reply<'a> {
            self.begin();
            if self.waiting == Waiting::Threads {
                std::thread::sleep(WAIT);
                return Reply::Ready(self.end());
            }
            Reply::Later(Box::pin(async {
                tokio::time::sleep(WAIT).await;
                self.end()
            }))
        }

        fn waiting(&self) -> Waiting {
            self.waiting
        }
    }

    fn writes(callers: usize, each: usize) -> Vec<Vec<Call>> {
        vec![vec![Call::DeleteUser { user_id: Person(0).user_id() }; each]; callers]
    }

    #[test]
    fn callers_wait_at_the_same_time_and_every_call_is_timed() {
        for waiting in [Waiting::Threads, Waiting::Tasks] {
            for callers in [1, 16] {
                let slow = Slow::peer(waiting);
                let peer: Arc<dyn Peer> = Arc::<Slow>::clone(&slow);
                let done = run(&peer, writes(callers, 3), Timing::Each).unwrap();
                assert_eq!(slow.at_once.load(Ordering::SeqCst), callers);
                assert_eq!((done.calls, done.waits.len()), (callers * 3, callers as u64 * 3));
                assert!(done.waits.min() >= 19_000_000 && done.elapsed >= 3 * WAIT);
                assert_eq!(run(&peer, writes(callers, 3), Timing::Whole).unwrap().waits.len(), 0);
            }
        }
    }

    #[test]
    fn a_call_that_finds_nothing_fails_the_load() {
        struct Empty;
        impl Peer for Empty {
            fn call<'a>(&'a self, call: &'a Call) -> Reply<'a> {
                Reply::Ready(Ok(if call.reads() { Outcome::Found(None) } else { Outcome::Done(false) }))
            }
            fn waiting(&self) -> Waiting {
                Waiting::Threads
            }
        }
        let empty: Arc<dyn Peer> = Arc::new(Empty);
        for callers in [1, 2] {
            assert!(run(&empty, writes(callers, 1), Timing::Whole).is_err());
            let reads = vec![vec![Call::UserByEmail { email: "nobody@example.com".into() }]; callers];
            assert!(run(&empty, reads, Timing::Whole).is_err());
        }
    }
}
