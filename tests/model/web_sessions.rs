//! Web sessions against a naive model. Goal: no order of calls makes a lookup find a session that does not exist,
//! brings back one that was ended, or leaves one to a user who is gone. Method: random operations on few tokens and
//! users run on a store and on a list; after each one the store checks itself, and every session and list is compared.
//!
//! `AUTHKV_TEST_SCALE=10` runs ten times as many.
use std::cell::RefCell;
use std::collections::BTreeMap;

use authkv::conformance::Clock;
use authkv::models::{NewUser, UserId, WebSession, WebSessionData, WebSessionId};
use authkv::{Adapter, AuthKv, Error, UniqueKey, WebSessions};
use chrono::{DateTime, TimeDelta, Utc};
use proptest::array::uniform4;
use proptest::collection::vec;
use proptest::num::u8;
use proptest::test_runner::{Config, TestRunner};
use serde_json::json;

use crate::seeds;

const TOKENS: [&str; 4] = ["a", "b", "c", "d"];
const USERS: [&str; 3] = ["ada", "bob", "eve"];
/// In seconds. The last one means an expiry long past.
const LIFETIMES: [i64; 5] = [30, 31, 60, 600, -1];
/// By how many milliseconds the clock advances.
const STEPS: [i64; 4] = [1, 999, 2_000, 45_000];

#[derive(Clone, Debug, PartialEq)]
struct Listed {
    token: &'static str,
    user: Option<&'static str>,
    value: u8,
    created: DateTime<Utc>,
    saved: DateTime<Utc>,
    expires: DateTime<Utc>,
}

struct Model {
    clock: Clock,
    auth: AuthKv,
    web: WebSessions,
    users: Vec<&'static str>,
    /// Expired sessions stay until they are removed.
    sessions: Vec<Listed>,
    /// How often each operation had an effect, and how often none.
    tallies: Tallies,
}

type Tallies = BTreeMap<&'static str, [u64; 2]>;

fn data(user: Option<&str>, value: u8) -> WebSessionData {
    let mut data = WebSessionData::from([("value".to_owned(), json!(value))]);
    if let Some(user) = user {
        data.insert("axum-login.data".to_owned(), json!({ "user_id": user }));
    }
    data
}

impl Model {
    fn new() -> Self {
        let clock = Clock::new();
        let now = clock.clone();
        let auth = AuthKv::options().clock(move || now.now()).in_memory().unwrap();
        let web = WebSessions::new(auth.clone());
        Self { clock, auth, web, users: Vec::new(), sessions: Vec::new(), tallies: Tallies::new() }
    }

    fn step(&mut self, [kind, a, b, c]: [u8; 4]) {
        let pick = |of: u8, count: usize| usize::from(of) % count;
        let (token, user) = (TOKENS[pick(a, TOKENS.len())], USERS[pick(b, USERS.len())]);
        let now = self.clock.now();
        let expires = now + TimeDelta::seconds(LIFETIMES[pick(c, LIFETIMES.len())]);
        let user_or_none = (b < 200).then_some(user);
        let wanted = Listed { token, user: user_or_none, value: c % 2, created: now, saved: now, expires };
        let (what, did) = match kind % 10 {
            0 => ("create a user", self.create_user(user)),
            1 if b % 8 == 0 => ("delete a user", self.delete_user(user)),
            1..=3 => ("create", self.create(wanted)),
            4..=6 => ("save", self.save(wanted)),
            7 if c < 64 => ("delete", self.delete(token)),
            7 => ("end", self.end(token, user)),
            8 if c < 64 => ("end all", self.end_all(user, (c % 2 == 0).then_some(token))),
            8 => ("purge", self.purge()),
            _ => ("advance the clock", self.advance(TimeDelta::milliseconds(STEPS[pick(a, STEPS.len())]))),
        };
        self.tallies.entry(what).or_default()[usize::from(!did)] += 1;
    }

    fn create_user(&mut self, user: &'static str) -> bool {
        let created = self.auth.create_user(NewUser { id: Some(user.into()), ..NewUser::default() }).wait();
        assert_eq!(created.is_ok(), !self.users.contains(&user));
        if created.is_ok() {
            self.users.push(user);
        }
        created.is_ok()
    }

    fn delete_user(&mut self, user: &'static str) -> bool {
        let deleted = self.auth.delete_user(&user.into()).wait().unwrap();
        assert_eq!(deleted.is_some(), self.users.contains(&user));
        self.users.retain(|other| *other != user);
        self.sessions.retain(|session| session.user != Some(user));
        deleted.is_some()
    }

    fn create(&mut self, new: Listed) -> bool {
        let created = self.web.create_session(new.token, &data(new.user, new.value), new.expires).wait();
        let is_in_use = self.valid(new.token).is_some();
        match created {
            Err(Error::UnknownUser) => assert!(!self.knows(new.user)),
            Err(Error::Conflict(UniqueKey::SessionToken)) => assert!(self.knows(new.user) && is_in_use),
            Err(error) => panic!("{error}"),
            Ok(()) => {
                assert!(self.knows(new.user) && !is_in_use);
                self.sessions.retain(|session| session.token != new.token);
                self.sessions.push(new);
                return true;
            }
        }
        false
    }

    fn save(&mut self, wanted: Listed) -> bool {
        let saved = self.web.save_session(wanted.token, &data(wanted.user, wanted.value), wanted.expires).wait();
        let known = self.knows(wanted.user);
        let Some(place) = self.valid(wanted.token) else {
            assert!(!saved.unwrap());
            return false;
        };
        let session = &mut self.sessions[place];
        let is_same = (session.user, session.value) == (wanted.user, wanted.value);
        if is_same && is_near(session.expires, wanted.expires, wanted.saved) {
            assert!(saved.unwrap());
            return false;
        }
        if !known {
            assert!(matches!(saved, Err(Error::UnknownUser)));
            return false;
        }
        assert!(saved.unwrap());
        *session = Listed { created: session.created, ..wanted };
        true
    }

    fn delete(&mut self, token: &str) -> bool {
        let deleted = self.web.delete_session(token).wait().unwrap();
        self.must_remove(deleted.is_some(), |session| session.token == token)
    }

    fn end(&mut self, token: &str, user: &str) -> bool {
        let id = self.id(token);
        let ended = id.and_then(|id| self.web.end_session(&user.into(), &id).wait().unwrap());
        self.must_remove(ended.is_some(), |session| session.token == token && session.user == Some(user))
    }

    fn end_all(&mut self, user: &str, except: Option<&str>) -> bool {
        let id = except.map(|token| self.id(token).unwrap_or_else(|| "no session".into()));
        let ended = self.web.end_sessions(&user.into(), id.as_ref()).wait().unwrap();
        let before = self.sessions.len();
        self.sessions.retain(|session| session.user != Some(user) || Some(session.token) == except);
        assert_eq!(ended, before - self.sessions.len());
        ended > 0
    }

    fn purge(&mut self) -> bool {
        let (now, before) = (self.clock.now(), self.sessions.len());
        let purged = self.auth.purge_expired().wait().unwrap();
        self.sessions.retain(|session| session.expires >= now);
        assert_eq!(purged.web_sessions, before - self.sessions.len());
        purged.web_sessions > 0
    }

    fn advance(&self, span: TimeDelta) -> bool {
        self.clock.set(self.clock.now() + span);
        true
    }

    fn must_remove(&mut self, did: bool, is_it: impl Fn(&Listed) -> bool) -> bool {
        let before = self.sessions.len();
        self.sessions.retain(|session| !is_it(session));
        assert_eq!(did, self.sessions.len() < before);
        did
    }

    /// The id of a session, expired or not, as an earlier list may have shown it.
    fn id(&self, token: &str) -> Option<WebSessionId> {
        let place = self.sessions.iter().position(|session| session.token == token)?;
        let now = self.clock.now();
        self.clock.set(self.sessions[place].expires);
        let found = self.web.find_session(token).wait().unwrap().unwrap();
        self.clock.set(now);
        Some(found.id)
    }

    fn knows(&self, user: Option<&str>) -> bool {
        user.is_none_or(|user| self.users.contains(&user))
    }

    fn valid(&self, token: &str) -> Option<usize> {
        self.sessions.iter().position(|session| session.token == token && session.expires >= self.clock.now())
    }

    fn compare(&self) {
        let report = self.auth.check().wait().unwrap();
        assert!(report.is_sound(), "{:?}", report.problems);
        assert_eq!(report.web_sessions, self.sessions.len() as u64);
        for token in TOKENS {
            let found = self.web.find_session(token).wait().unwrap();
            let expected = self.valid(token).map(|place| &self.sessions[place]);
            let found = found.map(|found| {
                assert_eq!(found.data, data(found.user_id.as_ref().map(UserId::as_str), self.value(token)));
                (found.user_id.map(|id| id.to_string()), found.created, found.saved, found.expires)
            });
            let owner = |session: &Listed| session.user.map(str::to_owned);
            assert_eq!(found, expected.map(|it| (owner(it), it.created, it.saved, it.expires)), "{token}");
        }
        for user in USERS {
            let listed = self.listed(user);
            assert!(listed.is_sorted_by_key(|session| session.created));
            let valid = self.sessions.iter().filter(|it| it.user == Some(user) && it.expires >= self.clock.now());
            assert_eq!(listed.len(), valid.count());
            assert!(listed.iter().all(|session| session.user_id == Some(user.into())));
        }
    }

    /// The sessions in a list, read in pages of a size that differs from time to time.
    fn listed(&self, user: &str) -> Vec<WebSession> {
        let limit = 1 + self.sessions.len() % 3;
        let (mut listed, mut after) = (Vec::new(), None);
        loop {
            let page = self.web.list_sessions(&user.into(), after.as_ref(), limit).wait().unwrap();
            assert!(page.items.len() == limit || page.next.is_none());
            listed.extend(page.items);
            after = page.next;
            if after.is_none() {
                return listed;
            }
        }
    }

    fn value(&self, token: &str) -> u8 {
        self.valid(token).map_or(0, |place| self.sessions[place].value)
    }
}

/// True if an expiry is so close to the wanted one that it need not be written.
fn is_near(stored: DateTime<Utc>, wanted: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    let left = (wanted - now).num_milliseconds();
    let too_early = (wanted - stored).num_milliseconds();
    if left <= 0 { too_early == 0 } else { (-1_000..=left / 30).contains(&too_early) }
}

#[test]
fn web_sessions_are_what_a_list_of_them_is() {
    let config = Config { cases: 600 * seeds::scale(), failure_persistence: None, ..Config::default() };
    let total = RefCell::new(Tallies::new());
    let outcome = TestRunner::new(config).run(&vec(uniform4(u8::ANY), 0..=80), |operations| {
        let mut model = Model::new();
        for operation in operations {
            model.step(operation);
            model.compare();
        }
        for (what, [done, not]) in model.tallies {
            let mut total = total.borrow_mut();
            let sum = total.entry(what).or_default();
            *sum = [sum[0] + done, sum[1] + not];
        }
        Ok(())
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
    let total = total.into_inner();
    assert_eq!(total.len(), 9, "{total:?}");
    for (what, [done, not]) in &total {
        eprintln!("{what}: {done} did something, {not} did not");
        assert!(*done > 50 && (*not > 50 || *what == "advance the clock"), "{total:?}");
    }
}
