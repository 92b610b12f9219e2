//! How long this thread has worked, excluding the time in which the machine did something else.

use rustix::time::{ClockId, clock_gettime};

/// For work that waits for nothing and runs on one thread.
pub struct Stopwatch(f64);

impl Stopwatch {
    pub fn start() -> Self {
        Self(worked())
    }

    pub fn seconds(&self) -> f64 {
        worked() - self.0
    }
}

fn worked() -> f64 {
    let worked = clock_gettime(ClockId::ThreadCPUTime);
    worked.tv_sec as f64 + worked.tv_nsec as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn work_counts_and_waiting_does_not() {
        let stopwatch = Stopwatch::start();
        std::thread::sleep(Duration::from_millis(50));
        assert!(stopwatch.seconds() < 0.04);
        let start = Instant::now();
        while stopwatch.seconds() < 0.05 {
            assert!(start.elapsed() < Duration::from_secs(60));
        }
        assert!(start.elapsed() > Duration::from_millis(9));
    }
}
