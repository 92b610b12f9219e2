//! Operations on states: values that can be taken once.

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

/// Removes a state and returns it, unless it has expired.
pub(crate) fn take(txn: &mut Txn<'_>, handle: TokenHash, now: Millis) -> Result<Option<StateRecord>> {
    let Some(state) = txn.get(&STATES, &handle)? else {
        return Ok(None);
    };
    replace(txn, Some(&state), None)?;
    Ok((state.expires >= now).then_some(state))
}
