//! Operations on codes: a browser's request has at most three codes and a number of guesses in all, which are paid from the
//! budget of the address.

use crate::error::Result;
use crate::kv::txn::Txn;
use crate::models::{LONG_CODE_DIGITS, Millis, TokenHash};
use crate::records::entries::replace;
use crate::records::schema::{CODE_REQUESTS, GUESS_BUDGETS};
use crate::records::{Code, CodeRequest, Email, GuessBudget};

/// How many codes a request has at most.
const CODES_MAX: usize = 3;

/// A code to issue, in each of the ways in which it may come to be.
pub(crate) struct NewCode {
    /// As it was given, without blanks around it.
    pub(crate) address: Email,
    /// The key of the address's budget.
    pub(crate) budget: TokenHash,
    pub(crate) expires: Millis,
    /// How many digits the short code has.
    pub(crate) digits: u32,
    /// How many guesses a new request has.
    pub(crate) guesses: u32,
    /// If it joins the request that the browser has.
    pub(crate) joining: Option<CodeHashes>,
    /// If it makes a new request.
    pub(crate) fresh: CodeHashes,
}

/// The hashes of a request, and of the code of either length.
pub(crate) struct CodeHashes {
    pub(crate) request: TokenHash,
    pub(crate) short: TokenHash,
    pub(crate) long: TokenHash,
}

/// What was issued.
pub(crate) struct Issued {
    pub(crate) digits: u32,
    /// True if the code joined the browser's request.
    pub(crate) joined: bool,
}

/// Adds a code to the request that the browser has, if that is alive and of this address, and makes a new request
/// otherwise. The code is a long one if the budget has no room for what a short one can lose.
pub(crate) fn issue(txn: &mut Txn<'_>, new: &NewCode, now: Millis) -> Result<Issued> {
    txn.prefetch(&GUESS_BUDGETS, &new.budget);
    let stored = match &new.joining {
        Some(hashes) => txn.get(&CODE_REQUESTS, &hashes.request)?.filter(|request| request.budget == new.budget),
        None => None,
    };
    let before = txn.get(&GUESS_BUDGETS, &new.budget)?;
    let mut budget = before.clone().unwrap_or_else(|| GuessBudget::new(new.budget)).at(now);
    let living = stored.clone().map(|request| request.living(now, &mut budget));
    let living = living.filter(|request| !request.codes.is_empty()).zip(new.joining.as_ref());
    let joined = living.is_some();
    let (mut request, hashes) = living.unwrap_or_else(|| {
        let address = (new.address.clone(), new.budget);
        (CodeRequest::new(new.fresh.request, address, new.guesses, now), &new.fresh)
    });
    if request.codes.len() >= CODES_MAX {
        request.drop_first(&mut budget);
    }
    let code = fitting(&mut budget, new, hashes, request.guesses_left);
    let digits = code.digits;
    request.codes.push(code);
    if joined {
        replace(txn, stored.as_ref(), Some(&request))?;
    } else {
        replace(txn, stored.as_ref(), None)?;
        replace(txn, None, Some(&request))?;
    }
    put_budget(txn, before.as_ref(), budget)?;
    Ok(Issued { digits, joined })
}

/// The short code if the budget has room for all guesses at it, and the long one otherwise.
fn fitting(budget: &mut GuessBudget, new: &NewCode, hashes: &CodeHashes, guesses: u32) -> Code {
    let [new_era, _] = new.fresh.request.numbers();
    let short = Code { hash: hashes.short, digits: new.digits, expires: new.expires, era: Some(new_era) };
    let reserve = short.reserve(guesses);
    if new.digits < LONG_CODE_DIGITS && budget.has_room(reserve) {
        Code { era: Some(budget.reserve(new.expires, reserve, new_era)), ..short }
    } else {
        Code { hash: hashes.long, digits: LONG_CODE_DIGITS, era: None, ..short }
    }
}

/// A guess: the hash of the request that the browser has, and that of the code within it.
pub(crate) struct CodeGuess {
    pub(crate) request: TokenHash,
    pub(crate) code: TokenHash,
}

/// What came out of a guess.
pub(crate) enum Guessed {
    /// The address that the code was sent to.
    Right(Email),
    /// The cost is in units of 10⁻¹².
    Wrong {
        guesses_left: u32,
        cost: u64,
    },
    NoCode,
}

/// Compares a guess with all codes of a request. A right one uses the request up, and so does the last one. Either costs
/// what it would have been right by chance.
pub(crate) fn guess(txn: &mut Txn<'_>, guess: &CodeGuess, now: Millis) -> Result<Guessed> {
    let Some(stored) = txn.get(&CODE_REQUESTS, &guess.request)? else {
        return Ok(Guessed::NoCode);
    };
    let has_short = stored.codes.iter().any(|code| code.era.is_some());
    let before = if has_short { txn.get(&GUESS_BUDGETS, &stored.budget)? } else { None };
    let mut budget = before.clone().unwrap_or_else(|| GuessBudget::new(stored.budget)).at(now);
    let mut request = stored.clone().living(now, &mut budget);
    if request.codes.is_empty() || request.guesses_left == 0 {
        return Ok(Guessed::NoCode);
    }
    request.guesses_left -= 1;
    let is_right = request.codes.iter().any(|code| code.hash == guess.code);
    let left = if is_right { 0 } else { request.guesses_left };
    for code in &request.codes {
        // What is neither lost now nor left for later goes back as well.
        budget.give_back(code.expires, code.reserve(request.guesses_left + 1 - left));
        budget.lose(now, code.reserve(1));
    }
    replace(txn, Some(&stored), (left > 0).then_some(&request))?;
    put_budget(txn, before.as_ref(), budget)?;
    let wrong = Guessed::Wrong { guesses_left: left, cost: request.cost() };
    Ok(if is_right { Guessed::Right(request.address) } else { wrong })
}

fn put_budget(txn: &mut Txn<'_>, before: Option<&GuessBudget>, after: GuessBudget) -> Result<()> {
    let after = Some(after).filter(|budget| !budget.is_empty());
    if before == after.as_ref() { Ok(()) } else { replace(txn, before, after.as_ref()) }
}
