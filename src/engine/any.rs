//! The engine of a store, chosen when the store is opened.

use std::path::Path;

use crate::engine::Engine;
use crate::engine::job::Job;
use crate::engine::redb::published::ReadSet;
use crate::engine::redb::{RedbEngine, WriteTransaction};
#[cfg(feature = "etcd")]
use crate::engine::remote::RemoteEngine;
use crate::error::Result;
#[cfg(feature = "etcd")]
use crate::error::{Error, Problem};
use crate::kv::txn::Txn;
use crate::reply::Reply;

pub(crate) enum AnyEngine {
    Redb(RedbEngine),
    #[cfg(feature = "etcd")]
    Remote(RemoteEngine),
}

/// Calls a method of the chosen engine.
macro_rules! each {
    ($self:ident, $engine:ident => $call:expr) => {
        match $self {
            Self::Redb($engine) => $call,
            #[cfg(feature = "etcd")]
            Self::Remote($engine) => $call,
        }
    };
}

impl AnyEngine {
    /// True if other processes may change the data. Then nothing read may be cached, replies arrive later, and an
    /// operation may take several steps.
    pub(crate) fn is_shared(&self) -> bool {
        !matches!(self, Self::Redb(_))
    }

    /// Runs a read on the calling thread and records its read set, if the operation reads only a few single rows.
    /// Returns `None` if other processes may change the rows.
    pub(crate) fn read_recorded<R>(&self, op: impl Fn(&Txn<'_>) -> Result<R>) -> Option<Result<(R, Option<ReadSet>)>> {
        match self {
            Self::Redb(engine) => Some(engine.read_recorded(op)),
            #[cfg(feature = "etcd")]
            Self::Remote(_) => None,
        }
    }

    /// Begins a transaction of the application's; see [`RedbEngine::begin_write`].
    ///
    /// # Errors
    /// Also `InvalidArgument` on a cluster.
    pub(crate) fn begin_write(&self) -> Result<WriteTransaction> {
        match self {
            Self::Redb(engine) => engine.begin_write(),
            #[cfg(feature = "etcd")]
            Self::Remote(_) => Err(Error::invalid("begin_write", Problem::NotShared)),
        }
    }

    /// Runs an operation on a transaction of the application's; see [`RedbEngine::run_in`].
    ///
    /// # Errors
    /// Also `InvalidArgument` on a cluster.
    pub(crate) fn run_in<R, T>(
        &self,
        transaction: &WriteTransaction,
        op: impl Fn(&mut Txn<'_>) -> Result<R>,
        finish: impl FnOnce(R) -> Result<T>,
    ) -> Result<T> {
        match self {
            Self::Redb(engine) => engine.run_in(transaction, op, finish),
            #[cfg(feature = "etcd")]
            Self::Remote(_) => Err(Error::invalid("transaction", Problem::NotShared)),
        }
    }

    /// True if the path names the file that the store has open.
    pub(crate) fn is_at(&self, path: &Path) -> bool {
        match self {
            Self::Redb(engine) => engine.is_at(path),
            #[cfg(feature = "etcd")]
            Self::Remote(_) => false,
        }
    }

    /// True if no row of the read set has changed since it was read.
    pub(crate) fn is_fresh(&self, read_set: &ReadSet) -> bool {
        match self {
            Self::Redb(engine) => engine.is_fresh(read_set),
            #[cfg(feature = "etcd")]
            Self::Remote(_) => false,
        }
    }

    /// Warnings for the operator of the storage.
    #[cfg(feature = "etcd")]
    pub(crate) fn warnings(&self) -> &[String] {
        match self {
            Self::Redb(_) => &[],
            Self::Remote(engine) => engine.warnings(),
        }
    }

    /// Checks whether another process has changed the rows that define the store since they were last read.
    ///
    /// # Errors
    /// `Busy` if they have changed.
    pub(crate) fn confirm(&self) -> Result<()> {
        match self {
            Self::Redb(_) => Ok(()),
            #[cfg(feature = "etcd")]
            Self::Remote(engine) => engine.confirm(),
        }
    }

    /// Runs `next` on a reply's result when it arrives: on a cluster even if nobody awaits the outcome, otherwise in whoever
    /// does.
    pub(crate) fn then<T: Send + 'static, U: Send + 'static>(
        &self,
        reply: Reply<T>,
        next: impl FnOnce(Result<T>) -> Reply<U> + Send + 'static,
    ) -> Reply<U> {
        match self {
            Self::Redb(_) => reply.and_then(next),
            #[cfg(feature = "etcd")]
            Self::Remote(engine) => engine.then(reply, next),
        }
    }
}

impl Engine for AnyEngine {
    fn read<R: Send + 'static, T: Send + 'static>(
        &self,
        op: impl Fn(&Txn<'_>) -> Result<R> + Send + 'static,
        finish: impl FnOnce(R) -> Result<T> + Send + 'static,
    ) -> Reply<T> {
        each!(self, engine => engine.read(op, finish))
    }

    fn write_before<R: Send + 'static, T: Send + 'static>(
        &self,
        op: impl Fn(&mut Txn<'_>) -> Result<R> + Send + 'static,
        finish: impl FnOnce(R) -> Result<T> + Send + 'static,
        behind: Option<Box<dyn Job>>,
    ) -> Reply<T> {
        each!(self, engine => engine.write_before(op, finish, behind))
    }

    fn write_in_background(
        &self,
        op: impl Fn(&mut Txn<'_>) -> Result<()> + Send + 'static,
        behind: Option<Box<dyn Job>>,
    ) {
        each!(self, engine => engine.write_in_background(op, behind));
    }

    fn settle(&self) -> Reply<()> {
        each!(self, engine => engine.settle())
    }

    fn synchronize(&self) -> Reply<()> {
        each!(self, engine => engine.synchronize())
    }

    fn verify(&self) -> Reply<()> {
        each!(self, engine => engine.verify())
    }

    fn close(&self) -> Reply<()> {
        each!(self, engine => engine.close())
    }

    fn opened(&self) {
        each!(self, engine => engine.opened());
    }
}
