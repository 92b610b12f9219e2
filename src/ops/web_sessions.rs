//! Operations on web sessions.

use crate::error::{Error, Result, UniqueKey};
use crate::kv::txn::Txn;
use crate::models::{Millis, TokenHash, UserId};
use crate::ops::{resolve_all, users};
use crate::records::WebSessionRecord;
use crate::records::entries::replace;
use crate::records::schema::{WEB_SESSIONS, WEB_SESSIONS_BY_USER};

pub(crate) fn create(txn: &mut Txn<'_>, session: &WebSessionRecord, now: Millis) -> Result<()> {
    require_user(txn, session)?;
    let holder = txn.get(&WEB_SESSIONS, &session.token_hash)?;
    if let Some(holder) = &holder
        && valid(txn, holder.clone(), now)?.is_some()
    {
        return Err(Error::Conflict(UniqueKey::SessionToken));
    }
    replace(txn, holder.as_ref(), Some(session))
}

pub(crate) fn find(txn: &Txn<'_>, token: &TokenHash, now: Millis) -> Result<Option<WebSessionRecord>> {
    txn.get(&WEB_SESSIONS, token)?.map_or(Ok(None), |session| valid(txn, session, now))
}

/// Returns true if the stored session already has the user, data and expiry of this one, false if there is no stored
/// session, and `None` if the session must be written.
pub(crate) fn is_saved(txn: &Txn<'_>, session: &WebSessionRecord, now: Millis) -> Result<Option<bool>> {
    Ok(match find(txn, &session.token_hash, now)? {
        Some(stored) => stored.saved_as(session, now).is_none().then_some(true),
        None => Some(false),
    })
}

/// Gives the stored session the user, data and expiry of this one. Returns false if there is no stored session.
pub(crate) fn save(txn: &mut Txn<'_>, session: &WebSessionRecord, now: Millis) -> Result<bool> {
    let Some(old) = find(txn, &session.token_hash, now)? else {
        return Ok(false);
    };
    if let Some(new) = old.saved_as(session, now) {
        require_user(txn, &new)?;
        replace(txn, Some(&old), Some(&new))?;
    }
    Ok(true)
}

/// Removes a session, expired or not. A session that is waiting to be swept counts as absent.
pub(crate) fn delete(txn: &mut Txn<'_>, token: &TokenHash) -> Result<Option<WebSessionRecord>> {
    txn.get(&WEB_SESSIONS, token)?.map_or(Ok(None), |session| remove(txn, session))
}

/// Like [`delete`], but only for a session of this user.
pub(crate) fn end(txn: &mut Txn<'_>, user_id: &UserId, token: &TokenHash) -> Result<Option<WebSessionRecord>> {
    let session = txn.get(&WEB_SESSIONS, token)?;
    let session = session.filter(|session| session.user_id.as_ref() == Some(user_id));
    session.map_or(Ok(None), |session| remove(txn, session))
}

/// Returns the valid sessions of a user among the first `limit`, the oldest first. A user who is waiting to be swept
/// has none.
pub(crate) fn list(txn: &Txn<'_>, user_id: &UserId, now: Millis, limit: usize) -> Result<Vec<WebSessionRecord>> {
    txn.prefetch_prefix(&WEB_SESSIONS_BY_USER, user_id);
    if users::get(txn, user_id)?.is_none() {
        return Ok(Vec::new());
    }
    let entries = txn.with_prefix(&WEB_SESSIONS_BY_USER, user_id, limit)?;
    let mut sessions: Vec<WebSessionRecord> = resolve_all(txn, &entries)?;
    sessions.retain(|session| session.lifetime.is_valid(now));
    sessions.sort_by_key(|session| session.lifetime.created);
    Ok(sessions)
}

/// Returns the session, unless it has expired or is waiting to be swept.
fn valid(txn: &Txn<'_>, session: WebSessionRecord, now: Millis) -> Result<Option<WebSessionRecord>> {
    if session.lifetime.is_valid(now) { unless_swept(txn, session) } else { Ok(None) }
}

fn unless_swept(txn: &Txn<'_>, session: WebSessionRecord) -> Result<Option<WebSessionRecord>> {
    match &session.user_id {
        Some(user_id) => Ok(users::owner(txn, user_id)?.map(|_| session)),
        None => Ok(Some(session)),
    }
}

fn remove(txn: &mut Txn<'_>, session: WebSessionRecord) -> Result<Option<WebSessionRecord>> {
    replace(txn, Some(&session), None)?;
    unless_swept(txn, session)
}

fn require_user(txn: &Txn<'_>, session: &WebSessionRecord) -> Result<()> {
    session.user_id.as_ref().map_or(Ok(()), |user_id| users::require(txn, user_id))
}
