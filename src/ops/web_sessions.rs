//! Web sessions.

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

/// Whether a session is there that has user, data and expiry of this one, or is not there; none if it would have to be
/// written.
pub(crate) fn is_saved(txn: &Txn<'_>, session: &WebSessionRecord, now: Millis) -> Result<Option<bool>> {
    Ok(match find(txn, &session.token_hash, now)? {
        Some(stored) => stored.saved_as(session, now).is_none().then_some(true),
        None => Some(false),
    })
}

/// Gives a session the user, the data and the expiry of this one, if it is there; answers whether it is.
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

/// Removes a session, expired or not; one that waits to be swept is absent already.
pub(crate) fn delete(txn: &mut Txn<'_>, token: &TokenHash) -> Result<Option<WebSessionRecord>> {
    txn.get(&WEB_SESSIONS, token)?.map_or(Ok(None), |session| remove(txn, session))
}

/// The same, if it is a session of this user.
pub(crate) fn end(txn: &mut Txn<'_>, user_id: &UserId, token: &TokenHash) -> Result<Option<WebSessionRecord>> {
    let session = txn.get(&WEB_SESSIONS, token)?;
    let session = session.filter(|session| session.user_id.as_ref() == Some(user_id));
    session.map_or(Ok(None), |session| remove(txn, session))
}

/// The valid sessions of a user, at most `limit`, the oldest first; none if the user waits to be swept.
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

/// The session, unless it has expired or waits to be swept.
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
