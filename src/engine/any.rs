//! The engine of a store: which one it is is chosen when the store is opened.

use crate::engine::Engine;
use crate::engine::job::Job;
use crate::engine::redb::RedbEngine;
use crate::engine::redb::published::ReadSet;
#[cfg(feature = "etcd")]
use crate::engine::remote::RemoteEngine;
use crate::error::Result;
use crate::kv::txn::Txn;
use crate::reply::Reply;

pub(crate) enum AnyEngine {
    Redb(RedbEngine),
    #[cfg(feature = "etcd")]
    Remote(RemoteEngine),
}

/// Calls a method of whichever engine it is.
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
    /// Whether others may change what this engine holds, so that nothing read may be kept, a reply comes later, and an
    /// operation may be done in several steps.
    pub(crate) fn is_shared(&self) -> bool {
        !matches!(self, Self::Redb(_))
    }

    /// Runs a reading operation in place and notes what it read, if that were few rows that only this engine changes.
    pub(crate) fn read_recorded<R>(&self, op: impl Fn(&Txn<'_>) -> Result<R>) -> Option<Result<(R, Option<ReadSet>)>> {
        match self {
            Self::Redb(engine) => Some(engine.read_recorded(op)),
            #[cfg(feature = "etcd")]
            Self::Remote(_) => None,
        }
    }

    /// Whether what was read is what would be read now.
    pub(crate) fn is_fresh(&self, read_set: &ReadSet) -> bool {
        match self {
            Self::Redb(engine) => engine.is_fresh(read_set),
            #[cfg(feature = "etcd")]
            Self::Remote(_) => false,
        }
    }

    /// What whoever runs what holds the store should know.
    #[cfg(feature = "etcd")]
    pub(crate) fn warnings(&self) -> &[String] {
        match self {
            Self::Redb(_) => &[],
            Self::Remote(engine) => engine.warnings(),
        }
    }

    /// Looks whether somebody else has changed what the store is, since this was last looked at.
    ///
    /// # Errors
    /// `Busy` if so.
    pub(crate) fn confirm(&self) -> Result<()> {
        match self {
            Self::Redb(_) => Ok(()),
            #[cfg(feature = "etcd")]
            Self::Remote(engine) => engine.confirm(),
        }
    }

    /// Goes on with what a reply brings, whether or not anybody awaits the outcome.
    pub(crate) fn then<T: Send + 'static, U: Send + 'static>(
        &self,
        reply: Reply<T>,
        next: impl FnOnce(Result<T>) -> Reply<U> + Send + 'static,
    ) -> Reply<U> {
        match self {
            Self::Redb(_) => next(reply.wait()),
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

    fn synchronize(&self) -> Reply<()> {
        each!(self, engine => engine.synchronize())
    }

    fn close(&self) -> Reply<()> {
        each!(self, engine => engine.close())
    }

    fn settled(&self) {
        each!(self, engine => engine.settled());
    }
}
