//! Web sessions against a naive model. Goal: no order of calls makes a lookup find a session that does not exist,
//! brings back one that was ended, leaves one to a user who is gone, or lets one of two overlapping requests undo what
//! the other has changed. Method: random operations on few tokens and users run on a store and on a list; after each one
//! the store checks itself, and every session and list is compared. Requests load sessions, and save them once or more
//! often while others do so too; the model keeps whole copies of what they loaded.
//!
//! `AUTHKV_TEST_SCALE=10` runs ten times as many.
use std::cell::RefCell;
use std::collections::BTreeMap;

use authkv::conformance::Clock;
use authkv::models::{NewUser, WebSession, WebSessionData, WebSessionId};
use authkv::{AuthKv, Error, UniqueKey, WebSessions};
use chrono::{DateTime, TimeDelta, Utc};
use proptest::array::uniform4;
use proptest::collection::vec;
use proptest::num::u8;
use serde_json::json;

use crate::for_random;

const TOKENS: [&str; 4] = ["a", "b", "c", "d"];
const USERS: [&str; 3] = ["ada", "bob", "eve"];
/// In seconds. The last one means an expiry long past.
const LIFETIMES: [i64; 5] = [30, 31, 60, 600, -1];
/// By how many milliseconds the clock advances.
const STEPS: [i64; 4] = [1, 999, 2_000, 45_000];

/// How many loads are remembered.
const LOADS_MAX: usize = 4;
const USER: &str = "axum-login.data";
const MARK: &str = "authkv.mark";
/// The names of the application's values.
const NAMES: [&str; 2] = ["basket", "theme"];

#[derive(Clone, Debug, PartialEq)]
struct Listed {
    token: &'static str,
    data: WebSessionData,
    /// True if the named user was here when the session was written.
    is_theirs: bool,
    /// The number of the save that wrote the data.
    save: u64,
    /// The load of the request that wrote the data, and whether it has the changes of others too.
    writer: Option<(u64, bool)>,
    created: DateTime<Utc>,
    saved: DateTime<Utc>,
    expires: DateTime<Utc>,
}

/// A request that has loaded a session.
struct Request {
    load: u64,
    loaded: Listed,
    /// The data as the request has it now, with the mark.
    data: WebSessionData,
    expires: DateTime<Utc>,
}

/// What saving does.
enum Outcome {
    Written(Listed),
    Same,
    Gone,
    OfAnother,
    Stale,
    UnknownUser,
}

struct Model {
    clock: Clock,
    auth: AuthKv,
    web: WebSessions,
    users: Vec<&'static str>,
    /// Users who were deleted at least once.
    deleted: Vec<&'static str>,
    /// Expired sessions stay until they are removed.
    sessions: Vec<Listed>,
    requests: Vec<Request>,
    /// How many sessions of users who were never here were written.
    strangers: u64,
    /// The last number of a save or a load.
    last: u64,
    /// How often each operation had an effect, and how often none.
    tallies: Tallies,
}

type Tallies = BTreeMap<&'static str, [u64; 2]>;

fn user_in(data: &WebSessionData) -> Option<&'static str> {
    let id = data.get(USER)?["user_id"].as_str()?;
    USERS.into_iter().find(|user| *user == id)
}

/// Changes data as a number says: each value stays, is set or is removed.
fn change(data: &mut WebSessionData, [values, user]: [u8; 2]) {
    for (name, choice) in NAMES.into_iter().zip([values % 8, values / 8 % 8]) {
        match choice {
            0 => drop(data.remove(name)),
            1..=3 => drop(data.insert(name.to_owned(), json!(choice))),
            _ => {}
        }
    }
    match user % 16 {
        0 => drop(data.remove(USER)),
        1..=4 => {
            let user = USERS[usize::from(user / 16) % USERS.len()];
            data.insert(USER.to_owned(), json!({ "user_id": user }));
        }
        _ => {}
    }
}

impl Model {
    fn new() -> Self {
        let clock = Clock::new();
        let now = clock.clone();
        let auth = AuthKv::options().clock(move || now.now()).in_memory().unwrap();
        let web = WebSessions::new(auth.clone());
        let (users, deleted, sessions, requests) = Default::default();
        Self { clock, auth, web, users, deleted, sessions, requests, strangers: 0, last: 0, tallies: Tallies::new() }
    }

    fn step(&mut self, [kind, a, b, c]: [u8; 4]) {
        let pick = |of: u8, count: usize| usize::from(of) % count;
        let (token, user) = (TOKENS[pick(a, TOKENS.len())], USERS[pick(b, USERS.len())]);
        let now = self.clock.now();
        let expires = now + TimeDelta::seconds(LIFETIMES[pick(c, LIFETIMES.len())]);
        let mut data = WebSessionData::new();
        change(&mut data, [c, if b < 180 { 1 + 16 * (b % 3) } else { 0 }]);
        let (what, did) = match kind % 16 {
            0 => ("create a user", self.create_user(user)),
            1 if b % 4 == 0 => ("delete a user", self.delete_user(user)),
            1..=3 => ("create", self.create(token, data, expires)),
            4 => ("save without a mark", self.save(token, data, expires, None)),
            5..=7 => ("load", self.load(token)),
            8..=11 => ("save what was loaded", self.save_loaded(usize::from(a), [c, b], expires, kind >= 208)),
            12 if c < 64 => ("delete", self.delete(token)),
            12 => ("end", self.end(token, user)),
            13 if c < 160 => ("end all", self.end_all(user, (c % 4 == 0).then_some(token))),
            13 => ("purge", self.purge()),
            14 => ("end", self.end(token, self.owner(token).unwrap_or(user))),
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
        let deleted = self.auth.delete_user(user).wait().unwrap();
        assert_eq!(deleted.is_some(), self.users.contains(&user));
        if deleted.is_some() {
            self.deleted.push(user);
        }
        self.users.retain(|other| *other != user);
        self.sessions.retain(|session| session.owner() != Some(user));
        deleted.is_some()
    }

    fn create(&mut self, token: &'static str, data: WebSessionData, expires: DateTime<Utc>) -> bool {
        let created = self.web.create_session(token, &data, expires).wait();
        let (is_in_use, is_theirs) = (self.valid(token).is_some(), self.is_theirs(user_in(&data)));
        match created {
            Err(Error::UnknownUser) => assert_eq!(is_theirs, None),
            Err(Error::Conflict(UniqueKey::SessionToken)) => assert!(is_theirs.is_some() && is_in_use),
            Err(error) => panic!("{error}"),
            Ok(()) => {
                assert!(is_theirs.is_some() && !is_in_use);
                self.sessions.retain(|session| session.token != token);
                let (now, save) = (self.clock.now(), self.number());
                let is_theirs = is_theirs.unwrap();
                let new = Listed { token, data, is_theirs, save, writer: None, created: now, saved: now, expires };
                self.count(&new);
                self.sessions.push(new);
                return true;
            }
        }
        false
    }

    fn load(&mut self, token: &'static str) -> bool {
        let found = self.web.load_session(token).wait().unwrap();
        let place = self.valid(token);
        assert_eq!(found.is_some(), place.is_some());
        let (Some(found), Some(place)) = (found, place) else {
            return false;
        };
        if self.requests.len() == LOADS_MAX {
            self.requests.remove(0);
        }
        let (loaded, load) = (self.sessions[place].clone(), self.number());
        assert!(found.data.iter().all(|(name, value)| name == MARK || loaded.data.get(name) == Some(value)));
        self.requests.push(Request { load, loaded, data: found.data, expires: found.expires });
        true
    }

    /// A request goes on: it changes the data that it has, and saves it.
    fn save_loaded(&mut self, which: usize, changes: [u8; 2], expires: DateTime<Utc>, refuses_stale: bool) -> bool {
        if self.requests.is_empty() {
            return false;
        }
        let place = which % self.requests.len();
        let mut request = self.requests.remove(place);
        change(&mut request.data, changes);
        if changes[0] >= 128 {
            request.expires = expires;
        }
        let (token, data, expires) = (request.loaded.token, request.data.clone(), request.expires);
        let did = self.save(token, data, expires, Some((&request, refuses_stale)));
        self.requests.push(request);
        did
    }

    fn save(
        &mut self,
        token: &'static str,
        data: WebSessionData,
        expires: DateTime<Utc>,
        request: Option<(&Request, bool)>,
    ) -> bool {
        let web = if let Some((_, true)) = request { self.web.clone().refuse_stale_saves() } else { self.web.clone() };
        let saved = web.save_session(token, &data, expires).wait();
        let mut data = data;
        data.remove(MARK);
        match self.saved(token, data, expires, request) {
            Outcome::Written(new) => {
                assert!(saved.unwrap());
                if let Some((_, is_merged)) = new.writer {
                    self.note(if is_merged { "merges" } else { "knows the whole session" });
                }
                self.count(&new);
                let place = self.valid(token).unwrap();
                self.sessions[place] = new;
                return true;
            }
            Outcome::Same => assert!(saved.unwrap()),
            Outcome::Gone => assert!(!saved.unwrap()),
            Outcome::OfAnother => {
                self.note("is of another user");
                assert!(!saved.unwrap());
            }
            Outcome::Stale => {
                self.note("is stale");
                assert!(matches!(saved, Err(Error::StaleSession)), "{saved:?}");
            }
            Outcome::UnknownUser => {
                self.note("names a user who is refused");
                assert!(matches!(saved, Err(Error::UnknownUser)), "{saved:?}");
            }
        }
        false
    }

    fn saved(
        &mut self,
        token: &str,
        data: WebSessionData,
        mut expires: DateTime<Utc>,
        request: Option<(&Request, bool)>,
    ) -> Outcome {
        let (now, save) = (self.clock.now(), self.number());
        let Some(place) = self.valid(token) else {
            return Outcome::Gone;
        };
        let old = &self.sessions[place];
        let mut new = Listed { save, data: data.clone(), saved: now, writer: None, ..old.clone() };
        if let Some((Request { load, loaded, .. }, refuses_stale)) = request {
            new.writer = Some((*load, false));
            if old.writer != new.writer {
                if old.save != loaded.save {
                    let is_own = old.writer == Some((*load, true));
                    if refuses_stale && !is_own && data != loaded.data {
                        return Outcome::Stale;
                    }
                    if !is_own && user_in(&old.data) != user_in(&loaded.data) {
                        return Outcome::OfAnother;
                    }
                    for name in NAMES.into_iter().chain([USER]) {
                        let value = if data.get(name) == loaded.data.get(name) { &old.data } else { &data };
                        match value.get(name).cloned() {
                            Some(value) => drop(new.data.insert(name.to_owned(), value)),
                            None => drop(new.data.remove(name)),
                        }
                    }
                    new.writer = Some((*load, true));
                }
                if expires.timestamp_millis() == loaded.expires.timestamp_millis() {
                    expires = old.expires;
                }
            }
        }
        if new.data == old.data {
            if is_near(old.expires, expires, now) {
                return Outcome::Same;
            }
            (new.save, new.writer) = (old.save, old.writer);
        }
        new.expires = expires;
        new.is_theirs = match self.is_theirs(user_in(&new.data)) {
            // Who stays need not be looked up.
            _ if user_in(&new.data) != user_in(&data) => old.is_theirs,
            Some(false) if old.is_theirs && user_in(&new.data).is_some() => return Outcome::UnknownUser,
            Some(is_theirs) => is_theirs,
            None => return Outcome::UnknownUser,
        };
        Outcome::Written(new)
    }

    fn delete(&mut self, token: &str) -> bool {
        let deleted = self.web.delete_session(token).wait().unwrap();
        self.must_remove(deleted.is_some(), |session| session.token == token)
    }

    fn end(&mut self, token: &str, user: &str) -> bool {
        let id = self.id(token);
        let ended = id.and_then(|id| self.web.end_session(user, &id).wait().unwrap());
        self.must_remove(ended.is_some(), |session| session.token == token && session.owner() == Some(user))
    }

    fn end_all(&mut self, user: &str, except: Option<&str>) -> bool {
        let id = except.map(|token| self.id(token).unwrap_or_else(|| "no session".into()));
        let ended = match &id {
            Some(id) => self.web.end_other_sessions(user, id).wait(),
            None => self.auth.end_all_sessions(user).wait(),
        };
        let is_theirs = |session: &&Listed| Some(session.token) == except && session.owner() == Some(user);
        if except.is_some() && !self.sessions.iter().any(|session| is_theirs(&session)) {
            assert!(matches!(ended, Err(Error::UnknownSession)));
            return false;
        }
        let ended = ended.unwrap();
        let before = self.sessions.len();
        self.sessions.retain(|session| session.owner() != Some(user) || Some(session.token) == except);
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

    /// Whether a session that names this user is theirs. `None` if it is refused.
    fn is_theirs(&self, user: Option<&'static str>) -> Option<bool> {
        match user {
            Some(user) if self.users.contains(&user) => Some(true),
            Some(user) if self.deleted.contains(&user) => None,
            Some(_) | None => Some(false),
        }
    }

    fn owner(&self, token: &str) -> Option<&'static str> {
        self.sessions.iter().find(|session| session.token == token)?.owner()
    }

    fn count(&mut self, new: &Listed) {
        self.strangers += u64::from(!new.is_theirs && user_in(&new.data).is_some());
    }

    /// Counts what a save met.
    fn note(&mut self, what: &'static str) {
        self.tallies.entry(what).or_default()[0] += 1;
    }

    fn number(&mut self) -> u64 {
        self.last += 1;
        self.last
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
            let found =
                found.map(|it| (it.user_id.map(|id| id.to_string()), it.data, it.created, it.saved, it.expires));
            let of_model =
                |it: &Listed| (it.owner().map(str::to_owned), it.data.clone(), it.created, it.saved, it.expires);
            assert_eq!(found, expected.map(of_model), "{token}");
        }
        assert_eq!(self.auth.stats().sessions_of_strangers, self.strangers);
        for user in USERS {
            let listed = self.listed(user);
            assert!(listed.is_sorted_by_key(|session| session.created));
            let valid = self.sessions.iter().filter(|it| it.owner() == Some(user) && it.expires >= self.clock.now());
            assert_eq!(listed.len(), valid.count());
            assert!(listed.iter().all(|session| session.user_id == Some(user.into())));
        }
    }

    /// The sessions in a list, read in pages of a size that differs from time to time.
    fn listed(&self, user: &str) -> Vec<WebSession> {
        let limit = 1 + self.sessions.len() % 3;
        let (mut listed, mut after) = (Vec::new(), None);
        loop {
            let page = self.web.list_sessions(user, after.as_ref(), limit).wait().unwrap();
            assert!(page.items.len() == limit || page.next.is_none());
            listed.extend(page.items);
            after = page.next;
            if after.is_none() {
                return listed;
            }
        }
    }
}

impl Listed {
    fn owner(&self) -> Option<&'static str> {
        user_in(&self.data).filter(|_| self.is_theirs)
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
    let total = RefCell::new(Tallies::new());
    for_random(&vec(uniform4(u8::ANY), 0..=80), 600, None, |operations| {
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
    });
    let total = total.into_inner();
    assert_eq!(total.len(), 16, "{total:?}");
    for (what, [done, not]) in &total {
        eprintln!("{what}: {done} did something, {not} did not");
        assert!(*done > 50 && (*not > 50 || *not == 0), "{what}: {total:?}");
    }
}
