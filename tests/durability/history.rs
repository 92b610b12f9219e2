//! Operations on a store, and a naive model of what must then be in it.
//!
//! Everything has a number, from which the texts of keys and records are made. So a state is a few small maps, and
//! reading it back from a store compares every record and every lookup.

use std::collections::BTreeMap;
use std::ops::Range;
use std::pin::Pin;

use authkv::models::NewUser;
use authkv::models::{
    AccountKey, AccountType, Authenticator, Change, NewAccount, NewSession, SessionPatch, UserPatch, VerificationToken,
};
use authkv::{AuthKv, CheckReport, Error, Options, Reply, Result};
use chrono::{DateTime, TimeDelta, Utc};
use fastrand::Rng;

type Number = u16;
/// An expiry, in hours from `now`.
type Hours = i16;

const USERS: Range<Number> = 0..7;
const EMAILS: Range<Number> = 0..8;
const SESSIONS: Range<Number> = 0..10;
const ACCOUNTS: Range<Number> = 0..7;
const TOKENS: Range<Number> = 0..7;
const AUTHENTICATORS: Range<Number> = 0..6;
/// A user with more sessions than one step removes.
const CROWDED: Number = 7;
const CROWD: Range<Number> = 100..400;
/// More steps than removing the crowd takes.
const SWEEP_STEPS_MAX: usize = 20;

/// A call that writes.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    CreateUser { user: Number, email: Number, name: Number },
    ChangeUser { user: Number, email: Option<Number>, name: Number },
    DeleteUser { user: Number },
    LinkAccount { account: Number, user: Number },
    UnlinkAccount { account: Number },
    CreateSession { session: Number, user: Number, expires: Hours },
    ExtendSession { session: Number, expires: Hours },
    DeleteSession { session: Number },
    CreateToken { token: Number, expires: Hours },
    TakeToken { token: Number },
    CreateAuthenticator { authenticator: Number, user: Number },
    Count { authenticator: Number, counter: Number },
    Purge,
}

/// The answer to an operation: whether it was accepted and found what it needs.
pub(crate) type Answer = Pin<Box<dyn Future<Output = Result<bool>> + Send>>;

/// The contents of a store.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct State {
    users: BTreeMap<Number, User>,
    /// The user of each account.
    accounts: BTreeMap<Number, Number>,
    sessions: BTreeMap<Number, Session>,
    /// When each token expires.
    tokens: BTreeMap<Number, Hours>,
    authenticators: BTreeMap<Number, Counter>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct User {
    email: Option<Number>,
    name: Number,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Session {
    user: Number,
    expires: Hours,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Counter {
    user: Number,
    counter: Number,
}

/// How many records of each kind exist.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Counts([u64; 5]);

/// The texts of one history's keys, so that several histories can share a store.
#[derive(Clone, Debug)]
pub(crate) struct Keys(pub(crate) String);

pub(crate) fn options() -> Options {
    AuthKv::options().clock(now)
}

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp_nanos(1_900_000_000_000_000_000)
}

fn instant(hours: Hours) -> DateTime<Utc> {
    now() + TimeDelta::hours(hours.into())
}

impl Op {
    pub(crate) fn random(random: &mut Rng) -> Self {
        let (user, session) = (random.u16(USERS), random.u16(SESSIONS));
        let (token, authenticator) = (random.u16(TOKENS), random.u16(AUTHENTICATORS));
        let (account, email, name) = (random.u16(ACCOUNTS), random.u16(EMAILS), random.u16(..));
        let expires = random.i16(-1..6) * 2 + 1;
        match random.u8(..27) {
            0..=4 => Self::CreateUser { user, email, name },
            5 | 6 => Self::ChangeUser { user, email: random.bool().then_some(email), name },
            7 => Self::DeleteUser { user },
            8..=10 => Self::LinkAccount { account, user },
            11 => Self::UnlinkAccount { account },
            12..=15 => Self::CreateSession { session, user, expires },
            16 | 17 => Self::ExtendSession { session, expires },
            18 => Self::DeleteSession { session },
            19 | 20 => Self::CreateToken { token, expires },
            21 => Self::TakeToken { token },
            22 | 23 => Self::CreateAuthenticator { authenticator, user },
            24 | 25 => Self::Count { authenticator, counter: random.u16(..) },
            _ => Self::Purge,
        }
    }

    /// A user and more sessions than one step removes.
    pub(crate) fn crowd() -> Vec<Self> {
        let user = Self::CreateUser { user: CROWDED, email: EMAILS.end, name: 1 };
        let sessions = CROWD.map(|session| Self::CreateSession { session, user: CROWDED, expires: 1 });
        [user].into_iter().chain(sessions).collect()
    }

    pub(crate) fn disperse() -> Self {
        Self::DeleteUser { user: CROWDED }
    }

    pub(crate) fn is_about_expiry(&self) -> bool {
        match self {
            Self::CreateSession { expires, .. }
            | Self::ExtendSession { expires, .. }
            | Self::CreateToken { expires, .. } => *expires < 0,
            _ => matches!(self, Self::Purge),
        }
    }

    pub(crate) fn call(&self, kv: &AuthKv, keys: &Keys) -> Answer {
        match *self {
            Self::CreateUser { user, email, name } => accepted(kv.create_user(NewUser {
                id: Some(keys.text("user", user).into()),
                name: Some(text(name)),
                ..NewUser::email(keys.text("email", email))
            })),
            Self::ChangeUser { user, email, name } => accepted(kv.update_user(UserPatch {
                email: email.map_or(Change::Clear, |email| Change::Set(keys.text("email", email))),
                name: Change::Set(text(name)),
                ..UserPatch::new(keys.text("user", user))
            })),
            Self::DeleteUser { user } => found(kv.delete_user(keys.text("user", user))),
            Self::LinkAccount { account, user } => accepted(kv.link_account(NewAccount::new(
                keys.text("user", user),
                account_type(account),
                "provider",
                keys.text("account", account),
            ))),
            Self::UnlinkAccount { account } => found(kv.unlink_account(keys.account(account))),
            Self::CreateSession { session, user, expires } => accepted(kv.create_session(NewSession::new(
                keys.text("session", session),
                keys.text("user", user),
                instant(expires),
            ))),
            Self::ExtendSession { session, expires } => found(kv.update_session(SessionPatch {
                expires: Some(instant(expires)),
                ..SessionPatch::new(keys.text("session", session))
            })),
            Self::DeleteSession { session } => found(kv.delete_session(&keys.text("session", session))),
            Self::CreateToken { token, expires } => accepted(kv.create_verification_token(VerificationToken::new(
                keys.text("identifier", token),
                keys.text("token", token),
                instant(expires),
            ))),
            Self::TakeToken { token } => found(keys.take(kv, token)),
            Self::CreateAuthenticator { authenticator, user } => {
                accepted(kv.create_authenticator(keys.authenticator(authenticator, Counter { user, counter: 0 })))
            }
            Self::Count { authenticator, counter } => {
                accepted(kv.update_authenticator_counter(keys.text("authenticator", authenticator), counter.into()))
            }
            Self::Purge => answer(kv.purge_expired(), |purged| purged.sessions + purged.verification_tokens > 0),
        }
    }
}

/// Refusals are answers too.
fn answer<T: Send + 'static>(reply: Reply<T>, is_found: fn(T) -> bool) -> Answer {
    Box::pin(async move {
        match reply.await {
            Ok(found) => Ok(is_found(found)),
            Err(Error::Conflict(_) | Error::UnknownUser | Error::UnknownCredential) => Ok(false),
            // A counter that would go back.
            Err(Error::InvalidArgument { field, .. }) if field == "counter" => Ok(false),
            Err(error) => Err(error),
        }
    })
}

fn accepted<T: Send + 'static>(reply: Reply<T>) -> Answer {
    answer(reply, |_| true)
}

pub(crate) fn found<T: Send + 'static>(reply: Reply<Option<T>>) -> Answer {
    answer(reply, |found| found.is_some())
}

impl State {
    /// Applies the operation. Returns the answer that a store must give.
    pub(crate) fn apply(&mut self, op: &Op) -> bool {
        match *op {
            Op::CreateUser { user, email, name } => {
                let is_free = !self.users.contains_key(&user) && self.holder(email).is_none();
                is_free && self.users.insert(user, User { email: Some(email), name }).is_none()
            }
            Op::ChangeUser { user, email, name } => {
                let is_free = email.and_then(|email| self.holder(email)).is_none_or(|holder| holder == user);
                is_free && self.users.get_mut(&user).map(|user| *user = User { email, name }).is_some()
            }
            Op::DeleteUser { user } => {
                self.accounts.retain(|_, of| *of != user);
                self.sessions.retain(|_, session| session.user != user);
                self.authenticators.retain(|_, counter| counter.user != user);
                self.users.remove(&user).is_some()
            }
            Op::LinkAccount { account, user } => {
                let is_free = !self.accounts.contains_key(&account);
                is_free && self.users.contains_key(&user) && self.accounts.insert(account, user).is_none()
            }
            Op::UnlinkAccount { account } => match self.accounts.remove(&account) {
                Some(user) if account_type(account) == AccountType::Webauthn => {
                    self.authenticators.retain(|number, counter| *number != account || counter.user != user);
                    true
                }
                unlinked => unlinked.is_some(),
            },
            Op::CreateSession { session, user, expires } => {
                let is_free = self.valid(session).is_none();
                if is_free && self.users.contains_key(&user) {
                    self.sessions.insert(session, Session { user, expires });
                    return true;
                }
                false
            }
            Op::ExtendSession { session, expires } => {
                self.valid(session).map(|session| session.expires = expires).is_some()
            }
            Op::DeleteSession { session } => self.sessions.remove(&session).is_some(),
            Op::CreateToken { token, expires } => {
                self.tokens.insert(token, expires);
                true
            }
            Op::TakeToken { token } => self.tokens.remove(&token).is_some(),
            Op::CreateAuthenticator { authenticator, user } => {
                let is_free = !self.authenticators.contains_key(&authenticator);
                let counter = Counter { user, counter: 0 };
                is_free
                    && self.users.contains_key(&user)
                    && self.authenticators.insert(authenticator, counter).is_none()
            }
            Op::Count { authenticator, counter } => {
                let found = self.authenticators.get_mut(&authenticator).filter(|found| counter >= found.counter);
                found.map(|found| found.counter = counter).is_some()
            }
            Op::Purge => {
                let before = self.sessions.len() + self.tokens.len();
                self.sessions.retain(|_, session| session.expires >= 0);
                self.tokens.retain(|_, expires| *expires >= 0);
                self.sessions.len() + self.tokens.len() < before
            }
        }
    }

    fn holder(&self, email: Number) -> Option<Number> {
        self.users.iter().find(|(_, user)| user.email == Some(email)).map(|(number, _)| *number)
    }

    fn valid(&mut self, session: Number) -> Option<&mut Session> {
        self.sessions.get_mut(&session).filter(|session| session.expires >= 0)
    }

    /// The part of the state that the methods show.
    pub(crate) fn visible(&self) -> Self {
        let mut visible = self.clone();
        visible.sessions.retain(|_, session| session.expires >= 0);
        visible
    }

    pub(crate) fn counts(&self) -> Counts {
        let counts = [
            &self.users.len(),
            &self.accounts.len(),
            &self.sessions.len(),
            &self.tokens.len(),
            &self.authenticators.len(),
        ];
        Counts(counts.map(|count| *count as u64))
    }

    /// Reads a whole history's state back with every method that finds something. This removes the verification tokens,
    /// because they are found by taking them.
    pub(crate) fn read(kv: &AuthKv, keys: &Keys) -> Result<Self> {
        let mut state = Self::default();
        for number in USERS.chain([CROWDED]) {
            let Some(user) = kv.get_user(keys.text("user", number)).wait()? else { continue };
            let name = user.name.as_deref().and_then(|name| name.split(' ').next()?.parse().ok()).unwrap();
            assert_eq!(user.name, Some(text(name)));
            let email = user.email.as_deref().map(|email| keys.number("email", email));
            state.users.insert(number, User { email, name });
        }
        for number in EMAILS.chain([EMAILS.end]) {
            let holder = kv.get_user_by_email(&keys.text("email", number)).wait()?;
            assert_eq!(holder.map(|user| keys.number("user", user.id.as_str())), state.holder(number));
        }
        for number in ACCOUNTS {
            let key = keys.account(number);
            let account = kv.get_account(&key).wait()?;
            let user = account.map(|account| keys.number("user", account.user_id.as_str()));
            let found = kv.get_user_by_account(&key).wait()?;
            assert_eq!(found.map(|user| keys.number("user", user.id.as_str())), user);
            state.accounts.extend(user.map(|user| (number, user)));
        }
        for number in SESSIONS.chain(CROWD.filter(|_| state.users.contains_key(&CROWDED))) {
            let Some(found) = kv.get_session_and_user(&keys.text("session", number)).wait()? else { continue };
            assert_eq!(found.session.user_id, found.user.id);
            let user = keys.number("user", found.user.id.as_str());
            state.sessions.insert(number, Session { user, expires: hours(found.session.expires) });
        }
        for number in AUTHENTICATORS {
            let id = authkv::models::CredentialId::from(keys.text("authenticator", number));
            let Some(found) = kv.get_authenticator(&id).wait()? else { continue };
            let user = keys.number("user", found.user_id.as_str());
            let counter = Counter { user, counter: found.counter.try_into().unwrap() };
            assert_eq!(found, keys.authenticator(number, counter));
            state.authenticators.insert(number, counter);
        }
        for number in USERS {
            let list = kv.list_authenticators_by_user_id(keys.text("user", number)).wait()?;
            let listed: Vec<_> =
                list.iter().map(|one| keys.number("authenticator", one.credential_id.as_str())).collect();
            let of_user = state.authenticators.iter().filter(|(_, counter)| counter.user == number);
            assert_eq!(listed, of_user.map(|(number, _)| *number).collect::<Vec<_>>());
        }
        let taken: Vec<_> = TOKENS.map(|number| (number, keys.take(kv, number))).collect();
        for (number, reply) in taken {
            state.tokens.extend(reply.wait()?.map(|token| (number, hours(token.expires))));
        }
        Ok(state)
    }

    /// The state without the tokens that `read` has taken.
    pub(crate) fn without_tokens(mut self) -> Self {
        self.tokens.clear();
        self
    }
}

impl Counts {
    /// The counts of a sound store after what deleted users left has been swept.
    pub(crate) fn read(kv: &AuthKv) -> Result<Self> {
        for _ in 0..SWEEP_STEPS_MAX {
            let report = kv.check().wait()?;
            assert!(report.is_sound(), "{:?}", report.problems);
            if report.waiting_to_be_swept == 0 {
                return Ok(Self::of(&report));
            }
            // This is answered after the current step of the sweep.
            kv.delete_session("nobody's").wait()?;
        }
        panic!("what deleted users left behind is not removed")
    }

    pub(crate) fn sum(all: impl Iterator<Item = Self>) -> Self {
        all.fold(Self::default(), |sum, counts| Self(std::array::from_fn(|kind| sum.0[kind] + counts.0[kind])))
    }

    fn of(report: &CheckReport) -> Self {
        Self([report.users, report.accounts, report.sessions, report.verification_tokens, report.authenticators])
    }
}

impl Keys {
    fn text(&self, kind: &str, number: Number) -> String {
        format!("{kind}-{number}@{}", self.0)
    }

    fn number(&self, kind: &str, text: &str) -> Number {
        let number = text.strip_prefix(kind).and_then(|rest| rest.strip_prefix('-')?.split('@').next()?.parse().ok());
        let number = number.expect("the text is one of ours");
        assert_eq!(text, self.text(kind, number));
        number
    }

    fn account(&self, number: Number) -> AccountKey {
        AccountKey::new("provider", self.text("account", number))
    }

    fn authenticator(&self, number: Number, counter: Counter) -> Authenticator {
        Authenticator {
            credential_id: self.text("authenticator", number).into(),
            user_id: self.text("user", counter.user).into(),
            provider_account_id: self.text("account", number).into(),
            credential_public_key: "a public key".to_owned(),
            counter: counter.counter.into(),
            credential_device_type: "multiDevice".to_owned(),
            credential_backed_up: true,
            transports: None,
        }
    }

    fn take(&self, kv: &AuthKv, token: Number) -> Reply<Option<VerificationToken>> {
        kv.use_verification_token(Some(&self.text("identifier", token)), &self.text("token", token))
    }
}

/// A text that starts with a number and is sometimes longer than a page.
fn text(number: Number) -> String {
    let repeated = if number.is_multiple_of(8) { usize::from(number % 1_000) } else { 1 };
    format!("{number} ").repeat(repeated.max(1))
}

fn account_type(account: Number) -> AccountType {
    if account.is_multiple_of(2) { AccountType::Webauthn } else { AccountType::Oauth }
}

fn hours(instant: DateTime<Utc>) -> Hours {
    (instant - now()).num_hours().try_into().unwrap()
}
