//! A session store written by hand: authkv's rows, read and written in as few requests as possible.

use anyhow::{Context, Result, ensure};
use etcd_client::{Client, Compare, CompareOp, Txn, TxnOp, TxnOpResponse};

/// The sizes of what authkv stores: a user, a session, the session's entry, and the entry that lists it by expiry.
const USER_BYTES: usize = 60;
const SESSION_BYTES: usize = 110;
const ENTRY_BYTES: usize = 50;
const LISTED_BYTES: usize = 5;

#[derive(Clone)]
pub(crate) struct ByHand {
    client: Client,
}

impl ByHand {
    /// Connects to one member.
    pub(crate) async fn connect(endpoint: &str) -> Result<Self> {
        Ok(Self { client: Client::connect([endpoint], None).await? })
    }

    pub(crate) async fn create_user(&self, user: usize) -> Result<()> {
        let key = user_key(user);
        let txn = Txn::new().when([Compare::create_revision(key.clone(), CompareOp::Equal, 0)]).and_then([TxnOp::put(
            key,
            vec![b'u'; USER_BYTES],
            None,
        )]);
        ensure!(self.client.kv_client().txn(txn).await?.succeeded(), "the user is there");
        Ok(())
    }

    /// One request: the user must exist, and the session must not.
    pub(crate) async fn create_session(&self, user: usize, session: usize) -> Result<()> {
        let txn = creation(user, session);
        ensure!(self.client.kv_client().txn(txn).await?.succeeded(), "there is no such user, or the session is there");
        Ok(())
    }

    /// One request for all sessions.
    pub(crate) async fn create_sessions(&self, all: impl Iterator<Item = (usize, usize)>) -> Result<()> {
        let nested: Vec<_> = all.map(|(user, session)| TxnOp::txn(creation(user, session))).collect();
        let answer = self.client.kv_client().txn(Txn::new().and_then(nested)).await?;
        let is_created = |one: TxnOpResponse| matches!(one, TxnOpResponse::Txn(one) if one.succeeded());
        ensure!(answer.op_responses().into_iter().all(is_created), "there is no such user, or the session is there");
        Ok(())
    }

    /// Two requests: the session, and then its user.
    pub(crate) async fn session_and_user(&self, session: usize) -> Result<usize> {
        let mut kv = self.client.kv_client();
        let entry = kv.get(entry_key(session), None).await?;
        let entry = entry.kvs().first().context("there is no such session")?;
        let user = usize::from_be_bytes(*entry.value().first_chunk().context("the entry is too short")?);
        let user = kv.get(user_key(user), None).await?;
        Ok(user.kvs().first().context("there is no such user")?.value().len())
    }
}

fn creation(user: usize, session: usize) -> Txn {
    let (entry, row) = (entry_key(session), format!("hand/sessions/{user:016}/{session:016}"));
    let mut found = user.to_be_bytes().to_vec();
    found.resize(ENTRY_BYTES, b'e');
    Txn::new()
        .when([
            Compare::create_revision(user_key(user), CompareOp::Greater, 0),
            Compare::create_revision(entry.clone(), CompareOp::Equal, 0),
            Compare::create_revision(row.clone(), CompareOp::Equal, 0),
        ])
        .and_then([
            TxnOp::put(entry, found, None),
            TxnOp::put(row, vec![b's'; SESSION_BYTES], None),
            TxnOp::put(format!("hand/by_expiry/{session:032}"), vec![b'l'; LISTED_BYTES], None),
        ])
}

fn user_key(user: usize) -> String {
    format!("hand/users/{user:016}")
}

fn entry_key(session: usize) -> String {
    // Looks random, as tokens do.
    format!("hand/session_by_token/{:032x}", fastrand::Rng::with_seed(session as u64).u128(..))
}
