//! Sessions.

use crate::error::{Error, Result, UniqueKey};
use crate::model::{Extra, Fields, Millis, Session, SessionAndUser};
use crate::ops::{pointed_to, users};
use crate::record::{SessionRecord, SessionUpdate, UserRecord, instant};
use crate::schema::{SESSION_BY_TOKEN, SESSIONS, SessionEntry, replace};
use crate::secret::{Token, TokenHash};
use crate::txn::Txn;

pub(crate) fn create(txn: &mut Txn<'_>, session: &SessionRecord, now: Millis) -> Result<()> {
    users::require(txn, &session.user_id)?;
    if let Some(holder) = txn.get(&SESSION_BY_TOKEN, &session.token_hash)? {
        if valid(txn, &holder, now)?.is_some() {
            return Err(Error::Conflict(UniqueKey::SessionToken));
        }
        remove(txn, &holder)?;
    }
    if txn.contains(&SESSIONS, &session.id)? {
        return Err(Error::Conflict(UniqueKey::SessionId));
    }
    replace(txn, None, Some(session))
}

/// A session as the read on every request finds it: mostly from its index entry alone.
pub(crate) struct FoundSession {
    pub(crate) entry: SessionEntry,
    pub(crate) extra: Fields,
    pub(crate) user: UserRecord,
}

impl FoundSession {
    /// The session and user with the token that their caller knows.
    pub(crate) fn into_model<S: Extra, U: Extra>(self, session_token: Token) -> Result<SessionAndUser<S, U>> {
        let SessionEntry { id, user_id, expires, .. } = self.entry;
        let session =
            Session { id, session_token, user_id, expires: instant(expires)?, extra: self.extra.into_extra()? };
        Ok(SessionAndUser { session, user: self.user.into_model()? })
    }
}

pub(crate) fn session_and_user(txn: &Txn<'_>, token: &TokenHash, now: Millis) -> Result<Option<FoundSession>> {
    let Some((entry, user)) = valid_by_token(txn, token, now)? else {
        return Ok(None);
    };
    let extra = if entry.has_extra { pointed_to::<SessionRecord>(txn, &entry.id)?.extra } else { Fields::default() };
    Ok(Some(FoundSession { entry, extra, user }))
}

pub(crate) fn update(txn: &mut Txn<'_>, update: &SessionUpdate, now: Millis) -> Result<Option<SessionRecord>> {
    let Some((entry, _)) = valid_by_token(txn, &update.token_hash, now)? else {
        return Ok(None);
    };
    if let Some(user_id) = &update.user_id {
        users::require(txn, user_id)?;
    }
    let old = pointed_to(txn, &entry.id)?;
    let new = update.apply(&old)?;
    replace(txn, Some(&old), Some(&new))?;
    Ok(Some(new))
}

/// Removes a session, expired or not; one that waits to be swept is absent already.
pub(crate) fn delete(txn: &mut Txn<'_>, token: &TokenHash) -> Result<Option<SessionRecord>> {
    let Some(entry) = txn.get(&SESSION_BY_TOKEN, token)? else {
        return Ok(None);
    };
    let user = users::owner(txn, &entry.user_id)?;
    let session = remove(txn, &entry)?;
    Ok(user.map(|_| session))
}

fn valid_by_token(txn: &Txn<'_>, token: &TokenHash, now: Millis) -> Result<Option<(SessionEntry, UserRecord)>> {
    let Some(entry) = txn.get(&SESSION_BY_TOKEN, token)? else {
        return Ok(None);
    };
    Ok(valid(txn, &entry, now)?.map(|user| (entry, user)))
}

/// The user of a session that has not expired and does not wait to be swept.
fn valid(txn: &Txn<'_>, session: &SessionEntry, now: Millis) -> Result<Option<UserRecord>> {
    if session.expires < now { Ok(None) } else { users::owner(txn, &session.user_id) }
}

fn remove(txn: &mut Txn<'_>, entry: &SessionEntry) -> Result<SessionRecord> {
    let session: SessionRecord = pointed_to(txn, &entry.id)?;
    replace(txn, Some(&session), None)?;
    Ok(session)
}
