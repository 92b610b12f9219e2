//! Accounts with providers for applications: updated, listed and unlinked.

use crate::error::Result;
use crate::models::{Account, AccountKey, AccountPatch, Cursor, Extra, Models, MustLeave, NewAccount, Page, UserId};
use crate::ops::accounts;
use crate::records::{AccountRecord, AccountUpdate};
use crate::reply::Reply;
use crate::store::lists::page_limit;
use crate::store::shown::Trial;
use crate::store::{AuthKv, fresh_id};

/// # Accounts with providers
impl<M: Models> AuthKv<M> {
    /// Links an account to a user and returns it. The account gets a fresh id if none is given.
    ///
    /// # Errors
    /// [`UnknownUser`](crate::Error::UnknownUser), [`Conflict`](crate::Error::Conflict) when the pair of provider and
    /// provider account id is already linked, even to the same user, or when the id or the value of an own field with a
    /// unique index is taken, and [`InvalidArgument`](crate::Error::InvalidArgument).
    ///
    /// ```
    /// # use authkv::{AuthKv, models::*};
    /// # let auth = AuthKv::in_memory()?;
    /// let ada = auth.create_user(NewUser::email("ada@example.com")).wait()?;
    /// let account = NewAccount {
    ///     scope: Some("read:user".into()),
    ///     ..NewAccount::new(ada.id, AccountType::Oauth, "github", 583_231_u64)
    /// };
    /// assert_eq!(auth.link_account(account).wait()?.provider, "github");
    /// # Ok::<(), authkv::Error>(())
    /// ```
    pub fn link_account(&self, account: NewAccount<M::Account>) -> Reply<Account<M::Account>> {
        let account = AccountRecord::new(account, fresh_id, self.now_ms());
        match account.and_then(|account| self.completed(account)) {
            Ok(account) => self
                .write(move |txn| accounts::link(txn, &account).map(|()| account.clone()), AccountRecord::into_model),
            Err(error) => Reply::ready(Err(error)),
        }
    }

    /// Removes this account and returns it, or `None` if there is none, whoever's it is and even if it is the last way in
    /// which its user can sign in; [`unlink_account_of`](Self::unlink_account_of) looks. With a WebAuthn account, the user's
    /// authenticators with the same provider account id are removed too. Sessions stay.
    ///
    /// ```
    /// # use authkv::{AuthKv, models::*};
    /// # let auth = AuthKv::in_memory()?;
    /// let ada = auth.create_user(NewUser::email("ada@example.com")).wait()?;
    /// auth.link_account(NewAccount::new(ada.id, AccountType::Oauth, "github", 583_231_u64)).wait()?;
    /// let key = AccountKey::new("github", 583_231_u64);
    /// assert!(auth.unlink_account(&key).wait()?.is_some());
    /// assert!(auth.unlink_account(&key).wait()?.is_none());
    /// # Ok::<(), authkv::Error>(())
    /// ```
    pub fn unlink_account(&self, account: impl Into<AccountKey>) -> Reply<Option<Account<M::Account>>> {
        let account = account.into();
        self.write(move |txn| accounts::unlink(txn, &account), account_model)
    }

    /// Returns the account with this key.
    ///
    /// ```
    /// # use authkv::{AuthKv, models::*};
    /// # let auth = AuthKv::in_memory()?;
    /// let ada = auth.create_user(NewUser::email("ada@example.com")).wait()?;
    /// auth.link_account(NewAccount::new(ada.id, AccountType::Oauth, "github", 583_231_u64)).wait()?;
    /// assert!(auth.get_account(AccountKey::new("github", 583_231_u64)).wait()?.is_some());
    /// # Ok::<(), authkv::Error>(())
    /// ```
    pub fn get_account(&self, account: impl Into<AccountKey>) -> Reply<Option<Account<M::Account>>> {
        let account = account.into();
        self.read(move |txn| accounts::get(txn, &account), account_model)
    }

    /// Changes an account and answers its new state, or `None` if there is no such account. Fields without a patch stay
    /// unchanged.
    ///
    /// # Errors
    /// [`Conflict`](crate::Error::Conflict) when an own field with a unique index is taken,
    /// [`InvalidArgument`](crate::Error::InvalidArgument), and the errors of every writing method of
    /// [`Adapter`](crate::Adapter).
    ///
    /// ```
    /// # use authkv::models::{AccountKey, AccountPatch, AccountType, Change, NewAccount, NewUser};
    /// # use authkv::AuthKv;
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
        if !self.clears_indexed::<AccountRecord>(update.extra()) {
            return self.change_account(update);
        }
        let tried = update.clone();
        self.with_absentees(
            move |txn| accounts::update(txn, &tried),
            move |auth, absentees| auth.change_account(update.completed(absentees)),
        )
    }

    fn change_account(&self, update: AccountUpdate) -> Reply<Option<Account<M::Account>>> {
        let (trial, patch) = (Trial::of_patch::<M::Account>(update.extra()), update.extra().clone());
        self.write_shown(
            trial,
            move |txn| accounts::update(txn, &update),
            |account| account.as_ref().map(|account| account.extra.clone()),
            move |account| {
                let Some(account) = account else { return Ok(None) };
                account.extra.check_patched::<M::Account>(&patch)?;
                account.into_model().map(Some)
            },
        )
    }

    /// A page of the accounts of a user, in the order of their ids. Ids created by the store are in the order of
    /// linking. `after` is the [`next`](Page::next) of the previous page; a page has at most `limit` accounts, from 1 to
    /// 1,000. Each page is read from one snapshot.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::Error::InvalidArgument) for another limit, and the errors of every reading method of
    /// [`Adapter`](crate::Adapter).
    pub fn list_accounts(
        &self,
        user_id: impl Into<UserId>,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Reply<Page<Account<M::Account>>> {
        let (user_id, after, limit) = (user_id.into(), after.cloned(), page_limit(limit));
        self.read(
            move |txn| accounts::page(txn, &user_id, after.as_ref(), limit.clone()?),
            |page| page.try_map(AccountRecord::into_model),
        )
    }

    /// Unlinks one of a user's accounts, for example from a list that the user sees. Answers the unlinked account, or
    /// `None` if this user has no such account, so nobody can unlink another user's account. The authenticators of a
    /// WebAuthn account are removed with it; sessions stay.
    ///
    /// [`unlink_account`](crate::Adapter::unlink_account) is the method of Auth.js. It checks neither the user nor
    /// which ways to sign in are left to them.
    ///
    /// # Errors
    /// [`LastWayToSignIn`](crate::Error::LastWayToSignIn) when less would be left to the user than `must_leave`
    /// demands, and the errors of every writing method of [`Adapter`](crate::Adapter).
    ///
    /// ```
    /// use authkv::models::{AccountKey, AccountType, MustLeave, NewAccount, NewUser};
    /// use authkv::{AuthKv, Error};
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
        user_id: impl Into<UserId>,
        account: impl Into<AccountKey>,
        must_leave: MustLeave,
    ) -> Reply<Option<Account<M::Account>>> {
        let (user_id, account) = (user_id.into(), account.into());
        self.write(move |txn| accounts::unlink_of(txn, &user_id, &account, must_leave), account_model)
    }
}

pub(crate) fn account_model<X: Extra>(account: Option<AccountRecord>) -> Result<Option<Account<X>>> {
    account.map(AccountRecord::into_model).transpose()
}
