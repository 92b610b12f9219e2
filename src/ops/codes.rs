//! Codes: one for each identifier, with a limit to the wrong guesses at it.

use crate::error::Result;
use crate::kv::txn::Txn;
use crate::models::{CodeCheck, Millis, TokenHash};
use crate::records::CodeRecord;
use crate::records::entries::replace;
use crate::records::schema::CODES;

/// Puts a code in the place of the identifier's old one. The wrong guesses at one that has not expired count on; when they
/// are too many, nothing is done, and the answer is until when that is so.
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

/// Compares a guess with the code of an identifier, which is gone when it is right, and counts it when it is wrong.
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
