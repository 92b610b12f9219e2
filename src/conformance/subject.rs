//! The subject that a case gets: an adapter and its clock, with short ways to fill the adapter and to expect refusals.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};

use crate::models::{
    Account, AccountKey, AccountType, Authenticator, NewAccount, NewSession, NewUser, ProviderAccountId, Session,
    SessionAndUser, User, UserId, VerificationToken,
};
use crate::{Adapter, Error, Problem, Result, UniqueKey};

/// An adapter under test, with the clock that it must use.
pub struct Subject {
    /// The adapter.
    pub auth: Arc<dyn Adapter>,
    /// The clock that decides what has expired.
    pub clock: Clock,
    contents: Contents,
}

type Contents = Box<dyn Fn() -> String + Send + Sync>;

/// A clock that stands still until it is set.
#[derive(Clone, Debug)]
pub struct Clock(Arc<AtomicI64>);

impl Clock {
    /// A clock that shows an instant in the year 2030.
    #[allow(clippy::new_without_default)] // no default is as good as another
    pub fn new() -> Self {
        Self(Arc::new(AtomicI64::new(1_900_000_000_000_000_000)))
    }

    /// Returns the time that the clock shows.
    pub fn now(&self) -> DateTime<Utc> {
        DateTime::from_timestamp_nanos(self.0.load(Ordering::SeqCst))
    }

    /// Sets this clock and all of its clones.
    ///
    /// # Panics
    /// When `now` is outside the years 1678 to 2261.
    pub fn set(&self, now: DateTime<Utc>) {
        self.0.store(now.timestamp_nanos_opt().expect("from 1678 to 2261"), Ordering::SeqCst);
    }
}

impl Subject {
    /// An adapter that is still empty and takes the time from this clock.
    pub fn new(auth: Arc<dyn Adapter>, clock: Clock) -> Self {
        Self { auth, clock, contents: Box::new(String::new) }
    }

    /// Adds a description of everything that is stored: any text that differs when the contents differ. It shows that a
    /// refused call wrote nothing. It is also called at the end of each case, and may panic if it finds the contents
    /// wrong.
    #[must_use]
    pub fn described_by(self, contents: impl Fn() -> String + Send + Sync + 'static) -> Self {
        Self { contents: Box::new(contents), ..self }
    }

    pub(super) fn contents(&self) -> String {
        (self.contents)()
    }

    /// Creates a user with the e-mail address `{name}@example.com`.
    pub fn user(&self, name: &str) -> User {
        let user = NewUser { name: Some(name.into()), ..NewUser::email(format!("{name}@example.com")) };
        self.auth.create_user(user).wait().expect("the address is free")
    }

    /// Creates a user with this id and no e-mail address.
    pub fn user_with_id(&self, id: &str) -> User {
        self.auth.create_user(NewUser { id: Some(id.into()), ..NewUser::default() }).wait().expect("the id is free")
    }

    /// Creates a session that expires tomorrow.
    pub fn session(&self, token: &str, user_id: &UserId) -> Session {
        self.auth
            .create_session(NewSession::new(token, user_id.clone(), self.tomorrow()))
            .wait()
            .expect("the token is free")
    }

    /// Links an OAuth account.
    pub fn account(&self, provider: &str, id: impl Into<ProviderAccountId>, user_id: &UserId) -> Account {
        self.auth
            .link_account(NewAccount::new(user_id.clone(), AccountType::Oauth, provider, id))
            .wait()
            .expect("the pair is free")
    }

    /// Creates an authenticator.
    pub fn authenticator(&self, credential_id: &str, user_id: &UserId) -> Authenticator {
        self.auth
            .create_authenticator(authenticator(credential_id, user_id, "passkey"))
            .wait()
            .expect("the credential id is free")
    }

    /// Creates a verification token that expires tomorrow.
    pub fn token(&self, identifier: &str, token: &str) -> VerificationToken {
        self.auth
            .create_verification_token(VerificationToken::new(identifier, token, self.tomorrow()))
            .wait()
            .expect("a verification token has no conflicts")
    }

    /// Returns the instant one day after the clock's time.
    pub fn tomorrow(&self) -> DateTime<Utc> {
        self.clock.now() + TimeDelta::days(1)
    }

    /// Returns the user with this id.
    pub fn find_user(&self, id: &UserId) -> Option<User> {
        self.auth.get_user(id).wait().expect("a lookup succeeds")
    }

    /// Returns the user with this e-mail address.
    pub fn find_by_email(&self, email: &str) -> Option<User> {
        self.auth.get_user_by_email(email).wait().expect("a lookup succeeds")
    }

    /// Returns the session with this token, and its user.
    pub fn find_session(&self, token: &str) -> Option<SessionAndUser> {
        self.auth.get_session_and_user(token).wait().expect("a lookup succeeds")
    }

    /// Returns the account with this pair of provider and id.
    pub fn find_account(&self, provider: &str, id: &str) -> Option<Account> {
        self.auth.get_account(&AccountKey::new(provider, id)).wait().expect("a lookup succeeds")
    }

    /// Returns the authenticator with this credential id.
    pub fn find_authenticator(&self, credential_id: &str) -> Option<Authenticator> {
        self.auth.get_authenticator(&credential_id.into()).wait().expect("a lookup succeeds")
    }

    /// Returns the credential ids of a user's authenticators, sorted.
    pub fn authenticators_of(&self, user_id: &UserId) -> Vec<String> {
        let list = self.auth.list_authenticators_by_user_id(user_id).wait().expect("a lookup succeeds");
        let mut ids: Vec<_> = list.into_iter().map(|found| found.credential_id.as_str().to_owned()).collect();
        ids.sort();
        ids
    }

    /// Uses a verification token with its identifier.
    pub fn take(&self, identifier: &str, token: &str) -> Option<VerificationToken> {
        self.auth.use_verification_token(Some(identifier), token).wait().expect("taking a token succeeds")
    }

    /// Uses a verification token without its identifier.
    pub fn take_by_token(&self, token: &str) -> Option<VerificationToken> {
        self.auth.use_verification_token(None, token).wait().expect("taking a token succeeds")
    }
}

/// An authenticator to create.
pub fn authenticator(credential_id: &str, user_id: &UserId, account_id: &str) -> Authenticator {
    Authenticator {
        credential_id: credential_id.into(),
        user_id: user_id.clone(),
        provider_account_id: account_id.into(),
        credential_public_key: "a public key".to_owned(),
        counter: 0,
        credential_device_type: "multiDevice".to_owned(),
        credential_backed_up: true,
        transports: Some("internal,hybrid".to_owned()),
    }
}

/// Returns the key that a refusal names as taken.
#[track_caller]
pub fn conflict<T>(result: Result<T>) -> UniqueKey {
    match refusal(result) {
        Error::Conflict(key) => key,
        error => panic!("not a conflict: {error}"),
    }
}

/// Returns the field that a refusal names as invalid, and the problem with it.
#[track_caller]
pub fn invalid<T>(result: Result<T>) -> (String, Problem) {
    match refusal(result) {
        Error::InvalidArgument { field, problem } => (field.into_owned(), problem),
        error => panic!("not an invalid argument: {error}"),
    }
}

#[track_caller]
pub(super) fn must_be_unknown_user<T>(result: Result<T>) {
    let error = refusal(result);
    assert!(matches!(error, Error::UnknownUser), "not an unknown user: {error}");
}

#[track_caller]
pub(super) fn refusal<T>(result: Result<T>) -> Error {
    match result {
        Ok(_) => panic!("it was accepted"),
        Err(error) => error,
    }
}

/// How many threads race.
pub const THREADS: usize = 32;

/// Starts [`THREADS`] calls of `work` at once and returns their results. `work` gets the number of its thread.
///
/// # Panics
/// When `work` panics in a thread.
pub fn at_once<T: Send>(work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let barrier = Barrier::new(THREADS);
    thread::scope(|scope| {
        let (barrier, work) = (&barrier, &work);
        let start = |n| {
            scope.spawn(move || {
                barrier.wait();
                work(n)
            })
        };
        let threads: Vec<_> = (0..THREADS).map(start).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

/// Polls until `is_true` returns true, for at most a minute.
#[track_caller]
pub fn eventually(what: &str, mut is_true: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !is_true() {
        assert!(Instant::now() < deadline, "not in a minute: {what}");
        thread::yield_now();
    }
}
