//! Removing what has expired, when an application asks for it.

use crate::models::Models;
use crate::ops::upkeep::{self, Purged, STEP_RECORDS_MAX};
use crate::reply::Reply;
use crate::store::AuthKv;

impl<M: Models> AuthKv<M> {
    /// Removes sessions, verification tokens, codes and states that have expired, the oldest first and a few hundred at most,
    /// and says how many; again while there is [`more`](Purged::more). There is no need to call it unless
    /// [`purge_in_background`](crate::Options::purge_in_background) is off.
    ///
    /// # Errors
    /// Those that every writing method of [`Adapter`](crate::Adapter) may answer with.
    ///
    /// ```
    /// # use authkv::{Adapter, AuthKv, models::*};
    /// # let auth = AuthKv::in_memory()?;
    /// let expired = chrono::Utc::now() - chrono::TimeDelta::minutes(1);
    /// auth.create_verification_token(VerificationToken::new("ada@example.com", "a-secret", expired)).wait()?;
    /// assert_eq!(auth.count_expired().wait()?.verification_tokens, 1);
    /// assert_eq!(auth.purge_expired().wait()?.verification_tokens, 1);
    /// # Ok::<(), authkv::Error>(())
    /// ```
    pub fn purge_expired(&self) -> Reply<Purged> {
        let now = self.now();
        // This is the purge that may be due.
        let _ = self.background_purge().claim(now);
        self.write(move |txn| upkeep::purge_expired(txn, now, STEP_RECORDS_MAX), Ok)
    }

    /// Counts what [`purge_expired`](Self::purge_expired) would remove in all, and removes nothing. It reads all that has
    /// expired, on the calling thread.
    ///
    /// # Errors
    /// Those that every reading method of [`Adapter`](crate::Adapter) may answer with.
    pub fn count_expired(&self) -> Reply<Purged> {
        let now = self.now();
        self.read(move |txn| upkeep::count_expired(txn, now), Ok)
    }
}
