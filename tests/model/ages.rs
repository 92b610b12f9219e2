//! Sessions of a store that is reopened with other ages, against a naive model. Goal: the ages bind each session that the
//! store made, however long ago and under whichever options, and no other; the store answers and lists nothing else, a
//! wrong option shortens nothing for good, and purging removes no session that is valid. Method: random calls of few
//! sessions on a database that is reopened with random ages; each answer is compared, and then the list.
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use authkv::AuthKv;
use authkv::conformance::Clock;
use authkv::models::{NewSession, NewUser, SessionPatch, UserId};
use authkv::redb::Database;
use authkv::redb::backends::InMemoryBackend;
use chrono::{DateTime, TimeDelta, Utc};
use proptest::array::uniform3;
use proptest::collection::vec;
use proptest::num::u8;

use crate::for_random;

const SEQUENCES: u32 = 300;
const OPERATIONS_MAX: usize = 80;
/// Short enough that sessions end in a sequence, and long ones beside short ones.
const AGES: [i64; 5] = [1, 4, 10, 40, 160];
const SPANS: [i64; 6] = [0, 1, 3, 9, 30, 100];

struct Session {
    expires: DateTime<Utc>,
    /// When the expiry was last set.
    extended: DateTime<Utc>,
    made_here: bool,
    /// The instant under which the expiry index lists it: an extension leaves the entry where it is.
    listed: DateTime<Utc>,
}

impl Session {
    fn new(expires: DateTime<Utc>, now: DateTime<Utc>, made_here: bool) -> Self {
        Self { expires, extended: now, made_here, listed: expires }
    }

    fn set(&mut self, expires: DateTime<Utc>, now: DateTime<Utc>) {
        (self.expires, self.extended, self.listed) = (expires, now, self.listed.min(expires));
    }

    /// The last instant at which the session is valid.
    fn last_instant(&self, max_age: TimeDelta) -> DateTime<Utc> {
        if self.made_here { self.expires.min(self.extended + max_age) } else { self.expires }
    }
}

struct Run<'t> {
    database: Arc<Database>,
    auth: AuthKv,
    clock: Clock,
    max_age: TimeDelta,
    update_age: TimeDelta,
    ada: UserId,
    /// By token.
    sessions: BTreeMap<String, Session>,
    given: usize,
    tally: &'t RefCell<BTreeMap<&'static str, [u32; 2]>>,
}

fn minutes(minutes: i64) -> TimeDelta {
    TimeDelta::minutes(minutes)
}

fn open(database: &Arc<Database>, clock: &Clock, max_age: TimeDelta, update_age: TimeDelta) -> AuthKv {
    let clock = clock.clone();
    let options = AuthKv::options().clock(move || clock.now()).purge_in_background(false).hot_sessions(4);
    let options = options.session_max_age(max_age).session_update_age(update_age);
    options.on_database(Arc::clone(database)).unwrap()
}

impl<'t> Run<'t> {
    fn new(tally: &'t RefCell<BTreeMap<&'static str, [u32; 2]>>) -> Self {
        let database = Arc::new(Database::builder().create_with_backend(InMemoryBackend::new()).unwrap());
        let (clock, max_age, update_age) = (Clock::new(), minutes(10), minutes(1));
        let auth = open(&database, &clock, max_age, update_age);
        let ada = auth.create_user(NewUser::default()).wait().unwrap().id;
        Self { database, auth, clock, max_age, update_age, ada, sessions: BTreeMap::new(), given: 0, tally }
    }

    fn note(&self, what: &'static str, happened: bool) {
        self.tally.borrow_mut().entry(what).or_default()[usize::from(happened)] += 1;
    }

    fn step(&mut self, [kind, a, b]: [u8; 3]) {
        let now = self.clock.now();
        let age = minutes(AGES[usize::from(a) % AGES.len()]);
        let span = minutes(SPANS[usize::from(b) % SPANS.len()]);
        let token = self.sessions.keys().nth(usize::from(a) % self.sessions.len().max(1)).cloned();
        match (kind % 12, token) {
            (0..=1, _) => {
                let session = self.auth.start_session(self.ada.clone()).wait().unwrap();
                assert_eq!(session.expires, now + self.max_age);
                let new = Session::new(session.expires, now, true);
                self.sessions.insert(session.session_token.reveal().to_owned(), new);
            }
            (2, _) => {
                self.given += 1;
                let (token, expires) = (format!("given {}", self.given), now + span);
                let new = NewSession::new(token.as_str(), self.ada.clone(), expires);
                self.auth.create_session(new).wait().unwrap();
                self.sessions.insert(token, Session::new(expires, now, false));
            }
            (3, Some(token)) => self.update(&token, now + span),
            (4..=6, Some(token)) => self.authenticate(&token),
            (7, _) => self.purge(),
            (8..=9, _) => {
                let database = Arc::clone(&self.database);
                (self.max_age, self.update_age) = (age, span.clamp(minutes(1), age));
                self.auth.close().wait().unwrap();
                self.auth = open(&database, &self.clock, self.max_age, self.update_age);
            }
            _ => self.clock.set(now + span),
        }
    }

    fn is_valid(&self, token: &str) -> bool {
        self.clock.now() <= self.sessions[token].last_instant(self.max_age)
    }

    fn update(&mut self, token: &str, expires: DateTime<Utc>) {
        let is_valid = self.is_valid(token);
        let patch = SessionPatch { expires: Some(expires), ..SessionPatch::new(token) };
        let updated = self.auth.update_session(patch).wait().unwrap();
        if is_valid {
            self.sessions.get_mut(token).unwrap().set(expires, self.clock.now());
        }
        let expected = is_valid.then(|| self.sessions[token].last_instant(self.max_age));
        assert_eq!(updated.map(|session| session.expires), expected);
    }

    fn authenticate(&mut self, token: &str) {
        let (now, is_valid) = (self.clock.now(), self.is_valid(token));
        let found = self.auth.authenticate(token).wait().unwrap().passed();
        let end = self.sessions[token].last_instant(self.max_age);
        assert_eq!(found.map(|found| found.session.expires), is_valid.then_some(end));
        let until = now + self.max_age;
        self.note("extended", is_valid && end < until - self.update_age);
        if is_valid && end < until - self.update_age {
            self.sessions.get_mut(token).unwrap().set(until, now);
            // The extension comes behind the answer, and before any later write.
            self.auth.update_session(SessionPatch::new("no session")).wait().unwrap();
        }
    }

    /// Purging comes by a session when the instant has passed under which the expiry index lists it.
    fn purge(&mut self) {
        let (now, max_age, before) = (self.clock.now(), self.max_age, self.sessions.len());
        self.sessions.retain(|_, session| {
            if session.listed < now && now <= session.last_instant(max_age) {
                session.listed = session.expires;
            }
            now <= session.listed
        });
        let purged = before - self.sessions.len();
        assert_eq!(self.auth.count_expired().wait().unwrap().sessions, purged);
        assert_eq!(self.auth.purge_expired().wait().unwrap().sessions, purged);
        self.note("purged", purged > 0);
    }

    fn must_agree(&self) {
        for (token, session) in &self.sessions {
            let found = self.auth.get_session_and_user(token).wait().unwrap();
            let expected = self.is_valid(token).then(|| session.last_instant(self.max_age));
            assert_eq!(found.map(|found| found.session.expires), expected);
        }
        let page = self.auth.list_sessions(&self.ada, None, 1_000).wait().unwrap();
        let mut listed: Vec<_> = page.items.iter().map(|session| (session.extended, session.expires)).collect();
        let now = self.clock.now();
        let mut sessions = self.sessions.values();
        let is_cut = |session: &Session| now <= session.expires && now > session.last_instant(self.max_age);
        self.note("ended by the age alone", sessions.any(is_cut));
        let valid = self.sessions.iter().filter(|(token, _)| self.is_valid(token));
        let mut expected: Vec<_> =
            valid.map(|(_, session)| (session.extended, session.last_instant(self.max_age))).collect();
        listed.sort();
        expected.sort();
        assert_eq!(listed, expected);
    }
}

#[test]
fn ages_bind_what_the_store_made_and_nothing_else() {
    let tally = RefCell::new(BTreeMap::new());
    for_random(&vec(uniform3(u8::ANY), 0..=OPERATIONS_MAX), SEQUENCES, None, |operations| {
        let mut run = Run::new(&tally);
        for operation in operations {
            run.step(operation);
            run.must_agree();
        }
        assert!(run.auth.check().wait().unwrap().is_sound());
    });
    for (what, [not, happened]) in tally.into_inner() {
        eprintln!("{what}: {happened} times, not {not} times");
        assert!(happened > 50 && not > 50, "{what}: {happened} times, not {not} times");
    }
}
