//! Calls on a transaction of the application's, beside its own rows.

use crate::engine::redb::WriteTransaction;
use crate::error::Result;
use crate::kv::txn::{Txn, with_indexes};
use crate::models::{
    Account, EmailSignIn, Models, NewAccount, NewUser, Proof, ProviderAccount, Session, SignIn, User, UserId,
    UserPatch, Visitor,
};
use crate::ops::{accounts, sessions, users};
use crate::records::{AccountRecord, UserRecord, UserUpdate};
use crate::store::sessions::fresh_session;
use crate::store::{AuthKv, fresh_id};

/// # In a transaction of the application's own
///
/// Calls on a write transaction of the application's: its own rows and the store's change in one step, or neither does.
///
/// They are for stores on a database that the application shares, opened with [`open_shared`](crate::Options::open_shared)
/// or [`on_database`](crate::Options::on_database), and take a transaction that was begun on that database. A call runs on
/// the calling thread and returns its result, not a [`Reply`](crate::Reply): it waits for nothing. What it has changed is
/// stored when the application commits the transaction, with the transaction's durability, and gone when it does not.
///
/// A call that returns an error has changed nothing, and the transaction can go on, but for one case: if redb fails while
/// the call changes rows, the transaction is refused when it is committed
/// ([`TransactionPoisoned`](redb::CommitError::TransactionPoisoned), or redb's own error).
///
/// Other calls see nothing of the transaction before it is committed, and everything afterwards:
/// [`authenticate`](AuthKv::authenticate) too, whatever it had in its cache. Writing calls wait until the transaction has
/// ended, so make none inside of it. What is left to remove of a deleted user with many sessions is removed afterwards, in the
/// background.
///
/// In async code, run all of it where blocking is allowed, as in tokio's `spawn_blocking`: beginning may wait, and the commit
/// syncs the file. If the commit fails ([`CommitError`](redb::CommitError)), it is not known whether it was done, as with
/// [`OutcomeUnknown`](crate::Error::OutcomeUnknown).
///
/// Nothing that counts guesses or uses up a proof has such a form: a transaction that is aborted would undo it, and the code,
/// link or state could be used again. Use it up first, and then begin the transaction.
///
/// ## Errors
///
/// Those of the method without `_in`, as far as they concern its arguments, and
/// - [`InvalidArgument`](crate::Error::InvalidArgument) for `transaction` if the store is on no shared database, or the
///   transaction is of another database; nothing is written to that one, and no table is made in it. A copy of the file has
///   the store's id too, and is not told from it;
/// - [`Busy`](crate::Error::Busy) while another call works on the same transaction, or the application has one of the
///   store's tables open;
/// - [`Storage`](crate::Error::Storage), and [`Closed`](crate::Error::Closed).
impl<M: Models> AuthKv<M> {
    /// Begins a write transaction on the database that the store shares with the application. Its commit has two phases,
    /// as those of the store have, so that damage cannot make a part of it look whole after a crash;
    /// [`Database::begin_write`](redb::Database::begin_write) begins one without. And it does not wait for ever: while
    /// another one is open, for [`wait_for_transaction`](crate::Options::wait_for_transaction).
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::Error::InvalidArgument) for a store that shares no database,
    /// [`Busy`](crate::Error::Busy), [`Storage`](crate::Error::Storage) and [`Closed`](crate::Error::Closed).
    ///
    /// ```
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("app.redb");
    /// use authkv::AuthKv;
    /// use authkv::redb::TableDefinition;
    ///
    /// const NOTES: TableDefinition<u64, &str> = TableDefinition::new("notes");
    ///
    /// let (auth, _db) = AuthKv::open_shared(&path)?;
    /// let own = auth.begin_write()?;
    /// own.open_table(NOTES)?.insert(1, "a note")?;
    /// own.commit()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn begin_write(&self) -> Result<WriteTransaction> {
        self.engine().begin_write()
    }

    /// Creates a user like [`create_user`](Self::create_user), in the application's own transaction.
    ///
    /// # Errors
    /// The errors of [`create_user`](Self::create_user), [`InvalidArgument`](crate::Error::InvalidArgument) when the
    /// transaction is not of the store's shared database, and [`Busy`](crate::Error::Busy) while another call works on it.
    ///
    /// ```
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("app.redb");
    /// use authkv::models::NewUser;
    /// use authkv::redb::{Database, TableDefinition};
    /// use authkv::AuthKv;
    /// use std::sync::Arc;
    ///
    /// const PLANS: TableDefinition<&str, &str> = TableDefinition::new("plans");
    ///
    /// let db = Arc::new(Database::create(&path)?);
    /// let auth = AuthKv::options().on_database(Arc::clone(&db))?;
    /// let both = db.begin_write()?;
    /// let ada = auth.create_user_in(&both, NewUser::email("ada@example.com"))?;
    /// both.open_table(PLANS)?.insert(ada.id.as_str(), "premium")?;
    /// both.commit()?;
    ///
    /// assert_eq!(auth.get_user(&ada.id).wait()?, Some(ada));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn create_user_in(&self, transaction: &WriteTransaction, user: NewUser<M::User>) -> Result<User<M::User>> {
        let user = self.completed(UserRecord::new(user, fresh_id, self.email_matching(), self.now_ms())?)?;
        let create = |txn: &mut Txn<'_>| users::create(txn, &user).map(|()| user.clone());
        self.run_in(transaction, create, UserRecord::into_model)
    }

    /// The user with this id as the transaction sees it, with what it has changed.
    ///
    /// # Errors
    /// As for [`create_user_in`](Self::create_user_in).
    pub fn get_user_in(&self, transaction: &WriteTransaction, id: impl Into<UserId>) -> Result<Option<User<M::User>>> {
        let id = id.into();
        let get = |txn: &mut Txn<'_>| users::get(txn, &id);
        self.run_in(transaction, get, |user| user.map(UserRecord::into_model).transpose())
    }

    /// Changes a user like [`update_user`](Self::update_user), in the application's own transaction.
    ///
    /// # Errors
    /// The errors of [`update_user`](Self::update_user), and as for [`create_user_in`](Self::create_user_in).
    ///
    /// ```
    /// # use authkv::models::{Change, NewUser, UserPatch};
    /// # use authkv::{AuthKv, redb::Database};
    /// # let folder = tempfile::tempdir()?;
    /// # let db = std::sync::Arc::new(Database::create(folder.path().join("app.redb"))?);
    /// # let auth = AuthKv::options().on_database(db.clone())?;
    /// let ada = auth.create_user(NewUser::email("ada@example.com")).wait()?;
    /// let both = db.begin_write()?;
    /// let patch = UserPatch { name: Change::Set("Ada".into()), ..UserPatch::new(ada.id.clone()) };
    /// auth.update_user_in(&both, patch)?;
    /// both.abort()?; // for example because an own row could not be changed
    ///
    /// assert_eq!(auth.get_user(&ada.id).wait()?, Some(ada), "neither is");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn update_user_in(&self, transaction: &WriteTransaction, patch: UserPatch) -> Result<User<M::User>> {
        let mut update = UserUpdate::new(patch, self.email_matching())?;
        if self.clears_indexed::<UserRecord>(&update.extra) {
            let trial = |txn: &mut Txn<'_>| txn.trying(|txn| users::update(txn, &update));
            let patched = self.run_in(transaction, trial, Ok)?;
            update.extra = update.extra.completed(self.absentees(&patched)?);
        }
        let change = |txn: &mut Txn<'_>| users::update(txn, &update);
        self.run_in(transaction, change, |user| {
            user.extra.check_patched::<M::User>(&update.extra)?;
            user.into_model()
        })
    }

    /// Deletes a user like [`delete_user`](Self::delete_user), in the application's own transaction. Returns whether there
    /// was one: the user is deleted also if their own fields do not fit the models.
    ///
    /// A user with more than 256 accounts, authenticators and sessions loses the others after the transaction was
    /// committed, in the background. No call finds them meanwhile.
    ///
    /// # Errors
    /// The errors of [`delete_user`](Self::delete_user), and as for [`create_user_in`](Self::create_user_in).
    ///
    /// ```
    /// # use authkv::models::NewUser;
    /// # use authkv::{AuthKv, redb::{Database, TableDefinition}};
    /// # const NOTES: TableDefinition<&str, &str> = TableDefinition::new("notes");
    /// # let folder = tempfile::tempdir()?;
    /// # let db = std::sync::Arc::new(Database::create(folder.path().join("app.redb"))?);
    /// # let auth = AuthKv::options().on_database(db.clone())?;
    /// let ada = auth.create_user(NewUser::email("ada@example.com")).wait()?;
    /// let token = auth.start_session(&ada.id).wait()?.session_token;
    ///
    /// let both = db.begin_write()?;
    /// both.open_table(NOTES)?.remove(ada.id.as_str())?;
    /// assert!(auth.delete_user_in(&both, &ada.id)?);
    /// both.commit()?;
    /// assert!(!auth.authenticate(token.reveal()).wait()?.has_passed());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn delete_user_in(&self, transaction: &WriteTransaction, id: impl Into<UserId>) -> Result<bool> {
        let id = id.into();
        let trace = id.trace();
        let delete = |txn: &mut Txn<'_>| users::delete(txn, &id, &trace).map(|user| user.is_some());
        self.run_in(transaction, delete, Ok)
    }

    /// Links an account like [`link_account`](Self::link_account), in the application's own transaction.
    ///
    /// # Errors
    /// The errors of [`link_account`](Self::link_account), and as for [`create_user_in`](Self::create_user_in).
    pub fn link_account_in(
        &self,
        transaction: &WriteTransaction,
        account: NewAccount<M::Account>,
    ) -> Result<Account<M::Account>> {
        let account = self.completed(AccountRecord::new(account, fresh_id, self.now_ms())?)?;
        let link = |txn: &mut Txn<'_>| accounts::link(txn, &account).map(|()| account.clone());
        self.run_in(transaction, link, AccountRecord::into_model)
    }

    /// Starts a session like [`start_session_with`](Self::start_session_with), in the application's own transaction. Its
    /// token is of use once that was committed.
    ///
    /// # Errors
    /// The errors of [`start_session`](Self::start_session), and as for [`create_user_in`](Self::create_user_in).
    pub fn start_session_in(
        &self,
        transaction: &WriteTransaction,
        user_id: impl Into<UserId>,
        extra: M::Session,
    ) -> Result<Session<M::Session>> {
        let as_of = self.as_of();
        let (session, token) = fresh_session(user_id.into(), extra, as_of)?;
        let start = |txn: &mut Txn<'_>| sessions::create(txn, &session, as_of).map(|()| session.clone());
        self.run_in(transaction, start, |session| session.into_model(token, as_of.max_age))
    }

    /// Signs a visitor in like [`sign_in_with_account_with`](Self::sign_in_with_account_with), in the application's own
    /// transaction, so that a new user's own rows come with them.
    ///
    /// # Errors
    /// The errors of [`sign_in_with_account`](Self::sign_in_with_account), and as for
    /// [`create_user_in`](Self::create_user_in).
    ///
    /// ```
    /// # use authkv::models::{AccountType, NewUser, ProviderAccount, SignIn};
    /// # use authkv::{AuthKv, redb::{Database, TableDefinition}};
    /// # const PLANS: TableDefinition<&str, &str> = TableDefinition::new("plans");
    /// # let folder = tempfile::tempdir()?;
    /// # let db = std::sync::Arc::new(Database::create(folder.path().join("app.redb"))?);
    /// # let auth = AuthKv::options().on_database(db.clone())?;
    /// let github = ProviderAccount::new(AccountType::Oauth, "github", 583_231_u64);
    /// let both = db.begin_write()?;
    /// if let SignIn::Done(done) = auth.sign_in_with_account_in(&both, github, NewUser::email("ada@example.com"), ())? {
    ///     if done.is_new_user {
    ///         both.open_table(PLANS)?.insert(done.user.id.as_str(), "free")?;
    ///     }
    ///     both.commit()?;
    ///     // Put done.session.session_token into a cookie.
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn sign_in_with_account_in(
        &self,
        transaction: &WriteTransaction,
        account: ProviderAccount<M::Account>,
        user: NewUser<M::User>,
        session: M::Session,
    ) -> Result<SignIn<M::User, M::Account, M::Session>> {
        let (visitor, token) = self.visitor_with_account(account, user, session)?;
        let max_age = visitor.as_of.max_age;
        self.run_in(transaction, |txn| visitor.sign_in(txn), |outcome| outcome.into_model(token, max_age))
    }

    /// Signs a visitor in like [`sign_in_with_email_with`](Self::sign_in_with_email_with), in the application's own
    /// transaction, which may be aborted. So it takes no link, which would be used up: the application has proven the
    /// address, as with [`Proof::Own`].
    ///
    /// # Errors
    /// The errors of [`sign_in_with_email`](Self::sign_in_with_email), and as for
    /// [`create_user_in`](Self::create_user_in).
    pub fn sign_in_with_email_in(
        &self,
        transaction: &WriteTransaction,
        address: &str,
        user: NewUser<M::User>,
        session: M::Session,
        from: Visitor<'_>,
    ) -> Result<EmailSignIn<M::User, M::Session>> {
        let (visitor, token) = self.visitor_with_email(Proof::Own { address }, user, session, from)?;
        let max_age = visitor.as_of.max_age;
        self.run_in(transaction, |txn| visitor.sign_in(txn), |outcome| outcome.into_model(token, max_age))
    }

    fn run_in<R, T>(
        &self,
        transaction: &WriteTransaction,
        op: impl Fn(&mut Txn<'_>) -> Result<R>,
        finish: impl FnOnce(R) -> Result<T>,
    ) -> Result<T> {
        self.engine().run_in(transaction, with_indexes(self.indexes().clone(), op), finish)
    }
}
