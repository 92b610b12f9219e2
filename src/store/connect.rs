//! A store on an etcd cluster.

use crate::engine::any::AnyEngine;
use crate::engine::remote::cluster::Reading;
use crate::engine::remote::etcd::Etcd;
use crate::engine::remote::{Config, Keys, RemoteEngine};
use crate::error::{Error, Result};
use crate::models::Models;
use crate::store::AuthKv;
use crate::store::options::Options;

/// # On a cluster
impl AuthKv {
    /// Opens the store in a namespace of an [etcd](https://etcd.io) cluster, and creates it if it does not exist. The
    /// same as `AuthKv::options().connect(to)`.
    ///
    /// # Errors
    /// The errors of [`Options::connect`].
    ///
    /// ```no_run
    /// use authkv::AuthKv;
    ///
    /// let auth = AuthKv::connect("etcd://10.0.0.1:2379,10.0.0.2:2379,10.0.0.3:2379/my-app")?;
    /// # Ok::<(), authkv::Error>(())
    /// ```
    pub fn connect<T: TryInto<Etcd, Error: Into<Error>>>(to: T) -> Result<Self> {
        Self::options().connect(to)
    }
}

impl<M: Models> AuthKv<M> {
    /// Warnings for the operator of the cluster, found when the store was opened: a server is so old that namespaces
    /// are no security boundary. Each is also logged as a warning with the crate `tracing`.
    pub fn warnings(&self) -> &[String] {
        self.engine().warnings()
    }
}

impl<M: Models> Options<M> {
    /// Opens the store in a namespace of an [etcd](https://etcd.io) cluster, and creates it if it does not exist. `to`
    /// is an [`Etcd`] or its URL. Any number of processes can use the store at the same time.
    ///
    /// The store's own thread talks to the cluster, so that replies can be awaited in any async code and waited for in
    /// blocking code. Where a model's own code has to see stored data, for a patch of own fields and in
    /// [`authenticate`](AuthKv::authenticate), it runs on that thread. [`durability`](Self::durability),
    /// [`cache_bytes`](Self::cache_bytes), [`hot_sessions`](Self::hot_sessions) and [`verify`](Self::verify) have no
    /// effect.
    ///
    /// # Errors
    /// [`Open`](Error::Open) when no majority of the cluster answers, the cluster refuses the user, or the namespace's
    /// contents are newer or do not fit the options or the models; [`InvalidArgument`](Error::InvalidArgument) when the
    /// URL is invalid, with [`secure_delete`](Self::secure_delete), and as for [`open`](Self::open).
    pub fn connect<T: TryInto<Etcd, Error: Into<Error>>>(self, to: T) -> Result<AuthKv<M>> {
        let etcd: Etcd = to.try_into().map_err(Into::into)?;
        etcd.check()?;
        self.refuse_secure_delete()?;
        let config = Config {
            timeout: etcd.timeout,
            in_flight_max: etcd.in_flight_max,
            reading: if etcd.stale_reads { Reading::Stale } else { Reading::Newest },
            synchronize: self.synchronizes(),
        };
        let opened = self.open_engine(|setup| {
            RemoteEngine::connect(&etcd, Keys::new(&etcd.namespace), config, setup).map(AnyEngine::Remote)
        });
        opened.map_err(|error| error.opening(None))
    }
}
