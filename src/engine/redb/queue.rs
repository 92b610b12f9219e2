//! The writer's queue: bounded, in order, closed at the end.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::view::Snapshot;
use crate::engine::job::Job;
use crate::error::{Error, Result};
use crate::kv::txn::FollowUp;
use crate::reply::Answer;

/// How many tasks may wait at most.
const TASKS_MAX: usize = 16_384;

pub(super) enum Task {
    Write(Box<dyn Job>),
    /// Release the rows that a transaction of the application's changed, and do what it left to do.
    Ended(Option<FollowUp>),
    /// Answer when everything before it is done.
    Settle(Answer<()>),
    /// Create the missing tables.
    Synchronize(Answer<()>),
    /// Verify every page.
    Verify(Answer<()>),
    /// Reopen the database if this snapshot, on which a read failed, is still the published one.
    Reopen(Arc<Snapshot>),
    /// Close the database. No task comes after it.
    Close(Answer<()>),
}

/// Who waits for a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Caller {
    Waits,
    /// Nobody: the task is background work, which may wait for ever.
    None,
}

pub(super) struct Queue {
    /// How long a call may be kept waiting by an application's transaction. None where there can be none.
    patience: Option<Duration>,
    waiting: Mutex<Waiting>,
    changed: Condvar,
    /// Notified when the writer has ended, and when it begins or ceases to be kept waiting.
    state_changed: Condvar,
}

struct Waiting {
    tasks: VecDeque<Entry>,
    closed: bool,
    /// Whether an application's transaction keeps the writer waiting.
    kept: bool,
    /// Whether closing was answered before it was done.
    gave_up: bool,
    /// Whether the writer has ended.
    ended: bool,
}

struct Entry {
    task: Task,
    /// When its caller gives up if the writer is kept waiting.
    deadline: Option<Instant>,
}

impl Queue {
    pub(super) fn new(patience: Option<Duration>) -> Self {
        let waiting = Waiting { tasks: VecDeque::new(), closed: false, kept: false, gave_up: false, ended: false };
        Self { patience, waiting: Mutex::new(waiting), changed: Condvar::new(), state_changed: Condvar::new() }
    }

    /// # Errors
    /// `Closed` and `Busy`.
    pub(super) fn push(&self, task: Task, caller: Caller) -> Result<()> {
        let deadline =
            self.patience.filter(|_| caller == Caller::Waits).and_then(|wait| Instant::now().checked_add(wait));
        let mut waiting = self.waiting.lock();
        if waiting.closed {
            return Err(Error::Closed);
        }
        let task = match (task, waiting.tasks.back_mut().map(|entry| &mut entry.task)) {
            // One is enough, as either follow-up sweeps what all deleted users had.
            (Task::Ended(follow_up), Some(Task::Ended(last))) => {
                *last = follow_up.or(last.take());
                return Ok(());
            }
            (task, _) => task,
        };
        match task {
            Task::Close(_) => waiting.closed = true,
            Task::Write(_) if waiting.tasks.len() >= TASKS_MAX => return Err(Error::Busy),
            Task::Write(_)
            | Task::Ended(_)
            | Task::Settle(_)
            | Task::Synchronize(_)
            | Task::Verify(_)
            | Task::Reopen(_) => {}
        }
        waiting.tasks.push_back(Entry { task, deadline });
        self.changed.notify_one();
        Ok(())
    }

    /// Takes the next task if it is a write.
    pub(super) fn pop_write(&self) -> Option<Box<dyn Job>> {
        match self.pop_if(|task| matches!(task, Task::Write(_)))? {
            Task::Write(job) => Some(job),
            _ => None,
        }
    }

    /// Takes the next task if it is not a write, and one that needs a write transaction only if there is a turn for it.
    pub(super) fn pop_other(&self, has_turn: bool) -> Option<Task> {
        self.pop_if(|task| match task {
            Task::Write(_) => false,
            Task::Ended(_) | Task::Synchronize(_) => has_turn,
            Task::Settle(_) | Task::Verify(_) | Task::Reopen(_) | Task::Close(_) => true,
        })
    }

    fn pop_if(&self, is_wanted: impl FnOnce(&Task) -> bool) -> Option<Task> {
        let tasks = &mut self.waiting.lock().tasks;
        if tasks.front().is_some_and(|entry| is_wanted(&entry.task)) {
            tasks.pop_front().map(|entry| entry.task)
        } else {
            None
        }
    }

    /// True if there is a next task and it is such a one.
    pub(super) fn next_is(&self, is_it: impl Fn(&Task) -> bool) -> bool {
        self.waiting.lock().tasks.front().is_some_and(|entry| is_it(&entry.task))
    }

    /// How long a call may be kept waiting. `None` where there is nothing to wait for.
    pub(super) fn patience(&self) -> Option<Duration> {
        self.patience
    }

    /// How long until the first caller gives up, at most: one who comes later waits as long.
    pub(super) fn patience_left(&self) -> Duration {
        let deadline = self.waiting.lock().tasks.iter().find_map(|entry| entry.deadline);
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        left.or(self.patience).unwrap_or_default()
    }

    /// Takes the tasks whose callers have waited long enough. Nothing was done for them, and nothing will be. What
    /// nobody waits for stays.
    pub(super) fn take_impatient(&self) -> Vec<Task> {
        let now = Instant::now();
        let mut waiting = self.waiting.lock();
        let is_impatient = |entry: &Entry| entry.deadline.is_some_and(|deadline| deadline <= now);
        let (gone, left) = std::mem::take(&mut waiting.tasks).into_iter().partition::<VecDeque<_>, _>(is_impatient);
        waiting.tasks = left;
        waiting.gave_up |= gone.iter().any(|entry| matches!(entry.task, Task::Close(_)));
        gone.into_iter().map(|entry| entry.task).collect()
    }

    /// Says whether an application's transaction keeps the writer waiting.
    pub(super) fn set_kept(&self, kept: bool) {
        let mut waiting = self.waiting.lock();
        if waiting.kept != kept {
            waiting.kept = kept;
            self.state_changed.notify_all();
        }
    }

    /// Waits until the writer has ended. Returns false if a transaction of the application's holds it up for too long.
    pub(super) fn wait_for_end(&self) -> bool {
        let deadline = self.patience.and_then(|wait| Instant::now().checked_add(wait));
        let mut waiting = self.waiting.lock();
        while !waiting.ended {
            match deadline.filter(|_| waiting.kept) {
                Some(deadline) if waiting.gave_up || deadline <= Instant::now() => return false,
                Some(deadline) => drop(self.state_changed.wait_until(&mut waiting, deadline)),
                None => self.state_changed.wait(&mut waiting),
            }
        }
        true
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.lock().tasks.is_empty()
    }

    pub(super) fn close(&self) {
        self.waiting.lock().closed = true;
        self.changed.notify_one();
    }

    /// Closes the queue when the writer has ended, and drops the waiting tasks, whose callers learn that nobody will
    /// answer.
    pub(super) fn abandon(&self) {
        let mut waiting = self.waiting.lock();
        (waiting.closed, waiting.ended) = (true, true);
        let dropped = std::mem::take(&mut waiting.tasks);
        self.state_changed.notify_all();
        drop(waiting);
        drop(dropped);
    }

    /// Waits for a task, at most as long as given. Returns false when the queue is closed and empty.
    pub(super) fn wait(&self, at_most: Option<Duration>) -> bool {
        let mut waiting = self.waiting.lock();
        while waiting.tasks.is_empty() && !waiting.closed {
            match at_most {
                None => self.changed.wait(&mut waiting),
                Some(at_most) => {
                    self.changed.wait_for(&mut waiting, at_most);
                    return true;
                }
            }
        }
        !waiting.tasks.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::job::job;
    use crate::reply::Reply;

    fn write() -> Task {
        Task::Write(job(|_| Ok(()), Ok).0)
    }

    #[test]
    fn a_full_queue_is_busy_until_there_is_room() {
        let queue = Queue::new(None);
        (0..TASKS_MAX).for_each(|_| queue.push(write(), Caller::Waits).unwrap());
        assert!(matches!(queue.push(write(), Caller::Waits), Err(Error::Busy)));
        assert!(queue.pop_write().is_some());
        queue.push(write(), Caller::Waits).unwrap();
    }

    #[test]
    fn nothing_comes_after_the_end() {
        let queue = Queue::new(None);
        queue.push(write(), Caller::Waits).unwrap();
        queue.push(Task::Close(Reply::later().0), Caller::Waits).unwrap();
        assert!(matches!(queue.push(write(), Caller::Waits), Err(Error::Closed)));
        assert!(queue.wait(None) && queue.pop_other(true).is_none() && queue.pop_write().is_some());
        assert!(queue.wait(None) && queue.pop_write().is_none() && queue.pop_other(true).is_some());
        assert!(!queue.wait(None));
    }
}
