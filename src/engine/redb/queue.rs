//! The writer's queue: bounded, in order, closed at the end.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use super::view::Snapshot;
use crate::engine::job::Job;
use crate::error::{Error, Result};
use crate::reply::Answer;

/// How many tasks may wait at most.
const TASKS_MAX: usize = 16_384;

pub(super) enum Task {
    Write(Box<dyn Job>),
    /// Create the missing tables.
    Synchronize(Answer<()>),
    /// Verify every page.
    Verify(Answer<()>),
    /// Reopen the database if this snapshot, on which a read failed, is still the published one.
    Reopen(Arc<Snapshot>),
    /// Close the database. No task comes after it.
    Close(Answer<()>),
}

pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

struct Waiting {
    tasks: VecDeque<Task>,
    closed: bool,
}

impl Queue {
    pub(super) fn new() -> Self {
        Self { waiting: Mutex::new(Waiting { tasks: VecDeque::new(), closed: false }), changed: Condvar::new() }
    }

    /// # Errors
    /// `Closed` and `Busy`.
    pub(super) fn push(&self, task: Task) -> Result<()> {
        let mut waiting = self.waiting.lock();
        if waiting.closed {
            return Err(Error::Closed);
        }
        match task {
            Task::Close(_) => waiting.closed = true,
            Task::Write(_) if waiting.tasks.len() >= TASKS_MAX => return Err(Error::Busy),
            Task::Write(_) | Task::Synchronize(_) | Task::Verify(_) | Task::Reopen(_) => {}
        }
        waiting.tasks.push_back(task);
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

    /// Takes the next task if it is not a write.
    pub(super) fn pop_other(&self) -> Option<Task> {
        self.pop_if(|task| !matches!(task, Task::Write(_)))
    }

    fn pop_if(&self, is_wanted: impl FnOnce(&Task) -> bool) -> Option<Task> {
        let tasks = &mut self.waiting.lock().tasks;
        if tasks.front().is_some_and(is_wanted) { tasks.pop_front() } else { None }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.lock().tasks.is_empty()
    }

    pub(super) fn close(&self) {
        self.waiting.lock().closed = true;
        self.changed.notify_one();
    }

    /// Closes the queue and drops the waiting tasks, whose callers learn that nobody will answer.
    pub(super) fn abandon(&self) {
        let mut waiting = self.waiting.lock();
        waiting.closed = true;
        waiting.tasks.clear();
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
        let queue = Queue::new();
        (0..TASKS_MAX).for_each(|_| queue.push(write()).unwrap());
        assert!(matches!(queue.push(write()), Err(Error::Busy)));
        assert!(queue.pop_write().is_some());
        queue.push(write()).unwrap();
    }

    #[test]
    fn nothing_comes_after_the_end() {
        let queue = Queue::new();
        queue.push(write()).unwrap();
        queue.push(Task::Close(Reply::later().0)).unwrap();
        assert!(matches!(queue.push(write()), Err(Error::Closed)));
        assert!(queue.wait(None) && queue.pop_other().is_none() && queue.pop_write().is_some());
        assert!(queue.wait(None) && queue.pop_write().is_none() && queue.pop_other().is_some());
        assert!(!queue.wait(None));
    }
}
