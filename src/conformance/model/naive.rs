//! The model: the contract of the adapter in vectors and linear scans, too simple to be fast or wrong.

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};

use super::answer::{Account, Answer, Outcome, Refusal, Session, User, VerificationToken};
use super::operation::{Operation, Pair, Who};
use super::target::Counts;
use crate::UniqueKey;
use crate::models::{AccountType, Authenticator, Change};

/// The contents that every store should have after the same operations.
pub(super) struct Model {
    now: DateTime<Utc>,
    users: Vec<User>,
    accounts: Vec<Account>,
    sessions: Vec<Session>,
    verification_tokens: Vec<VerificationToken>,
    authenticators: Vec<Authenticator>,
    /// The ids that the store has generated.
    made: Vec<String>,
}

/// The permitted outcomes of a call: an answer, or any of several refusals. The store may choose which refusal it
/// gives.
pub(super) type Expected = Result<Answer, Vec<Refusal>>;

const KEY_BYTES_MAX: usize = 512;

impl Model {
    /// An empty store.
    pub(super) fn new(now: DateTime<Utc>) -> Self {
        Self {
            now,
            users: Vec::new(),
            accounts: Vec::new(),
            sessions: Vec::new(),
            verification_tokens: Vec::new(),
            authenticators: Vec::new(),
            made: Vec::new(),
        }
    }

    /// Returns the time of the clock, to the nanosecond.
    pub(super) fn now(&self) -> DateTime<Utc> {
        self.now
    }

    /// Returns the instant, as a store keeps it, that is `from_now` after the clock's time.
    fn instant(&self, from_now: TimeDelta) -> DateTime<Utc> {
        (self.now + from_now).trunc_subsecs(3)
    }

    /// True if a record that expires at this instant has expired.
    fn expired(&self, expires: DateTime<Utc>) -> bool {
        expires < self.now.trunc_subsecs(3)
    }

    pub(super) fn user_id(&self, who: Who) -> String {
        match who {
            Who::Named(id) => id.to_owned(),
            Who::Nth(_) if self.users.is_empty() => "nobody".to_owned(),
            Who::Nth(place) => self.users[usize::from(place) % self.users.len()].id.clone(),
        }
    }

    pub(super) fn counts(&self) -> Counts {
        Counts {
            users: self.users.len(),
            accounts: self.accounts.len(),
            sessions: self.sessions.len(),
            verification_tokens: self.verification_tokens.len(),
            authenticators: self.authenticators.len(),
        }
    }

    /// Applies the operation and returns the expected outcome. Ids that the store generated are taken from the store's
    /// `outcome`.
    pub(super) fn apply(&mut self, operation: &Operation, outcome: &Outcome) -> Expected {
        match *operation {
            Operation::CreateUser { id, name, email, email_verified, image } => {
                let user = User {
                    id: id.map_or_else(|| self.made_id(outcome), str::to_owned),
                    name: unless_empty(name),
                    email: unless_empty(email),
                    email_verified: email_verified.map(|from_now| self.instant(from_now)),
                    image: unless_empty(image),
                };
                self.create_user(user)
            }
            Operation::GetUser(who) => Ok(self.user(&self.user_id(who)).map_or(Answer::None, Answer::User)),
            Operation::GetUserByEmail(email) => {
                Ok(self.users.iter().find(|user| has_email(user, email)).cloned().map_or(Answer::None, Answer::User))
            }
            Operation::GetUserByAccount(pair) => Ok(match self.account(pair) {
                Some(account) => self.user(&account.user_id).map_or(Answer::None, Answer::User),
                None => Answer::None,
            }),
            Operation::UpdateUser { user, ref name, ref email, ref email_verified, ref image } => {
                let id = self.user_id(user);
                self.update_user(&id, name, email, email_verified, image)
            }
            Operation::DeleteUser(who) => Ok(self.delete_user(&self.user_id(who))),
            Operation::LinkAccount { id, user, account_type, account, text, expires_at } => {
                let [access_token, refresh_token, id_token, token_type, scope, session_state] =
                    Operation::optional_texts(text);
                let account = Account {
                    id: id.map_or_else(|| self.made_id(outcome), str::to_owned),
                    user_id: self.user_id(user),
                    account_type,
                    provider: account.0.to_owned(),
                    provider_account_id: account.1.to_owned(),
                    access_token,
                    refresh_token,
                    id_token,
                    expires_at,
                    token_type,
                    scope,
                    session_state,
                };
                self.link_account(account)
            }
            Operation::UnlinkAccount(pair) => Ok(self.unlink_account(pair)),
            Operation::GetAccount(pair) => Ok(self.account(pair).cloned().map_or(Answer::None, Answer::Account)),
            Operation::CreateSession { token, user, expires } => {
                let session = Session {
                    id: self.made_id(outcome),
                    token: token.to_owned(),
                    user_id: self.user_id(user),
                    expires: self.instant(expires),
                };
                self.create_session(session)
            }
            Operation::GetSessionAndUser(token) => Ok(match self.valid_session(token) {
                Some(place) => {
                    let session = self.sessions[place].clone();
                    let user = self.user(&session.user_id).expect("a session has a user");
                    Answer::SessionAndUser(session, user)
                }
                None => Answer::None,
            }),
            Operation::UpdateSession { token, user, expires } => {
                let user = user.map(|who| self.user_id(who));
                self.update_session(token, user, expires)
            }
            Operation::DeleteSession(token) => Ok(match self.sessions.iter().position(|other| other.token == token) {
                Some(place) => Answer::Session(self.sessions.remove(place)),
                None => Answer::None,
            }),
            Operation::CreateVerificationToken { identifier, token, expires } => {
                let expires = self.instant(expires);
                self.create_verification_token(VerificationToken {
                    identifier: identifier.to_owned(),
                    token: token.to_owned(),
                    expires,
                })
            }
            Operation::UseVerificationToken { identifier, token } => Ok(self.use_verification_token(identifier, token)),
            Operation::CreateAuthenticator { .. } => {
                self.create_authenticator(self.authenticator(operation).expect("it is one"))
            }
            Operation::GetAuthenticator(credential) => {
                let found = self.authenticators.iter().find(|other| other.credential_id.as_str() == credential);
                Ok(found.cloned().into())
            }
            Operation::ListAuthenticatorsByUserId(who) => {
                let id = self.user_id(who);
                let found = self.authenticators.iter().filter(|other| other.user_id.as_str() == id);
                Ok(found.cloned().collect::<Vec<_>>().into())
            }
            Operation::UpdateAuthenticatorCounter { credential, counter } => {
                match self.authenticators.iter_mut().find(|other| other.credential_id.as_str() == credential) {
                    Some(found) if counter < found.counter => Err(vec![Refusal::InvalidArgument("counter".to_owned())]),
                    Some(found) => {
                        found.counter = counter;
                        Ok(Answer::Authenticator(found.clone()))
                    }
                    None => Err(vec![Refusal::UnknownCredential]),
                }
            }
            Operation::AdvanceClock(step) => {
                self.now += step;
                Ok(Answer::Done)
            }
            Operation::Purge => Ok(self.purge()),
            Operation::Reopen => Ok(Answer::Done),
        }
    }

    /// Returns the authenticator that the operation creates.
    pub(super) fn authenticator(&self, operation: &Operation) -> Option<Authenticator> {
        let &Operation::CreateAuthenticator { credential, user, account, counter, transports } = operation else {
            return None;
        };
        Some(Authenticator {
            credential_id: credential.into(),
            user_id: self.user_id(user).into(),
            provider_account_id: account.into(),
            credential_public_key: format!("the public key of {credential}"),
            counter,
            credential_device_type: "multiDevice".to_owned(),
            credential_backed_up: counter.is_multiple_of(2),
            transports: transports.map(str::to_owned),
        })
    }

    /// Returns the id that the store generated, which must be new.
    fn made_id(&mut self, outcome: &Outcome) -> String {
        let id = match outcome {
            Ok(Answer::User(user)) => &user.id,
            Ok(Answer::Account(account)) => &account.id,
            Ok(Answer::Session(session)) => &session.id,
            _ => return "none was made".to_owned(),
        };
        assert!(!id.is_empty() && !self.made.contains(id), "the id {id:?} is not new");
        self.made.push(id.clone());
        id.clone()
    }

    fn user(&self, id: &str) -> Option<User> {
        self.users.iter().find(|user| user.id == id).cloned()
    }

    fn create_user(&mut self, user: User) -> Expected {
        let mut refusals = Vec::new();
        invalid_key("id", &user.id, &mut refusals);
        if let Some(email) = &user.email {
            invalid_key("email", email, &mut refusals);
            refuse_if(
                self.users.iter().any(|other| has_email(other, email)),
                Refusal::Conflict(UniqueKey::Email),
                &mut refusals,
            );
        }
        refuse_if(self.user(&user.id).is_some(), Refusal::Conflict(UniqueKey::UserId), &mut refusals);
        if refusals.is_empty() {
            self.users.push(user.clone());
            Ok(Answer::User(user))
        } else {
            Err(refusals)
        }
    }

    fn update_user(
        &mut self,
        id: &str,
        name: &Change<&str>,
        email: &Change<&str>,
        email_verified: &Change<TimeDelta>,
        image: &Change<&str>,
    ) -> Expected {
        let mut refusals = Vec::new();
        if let Change::Set(email) = email {
            invalid_key("email", email, &mut refusals);
            refuse_if(
                self.users.iter().any(|other| other.id != id && has_email(other, email)),
                Refusal::Conflict(UniqueKey::Email),
                &mut refusals,
            );
        }
        let Some(place) = self.users.iter().position(|user| user.id == id) else {
            refusals.push(Refusal::UnknownUser);
            return Err(refusals);
        };
        if !refusals.is_empty() {
            return Err(refusals);
        }
        let mut user = self.users[place].clone();
        let is_new_address = matches!(email, Change::Set(email) if !has_email(&user, email));
        let proof = changed(user.email_verified, email_verified, |from_now| self.instant(*from_now));
        let is_new_proof = proof != user.email_verified;
        let has_proof = !matches!(email, Change::Clear) && (!is_new_address || is_new_proof);
        user.name = changed(user.name, name, |name| name.to_string());
        user.email = changed(user.email, email, |email| email.to_string());
        user.email_verified = proof.filter(|_| has_proof);
        user.image = changed(user.image, image, |image| image.to_string());
        self.users[place] = user.clone();
        Ok(Answer::User(user))
    }

    fn delete_user(&mut self, id: &str) -> Answer {
        let Some(place) = self.users.iter().position(|user| user.id == id) else {
            return Answer::None;
        };
        self.accounts.retain(|account| account.user_id != id);
        self.sessions.retain(|session| session.user_id != id);
        self.authenticators.retain(|authenticator| authenticator.user_id.as_str() != id);
        Answer::User(self.users.remove(place))
    }

    fn account(&self, pair: Pair) -> Option<&Account> {
        self.accounts.iter().find(|account| (&*account.provider, &*account.provider_account_id) == pair)
    }

    fn link_account(&mut self, account: Account) -> Expected {
        let mut refusals = Vec::new();
        invalid_key("id", &account.id, &mut refusals);
        invalid_key("provider", &account.provider, &mut refusals);
        invalid_key("provider_account_id", &account.provider_account_id, &mut refusals);
        refuse_if(self.user(&account.user_id).is_none(), Refusal::UnknownUser, &mut refusals);
        for other in &self.accounts {
            let same_pair =
                other.provider == account.provider && other.provider_account_id == account.provider_account_id;
            refuse_if(same_pair, Refusal::Conflict(UniqueKey::ProviderAccount), &mut refusals);
            refuse_if(other.id == account.id, Refusal::Conflict(UniqueKey::AccountId), &mut refusals);
        }
        if refusals.is_empty() {
            self.accounts.push(account.clone());
            Ok(Answer::Account(account))
        } else {
            Err(refusals)
        }
    }

    fn unlink_account(&mut self, pair: Pair) -> Answer {
        let Some(account) = self.account(pair).cloned() else {
            return Answer::None;
        };
        self.accounts.retain(|other| *other != account);
        if account.account_type == AccountType::Webauthn {
            self.authenticators.retain(|authenticator| {
                authenticator.user_id.as_str() != account.user_id
                    || authenticator.provider_account_id.as_str() != account.provider_account_id
            });
        }
        Answer::Account(account)
    }

    fn valid_session(&self, token: &str) -> Option<usize> {
        self.sessions.iter().position(|session| session.token == token && !self.expired(session.expires))
    }

    fn create_session(&mut self, session: Session) -> Expected {
        let mut refusals = Vec::new();
        invalid_key("session_token", &session.token, &mut refusals);
        refuse_if(self.user(&session.user_id).is_none(), Refusal::UnknownUser, &mut refusals);
        refuse_if(
            self.valid_session(&session.token).is_some(),
            Refusal::Conflict(UniqueKey::SessionToken),
            &mut refusals,
        );
        if !refusals.is_empty() {
            return Err(refusals);
        }
        self.sessions.retain(|other| other.token != session.token);
        self.sessions.push(session.clone());
        Ok(Answer::Session(session))
    }

    fn update_session(&mut self, token: &str, user: Option<String>, expires: Option<TimeDelta>) -> Expected {
        let Some(place) = self.valid_session(token) else {
            return Ok(Answer::None);
        };
        let mut session = self.sessions[place].clone();
        if let Some(id) = user {
            if self.user(&id).is_none() {
                return Err(vec![Refusal::UnknownUser]);
            }
            session.user_id = id;
        }
        if let Some(from_now) = expires {
            session.expires = self.instant(from_now);
        }
        self.sessions[place] = session.clone();
        Ok(Answer::Session(session))
    }

    fn create_verification_token(&mut self, token: VerificationToken) -> Expected {
        let mut refusals = Vec::new();
        invalid_key("identifier", &token.identifier, &mut refusals);
        invalid_key("token", &token.token, &mut refusals);
        if !refusals.is_empty() {
            return Err(refusals);
        }
        self.verification_tokens.retain(|other| (&other.identifier, &other.token) != (&token.identifier, &token.token));
        self.verification_tokens.push(token.clone());
        Ok(Answer::VerificationToken(token))
    }

    fn use_verification_token(&mut self, identifier: Option<&str>, token: &str) -> Answer {
        let fits = |other: &VerificationToken| {
            other.token == token && identifier.is_none_or(|identifier| other.identifier == identifier)
        };
        let places: Vec<_> =
            (0..self.verification_tokens.len()).filter(|n| fits(&self.verification_tokens[*n])).collect();
        match places[..] {
            [place] => Answer::VerificationToken(self.verification_tokens.remove(place)),
            _ => Answer::None,
        }
    }

    fn create_authenticator(&mut self, authenticator: Authenticator) -> Expected {
        let mut refusals = Vec::new();
        invalid_key("credential_id", authenticator.credential_id.as_str(), &mut refusals);
        invalid_key("provider_account_id", authenticator.provider_account_id.as_str(), &mut refusals);
        refuse_if(self.user(authenticator.user_id.as_str()).is_none(), Refusal::UnknownUser, &mut refusals);
        refuse_if(
            self.authenticators.iter().any(|other| other.credential_id == authenticator.credential_id),
            Refusal::Conflict(UniqueKey::CredentialId),
            &mut refusals,
        );
        if !refusals.is_empty() {
            return Err(refusals);
        }
        self.authenticators.push(authenticator.clone());
        Ok(Answer::Authenticator(authenticator))
    }

    fn purge(&mut self) -> Answer {
        let before = self.counts();
        let now = self.now.trunc_subsecs(3);
        self.sessions.retain(|session| session.expires >= now);
        self.verification_tokens.retain(|token| token.expires >= now);
        let after = self.counts();
        match (before.sessions - after.sessions, before.verification_tokens - after.verification_tokens) {
            (0, 0) => Answer::None,
            (sessions, tokens) => Answer::Purged(sessions, tokens),
        }
    }
}

/// An empty text of a new user counts as absent.
fn unless_empty(text: Option<&str>) -> Option<String> {
    text.filter(|text| !text.is_empty()).map(str::to_owned)
}

fn has_email(user: &User, email: &str) -> bool {
    user.email.as_ref().is_some_and(|own| own.eq_ignore_ascii_case(email))
}

fn changed<T, V>(field: Option<T>, change: &Change<V>, value: impl FnOnce(&V) -> T) -> Option<T> {
    match change {
        Change::Keep => field,
        Change::Clear => None,
        Change::Set(to) => Some(value(to)),
    }
}

fn refuse_if(condition: bool, refusal: Refusal, refusals: &mut Vec<Refusal>) {
    if condition {
        refusals.push(refusal);
    }
}

fn invalid_key(field: &str, text: &str, refusals: &mut Vec<Refusal>) {
    let is_invalid = text.is_empty() || text.len() > KEY_BYTES_MAX;
    refuse_if(is_invalid, Refusal::InvalidArgument(field.to_owned()), refusals);
}
