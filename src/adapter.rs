//! The adapter: the 19 methods of Auth.js, and how each becomes an operation on the store.

use uuid::Uuid;

use crate::error::Result;
use crate::model::{
    Account, AccountKey, Authenticator, CredentialId, Extra, FieldPatch, Fields, Models, NewAccount, NewSession,
    NewUser, ProviderAccountId, Session, SessionAndUser, SessionPatch, User, UserId, UserPatch, VerificationToken,
};
use crate::ops::{accounts, authenticators, sessions, tokens, users};
use crate::record::{
    AccountRecord, AuthenticatorRecord, Email, SessionRecord, SessionUpdate, TokenRecord, UserRecord, UserUpdate,
};
use crate::reply::Reply;
use crate::secret::Token;
use crate::store::AuthKv;
use crate::txn::Txn;

/// The database adapter of Auth.js, in Rust spelling.
///
/// Every method is one atomic, isolated step that happens whole or not at all, and the methods behave as if they ran
/// one after another. An acknowledged write is durable as the store's [`Durability`](crate::Durability) says, and every
/// later call from any thread sees it. Lookups accept any text. "Not found" is `None`, never an error, except where a
/// method says so.
///
/// Besides those that each method names, every method may answer with these errors:
/// [`Storage`](crate::Error::Storage) when the storage fails or is damaged, [`Closed`](crate::Error::Closed) after the
/// store was closed, and [`MissingTable`](crate::Error::MissingTable) when it was opened with `synchronize` off. Every
/// method that writes may answer [`Busy`](crate::Error::Busy) when too many writes wait, and
/// [`OutcomeUnknown`](crate::Error::OutcomeUnknown) when the commit failed half-way.
///
/// The contract behind the names is that of
/// [`@auth/core`](https://authjs.dev/guides/creating-a-database-adapter), with the gaps closed that let concurrent
/// sign-ins break it.
pub trait Adapter<M: Models = ()>: Send + Sync {
    /// Creates a user and returns it, with a fresh id if it has none.
    ///
    /// # Errors
    /// [`Conflict`](crate::Error::Conflict) when the id or the e-mail address is taken, and
    /// [`InvalidArgument`](crate::Error::InvalidArgument).
    ///
    /// ```
    /// use authkv::models::NewUser;
    /// use authkv::{Adapter, AuthKv, Error, UniqueKey};
    ///
    /// let auth = AuthKv::in_memory()?;
    /// let ada = auth.create_user(NewUser::email("ada@example.com")).wait()?;
    /// let again = auth.create_user(NewUser::email("Ada@example.com")).wait();
    /// assert!(matches!(again, Err(Error::Conflict(UniqueKey::Email))));
    /// # Ok::<(), Error>(())
    /// ```
    fn create_user(&self, user: NewUser<M::User>) -> Reply<User<M::User>>;

    /// The user with this id.
    ///
    /// ```
    /// # use authkv::models::NewUser;
    /// # use authkv::{Adapter, AuthKv};
    /// # let auth = AuthKv::in_memory()?;
    /// let ada = auth.create_user(NewUser::email("ada@example.com")).wait()?;
    /// assert_eq!(auth.get_user(&ada.id).wait()?, Some(ada));
    /// assert_eq!(auth.get_user(&"nobody".into()).wait()?, None);
    /// # Ok::<(), authkv::Error>(())
    /// ```
    fn get_user(&self, id: &UserId) -> Reply<Option<User<M::User>>>;

    /// The user with this e-mail address, compared as the store's [`EmailMatching`](crate::EmailMatching) says.
    ///
    /// ```
    /// # use authkv::models::NewUser;
    /// # use authkv::{Adapter, AuthKv};
    /// # let auth = AuthKv::in_memory()?;
    /// auth.create_user(NewUser::email("Ada@Example.com")).wait()?;
    /// let ada = auth.get_user_by_email("ada@example.com").wait()?.expect("she was just created");
    /// assert_eq!(ada.email.as_deref(), Some("Ada@Example.com"));
    /// # Ok::<(), authkv::Error>(())
    /// ```
    fn get_user_by_email(&self, email: &str) -> Reply<Option<User<M::User>>>;

    /// The user to whom this account is linked.
    ///
    /// ```
    /// # use authkv::{Adapter, AuthKv, models::*};
    /// # let auth = AuthKv::in_memory()?;
    /// let ada = auth.create_user(NewUser::email("ada@example.com")).wait()?;
    /// auth.link_account(NewAccount::new(ada.id.clone(), AccountType::Oauth, "github", 583_231_u64)).wait()?;
    /// let found = auth.get_user_by_account(&AccountKey::new("github", "583231")).wait()?;
    /// assert_eq!(found, Some(ada));
    /// # Ok::<(), authkv::Error>(())
    /// ```
    fn get_user_by_account(&self, account: &AccountKey) -> Reply<Option<User<M::User>>>;

    /// Changes what the patch names and nothing else, and returns the user. A new e-mail address is taken and the old
    /// one freed in the same step.
    ///
    /// # Errors
    /// [`UnknownUser`](crate::Error::UnknownUser), [`Conflict`](crate::Error::Conflict) when the e-mail address is
    /// another user's, and [`InvalidArgument`](crate::Error::InvalidArgument).
    ///
    /// ```
    /// # use authkv::{Adapter, AuthKv, models::*};
    /// # let auth = AuthKv::in_memory()?;
    /// let ada = auth.create_user(NewUser::email("ada@example.com")).wait()?;
    /// let patch = UserPatch { name: Change::to("Ada"), email: Change::Clear, ..UserPatch::new(ada.id) };
    /// let ada = auth.update_user(patch).wait()?;
    /// assert_eq!((ada.name.as_deref(), ada.email), (Some("Ada"), None));
    /// # Ok::<(), authkv::Error>(())
    /// ```
    fn update_user(&self, patch: UserPatch) -> Reply<User<M::User>>;

    /// Removes a user with all accounts, sessions and authenticators, and returns the user; `None` if there is none.
    /// Verification tokens belong to an identifier and stay.
    ///
    /// To every other call all of it happens in one step. Of a user with very many records some are removed from the
    /// file a little later; until then the user's id cannot be used again.
    ///
    /// ```
    /// # use authkv::{Adapter, AuthKv, models::*};
    /// # let auth = AuthKv::in_memory()?;
    /// # let expires = chrono::Utc::now() + chrono::Days::new(30);
    /// let ada = auth.create_user(NewUser::email("ada@example.com")).wait()?;
    /// auth.create_session(NewSession::new("a-secret", ada.id.clone(), expires)).wait()?;
    /// assert_eq!(auth.delete_user(&ada.id).wait()?.map(|user| user.id), Some(ada.id));
    /// assert_eq!(auth.get_session_and_user("a-secret").wait()?, None);
    /// # Ok::<(), authkv::Error>(())
    /// ```
    fn delete_user(&self, id: &UserId) -> Reply<Option<User<M::User>>>;

    /// Links an account to a user and returns it, with a fresh id if it has none.
    ///
    /// # Errors
    /// [`UnknownUser`](crate::Error::UnknownUser), [`Conflict`](crate::Error::Conflict) when the pair of provider and
    /// provider account id is linked already, be it to the same user, or the id is taken, and
    /// [`InvalidArgument`](crate::Error::InvalidArgument).
    ///
    /// ```
    /// # use authkv::{Adapter, AuthKv, models::*};
    /// # let auth = AuthKv::in_memory()?;
    /// let ada = auth.create_user(NewUser::email("ada@example.com")).wait()?;
    /// let account = NewAccount {
    ///     scope: Some("read:user".into()),
    ///     ..NewAccount::new(ada.id, AccountType::Oauth, "github", 583_231_u64)
    /// };
    /// assert_eq!(auth.link_account(account).wait()?.provider, "github");
    /// # Ok::<(), authkv::Error>(())
    /// ```
    fn link_account(&self, account: NewAccount<M::Account>) -> Reply<Account<M::Account>>;

    /// Removes this account, and with a WebAuthn account the user's authenticators of the same provider account id;
    /// returns the account, or `None` if there is none. Sessions stay.
    ///
    /// ```
    /// # use authkv::{Adapter, AuthKv, models::*};
    /// # let auth = AuthKv::in_memory()?;
    /// let ada = auth.create_user(NewUser::email("ada@example.com")).wait()?;
    /// auth.link_account(NewAccount::new(ada.id, AccountType::Oauth, "github", 583_231_u64)).wait()?;
    /// let key = AccountKey::new("github", 583_231_u64);
    /// assert!(auth.unlink_account(&key).wait()?.is_some());
    /// assert!(auth.unlink_account(&key).wait()?.is_none());
    /// # Ok::<(), authkv::Error>(())
    /// ```
    fn unlink_account(&self, account: &AccountKey) -> Reply<Option<Account<M::Account>>>;

    /// The account with this id at this provider; the id comes first, as in Auth.js.
    ///
    /// ```
    /// # use authkv::{Adapter, AuthKv, models::*};
    /// # let auth = AuthKv::in_memory()?;
    /// let ada = auth.create_user(NewUser::email("ada@example.com")).wait()?;
    /// auth.link_account(NewAccount::new(ada.id, AccountType::Oauth, "github", 583_231_u64)).wait()?;
    /// assert!(auth.get_account(&583_231_u64.into(), "github").wait()?.is_some());
    /// # Ok::<(), authkv::Error>(())
    /// ```
    fn get_account(
        &self,
        provider_account_id: &ProviderAccountId,
        provider: &str,
    ) -> Reply<Option<Account<M::Account>>>;

    /// Creates a session. An expired session with the same token is replaced.
    ///
    /// # Errors
    /// [`UnknownUser`](crate::Error::UnknownUser), [`Conflict`](crate::Error::Conflict) when the token is in use, and
    /// [`InvalidArgument`](crate::Error::InvalidArgument).
    ///
    /// ```
    /// # use authkv::{Adapter, AuthKv, models::*};
    /// # let auth = AuthKv::in_memory()?;
    /// let expires = chrono::Utc::now() + chrono::Days::new(30);
    /// let ada = auth.create_user(NewUser::email("ada@example.com")).wait()?;
    /// let session = auth.create_session(NewSession::new("a-secret", ada.id, expires)).wait()?;
    /// assert_eq!(session.session_token.as_str(), "a-secret");
    /// # Ok::<(), authkv::Error>(())
    /// ```
    fn create_session(&self, session: NewSession<M::Session>) -> Reply<Session<M::Session>>;

    /// The session with this token and its user, both from one moment; `None` when it is unknown or has expired.
    ///
    /// ```
    /// # use authkv::{Adapter, AuthKv, models::*};
    /// # let auth = AuthKv::in_memory()?;
    /// # let expires = chrono::Utc::now() + chrono::Days::new(30);
    /// let ada = auth.create_user(NewUser::email("ada@example.com")).wait()?;
    /// auth.create_session(NewSession::new("a-secret", ada.id.clone(), expires)).wait()?;
    /// let found = auth.get_session_and_user("a-secret").wait()?.expect("it was just created");
    /// assert_eq!(found.user, ada);
    /// # Ok::<(), authkv::Error>(())
    /// ```
    fn get_session_and_user(&self, session_token: &str) -> Reply<Option<SessionAndUser<M::Session, M::User>>>;

    /// Changes what the patch names and returns the session. It never creates one: `None` when the session is unknown
    /// or has expired.
    ///
    /// # Errors
    /// [`UnknownUser`](crate::Error::UnknownUser) when the patch names a user who does not exist, and
    /// [`InvalidArgument`](crate::Error::InvalidArgument).
    ///
    /// ```
    /// # use authkv::{Adapter, AuthKv, models::*};
    /// # let auth = AuthKv::in_memory()?;
    /// # let expires = chrono::Utc::now() + chrono::Days::new(30);
    /// let ada = auth.create_user(NewUser::email("ada@example.com")).wait()?;
    /// auth.create_session(NewSession::new("a-secret", ada.id, expires)).wait()?;
    /// let later = expires + chrono::Days::new(30);
    /// let patch = SessionPatch { expires: Some(later), ..SessionPatch::new("a-secret") };
    /// assert!(auth.update_session(patch).wait()?.is_some());
    /// # Ok::<(), authkv::Error>(())
    /// ```
    fn update_session(&self, patch: SessionPatch) -> Reply<Option<Session<M::Session>>>;

    /// Removes a session, expired or not, and returns it; `None` if there is none, as with a stale cookie.
    ///
    /// ```
    /// # use authkv::{Adapter, AuthKv, models::*};
    /// # let auth = AuthKv::in_memory()?;
    /// # let expires = chrono::Utc::now() + chrono::Days::new(30);
    /// let ada = auth.create_user(NewUser::email("ada@example.com")).wait()?;
    /// auth.create_session(NewSession::new("a-secret", ada.id, expires)).wait()?;
    /// assert!(auth.delete_session("a-secret").wait()?.is_some());
    /// assert!(auth.delete_session("a-secret").wait()?.is_none());
    /// # Ok::<(), authkv::Error>(())
    /// ```
    fn delete_session(&self, session_token: &str) -> Reply<Option<Session<M::Session>>>;

    /// Stores a verification token and returns it. An identifier may have several; the same pair again replaces.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::Error::InvalidArgument).
    ///
    /// ```
    /// # use authkv::{Adapter, AuthKv, models::*};
    /// # let auth = AuthKv::in_memory()?;
    /// let expires = chrono::Utc::now() + chrono::TimeDelta::minutes(15);
    /// auth.create_verification_token(VerificationToken::new("ada@example.com", "a-secret", expires)).wait()?;
    /// # Ok::<(), authkv::Error>(())
    /// ```
    fn create_verification_token(
        &self,
        token: VerificationToken<M::VerificationToken>,
    ) -> Reply<VerificationToken<M::VerificationToken>>;

    /// Takes a verification token: of any number of concurrent calls at most one gets it. Without a match on both parts
    /// the answer is `None` and nothing is removed. An expired token is removed and returned too, as in Auth.js: accept it
    /// only if it is not [expired](VerificationToken::is_expired).
    ///
    /// Without an identifier the token alone decides, if exactly one identifier has it.
    ///
    /// ```
    /// # use authkv::{Adapter, AuthKv, models::*};
    /// # let auth = AuthKv::in_memory()?;
    /// # let expires = chrono::Utc::now() + chrono::TimeDelta::minutes(15);
    /// auth.create_verification_token(VerificationToken::new("ada@example.com", "a-secret", expires)).wait()?;
    /// assert!(auth.use_verification_token(Some("ada@example.com"), "a-guess").wait()?.is_none());
    /// let used = auth.use_verification_token(Some("ada@example.com"), "a-secret").wait()?;
    /// assert!(used.is_some_and(|token| !token.is_expired(chrono::Utc::now())));
    /// assert!(auth.use_verification_token(Some("ada@example.com"), "a-secret").wait()?.is_none());
    /// # Ok::<(), authkv::Error>(())
    /// ```
    fn use_verification_token(
        &self,
        identifier: Option<&str>,
        token: &str,
    ) -> Reply<Option<VerificationToken<M::VerificationToken>>>;

    /// Stores a WebAuthn credential of a user and returns it.
    ///
    /// # Errors
    /// [`UnknownUser`](crate::Error::UnknownUser), [`Conflict`](crate::Error::Conflict) when the credential id is
    /// taken, and [`InvalidArgument`](crate::Error::InvalidArgument).
    ///
    /// ```
    /// # use authkv::{Adapter, AuthKv, models::*};
    /// # let auth = AuthKv::in_memory()?;
    /// let ada = auth.create_user(NewUser::email("ada@example.com")).wait()?;
    /// let authenticator = Authenticator {
    ///     credential_id: "b64url".into(),
    ///     user_id: ada.id,
    ///     provider_account_id: "b64url".into(),
    ///     credential_public_key: "b64".into(),
    ///     counter: 0,
    ///     credential_device_type: "multiDevice".into(),
    ///     credential_backed_up: true,
    ///     transports: Some("internal".into()),
    /// };
    /// auth.create_authenticator(authenticator).wait()?;
    /// # Ok::<(), authkv::Error>(())
    /// ```
    fn create_authenticator(&self, authenticator: Authenticator) -> Reply<Authenticator>;

    /// The authenticator with this credential id.
    ///
    /// ```
    /// # use authkv::{Adapter, AuthKv, models::*};
    /// # let auth = AuthKv::in_memory()?;
    /// # let ada = auth.create_user(NewUser::email("ada@example.com")).wait()?;
    /// # auth.create_authenticator(Authenticator {
    /// #     credential_id: "b64url".into(),
    /// #     user_id: ada.id.clone(),
    /// #     provider_account_id: "b64url".into(),
    /// #     credential_public_key: "b64".into(),
    /// #     counter: 0,
    /// #     credential_device_type: "multiDevice".into(),
    /// #     credential_backed_up: true,
    /// #     transports: None,
    /// # }).wait()?;
    /// let found = auth.get_authenticator(&"b64url".into()).wait()?;
    /// assert_eq!(found.map(|found| found.user_id), Some(ada.id));
    /// # Ok::<(), authkv::Error>(())
    /// ```
    fn get_authenticator(&self, credential_id: &CredentialId) -> Reply<Option<Authenticator>>;

    /// Every authenticator of a user, once each, in the order of their credential ids; none for an unknown user.
    ///
    /// ```
    /// # use authkv::{Adapter, AuthKv, models::*};
    /// # let auth = AuthKv::in_memory()?;
    /// # let ada = auth.create_user(NewUser::email("ada@example.com")).wait()?;
    /// # auth.create_authenticator(Authenticator {
    /// #     credential_id: "b64url".into(),
    /// #     user_id: ada.id.clone(),
    /// #     provider_account_id: "b64url".into(),
    /// #     credential_public_key: "b64".into(),
    /// #     counter: 0,
    /// #     credential_device_type: "multiDevice".into(),
    /// #     credential_backed_up: true,
    /// #     transports: None,
    /// # }).wait()?;
    /// assert_eq!(auth.list_authenticators_by_user_id(&ada.id).wait()?.len(), 1);
    /// assert!(auth.list_authenticators_by_user_id(&"nobody".into()).wait()?.is_empty());
    /// # Ok::<(), authkv::Error>(())
    /// ```
    fn list_authenticators_by_user_id(&self, user_id: &UserId) -> Reply<Vec<Authenticator>>;

    /// Sets the signature counter and returns the authenticator.
    ///
    /// # Errors
    /// [`UnknownCredential`](crate::Error::UnknownCredential).
    ///
    /// ```
    /// # use authkv::{Adapter, AuthKv, models::*};
    /// # let auth = AuthKv::in_memory()?;
    /// # let ada = auth.create_user(NewUser::email("ada@example.com")).wait()?;
    /// # auth.create_authenticator(Authenticator {
    /// #     credential_id: "b64url".into(),
    /// #     user_id: ada.id.clone(),
    /// #     provider_account_id: "b64url".into(),
    /// #     credential_public_key: "b64".into(),
    /// #     counter: 0,
    /// #     credential_device_type: "multiDevice".into(),
    /// #     credential_backed_up: true,
    /// #     transports: None,
    /// # }).wait()?;
    /// assert_eq!(auth.update_authenticator_counter(&"b64url".into(), 7).wait()?.counter, 7);
    /// # Ok::<(), authkv::Error>(())
    /// ```
    fn update_authenticator_counter(&self, credential_id: &CredentialId, counter: u32) -> Reply<Authenticator>;
}

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
        let update = UserUpdate::new(patch, self.email_matching()).and_then(|update| {
            let id = update.id.clone();
            self.must_take::<M::User>(&update.extra, move |txn| Ok(users::get(txn, &id)?.map(|user| user.extra)))?;
            Ok(update)
        });
        match update {
            Ok(update) => self.write(move |txn| users::update(txn, &update), UserRecord::into_model),
            Err(error) => Reply::ready(Err(error)),
        }
    }

    fn delete_user(&self, id: &UserId) -> Reply<Option<User<M::User>>> {
        let id = id.clone();
        self.write(move |txn| users::delete(txn, &id), user_model)
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
        let (token, now) = (session.session_token.clone(), self.now());
        match SessionRecord::new(session, fresh_id(), now) {
            Ok(session) => self.write(
                move |txn| sessions::create(txn, &session, now).map(|()| session.clone()),
                |session| session.into_model(token),
            ),
            Err(error) => Reply::ready(Err(error)),
        }
    }

    fn get_session_and_user(&self, session_token: &str) -> Reply<Option<SessionAndUser<M::Session, M::User>>> {
        let (token, now) = (Token::from(session_token), self.now());
        let hash = token.hash();
        self.read(
            move |txn| sessions::session_and_user(txn, &hash, now),
            |found| found.map(|found| found.into_model(token)).transpose(),
        )
    }

    fn update_session(&self, patch: SessionPatch) -> Reply<Option<Session<M::Session>>> {
        let (token, now) = (patch.session_token.clone(), self.now());
        let update = SessionUpdate::new(patch).and_then(|update| {
            let hash = update.token_hash;
            self.must_take::<M::Session>(&update.extra, move |txn| {
                Ok(sessions::session_and_user(txn, &hash, now)?.map(|found| found.extra))
            })?;
            Ok(update)
        });
        match update {
            Ok(update) => self.write(
                move |txn| sessions::update(txn, &update, now),
                |session| session.map(|session| session.into_model(token)).transpose(),
            ),
            Err(error) => Reply::ready(Err(error)),
        }
    }

    fn delete_session(&self, session_token: &str) -> Reply<Option<Session<M::Session>>> {
        let token = Token::from(session_token);
        let hash = token.hash();
        self.write(
            move |txn| sessions::delete(txn, &hash),
            |session| session.map(|session| session.into_model(token)).transpose(),
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

impl<M: Models> AuthKv<M> {
    /// The verification token of this identifier, which stays where it is: for tests and support, where
    /// [`use_verification_token`](Adapter::use_verification_token) is for signing in. It may have expired.
    ///
    /// # Errors
    /// Those that every method of [`Adapter`] may answer with.
    ///
    /// ```
    /// # use authkv::{Adapter, AuthKv, models::*};
    /// # let auth = AuthKv::in_memory()?;
    /// let expires = chrono::Utc::now() + chrono::TimeDelta::minutes(15);
    /// auth.create_verification_token(VerificationToken::new("ada@example.com", "a-secret", expires)).wait()?;
    /// assert!(auth.find_verification_token("ada@example.com", "a-secret").wait()?.is_some());
    /// assert!(auth.use_verification_token(Some("ada@example.com"), "a-secret").wait()?.is_some());
    /// assert!(auth.find_verification_token("ada@example.com", "a-secret").wait()?.is_none());
    /// # Ok::<(), authkv::Error>(())
    /// ```
    pub fn find_verification_token(
        &self,
        identifier: &str,
        token: &str,
    ) -> Reply<Option<VerificationToken<M::VerificationToken>>> {
        let (identifier, token) = (identifier.to_owned(), Token::from(token));
        let hash = token.hash();
        self.read(
            move |txn| tokens::get(txn, &identifier, hash),
            |record| record.map(|record| record.into_model(token)).transpose(),
        )
    }

    /// Refuses a patch of own fields that the application's model would not take. Its code does not run where others
    /// wait for it, so the patch is tried on the fields that are stored now. It may be applied to newer ones: what fits
    /// those fits these, unless the model makes one field depend on another.
    fn must_take<X: Extra>(
        &self,
        patch: &FieldPatch,
        stored: impl Fn(&Txn<'_>) -> Result<Option<Fields>> + Send + 'static,
    ) -> Result<()> {
        if patch.is_empty() {
            return Ok(());
        }
        self.read(stored, Ok).wait()?.map_or(Ok(()), |fields| fields.must_take::<X>(patch))
    }
}

/// Ascending with time, so that new rows share pages.
fn fresh_id<I: From<String>>() -> I {
    I::from(Uuid::now_v7().to_string())
}

fn user_model<X: Extra>(user: Option<UserRecord>) -> Result<Option<User<X>>> {
    user.map(UserRecord::into_model).transpose()
}

fn account_model<X: Extra>(account: Option<AccountRecord>) -> Result<Option<Account<X>>> {
    account.map(AccountRecord::into_model).transpose()
}
