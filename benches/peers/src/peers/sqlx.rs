//! sqlx with SQLite as applications use it: a pool, tasks, and statements that the library prepares.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteRow, SqliteSynchronous,
};
use sqlx::{Row, Sqlite, Transaction};
use uuid::Uuid;

use super::sql;

use crate::call::{Call, Found, Outcome, Peer, Reply, Waiting, runtime};
use crate::people::{PROVIDER, Person, User, hash};

pub struct Sqlx(SqlitePool);

impl Sqlx {
    pub fn open(path: &Path) -> Result<Self> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .pragma("cache_size", "-32768")
            .busy_timeout(Duration::from_millis(sql::BUSY_MS.into()));
        let pool = SqlitePoolOptions::new().acquire_timeout(Duration::from_millis(sql::BUSY_MS.into()));
        runtime().block_on(async {
            let pool = pool.connect_with(options).await?;
            sqlx::raw_sql(sql::SCHEMA).execute(&pool).await?;
            Ok(Self(pool))
        })
    }

    async fn run(&self, call: &Call) -> Result<Outcome> {
        let done = match call {
            Call::SessionAndUser { token } => return self.session_and_user(token).await,
            Call::UserByEmail { email } => return self.user_by_email(email).await,
            Call::CreateSession { user_id, token, expires_ms } => {
                create_session(*user_id, token, *expires_ms).execute(&self.0).await?.rows_affected() > 0
            }
            Call::ExtendSession { token, expires_ms } => {
                let extend = sqlx::query(sql::EXTEND_SESSION).bind(expires_ms).bind(now_ms());
                extend.bind(hash(token).to_vec()).execute(&self.0).await?.rows_affected() > 0
            }
            Call::SignUp { person, token, expires_ms } => {
                let mut transaction = self.0.begin_with("BEGIN IMMEDIATE").await?;
                sign_up(&mut transaction, *person).await?;
                create_session(person.user_id(), token, *expires_ms).execute(&mut *transaction).await?;
                transaction.commit().await?;
                true
            }
            Call::UseToken { identifier, token, expires_ms } => {
                let create = sqlx::query(sql::CREATE_TOKEN).bind(hash(token).to_vec()).bind(identifier);
                create.bind(expires_ms).bind(now_ms()).execute(&self.0).await?;
                let used = sqlx::query(sql::USE_TOKEN).bind(hash(token).to_vec()).bind(identifier);
                used.fetch_optional(&self.0).await?.is_some()
            }
            Call::DeleteUser { user_id } => {
                sqlx::query(sql::DELETE_USER).bind(user_id.as_bytes().to_vec()).execute(&self.0).await?.rows_affected()
                    > 0
            }
        };
        Ok(Outcome::Done(done))
    }

    async fn session_and_user(&self, token: &str) -> Result<Outcome> {
        let query = sqlx::query(sql::SESSION_AND_USER).bind(hash(token).to_vec()).bind(now_ms());
        let found = query.fetch_optional(&self.0).await?;
        let read = |row: SqliteRow| {
            let _session_id = id(&row, 0)?;
            let _verified: Option<i64> = row.try_get(5)?;
            let user = User { id: id(&row, 1)?, name: row.try_get(3)?, email: row.try_get(4)?, image: row.try_get(6)? };
            Ok::<_, sqlx::Error>(Found { user, expires_ms: Some(row.try_get(2)?) })
        };
        Ok(Outcome::Found(found.map(read).transpose()?))
    }

    async fn user_by_email(&self, email: &str) -> Result<Outcome> {
        let found = sqlx::query(sql::USER_BY_EMAIL).bind(email).fetch_optional(&self.0).await?;
        let read = |row: SqliteRow| {
            let _verified: Option<i64> = row.try_get(3)?;
            let user = User { id: id(&row, 0)?, name: row.try_get(1)?, email: row.try_get(2)?, image: row.try_get(4)? };
            Ok::<_, sqlx::Error>(Found { user, expires_ms: None })
        };
        Ok(Outcome::Found(found.map(read).transpose()?))
    }
}

impl Peer for Sqlx {
    fn call<'a>(&'a self, call: &'a Call) -> Reply<'a> {
        Reply::Later(Box::pin(self.run(call)))
    }

    fn waiting(&self) -> Waiting {
        Waiting::Tasks
    }
}

impl Drop for Sqlx {
    fn drop(&mut self) {
        runtime().block_on(self.0.close());
    }
}

type Query = sqlx::query::Query<'static, Sqlite, sqlx::sqlite::SqliteArguments>;

fn create_session(user_id: Uuid, token: &str, expires_ms: i64) -> Query {
    sqlx::query(sql::CREATE_SESSION)
        .bind(Uuid::now_v7().as_bytes().to_vec())
        .bind(hash(token).to_vec())
        .bind(user_id.as_bytes().to_vec())
        .bind(expires_ms)
        .bind(now_ms())
}

async fn sign_up(transaction: &mut Transaction<'_, Sqlite>, person: Person) -> Result<()> {
    let user_id = person.user_id().as_bytes().to_vec();
    let create_user = sqlx::query(sql::CREATE_USER).bind(&user_id).bind(person.name()).bind(person.email());
    create_user.bind(person.image()).bind(now_ms()).execute(&mut **transaction).await?;
    let link_account = sqlx::query(sql::LINK_ACCOUNT).bind(person.account_id().as_bytes().to_vec()).bind(&user_id);
    let link_account = link_account.bind(PROVIDER).bind(person.provider_account_id()).bind(person.access_token());
    link_account.bind(now_ms()).execute(&mut **transaction).await?;
    Ok(())
}

fn id(row: &SqliteRow, column: usize) -> Result<String, sqlx::Error> {
    Ok(Uuid::from_slice(row.try_get(column)?).unwrap_or_default().to_string())
}

fn now_ms() -> i64 {
    chrono::Utc::now().timestamp_millis()
}
