//! Methods of `AuthKv` beyond the adapter's, against a naive model. Goal: whatever the order of sign-ins, patches,
//! unlinkings, codes and states, the store answers as vectors and linear scans do, whether expired records are purged
//! or not. Method: random operations with few accounts, addresses and identifiers run on the store and on the model;
//! each answer is compared, and then all accounts and sessions.
//!
//! `AUTHKV_TEST_SCALE=10` runs ten times as many.
use std::cell::RefCell;
use std::collections::BTreeMap;

use authkv::conformance::{Clock, authenticator};
use authkv::models::{
    AccountKey, AccountPatch, AccountType, Change, Cursor, EmailInUse, MustLeave, NewUser, Page, Proof,
    ProviderAccount, SignIn, UserId, UserPatch, Visitor,
};
use authkv::{AuthKv, Error, Reply, UniqueKey};
use chrono::{DateTime, TimeDelta, Utc};
use one_time::{Budget, Request, State, Used};
use proptest::array::uniform4;
use proptest::collection::vec;
use proptest::num::u8;

mod one_time;

use crate::for_random;

const SEQUENCES: u32 = 600;
const OPERATIONS_MAX: usize = 100;
const ACCOUNTS: usize = 5;
const EMAILS: [&str; 4] = ["ada@example.com", "ADA@example.com", "bob@example.com", "eve@example.com"];
const VALID_FOR: TimeDelta = TimeDelta::minutes(10);
const GUESSES_MAX: u32 = 6;

#[derive(Clone, Debug, PartialEq)]
struct User {
    id: String,
    email: Option<&'static str>,
    is_verified: bool,
    passkeys: usize,
}

#[derive(Clone, Debug, PartialEq)]
struct Account {
    number: usize,
    user: String,
    access_token: Option<String>,
    refresh_token: Option<String>,
    expires_at: Option<i64>,
}

/// How often each thing happened.
type Tally = BTreeMap<&'static str, u64>;

struct Run<'t> {
    auth: AuthKv,
    clock: Clock,
    users: Vec<User>,
    accounts: Vec<Account>,
    /// The token, user id and expiry of each session.
    sessions: Vec<(String, String, DateTime<Utc>)>,
    requests: Vec<Request>,
    /// The handles of requests that browsers keep.
    cookies: [Option<String>; 3],
    budgets: BTreeMap<String, Budget>,
    states: Vec<State>,
    used: Vec<Used>,
    passkeys: usize,
    tally: &'t RefCell<Tally>,
}

fn key(number: usize) -> AccountKey {
    AccountKey::new(["a", "a:b"][number % 2], ["b:c", "c"][number / 2 % 2].repeat(1 + number / 4))
}

fn account_type(number: usize) -> AccountType {
    if number == 0 { AccountType::Webauthn } else { AccountType::Oauth }
}

/// A text for some bytes, `None` for others.
fn text(byte: u8) -> Option<String> {
    (!byte.is_multiple_of(3)).then(|| byte.to_string())
}

fn provider_account(number: usize, byte: u8) -> ProviderAccount {
    let AccountKey { provider, provider_account_id } = key(number);
    ProviderAccount {
        access_token: text(byte).map(Into::into),
        refresh_token: text(byte / 3).map(Into::into),
        expires_at: text(byte / 9).map(|_| byte.into()),
        ..ProviderAccount::new(account_type(number), provider, provider_account_id)
    }
}

impl Run<'_> {
    fn note(&self, what: &'static str) {
        *self.tally.borrow_mut().entry(what).or_default() += 1;
    }

    fn step(&mut self, [kind, a, b, c]: [u8; 4]) {
        let number = usize::from(a) % ACCOUNTS;
        let user = self.users.get(usize::from(b) % self.users.len().max(1)).cloned();
        let identifier = EMAILS[usize::from(a) % EMAILS.len()];
        match (kind % 33, user) {
            (0..=4, _) => self.sign_in(number, b, c),
            (5, Some(user)) => self.link(number, &user, c),
            (6..=7, _) => self.patch(number, b, c),
            (8..=9, Some(user)) => self.unlink(number, &user, c),
            (10, Some(user)) => self.change_user(&user, a, c),
            (11, Some(user)) => self.add_passkey(&user),
            (12, Some(user)) if c < 128 => self.delete_user(&user),
            (13..=14, _) => self.issue_code(identifier, b, c),
            (15..=18, _) => self.guess(a, b, c),
            (19, _) => self.put_state(a, b),
            (20..=21, _) => self.take_state(usize::from(a), b),
            (22, _) => self.sign_in_with_email(identifier),
            (23, _) => self.purge(),
            (24..=27, _) => self.issue_code(EMAILS[usize::from(a) % 2], 0, c),
            (28..=29, _) => self.guess(0, b, c),
            (30..=31, _) => self.use_once(usize::from(a), b),
            _ => {
                let steps = [TimeDelta::seconds(1), VALID_FOR / 2, VALID_FOR, TimeDelta::days(2), TimeDelta::days(31)];
                self.clock.set(self.clock.now() + steps[usize::from(a) % steps.len()]);
            }
        }
    }

    fn sign_in(&mut self, number: usize, b: u8, c: u8) {
        let (given, is_verified) = (EMAILS.into_iter().chain([""]).nth(usize::from(b) % 6), b >= 128);
        // An empty address is none.
        let email = given.filter(|email| !email.is_empty());
        let user = NewUser {
            email: given.map(Into::into),
            email_verified: is_verified.then(|| self.clock.now()),
            ..NewUser::default()
        };
        let account = provider_account(number, c);
        let outcome = self.auth.sign_in_with_account(account.clone(), user).wait().unwrap();
        let known = self.accounts.iter_mut().find(|account| account.number == number);
        let has_address =
            |user: &&User| user.email.zip(email).is_some_and(|(one, other)| one.eq_ignore_ascii_case(other));
        let holder = self.users.iter().find(has_address);
        match (outcome, known, holder) {
            (SignIn::Done(done), Some(known), _) => {
                assert!(!done.is_new_user && done.user.id.as_str() == known.user);
                known.access_token = text(c).or(known.access_token.take());
                known.refresh_token = text(c / 3).or(known.refresh_token.take());
                if account.access_token.is_some() || account.expires_at.is_some() {
                    known.expires_at = account.expires_at;
                }
                self.sessions.push((
                    done.session.session_token.reveal().into(),
                    known.user.clone(),
                    done.session.expires,
                ));
                self.note("signed in");
            }
            (SignIn::EmailInUse(held), None, Some(holder)) => {
                let email_verified = holder.is_verified;
                assert_eq!(held, EmailInUse { user_id: holder.id.as_str().into(), email_verified });
                self.note("address in use");
            }
            (SignIn::Done(done), None, None) => {
                assert!(done.is_new_user);
                let id = done.user.id.to_string();
                self.users.push(User {
                    id: id.clone(),
                    email,
                    is_verified: is_verified && email.is_some(),
                    passkeys: 0,
                });
                self.add_account(number, &id, c);
                self.sessions.push((done.session.session_token.reveal().into(), id, done.session.expires));
                self.note("signed up");
            }
            (outcome, known, holder) => panic!("{outcome:?} with {known:?} and {holder:?}"),
        }
    }

    fn sign_in_with_email(&mut self, email: &'static str) {
        let proof = Proof::Own { address: email };
        let signed_in = self.auth.sign_in_with_email(proof, NewUser::default(), Visitor::default()).wait().unwrap();
        let done = signed_in.done().unwrap();
        let id = done.user.id.to_string();
        self.sessions.push((done.session.session_token.reveal().into(), id.clone(), done.session.expires));
        let holder = self.users.iter().find(|user| user.email.unwrap_or("").eq_ignore_ascii_case(email));
        match holder {
            Some(holder) => {
                assert!(!done.is_new_user && holder.id == id && done.was_unverified != holder.is_verified);
                self.note(if holder.is_verified { "signed in with address" } else { "verified" });
                self.user(&id).is_verified = true;
            }
            None => {
                assert!(done.is_new_user && !done.was_unverified);
                self.users.push(User { id, email: Some(email), is_verified: true, passkeys: 0 });
                self.note("signed up with address");
            }
        }
    }

    fn add_account(&mut self, number: usize, user: &str, byte: u8) {
        let (access_token, refresh_token) = (text(byte), text(byte / 3));
        let expires_at = text(byte / 9).map(|_| byte.into());
        self.accounts.push(Account { number, user: user.to_owned(), access_token, refresh_token, expires_at });
    }

    fn link(&mut self, number: usize, user: &User, byte: u8) {
        let linked = self.auth.link_account(provider_account(number, byte).of_user(user.id.as_str())).wait();
        match self.accounts.iter().any(|account| account.number == number) {
            true => assert!(matches!(linked, Err(Error::Conflict(UniqueKey::ProviderAccount)))),
            false => {
                linked.unwrap();
                self.add_account(number, &user.id, byte);
                self.note("linked");
            }
        }
    }

    fn patch(&mut self, number: usize, b: u8, c: u8) {
        let change = |byte: u8| match byte % 3 {
            0 => Change::Keep,
            1 => Change::Clear,
            _ => Change::Set(byte.to_string()),
        };
        let (access, refresh) = (change(b), change(c));
        let token = |change: &Change<String>| match change {
            Change::Keep => Change::Keep,
            Change::Clear => Change::Clear,
            Change::Set(text) => Change::to(text.as_str()),
        };
        let patch = AccountPatch {
            access_token: token(&access),
            refresh_token: token(&refresh),
            expires_at: if b < 128 { Change::Keep } else { Change::Set(c.into()) },
            ..AccountPatch::new(key(number))
        };
        let patched = self.auth.update_account(patch).wait().unwrap();
        let known = self.accounts.iter_mut().find(|account| account.number == number);
        assert_eq!(patched.is_some(), known.is_some());
        if let Some(known) = known {
            for (change, field) in [(access, &mut known.access_token), (refresh, &mut known.refresh_token)] {
                match change {
                    Change::Keep => {}
                    Change::Clear => *field = None,
                    Change::Set(text) => *field = Some(text),
                }
            }
            if b >= 128 {
                known.expires_at = Some(c.into());
            }
            self.note("patched");
        }
    }

    fn unlink(&mut self, number: usize, user: &User, byte: u8) {
        let must_leave = [MustLeave::Account, MustLeave::AccountOrEmail, MustLeave::Nothing][usize::from(byte) % 3];
        let unlinked = self.auth.unlink_account_of(user.id.as_str(), key(number), must_leave).wait();
        let is_theirs = |account: &&Account| account.user == user.id;
        let is_it = |account: &Account| account.number == number && account.user == user.id;
        // A passkey of the account with the number 0 is removed with it.
        let accounts_left = self.accounts.iter().filter(is_theirs).filter(|account| !is_it(account)).count();
        let passkeys_left = if number == 0 { 0 } else { user.passkeys };
        let may = match must_leave {
            MustLeave::Account => accounts_left + passkeys_left > 0,
            MustLeave::AccountOrEmail => accounts_left + passkeys_left > 0 || user.is_verified,
            _ => true,
        };
        match (unlinked, self.accounts.iter().position(is_it), may) {
            (Ok(None), None, _) => self.note("not theirs"),
            (Ok(Some(_)), Some(place), true) => {
                self.accounts.remove(place);
                if number == 0 {
                    self.user(&user.id).passkeys = 0;
                }
                self.note("unlinked");
            }
            (Err(Error::LastWayToSignIn), Some(_), false) => self.note("the last way"),
            (unlinked, place, may) => panic!("{unlinked:?} with {place:?} {may}"),
        }
    }

    fn user(&mut self, id: &str) -> &mut User {
        self.users.iter_mut().find(|user| user.id == id).unwrap()
    }

    fn change_user(&mut self, user: &User, a: u8, c: u8) {
        let email = EMAILS.get(usize::from(a) % 5).copied();
        let stays = email.zip(user.email).is_some_and(|(new, old)| new.eq_ignore_ascii_case(old));
        // A proof of this instant is newer than the one that the user has.
        self.clock.set(self.clock.now() + TimeDelta::milliseconds(1));
        let (email_verified, is_verified) = match c % 3 {
            0 => (Change::Keep, stays && user.is_verified),
            1 => (Change::Clear, false),
            _ => (Change::Set(self.clock.now()), email.is_some()),
        };
        let email_change = email.map_or(Change::Clear, Change::to);
        let patch = UserPatch { email: email_change, email_verified, ..UserPatch::new(user.id.as_str()) };
        match self.auth.update_user(patch).wait() {
            Ok(_) => (self.user(&user.id).email, self.user(&user.id).is_verified) = (email, is_verified),
            Err(Error::Conflict(UniqueKey::Email)) => {
                let taken = |other: &User| {
                    other.id != user.id && other.email.unwrap_or("").eq_ignore_ascii_case(email.unwrap())
                };
                assert!(self.users.iter().any(taken));
            }
            Err(error) => panic!("{error}"),
        }
    }

    /// Adds a passkey to the account with the number 0, whether it is linked or not.
    fn add_passkey(&mut self, user: &User) {
        self.passkeys += 1;
        let account_id = key(0).provider_account_id;
        let passkey = authenticator(&self.passkeys.to_string(), &user.id.as_str().into(), account_id.as_str());
        self.auth.create_authenticator(passkey).wait().unwrap();
        self.user(&user.id).passkeys += 1;
    }

    fn delete_user(&mut self, user: &User) {
        assert!(self.auth.delete_user(user.id.as_str()).wait().unwrap().is_some());
        self.users.retain(|other| other.id != user.id);
        self.accounts.retain(|account| account.user != user.id);
    }

    fn compare(&self) {
        let report = self.auth.check().wait().unwrap();
        assert!(report.is_sound(), "{:?}", report.problems);
        assert_eq!((report.users, report.accounts), (self.users.len() as u64, self.accounts.len() as u64));
        for user in &self.users {
            let id: UserId = user.id.as_str().into();
            // Few at once, so that more accounts are linked, and more sessions have expired, than a page has.
            let limit = 1 + self.sessions.len() % 3;
            let listed = pages(limit, |after| self.auth.list_accounts(&id, after, limit));
            let listed: Vec<_> = listed.into_iter().map(|account| found(&account)).collect();
            let mut expected: Vec<_> = self.accounts.iter().filter(|account| account.user == user.id).collect();
            assert_eq!(listed.len(), expected.len());
            expected.retain(|account| !listed.contains(account));
            assert!(expected.is_empty(), "{expected:?} not in {listed:?}");
            let found = pages(limit, |after| self.auth.list_sessions(&id, after, limit));
            let of_user = self.sessions.iter().filter(|(_, owner, _)| *owner == user.id);
            let valid = of_user.filter(|(_, _, expires)| *expires >= self.clock.now());
            let expected: Vec<_> = valid.map(|(_, _, expires)| *expires).collect();
            assert_eq!(found.iter().map(|session| session.expires).collect::<Vec<_>>(), expected);
        }
        for (token, user, expires) in self.sessions.iter().rev().take(5) {
            let found = self.auth.get_session_and_user(token).wait().unwrap();
            let is_valid = *expires >= self.clock.now() && self.users.iter().any(|other| other.id == *user);
            assert_eq!(found.map(|found| found.user.id.to_string()), is_valid.then(|| user.clone()));
        }
    }
}

/// The items of all pages of a list.
fn pages<T: Send + 'static>(limit: usize, read: impl Fn(Option<&Cursor>) -> Reply<Page<T>>) -> Vec<T> {
    let (mut items, mut after) = (Vec::new(), None);
    loop {
        let page = read(after.as_ref()).wait().unwrap();
        assert!(page.items.len() == limit || page.next.is_none());
        items.extend(page.items);
        after = page.next;
        if after.is_none() {
            return items;
        }
    }
}

fn found(account: &authkv::models::Account) -> Account {
    let pair = AccountKey::new(account.provider.clone(), account.provider_account_id.clone());
    let text = |token: &Option<authkv::models::Token>| token.as_ref().map(|token| token.reveal().to_owned());
    Account {
        number: (0..ACCOUNTS).find(|number| key(*number) == pair).unwrap(),
        user: account.user_id.to_string(),
        access_token: text(&account.access_token),
        refresh_token: text(&account.refresh_token),
        expires_at: account.expires_at,
    }
}

#[test]
fn sign_ins_codes_and_states_are_answered_as_by_lists() {
    let tally = RefCell::default();
    let sequences = (proptest::bool::ANY, vec(uniform4(u8::ANY), 0..=OPERATIONS_MAX));
    for_random(&sequences, SEQUENCES, None, |(in_background, operations)| {
        let clock = Clock::new();
        let now = clock.clone();
        let options = AuthKv::options().purge_in_background(in_background).code_guesses(GUESSES_MAX);
        let mut run = Run {
            auth: options.clock(move || now.now()).in_memory().unwrap(),
            clock,
            users: Vec::new(),
            accounts: Vec::new(),
            sessions: Vec::new(),
            requests: Vec::new(),
            cookies: Default::default(),
            budgets: BTreeMap::new(),
            states: Vec::new(),
            used: Vec::new(),
            passkeys: 0,
            tally: &tally,
        };
        for operation in operations {
            run.step(operation);
            run.compare();
        }
    });
    let tally = tally.into_inner();
    eprintln!("{tally:#?}");
    assert_eq!(tally.len(), 23, "{tally:?}");
    assert!(tally.values().all(|count| *count > 40), "{tally:?}");
}
