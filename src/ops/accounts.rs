//! Operations on accounts.

use crate::error::{Error, Result, UniqueKey};
use crate::kv::txn::Txn;
use crate::models::{AccountKey, AccountType, Cursor, FieldKey, MustLeave, Page, RangeOf, UserId};
use crate::ops::pages::{self, PageLimit, keys_of};
use crate::ops::{authenticators, fields, listed_all, resolve, users};
use crate::records::entries::replace;
use crate::records::schema::{ACCOUNT_BY_PROVIDER, ACCOUNTS, ACCOUNTS_BY_USER, AUTHENTICATORS_BY_USER, USERS};
use crate::records::{AccountRecord, AccountUpdate};

pub(crate) fn link(txn: &mut Txn<'_>, account: &AccountRecord) -> Result<()> {
    users::require(txn, &account.user_id)?;
    if let Some(holder) = of_any_user(txn, &account.account_key())? {
        evict_swept(txn, &holder, UniqueKey::ProviderAccount)?;
    }
    if let Some(holder) = txn.get(&ACCOUNTS, &account.id)? {
        evict_swept(txn, &holder, UniqueKey::AccountId)?;
    }
    for (key, holder) in fields::holders(txn, account)? {
        evict_swept(txn, &holder, key)?;
    }
    replace(txn, None, Some(account))
}

pub(crate) fn get(txn: &Txn<'_>, key: &AccountKey) -> Result<Option<AccountRecord>> {
    match of_any_user(txn, key)? {
        Some(account) => unless_swept(txn, account),
        None => Ok(None),
    }
}

/// Returns a page of the accounts of a user. A user who is waiting to be swept has none.
pub(crate) fn page(
    txn: &Txn<'_>,
    user_id: &UserId,
    after: Option<&Cursor>,
    limit: PageLimit,
) -> Result<Page<AccountRecord>> {
    txn.prefetch_prefix(&ACCOUNTS_BY_USER, user_id);
    if !txn.contains(&USERS, user_id)? {
        return Ok(Page { items: Vec::new(), next: None });
    }
    pages::page(txn, &ACCOUNTS_BY_USER, keys_of(user_id), after, limit, |rows| listed_all(txn, &rows))
}

pub(crate) fn by_field(txn: &Txn<'_>, field: &str, value: &FieldKey) -> Result<Option<AccountRecord>> {
    fields::first(txn, field, value.clone())?.map_or(Ok(None), |account| unless_swept(txn, account))
}

/// Returns a page of a list of accounts, after a cursor. Accounts that are waiting to be swept are left out.
pub(crate) fn list_by_field(
    txn: &Txn<'_>,
    field: &str,
    range: &RangeOf,
    after: Option<&Cursor>,
    limit: PageLimit,
) -> Result<Page<AccountRecord>> {
    fields::page(txn, field, range, after, limit, |accounts: Vec<AccountRecord>| {
        accounts.iter().for_each(|account| txn.prefetch(&USERS, &account.user_id));
        accounts.into_iter().map(|account| unless_swept(txn, account)).collect()
    })
}

/// Returns the account, unless its user was deleted and the account is waiting to be swept.
pub(super) fn unless_swept(txn: &Txn<'_>, account: AccountRecord) -> Result<Option<AccountRecord>> {
    Ok(users::owner(txn, &account.user_id)?.map(|_| account))
}

/// Updates an account with the tokens that its provider has just reported.
pub(super) fn refresh(txn: &mut Txn<'_>, old: &AccountRecord, given: &AccountRecord) -> Result<AccountRecord> {
    let new = old.refreshed(given);
    replace(txn, Some(old), Some(&new))?;
    Ok(new)
}

pub(crate) fn update(txn: &mut Txn<'_>, update: &AccountUpdate) -> Result<Option<AccountRecord>> {
    let Some(old) = get(txn, update.account())? else {
        return Ok(None);
    };
    let new = update.apply(&old);
    for (key, holder) in fields::holders(txn, &new)? {
        evict_swept(txn, &holder, key)?;
    }
    replace(txn, Some(&old), Some(&new))?;
    Ok(Some(new))
}

pub(crate) fn unlink(txn: &mut Txn<'_>, key: &AccountKey) -> Result<Option<AccountRecord>> {
    let Some(account) = get(txn, key)? else {
        return Ok(None);
    };
    replace(txn, Some(&account), None)?;
    if account.account_type == AccountType::Webauthn {
        authenticators::remove_of_account(txn, &account.user_id, &account.provider_account_id)?;
    }
    Ok(Some(account))
}

/// Unlinks an account of this user, unless too little would be left for the user to sign in.
pub(crate) fn unlink_of(
    txn: &mut Txn<'_>,
    user_id: &UserId,
    key: &AccountKey,
    must_leave: MustLeave,
) -> Result<Option<AccountRecord>> {
    if get(txn, key)?.is_none_or(|account| account.user_id != *user_id) {
        return Ok(None);
    }
    let account = unlink(txn, key)?;
    if leaves_enough(txn, user_id, must_leave)? { Ok(account) } else { Err(Error::LastWayToSignIn) }
}

fn leaves_enough(txn: &Txn<'_>, user_id: &UserId, must_leave: MustLeave) -> Result<bool> {
    let by_email = match must_leave {
        MustLeave::Nothing => return Ok(true),
        MustLeave::Account => false,
        MustLeave::AccountOrEmail => users::get(txn, user_id)?.is_some_and(|user| user.has_verified_email()),
    };
    Ok(by_email
        || !txn.with_prefix(&ACCOUNTS_BY_USER, user_id, 1)?.is_empty()
        || !txn.with_prefix(&AUTHENTICATORS_BY_USER, user_id, 1)?.is_empty())
}

/// Returns the account with this key, whether its user exists or was deleted and is being swept.
fn of_any_user(txn: &Txn<'_>, key: &AccountKey) -> Result<Option<AccountRecord>> {
    let key = (key.provider.clone(), key.provider_account_id.clone());
    txn.get(&ACCOUNT_BY_PROVIDER, &key)?.map(|(id, _)| resolve(txn, &id)).transpose()
}

/// Removes an account that is waiting to be swept. Refuses with a conflict if the account's user exists.
fn evict_swept(txn: &mut Txn<'_>, holder: &AccountRecord, key: UniqueKey) -> Result<()> {
    if users::owner(txn, &holder.user_id)?.is_some() {
        return Err(Error::Conflict(key));
    }
    replace(txn, Some(holder), None)
}
