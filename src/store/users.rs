//! Users: created, found, changed and deleted.

use crate::error::{Error, Result};
use crate::kv::txn::Txn;
use crate::models::{AccountKey, Extra, Models, NewUser, User, UserId, UserPatch};
use crate::ops::users;
use crate::records::{Email, UserRecord, UserUpdate};
use crate::reply::Reply;
use crate::store::{AuthKv, fresh_id};

impl<M: Models> AuthKv<M> {
    /// Creates a user and returns it. The user gets a fresh id if none is given. An empty name, e-mail address or picture
    /// counts as absent.
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
        match UserRecord::new(user, fresh_id, self.email_matching(), self.now()) {
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
    /// [`EmailMatching`](crate::EmailMatching) says.
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
        let email = Email::new(email.to_owned(), self.email_matching());
        self.read(move |txn| users::by_email(txn, email.normal_form()), user_model)
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

    /// Changes the fields that the patch names, and no others, and returns the user. A new e-mail address is taken and
    /// the old one freed in the same step.
    ///
    /// # Errors
    /// [`UnknownUser`](crate::Error::UnknownUser), [`Conflict`](crate::Error::Conflict) when another user has the
    /// e-mail address or the value of an own field with a unique index, and
    /// [`InvalidArgument`](crate::Error::InvalidArgument), also for an empty e-mail address: clear it instead.
    ///
    /// ```
    /// # use authkv::{AuthKv, models::*};
    /// # let auth = AuthKv::in_memory()?;
    /// let ada = auth.create_user(NewUser::email("ada@example.com")).wait()?;
    /// let patch = UserPatch { name: Change::to("Ada"), email: Change::Clear, ..UserPatch::new(ada.id) };
    /// let ada = auth.update_user(patch).wait()?;
    /// assert_eq!((ada.name.as_deref(), ada.email), (Some("Ada"), None));
    /// # Ok::<(), authkv::Error>(())
    /// ```
    pub fn update_user(&self, patch: UserPatch) -> Reply<User<M::User>> {
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

    /// Removes a user with all accounts, sessions and authenticators, and returns the user, or `None` if there is none.
    /// Verification tokens belong to an identifier and stay.
    ///
    /// [`Adapter::delete_user`] says more.
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
