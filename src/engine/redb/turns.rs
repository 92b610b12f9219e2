//! The writer's turn on an application's database: redb has one write transaction at a time, and the application may
//! keep it for as long as it likes.
//!
//! Another thread stands in redb's line, so that the writer can give up at any time, and yet gets its turn as soon and as
//! often as any other that stands there. Asking again and again would lose against an application that writes all the
//! while.

use std::sync::Arc;
use std::thread::Builder;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use redb::{Database, TransactionError, WriteTransaction};

use super::view::{called, failed};
use crate::engine::job::catching_panics;
use crate::error::{Error, Result};

/// How long to wait before another attempt if no thread can be started to stand in line.
const RETRY: Duration = Duration::from_millis(5);

pub(super) struct Turns {
    line: Arc<Line>,
    taken: Option<Result<WriteTransaction>>,
}

#[derive(Default)]
struct Line {
    state: Mutex<State>,
    arrived: Condvar,
}

#[derive(Default)]
struct State {
    /// Whether a thread stands in line.
    standing: bool,
    /// Whether the writer still wants its turn. If not, the thread gives it back.
    wanted: bool,
    begun: Option<Result<WriteTransaction>>,
}

impl Turns {
    pub(super) fn new() -> Self {
        Self { line: Arc::default(), taken: None }
    }

    /// True if a turn was taken and not used yet.
    pub(super) fn has_one(&self) -> bool {
        self.taken.is_some()
    }

    /// Takes a turn if one is free. Returns false if the application has its turn.
    pub(super) fn try_take(&mut self, database: &Database) -> bool {
        if self.taken.is_none() {
            let mut state = self.line.state.lock();
            self.taken = state.begun.take().or_else(|| if state.standing { None } else { try_begin(database) });
        }
        self.taken.is_some()
    }

    /// Waits for a turn, at most as long as given. Returns false if there was none.
    pub(super) fn wait(&mut self, database: &Arc<Database>, at_most: Duration) -> bool {
        if self.try_take(database) {
            return true;
        }
        let deadline = Instant::now().checked_add(at_most);
        let mut state = self.line.state.lock();
        state.wanted = true;
        if !state.standing {
            state.standing = stand_in_line(&self.line, database);
        }
        while state.begun.is_none() && state.standing {
            match deadline {
                None => self.line.arrived.wait(&mut state),
                Some(deadline) if deadline <= Instant::now() => return false,
                Some(deadline) => drop(self.line.arrived.wait_until(&mut state, deadline)),
            }
        }
        self.taken = state.begun.take();
        drop(state);
        if self.taken.is_none() {
            std::thread::sleep(RETRY.min(at_most));
        }
        self.taken.is_some()
    }

    /// Begins the writer's transaction.
    ///
    /// # Errors
    /// `Busy` if the application has its turn, and `Storage`.
    pub(super) fn begin(&mut self, database: &Database) -> Result<WriteTransaction> {
        self.try_take(database);
        self.taken.take().unwrap_or(Err(Error::Busy))
    }

    /// Gives back a turn that is not needed, and leaves the line.
    pub(super) fn end(&mut self) {
        self.taken = None;
        let mut state = self.line.state.lock();
        state.wanted = false;
        let unused = state.begun.take();
        drop(state);
        drop(unused);
    }
}

impl Drop for Turns {
    fn drop(&mut self) {
        self.end();
    }
}

/// Begins a transaction. `None` if the application has its turn.
fn try_begin(database: &Database) -> Option<Result<WriteTransaction>> {
    let begun = catching_panics(|| match database.try_begin_write() {
        Err(TransactionError::WouldBlock) => Ok(None),
        begun => begun.map(Some).map_err(|error| failed("writing cannot begin", error)),
    });
    begun.transpose()
}

/// Starts a thread that waits for the turn. Returns false if that is not possible.
fn stand_in_line(line: &Arc<Line>, database: &Arc<Database>) -> bool {
    let (line, database) = (Arc::clone(line), Arc::clone(database));
    let wait = move || {
        let begun = called("writing cannot begin", || database.begin_write());
        let mut state = line.state.lock();
        state.standing = false;
        if state.wanted {
            state.begun = Some(begun);
            line.arrived.notify_one();
        } else {
            drop(state);
            drop(begun);
        }
    };
    Builder::new().name("authkv-waiting".to_owned()).spawn(wait).is_ok()
}
