//! Codes as they are stored: for each request the hashes of at most three codes, and how many guesses are left.

use serde::{Deserialize, Serialize};

use super::budgets::cost;
use super::{Email, GuessBudget};
use crate::models::{Millis, TokenHash};

/// What a browser asked for: codes of one purpose for one address. Its handle stays in the browser.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct CodeRequest {
    /// The key: the hash of purpose and handle.
    #[serde(skip)]
    pub(crate) request: TokenHash,
    /// As it was given, without blanks around it.
    pub(crate) address: Email,
    /// The key of the address's budget.
    pub(crate) budget: TokenHash,
    pub(crate) guesses_left: u32,
    created: Millis,
    pub(crate) codes: Vec<Code>,
}

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Code {
    pub(crate) hash: TokenHash,
    pub(crate) digits: u32,
    pub(crate) expires: Millis,
    /// The era in which its guesses were reserved. `None` for a code of twelve digits.
    pub(crate) era: Option<u64>,
}

impl Code {
    /// What so many guesses at the code take from the budget.
    pub(crate) fn reserve(&self, guesses: u32) -> u64 {
        self.era.map_or(0, |_| cost(self.digits).saturating_mul(guesses.into()))
    }
}

impl CodeRequest {
    /// A request without codes.
    pub(crate) fn new(
        request: TokenHash,
        (address, budget): (Email, TokenHash),
        guesses_left: u32,
        created: Millis,
    ) -> Self {
        Self { request, address, budget, guesses_left, created, codes: Vec::new() }
    }

    /// The request without the codes that have expired or are void. What they had reserved is given back.
    pub(crate) fn living(mut self, now: Millis, budget: &mut GuessBudget) -> Self {
        let guesses = self.guesses_left;
        self.codes.retain(|code| {
            let is_void = code.era.is_some_and(|era| !budget.is_of(era));
            if !is_void && code.expires < now {
                budget.give_back(code.expires, code.reserve(guesses));
            }
            !is_void && code.expires >= now
        });
        self
    }

    /// Removes the code that expires first.
    pub(crate) fn drop_first(&mut self, budget: &mut GuessBudget) {
        let first = self.codes.iter().enumerate().min_by_key(|(_, code)| code.expires).map(|(place, _)| place);
        if let Some(place) = first {
            let code = self.codes.remove(place);
            budget.give_back(code.expires, code.reserve(self.guesses_left));
        }
    }

    /// What one guess at all of the codes costs.
    pub(crate) fn cost(&self) -> u64 {
        self.codes.iter().fold(0, |sum, code| sum.saturating_add(cost(code.digits)))
    }

    /// The last instant at which one of the codes is valid.
    pub(crate) fn expires(&self) -> Millis {
        self.codes.iter().map(|code| code.expires).max().unwrap_or(self.created)
    }
}

/// A code that formats 1 to 4 have for each identifier. It no longer works.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct OldCode {
    /// The key, in the normal form of e-mail addresses.
    #[serde(skip)]
    pub(crate) identifier: String,
    code_hash: TokenHash,
    pub(crate) expires: Millis,
    created: Millis,
    wrong_guesses: u32,
}

#[cfg(test)]
impl OldCode {
    pub(crate) fn new(identifier: String, code_hash: TokenHash, expires: Millis, created: Millis) -> Self {
        Self { identifier, code_hash, expires, created, wrong_guesses: 4 }
    }
}
