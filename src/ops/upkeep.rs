//! Upkeep: removing what deleted users leave behind and what has expired, in bounded steps.

use crate::error::Result;
use crate::key::Expiring;
use crate::model::{Millis, UserId};
use crate::ops::pointed_to;
use crate::record::{AccountRecord, AuthenticatorRecord, CodeRecord, SessionRecord, TokenRecord, WebSessionRecord};
use crate::schema::{
    ACCOUNTS_BY_USER, AUTHENTICATORS_BY_USER, BY_EXPIRY, Record, SESSIONS, SWEEP, WEB_SESSIONS_BY_USER, replace,
};
use crate::txn::{Table, Txn};

/// How many records one step removes at most: few enough that the writes behind it wait for milliseconds.
pub(crate) const STEP_RECORDS_MAX: usize = 256;

/// How many expired records were removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Purged {
    /// Sessions.
    pub sessions: usize,
    /// Verification tokens.
    pub verification_tokens: usize,
    /// Codes.
    pub codes: usize,
    /// Web sessions.
    pub web_sessions: usize,
    /// Whether there may be more that has expired, for another call to remove.
    pub more: bool,
}

/// Removes the records of a user who was just deleted, or notes that some are left and has them follow.
pub(crate) fn remove_records_of(txn: &mut Txn<'_>, user_id: &UserId) -> Result<()> {
    if !remove_step(txn, user_id)? {
        txn.put(&SWEEP, user_id, &())?;
        txn.follow_up(sweep);
    }
    Ok(())
}

/// One step of removing what deleted users have left.
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

/// Whether deleted users have left anything.
pub(crate) fn must_sweep(txn: &Txn<'_>) -> Result<bool> {
    Ok(!txn.first(&SWEEP, 1)?.is_empty())
}

/// Removes what expired before `now`, the oldest first, as much as one step may. A session that is listed earlier than it
/// expires is listed anew.
pub(crate) fn purge_expired(txn: &mut Txn<'_>, now: Millis) -> Result<Purged> {
    let listed = txn.below(&BY_EXPIRY, &now, STEP_RECORDS_MAX)?;
    let mut purged = Purged { more: listed.len() == STEP_RECORDS_MAX, ..Purged::default() };
    for ((_, expiring), ()) in listed {
        match expiring {
            Expiring::Session(user_id, id) => {
                let session: SessionRecord = pointed_to(txn, &(user_id, id))?;
                let left = session.clone().relisted(now);
                replace(txn, Some(&session), left.as_ref())?;
                purged.sessions += usize::from(left.is_none());
            }
            Expiring::Token(hash, identifier) => {
                replace(txn, Some(&pointed_to::<TokenRecord>(txn, &(hash, identifier))?), None)?;
                purged.verification_tokens += 1;
            }
            Expiring::Code(identifier) => {
                replace(txn, Some(&pointed_to::<CodeRecord>(txn, &identifier)?), None)?;
                purged.codes += 1;
            }
            Expiring::WebSession(hash) => {
                let session: WebSessionRecord = pointed_to(txn, &hash)?;
                let left = session.clone().relisted(now);
                replace(txn, Some(&session), left.as_ref())?;
                purged.web_sessions += usize::from(left.is_none());
            }
        }
    }
    Ok(purged)
}

/// Removes records of a user, as many as one step may; answers whether that were surely all.
fn remove_step(txn: &mut Txn<'_>, user_id: &UserId) -> Result<bool> {
    let mut room = STEP_RECORDS_MAX;
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
    for ((_, key), ()) in txn.with_prefix(by_user, user_id, *room)? {
        replace(txn, Some(&pointed_to::<R>(txn, &key)?), None)?;
        *room -= 1;
    }
    Ok(())
}
