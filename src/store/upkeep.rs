//! Purging and repair at the application's request.

use std::sync::Arc;

use crate::engine::Engine;
use crate::error::Error;
use crate::models::Models;
use crate::ops::repair::{self, Repair, Repaired};
use crate::ops::upkeep::{self, Purged, STEP_RECORDS_MAX};
use crate::reply::Reply;
use crate::store::AuthKv;

/// # Upkeep
impl<M: Models> AuthKv<M> {
    /// Removes expired sessions, web sessions, verification tokens, codes, states and used keys, oldest first, a few
    /// hundred at most. Answers how many; call it again while there are [`more`](Purged::more). Calling it is only necessary
    /// when [`purge_in_background`](crate::Options::purge_in_background) is off.
    ///
    /// If the record of an entry in the expiry index is missing or damaged, the entry is dropped and
    /// [counted](Purged::damaged), and the purge goes on; nothing else of that record is removed.
    ///
    /// # Errors
    /// The errors of every writing method of [`Adapter`](crate::Adapter).
    ///
    /// ```
    /// # use authkv::{AuthKv, models::*};
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

    /// Finds out what would make a damaged store sound, and changes nothing: for a person who has read a
    /// [`check`](Self::check) that is not sound. Look at the steps, take out what should stay, and give the rest to
    /// [`carry_out`](Self::carry_out). The store never repairs by itself.
    ///
    /// First every page of the file is read and verified; reads that come meanwhile answer [`Busy`](Error::Busy), and
    /// writes wait. If a page is damaged, or a row is not found where it should be, the repair is
    /// [blocked](Repair::blocked), for what seems to be missing may only be hidden. Restore a backup then, or salvage
    /// what can be read by copying it. (In a build with `panic = "abort"` the store cannot be used with a damaged page:
    /// this and every later call answers [`Storage`](Error::Storage).) The pages of an application's database are the
    /// application's to verify, so a repair is blocked there: open the file without the application.
    ///
    /// Then all records and index entries are read on the calling thread. Entries are computed from the records; a
    /// record that cannot be read is lost, and with it what only it said. Removing a damaged user leaves their accounts
    /// and sessions without a user: the next repair lists these. Two accounts or users with one value in a unique index
    /// on own fields are not listed; `check` reports them.
    ///
    /// # Errors
    /// [`Storage`](Error::Storage) when the tables themselves are too damaged to be read, [`Closed`](Error::Closed), and
    /// [`Busy`](Error::Busy).
    ///
    /// ```
    /// # use authkv::AuthKv;
    /// # let auth = AuthKv::in_memory()?;
    /// let repair = auth.repair().wait()?;
    /// for step in &repair.steps {
    ///     println!("{step}");
    /// }
    /// // Once a person has agreed:
    /// let repaired = auth.carry_out(repair).wait()?;
    /// assert_eq!(repaired.done, 0, "it was sound");
    /// # Ok::<(), authkv::Error>(())
    /// ```
    pub fn repair(&self) -> Reply<Repair> {
        let verified = self.engine().verify();
        self.then(verified, |auth, verified| {
            let blocked = match verified {
                Ok(()) => None,
                Err(error @ Error::Storage(_)) => Some(error.to_string()),
                Err(error) => return Reply::ready(Err(error)),
            };
            let indexes = Arc::clone(auth.indexes());
            auth.read(
                move |txn| repair::plan(txn, &indexes),
                move |mut repair| {
                    blocked.into_iter().for_each(|why| repair.block(why));
                    Ok(repair)
                },
            )
        })
    }

    /// Carries out what a [`repair`](Self::repair) has listed. A row is left as it is if it has changed since, or if the
    /// record has for which it was listed: the one that an entry belongs to, or the user of a record. Every few hundred rows
    /// are one step, so some may have been carried out when an error is answered; carrying out the same again is harmless.
    ///
    /// # Errors
    /// [`Storage`](Error::Storage) when the repair is [blocked](Repair::blocked): then nothing is changed. The errors of
    /// every writing method of [`Adapter`](crate::Adapter).
    pub fn carry_out(&self, repair: Repair) -> Reply<Repaired> {
        self.carry_out_after(Arc::new(repair), Repaired::default())
    }

    fn carry_out_after(&self, repair: Arc<Repair>, before: Repaired) -> Reply<Repaired> {
        let (steps, after) = (Arc::clone(&repair), before.done + before.changed);
        let carried_out = self.write_alone(move |txn| repair::carry_out(txn, &steps, after), Ok);
        self.then(carried_out, move |auth, carried_out| match carried_out {
            Ok(Repaired { done: 0, changed: 0 }) => Reply::ready(Ok(before)),
            Ok(Repaired { done, changed }) => {
                auth.carry_out_after(repair, Repaired { done: before.done + done, changed: before.changed + changed })
            }
            Err(error) => Reply::ready(Err(error)),
        })
    }
}
