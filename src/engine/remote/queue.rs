//! What waits to be written. Those who were answered together tend to come again together, so the queue waits a little for
//! them: the work of the cluster for a transaction is worth more, the more share it.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use super::batch::PROPOSALS_MAX;
use super::commit::Proposal;

/// How much longer a transaction may come, as a part of the time that the last one took, so that more can share it.
const PATIENCE: u32 = 2;
/// How many transactions are not waited with after those have not come who were waited for.
const IMPATIENT: u32 = 8;

pub(super) struct Queue {
    coming: mpsc::UnboundedReceiver<Proposal>,
    pub(super) waiting: VecDeque<Proposal>,
    /// How many were answered last.
    answered: usize,
    /// How long the last transaction took.
    took: Duration,
    /// With how many transactions not to wait.
    impatient: u32,
}

impl Queue {
    pub(super) fn new(coming: mpsc::UnboundedReceiver<Proposal>) -> Self {
        Self { coming, waiting: VecDeque::new(), answered: 0, took: Duration::ZERO, impatient: 0 }
    }

    /// Waits until there is something to be written; answers false if there never will be.
    pub(super) async fn fill(&mut self) -> bool {
        self.take_in();
        let expected = (self.waiting.len() + self.answered).min(PROPOSALS_MAX);
        if self.waiting.is_empty() {
            match self.coming.recv().await {
                Some(first) => self.waiting.push_back(first),
                None => return false,
            }
        }
        self.wait_for(expected).await;
        // Those who are about to propose something share the transaction.
        tokio::task::yield_now().await;
        self.take_in();
        true
    }

    /// Says how many were answered after how long.
    pub(super) fn answered(&mut self, count: usize, took: Duration) {
        (self.answered, self.took) = (count, took);
    }

    fn take_in(&mut self) {
        while let Ok(next) = self.coming.try_recv() {
            self.waiting.push_back(next);
        }
    }

    async fn wait_for(&mut self, expected: usize) {
        if self.impatient > 0 {
            self.impatient -= 1;
            return;
        }
        let (missing, until) = (expected.saturating_sub(self.waiting.len()), Instant::now() + self.took / PATIENCE);
        for came in 0..missing {
            match timeout_at(until, self.coming.recv()).await {
                Ok(Some(next)) => self.waiting.push_back(next),
                Ok(None) => return,
                Err(_) => {
                    self.impatient = if came * 2 < missing { IMPATIENT } else { 0 };
                    return;
                }
            }
        }
    }
}
