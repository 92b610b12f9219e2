//! Operations on authenticators.

use crate::error::{Error, Problem, Result, UniqueKey};
use crate::kv::txn::Txn;
use crate::models::{CredentialId, Cursor, Page, ProviderAccountId, UserId};
use crate::ops::pages::{self, PageLimit, keys_of};
use crate::ops::{listed_all, resolve_all, users};
use crate::records::AuthenticatorRecord;
use crate::records::entries::replace;
use crate::records::schema::{AUTHENTICATORS, AUTHENTICATORS_BY_USER, USERS};

pub(crate) fn create(txn: &mut Txn<'_>, authenticator: &AuthenticatorRecord) -> Result<()> {
    users::require(txn, &authenticator.model.user_id)?;
    if let Some(holder) = txn.get(&AUTHENTICATORS, &authenticator.model.credential_id)? {
        if users::owner(txn, &holder.model.user_id)?.is_some() {
            return Err(Error::Conflict(UniqueKey::CredentialId));
        }
        replace(txn, Some(&holder), None)?;
    }
    replace(txn, None, Some(authenticator))
}

pub(crate) fn get(txn: &Txn<'_>, id: &CredentialId) -> Result<Option<AuthenticatorRecord>> {
    match txn.get(&AUTHENTICATORS, id)? {
        Some(authenticator) => Ok(users::owner(txn, &authenticator.model.user_id)?.map(|_| authenticator)),
        None => Ok(None),
    }
}

pub(crate) fn list(txn: &Txn<'_>, user_id: &UserId) -> Result<Vec<AuthenticatorRecord>> {
    txn.prefetch_prefix(&AUTHENTICATORS_BY_USER, user_id);
    if txn.contains(&USERS, user_id)? { of_user(txn, user_id) } else { Ok(Vec::new()) }
}

/// Returns a page of the authenticators of a user.
pub(crate) fn page(
    txn: &Txn<'_>,
    user_id: &UserId,
    after: Option<&Cursor>,
    limit: PageLimit,
) -> Result<Page<AuthenticatorRecord>> {
    txn.prefetch_prefix(&AUTHENTICATORS_BY_USER, user_id);
    if !txn.contains(&USERS, user_id)? {
        return Ok(Page { items: Vec::new(), next: None });
    }
    pages::page(txn, &AUTHENTICATORS_BY_USER, keys_of(user_id), after, limit, |rows| listed_all(txn, &rows))
}

/// Sets the counter. A counter never goes back.
pub(crate) fn update_counter(txn: &mut Txn<'_>, id: &CredentialId, counter: u32) -> Result<AuthenticatorRecord> {
    let old = get(txn, id)?.ok_or(Error::UnknownCredential)?;
    if counter < old.model.counter {
        let problem = Problem::OutOfRange { least: old.model.counter, most: u32::MAX };
        return Err(Error::invalid("counter", problem));
    }
    let new = old.with_counter(counter);
    replace(txn, Some(&old), Some(&new))?;
    Ok(new)
}

/// Moves the counter from one value to a greater one. Returns false, and changes nothing, if it has another value. An
/// authenticator that does not count stays at 0.
pub(crate) fn advance_counter(txn: &mut Txn<'_>, id: &CredentialId, from: u32, to: u32) -> Result<bool> {
    let old = get(txn, id)?.ok_or(Error::UnknownCredential)?;
    let advances = to > from || (from, to) == (0, 0);
    if !advances || old.model.counter != from {
        return Ok(false);
    }
    replace(txn, Some(&old), Some(&old.with_counter(to)))?;
    Ok(true)
}

pub(super) fn remove_of_account(txn: &mut Txn<'_>, user_id: &UserId, account_id: &ProviderAccountId) -> Result<()> {
    for authenticator in of_user(txn, user_id)? {
        if authenticator.model.provider_account_id == *account_id {
            replace(txn, Some(&authenticator), None)?;
        }
    }
    Ok(())
}

/// Returns all of them, without a limit: a person has a handful.
fn of_user(txn: &Txn<'_>, user_id: &UserId) -> Result<Vec<AuthenticatorRecord>> {
    let entries = txn.with_prefix(&AUTHENTICATORS_BY_USER, user_id, usize::MAX)?;
    resolve_all(txn, &entries)
}
