//! Operations on web sessions.

use std::ops::Bound;

use crate::error::{Error, Result, UniqueKey};
use crate::kv::key::Key;
use crate::kv::txn::Txn;
use crate::models::{Cursor, Millis, Page, TokenHash, UserId};
use crate::ops::pages::{self, PageLimit};
use crate::ops::{resolve_all, users};
use crate::records::entries::replace;
use crate::records::schema::{DELETED_USERS, SWEEP, USERS, WEB_SESSIONS, WEB_SESSIONS_BY_USER};
use crate::records::{Owner, Save, Saved, WebSessionRecord};

/// Creates a session. Returns its owner.
pub(crate) fn create(txn: &mut Txn<'_>, save: &Save, now: Millis) -> Result<Owner> {
    let owner = owner(txn, save)?;
    let holder = txn.get(&WEB_SESSIONS, &save.session.token_hash)?;
    if let Some(holder) = &holder
        && valid(txn, holder.clone(), now)?.is_some()
    {
        return Err(Error::Conflict(UniqueKey::SessionToken));
    }
    replace(txn, holder.as_ref(), Some(&save.session.clone().owned_by(owner.clone())))?;
    Ok(owner)
}

pub(crate) fn find(txn: &Txn<'_>, token: &TokenHash, now: Millis) -> Result<Option<WebSessionRecord>> {
    txn.get(&WEB_SESSIONS, token)?.map_or(Ok(None), |session| valid(txn, session, now))
}

/// The stored session, and what saving it does to it. `None` if there is no stored session.
fn saved(txn: &Txn<'_>, save: &Save, now: Millis) -> Result<Option<(WebSessionRecord, Saved)>> {
    let Some(old) = find(txn, &save.session.token_hash, now)? else {
        return Ok(None);
    };
    let saved = old.saved_as(save, now)?;
    Ok(Some((old, saved)))
}

/// Returns whether there is a session for the caller, or `None` if saving it must write.
pub(crate) fn is_saved(txn: &Txn<'_>, save: &Save, now: Millis) -> Result<Option<bool>> {
    Ok(match saved(txn, save, now)? {
        Some((_, Saved::Changed(_))) => None,
        Some((_, Saved::Same)) => Some(true),
        Some((_, Saved::OfAnother)) | None => Some(false),
    })
}

/// Saves a session. Returns whether there is a session for the caller, and the owner of one that was written.
pub(crate) fn save(txn: &mut Txn<'_>, save: &Save, now: Millis) -> Result<(bool, Option<Owner>)> {
    let (old, new) = match saved(txn, save, now)? {
        Some((old, Saved::Changed(new))) => (old, new),
        Some((_, Saved::Same)) => return Ok((true, None)),
        Some((_, Saved::OfAnother)) | None => return Ok((false, None)),
    };
    let is_named = new.owner().named() == save.session.owner().named();
    let owner = if is_named { owner(txn, save)? } else { new.owner().clone() };
    if matches!(owner, Owner::Stranger(_)) && old.user_id().is_some() {
        return Err(Error::UnknownUser);
    }
    replace(txn, Some(&old), Some(&new.owned_by(owner.clone())))?;
    Ok((true, Some(owner)))
}

/// Removes a session, expired or not. A session that is waiting to be swept counts as absent.
pub(crate) fn delete(txn: &mut Txn<'_>, token: &TokenHash) -> Result<Option<WebSessionRecord>> {
    txn.get(&WEB_SESSIONS, token)?.map_or(Ok(None), |session| remove(txn, session))
}

/// Like [`delete`], but only for a session of this user.
pub(crate) fn end(txn: &mut Txn<'_>, user_id: &UserId, token: &TokenHash) -> Result<Option<WebSessionRecord>> {
    let session = txn.get(&WEB_SESSIONS, token)?;
    let session = session.filter(|session| session.user_id() == Some(user_id));
    session.map_or(Ok(None), |session| remove(txn, session))
}

/// A position in the list of a user's web sessions. The entries of a user are in the order of the token hashes, so all
/// are read and ordered anew for each page: a block of them, where they are too many to be read for one page.
struct Position {
    /// The block has the entries behind the first hash, up to and with the second one.
    block: (TokenHash, TokenHash),
    /// When the session listed last was created, and its token hash.
    last: (Millis, TokenHash),
}

/// Smaller and greater than every hash of a token.
const LEAST: TokenHash = TokenHash::from_bytes([0; 32]);
const GREATEST: TokenHash = TokenHash::from_bytes([0xFF; 32]);

impl Position {
    fn start_of(block: (TokenHash, TokenHash)) -> Self {
        Self { block, last: (Millis::new(i64::MIN), LEAST) }
    }

    fn of(cursor: &Cursor) -> Result<Self> {
        let (block, last): ((TokenHash, TokenHash), _) = pages::position(WEB_SESSIONS_BY_USER.id, cursor)?;
        if block.0 < block.1 { Ok(Self { block, last }) } else { Err(pages::not_of_list()) }
    }

    fn into_cursor(self) -> Cursor {
        pages::cursor(WEB_SESSIONS_BY_USER.id, &(self.block, self.last).to_bytes())
    }
}

/// Returns a page of the valid sessions of a user, the oldest first. A user who is waiting to be swept has none. If the
/// user has more sessions than may be read for a page, expired ones included, the order begins again behind so many.
pub(crate) fn page(
    txn: &Txn<'_>,
    user_id: &UserId,
    now: Millis,
    after: Option<&Cursor>,
    limit: PageLimit,
) -> Result<Page<WebSessionRecord>> {
    let Position { block: (start, end), last } =
        after.map_or_else(|| Ok(Position::start_of((LEAST, GREATEST))), Position::of)?;
    let mut page = Page { items: Vec::new(), next: None };
    txn.prefetch_prefix(&WEB_SESSIONS_BY_USER, user_id);
    if users::get(txn, user_id)?.is_none() {
        return Ok(page);
    }
    let [first, upto] = [start, end].map(|hash| (user_id.clone(), hash).to_bytes());
    let entries = txn.rows(&WEB_SESSIONS_BY_USER, (Bound::Excluded(&first), Bound::Included(&upto)), limit.rows)?;
    let end = match entries.last() {
        Some(((_, hash), ())) if entries.len() == limit.rows => *hash,
        _ => end,
    };
    let place = |session: &WebSessionRecord| (session.lifetime.created, session.token_hash);
    page.items = resolve_all(txn, &entries)?;
    page.items.retain(|session: &WebSessionRecord| session.is_valid(now) && place(session) > last);
    page.items.sort_by_key(place);
    let more = page.items.len() > limit.items;
    page.items.truncate(limit.items);
    page.next = match page.items.last() {
        Some(last) if more => Some(Position { block: (start, end), last: place(last) }),
        _ if end < GREATEST => Some(Position::start_of((end, GREATEST))),
        _ => None,
    }
    .map(Position::into_cursor);
    Ok(page)
}

/// Returns the session, unless it has expired or is waiting to be swept.
fn valid(txn: &Txn<'_>, session: WebSessionRecord, now: Millis) -> Result<Option<WebSessionRecord>> {
    if session.is_valid(now) { unless_swept(txn, session) } else { Ok(None) }
}

fn unless_swept(txn: &Txn<'_>, session: WebSessionRecord) -> Result<Option<WebSessionRecord>> {
    match session.user_id() {
        Some(user_id) => Ok(users::owner(txn, user_id)?.map(|_| session)),
        None => Ok(Some(session)),
    }
}

fn remove(txn: &mut Txn<'_>, session: WebSessionRecord) -> Result<Option<WebSessionRecord>> {
    replace(txn, Some(&session), None)?;
    unless_swept(txn, session)
}

/// Returns the owner of a session that names this user. A user whom the store has deleted is refused; one whom it has
/// never had is a stranger.
fn owner(txn: &Txn<'_>, save: &Save) -> Result<Owner> {
    let (Some(named), Some(trace)) = (save.session.user_id(), &save.trace) else {
        return Ok(Owner::Nobody);
    };
    if txn.contains_or_assumed(&USERS, named)? {
        Ok(Owner::User(named.clone()))
    } else if txn.contains(&DELETED_USERS, trace)? || txn.contains(&SWEEP, named)? {
        Err(Error::UnknownUser)
    } else {
        Ok(Owner::Stranger(named.clone()))
    }
}
