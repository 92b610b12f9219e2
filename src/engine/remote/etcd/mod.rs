//! The etcd client: it stays with one member while that member answers, preferably the leader.

mod address;
mod convert;
mod messages;
mod version;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use prost::Message;
use tokio::runtime::Handle;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::metadata::AsciiMetadataValue;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;

pub use address::Etcd;
use address::Tls;
use convert::Question;
use messages::{AuthenticateRequest, AuthenticateResponse, Header, StatusRequest, StatusResponse};

use crate::engine::remote::cluster::{Answer, Answering, Cluster, Failure, Reading, Txn};
use crate::error::{Error, Result, StorageError};

/// How many operations an etcd transaction may have by default.
const OPS_MAX: usize = 128;
/// How long to wait before another member is asked.
const PAUSE: Duration = Duration::from_millis(20);
/// How long to wait after a member has failed before looking for the leader.
const ELECTION: Duration = Duration::from_millis(500);
/// How often a silent connection in use is probed.
const KEEP_ALIVE: Duration = Duration::from_secs(5);

/// A handle to the client.
#[derive(Clone)]
pub(crate) struct Client(Arc<Members>);

struct Members {
    channels: Vec<Channel>,
    /// The index of the member to ask.
    current: AtomicUsize,
    is_looking: AtomicBool,
    /// The id of the cluster; 0 before a member has answered.
    cluster_id: AtomicU64,
    credentials: Option<(String, String)>,
    token: Mutex<Option<AsciiMetadataValue>>,
    attempt_timeout: Duration,
}

impl Client {
    /// # Errors
    /// Certificate files that cannot be read, and endpoints that are not hosts. The first call reports members that
    /// cannot be reached.
    pub(crate) fn new(etcd: &Etcd, runtime: &Handle) -> Result<Self> {
        // Channels start their tasks on the runtime.
        let _runtime = runtime.enter();
        let channels = etcd.endpoints.iter().map(|endpoint| channel(endpoint, etcd)).collect::<Result<_>>()?;
        Ok(Self(Arc::new(Members {
            channels,
            current: AtomicUsize::new(0),
            is_looking: AtomicBool::new(false),
            cluster_id: AtomicU64::new(0),
            credentials: etcd.credentials.clone(),
            token: Mutex::new(None),
            attempt_timeout: etcd.attempt_timeout,
        })))
    }

    /// Asks the members for their status and switches to the leader. Returns warnings about their versions.
    pub(crate) async fn look(&self) -> Vec<String> {
        let mut versions: Vec<_> = self.find_leader().await.into_iter().map(|status| status.version).collect();
        versions.sort();
        versions.dedup();
        versions.iter().filter_map(|version| version::warning(version)).collect()
    }

    async fn find_leader(&self) -> Vec<StatusResponse> {
        let mut found = Vec::new();
        let until = Instant::now() + self.0.attempt_timeout;
        let asked: Vec<_> = (0..self.0.channels.len())
            .map(|member| {
                let client = self.clone();
                tokio::spawn(async move {
                    client.call(member, "/etcdserverpb.Maintenance/Status", StatusRequest {}, until).await
                })
            })
            .collect();
        for (member, asked) in asked.into_iter().enumerate() {
            let status: StatusResponse = match asked.await {
                Ok(Ok(status)) => status,
                Ok(Err(_)) | Err(_) => continue,
            };
            let header = status.header.clone().unwrap_or_default();
            if header.member_id == status.leader && self.is_of_the_cluster(&header) {
                self.0.current.store(member, Ordering::SeqCst);
            }
            found.push(status);
        }
        found
    }

    /// Switches from this member to another one, and looks for the leader a little later.
    fn leave(&self, member: usize) {
        let next = (member + 1) % self.0.channels.len().max(1);
        let _ = self.0.current.compare_exchange(member, next, Ordering::SeqCst, Ordering::SeqCst);
        if !self.0.is_looking.swap(true, Ordering::SeqCst) {
            let client = self.clone();
            tokio::spawn(async move {
                tokio::time::sleep(ELECTION).await;
                client.find_leader().await;
                client.0.is_looking.store(false, Ordering::SeqCst);
            });
        }
    }

    /// True if the answer is from a member of the cluster that answered first.
    fn is_of_the_cluster(&self, header: &Header) -> bool {
        let known = self.0.cluster_id.compare_exchange(0, header.cluster_id, Ordering::SeqCst, Ordering::SeqCst);
        known.is_ok() || known == Err(header.cluster_id)
    }

    async fn attempt(&self, member: usize, question: Question, deadline: Instant) -> Result<Answer, CallError> {
        let response = match question {
            Question::Range(range) => {
                self.call(member, "/etcdserverpb.KV/Range", range, deadline).await.map(convert::answer_of_range)
            }
            Question::Txn(txn) => {
                self.call(member, "/etcdserverpb.KV/Txn", txn, deadline).await.map(convert::answer_of_txn)
            }
        };
        let (header, answer) = response.map_err(|status| call_error(&status))?;
        if !self.is_of_the_cluster(&header) {
            return Err(CallError::Unanswered(StorageError::new(
                "an endpoint belongs to another cluster than the others",
            )));
        }
        Ok(answer)
    }

    async fn call<M, N>(&self, member: usize, path: &'static str, message: M, deadline: Instant) -> Result<N, Status>
    where
        M: Message + Send + Sync + 'static,
        N: Message + Default + Send + Sync + 'static,
    {
        let channel = self.0.channels.get(member).ok_or_else(|| Status::internal("there is no such member"))?;
        let mut grpc = Grpc::new(channel.clone()).max_decoding_message_size(usize::MAX);
        let mut request = Request::new(message);
        if let Some(token) = self.0.token.lock().clone() {
            request.metadata_mut().insert("token", token);
        }
        let until = deadline.min(Instant::now() + self.0.attempt_timeout);
        let called = async {
            grpc.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
            grpc.unary(request, PathAndQuery::from_static(path), ProstCodec::<M, N>::default()).await
        };
        match tokio::time::timeout_at(until.into(), called).await {
            Ok(response) => Ok(response?.into_inner()),
            Err(_) => Err(Status::deadline_exceeded("there was no answer in time")),
        }
    }

    /// Gets a token for the configured user.
    async fn authenticate(&self, member: usize, deadline: Instant) -> Result<(), CallError> {
        let Some((name, password)) = self.0.credentials.clone() else {
            let why = "the cluster asks for a user and a password";
            return Err(CallError::Refused(Error::Storage(StorageError::new(why))));
        };
        *self.0.token.lock() = None;
        let request = AuthenticateRequest { name, password };
        let answer: AuthenticateResponse = self
            .call(member, "/etcdserverpb.Auth/Authenticate", request, deadline)
            .await
            .map_err(|status| call_error(&status))?;
        let token = answer.token.parse().map_err(|_| {
            CallError::Refused(Error::Storage(StorageError::new("the cluster has given a token that cannot be sent")))
        })?;
        *self.0.token.lock() = Some(token);
        Ok(())
    }

    async fn carry_out(&self, question: Question, is_read_only: bool, deadline: Instant) -> Result<Answer, Failure> {
        let mut authenticated = false;
        loop {
            let member = self.0.current.load(Ordering::SeqCst);
            let must_authenticate = self.0.credentials.is_some() && self.0.token.lock().is_none();
            let outcome = if must_authenticate {
                match self.authenticate(member, deadline).await {
                    Ok(()) => continue,
                    // The transaction itself was not sent.
                    Err(CallError::Unanswered(why) | CallError::Full(why)) => Err(CallError::NotSent(why)),
                    Err(outcome) => Err(outcome),
                }
            } else {
                self.attempt(member, question.clone(), deadline).await
            };
            let (why, failure): (_, fn(StorageError) -> Failure) = match outcome {
                Ok(answer) => return Ok(answer),
                Err(CallError::Refused(error)) => return Err(Failure::Refused(error)),
                Err(CallError::OtherRevision) => return Err(Failure::OtherRevision),
                Err(CallError::Unauthenticated(why)) if authenticated || self.0.credentials.is_none() => {
                    return Err(Failure::Refused(Error::Storage(why)));
                }
                Err(CallError::Unauthenticated(_)) => {
                    authenticated = true;
                    *self.0.token.lock() = None;
                    continue;
                }
                Err(CallError::Full(why)) => return Err(Failure::Full(why)),
                Err(CallError::NotSent(why)) => (why, |why| Failure::Refused(Error::Storage(why))),
                Err(CallError::Unanswered(why)) if is_read_only => (why, Failure::Unknown),
                Err(CallError::Unanswered(why)) => {
                    self.leave(member);
                    return Err(Failure::Unknown(why));
                }
            };
            self.leave(member);
            if Instant::now() + PAUSE >= deadline {
                return Err(failure(why));
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

impl Cluster for Client {
    fn txn(&self, txn: Txn, reading: Reading, deadline: Instant) -> Answering<'_> {
        let is_read_only = txn.is_read_only();
        let question = convert::question(txn, reading);
        Box::pin(self.carry_out(question, is_read_only, deadline))
    }

    fn ops_max(&self) -> usize {
        OPS_MAX
    }
}

/// Why a member's answer is not a result.
enum CallError {
    Refused(Error),
    Unauthenticated(StorageError),
    OtherRevision,
    Full(StorageError),
    NotSent(StorageError),
    Unanswered(StorageError),
}

/// What an etcd error says about the transaction. It counts as refused only if it certainly was not proposed to the
/// members: a transaction that was proposed may be carried out after its error.
fn call_error(status: &Status) -> CallError {
    let because = |context| {
        StorageError::caused(context, MemberStatus { code: status.code(), message: status.message().to_owned() })
    };
    match status.code() {
        Code::Unauthenticated => CallError::Unauthenticated(because("the cluster does not know the user")),
        Code::InvalidArgument if status.message().contains("auth store is old") => {
            CallError::Unauthenticated(because("the users of the cluster have changed"))
        }
        Code::OutOfRange => CallError::OtherRevision,
        // The transaction that used up the space gets this answer too.
        Code::ResourceExhausted if status.message().contains("space exceeded") => {
            CallError::Full(because("the cluster has no space left"))
        }
        Code::ResourceExhausted if status.message().contains("too many requests") => CallError::Refused(Error::Busy),
        Code::InvalidArgument | Code::PermissionDenied | Code::FailedPrecondition | Code::Unimplemented => {
            CallError::Refused(Error::Storage(because("the cluster refuses the request")))
        }
        _ => CallError::Unanswered(because("the cluster has not answered")),
    }
}

/// The message of a member or of its connection.
#[derive(Debug)]
struct MemberStatus {
    code: Code,
    message: String,
}

impl std::fmt::Display for MemberStatus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({:?})", self.message, self.code)
    }
}

impl std::error::Error for MemberStatus {}

fn channel(endpoint: &str, etcd: &Etcd) -> Result<Channel> {
    let scheme = if etcd.tls.is_some() { "https" } else { "http" };
    let unusable = |error| Error::Storage(StorageError::caused("an endpoint cannot be used", error));
    let mut endpoint = Endpoint::from_shared(format!("{scheme}://{endpoint}"))
        .map_err(unusable)?
        .connect_timeout(etcd.attempt_timeout)
        .http2_keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE)
        .tcp_nodelay(true);
    if let Some(tls) = &etcd.tls {
        endpoint = endpoint.tls_config(tls_config(tls)?).map_err(unusable)?;
    }
    Ok(endpoint.connect_lazy())
}

fn tls_config(tls: &Tls) -> Result<ClientTlsConfig> {
    let read = |path: &std::path::Path| {
        std::fs::read(path)
            .map_err(|error| Error::Storage(StorageError::caused("a file of a certificate cannot be read", error)))
    };
    let mut config = ClientTlsConfig::new();
    config = match &tls.ca {
        Some(path) => config.ca_certificate(Certificate::from_pem(read(path)?)),
        None => config.with_native_roots(),
    };
    if let Some((cert, key)) = &tls.identity {
        config = config.identity(Identity::from_pem(read(cert)?, read(key)?));
    }
    Ok(match &tls.server_name {
        Some(name) => config.domain_name(name),
        None => config,
    })
}
