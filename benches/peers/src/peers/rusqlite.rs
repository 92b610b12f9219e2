//! rusqlite at its best: prepared statements, a connection per reading thread and one that writes.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use parking_lot::Mutex;
use rusqlite::{CachedStatement, Connection, OptionalExtension, Row, TransactionBehavior, params};
use thread_local::ThreadLocal;
use uuid::Uuid;

use super::sql;
use crate::call::{Call, Found, Outcome, Peer, Reply, Waiting};
use crate::people::{PROVIDER, Person, User, hash};

const FILLED_AT_ONCE: usize = 4_096;

pub struct Rusqlite {
    path: PathBuf,
    writer: Mutex<Connection>,
    readers: ThreadLocal<Connection>,
}

impl Rusqlite {
    pub fn open(path: &Path) -> Result<Self> {
        let writer = connect(path)?;
        writer.execute_batch(sql::SCHEMA)?;
        Ok(Self { path: path.to_owned(), writer: Mutex::new(writer), readers: ThreadLocal::new() })
    }

    pub fn fill(self, people: &[Person], filled: &mut dyn FnMut(usize)) -> Result<()> {
        let expires_ms = super::first_expiry_ms();
        for some in people.chunks(FILLED_AT_ONCE) {
            let mut writer = self.writer.lock();
            let transaction = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
            for person in some {
                sign_up(&transaction, *person, &person.session_token(), expires_ms)?;
            }
            transaction.commit()?;
            filled(some.len());
        }
        Ok(())
    }

    fn run(&self, call: &Call) -> Result<Outcome> {
        let done = match call {
            Call::SessionAndUser { token } => return self.session_and_user(token),
            Call::UserByEmail { email } => return self.user_by_email(email),
            Call::CreateSession { user_id, token, expires_ms } => {
                create_session(&self.writer.lock(), *user_id, token, *expires_ms)?
            }
            Call::ExtendSession { token, expires_ms } => {
                let writer = self.writer.lock();
                prepared(&writer, sql::EXTEND_SESSION)?.execute(params![expires_ms, now_ms(), hash(token)])?
            }
            Call::SignUp { person, token, expires_ms } => {
                let mut writer = self.writer.lock();
                let transaction = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
                sign_up(&transaction, *person, token, *expires_ms)?;
                transaction.commit()?;
                1
            }
            Call::UseToken { identifier, token, expires_ms } => {
                let new = params![hash(token), identifier, expires_ms, now_ms()];
                prepared(&self.writer.lock(), sql::CREATE_TOKEN)?.execute(new)?;
                let writer = self.writer.lock();
                let mut used = prepared(&writer, sql::USE_TOKEN)?;
                let expires: Option<i64> =
                    used.query_row(params![hash(token), identifier], |row| row.get(0)).optional()?;
                expires.iter().count()
            }
            Call::DeleteUser { user_id } => {
                prepared(&self.writer.lock(), sql::DELETE_USER)?.execute([user_id.as_bytes()])?
            }
        };
        Ok(Outcome::Done(done > 0))
    }

    fn session_and_user(&self, token: &str) -> Result<Outcome> {
        let mut statement = prepared(self.reader()?, sql::SESSION_AND_USER)?;
        let read = |row: &Row<'_>| {
            let _session_id = id(row, 0)?;
            let user = User { id: id(row, 1)?, name: row.get(3)?, email: row.get(4)?, image: row.get(6)? };
            let _verified: Option<i64> = row.get(5)?;
            Ok(Found { user, expires_ms: Some(row.get(2)?) })
        };
        Ok(Outcome::Found(statement.query_row(params![hash(token), now_ms()], read).optional()?))
    }

    fn user_by_email(&self, email: &str) -> Result<Outcome> {
        let mut statement = prepared(self.reader()?, sql::USER_BY_EMAIL)?;
        let read = |row: &Row<'_>| {
            let user = User { id: id(row, 0)?, name: row.get(1)?, email: row.get(2)?, image: row.get(4)? };
            let _verified: Option<i64> = row.get(3)?;
            Ok(Found { user, expires_ms: None })
        };
        Ok(Outcome::Found(statement.query_row([email], read).optional()?))
    }

    fn reader(&self) -> Result<&Connection> {
        self.readers.get_or_try(|| connect(&self.path))
    }
}

impl Peer for Rusqlite {
    fn call<'a>(&'a self, call: &'a Call) -> Reply<'a> {
        Reply::Ready(self.run(call))
    }

    fn waiting(&self) -> Waiting {
        Waiting::Threads
    }
}

fn connect(path: &Path) -> Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(Duration::from_millis(sql::BUSY_MS.into()))?;
    for (name, value) in sql::PRAGMAS {
        connection.pragma_update(None, name, value)?;
    }
    connection.set_prepared_statement_cache_capacity(32);
    Ok(connection)
}

fn prepared<'c>(connection: &'c Connection, statement: &str) -> Result<CachedStatement<'c>> {
    Ok(connection.prepare_cached(statement)?)
}

fn sign_up(connection: &Connection, person: Person, token: &str, expires_ms: i64) -> Result<()> {
    let (user_id, account_id) = (person.user_id(), person.account_id());
    let create_user = params![user_id.as_bytes(), person.name(), person.email(), person.image(), now_ms()];
    prepared(connection, sql::CREATE_USER)?.execute(create_user)?;
    let link_account = params![
        account_id.as_bytes(),
        user_id.as_bytes(),
        PROVIDER,
        person.provider_account_id(),
        person.access_token(),
        now_ms()
    ];
    prepared(connection, sql::LINK_ACCOUNT)?.execute(link_account)?;
    create_session(connection, person.user_id(), token, expires_ms)?;
    Ok(())
}

fn create_session(connection: &Connection, user_id: Uuid, token: &str, expires_ms: i64) -> Result<usize> {
    let id = Uuid::now_v7();
    let new = params![id.as_bytes(), hash(token), user_id.as_bytes(), expires_ms, now_ms()];
    Ok(prepared(connection, sql::CREATE_SESSION)?.execute(new)?)
}

fn id(row: &Row<'_>, column: usize) -> rusqlite::Result<String> {
    Ok(Uuid::from_bytes(row.get(column)?).to_string())
}

fn now_ms() -> i64 {
    chrono::Utc::now().timestamp_millis()
}
