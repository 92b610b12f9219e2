//! Users: created, found, changed and deleted.

use crate::error::Result;
use crate::kv::txn::Txn;
use crate::models::{AccountKey, Cursor, Extra, Models, NewUser, Page, User, UserId, UserPatch};
use crate::ops::users;
use crate::records::{Email, UserRecord, UserUpdate};
use crate::reply::Reply;
use crate::store::lists::page_limit;
use crate::store::shown::Trial;
use crate::store::{AuthKv, fresh_id};

/// # Users
impl<M: Models> AuthKv<M> {
    /// Creates a user and returns it. The user gets a fresh id if none is given. An empty name, e-mail address or picture
    /// counts as absent. An address may be any text, but with no blanks around it.
    ///
    /// # Errors
    /// [`Conflict`](crate::Error::Conflict) when the id, the e-mail address or the value of an own field with a unique
    /// index is taken, and [`InvalidArgument`](crate::Error::InvalidArgument).
    ///
    /// ```
    /// use authkv::models::NewUser;
    /// use authkv::{AuthKv, Error, UniqueKey};
    ///
    /// let auth = AuthKv::in_memory()?;
    /// let ada = auth.create_user(NewUser::email("ada@example.com")).wait()?;
    /// let again = auth.create_user(NewUser::email("Ada@example.com")).wait();
    /// assert!(matches!(again, Err(Error::Conflict(UniqueKey::Email))));
    /// # Ok::<(), Error>(())
    /// ```
    #[doc(alias = "register")]
    #[doc(alias = "sign_up")]
    pub fn create_user(&self, user: NewUser<M::User>) -> Reply<User<M::User>> {
        let user = UserRecord::new(user, fresh_id, self.email_matching(), self.now_ms());
        match user.and_then(|user| self.completed(user)) {
            Ok(user) => self.write(move |txn| users::create(txn, &user).map(|()| user.clone()), UserRecord::into_model),
            Err(error) => Reply::ready(Err(error)),
        }
    }

    /// Returns the user with this id.
    ///
    /// ```
    /// # use authkv::models::NewUser;
    /// # use authkv::AuthKv;
    /// # let auth = AuthKv::in_memory()?;
    /// let ada = auth.create_user(NewUser::email("ada@example.com")).wait()?;
    /// assert_eq!(auth.get_user(&ada.id).wait()?, Some(ada));
    /// assert_eq!(auth.get_user("nobody").wait()?, None);
    /// # Ok::<(), authkv::Error>(())
    /// ```
    pub fn get_user(&self, id: impl Into<UserId>) -> Reply<Option<User<M::User>>> {
        let id = id.into();
        self.read(move |txn| users::get(txn, &id), user_model)
    }

    /// Returns the user with this e-mail address. Addresses are compared as the store's
    /// [`EmailMatching`](crate::EmailMatching) says; blanks around the one given are ignored.
    ///
    /// ```
    /// # use authkv::models::NewUser;
    /// # use authkv::AuthKv;
    /// # let auth = AuthKv::in_memory()?;
    /// auth.create_user(NewUser::email("Ada@Example.com")).wait()?;
    /// let ada = auth.get_user_by_email("ada@example.com").wait()?.expect("she was just created");
    /// assert_eq!(ada.email.as_deref(), Some("Ada@Example.com"));
    /// # Ok::<(), authkv::Error>(())
    /// ```
    pub fn get_user_by_email(&self, email: &str) -> Reply<Option<User<M::User>>> {
        let given = Email::new(email.to_owned(), self.email_matching());
        if email.trim().len() == email.len() {
            return self.read(move |txn| users::by_email(txn, given.normal_form()), user_model);
        }
        let typed = Email::typed(email, self.email_matching());
        let find = move |txn: &Txn<'_>| match users::by_email(txn, given.normal_form())? {
            None => users::by_email(txn, typed.normal_form()),
            // An address with blanks around it may be in a file in which they were not refused yet.
            found => Ok(found),
        };
        self.read(find, user_model)
    }

    /// Returns the user to whom this account is linked.
    ///
    /// ```
    /// # use authkv::{AuthKv, models::*};
    /// # let auth = AuthKv::in_memory()?;
    /// let ada = auth.create_user(NewUser::email("ada@example.com")).wait()?;
    /// auth.link_account(NewAccount::new(ada.id.clone(), AccountType::Oauth, "github", 583_231_u64)).wait()?;
    /// let found = auth.get_user_by_account(AccountKey::new("github", "583231")).wait()?;
    /// assert_eq!(found, Some(ada));
    /// # Ok::<(), authkv::Error>(())
    /// ```
    pub fn get_user_by_account(&self, account: impl Into<AccountKey>) -> Reply<Option<User<M::User>>> {
        let account = account.into();
        self.read(move |txn| users::by_account(txn, &account), user_model)
    }

    /// A page of all users, in the order of their ids. Ids that the store made ascend with time, so these users come oldest
    /// first. `after` is the [`next`](Page::next) of the previous page; a page has at most `limit` users, from 1 to 1,000.
    /// Each page is read from one snapshot.
    ///
    /// # Errors
    /// [`Misfit`](crate::Error::Misfit) for a page with a user whose own fields do not fit the models,
    /// [`InvalidArgument`](crate::Error::InvalidArgument) for another limit, and the errors of every reading method of
    /// [`Adapter`](crate::Adapter).
    ///
    /// ```
    /// # use authkv::{AuthKv, models::NewUser};
    /// # let auth = AuthKv::in_memory()?;
    /// for name in ["ada", "bob", "eve"] {
    ///     auth.create_user(NewUser::email(format!("{name}@example.com"))).wait()?;
    /// }
    ///
    /// let (mut listed, mut after) = (0, None);
    /// loop {
    ///     let page = auth.list_users(after.as_ref(), 2).wait()?;
    ///     listed += page.items.len();
    ///     after = page.next;
    ///     if after.is_none() {
    ///         break;
    ///     }
    /// }
    /// assert_eq!(listed, 3);
    /// assert_eq!(auth.count_users().wait()?, 3);
    /// # Ok::<(), authkv::Error>(())
    /// ```
    pub fn list_users(&self, after: Option<&Cursor>, limit: usize) -> Reply<Page<User<M::User>>> {
        let (after, limit) = (after.cloned(), page_limit(limit));
        self.read(
            move |txn| users::page(txn, after.as_ref(), limit.clone()?),
            |page| page.try_map(UserRecord::into_model),
        )
    }

    /// How many users there are. It takes as long as one lookup.
    ///
    /// # Errors
    /// The errors of every reading method of [`Adapter`](crate::Adapter).
    pub fn count_users(&self) -> Reply<u64> {
        self.read(users::count, Ok)
    }

    /// Changes the fields that the patch names, and no others, and returns the user. A new e-mail address is taken and
    /// the old one freed in the same step. It is unproven from then on, unless the patch
    /// [sets a new proof](crate::models::UserPatch::email).
    ///
    /// # Errors
    /// [`UnknownUser`](crate::Error::UnknownUser), [`Conflict`](crate::Error::Conflict) when another user has the
    /// e-mail address or the value of an own field with a unique index, and
    /// [`InvalidArgument`](crate::Error::InvalidArgument), also for an empty e-mail address: clear it instead.
    ///
    /// ```
    /// # use authkv::{AuthKv, models::*};
    /// # let auth = AuthKv::in_memory()?;
    /// let ada = NewUser { email_verified: Some(auth.now()), ..NewUser::email("ada@example.com") };
    /// let ada = auth.create_user(ada).wait()?;
    /// let patch = UserPatch { name: Change::to("Ada"), email: Change::to("ada@example.org"), ..UserPatch::new(ada.id) };
    /// let ada = auth.update_user(patch).wait()?;
    /// assert_eq!((ada.name.as_deref(), ada.email.as_deref()), (Some("Ada"), Some("ada@example.org")));
    /// assert!(ada.email_verified.is_none(), "the proof was of the old address");
    /// # Ok::<(), authkv::Error>(())
    /// ```
    pub fn update_user(&self, patch: UserPatch) -> Reply<User<M::User>> {
        let update = match UserUpdate::new(patch, self.email_matching()) {
            Ok(update) => update,
            Err(error) => return Reply::ready(Err(error)),
        };
        if !self.clears_indexed::<UserRecord>(&update.extra) {
            return self.change_user(update);
        }
        let tried = update.clone();
        self.with_absentees(
            move |txn| users::update(txn, &tried).map(Some),
            move |auth, absentees| auth.change_user(UserUpdate { extra: update.extra.completed(absentees), ..update }),
        )
    }

    fn change_user(&self, update: UserUpdate) -> Reply<User<M::User>> {
        let (trial, patch) = (Trial::of_patch::<M::User>(&update.extra), update.extra.clone());
        self.write_shown(
            trial,
            move |txn| users::update(txn, &update),
            |user| user.extra.clone(),
            move |user| {
                user.extra.check_patched::<M::User>(&patch)?;
                user.into_model()
            },
        )
    }

    /// Removes a user with all accounts, sessions and authenticators, and returns the user, or `None` if there is none.
    /// Verification tokens belong to an identifier and stay.
    ///
    /// [`Adapter::delete_user`](crate::Adapter::delete_user) says more.
    ///
    /// ```
    /// # use authkv::{AuthKv, models::*};
    /// # let auth = AuthKv::in_memory()?;
    /// # let expires = chrono::Utc::now() + chrono::Days::new(30);
    /// let ada = auth.create_user(NewUser::email("ada@example.com")).wait()?;
    /// auth.create_session(NewSession::new("a-secret", ada.id.clone(), expires)).wait()?;
    /// assert_eq!(auth.delete_user(&ada.id).wait()?.map(|user| user.id), Some(ada.id));
    /// assert_eq!(auth.get_session_and_user("a-secret").wait()?, None);
    /// # Ok::<(), authkv::Error>(())
    /// ```
    #[doc(alias = "remove")]
    pub fn delete_user(&self, id: impl Into<UserId>) -> Reply<Option<User<M::User>>> {
        let id = id.into();
        let trace = id.trace();
        self.write(move |txn| users::delete(txn, &id, &trace), user_model)
    }
}

fn user_model<X: Extra>(user: Option<UserRecord>) -> Result<Option<User<X>>> {
    user.map(UserRecord::into_model).transpose()
}
