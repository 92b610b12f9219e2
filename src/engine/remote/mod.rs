//! The engine on a cluster: operations run on fetched rows, and their changes are written if the rows have not changed.
//!
//! ```text
//! operation → attempt: run on `known` → what it missed → fetch → run again → …
//!                                     ↘ what it read and wants written → committer → one transaction for many → outcomes
//! ```
//!
//! All of it runs on the engine's own thread, so that callers can wait anywhere.

mod attempt;
mod batch;
pub(crate) mod cluster;
mod commit;
pub(crate) mod etcd;
mod keys;
mod known;
mod proposal;
mod queue;
mod receipt;
mod shared;

use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;
use tokio::runtime::{Builder, Handle};
use tokio::sync::{mpsc, oneshot};

use attempt::{Purpose, carry_out};
use cluster::Cluster;
use commit::Committer;
use etcd::{Client, Etcd};
pub(crate) use keys::Keys;
pub(crate) use shared::Config;
use shared::Core;

use crate::engine::job::{Job, job, reading};
use crate::engine::thread::OwnThread;
use crate::engine::{Engine, Setup};
use crate::error::{Error, Result, StorageError};
use crate::kv::txn::{FollowUp, Txn};
use crate::reply::{Answer, Reply};

pub(crate) struct RemoteEngine {
    core: Arc<Core>,
    runtime: Handle,
    /// Ends the thread, with the answer to send then.
    closing: Mutex<Option<oneshot::Sender<Option<Answer<()>>>>>,
    thread: OwnThread,
    warnings: Vec<String>,
}

impl RemoteEngine {
    /// Connects to an etcd cluster.
    ///
    /// # Errors
    /// The errors of [`Options::connect`](crate::Options::connect).
    pub(crate) fn connect(etcd: &Etcd, keys: Keys, config: Config, setup: Setup) -> Result<Self> {
        let mut client = None;
        let mut engine = Self::start(
            |runtime| {
                let new = Client::new(etcd, runtime)?;
                Ok(Arc::new(client.insert(new).clone()))
            },
            keys,
            config,
            setup,
        )?;
        if let Some(client) = client {
            engine.warnings = engine.run(|answer| async move { answer.send(Ok(client.look().await)) }).wait()?;
        }
        for warning in &engine.warnings {
            tracing::warn!("{warning}");
        }
        engine.begin()?;
        Ok(engine)
    }

    /// Opens the engine on a test's cluster.
    #[cfg(test)]
    pub(crate) fn open(cluster: Arc<dyn Cluster>, keys: Keys, config: Config, setup: Setup) -> Result<Self> {
        let engine = Self::start(|_| Ok(cluster), keys, config, setup)?;
        engine.begin()?;
        Ok(engine)
    }

    /// Warnings for the operator of the cluster.
    pub(crate) fn warnings(&self) -> &[String] {
        &self.warnings
    }

    fn start(
        cluster: impl FnOnce(&Handle) -> Result<Arc<dyn Cluster>>,
        keys: Keys,
        config: Config,
        setup: Setup,
    ) -> Result<Self> {
        let not_started = |error| Error::Storage(StorageError::caused("the engine's thread cannot be started", error));
        let runtime = Builder::new_current_thread().enable_all().build().map_err(not_started)?;
        let handle = runtime.handle().clone();
        let (proposals, proposed) = mpsc::unbounded_channel();
        let core = Arc::new(Core::new(cluster(&handle)?, keys, config, setup, proposals));
        let committer = handle.spawn(Committer::new(Arc::clone(&core)).run(proposed));
        let (closing, closed) = oneshot::channel::<Option<Answer<()>>>();
        let main = {
            let core = Arc::clone(&core);
            move || {
                runtime.block_on(async {
                    let answer = closed.await.ok().flatten();
                    core.idle().await;
                    core.propose_no_more();
                    let _ = committer.await;
                    if let Some(answer) = answer {
                        answer.send(Ok(()));
                    }
                });
            }
        };
        let thread = OwnThread::spawn("authkv-cluster", main)?;
        let closing = Mutex::new(Some(closing));
        Ok(Self { core, runtime: handle, closing, thread, warnings: Vec::new() })
    }

    /// Checks the store's state, and creates a store if there is none and the configuration asks for it.
    fn begin(&self) -> Result<()> {
        loop {
            match self.look().and_then(|()| self.accept()).and_then(|()| self.make()) {
                // Another process is opening the store too.
                Err(Error::Busy) => {}
                outcome => return outcome,
            }
        }
    }

    fn look(&self) -> Result<()> {
        match self.confirm() {
            Err(Error::Busy) | Ok(()) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Checks whether another process has changed the rows that define the store since they were last read.
    ///
    /// # Errors
    /// `Busy` if they have changed.
    pub(crate) fn confirm(&self) -> Result<()> {
        let core = Arc::clone(&self.core);
        self.run(|answer| async move { answer.send(core.look(Instant::now() + core.config.timeout).await) }).wait()
    }

    fn accept(&self) -> Result<()> {
        let core = Arc::clone(&self.core);
        let (job, reply) = reading(move |txn| (core.setup.accept)(txn), Ok);
        self.spawn(job, None, reply, Purpose::Make).wait()
    }

    fn make(&self) -> Result<()> {
        if self.core.config.synchronize { self.synchronize().wait() } else { Ok(()) }
    }

    fn spawn<T>(&self, job: Box<dyn Job>, behind: Option<Box<dyn Job>>, reply: Reply<T>, purpose: Purpose) -> Reply<T> {
        let in_flight = match self.thread.check().and_then(|()| self.core.enter()) {
            Ok(in_flight) => in_flight,
            Err(error) => return Reply::ready(Err(error)),
        };
        let core = Arc::clone(&self.core);
        self.runtime.spawn(async move {
            let _in_flight = in_flight;
            let (mut next, mut behind) = (Some((job, purpose)), behind);
            while let Some((job, purpose)) = next {
                let follow_up = carry_out(&core, job, purpose).await.map(FollowUp::into_job);
                // Work left when the store is closed is done when it is next opened.
                let after = follow_up.or_else(|| behind.take()).filter(|_| !core.is_closed());
                next = after.map(|job| (job, Purpose::Write));
            }
        });
        reply
    }

    /// Runs `next` on a reply's result when it arrives, even if nobody awaits the outcome. The last step of the reply that
    /// `next` makes is left to whoever does.
    pub(crate) fn then<T: Send + 'static, U: Send + 'static>(
        &self,
        reply: Reply<T>,
        next: impl FnOnce(Result<T>) -> Reply<U> + Send + 'static,
    ) -> Reply<U> {
        self.run(|answer| async move { next(reply.await).answer_to(answer).await })
    }

    /// Runs work of the store's thread that answers. Closing waits for it.
    fn run<T, F>(&self, work: impl FnOnce(Answer<T>) -> F) -> Reply<T>
    where
        T: Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        if let Err(error) = self.thread.check() {
            return Reply::ready(Err(error));
        }
        let (answer, reply) = Reply::later();
        let (work, in_flight) = (work(answer), self.core.go_on());
        self.runtime.spawn(async move {
            work.await;
            drop(in_flight);
        });
        reply
    }
}

impl Engine for RemoteEngine {
    fn read<R: Send + 'static, T: Send + 'static>(
        &self,
        op: impl Fn(&Txn<'_>) -> Result<R> + Send + 'static,
        finish: impl FnOnce(R) -> Result<T> + Send + 'static,
    ) -> Reply<T> {
        let (job, reply) = reading(op, finish);
        self.spawn(job, None, reply, Purpose::Read)
    }

    fn write_before<R: Send + 'static, T: Send + 'static>(
        &self,
        op: impl Fn(&mut Txn<'_>) -> Result<R> + Send + 'static,
        finish: impl FnOnce(R) -> Result<T> + Send + 'static,
        behind: Option<Box<dyn Job>>,
    ) -> Reply<T> {
        let (job, reply) = job(op, finish);
        self.spawn(job, behind, reply, Purpose::Write)
    }

    /// Waits for a moment in which no call is under way.
    fn settle(&self) -> Reply<()> {
        if let Err(error) = self.thread.check() {
            return Reply::ready(Err(error));
        }
        let (core, (answer, reply)) = (Arc::clone(&self.core), Reply::later());
        self.runtime.spawn(async move {
            core.idle().await;
            answer.send(Ok(()));
        });
        reply
    }

    fn synchronize(&self) -> Reply<()> {
        let core = Arc::clone(&self.core);
        let (job, reply) = job(move |txn| (core.setup.synchronize)(txn), Ok);
        self.spawn(job, None, reply, Purpose::Make)
    }

    /// A cluster verifies what it stores by itself.
    fn verify(&self) -> Reply<()> {
        Reply::ready(Ok(()))
    }

    fn close(&self) -> Reply<()> {
        if let Err(error) = self.thread.check() {
            return Reply::ready(Err(error));
        }
        let (answer, reply) = Reply::later();
        match self.closing.lock().take() {
            Some(closing) if self.core.close() => {
                let _ = closing.send(Some(answer));
                reply
            }
            _ => Reply::ready(Err(Error::Closed)),
        }
    }

    fn opened(&self) {
        self.core.opened();
        let core = Arc::clone(&self.core);
        // Nobody waits for this, and a failure loses nothing.
        self.runtime.spawn(async move { Committer::tidy(&core).await });
    }
}

impl Drop for RemoteEngine {
    /// Waits until accepted operations are carried out: the end of the engine's thread. In a child that was made by fork(2)
    /// nothing is told to that thread, because what wakes it is the parent's too.
    fn drop(&mut self) {
        let closing = self.closing.get_mut().take();
        if self.thread.check().is_err() {
            return std::mem::forget(closing);
        }
        self.core.close();
        if let Some(closing) = closing {
            let _ = closing.send(None);
        }
    }
}
