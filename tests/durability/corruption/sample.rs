//! A store with some of everything, and every question that can be asked of it.

use std::path::Path;

use authkv::models::{
    AccountKey, AccountType, Authenticator, Index, Models, NewAccount, NewSession, NewUser, VerificationToken, Visitor,
    WebSession, WebSessionData,
};
use authkv::redb::Database;
use authkv::{AuthKv, Options, Result, WebSessions};
use chrono::{DateTime, Days, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// Own fields with an index on users and accounts, so that those tables are damaged too.
pub(crate) struct Numbered;

impl Models for Numbered {
    const NAME: &'static str = "numbered";
    const VERSION: u32 = 1;
    type User = Own;
    type Account = Own;
    type Session = ();
    type VerificationToken = ();
    const USER_INDEXES: &'static [Index] = &[Index::unique("number")];
    const ACCOUNT_INDEXES: &'static [Index] = &[Index::unique("number")];
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Own {
    number: u64,
}

fn own(number: usize) -> Own {
    Own { number: number as u64 }
}

pub(crate) type Store = AuthKv<Numbered>;
type User = authkv::models::User<Own>;
type Account = authkv::models::Account<Own>;
type SessionAndUser = authkv::models::SessionAndUser<Own>;

/// Enough users for every tree to have branches.
pub(crate) const USERS: usize = 240;
/// One more user, who is deleted.
pub(crate) const DOOMED: usize = USERS;
/// More than one step removes with their user.
const SESSIONS_OF_THE_DOOMED: usize = 300;
/// No record has this number or a higher one.
pub(crate) const NOBODY: usize = 100_000;
/// The offset from a number to that of a second key.
const SECOND: usize = 10_000;

pub(crate) fn now() -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + Days::new(20_000)
}

/// The expiry of sessions.
pub(crate) fn late() -> DateTime<Utc> {
    now() + Days::new(30)
}

pub(crate) fn options() -> Options<Numbered> {
    AuthKv::options().models().clock(now)
}

/// Half of the ids are UUIDs.
pub(crate) fn user_id(number: usize) -> String {
    if number.is_multiple_of(2) { format!("0193e7a4-5d1c-7c3a-9f00-{number:012}") } else { format!("user-{number}") }
}

pub(crate) fn email(number: usize) -> String {
    format!("{number}@example.com")
}

pub(crate) fn account(number: usize) -> AccountKey {
    AccountKey::new("github", number.to_string())
}

pub(crate) fn authenticator(number: usize, of: usize) -> Authenticator {
    Authenticator {
        credential_id: format!("credential-{number}").into(),
        user_id: user_id(of).into(),
        provider_account_id: number.to_string().into(),
        credential_public_key: "key".repeat(20),
        counter: number as u32,
        credential_device_type: "singleDevice".to_owned(),
        credential_backed_up: false,
        transports: None,
    }
}

/// One token in ten has expired.
pub(crate) fn token(number: usize) -> VerificationToken {
    let expires = if number.is_multiple_of(10) { now() - Days::new(1) } else { now() + Days::new(1) };
    VerificationToken::new(email(number), format!("token-{number}"), expires)
}

pub(crate) fn name(number: usize) -> String {
    format!("The person with the number {number}")
}

pub(crate) fn session(number: usize) -> String {
    format!("session-{number}")
}

pub(crate) fn web_sessions(store: &Store) -> WebSessions<Numbered> {
    WebSessions::new(store.clone())
}

pub(crate) fn web_token(number: usize) -> String {
    format!("web-session-{number}")
}

pub(crate) fn web_data(number: usize) -> WebSessionData {
    [("axum-login.data".to_owned(), json!({ "user_id": user_id(number) }))].into()
}

pub(crate) fn user(number: usize) -> NewUser<Own> {
    let (id, name) = (Some(user_id(number).into()), Some(name(number)));
    NewUser { id, name, extra: own(number), ..NewUser::email(email(number)) }
}

pub(crate) fn linked(number: usize) -> NewAccount<Own> {
    let AccountKey { provider, provider_account_id, .. } = account(number);
    let account = NewAccount::new(user_id(number), AccountType::Oauth, provider, provider_account_id);
    NewAccount { extra: own(number), ..account }
}

/// Creates the store and closes it. The file has no pages left over from earlier states: if one of those takes the
/// place of a branch in use, redb can write to pages twice in one commit. Its own panics then end the process, and only
/// verification helps.
pub(crate) fn make(path: &Path) -> Result<()> {
    let store = options().open(path)?;
    for number in 0..=DOOMED {
        add_user(&store, number)?;
    }
    for number in DOOMED + 1..DOOMED + SESSIONS_OF_THE_DOOMED {
        store.create_session(NewSession::new(session(number), user_id(DOOMED), late())).wait()?;
    }
    store.create_session(NewSession::new("expired", user_id(1), now() - Days::new(1))).wait()?;
    store.close().wait()?;
    let mut database = Database::open(path).unwrap();
    while database.compact().unwrap() {}
    Ok(())
}

/// Adds a user with one record of each kind and two keys.
pub(crate) fn add_user(store: &Store, number: usize) -> Result<()> {
    let user = store.create_user(user(number));
    let account = store.link_account(linked(number));
    let session = store.create_session(NewSession::new(session(number), user_id(number), late()));
    let token = store.create_verification_token(token(number));
    let code = store.issue_code("test", &email(number), TimeDelta::hours(1), Visitor::default());
    let state = store.put_state("test", &number, TimeDelta::days(1));
    let web_session = web_sessions(store).create_session(web_token(number), &web_data(number), late());
    let keys = [0, SECOND].map(|second| store.create_authenticator(authenticator(number + second, number)));
    user.wait()?;
    account.wait()?;
    session.wait()?;
    token.wait()?;
    drop(code.wait()?);
    state.wait()?;
    web_session.wait()?;
    keys.into_iter().try_for_each(|key| key.wait().map(drop))
}

/// A lookup.
#[derive(Clone, Debug)]
pub(crate) enum Question {
    User(usize),
    UserByEmail(usize),
    UserByAccount(usize),
    UserByNumber(usize),
    AccountByNumber(usize),
    Account(usize),
    Session(usize),
    Authenticator(usize),
    Authenticators(usize),
    WebSession(usize),
    WebSessions(usize),
}

#[derive(Debug, PartialEq)]
pub(crate) enum Answer {
    User(Option<User>),
    Account(Option<Account>),
    Session(Option<SessionAndUser>),
    Authenticators(Vec<Authenticator>),
    WebSessions(Vec<WebSession>),
}

impl Question {
    /// The questions about users with these numbers; those from [`USERS`] on do not exist.
    pub(crate) fn about(users: std::ops::Range<usize>) -> Vec<Self> {
        let of_user = |number| {
            [
                Self::User(number),
                Self::UserByEmail(number),
                Self::UserByAccount(number),
                Self::UserByNumber(number),
                Self::AccountByNumber(number),
                Self::Account(number),
                Self::Session(number),
                Self::Authenticator(number),
                Self::Authenticators(number),
                Self::WebSession(number),
                Self::WebSessions(number),
            ]
        };
        users.flat_map(of_user).collect()
    }

    pub(crate) fn ask(&self, store: &Store) -> Result<Answer> {
        match *self {
            Self::User(number) => store.get_user(user_id(number)).wait().map(Answer::User),
            Self::UserByEmail(number) => store.get_user_by_email(&email(number)).wait().map(Answer::User),
            Self::UserByAccount(number) => store.get_user_by_account(account(number)).wait().map(Answer::User),
            Self::UserByNumber(number) => store.get_user_by("number", number as u64).wait().map(Answer::User),
            Self::AccountByNumber(number) => store.get_account_by("number", number as u64).wait().map(Answer::Account),
            Self::Account(number) => store.get_account(account(number)).wait().map(Answer::Account),
            Self::Session(number) => store.get_session_and_user(&session(number)).wait().map(Answer::Session),
            Self::Authenticator(number) => {
                let found = store.get_authenticator(format!("credential-{number}")).wait();
                found.map(|found| Answer::Authenticators(found.into_iter().collect()))
            }
            Self::Authenticators(number) => {
                store.list_authenticators_by_user_id(user_id(number)).wait().map(Answer::Authenticators)
            }
            Self::WebSession(number) => {
                let found = web_sessions(store).find_session(&web_token(number)).wait();
                found.map(|found| Answer::WebSessions(found.into_iter().collect()))
            }
            Self::WebSessions(number) => web_sessions(store)
                .list_sessions(user_id(number), None, 1_000)
                .wait()
                .map(|page| Answer::WebSessions(page.items)),
        }
    }
}

impl Answer {
    /// True if this answer says less than the other one and nothing different.
    pub(crate) fn lacks_some_of(&self, whole: &Self) -> bool {
        match (self, whole) {
            (Self::Authenticators(some), Self::Authenticators(all)) => {
                some.len() < all.len() && all.iter().filter(|one| some.contains(one)).eq(some)
            }
            (Self::WebSessions(some), Self::WebSessions(all)) => some.is_empty() && !all.is_empty(),
            (Self::User(None), Self::User(Some(_)))
            | (Self::Account(None), Self::Account(Some(_)))
            | (Self::Session(None), Self::Session(Some(_))) => true,
            _ => false,
        }
    }

    pub(crate) fn is_nothing(&self) -> bool {
        match self {
            Self::User(found) => found.is_none(),
            Self::Account(found) => found.is_none(),
            Self::Session(found) => found.is_none(),
            Self::Authenticators(found) => found.is_empty(),
            Self::WebSessions(found) => found.is_empty(),
        }
    }
}
