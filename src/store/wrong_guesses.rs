//! The cost of wrong guesses at codes, for all addresses together.

use parking_lot::Mutex;

use crate::models::{CodeCheck, Millis};
use crate::ops::codes::Guessed;
use crate::records::budgets::{Buckets, HOUR};

/// What the wrong guesses of this process have cost within the last hour.
#[derive(Default)]
pub(crate) struct WrongGuesses(Mutex<Buckets>);

impl WrongGuesses {
    /// Counts a wrong guess, and returns what the caller of the check gets.
    pub(super) fn noting(&self, now: Millis, guessed: Guessed) -> CodeCheck {
        if matches!(guessed.check, CodeCheck::Wrong { .. }) {
            let mut lost = self.0.lock();
            HOUR.slide(&mut lost, now);
            HOUR.lose(&mut lost, now, guessed.cost);
        }
        guessed.check
    }

    pub(super) fn cost(&self, now: Millis) -> u64 {
        let mut lost = self.0.lock();
        HOUR.slide(&mut lost, now);
        lost.total()
    }
}
