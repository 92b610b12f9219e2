//! Operations on states: values that can be taken once, and keys that can be used once.

use crate::error::Result;
use crate::kv::txn::Txn;
use crate::models::{Millis, TokenHash};
use crate::records::StateRecord;
use crate::records::entries::replace;
use crate::records::schema::STATES;

/// The handle of `state` is unique, so nothing is replaced.
pub(crate) fn put(txn: &mut Txn<'_>, state: &StateRecord) -> Result<()> {
    replace(txn, None, Some(state))
}

/// Notes that a key is used, unless it was used before. Returns true for the first use.
pub(crate) fn use_once(txn: &mut Txn<'_>, used: &StateRecord, now: Millis) -> Result<bool> {
    let before = txn.get(&STATES, &used.handle_hash)?;
    if before.as_ref().is_some_and(|before| before.expires >= now) {
        return Ok(false);
    }
    replace(txn, before.as_ref(), Some(used))?;
    Ok(true)
}

/// Removes a state and returns it, unless it has expired.
pub(crate) fn take(txn: &mut Txn<'_>, handle: TokenHash, now: Millis) -> Result<Option<StateRecord>> {
    let Some(state) = txn.get(&STATES, &handle)? else {
        return Ok(None);
    };
    replace(txn, Some(&state), None)?;
    Ok((state.expires >= now).then_some(state))
}
