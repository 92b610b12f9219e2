//! The adapter's methods as operations on the store. Ids, the time and token hashes are added here, so that operations
//! stay pure, and values that cannot be stored are refused.

use crate::adapter::Adapter;
use crate::error::{Error, Result};
use crate::kv::txn::Txn;
use crate::models::{
    Account, AccountKey, Authenticator, CredentialId, Extra, Models, NewAccount, NewSession, NewUser,
    ProviderAccountId, Session, SessionAndUser, SessionPatch, Token, User, UserId, UserPatch, VerificationToken,
};
use crate::ops::{accounts, authenticators, sessions, tokens, users};
use crate::records::{
    AccountRecord, AuthenticatorRecord, Email, SessionRecord, SessionUpdate, TokenRecord, UserRecord, UserUpdate,
};
use crate::reply::Reply;
use crate::store::accounts::account_model;
use crate::store::{AuthKv, fresh_id};

impl<M: Models> Adapter<M> for AuthKv<M> {
    fn create_user(&self, user: NewUser<M::User>) -> Reply<User<M::User>> {
        match UserRecord::new(user, fresh_id, self.email_matching(), self.now()) {
            Ok(user) => self.write(move |txn| users::create(txn, &user).map(|()| user.clone()), UserRecord::into_model),
            Err(error) => Reply::ready(Err(error)),
        }
    }

    fn get_user(&self, id: &UserId) -> Reply<Option<User<M::User>>> {
        let id = id.clone();
        self.read(move |txn| users::get(txn, &id), user_model)
    }

    fn get_user_by_email(&self, email: &str) -> Reply<Option<User<M::User>>> {
        let email = Email::new(email.to_owned(), self.email_matching());
        self.read(move |txn| users::by_email(txn, email.normal_form()), user_model)
    }

    fn get_user_by_account(&self, account: &AccountKey) -> Reply<Option<User<M::User>>> {
        let account = account.clone();
        self.read(move |txn| users::by_account(txn, &account), user_model)
    }

    fn update_user(&self, patch: UserPatch) -> Reply<User<M::User>> {
        let update = match UserUpdate::new(patch, self.email_matching()) {
            Ok(update) => update,
            Err(error) => return Reply::ready(Err(error)),
        };
        let (id, patch) = (update.id.clone(), update.extra.clone());
        let stored = move |txn: &Txn<'_>| Ok(users::get(txn, &id)?.map(|user| user.extra));
        self.if_taken::<M::User, _>(patch, stored, move |auth, is_there| match is_there {
            true => auth.write(move |txn| users::update(txn, &update), UserRecord::into_model),
            false => Reply::ready(Err(Error::UnknownUser)),
        })
    }

    fn delete_user(&self, id: &UserId) -> Reply<Option<User<M::User>>> {
        let (id, trace) = (id.clone(), id.trace());
        self.write(move |txn| users::delete(txn, &id, &trace), user_model)
    }

    fn link_account(&self, account: NewAccount<M::Account>) -> Reply<Account<M::Account>> {
        match AccountRecord::new(account, fresh_id, self.now()) {
            Ok(account) => self
                .write(move |txn| accounts::link(txn, &account).map(|()| account.clone()), AccountRecord::into_model),
            Err(error) => Reply::ready(Err(error)),
        }
    }

    fn unlink_account(&self, account: &AccountKey) -> Reply<Option<Account<M::Account>>> {
        let account = account.clone();
        self.write(move |txn| accounts::unlink(txn, &account), account_model)
    }

    fn get_account(
        &self,
        provider_account_id: &ProviderAccountId,
        provider: &str,
    ) -> Reply<Option<Account<M::Account>>> {
        let account = AccountKey::new(provider, provider_account_id.clone());
        self.read(move |txn| accounts::get(txn, &account), account_model)
    }

    fn create_session(&self, session: NewSession<M::Session>) -> Reply<Session<M::Session>> {
        let (token, as_of) = (session.session_token.clone(), self.as_of());
        match SessionRecord::new(session, fresh_id(), as_of.now) {
            Ok(session) => self.add_session(session, token, as_of),
            Err(error) => Reply::ready(Err(error)),
        }
    }

    fn get_session_and_user(&self, session_token: &str) -> Reply<Option<SessionAndUser<M::Session, M::User>>> {
        let (token, as_of) = (Token::from(session_token), self.as_of());
        self.find_session(&token.hash(), as_of, |found| found.map(|found| found.into_model(token)).transpose())
    }

    fn update_session(&self, patch: SessionPatch) -> Reply<Option<Session<M::Session>>> {
        let (token, as_of) = (patch.session_token.clone(), self.as_of());
        let update = match SessionUpdate::new(patch) {
            Ok(update) => update,
            Err(error) => return Reply::ready(Err(error)),
        };
        let (hash, patch) = (update.token_hash, update.extra.clone());
        let stored =
            move |txn: &Txn<'_>| Ok(sessions::session_and_user(txn, &hash, as_of)?.map(|found| found.extra.clone()));
        self.if_taken::<M::Session, _>(patch, stored, move |auth, is_there| match is_there {
            true => auth.write(
                move |txn| sessions::update(txn, &update, as_of),
                move |session| session.map(|session| session.into_model(token, as_of.max_age)).transpose(),
            ),
            false => Reply::ready(Ok(None)),
        })
    }

    fn delete_session(&self, session_token: &str) -> Reply<Option<Session<M::Session>>> {
        let (token, max_age) = (Token::from(session_token), self.session_ages().max);
        let hash = token.hash();
        self.write(
            move |txn| sessions::delete(txn, &hash),
            move |session| session.map(|session| session.into_model(token, max_age)).transpose(),
        )
    }

    fn create_verification_token(
        &self,
        token: VerificationToken<M::VerificationToken>,
    ) -> Reply<VerificationToken<M::VerificationToken>> {
        match TokenRecord::new(&token, self.now()) {
            Ok(record) => self.write(
                move |txn| tokens::create(txn, &record).map(|()| record.clone()),
                |record| record.into_model(token.token),
            ),
            Err(error) => Reply::ready(Err(error)),
        }
    }

    fn use_verification_token(
        &self,
        identifier: Option<&str>,
        token: &str,
    ) -> Reply<Option<VerificationToken<M::VerificationToken>>> {
        let (identifier, token) = (identifier.map(str::to_owned), Token::from(token));
        let hash = token.hash();
        self.write(
            move |txn| tokens::take(txn, identifier.as_ref(), hash),
            |record| record.map(|record| record.into_model(token)).transpose(),
        )
    }

    fn create_authenticator(&self, authenticator: Authenticator) -> Reply<Authenticator> {
        match AuthenticatorRecord::new(authenticator, self.now()) {
            Ok(record) => self.write(
                move |txn| authenticators::create(txn, &record).map(|()| record.clone()),
                |record| Ok(record.into_model()),
            ),
            Err(error) => Reply::ready(Err(error)),
        }
    }

    fn get_authenticator(&self, credential_id: &CredentialId) -> Reply<Option<Authenticator>> {
        let id = credential_id.clone();
        self.read(move |txn| authenticators::get(txn, &id), |record| Ok(record.map(AuthenticatorRecord::into_model)))
    }

    fn list_authenticators_by_user_id(&self, user_id: &UserId) -> Reply<Vec<Authenticator>> {
        let id = user_id.clone();
        self.read(
            move |txn| authenticators::list(txn, &id),
            |records| Ok(records.into_iter().map(AuthenticatorRecord::into_model).collect()),
        )
    }

    fn update_authenticator_counter(&self, credential_id: &CredentialId, counter: u32) -> Reply<Authenticator> {
        let id = credential_id.clone();
        self.write(move |txn| authenticators::update_counter(txn, &id, counter), |record| Ok(record.into_model()))
    }
}

fn user_model<X: Extra>(user: Option<UserRecord>) -> Result<Option<User<X>>> {
    user.map(UserRecord::into_model).transpose()
}
