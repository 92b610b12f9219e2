//! The redb engine: reads from a shared snapshot, writes with group commit.

mod backend;
mod erasing;
mod file;
mod open;
mod own_transaction;
pub(crate) mod published;
mod queue;
mod read_set;
mod signing;
mod sync;
mod turns;
mod view;
mod writer;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use redb::Database;
pub(crate) use redb::WriteTransaction;

#[cfg(test)]
pub(crate) use backend::OwnBackend;
use file::{Absent, OpenFile};
use open::{Leaving, Pages};
pub(crate) use open::{OnRecovery, Source};
use queue::{Caller, Queue, Task};
use signing::StoreId;
use view::{Readable, Snapshot};
pub(crate) use writer::Config;
use writer::Writer;

use crate::engine::job::{Job, catching_panics, job};
use crate::engine::redb::published::{Published, ReadSet};
use crate::engine::redb::read_set::RecordingView;
use crate::engine::thread::OwnThread;
use crate::engine::{Durability, Engine, Setup};
use crate::error::{Error, Result};
use crate::kv::txn::Txn;
use crate::kv::view::View;
use crate::reply::Reply;

pub(crate) struct RedbEngine {
    published: Arc<Published<Readable>>,
    /// Whether writes may be acknowledged before they are synced, if the durability allows it.
    defers: Arc<AtomicBool>,
    queue: Arc<Queue>,
    writer: Placement,
    /// The writer's file, while the store has it open.
    file: Weak<OpenFile>,
    /// Says that the claim to an application's database is about to be let go of.
    leaving: Option<Leaving>,
    /// What an application's database is recognised by.
    store_id: Option<StoreId>,
}

/// Where the writer runs.
enum Placement {
    /// On its own thread: a commit to a file waits for the disk.
    OwnThread(OwnThread),
    /// On the calling threads: in memory a commit waits for nothing.
    CallerThreads(Box<Mutex<Writer>>),
}

impl Placement {
    /// Checks that there is a writer in this process.
    fn check(&self) -> Result<()> {
        match self {
            Self::OwnThread(thread) => thread.check(),
            Self::CallerThreads(_) => Ok(()),
        }
    }
}

impl RedbEngine {
    /// # Errors
    /// The errors of [`Options::open`](crate::Options::open).
    pub(crate) fn open(source: Source, config: Config, setup: Setup) -> Result<Self> {
        let published = Arc::new(Published::new(Readable::Nothing(Error::Closed)));
        let in_memory = matches!(source, Source::Memory);
        let is_shared = matches!(source, Source::Shared(_));
        let queue = Arc::new(Queue::new(is_shared.then_some(config.wait_for_transaction)));
        let durability = if in_memory { Durability::Full } else { config.durability };
        let config = Config { durability, ..config };
        let defers = Arc::new(AtomicBool::new(false));
        let writer =
            catching_panics(|| Writer::open(source, config, setup, Arc::clone(&published), Arc::clone(&defers)))?;
        let (file, leaving, store_id) = (writer.file(), writer.leaving(), writer.store_id());
        let writer = if in_memory {
            Placement::CallerThreads(Box::new(Mutex::new(writer)))
        } else {
            let queue = Arc::clone(&queue);
            Placement::OwnThread(OwnThread::spawn("authkv-writer", move || writer.run(&queue))?)
        };
        Ok(Self { published, defers, queue, writer, file, leaving, store_id })
    }

    /// Opens a file that the application shares with the store, and the store in it.
    ///
    /// # Errors
    /// The errors of [`Options::open_shared`](crate::Options::open_shared).
    pub(crate) fn open_shared(
        path: &Path,
        create_if_missing: bool,
        mut config: Config,
        setup: Setup,
    ) -> Result<(Self, Arc<Database>)> {
        let absent = if create_if_missing { Absent::Make } else { Absent::Refuse };
        let on_recovery = config.on_recovery.take();
        let pages = Pages { cache_bytes: config.cache_bytes, verify: config.check_pages, on_recovery };
        let database = open::to_share(path, absent, pages, &setup)?;
        Ok((Self::open(Source::Shared(Arc::clone(&database)), config, setup)?, database))
    }

    /// Runs a read on the calling thread and records its read set, if it reads only a few single rows.
    pub(crate) fn read_recorded<R>(&self, op: impl Fn(&Txn<'_>) -> Result<R>) -> Result<(R, Option<ReadSet>)> {
        self.read_now(|view, version| {
            let noting = RecordingView::new(view);
            let found = op(&Txn::new(&noting))?;
            Ok((found, noting.into_read_set(version)))
        })
    }

    /// True if the path names the file that the store has open.
    pub(crate) fn is_at(&self, path: &Path) -> bool {
        self.file.upgrade().is_some_and(|file| file.is_at(path))
    }

    /// True if no row of the read set has changed since it was read.
    pub(crate) fn is_fresh(&self, read_set: &ReadSet) -> bool {
        self.published.is_fresh(read_set)
    }

    fn submit<T>(&self, task: Task, caller: Caller, reply: Reply<T>) -> Reply<T> {
        if let Err(error) = self.writer.check().and_then(|()| self.queue.push(task, caller)) {
            return Reply::ready(Err(error));
        }
        if let Placement::CallerThreads(writer) = &self.writer {
            // The thread that gets the lock carries out everything that waits; the others then find their answer.
            let mut writer = writer.lock();
            while !reply.is_ready() && writer.serve(&self.queue) {}
        }
        reply
    }

    /// Queues a job that nobody waits for.
    fn queue_behind(&self, job: Option<Box<dyn Job>>) {
        if let Some(job) = job {
            drop(self.submit(Task::Write(job), Caller::None, Reply::ready(Ok(()))));
        }
    }

    /// Runs `read` on the published snapshot, with its version or an earlier one.
    fn read_now<R>(&self, read: impl Fn(&dyn View, u64) -> Result<R>) -> Result<R> {
        loop {
            let (readable, version) = self.published.get();
            let snapshot = match readable {
                Readable::Snapshot(snapshot) => snapshot,
                Readable::Database(database) => {
                    let snapshot = Snapshot::begin(&*database)?;
                    return catching_panics(|| read(&snapshot, version));
                }
                Readable::Nothing(error) => return Err(error),
            };
            match catching_panics(|| read(&*snapshot, version)) {
                // The writer closed the database to reopen it. A newer snapshot is published, or the reason why there
                // is none.
                Err(error) if view::is_closed(&error) && !self.published.is(&snapshot) => {}
                Err(error) if view::is_latched(&error) => {
                    // A store that is being closed need not reopen.
                    drop(self.submit(Task::Reopen(snapshot), Caller::None, Reply::ready(Ok(()))));
                    return Err(error);
                }
                result => return result,
            }
        }
    }
}

impl Engine for RedbEngine {
    fn read<R: Send + 'static, T: Send + 'static>(
        &self,
        op: impl Fn(&Txn<'_>) -> Result<R> + Send + 'static,
        finish: impl FnOnce(R) -> Result<T> + Send + 'static,
    ) -> Reply<T> {
        Reply::ready(self.read_now(|view, _| op(&Txn::new(view))).and_then(finish))
    }

    fn write_before<R: Send + 'static, T: Send + 'static>(
        &self,
        op: impl Fn(&mut Txn<'_>) -> Result<R> + Send + 'static,
        finish: impl FnOnce(R) -> Result<T> + Send + 'static,
        behind: Option<Box<dyn Job>>,
    ) -> Reply<T> {
        let (job, reply) = job(op, finish);
        let reply = self.submit(Task::Write(job), Caller::Waits, reply);
        self.queue_behind(behind);
        reply
    }

    fn write_in_background(
        &self,
        op: impl Fn(&mut Txn<'_>) -> Result<()> + Send + 'static,
        behind: Option<Box<dyn Job>>,
    ) {
        let (job, reply) = job(op, Ok);
        drop(self.submit(Task::Write(job), Caller::None, reply));
        self.queue_behind(behind);
    }

    fn settle(&self) -> Reply<()> {
        let (answer, reply) = Reply::later();
        self.submit(Task::Settle(answer), Caller::Waits, reply)
    }

    fn synchronize(&self) -> Reply<()> {
        let (answer, reply) = Reply::later();
        self.submit(Task::Synchronize(answer), Caller::Waits, reply)
    }

    fn verify(&self) -> Reply<()> {
        let (answer, reply) = Reply::later();
        self.submit(Task::Verify(answer), Caller::Waits, reply)
    }

    fn close(&self) -> Reply<()> {
        self.leaving.iter().for_each(Leaving::set);
        let (answer, reply) = Reply::later();
        self.submit(Task::Close(answer), Caller::Waits, reply)
    }

    /// Allows deferred writes. Until now every write was synced, because later writes build on the first ones.
    fn opened(&self) {
        self.defers.store(true, Ordering::Release);
    }
}

impl Drop for RedbEngine {
    /// Waits until accepted writes are carried out and the file is closed: the end of the writer's thread. If a
    /// transaction of the application's holds that up for too long, the thread is left to it. In a child that was made by
    /// fork(2) this leaves the file and its lock alone, as they are the parent's.
    fn drop(&mut self) {
        if self.writer.check().is_err() {
            return;
        }
        self.leaving.iter().for_each(Leaving::set);
        self.queue.close();
        if let Placement::OwnThread(thread) = &mut self.writer
            && !thread.is_current()
            && !self.queue.wait_for_end()
        {
            thread.leave();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread::current;
    use std::time::Duration;

    use super::*;
    use crate::engine::Signature;
    use crate::records::Identity;

    fn engine(source: Source) -> RedbEngine {
        let config = Config {
            durability: Durability::Full,
            cache_bytes: 1 << 20,
            synchronize: true,
            check_pages: false,
            on_recovery: None,
            erases: false,
            wait_for_transaction: Duration::from_secs(10),
        };
        let signature =
            Signature { read: |_| Ok(Identity::default()), write: |_, _| Ok(()), fresh: Identity::default() };
        let setup =
            Setup { accept: Box::new(|_| Ok(())), synchronize: Box::new(|_| Ok(())), decisive: Vec::new(), signature };
        RedbEngine::open(source, config, setup).unwrap()
    }

    #[test]
    fn reads_run_in_place_and_only_commits_to_a_file_leave_the_callers_thread() {
        let folder = tempfile::tempdir().unwrap();
        let file = engine(Source::File(folder.path().join("app.redb")));
        let memory = engine(Source::Memory);
        let here = current().id();
        for engine in [&file, &memory] {
            assert_eq!(engine.read(|_| Ok(current().id()), Ok).wait().unwrap(), here);
            let finished = engine.write(|_| Ok(()), |()| Ok(current().id()));
            assert_eq!(finished.wait().unwrap(), here);
        }
        assert_eq!(memory.write(|_| Ok(current().id()), Ok).wait().unwrap(), here);
        assert_ne!(file.write(|_| Ok(current().id()), Ok).wait().unwrap(), here);
    }

    #[test]
    fn the_last_handle_may_be_dropped_on_the_writers_own_thread() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("app.redb");
        let file = Arc::new(engine(Source::File(path.clone())));
        let (sender, dropped) = std::sync::mpsc::channel();
        let (held, hold) = (Mutex::new(Some((Arc::clone(&file), sender))), Arc::new(std::sync::Barrier::new(2)));
        let reply = file.write(
            {
                let hold = Arc::clone(&hold);
                move |_| {
                    hold.wait();
                    let (file, sender) = held.lock().take().unwrap();
                    drop(file);
                    sender.send(()).unwrap();
                    Ok(())
                }
            },
            Ok,
        );
        drop(file);
        hold.wait();
        dropped.recv().unwrap();
        reply.wait().unwrap();
    }
}
