//! Removing what has expired: when it is asked for, and in the background.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use chrono::TimeDelta;

use crate::engine::{Job, background};
use crate::kv::txn::Txn;
use crate::models::{Millis, Models};
use crate::ops::meta;
use crate::ops::upkeep::{self, Purged, STEP_RECORDS_MAX};
use crate::reply::Reply;
use crate::store::AuthKv;

/// How long ago a record must have expired for being removed in the background: so long it can be told from one that
/// never was.
const GRACE: TimeDelta = TimeDelta::days(1);
/// How long after one removal in the background the next one comes.
const INTERVAL: TimeDelta = TimeDelta::minutes(1);
/// How many records are removed with one write: so few that it takes hardly longer.
const RECORDS_MAX: usize = 64;

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
        // This is the removal that may be due.
        let _ = self.purging().claim(now);
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

    /// What removes some of what has expired, if it is time: for right behind a write, with which it mostly shares a commit.
    pub(crate) fn due_purge(&self) -> Option<Box<dyn Job>> {
        let purging = self.purging();
        if !purging.is_on {
            return None;
        }
        let now = self.now();
        if !purging.claim(now) {
            return None;
        }
        let (last, mine, is_shared) = (Arc::clone(&purging.last), Arc::clone(&purging.mine), self.is_shared());
        let purge = move |txn: &mut Txn<'_>| {
            if is_shared {
                let before = Millis::new(mine.load(Ordering::Relaxed));
                if !meta::claim_purge(txn, now, INTERVAL, before)? {
                    return Ok(());
                }
                mine.store(now.since_epoch(), Ordering::Relaxed);
            }
            if upkeep::purge_expired(txn, now.plus(-GRACE), RECORDS_MAX)?.more {
                last.store(NEVER, Ordering::Relaxed);
            }
            Ok(())
        };
        // What fails now is tried again later.
        Some(background(purge))
    }
}

/// When something was last removed in the background, as the store's clock says.
pub(crate) struct Purging {
    is_on: bool,
    last: Arc<AtomicI64>,
    /// When this process last claimed the removal for all who share the store.
    mine: Arc<AtomicI64>,
}

const NEVER: i64 = i64::MIN;

impl Purging {
    pub(crate) fn new(is_on: bool) -> Self {
        Self { is_on, last: Arc::new(AtomicI64::new(NEVER)), mine: Arc::new(AtomicI64::new(NEVER)) }
    }

    /// Whether it is time to remove something; whoever is told so is the only one. A clock that was set back counts as
    /// one that has gone on.
    fn claim(&self, now: Millis) -> bool {
        let (last, now) = (self.last.load(Ordering::Relaxed), now.since_epoch());
        let is_due = now < last || now.saturating_sub(last) >= INTERVAL.num_milliseconds();
        is_due && self.last.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use chrono::{DateTime, Utc};

    use super::*;
    use crate::kv::key::Expiring;
    use crate::models::NewUser;
    use crate::records::entries::BY_EXPIRY;
    use crate::{Adapter, Error};

    #[test]
    fn a_removal_that_fails_harms_no_write() {
        let auth = AuthKv::options().clock(|| DateTime::<Utc>::UNIX_EPOCH).in_memory().unwrap();
        // An entry of a record that does not exist.
        let entry = (Millis::new(i64::MIN), Expiring::Code("nobody's".to_owned()));
        auth.write_alone(move |txn| txn.put(&BY_EXPIRY, &entry, &()), Ok).wait().unwrap();
        let ada = auth.create_user(NewUser::default()).wait().unwrap();
        assert_eq!(auth.get_user(&ada.id).wait().unwrap(), Some(ada));
        assert!(matches!(auth.purge_expired().wait(), Err(Error::Storage(_))));
    }

    #[test]
    fn of_those_who_claim_at_once_one_removes() {
        let purging = Purging::new(true);
        for minute in 0..100 {
            let now = Millis::new(0).plus(INTERVAL * minute);
            let claimed = std::thread::scope(|scope| {
                let threads = [(); 8].map(|()| scope.spawn(|| purging.claim(now)));
                threads.into_iter().map(|thread| usize::from(thread.join().unwrap())).sum::<usize>()
            });
            assert_eq!(claimed, 1);
        }
    }
}
