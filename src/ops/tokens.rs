//! Operations on verification tokens.

use crate::error::Result;
use crate::kv::txn::Txn;
use crate::models::{Millis, TokenHash};
use crate::records::TokenRecord;
use crate::records::entries::replace;
use crate::records::schema::VERIFICATION_TOKENS;

pub(crate) fn create(txn: &mut Txn<'_>, token: &TokenRecord) -> Result<()> {
    let old = txn.get(&VERIFICATION_TOKENS, &(token.token_hash, token.identifier.clone()))?;
    replace(txn, old.as_ref(), Some(token))
}

pub(crate) fn get(txn: &Txn<'_>, identifier: &str, token: TokenHash) -> Result<Option<TokenRecord>> {
    txn.get(&VERIFICATION_TOKENS, &(token, identifier.to_owned()))
}

/// Removes and returns the token of this identifier. Without an identifier, the token with this hash if it is the only
/// one.
pub(crate) fn take(txn: &mut Txn<'_>, identifier: Option<&String>, token: TokenHash) -> Result<Option<TokenRecord>> {
    let found = match identifier {
        Some(identifier) => get(txn, identifier, token)?,
        None => only(txn.with_prefix(&VERIFICATION_TOKENS, &token, 2)?),
    };
    if let Some(token) = &found {
        replace(txn, Some(token), None)?;
    }
    Ok(found)
}

/// Like [`take`]. An expired token is removed too, and not returned.
pub(crate) fn take_valid(
    txn: &mut Txn<'_>,
    identifier: &String,
    token: TokenHash,
    now: Millis,
) -> Result<Option<TokenRecord>> {
    Ok(take(txn, Some(identifier), token)?.filter(|token| token.expires >= now))
}

fn only<K>(mut rows: Vec<(K, TokenRecord)>) -> Option<TokenRecord> {
    match (rows.pop(), rows.is_empty()) {
        (Some((_, token)), true) => Some(token),
        _ => None,
    }
}
