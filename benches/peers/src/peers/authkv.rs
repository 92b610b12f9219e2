//! authkv through its public API.

use std::path::Path;

use anyhow::{Context, Result};
use authkv::models::{AccountType, NewAccount, NewSession, NewUser, SessionPatch, UserId, VerificationToken};
use authkv::{AuthKv, Durability};
use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::call::{Call, Found, Outcome, Peer, Reply, Waiting};
use crate::people::{PROVIDER, Person, User};

/// How many writes may be unanswered at a time while a store is filled.
const IN_FLIGHT: usize = 2_048;

pub struct Authkv(pub AuthKv);

impl Authkv {
    /// Opens a store with the default options: each write is synced before it is answered.
    pub fn open(path: &Path) -> Result<Self> {
        Ok(Self(AuthKv::open(path)?))
    }

    fn read(&self, call: &Call) -> Result<Outcome> {
        let found = match call {
            Call::SessionAndUser { token } => self.0.get_session_and_user(token).wait()?.map(|found| Found {
                user: user(found.user),
                expires_ms: Some(found.session.expires.timestamp_millis()),
            }),
            Call::UserByEmail { email } => {
                self.0.get_user_by_email(email).wait()?.map(|found| Found { user: user(found), expires_ms: None })
            }
            _ => None,
        };
        Ok(Outcome::Found(found))
    }

    async fn write(&self, call: &Call) -> Result<Outcome> {
        let done = match call {
            Call::CreateSession { user_id, token, expires_ms } => {
                self.0.create_session(new_session(*user_id, token, *expires_ms)?).await?;
                true
            }
            Call::ExtendSession { token, expires_ms } => {
                let patch = SessionPatch { expires: Some(instant(*expires_ms)?), ..SessionPatch::new(token.as_str()) };
                self.0.update_session(patch).await?.is_some()
            }
            Call::SignUp { person, token, expires_ms } => {
                // Calls are carried out in order, so none has to wait for the one before.
                let user = self.0.create_user(new_user(*person));
                let account = self.0.link_account(new_account(*person));
                let session = self.0.create_session(new_session(person.user_id(), token, *expires_ms)?);
                user.await?;
                account.await?;
                session.await?;
                true
            }
            Call::UseToken { identifier, token, expires_ms } => {
                let new = VerificationToken::new(identifier.as_str(), token.as_str(), instant(*expires_ms)?);
                self.0.create_verification_token(new).await?;
                self.0.use_verification_token(Some(identifier), token).await?.is_some()
            }
            Call::DeleteUser { user_id } => self.0.delete_user(UserId::from(user_id.to_string())).await?.is_some(),
            Call::SessionAndUser { .. } | Call::UserByEmail { .. } => false,
        };
        Ok(Outcome::Done(done))
    }
}

impl Peer for Authkv {
    fn call<'a>(&'a self, call: &'a Call) -> Reply<'a> {
        if call.reads() { Reply::Ready(self.read(call)) } else { Reply::Later(Box::pin(self.write(call))) }
    }

    fn waiting(&self) -> Waiting {
        Waiting::Tasks
    }
}

/// Creates a store with these people, with deferred writes.
pub fn fill(path: &Path, people: &[Person], filled: &mut dyn FnMut(usize)) -> Result<()> {
    let auth = AuthKv::options().durability(Durability::Deferred).open(path)?;
    let expires_ms = super::first_expiry_ms();
    for some in people.chunks(IN_FLIGHT / 3) {
        let mut replies = Vec::new();
        for person in some {
            let user = auth.create_user(new_user(*person));
            let account = auth.link_account(new_account(*person));
            let session = new_session(person.user_id(), &person.session_token(), expires_ms)?;
            replies.push((user, account, auth.create_session(session)));
        }
        for (user, account, session) in replies {
            user.wait()?;
            account.wait()?;
            session.wait()?;
        }
        filled(some.len());
    }
    Ok(auth.close().wait()?)
}

pub fn new_user(person: Person) -> NewUser {
    NewUser {
        id: Some(person.user_id().to_string().into()),
        name: Some(person.name()),
        image: Some(person.image()),
        ..NewUser::email(person.email())
    }
}

pub fn new_account(person: Person) -> NewAccount {
    let user_id = person.user_id().to_string();
    NewAccount {
        id: Some(person.account_id().to_string().into()),
        access_token: Some(person.access_token().into()),
        token_type: Some("bearer".into()),
        scope: Some("read:user,user:email".into()),
        ..NewAccount::new(user_id, AccountType::Oauth, PROVIDER, person.provider_account_id())
    }
}

pub fn new_session(user_id: Uuid, token: &str, expires_ms: i64) -> Result<NewSession> {
    Ok(NewSession::new(token, user_id.to_string(), instant(expires_ms)?))
}

fn instant(ms: i64) -> Result<DateTime<Utc>> {
    DateTime::from_timestamp_millis(ms).context("the instant is out of range")
}

fn user(user: authkv::models::User) -> User {
    User {
        id: user.id.as_str().to_owned(),
        name: user.name.unwrap_or_default(),
        email: user.email.unwrap_or_default(),
        image: user.image.unwrap_or_default(),
    }
}
