//! Operations on users.

use crate::error::{Error, Result, UniqueKey};
use crate::kv::txn::Txn;
use crate::models::{AccountKey, Change, Cursor, FieldKey, Millis, Page, RangeOf, TokenHash, UserId};
use crate::ops::pages::{self, PageLimit};
use crate::ops::{fields, resolve, upkeep};
use crate::records::entries::replace;
use crate::records::schema::{ACCOUNT_BY_PROVIDER, DELETED_USERS, SWEEP, USER_BY_EMAIL, USERS};
use crate::records::{UserRecord, UserUpdate};

pub(crate) fn create(txn: &mut Txn<'_>, user: &UserRecord) -> Result<()> {
    if txn.contains(&USERS, &user.id)? || txn.contains(&SWEEP, &user.id)? {
        return Err(Error::Conflict(UniqueKey::UserId));
    }
    if let Some(email) = &user.email
        && txn.contains(&USER_BY_EMAIL, email.normal_form())?
    {
        return Err(Error::Conflict(UniqueKey::Email));
    }
    fields::require_free(txn, user)?;
    replace(txn, None, Some(user))
}

pub(crate) fn get(txn: &Txn<'_>, id: &UserId) -> Result<Option<UserRecord>> {
    txn.get(&USERS, id)
}

/// `email` is in the store's normal form.
pub(crate) fn by_email(txn: &Txn<'_>, email: &String) -> Result<Option<UserRecord>> {
    txn.get(&USER_BY_EMAIL, email)?.map(|id| resolve(txn, &id)).transpose()
}

pub(crate) fn by_account(txn: &Txn<'_>, account: &AccountKey) -> Result<Option<UserRecord>> {
    let key = (account.provider.clone(), account.provider_account_id.clone());
    match txn.get(&ACCOUNT_BY_PROVIDER, &key)? {
        Some((_, user_id)) => owner(txn, &user_id),
        None => Ok(None),
    }
}

pub(crate) fn update(txn: &mut Txn<'_>, update: &UserUpdate) -> Result<UserRecord> {
    let old = get(txn, &update.id)?.ok_or(Error::UnknownUser)?;
    if let Change::Set(email) = &update.email
        && txn.get(&USER_BY_EMAIL, email.normal_form())?.is_some_and(|holder| holder != old.id)
    {
        return Err(Error::Conflict(UniqueKey::Email));
    }
    let new = update.apply(&old);
    fields::require_free(txn, &new)?;
    replace(txn, Some(&old), Some(&new))?;
    Ok(new)
}

pub(crate) fn by_field(txn: &Txn<'_>, field: &str, value: &FieldKey) -> Result<Option<UserRecord>> {
    fields::first(txn, field, value.clone())
}

/// Returns a page of a list of users, after a cursor.
pub(crate) fn list_by_field(
    txn: &Txn<'_>,
    field: &str,
    range: &RangeOf,
    after: Option<&Cursor>,
    limit: PageLimit,
) -> Result<Page<UserRecord>> {
    fields::page(txn, field, range, after, limit, |users| Ok(users.into_iter().map(Some).collect()))
}

/// Returns a page of all users, in the order of their ids.
pub(crate) fn page(txn: &Txn<'_>, after: Option<&Cursor>, limit: PageLimit) -> Result<Page<UserRecord>> {
    pages::page(txn, &USERS, pages::ALL, after, limit, |rows| {
        Ok(rows.into_iter().map(|(_, user)| Some(user)).collect())
    })
}

pub(crate) fn count(txn: &Txn<'_>) -> Result<u64> {
    txn.row_count(USERS.id)
}

/// Records that somebody has proven to receive mail at the user's e-mail address.
pub(super) fn verify(txn: &mut Txn<'_>, user: UserRecord, now: Millis) -> Result<UserRecord> {
    let verified = user.clone().verified(now);
    replace(txn, Some(&user), Some(&verified))?;
    Ok(verified)
}

/// Removes the user and as many of their records as one step may. The other records are removed later and count as
/// absent until then. `trace` stays, so that a web session that names the user can be refused.
pub(crate) fn delete(txn: &mut Txn<'_>, id: &UserId, trace: &TokenHash) -> Result<Option<UserRecord>> {
    upkeep::prefetch_records_of(txn, id);
    let Some(user) = get(txn, id)? else {
        return Ok(None);
    };
    replace(txn, Some(&user), None)?;
    txn.put(&DELETED_USERS, trace, &())?;
    upkeep::remove_records_of(txn, id)?;
    Ok(Some(user))
}

pub(super) fn prefetch_by_email(txn: &Txn<'_>, email: &String) {
    txn.prefetch(&USER_BY_EMAIL, email);
}

pub(super) fn prefetch(txn: &Txn<'_>, id: &UserId) {
    txn.prefetch(&USERS, id);
}

/// Returns the user who owns an account, session or authenticator. `None` if the record is only waiting to be swept.
pub(super) fn owner(txn: &Txn<'_>, id: &UserId) -> Result<Option<UserRecord>> {
    let user = get(txn, id)?;
    if user.is_none() && !txn.contains(&SWEEP, id)? {
        return Err(Error::corrupt("a record belongs to a user that is missing"));
    }
    Ok(user)
}

/// Refuses a record for a user who does not exist.
pub(super) fn require(txn: &Txn<'_>, id: &UserId) -> Result<()> {
    if txn.contains_or_assumed(&USERS, id)? { Ok(()) } else { Err(Error::UnknownUser) }
}
