//! Upkeep among damaged rows. Goal: whatever rows are damaged, everything else is purged and swept, nothing else is
//! removed, and a check reports the damage. Method: in stores with some of everything, random rows are removed or
//! changed; then purges with few records each, and sweeps, run until they are done, and all rows are compared with the
//! rows before.
//!
//! `AUTHKV_TEST_SCALE=10` runs ten times as many.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Bound, ControlFlow};

use chrono::{DateTime, TimeDelta, Utc};
use fastrand::Rng;

use crate::conformance::{Clock, eventually};
use crate::kv::key::Key;
use crate::kv::table::TableId;
use crate::kv::txn::Txn;
use crate::models::{
    AccountType, Authenticator, Millis, NewAccount, NewSession, NewUser, SessionPatch, UserId, VerificationToken,
    Visitor, WebSessionData,
};
use crate::ops::upkeep::{self, Purged};
use crate::records::expiring::Expiring;
use crate::records::schema::{
    ACCOUNTS, ACCOUNTS_BY_USER, AUTHENTICATORS, BY_EXPIRY, CODE_REQUESTS, CODES, GUESS_BUDGETS, SESSION_BY_TOKEN,
    SESSIONS, STATES, SWEEP, TABLES, USERS, VERIFICATION_TOKENS, WEB_SESSIONS, WEB_SESSIONS_BY_USER,
};
use crate::{AuthKv, Error, UniqueKey, WebSessions};

pub(super) type Row = (TableId, Vec<u8>);
pub(super) type Rows = BTreeMap<Row, Vec<u8>>;

pub(super) fn scale() -> u64 {
    std::env::var("AUTHKV_TEST_SCALE").ok().and_then(|scale| scale.parse().ok()).unwrap_or(1)
}

pub(super) fn options(clock: &Clock) -> crate::Options {
    let clock = clock.clone();
    AuthKv::options().purge_in_background(false).clock(move || clock.now())
}

pub(super) fn rows(auth: &AuthKv) -> Rows {
    let read = |txn: &Txn<'_>| {
        let mut rows = Rows::new();
        for table in TABLES {
            txn.scan_bytes(table, (Bound::Unbounded, Bound::Unbounded), &mut |key, value| {
                rows.insert((table, key.to_vec()), value.to_vec());
                Ok(ControlFlow::Continue(()))
            })?;
        }
        Ok(rows)
    };
    auth.read(read, Ok).wait().unwrap()
}

/// Puts rows, or removes them.
pub(super) fn change<M: crate::models::Models>(auth: &AuthKv<M>, changes: Vec<(Row, Option<Vec<u8>>)>) {
    let op = move |txn: &mut Txn<'_>| {
        for ((table, key), value) in changes.clone() {
            match value {
                Some(value) => txn.put_entry(crate::kv::table::Entry { table, key, value }),
                None => txn.remove_bytes(table, key),
            }
        }
        Ok(())
    };
    auth.write_alone(op, Ok).wait().unwrap();
}

/// Replaces a value by one with a flipped bit, or removes the row.
pub(super) fn damaged(random: &mut Rng, value: &[u8]) -> Option<Vec<u8>> {
    random.bool().then(|| {
        let mut value = value.to_vec();
        let place = random.usize(..value.len());
        value[place] ^= 1 << random.u8(..8);
        value
    })
}

fn record_of(expiring: &Expiring) -> Row {
    match expiring.clone() {
        Expiring::Session(user_id, id) => (SESSIONS.id, (user_id, id).to_bytes()),
        Expiring::Token(hash, identifier) => (VERIFICATION_TOKENS.id, (hash, identifier).to_bytes()),
        Expiring::OldCode(identifier) => (CODES.id, identifier.to_bytes()),
        Expiring::State(hash) => (STATES.id, hash.to_bytes()),
        Expiring::WebSession(hash) => (WEB_SESSIONS.id, hash.to_bytes()),
        Expiring::CodeRequest(hash) => (CODE_REQUESTS.id, hash.to_bytes()),
        Expiring::GuessBudget(hash) => (GUESS_BUDGETS.id, hash.to_bytes()),
    }
}

/// Creates up to 40 records of each kind that expires, within the next 20 milliseconds or soon after.
pub(super) fn some_of_everything(auth: &AuthKv, ada: &UserId, now: DateTime<Utc>, random: &mut Rng) {
    let data: WebSessionData = [("axum-login.data".into(), serde_json::json!({ "user_id": ada.as_str() }))].into();
    let web = WebSessions::new(auth.clone());
    for number in 0..random.usize(1..40) {
        let (name, span) = (format!("{number}"), TimeDelta::milliseconds(random.i64(1..40)));
        match random.u8(..6) {
            0 => {
                auth.create_session(NewSession::new(name.as_str(), ada.clone(), now + span)).wait().unwrap();
                if random.bool() {
                    let expires = Some(now + TimeDelta::milliseconds(random.i64(0..40)));
                    auth.update_session(SessionPatch { expires, ..SessionPatch::new(name) }).wait().unwrap();
                }
            }
            1 => web.create_session(name, &data, now + span).wait().unwrap(),
            2 => drop(auth.create_verification_token(VerificationToken::new("ada", name, now + span)).wait().unwrap()),
            3 => drop(auth.issue_code("test", &name, span, Visitor::default()).wait().unwrap()),
            4 => assert!(auth.use_once("test", &format!("{now} {name}"), span).wait().unwrap().has_passed()),
            _ => drop(auth.put_state("test", &number, span).wait().unwrap()),
        }
    }
}

/// The listed records: the entry, the record's row, when it really expires, and its rows in other indexes.
fn listed(auth: &AuthKv) -> Vec<(Row, Row, Millis, Vec<Row>)> {
    let read = |txn: &Txn<'_>| {
        let mut listed = Vec::new();
        for ((at, expiring), ()) in txn.first(&BY_EXPIRY, usize::MAX)? {
            let mut others = Vec::new();
            let expires = match &expiring {
                Expiring::Session(user_id, id) => {
                    let session = txn.get(&SESSIONS, &(user_id.clone(), id.clone()))?.unwrap();
                    others.push((SESSION_BY_TOKEN.id, session.token_hash.to_bytes()));
                    session.lifetime.expires
                }
                Expiring::WebSession(hash) => {
                    let session = txn.get(&WEB_SESSIONS, hash)?.unwrap();
                    others.push((WEB_SESSIONS_BY_USER.id, (session.user_id().unwrap().clone(), *hash).to_bytes()));
                    session.lifetime.expires
                }
                _ => at,
            };
            listed.push(((BY_EXPIRY.id, (at, expiring.clone()).to_bytes()), record_of(&expiring), expires, others));
        }
        Ok(listed)
    };
    auth.read(read, Ok).wait().unwrap()
}

fn sum(purged: &[Purged]) -> [usize; 7] {
    purged.iter().fold([0; 7], |sum, it| {
        let of_codes = [it.codes, it.guess_budgets];
        let next =
            [it.sessions, it.web_sessions, it.verification_tokens, of_codes[0], of_codes[1], it.states, it.damaged];
        std::array::from_fn(|place| sum[place] + next[place])
    })
}

#[test]
fn a_damaged_row_does_not_stop_the_purge_of_the_others() {
    let (mut purged_with_damage, mut left_bare) = (0, 0);
    for seed in 0..300 * scale() {
        eprintln!("seed {seed}");
        let random = &mut Rng::with_seed(seed);
        let clock = Clock::new();
        let start = clock.now();
        let auth = options(&clock).in_memory().unwrap();
        let ada = auth.create_user(NewUser::default()).wait().unwrap().id;
        some_of_everything(&auth, &ada, start, random);
        let listed = listed(&auth);
        let whole = rows(&auth);
        clock.set(start + TimeDelta::milliseconds(20));
        let (now, as_of) = (Millis::from(clock.now()), auth.as_of());
        let is_due = |entry: &Row| entry.1.as_slice() < now.to_bytes().as_slice();

        // The rows that should be left, in the end.
        let (mut changes, mut expected, mut dropped) = (Vec::new(), whole.clone(), 0);
        for (place, (entry, record, expires, others)) in listed.iter().enumerate() {
            let kind = if place == 0 { random.u8(..3) } else { random.u8(..6) };
            let (damaged_row, damage) = match kind {
                // The record is lost or damaged, or its entry is damaged.
                0 | 1 => (record, damaged(random, &whole[record])),
                2 => (entry, Some(whole[entry].iter().map(|byte| byte ^ 1).collect())),
                kind => {
                    if is_due(entry) && *expires < now {
                        [entry, record].into_iter().chain(others).for_each(|row| drop(expected.remove(row)));
                    } else if is_due(entry) {
                        // It was extended, and is listed anew.
                        let value = expected.remove(entry).unwrap();
                        let (_, expiring) = <(Millis, Expiring)>::from_bytes(&entry.1).unwrap();
                        expected.insert((entry.0, (*expires, expiring).to_bytes()), value);
                    }
                    if kind == 3 {
                        // The record has a second entry, left over from an earlier state.
                        let (_, expiring) = <(Millis, Expiring)>::from_bytes(&entry.1).unwrap();
                        let stale = BY_EXPIRY.entry(&(Millis::new(0), expiring), &()).unwrap();
                        changes.push(((stale.table, stale.key), Some(stale.value)));
                        dropped += 1;
                    }
                    continue;
                }
            };
            match &damage {
                Some(value) => drop(expected.insert(damaged_row.clone(), value.clone())),
                None => drop(expected.remove(damaged_row)),
            }
            if is_due(entry) {
                expected.remove(entry);
                dropped += 1;
                left_bare += usize::from(damage.is_none() && others.is_empty());
            }
            changes.push((damaged_row.clone(), damage));
        }
        let is_damaged = !changes.is_empty();
        change(&auth, changes);

        let due = rows(&auth).keys().filter(|row| row.0 == BY_EXPIRY.id && is_due(row)).count();
        let counted = auth.count_expired().wait().unwrap();
        let limit = random.usize(1..=due.max(2) / 2);
        let mut purged = Vec::new();
        loop {
            let step = auth.write_alone(move |txn| upkeep::purge_expired(txn, as_of, limit), Ok).wait().unwrap();
            let more = step.more;
            assert!(sum(&[step]).iter().sum::<usize>() <= limit, "seed {seed}: {step:?}");
            purged.push(step);
            assert!(purged.len() <= due / limit + 1, "seed {seed}: it makes no progress");
            if !more {
                break;
            }
        }
        assert_eq!(sum(&purged), sum(&[counted]), "seed {seed}");
        assert_eq!(sum(&purged)[6], dropped, "seed {seed}");
        purged_with_damage += usize::from(dropped > 0 && sum(&purged)[..6].iter().any(|count| *count > 0));
        // The records of extended sessions have changed; where they are listed is compared.
        let (found, is_session) = (rows(&auth), |row: &Row| row.0 == SESSIONS.id || row.0 == WEB_SESSIONS.id);
        assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>(), "seed {seed}");
        assert!(found.iter().all(|(row, value)| is_session(row) || row.0 == BY_EXPIRY.id || expected[row] == *value));
        let report = auth.check().wait().unwrap();
        assert!(!is_damaged || !report.is_sound() || dropped > 0, "seed {seed}");
        assert!(is_damaged || report.is_sound(), "seed {seed}: {:?}", report.problems);
    }
    assert!(purged_with_damage > 100 && left_bare > 50, "{purged_with_damage} {left_bare}");
}

#[test]
fn what_a_purge_drops_is_counted_and_reported() {
    let clock = Clock::new();
    let start = clock.now();
    for by_hand in [true, false] {
        clock.set(start);
        let now = clock.clone();
        let auth = AuthKv::options().clock(move || now.now()).in_memory().unwrap();
        drop(auth.put_state("test", &0, TimeDelta::seconds(1)).wait().unwrap());
        let (_, state, ..) = listed(&auth).remove(0);
        change(&auth, vec![(state, None)]);
        assert!(auth.check().wait().unwrap().problem_count > 0);
        clock.set(start + TimeDelta::days(3));
        if by_hand {
            assert_eq!(auth.purge_expired().wait().unwrap(), Purged { damaged: 1, ..Purged::default() });
            assert_eq!(auth.purge_expired().wait().unwrap(), Purged::default());
        } else {
            (0..2).for_each(|_| drop(auth.delete_session("nobody's").wait().unwrap()));
        }
        assert_eq!(auth.stats().damaged_entries, 1);
        // No row is wrong any more.
        let problems = auth.check().wait().unwrap().problems;
        assert_eq!(problems, ["authkv_by_expiry: 1 entries of missing or damaged records were dropped"]);
    }
}

fn authenticator(id: &str, user_id: &UserId) -> Authenticator {
    crate::conformance::authenticator(id, user_id, "an account")
}

/// Deletes users, of whom some records are damaged before they are swept.
pub(super) fn damaged_rows_hold_up_no_sweep(auth: &AuthKv, random: &mut Rng) {
    let web = WebSessions::new(auth.clone());
    let tomorrow = Utc::now() + TimeDelta::days(1);
    let users: Vec<UserId> = (0..random.usize(1..5)).map(|number| format!("user-{number}").as_str().into()).collect();
    for user in &users {
        auth.create_user(NewUser { id: Some(user.clone()), ..NewUser::default() }).wait().unwrap();
        for number in 0..random.usize(..6) {
            let name = format!("{user} {number}");
            match random.u8(..4) {
                0 => drop(auth.start_session(user.clone()).wait().unwrap()),
                1 => {
                    let data = [("axum-login.data".into(), serde_json::json!({ "user_id": user.as_str() }))].into();
                    web.create_session(name, &data, tomorrow).wait().unwrap();
                }
                2 => drop(auth.create_authenticator(authenticator(&name, user)).wait().unwrap()),
                _ => drop(
                    auth.link_account(NewAccount::new(user.clone(), AccountType::Oauth, "a", name)).wait().unwrap(),
                ),
            }
        }
    }
    // As if they had been deleted with too many records for one step.
    let mut changes = Vec::new();
    for user in &users {
        let mark = SWEEP.entry(user, &()).unwrap();
        changes.extend([((USERS.id, user.to_bytes()), None), ((mark.table, mark.key), Some(mark.value))]);
    }
    change(auth, changes);
    let whole = rows(auth);
    let (mut changes, mut stuck) = (Vec::new(), BTreeSet::new());
    let owner = |row: &Row| users.iter().find(|user| String::from_utf8_lossy(&row.1).contains(user.as_str())).cloned();
    for (row, value) in &whole {
        let tables = [ACCOUNTS_BY_USER.id, AUTHENTICATORS.id, WEB_SESSIONS_BY_USER.id, SESSIONS.id, SWEEP.id];
        if random.u8(..4) == 0 && tables.contains(&row.0) {
            // A session or a mark that is lost altogether is not found by anybody.
            let must_stay = [SESSIONS.id, SWEEP.id, ACCOUNTS_BY_USER.id, WEB_SESSIONS_BY_USER.id].contains(&row.0);
            let flipped = value.iter().map(|byte| byte ^ 1).collect();
            changes.push((row.clone(), if must_stay { Some(flipped) } else { damaged(random, value) }));
            stuck.insert(owner(row).unwrap());
        }
    }
    change(auth, changes.clone());
    auth.write_alone(upkeep::sweep, Ok).wait().unwrap();

    let marks = |user: &UserId| {
        // In memory, a step of the sweep runs with the next write.
        auth.write_alone(|_| Ok(()), Ok).wait().unwrap();
        rows(auth).contains_key(&(SWEEP.id, user.to_bytes()))
    };
    eventually("everybody else is swept", || users.iter().all(|user| marks(user) == stuck.contains(user)));
    let is_changed = |row: &Row| changes.iter().any(|(changed, _)| changed == row);
    let is_whole = |mark: &UserId| !is_changed(&(SWEEP.id, mark.to_bytes()));
    eventually("only what is damaged is left", || {
        rows(auth).keys().all(|row| match owner(row) {
            Some(user) if row.0 == SWEEP.id => stuck.contains(&user),
            // A user whose mark is damaged is not swept.
            Some(user) if is_whole(&user) => {
                let is_record = [ACCOUNTS.id, AUTHENTICATORS.id, SESSIONS.id].contains(&row.0);
                !is_record
                    || is_changed(row)
                    || changes.iter().any(|((table, key), _)| {
                        *table == ACCOUNTS_BY_USER.id && row.0 == ACCOUNTS.id && key.ends_with(&row.1)
                    })
            }
            _ => true,
        })
    });
    for (row, value) in &changes {
        assert_eq!(rows(auth).get(row), value.as_ref(), "it was changed or removed");
    }
    for user in &users {
        let created = auth.create_user(NewUser { id: Some(user.clone()), ..NewUser::default() }).wait();
        match created {
            Err(Error::Conflict(UniqueKey::UserId)) => assert!(stuck.contains(user)),
            // The mark itself is damaged.
            Err(Error::Storage(_)) => assert!(!is_whole(user)),
            created => assert!(created.is_ok() && !stuck.contains(user)),
        }
    }
    assert_eq!(auth.check().wait().unwrap().is_sound(), stuck.is_empty());
}

#[test]
fn a_damaged_row_does_not_stop_the_sweep_of_the_others() {
    for seed in 0..100 * scale() {
        eprintln!("seed {seed}");
        damaged_rows_hold_up_no_sweep(&options(&Clock::new()).in_memory().unwrap(), &mut Rng::with_seed(seed));
    }
}

#[test]
fn a_damaged_session_keeps_no_other_session_of_its_user() {
    let clock = Clock::new();
    let auth = options(&clock).in_memory().unwrap();
    let ada = auth.create_user(NewUser::email("ada@example.com")).wait().unwrap();
    let sessions: Vec<_> = (0..5).map(|_| auth.start_session(ada.id.clone()).wait().unwrap()).collect();
    let data = [("axum-login.data".into(), serde_json::json!({ "user_id": ada.id.as_str() }))].into();
    let (web, expires) = (WebSessions::new(auth.clone()), clock.now() + TimeDelta::days(1));
    web.create_session("web", &data, expires).wait().unwrap();
    web.create_session("damaged", &data, expires).wait().unwrap();
    let session = (SESSIONS.id, (ada.id.clone(), sessions[0].id.clone()).to_bytes());
    let web_session = (WEB_SESSIONS.id, crate::models::Token::from("damaged").hash().to_bytes());
    change(&auth, vec![(session, Some(b"no session".to_vec())), (web_session, None)]);

    let ended = auth.end_other_sessions(&ada.id, &sessions[4].id).wait();
    assert!(matches!(ended, Err(Error::OutcomeUnknown(_))), "{ended:?}");
    for session in &sessions[1..4] {
        assert_eq!(auth.authenticate(session.session_token.reveal()).wait().unwrap().passed(), None);
    }
    assert!(auth.authenticate(sessions[4].session_token.reveal()).wait().unwrap().passed().is_some());
    assert_eq!(web.find_session("web").wait().unwrap(), None);
    auth.carry_out(auth.repair().wait().unwrap()).wait().unwrap();
    assert_eq!(auth.end_all_sessions(&ada.id).wait().unwrap(), 1);
}
