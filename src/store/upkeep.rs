//! Purging expired records at the application's request.

use crate::models::Models;
use crate::ops::upkeep::{self, Purged, STEP_RECORDS_MAX};
use crate::reply::Reply;
use crate::store::AuthKv;

impl<M: Models> AuthKv<M> {
    /// Removes expired sessions, web sessions, verification tokens, codes and states, oldest first, a few hundred at most. Answers
    /// how many; call it again while there are [`more`](Purged::more). Calling it is only necessary when
    /// [`purge_in_background`](crate::Options::purge_in_background) is off.
    ///
    /// If the record of an entry in the expiry index is missing or damaged, the entry is dropped and
    /// [counted](Purged::damaged), and the purge goes on; nothing else of that record is removed.
    ///
    /// # Errors
    /// The errors of every writing method of [`Adapter`](crate::Adapter).
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
        let as_of = self.as_of();
        // This purge takes the place of the background purge that may be due.
        let _ = self.background_purge().claim(as_of.now);
        self.write(self.background_purge().purge(as_of, STEP_RECORDS_MAX), Ok)
    }

    /// Counts everything that [`purge_expired`](Self::purge_expired) would remove, and removes nothing. It reads all
    /// expired records on the calling thread.
    ///
    /// # Errors
    /// The errors of every reading method of [`Adapter`](crate::Adapter).
    pub fn count_expired(&self) -> Reply<Purged> {
        let as_of = self.as_of();
        self.read(move |txn| upkeep::count_expired(txn, as_of), Ok)
    }
}
