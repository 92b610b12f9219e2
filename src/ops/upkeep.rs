//! Upkeep: removes the records of deleted users and expired records, in bounded steps.

use std::ops::Bound;

use serde::de::DeserializeOwned;

use crate::error::{Error, Result};
use crate::kv::key::{Key, prefix_end};
use crate::kv::table::Table;
use crate::kv::txn::{RowOrDamaged, Txn};
use crate::models::{Millis, SessionId, TokenHash, UserId};
use crate::records::entries::{Record, drop_expiry_entry, replace};
use crate::records::expiring::Expiring;
use crate::records::schema::{
    ACCOUNTS_BY_USER, AUTHENTICATORS_BY_USER, BY_EXPIRY, CODE_REQUESTS, CODES, GUESS_BUDGETS, SESSIONS, STATES, SWEEP,
    VERIFICATION_TOKENS, WEB_SESSIONS, WEB_SESSIONS_BY_USER,
};
use crate::records::{
    AccountRecord, AsOf, AuthenticatorRecord, CodeRequest, GuessBudget, OldCode, SessionRecord, StateRecord,
    TokenRecord, WebSessionRecord,
};

/// The most records that one step removes: few enough that the writes behind it wait for milliseconds. An engine may
/// allow fewer.
pub(crate) const STEP_RECORDS_MAX: usize = 256;

/// How many expired records a purge removed, or would remove.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Purged {
    /// Sessions.
    pub sessions: usize,
    /// Verification tokens.
    pub verification_tokens: usize,
    /// Requests for codes, and codes that formats before 5 have.
    pub codes: usize,
    /// Budgets for guesses at the codes of an address, of which nothing was used for so long that it no longer counts.
    pub guess_budgets: usize,
    /// States, and keys that were used once.
    pub states: usize,
    /// Web sessions.
    pub web_sessions: usize,
    /// Entries of the expiry index that were dropped, or would be, because they are damaged, or because their record is
    /// missing, damaged or listed elsewhere. Nothing else is removed, so what is left of the record stays.
    pub damaged: usize,
    /// True if there may be more expired records for another call to remove.
    pub more: bool,
}

impl Purged {
    /// Counts a record. `has_expired` is `None` if the entry is of no sound record.
    fn add(&mut self, expiring: &Expiring, has_expired: Option<bool>) {
        let count = match expiring {
            Expiring::Session(..) => &mut self.sessions,
            Expiring::Token(..) => &mut self.verification_tokens,
            Expiring::CodeRequest(_) | Expiring::OldCode(_) => &mut self.codes,
            Expiring::GuessBudget(_) => &mut self.guess_budgets,
            Expiring::State(_) => &mut self.states,
            Expiring::WebSession(_) => &mut self.web_sessions,
        };
        match has_expired {
            Some(has_expired) => *count += usize::from(has_expired),
            None => self.damaged += 1,
        }
    }
}

/// Removes the records of a user who was just deleted. If they are too many for one step, it marks the user for the
/// sweep and schedules the rest as a follow-up.
pub(crate) fn remove_records_of(txn: &mut Txn<'_>, user_id: &UserId) -> Result<()> {
    match remove_step(txn, user_id)? {
        Left::Nothing => {}
        Left::More => {
            txn.put(&SWEEP, user_id, &())?;
            txn.follow_up(sweep);
        }
        Left::Damaged => return Err(damaged()),
    }
    Ok(())
}

/// Hints that [`remove_records_of`] will be called.
pub(crate) fn prefetch_records_of(txn: &Txn<'_>, user_id: &UserId) {
    txn.prefetch_prefix(&ACCOUNTS_BY_USER, user_id);
    txn.prefetch_prefix(&AUTHENTICATORS_BY_USER, user_id);
    txn.prefetch_prefix(&WEB_SESSIONS_BY_USER, user_id);
    txn.prefetch_prefix(&SESSIONS, user_id);
}

/// One step of removing the records that deleted users left behind. A user of whom only damaged records are left stays
/// marked, so that nobody gets these records, and holds up no other.
pub(crate) fn sweep(txn: &mut Txn<'_>) -> Result<()> {
    sweep_from(txn, Bound::Unbounded)
}

fn sweep_from(txn: &mut Txn<'_>, start: Bound<&[u8]>) -> Result<()> {
    let mut marked = txn.rows_or_damaged(&SWEEP, (start, Bound::Unbounded), 2)?.into_iter();
    let Some((key, user)) = marked.next() else {
        return Ok(());
    };
    let left = match &user {
        Some((user_id, ())) => remove_step(txn, user_id)?,
        None => Left::Damaged,
    };
    match (left, marked.next()) {
        (Left::More, _) => txn.follow_up(move |txn| sweep_from(txn, Bound::Included(&key))),
        (left, next) => {
            if let (Left::Nothing, Some((user_id, ()))) = (left, &user) {
                txn.remove(&SWEEP, user_id);
            }
            if next.is_some() {
                txn.follow_up(move |txn| sweep_from(txn, Bound::Excluded(&key)));
            }
        }
    }
    Ok(())
}

/// One step of the sweep, for a caller who must not go on while a record is damaged.
pub(crate) fn sweep_soundly(txn: &mut Txn<'_>) -> Result<()> {
    let Some((user_id, ())) = txn.first(&SWEEP, 1)?.pop() else {
        return Ok(());
    };
    match remove_step(txn, &user_id)? {
        Left::Nothing => txn.remove(&SWEEP, &user_id),
        Left::More => {}
        Left::Damaged => return Err(damaged()),
    }
    Ok(())
}

fn damaged() -> Error {
    Error::corrupt("a record of a deleted user is missing or damaged")
}

/// True if deleted users have records left.
pub(crate) fn must_sweep(txn: &Txn<'_>) -> Result<bool> {
    Ok(!txn.rows_or_damaged(&SWEEP, (Bound::Unbounded, Bound::Unbounded), 1)?.is_empty())
}

/// Removes at most `limit` records that expired before this instant, the oldest first. A session that is listed earlier
/// than it expires is listed at its expiry instead, if it is still valid. An entry of no sound record is dropped, so that it holds up no other.
pub(crate) fn purge_expired(txn: &mut Txn<'_>, as_of: AsOf, limit: usize) -> Result<Purged> {
    let now = as_of.now;
    let limit = txn.step_records(limit);
    let listed = txn.rows_or_damaged(&BY_EXPIRY, (Bound::Unbounded, Bound::Excluded(&now.to_bytes())), limit)?;
    prefetch(txn, &listed);
    let mut purged = Purged { more: listed.len() == limit, ..Purged::default() };
    for (entry, row) in listed {
        let Some(((at, expiring), ())) = row else {
            drop_expiry_entry(txn, entry);
            purged.damaged += 1;
            continue;
        };
        let removed = match expiring.clone() {
            Expiring::Session(user_id, id) => purge(txn, at, &(user_id, id), |session: SessionRecord| {
                (session.lifetime.listed(), session.relisted(as_of))
            }),
            Expiring::WebSession(hash) => {
                purge(txn, at, &hash, |session: WebSessionRecord| (session.lifetime.listed(), session.relisted(now)))
            }
            Expiring::Token(hash, identifier) => {
                purge(txn, at, &(hash, identifier), |token: TokenRecord| (token.expires, None))
            }
            Expiring::CodeRequest(hash) => purge(txn, at, &hash, |request: CodeRequest| (request.expires(), None)),
            Expiring::GuessBudget(hash) => purge(txn, at, &hash, |budget: GuessBudget| (budget.expires(), None)),
            Expiring::OldCode(identifier) => purge(txn, at, &identifier, |code: OldCode| (code.expires, None)),
            Expiring::State(hash) => purge(txn, at, &hash, |state: StateRecord| (state.expires, None)),
        }?;
        if removed.is_none() {
            drop_expiry_entry(txn, entry);
        }
        purged.add(&expiring, removed);
    }
    Ok(purged)
}

/// Hints that the listed records will be looked up.
fn prefetch(txn: &Txn<'_>, listed: &[RowOrDamaged<(Millis, Expiring), ()>]) {
    for ((_, expiring), ()) in listed.iter().filter_map(|(_, row)| row.as_ref()) {
        match expiring.clone() {
            Expiring::Session(user_id, id) => txn.prefetch(&SESSIONS, &(user_id, id)),
            Expiring::WebSession(hash) => txn.prefetch(&WEB_SESSIONS, &hash),
            Expiring::Token(hash, identifier) => txn.prefetch(&VERIFICATION_TOKENS, &(hash, identifier)),
            Expiring::CodeRequest(hash) => txn.prefetch(&CODE_REQUESTS, &hash),
            Expiring::GuessBudget(hash) => txn.prefetch(&GUESS_BUDGETS, &hash),
            Expiring::OldCode(identifier) => txn.prefetch(&CODES, &identifier),
            Expiring::State(hash) => txn.prefetch(&STATES, &hash),
        }
    }
}

/// Replaces a record, which is listed at `at`, by what is left of it. `of` returns where it says that it is listed, and
/// what is left. Returns whether nothing is left, and `None` if there is no sound record that is listed there.
fn purge<R: Record + Clone>(
    txn: &mut Txn<'_>,
    at: Millis,
    key: &R::Key,
    of: impl FnOnce(R) -> (Millis, Option<R>),
) -> Result<Option<bool>> {
    let Some(record) = txn.get_sound(&R::TABLE, key)? else {
        return Ok(None);
    };
    let (listed, left) = of(record.clone());
    if listed != at {
        return Ok(None);
    }
    replace(txn, Some(&record), left.as_ref())?;
    Ok(Some(left.is_none()))
}

/// Counts the records that [`purge_expired`] would remove without a limit.
pub(crate) fn count_expired(txn: &Txn<'_>, as_of: AsOf) -> Result<Purged> {
    let (mut counted, mut last, end) = (Purged::default(), Vec::new(), as_of.now.to_bytes());
    loop {
        let range = (Bound::Excluded(last.as_slice()), Bound::Excluded(end.as_slice()));
        let listed = txn.rows_or_damaged(&BY_EXPIRY, range, STEP_RECORDS_MAX)?;
        let Some((key, _)) = listed.last() else {
            return Ok(counted);
        };
        last.clone_from(key);
        prefetch(txn, &listed);
        for (_, row) in listed {
            let Some(((at, expiring), ())) = row else {
                counted.damaged += 1;
                continue;
            };
            let has_expired = match expiring.clone() {
                Expiring::Session(user_id, id) => has_expired(txn, at, &(user_id, id), |session: SessionRecord| {
                    (session.lifetime.listed(), !session.is_valid(as_of))
                }),
                Expiring::WebSession(hash) => has_expired(txn, at, &hash, |session: WebSessionRecord| {
                    (session.lifetime.listed(), !session.is_valid(as_of.now))
                }),
                Expiring::Token(hash, identifier) => {
                    has_expired(txn, at, &(hash, identifier), |token: TokenRecord| (token.expires, true))
                }
                Expiring::CodeRequest(hash) => {
                    has_expired(txn, at, &hash, |request: CodeRequest| (request.expires(), true))
                }
                Expiring::GuessBudget(hash) => {
                    has_expired(txn, at, &hash, |budget: GuessBudget| (budget.expires(), true))
                }
                Expiring::OldCode(identifier) => {
                    has_expired(txn, at, &identifier, |code: OldCode| (code.expires, true))
                }
                Expiring::State(hash) => has_expired(txn, at, &hash, |state: StateRecord| (state.expires, true)),
            }?;
            counted.add(&expiring, has_expired);
        }
    }
}

fn has_expired<R: Record>(
    txn: &Txn<'_>,
    at: Millis,
    key: &R::Key,
    of: impl FnOnce(R) -> (Millis, bool),
) -> Result<Option<bool>> {
    let found = txn.get_sound(&R::TABLE, key)?.map(of);
    Ok(found.and_then(|(listed, has_expired)| (listed == at).then_some(has_expired)))
}

/// What a step leaves of a user's records.
enum Left {
    Nothing,
    /// Perhaps more than one step may remove.
    More,
    /// Only records that are missing or damaged.
    Damaged,
}

/// The records that a step may still remove, and whether it has met a damaged one.
pub(crate) struct Step {
    pub(crate) room: usize,
    pub(crate) damaged: bool,
}

/// Removes as many sound records of a user as one step may.
fn remove_step(txn: &mut Txn<'_>, user_id: &UserId) -> Result<Left> {
    let mut step = Step { room: txn.step_records(STEP_RECORDS_MAX), damaged: false };
    remove_listed::<AccountRecord>(txn, &ACCOUNTS_BY_USER, user_id, &mut step, |_| false)?;
    remove_listed::<AuthenticatorRecord>(txn, &AUTHENTICATORS_BY_USER, user_id, &mut step, |_| false)?;
    remove_sessions(txn, user_id, &mut step, |_| false, |_| false)?;
    Ok(match step {
        Step { room: 0, .. } => Left::More,
        Step { damaged: true, .. } => Left::Damaged,
        Step { .. } => Left::Nothing,
    })
}

/// Removes as many sound sessions and web sessions of a user as the step may, except those to keep.
pub(crate) fn remove_sessions(
    txn: &mut Txn<'_>,
    user_id: &UserId,
    step: &mut Step,
    keeps: impl Fn(&SessionId) -> bool,
    keeps_web: impl Fn(&TokenHash) -> bool,
) -> Result<()> {
    remove_some(txn, &SESSIONS, user_id, step, keeps, |_, _| (), |_, _, session: SessionRecord| Ok(Some(session)))?;
    remove_listed::<WebSessionRecord>(txn, &WEB_SESSIONS_BY_USER, user_id, step, keeps_web)
}

fn remove_listed<R: Record>(
    txn: &mut Txn<'_>,
    by_user: &Table<(UserId, R::Key), ()>,
    user_id: &UserId,
    step: &mut Step,
    keeps: impl Fn(&R::Key) -> bool,
) -> Result<()> {
    let prefetch = |txn: &Txn<'_>, key: &R::Key| txn.prefetch(&R::TABLE, key);
    remove_some(txn, by_user, user_id, step, keeps, prefetch, |txn, key, ()| txn.get_sound(&R::TABLE, &key))
}

/// Removes the sound records of a user's rows in a table, except those to keep. `record` returns the record of a row.
fn remove_some<K: Key, V: DeserializeOwned, R: Record>(
    txn: &mut Txn<'_>,
    table: &Table<(UserId, K), V>,
    user_id: &UserId,
    step: &mut Step,
    keeps: impl Fn(&K) -> bool,
    prefetch: impl Fn(&Txn<'_>, &K),
    record: impl Fn(&Txn<'_>, K, V) -> Result<Option<R>>,
) -> Result<()> {
    let prefix = user_id.to_bytes();
    let end = prefix_end(prefix.clone());
    let end = end.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
    let mut start = Bound::Included(prefix);
    loop {
        let wanted = step.room;
        let rows = txn.rows_or_damaged(table, (start.as_ref().map(Vec::as_slice), end), wanted)?;
        let is_kept = |row: &Option<((UserId, K), V)>| row.as_ref().is_some_and(|((_, key), _)| keeps(key));
        rows.iter().filter_map(|(_, row)| row.as_ref()).for_each(|((_, key), _)| prefetch(txn, key));
        let is_last = rows.len() < wanted;
        for (key_bytes, row) in rows {
            start = Bound::Excluded(key_bytes);
            if is_kept(&row) {
                continue;
            }
            let found = row.map_or(Ok(None), |((_, key), value)| record(txn, key, value))?;
            match found {
                Some(found) => {
                    replace(txn, Some(&found), None)?;
                    step.room -= 1;
                }
                None => step.damaged = true,
            }
        }
        if is_last || step.room == 0 {
            return Ok(());
        }
    }
}
