//! The queue of proposals. Callers who were answered together tend to call again together, so the queue waits a little
//! for them: the more proposals share a transaction, the better it uses the cluster.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use super::batch::PROPOSALS_MAX;
use super::proposal::Proposal;

/// The queue waits for at most the last transaction's duration divided by `PATIENCE`, and never longer than
/// `PATIENCE_MAX`: a transaction that took longer waited for an election.
const PATIENCE: u32 = 2;
const PATIENCE_MAX: Duration = Duration::from_millis(10);
/// For how many transactions the queue does not wait, after most of the expected proposals have not arrived.
const IMPATIENT: u32 = 8;

pub(super) struct Queue {
    coming: mpsc::UnboundedReceiver<Proposal>,
    pub(super) waiting: VecDeque<Proposal>,
    /// How many proposals were answered last.
    answered: usize,
    /// How long the last transaction took.
    took: Duration,
    /// For how many more transactions not to wait.
    impatient: u32,
}

impl Queue {
    pub(super) fn new(coming: mpsc::UnboundedReceiver<Proposal>) -> Self {
        Self { coming, waiting: VecDeque::new(), answered: 0, took: Duration::ZERO, impatient: 0 }
    }

    /// Waits for a proposal. Returns false if none can arrive any more.
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
        // Operations that are about to propose something share the transaction.
        tokio::task::yield_now().await;
        self.take_in();
        true
    }

    /// Records how many proposals were answered, and after how long.
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
        let missing = expected.saturating_sub(self.waiting.len());
        let until = Instant::now() + (self.took / PATIENCE).min(PATIENCE_MAX);
        for came in 0..missing {
            match timeout_at(until, self.coming.recv()).await {
                Ok(Some(next)) => self.waiting.push_back(next),
                Ok(None) => return,
                Err(_) => {
                    if came * 2 < missing {
                        self.impatient = IMPATIENT;
                    }
                    return;
                }
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::oneshot;
    use tokio::time::sleep;

    use super::*;
    use crate::engine::remote::known::Reads;

    const TOOK: Duration = Duration::from_millis(16);

    fn proposal() -> Proposal {
        Proposal {
            reads: Reads::default(),
            writes: Vec::new(),
            send_state: Arc::default(),
            deadline: std::time::Instant::now(),
            outcome: oneshot::channel().0,
        }
    }

    /// Fills a queue with this many proposals: the first arrives at once, each other one after a pause.
    async fn filled(
        queue: &mut Queue,
        sender: &mpsc::UnboundedSender<Proposal>,
        coming: u32,
        every: Duration,
    ) -> Duration {
        let began = Instant::now();
        let send = async {
            for number in 0..coming {
                sleep(if number == 0 { Duration::ZERO } else { every }).await;
                sender.send(proposal()).ok().unwrap();
            }
        };
        assert!(tokio::join!(queue.fill(), send).0);
        began.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_were_answered_together_are_waited_for() {
        let (sender, coming) = mpsc::unbounded_channel();
        let mut queue = Queue::new(coming);
        assert!(filled(&mut queue, &sender, 1, TOOK).await < TOOK / 8, "the first waits for nobody");
        queue.waiting.clear();
        queue.answered(3, TOOK);
        filled(&mut queue, &sender, 3, TOOK / 8).await;
        assert_eq!(queue.waiting.len(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_long_or_often_for_those_who_do_not_come() {
        let (sender, coming) = mpsc::unbounded_channel();
        let mut queue = Queue::new(coming);
        for (took, longest) in [(TOOK, TOOK / PATIENCE), (TOOK * 1_000, PATIENCE_MAX)] {
            let mut waited = 0;
            for _ in 0..(IMPATIENT + 1) * 4 {
                queue.waiting.clear();
                queue.answered(10, took);
                let time = filled(&mut queue, &sender, 1, TOOK).await;
                assert!(time <= longest + TOOK / 8, "{time:?}");
                waited += u32::from(time > TOOK / 8);
            }
            assert_eq!(waited, 4);
        }
    }
}
