//! Operations on sessions.

use std::sync::Arc;

use crate::error::{Error, Result, UniqueKey};
use crate::kv::txn::Txn;
use crate::models::{
    Cursor, Extra, Fields, Millis, Page, RecordName, Session, SessionAndUser, SessionId, Token, TokenHash, UserId,
    WebSessionId, instant,
};
use crate::ops::pages::{self, PageLimit, keys_of};
use crate::ops::upkeep::{Step, remove_sessions};
use crate::ops::{resolve, users};
use crate::records::entries::{Record, replace};
use crate::records::schema::{SESSION_BY_TOKEN, SESSIONS, SessionEntry, WEB_SESSIONS_BY_USER};
use crate::records::{AsOf, SessionRecord, SessionUpdate, UserRecord};

pub(crate) fn create(txn: &mut Txn<'_>, session: &SessionRecord, as_of: AsOf) -> Result<()> {
    users::require(txn, &session.user_id)?;
    if let Some(holder) = txn.get(&SESSION_BY_TOKEN, &session.token_hash)? {
        if valid(txn, &holder, as_of)?.is_some() {
            return Err(Error::Conflict(UniqueKey::SessionToken));
        }
        remove(txn, &holder)?;
    }
    if txn.contains(&SESSIONS, &session.key())? {
        return Err(Error::Conflict(UniqueKey::SessionId));
    }
    replace(txn, None, Some(session))
}

/// A session as found by the read on every request, usually from its index entry alone.
#[derive(Clone)]
pub(crate) struct FoundSession {
    id: SessionId,
    /// The last instant at which the session is valid.
    pub(crate) expires: Millis,
    pub(crate) extra: Fields,
    user: UserRecord,
}

impl FoundSession {
    pub(crate) fn is_valid(&self, now: Millis) -> bool {
        now <= self.expires
    }

    /// Converts to the model, with the token that the caller passed.
    pub(crate) fn into_model<U: Extra, S: Extra>(
        self: Arc<Self>,
        session_token: Token,
    ) -> Result<SessionAndUser<U, S>> {
        let Self { id, expires, extra, user } = Arc::unwrap_or_clone(self);
        let (user_id, expires) = (user.id.clone(), instant(expires)?);
        let extra = extra.into_extra().map_err(|misfit| misfit.of(RecordName::Session(&id)))?;
        let session = Session { id, session_token, user_id, expires, extra };
        Ok(SessionAndUser { session, user: user.into_model()? })
    }
}

pub(crate) fn session_and_user(txn: &Txn<'_>, token: &TokenHash, as_of: AsOf) -> Result<Option<Arc<FoundSession>>> {
    let Some((entry, user)) = valid_by_token(txn, token, as_of)? else {
        return Ok(None);
    };
    let expires = entry.last_instant(as_of.max_age);
    let extra = if entry.has_extra() { session_of(txn, &entry)?.extra } else { Fields::default() };
    Ok(Some(Arc::new(FoundSession { id: entry.id, expires, extra, user })))
}

pub(crate) fn update(txn: &mut Txn<'_>, update: &SessionUpdate, as_of: AsOf) -> Result<Option<SessionRecord>> {
    let Some((entry, _)) = valid_by_token(txn, &update.token_hash, as_of)? else {
        return Ok(None);
    };
    if let Some(user_id) = &update.user_id {
        users::require(txn, user_id)?;
    }
    let old = session_of(txn, &entry)?;
    let new = update.apply(&old, as_of.now);
    replace(txn, Some(&old), Some(&new))?;
    Ok(Some(new))
}

/// Extends a session to `expires`, unless it has ended or another call has already extended it to at least `due`.
pub(crate) fn extend(txn: &mut Txn<'_>, token: &TokenHash, as_of: AsOf, due: Millis, expires: Millis) -> Result<()> {
    let Some((entry, _)) = valid_by_token(txn, token, as_of)? else {
        return Ok(());
    };
    if entry.last_instant(as_of.max_age) < due {
        let old = session_of(txn, &entry)?;
        let new = old.clone().expiring(expires, as_of.now);
        replace(txn, Some(&old), Some(&new))?;
    }
    Ok(())
}

/// Returns a page of the valid sessions of a user. A user who is waiting to be swept has none.
pub(crate) fn page(
    txn: &Txn<'_>,
    user_id: &UserId,
    as_of: AsOf,
    after: Option<&Cursor>,
    limit: PageLimit,
) -> Result<Page<SessionRecord>> {
    txn.prefetch_prefix(&SESSIONS, user_id);
    if users::get(txn, user_id)?.is_none() {
        return Ok(Page { items: Vec::new(), next: None });
    }
    pages::page(txn, &SESSIONS, keys_of(user_id), after, limit, |rows| {
        let sessions = rows.into_iter().map(|(_, session)| session);
        Ok(sessions.map(|session| Some(session).filter(|session| session.is_valid(as_of))).collect())
    })
}

/// Returns a page of the valid sessions of all users, in the order of the users' ids.
pub(crate) fn page_of_all(
    txn: &Txn<'_>,
    as_of: AsOf,
    after: Option<&Cursor>,
    limit: PageLimit,
) -> Result<Page<SessionRecord>> {
    pages::page(txn, &SESSIONS, pages::ALL, after, limit, |rows| {
        rows.iter().for_each(|((user_id, _), _)| users::prefetch(txn, user_id));
        rows.into_iter()
            .map(|((user_id, _), session)| {
                let is_listed = session.is_valid(as_of) && users::owner(txn, &user_id)?.is_some();
                Ok(is_listed.then_some(session))
            })
            .collect()
    })
}

pub(crate) fn count(txn: &Txn<'_>) -> Result<u64> {
    txn.row_count(SESSIONS.id)
}

/// Removes a session of a user, expired or not. A session that is waiting to be swept counts as absent.
pub(crate) fn end(txn: &mut Txn<'_>, user_id: &UserId, id: &SessionId) -> Result<Option<SessionRecord>> {
    let Some(session) = txn.get(&SESSIONS, &(user_id.clone(), id.clone()))? else {
        return Ok(None);
    };
    let user = users::owner(txn, user_id)?;
    replace(txn, Some(&session), None)?;
    Ok(user.map(|_| session))
}

/// A session of either kind.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum AnySession {
    Session(SessionId),
    WebSession(WebSessionId),
}

/// The result of one step of ending sessions.
pub(crate) struct Ended {
    pub(crate) count: usize,
    /// True if there may be more to end.
    pub(crate) more: bool,
    /// True if a session that is missing or damaged was left as it is.
    pub(crate) damaged: bool,
}

/// Refuses a session that the user does not have. An expired one that is not purged yet counts as had.
pub(crate) fn require(txn: &Txn<'_>, user_id: &UserId, session: &AnySession) -> Result<()> {
    let is_there = match session {
        AnySession::Session(id) => txn.contains(&SESSIONS, &(user_id.clone(), id.clone()))?,
        AnySession::WebSession(id) => match id.hash() {
            Some(token) => txn.contains(&WEB_SESSIONS_BY_USER, &(user_id.clone(), token))?,
            None => false,
        },
    };
    if is_there && users::owner(txn, user_id)?.is_some() { Ok(()) } else { Err(Error::UnknownSession) }
}

/// Removes the sessions and web sessions of a user, expired or not, as many as a step may, except one if it is given. If
/// none is excepted, the sign-out is recorded in the user's record. A damaged session keeps no other.
pub(crate) fn end_all(txn: &mut Txn<'_>, user_id: &UserId, except: Option<&AnySession>) -> Result<Ended> {
    let limit = txn.step_records(usize::MAX);
    let mut step = Step { room: limit, damaged: false };
    let keeps = |id: &SessionId| matches!(except, Some(AnySession::Session(kept)) if kept == id);
    let keeps_web =
        |token: &TokenHash| matches!(except, Some(AnySession::WebSession(kept)) if *kept == WebSessionId::of(token));
    remove_sessions(txn, user_id, &mut step, keeps, keeps_web)?;
    if except.is_none()
        && let Some(user) = users::get(txn, user_id)?
    {
        replace(txn, Some(&user), Some(&user.clone().signed_out()))?;
    }
    Ok(Ended { count: limit - step.room, more: step.room == 0, damaged: step.damaged })
}

/// Removes a session, expired or not. A session that is waiting to be swept counts as absent.
pub(crate) fn delete(txn: &mut Txn<'_>, token: &TokenHash) -> Result<Option<SessionRecord>> {
    let Some(entry) = txn.get(&SESSION_BY_TOKEN, token)? else {
        return Ok(None);
    };
    txn.prefetch(&SESSIONS, &(entry.user_id.clone(), entry.id.clone()));
    let user = users::owner(txn, &entry.user_id)?;
    let session = remove(txn, &entry)?;
    Ok(user.map(|_| session))
}

/// The user whose valid session has this token.
pub(super) fn user_of(txn: &Txn<'_>, token: &TokenHash, as_of: AsOf) -> Result<Option<UserRecord>> {
    Ok(valid_by_token(txn, token, as_of)?.map(|(_, user)| user))
}

fn valid_by_token(txn: &Txn<'_>, token: &TokenHash, as_of: AsOf) -> Result<Option<(SessionEntry, UserRecord)>> {
    let Some(entry) = txn.get(&SESSION_BY_TOKEN, token)? else {
        return Ok(None);
    };
    Ok(valid(txn, &entry, as_of)?.map(|user| (entry, user)))
}

/// Returns the user of a session that is still valid and not waiting to be swept.
fn valid(txn: &Txn<'_>, session: &SessionEntry, as_of: AsOf) -> Result<Option<UserRecord>> {
    let is_valid = as_of.now <= session.last_instant(as_of.max_age);
    if is_valid { users::owner(txn, &session.user_id) } else { Ok(None) }
}

fn remove(txn: &mut Txn<'_>, entry: &SessionEntry) -> Result<SessionRecord> {
    let session = session_of(txn, entry)?;
    replace(txn, Some(&session), None)?;
    Ok(session)
}

fn session_of(txn: &Txn<'_>, entry: &SessionEntry) -> Result<SessionRecord> {
    resolve(txn, &(entry.user_id.clone(), entry.id.clone()))
}
