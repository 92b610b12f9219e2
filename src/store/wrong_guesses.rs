//! The cost of wrong guesses at codes, for all addresses together.

use parking_lot::Mutex;

use crate::models::Millis;
use crate::records::budgets::{Buckets, HOUR};

/// What the wrong guesses of this process have cost within the last hour.
#[derive(Default)]
pub(crate) struct WrongGuesses(Mutex<Buckets>);

impl WrongGuesses {
    /// Counts what a wrong guess has cost, if it was one.
    pub(super) fn note(&self, now: Millis, cost: u64) {
        if cost > 0 {
            let mut lost = self.0.lock();
            HOUR.slide(&mut lost, now);
            HOUR.lose(&mut lost, now, cost);
        }
    }

    pub(super) fn cost(&self, now: Millis) -> u64 {
        let mut lost = self.0.lock();
        HOUR.slide(&mut lost, now);
        lost.total()
    }
}
