//! Operations on codes: one code per identifier, with a limit on wrong guesses.

use crate::error::Result;
use crate::kv::txn::Txn;
use crate::models::{CodeCheck, Millis, TokenHash};
use crate::records::CodeRecord;
use crate::records::entries::replace;
use crate::records::schema::CODES;

/// Replaces the identifier's code. If the old code has not expired, its wrong guesses count against the new one. If
/// there are already too many, nothing is written, and the end of the lock is returned.
pub(crate) fn create(txn: &mut Txn<'_>, code: &CodeRecord, now: Millis, guesses_max: u32) -> Result<Option<Millis>> {
    let old = txn.get(&CODES, &code.identifier)?;
    let counting = old.as_ref().filter(|old| old.expires >= now);
    if let Some(old) = counting
        && old.wrong_guesses >= guesses_max
    {
        return Ok(Some(old.expires));
    }
    let wrong_guesses = counting.map_or(0, |old| old.wrong_guesses);
    replace(txn, old.as_ref(), Some(&code.clone().with_wrong_guesses(wrong_guesses)))?;
    Ok(None)
}

/// Compares a guess with the code of an identifier. A right guess removes the code; a wrong guess is counted.
pub(crate) fn guess(
    txn: &mut Txn<'_>,
    identifier: &String,
    code_hash: TokenHash,
    now: Millis,
    guesses_max: u32,
) -> Result<CodeCheck> {
    let code = txn.get(&CODES, identifier)?;
    let Some(code) = code.filter(|code| code.expires >= now && code.wrong_guesses < guesses_max) else {
        return Ok(CodeCheck::NoCode);
    };
    if code.code_hash == code_hash {
        replace(txn, Some(&code), None)?;
        return Ok(CodeCheck::Right);
    }
    let wrong_guesses = code.wrong_guesses + 1;
    replace(txn, Some(&code), Some(&code.clone().with_wrong_guesses(wrong_guesses)))?;
    Ok(CodeCheck::Wrong { guesses_left: guesses_max - wrong_guesses })
}
