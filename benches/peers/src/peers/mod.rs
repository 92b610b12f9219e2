//! The peers, and opening one by name.

pub mod authkv;
pub mod bare_redb;
mod fjall;
mod lmdb;
pub mod rows;
mod rusqlite;
mod sql;
mod sqlx;

#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use clap::ValueEnum;

use crate::call::Peer;
use crate::people::Person;
use crate::rows::Shapes;

/// How much memory each peer may use to cache pages of its file: authkv's default.
pub const CACHE_BYTES: usize = 32 << 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Kind {
    Authkv,
    /// Bare redb: the limit
    Redb,
    Rusqlite,
    Sqlx,
    Lmdb,
    Fjall,
}

impl Kind {
    pub const ALL: [Self; 6] = [Self::Authkv, Self::Redb, Self::Rusqlite, Self::Sqlx, Self::Lmdb, Self::Fjall];

    pub fn name(self) -> &'static str {
        match self {
            Self::Authkv => "authkv",
            Self::Redb => "bare redb",
            Self::Rusqlite => "rusqlite",
            Self::Sqlx => "sqlx-sqlite",
            Self::Lmdb => "LMDB (heed)",
            Self::Fjall => "fjall",
        }
    }

    /// Opens the store at this path, and creates it if it does not exist.
    pub fn open(self, path: &Path, shapes: &Arc<Shapes>) -> Result<Arc<dyn Peer>> {
        Ok(match self {
            Self::Authkv => Arc::new(authkv::Authkv::open(path)?),
            Self::Redb => Arc::new(rows::RowsPeer::new(bare_redb::BareRedb::open(path, shapes)?, shapes)),
            Self::Rusqlite => Arc::new(rusqlite::Rusqlite::open(path)?),
            Self::Sqlx => Arc::new(sqlx::Sqlx::open(path)?),
            Self::Lmdb => Arc::new(rows::RowsPeer::new(lmdb::Lmdb::open(path, shapes)?, shapes)),
            Self::Fjall => Arc::new(rows::RowsPeer::new(fjall::Fjall::open(path, shapes)?, shapes)),
        })
    }

    /// Creates a store at this path with the people of these numbers, in the fastest way.
    pub fn fill(
        self,
        path: &Path,
        shapes: &Arc<Shapes>,
        people: &[Person],
        filled: &mut dyn FnMut(usize),
    ) -> Result<()> {
        match self {
            Self::Authkv => authkv::fill(path, people, filled),
            Self::Redb => rows::RowsPeer::new(bare_redb::BareRedb::open(path, shapes)?, shapes).fill(people, filled),
            Self::Rusqlite | Self::Sqlx => rusqlite::Rusqlite::open(path)?.fill(people, filled),
            Self::Lmdb => rows::RowsPeer::new(lmdb::Lmdb::open(path, shapes)?, shapes).fill(people, filled),
            Self::Fjall => rows::RowsPeer::new(fjall::Fjall::open(path, shapes)?, shapes).fill(people, filled),
        }
    }
}

/// The expiry of the sessions that people start with.
pub fn first_expiry_ms() -> i64 {
    (chrono::Utc::now() + chrono::TimeDelta::days(30)).timestamp_millis()
}
