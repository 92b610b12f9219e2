//! The progress bar on standard error. It is hidden when standard error is not a terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

pub struct Progress {
    draws: bool,
}

/// A bar that disappears when it is dropped.
pub struct Stage(ProgressBar);

impl Progress {
    pub fn shown() -> Self {
        Self { draws: true }
    }

    #[cfg(test)]
    pub fn hidden() -> Self {
        Self { draws: false }
    }

    pub fn stage(&self, what: &str, steps: u64) -> Stage {
        let target = if self.draws { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(steps), target);
        if let Ok(style) = ProgressStyle::with_template("{elapsed:>4} [{bar:40}] {percent:>3}% {wide_msg}") {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_message(what.to_owned());
        bar.enable_steady_tick(Duration::from_millis(200));
        Stage(bar)
    }
}

impl Stage {
    pub fn inc(&self, steps: u64) {
        self.0.inc(steps);
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
