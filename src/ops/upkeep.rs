//! Upkeep: removes the records of deleted users and expired records, in bounded steps.

use std::ops::Bound;

use crate::error::Result;
use crate::kv::key::Key;
use crate::kv::table::Table;
use crate::kv::txn::Txn;
use crate::models::{Millis, UserId};
use crate::ops::{resolve, resolve_all};
use crate::records::entries::{Record, replace};
use crate::records::expiring::Expiring;
use crate::records::schema::{
    ACCOUNTS_BY_USER, AUTHENTICATORS_BY_USER, BY_EXPIRY, CODES, SESSIONS, STATES, SWEEP, VERIFICATION_TOKENS,
    WEB_SESSIONS, WEB_SESSIONS_BY_USER,
};
use crate::records::{
    AccountRecord, AuthenticatorRecord, CodeRecord, SessionRecord, StateRecord, TokenRecord, WebSessionRecord,
};

/// The most records that one step removes: few enough that the writes behind it wait for milliseconds. An engine may
/// allow fewer.
pub(crate) const STEP_RECORDS_MAX: usize = 256;

/// How many expired records a purge removed, or would remove.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Purged {
    /// Sessions.
    pub sessions: usize,
    /// Verification tokens.
    pub verification_tokens: usize,
    /// Codes.
    pub codes: usize,
    /// States.
    pub states: usize,
    /// Web sessions.
    pub web_sessions: usize,
    /// True if there may be more expired records for another call to remove.
    pub more: bool,
}

impl Purged {
    fn add(&mut self, expiring: &Expiring, has_expired: bool) {
        let count = match expiring {
            Expiring::Session(..) => &mut self.sessions,
            Expiring::Token(..) => &mut self.verification_tokens,
            Expiring::Code(_) => &mut self.codes,
            Expiring::State(_) => &mut self.states,
            Expiring::WebSession(_) => &mut self.web_sessions,
        };
        *count += usize::from(has_expired);
    }
}

/// Removes the records of a user who was just deleted. If they are too many for one step, it marks the user for the
/// sweep and schedules the rest as a follow-up.
pub(crate) fn remove_records_of(txn: &mut Txn<'_>, user_id: &UserId) -> Result<()> {
    if !remove_step(txn, user_id)? {
        txn.put(&SWEEP, user_id, &())?;
        txn.follow_up(sweep);
    }
    Ok(())
}

/// Hints that [`remove_records_of`] will be called.
pub(crate) fn prefetch_records_of(txn: &Txn<'_>, user_id: &UserId) {
    txn.prefetch_prefix(&ACCOUNTS_BY_USER, user_id);
    txn.prefetch_prefix(&AUTHENTICATORS_BY_USER, user_id);
    txn.prefetch_prefix(&WEB_SESSIONS_BY_USER, user_id);
    txn.prefetch_prefix(&SESSIONS, user_id);
}

/// One step of removing the records that deleted users left behind.
pub(crate) fn sweep(txn: &mut Txn<'_>) -> Result<()> {
    let Some((user_id, ())) = txn.first(&SWEEP, 1)?.pop() else {
        return Ok(());
    };
    if remove_step(txn, &user_id)? {
        txn.remove(&SWEEP, &user_id);
    }
    if must_sweep(txn)? {
        txn.follow_up(sweep);
    }
    Ok(())
}

/// True if deleted users have records left.
pub(crate) fn must_sweep(txn: &Txn<'_>) -> Result<bool> {
    Ok(!txn.first(&SWEEP, 1)?.is_empty())
}

/// Removes at most `limit` records that expired before `now`, the oldest first. A session that is listed earlier than
/// it expires is listed at its expiry instead.
pub(crate) fn purge_expired(txn: &mut Txn<'_>, now: Millis, limit: usize) -> Result<Purged> {
    let limit = txn.step_records(limit);
    let listed = txn.below(&BY_EXPIRY, &now, limit)?;
    prefetch(txn, &listed);
    let mut purged = Purged { more: listed.len() == limit, ..Purged::default() };
    for ((_, expiring), ()) in listed {
        let removed = match &expiring {
            Expiring::Session(user_id, id) => {
                let key = (user_id.clone(), id.clone());
                purge(txn, &key, |session: SessionRecord| session.relisted(now))?
            }
            Expiring::WebSession(hash) => purge(txn, hash, |session: WebSessionRecord| session.relisted(now))?,
            Expiring::Token(hash, identifier) => purge(txn, &(*hash, identifier.clone()), |_: TokenRecord| None)?,
            Expiring::Code(identifier) => purge(txn, identifier, |_: CodeRecord| None)?,
            Expiring::State(hash) => purge(txn, hash, |_: StateRecord| None)?,
        };
        purged.add(&expiring, removed);
    }
    Ok(purged)
}

/// Hints that the listed records will be looked up.
fn prefetch(txn: &Txn<'_>, listed: &[((Millis, Expiring), ())]) {
    for ((_, expiring), ()) in listed {
        match expiring.clone() {
            Expiring::Session(user_id, id) => txn.prefetch(&SESSIONS, &(user_id, id)),
            Expiring::WebSession(hash) => txn.prefetch(&WEB_SESSIONS, &hash),
            Expiring::Token(hash, identifier) => txn.prefetch(&VERIFICATION_TOKENS, &(hash, identifier)),
            Expiring::Code(identifier) => txn.prefetch(&CODES, &identifier),
            Expiring::State(hash) => txn.prefetch(&STATES, &hash),
        }
    }
}

/// Replaces a record by what `left` keeps of it. Returns true if nothing is left.
fn purge<R: Record + Clone>(txn: &mut Txn<'_>, key: &R::Key, left: impl FnOnce(R) -> Option<R>) -> Result<bool> {
    let record: R = resolve(txn, key)?;
    let left = left(record.clone());
    replace(txn, Some(&record), left.as_ref())?;
    Ok(left.is_none())
}

/// Counts the records that [`purge_expired`] would remove without a limit.
pub(crate) fn count_expired(txn: &Txn<'_>, now: Millis) -> Result<Purged> {
    let (mut counted, mut last, end) = (Purged::default(), Vec::new(), now.to_bytes());
    loop {
        let range = (Bound::Excluded(last.as_slice()), Bound::Excluded(end.as_slice()));
        let listed = txn.rows(&BY_EXPIRY, range, STEP_RECORDS_MAX)?;
        let Some((key, ())) = listed.last() else {
            return Ok(counted);
        };
        last = key.to_bytes();
        prefetch(txn, &listed);
        for ((_, expiring), ()) in &listed {
            let has_expired = match expiring {
                Expiring::Session(user_id, id) => {
                    let session: SessionRecord = resolve(txn, &(user_id.clone(), id.clone()))?;
                    !session.lifetime.is_valid(now)
                }
                Expiring::WebSession(hash) => !resolve::<WebSessionRecord>(txn, hash)?.lifetime.is_valid(now),
                Expiring::Token(..) | Expiring::Code(_) | Expiring::State(_) => true,
            };
            counted.add(expiring, has_expired);
        }
    }
}

/// Removes as many records of a user as one step may. Returns true if certainly none are left.
fn remove_step(txn: &mut Txn<'_>, user_id: &UserId) -> Result<bool> {
    let mut room = txn.step_records(STEP_RECORDS_MAX);
    remove_some::<AccountRecord>(txn, &ACCOUNTS_BY_USER, user_id, &mut room)?;
    remove_some::<AuthenticatorRecord>(txn, &AUTHENTICATORS_BY_USER, user_id, &mut room)?;
    remove_some::<WebSessionRecord>(txn, &WEB_SESSIONS_BY_USER, user_id, &mut room)?;
    for (_, session) in txn.with_prefix(&SESSIONS, user_id, room)? {
        replace(txn, Some(&session), None)?;
        room -= 1;
    }
    Ok(room > 0)
}

fn remove_some<R: Record>(
    txn: &mut Txn<'_>,
    by_user: &Table<(UserId, R::Key), ()>,
    user_id: &UserId,
    room: &mut usize,
) -> Result<()> {
    let entries = txn.with_prefix(by_user, user_id, *room)?;
    for record in resolve_all::<R, _>(txn, &entries)? {
        replace(txn, Some(&record), None)?;
        *room -= 1;
    }
    Ok(())
}
