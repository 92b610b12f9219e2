//! Everything that this application asks of the store.

use std::path::Path;

use authkv::models::{
    Account, AccountKey, AccountType, Authenticated, Change, MustLeave, NewUser, Proof, ProviderAccount, SIGN_IN,
    Session, SessionId, SessionInfo, SignIn, Token, UserId, UserPatch, Visitor,
};
use authkv::{AuthKv, Error, Result, UniqueKey};
use chrono::{TimeDelta, Utc};

use crate::provider::{Away, Identity};
use crate::site::{Device, Shown, Site};

pub(crate) const LINK_AGE: TimeDelta = TimeDelta::minutes(15);
pub(crate) const AWAY_AGE: TimeDelta = TimeDelta::minutes(10);
pub(crate) const SESSION_AGE: TimeDelta = TimeDelta::days(30);
/// How exact the list of sessions is; a visit within it writes nothing.
const SEEN_WITHIN: TimeDelta = TimeDelta::hours(1);
/// About how many sessions, and how many accounts, are shown to a person.
const LISTED_MAX: usize = 1_000;

pub(crate) type SignedIn = Authenticated<(), Device>;

/// Who may sign in, and who is signed in.
#[derive(Clone)]
pub(crate) struct Auth {
    store: AuthKv<Site>,
}

/// What became of an account that its owner wants to sign in with, too.
pub(crate) enum Linking {
    Done,
    OfSomebodyElse,
}

/// What became of an account that its owner does not want to sign in with any more.
pub(crate) enum Unlinking {
    Done,
    LastWayToSignIn,
}

impl Auth {
    pub(crate) fn open(file: &Path) -> Result<Self> {
        let options = AuthKv::options().models::<Site>().session_max_age(SESSION_AGE).session_update_age(SEEN_WITHIN);
        Ok(Self { store: options.open(file)? })
    }

    pub(crate) async fn close(&self) -> Result<()> {
        self.store.close().await
    }

    /// Makes the secret of a link to be sent to this address.
    pub(crate) async fn create_link(&self, email: &str) -> Result<Token> {
        Ok(self.store.issue_link_token(SIGN_IN, email, LINK_AGE).await?.token)
    }

    /// Signs in with a link. None if it was used before, has expired or was never sent.
    pub(crate) async fn use_link(
        &self,
        link: Proof<'_>,
        device: Device,
        from: Visitor<'_>,
    ) -> Result<Option<Session<Device>>> {
        let signed_in = self.store.sign_in_with_email_with(link, NewUser::default(), device, from).await?;
        Ok(signed_in.done().map(|done| done.session))
    }

    /// Signs in who was identified by a provider, unless somebody else may have their e-mail address.
    pub(crate) async fn sign_in(&self, identity: Identity, device: Device) -> Result<SignIn<(), Shown, Device>> {
        let user = NewUser {
            name: identity.name.clone(),
            email: identity.email.clone(),
            email_verified: identity.email.is_some().then(Utc::now),
            ..NewUser::default()
        };
        self.store.sign_in_with_account_with(account_of(identity), user, device).await
    }

    /// Lets a user, who must be signed in, sign in with this account, too.
    pub(crate) async fn link(&self, user: &UserId, identity: Identity) -> Result<Linking> {
        let account = account_of(identity);
        let known = AccountKey::new(&account.provider, account.provider_account_id.clone());
        match self.store.link_account(account.of_user(user.clone())).await {
            Err(Error::Conflict(UniqueKey::ProviderAccount)) => {}
            linked => return linked.map(|_| Linking::Done),
        }
        let holder = self.store.get_account(&known).await?;
        let own = holder.is_some_and(|account| account.user_id == *user);
        Ok(if own { Linking::Done } else { Linking::OfSomebodyElse })
    }

    pub(crate) async fn accounts(&self, user: &UserId) -> Result<Vec<Account<Shown>>> {
        Ok(self.store.list_accounts(user, None, LISTED_MAX).await?.items)
    }

    /// Unlinks an account of this user; that there is none is no error.
    pub(crate) async fn unlink(&self, user: &UserId, account: &AccountKey) -> Result<Unlinking> {
        match self.store.unlink_account_of(user, account, MustLeave::AccountOrEmail).await {
            Err(Error::LastWayToSignIn) => Ok(Unlinking::LastWayToSignIn),
            unlinked => unlinked.map(|_| Unlinking::Done),
        }
    }

    /// Remembers a visitor who is sent away to a provider. What it answers is what they must come back with.
    pub(crate) async fn send_away(&self, issuer: &str, away: &Away) -> Result<Token> {
        self.store.put_state(issuer, away, AWAY_AGE).await
    }

    /// A visitor who comes back from this very provider, once.
    pub(crate) async fn welcome_back(&self, issuer: &str, state: &str) -> Result<Option<Away>> {
        Ok(self.store.take_state(issuer, state).await?.passed())
    }

    /// Who is signed in with this session token. None if nobody is, or not any more; an error says nothing about that.
    pub(crate) async fn visitor(&self, session_token: &str) -> Result<Option<SignedIn>> {
        Ok(self.store.authenticate(session_token).await?.passed())
    }

    /// Where a user is signed in. A page of the list may have no session although there are more.
    pub(crate) async fn sessions(&self, user: &UserId) -> Result<Vec<SessionInfo<Device>>> {
        let (mut sessions, mut after) = (Vec::new(), None);
        loop {
            let page = self.store.list_sessions(user, after.as_ref(), LISTED_MAX).await?;
            sessions.extend(page.items);
            after = page.next;
            if after.is_none() || sessions.len() >= LISTED_MAX {
                return Ok(sessions);
            }
        }
    }

    /// Ends a session of this user; that it has ended already is no error.
    pub(crate) async fn end_session(&self, user: &UserId, id: &SessionId) -> Result<()> {
        self.store.end_session(user, id).await?;
        Ok(())
    }

    pub(crate) async fn end_other_sessions(&self, visitor: &SignedIn) -> Result<()> {
        match self.store.end_other_sessions(&visitor.user.id, &visitor.session.id).await {
            // It has ended as well.
            Ok(_) | Err(Error::UnknownSession) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Ends a session. That it has ended already is no error.
    pub(crate) async fn sign_out(&self, session_token: &str) -> Result<()> {
        self.store.delete_session(session_token).await?;
        Ok(())
    }

    /// Changes the name; an empty one is removed.
    pub(crate) async fn rename(&self, user: UserId, name: &str) -> Result<()> {
        let name = if name.is_empty() { Change::Clear } else { Change::to(name) };
        self.store.update_user(UserPatch { name, ..UserPatch::new(user) }).await?;
        Ok(())
    }
}

/// Accounts are kept under their issuer: what the provider is called on the pages may change.
fn account_of(Identity { issuer, subject, email, .. }: Identity) -> ProviderAccount<Shown> {
    ProviderAccount { extra: Shown { email }, ..ProviderAccount::new(AccountType::Oidc, issuer, subject) }
}
