//! Soak: threads do everything at random for a while, and each knows exactly what it has written.
//!
//! Each thread has its own steady user, which only it changes, and compares it with its memory after every write. All
//! threads compete for e-mail addresses, volatile users and their children. Verification tokens are created once, and
//! any thread may take them. When all have stopped, the store must contain what the threads remember.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::thread;
use std::time::Instant;

use authkv::models::NewUser;
use authkv::models::{AccountKey, AccountType, Change, NewAccount, NewSession, SessionPatch, User, UserPatch};
use authkv::{Error, UniqueKey};

use crate::stores::Store;
use authkv::conformance::authenticator;

cases! {
    every_thread_sees_its_own_writes_and_nothing_is_lost_or_left_over,
}

const THREADS: usize = 16;
const VOLATILE_USERS: usize = 6;
const EMAILS: usize = 8;
const KEYS: usize = 12;

fn every_thread_sees_its_own_writes_and_nothing_is_lost_or_left_over(on: &Store) {
    let deadline = Instant::now() + on.soak_for;
    let tokens = Mutex::new(Vec::new());
    let start = |number| Actor::new(on, number, &tokens);
    let mut actors: Vec<_> = (0..THREADS).map(start).collect();
    thread::scope(|scope| {
        for actor in &mut actors {
            scope.spawn(|| {
                while Instant::now() < deadline {
                    actor.act();
                }
            });
        }
    });
    let report = on.sound_report();
    let volatile = VolatileCounts::of(on);
    let sum = |count: fn(&Actor<'_>) -> i64| actors.iter().map(count).sum::<i64>();
    assert!(sum(|actor| actor.steps) > 500, "hardly anything was done");
    assert_eq!(sum(|actor| actor.users), volatile.users);
    assert_eq!(report.users as i64, THREADS as i64 + volatile.users);
    assert_eq!(report.sessions as i64, sum(|actor| actor.sessions.len() as i64) + volatile.sessions);
    assert_eq!(report.accounts as i64, volatile.accounts);
    assert_eq!(report.authenticators as i64, volatile.authenticators);
    assert_eq!(report.verification_tokens as i64, sum(|actor| actor.tokens));
    assert_eq!(report.waiting_to_be_swept, 0);
    for actor in &actors {
        actor.must_see_all_that_is_its_own();
    }
}

/// What is found of the volatile users, by every key that they may have.
struct VolatileCounts {
    users: i64,
    sessions: i64,
    accounts: i64,
    authenticators: i64,
}

impl VolatileCounts {
    fn of(on: &Store) -> Self {
        let count = |of, is_there: &dyn Fn(String) -> bool| (0..of).filter(|n| is_there(n.to_string())).count() as i64;
        Self {
            users: count(VOLATILE_USERS, &|n| on.find_user(&format!("volatile-{n}").as_str().into()).is_some()),
            sessions: count(KEYS, &|n| on.find_session(&n).is_some()),
            accounts: count(KEYS, &|n| on.find_account("github", &n).is_some()),
            authenticators: count(KEYS, &|n| on.find_authenticator(&n).is_some()),
        }
    }
}

/// One thread and its memory.
struct Actor<'a> {
    on: &'a Store,
    number: usize,
    random: fastrand::Rng,
    steps: i64,
    steady: User,
    /// The existing sessions of the steady user, by token.
    sessions: BTreeMap<String, authkv::models::Session>,
    /// Volatile users created minus deleted.
    users: i64,
    /// Verification tokens created minus taken.
    tokens: i64,
    all_tokens: &'a Mutex<Vec<String>>,
}

impl<'a> Actor<'a> {
    fn new(on: &'a Store, number: usize, all_tokens: &'a Mutex<Vec<String>>) -> Self {
        let steady = on.user_with_id(&format!("steady-{number}"));
        let random = fastrand::Rng::with_seed(number as u64);
        Self { on, number, random, steps: 0, steady, sessions: BTreeMap::new(), users: 0, tokens: 0, all_tokens }
    }

    /// A random number below the bound, the same in every run.
    fn below(&mut self, bound: usize) -> usize {
        self.random.usize(..bound)
    }

    fn act(&mut self) {
        self.steps += 1;
        match self.below(14) {
            0 => self.rename_steady_user(),
            1 | 2 => self.fight_for_an_email(),
            3 | 4 => self.change_own_sessions(),
            5 => self.must_see_all_that_is_its_own(),
            6 => self.create_volatile_user(),
            7 => self.delete_volatile_user(),
            8 | 9 => self.add_to_volatile_user(),
            10 => self.remove_from_volatile_user(),
            11 => self.create_token(),
            12 => self.take_any_token(),
            _ => self.look_at_volatile_sessions(),
        }
    }

    fn rename_steady_user(&mut self) {
        let name = format!("name {}", self.steps);
        let patch = UserPatch { name: Change::to(name.as_str()), ..UserPatch::new(self.steady.id.clone()) };
        self.steady.name = Some(name);
        assert_eq!(self.on.auth.update_user(patch).wait().unwrap(), self.steady);
        assert_eq!(self.on.find_user(&self.steady.id).as_ref(), Some(&self.steady));
    }

    fn fight_for_an_email(&mut self) {
        let email = match self.below(EMAILS + 1) {
            EMAILS => None,
            n => Some(format!("{n}@example.com")),
        };
        let change = email.clone().map_or(Change::Clear, Change::Set);
        match self.on.auth.update_user(UserPatch { email: change, ..UserPatch::new(self.steady.id.clone()) }).wait() {
            Ok(_) => self.steady.email = email,
            Err(Error::Conflict(UniqueKey::Email)) => assert_ne!(self.steady.email, email, "taken by itself"),
            Err(error) => panic!("{error}"),
        }
        if let Some(email) = &self.steady.email {
            assert_eq!(self.on.find_by_email(email).as_ref(), Some(&self.steady));
        }
    }

    fn change_own_sessions(&mut self) {
        let n = self.below(4);
        let token = format!("steady-{}-{n}", self.number);
        let auth = &self.on.auth;
        if self.steps % 3 == 0 {
            assert_eq!(auth.delete_session(&token).wait().unwrap(), self.sessions.remove(&token));
        } else if let Some(session) = self.sessions.get_mut(&token) {
            session.expires += chrono::TimeDelta::milliseconds(1);
            let patch = SessionPatch { expires: Some(session.expires), ..SessionPatch::new(token.as_str()) };
            assert_eq!(auth.update_session(patch).wait().unwrap().as_ref(), Some(&*session));
        } else {
            self.sessions.insert(token.clone(), self.on.session(&token, &self.steady.id));
        }
        let found = self.on.find_session(&token).map(|found| found.session);
        assert_eq!(found.as_ref(), self.sessions.get(&token));
    }

    fn must_see_all_that_is_its_own(&self) {
        assert_eq!(self.on.find_user(&self.steady.id).as_ref(), Some(&self.steady));
        for (token, session) in &self.sessions {
            let found = self.on.find_session(token).expect("nobody else removes it");
            assert_eq!((&found.session, &found.user), (session, &self.steady));
        }
    }

    fn create_volatile_user(&mut self) {
        let id = format!("volatile-{}", self.below(VOLATILE_USERS));
        let email = (self.below(2) == 0).then(|| format!("{}@example.com", self.below(EMAILS)));
        match self.on.auth.create_user(NewUser { id: Some(id.into()), email, ..NewUser::default() }).wait() {
            Ok(_) => self.users += 1,
            Err(Error::Conflict(UniqueKey::UserId | UniqueKey::Email)) => {}
            Err(error) => panic!("{error}"),
        }
    }

    fn delete_volatile_user(&mut self) {
        let id = format!("volatile-{}", self.below(VOLATILE_USERS)).as_str().into();
        if self.on.auth.delete_user(&id).wait().unwrap().is_some() {
            self.users -= 1;
        }
    }

    fn add_to_volatile_user(&mut self) {
        let user = format!("volatile-{}", self.below(VOLATILE_USERS));
        let (key, kind, auth) = (self.below(KEYS).to_string(), self.below(3), &self.on.auth);
        let added = match kind {
            0 => auth.create_session(NewSession::new(key, user, self.on.tomorrow())).wait().map(drop),
            1 => auth.link_account(NewAccount::new(user, AccountType::Oauth, "github", key)).wait().map(drop),
            _ => auth.create_authenticator(authenticator(&key, &user.as_str().into(), "passkey")).wait().map(drop),
        };
        assert!(matches!(added, Ok(()) | Err(Error::Conflict(_) | Error::UnknownUser)), "{added:?}");
    }

    fn remove_from_volatile_user(&mut self) {
        let key = self.below(KEYS).to_string();
        if self.steps % 2 == 0 {
            self.on.auth.delete_session(&key).wait().unwrap();
        } else {
            self.on.auth.unlink_account(&AccountKey::new("github", key)).wait().unwrap();
        }
    }

    fn create_token(&mut self) {
        let token = format!("{}-{}", self.number, self.steps);
        self.on.token("everybody", &token);
        self.tokens += 1;
        self.all_tokens.lock().unwrap().push(token);
    }

    /// Two threads sometimes want the same token, because it leaves the list only after it was taken.
    fn take_any_token(&mut self) {
        let tokens = self.all_tokens.lock().unwrap().clone();
        let Some(token) = tokens.last() else {
            return;
        };
        if let Some(taken) = self.on.take("everybody", token) {
            assert_eq!(taken.token.reveal(), token);
            self.tokens -= 1;
            self.all_tokens.lock().unwrap().retain(|other| other != token);
        }
    }

    fn look_at_volatile_sessions(&mut self) {
        let key = self.below(KEYS).to_string();
        if let Some(found) = self.on.find_session(&key) {
            assert_eq!(found.session.user_id, found.user.id);
            assert!(found.user.id.as_str().starts_with("volatile-"));
        }
        if let Some(user) = self.on.auth.get_user_by_account(&AccountKey::new("github", key)).wait().unwrap() {
            assert!(user.id.as_str().starts_with("volatile-"));
        }
    }
}
