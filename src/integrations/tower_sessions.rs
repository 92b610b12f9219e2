//! Web sessions as a session store of tower-sessions, for each version that has a feature.

use std::future::poll_fn;
use std::task::Poll;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use time::OffsetDateTime;

use crate::error::{Error, UniqueKey};
use crate::models::{Models, TokenHash, WebSessionId};
use crate::store::web_sessions::WebSessions;

/// How many random ids are tried for a session. Even one collision is not to be expected.
const DRAWS: usize = 8;

macro_rules! session_store {
    ($core:ident) => {
        const _: () = {
            use ::$core::session::{Id, Record};
            use ::$core::session_store::{self, ExpiredDeletion, SessionStore};

            #[async_trait]
            impl<M: Models> SessionStore for WebSessions<M> {
                async fn create(&self, record: &mut Record) -> session_store::Result<()> {
                    let expires = to_chrono(record.expiry_date);
                    let mut created = Ok(());
                    for _ in 0..DRAWS {
                        created = self.create_session(record.id.to_string(), &record.data, expires).await;
                        if !matches!(created, Err(Error::Conflict(UniqueKey::SessionToken))) {
                            break;
                        }
                        record.id = Id::default();
                    }
                    created.map_err(failure)
                }

                async fn save(&self, record: &Record) -> session_store::Result<()> {
                    let expires = to_chrono(record.expiry_date);
                    // A session that is gone counts as ended just after this.
                    self.save_session(record.id.to_string(), &record.data, expires).await.map(drop).map_err(failure)
                }

                async fn load(&self, id: &Id) -> session_store::Result<Option<Record>> {
                    let Some(found) = self.load_session(&id.to_string()).await.map_err(failure)? else {
                        return Ok(None);
                    };
                    let no_date = |error: time::error::ComponentRange| session_store::Error::Decode(error.to_string());
                    let expiry_date = to_time(found.expires).map_err(no_date)?;
                    Ok(Some(Record { id: *id, data: found.data, expiry_date }))
                }

                async fn delete(&self, id: &Id) -> session_store::Result<()> {
                    self.delete_session(&id.to_string()).await.map(drop).map_err(failure)
                }
            }

            #[async_trait]
            impl<M: Models> ExpiredDeletion for WebSessions<M> {
                async fn delete_expired(&self) -> session_store::Result<()> {
                    self.purge_all().await.map_err(failure)
                }
            }

            impl From<Id> for WebSessionId {
                fn from(id: Id) -> Self {
                    Self::of(&TokenHash::of(&id.to_string()))
                }
            }

            fn failure(error: Error) -> session_store::Error {
                match error {
                    Error::InvalidArgument { .. } => session_store::Error::Encode(error.to_string()),
                    error => session_store::Error::Backend(error.to_string()),
                }
            }
        };
    };
}

#[cfg(feature = "tower-sessions")]
session_store!(tower_sessions_core);
#[cfg(feature = "tower-sessions-014")]
session_store!(tower_sessions_core_014);

/// An instant outside chrono's range becomes its first or last one.
fn to_chrono(instant: OffsetDateTime) -> DateTime<Utc> {
    let (seconds, nanos) = (instant.unix_timestamp(), instant.nanosecond());
    let limit = if seconds < 0 { DateTime::<Utc>::MIN_UTC } else { DateTime::<Utc>::MAX_UTC };
    DateTime::from_timestamp(seconds, nanos).unwrap_or(limit)
}

fn to_time(instant: DateTime<Utc>) -> Result<OffsetDateTime, time::error::ComponentRange> {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(instant.timestamp_millis()) * 1_000_000)
}

impl<M: Models> WebSessions<M> {
    /// Removes all expired records, in steps that let other tasks run in between.
    async fn purge_all(&self) -> Result<(), Error> {
        while self.auth().purge_expired().await?.more {
            yield_once().await;
        }
        Ok(())
    }
}

/// Lets the executor run other tasks.
async fn yield_once() {
    let mut has_yielded = false;
    poll_fn(|context| {
        if has_yielded {
            return Poll::Ready(());
        }
        has_yielded = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
