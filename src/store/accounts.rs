//! Accounts with providers as an application uses them: signed in with, refreshed, listed and unlinked.

use crate::kv::txn::Txn;
use crate::models::{Account, AccountKey, AccountPatch, Models, MustLeave, NewUser, ProviderAccount, SignIn, UserId};
use crate::ops::{accounts, sign_in};
use crate::records::{AccountRecord, AccountUpdate, SessionRecord, UserRecord};
use crate::reply::Reply;
use crate::store::AuthKv;
use crate::store::adapter::{account_model, fresh_id};

/// How many accounts are listed at most.
const ACCOUNTS_MAX: usize = 1_000;

impl<M: Models> AuthKv<M> {
    /// Signs in who has come back from a provider, in one step that is done whole or not at all:
    ///
    /// - If the account is linked already, its user signs in. The account gets the OAuth tokens that are given; those that
    ///   are not, and its own fields, stay as they are, and so does the user.
    /// - Otherwise, if somebody has the e-mail address of `user`, verified or not, nothing is written and
    ///   [`EmailInUse`](SignIn::EmailInUse) says who. Nothing is ever linked because of an address.
    /// - Otherwise user and account are created.
    ///
    /// The new session is one of [`start_session`](Self::start_session). Whoever is not told how it went, because the
    /// process died or the outcome is unknown, can call again.
    ///
    /// Set `email_verified` only if the provider says that it has verified the address, and you trust it to.
    ///
    /// # Errors
    /// [`Conflict`](crate::Error::Conflict) when an id or an own field with a unique index is taken,
    /// [`InvalidArgument`](crate::Error::InvalidArgument) also for a user who need not be created,
    /// [`Storage`](crate::Error::Storage) also when the operating system has no randomness to give, and those that every
    /// writing method of [`Adapter`](crate::Adapter) may answer with.
    ///
    /// ```
    /// use authkv::models::{AccountType, NewUser, ProviderAccount, SignIn};
    /// use authkv::{Adapter, AuthKv};
    ///
    /// # let auth = AuthKv::in_memory()?;
    /// let github = || ProviderAccount::new(AccountType::Oauth, "github", 583_231_u64);
    /// match auth.sign_in_with_account(github(), NewUser::email("ada@example.com"), ()).wait()? {
    ///     SignIn::Done(done) => {
    ///         assert!(done.is_new_user);
    ///         // Put done.session.session_token into a cookie.
    ///     }
    ///     SignIn::EmailInUse(_) => unreachable!("nobody has the address"),
    /// }
    ///
    /// // Another account with the same address might be somebody else's.
    /// let google = || ProviderAccount::new(AccountType::Oidc, "google", "1077");
    /// let again = auth.sign_in_with_account(google(), NewUser::email("Ada@example.com"), ()).wait()?;
    /// let SignIn::EmailInUse(held) = again else { unreachable!("it is no account of the user") };
    ///
    /// // Keep it until the visitor has signed in with the first one, and link it then.
    /// let SignIn::Done(done) = auth.sign_in_with_account(github(), NewUser::default(), ()).wait()? else {
    ///     unreachable!("it is an account of the user")
    /// };
    /// assert!(!done.is_new_user && done.user.id == held.user_id);
    /// auth.link_account(google().of_user(done.user.id)).wait()?;
    /// # Ok::<(), authkv::Error>(())
    /// ```
    pub fn sign_in_with_account(
        &self,
        account: ProviderAccount<M::Account>,
        user: NewUser<M::User>,
        session: M::Session,
    ) -> Reply<SignIn<M::User, M::Account, M::Session>> {
        let now = self.now();
        let records = UserRecord::new(user, fresh_id, self.email_matching(), now).and_then(|user| {
            let account = AccountRecord::new(account.of_user(user.id.clone()), fresh_id, now)?;
            let session = self.fresh_session(user.id.clone(), session)?;
            let token = session.session_token.clone();
            Ok((user, account, SessionRecord::new(session, fresh_id(), now)?, token))
        });
        match records {
            Ok((user, account, session, token)) => self.write(
                move |txn| sign_in::with_account(txn, &user, &account, &session, now),
                |outcome| outcome.into_model(token),
            ),
            Err(error) => Reply::ready(Err(error)),
        }
    }

    /// Changes an account, and answers what it is now; none if there is none. A patch of a field leaves the others as they
    /// are.
    ///
    /// # Errors
    /// [`Conflict`](crate::Error::Conflict) when an own field with a unique index is taken,
    /// [`InvalidArgument`](crate::Error::InvalidArgument), and those that every writing method of
    /// [`Adapter`](crate::Adapter) may answer with.
    ///
    /// ```
    /// # use authkv::models::{AccountKey, AccountPatch, AccountType, Change, NewAccount, NewUser};
    /// # use authkv::{Adapter, AuthKv};
    /// # let auth = AuthKv::in_memory()?;
    /// # let ada = auth.create_user(NewUser::default()).wait()?;
    /// # auth.link_account(NewAccount::new(ada.id, AccountType::Oauth, "github", 583_231_u64)).wait()?;
    /// // The provider has answered with a new access token.
    /// let patch = AccountPatch {
    ///     access_token: Change::to("gho_…"),
    ///     expires_at: Change::Set(1_735_736_400),
    ///     ..AccountPatch::new(AccountKey::new("github", 583_231_u64))
    /// };
    /// let account = auth.update_account(patch).wait()?.expect("it is linked");
    /// assert_eq!(account.expires_at, Some(1_735_736_400));
    /// # Ok::<(), authkv::Error>(())
    /// ```
    pub fn update_account(&self, patch: AccountPatch) -> Reply<Option<Account<M::Account>>> {
        let update = match AccountUpdate::new(patch) {
            Ok(update) => update,
            Err(error) => return Reply::ready(Err(error)),
        };
        let (account, patch) = (update.account().clone(), update.extra().clone());
        let stored = move |txn: &Txn<'_>| Ok(accounts::get(txn, &account)?.map(|account| account.extra));
        self.if_taken::<M::Account, _>(patch, stored, move |auth, is_there| match is_there {
            true => auth.write(move |txn| accounts::update(txn, &update), account_model),
            false => Reply::ready(Ok(None)),
        })
    }

    /// The accounts of a user, in the order of their ids and 1,000 at most; those that the store made are in the order in
    /// which they were linked.
    ///
    /// # Errors
    /// Those that every reading method of [`Adapter`](crate::Adapter) may answer with.
    pub fn list_accounts(&self, user_id: &UserId) -> Reply<Vec<Account<M::Account>>> {
        let user_id = user_id.clone();
        self.read(
            move |txn| accounts::list(txn, &user_id, ACCOUNTS_MAX),
            |accounts| accounts.into_iter().map(AccountRecord::into_model).collect(),
        )
    }

    /// Unlinks an account of a user, as somebody does who sees it in a list; answers what it was, or none if this user has
    /// no such account. So nobody unlinks the account of another one. The authenticators of a WebAuthn account go with it;
    /// sessions stay.
    ///
    /// [`unlink_account`](crate::Adapter::unlink_account) is the method of Auth.js, which asks for neither the user nor what
    /// is left to them.
    ///
    /// # Errors
    /// [`LastWayToSignIn`](crate::Error::LastWayToSignIn) when less would be left to the user than `must_leave` says, and
    /// those that every writing method of [`Adapter`](crate::Adapter) may answer with.
    ///
    /// ```
    /// use authkv::models::{AccountKey, AccountType, MustLeave, NewAccount, NewUser};
    /// use authkv::{Adapter, AuthKv, Error};
    ///
    /// # let auth = AuthKv::in_memory()?;
    /// let ada = auth.create_user(NewUser::email("ada@example.com")).wait()?;
    /// auth.link_account(NewAccount::new(ada.id.clone(), AccountType::Oauth, "github", 583_231_u64)).wait()?;
    ///
    /// let github = AccountKey::new("github", 583_231_u64);
    /// let refused = auth.unlink_account_of(&ada.id, &github, MustLeave::AccountOrEmail).wait();
    /// assert!(matches!(refused, Err(Error::LastWayToSignIn)), "the address is not verified");
    ///
    /// auth.link_account(NewAccount::new(ada.id.clone(), AccountType::Oidc, "google", "1077")).wait()?;
    /// assert!(auth.unlink_account_of(&ada.id, &github, MustLeave::Account).wait()?.is_some());
    /// # Ok::<(), authkv::Error>(())
    /// ```
    pub fn unlink_account_of(
        &self,
        user_id: &UserId,
        account: &AccountKey,
        must_leave: MustLeave,
    ) -> Reply<Option<Account<M::Account>>> {
        let (user_id, account) = (user_id.clone(), account.clone());
        self.write(move |txn| accounts::unlink_of(txn, &user_id, &account, must_leave), account_model)
    }
}
