//! Authenticators for applications: listed, and counted by one of several assertions.

use crate::models::{Authenticator, Check, CredentialId, Cursor, Models, Page, UserId};
use crate::ops::authenticators;
use crate::records::AuthenticatorRecord;
use crate::reply::Reply;
use crate::store::AuthKv;
use crate::store::lists::page_limit;

/// # Passkeys and other authenticators
impl<M: Models> AuthKv<M> {
    /// Stores a WebAuthn credential of a user and returns it.
    ///
    /// # Errors
    /// [`UnknownUser`](crate::Error::UnknownUser), [`Conflict`](crate::Error::Conflict) when the credential id is
    /// taken, and [`InvalidArgument`](crate::Error::InvalidArgument).
    ///
    /// ```
    /// # use authkv::{AuthKv, models::*};
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
    pub fn create_authenticator(&self, authenticator: Authenticator) -> Reply<Authenticator> {
        match AuthenticatorRecord::new(authenticator, self.now_ms()) {
            Ok(record) => self.write(
                move |txn| authenticators::create(txn, &record).map(|()| record.clone()),
                |record| Ok(record.into_model()),
            ),
            Err(error) => Reply::ready(Err(error)),
        }
    }

    /// Returns the authenticator with this credential id.
    ///
    /// ```
    /// # use authkv::{AuthKv, models::*};
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
    /// let found = auth.get_authenticator("b64url").wait()?;
    /// assert_eq!(found.map(|found| found.user_id), Some(ada.id));
    /// # Ok::<(), authkv::Error>(())
    /// ```
    pub fn get_authenticator(&self, credential_id: impl Into<CredentialId>) -> Reply<Option<Authenticator>> {
        let id = credential_id.into();
        self.read(move |txn| authenticators::get(txn, &id), |record| Ok(record.map(AuthenticatorRecord::into_model)))
    }

    /// Returns every authenticator of a user once, in the order of their credential ids. An unknown user has none.
    ///
    /// ```
    /// # use authkv::{AuthKv, models::*};
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
    /// assert!(auth.list_authenticators_by_user_id("nobody").wait()?.is_empty());
    /// # Ok::<(), authkv::Error>(())
    /// ```
    pub fn list_authenticators_by_user_id(&self, user_id: impl Into<UserId>) -> Reply<Vec<Authenticator>> {
        let id = user_id.into();
        self.read(
            move |txn| authenticators::list(txn, &id),
            |records| Ok(records.into_iter().map(AuthenticatorRecord::into_model).collect()),
        )
    }

    /// Sets the signature counter and returns the authenticator. A counter never goes back: one that is lower than the
    /// stored one, 0 included, may come from a copy of the authenticator, and is refused. An equal one is taken, because
    /// many authenticators do not count and always send 0. To find out which of two assertions with one counter was
    /// first, use [`AuthKv::advance_counter`](crate::AuthKv::advance_counter).
    ///
    /// # Errors
    /// [`UnknownCredential`](crate::Error::UnknownCredential), and [`InvalidArgument`](crate::Error::InvalidArgument)
    /// with the field `counter` when it is lower than the stored one. Nothing was written then.
    ///
    /// ```
    /// # use authkv::{AuthKv, models::*};
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
    /// assert_eq!(auth.update_authenticator_counter("b64url", 7).wait()?.counter, 7);
    /// assert!(auth.update_authenticator_counter("b64url", 6).wait().is_err(), "it went back");
    /// # Ok::<(), authkv::Error>(())
    /// ```
    pub fn update_authenticator_counter(
        &self,
        credential_id: impl Into<CredentialId>,
        counter: u32,
    ) -> Reply<Authenticator> {
        let id = credential_id.into();
        self.write(move |txn| authenticators::update_counter(txn, &id, counter), |record| Ok(record.into_model()))
    }

    /// Moves the signature counter of an authenticator from the value with which an assertion was verified to the value
    /// that the assertion has. One caller passes: of two assertions that are verified at once with the same
    /// counter, as after an authenticator was copied, one is let in.
    ///
    /// Answers false, and changes nothing, if the stored counter is not `from`, or `to` is not greater. An authenticator
    /// that does not count stays at 0; from 0 to 0 the answer is true to everybody.
    ///
    /// # Errors
    /// [`UnknownCredential`](crate::Error::UnknownCredential), and the errors of every writing method of
    /// [`Adapter`](crate::Adapter).
    ///
    /// ```
    /// # use authkv::{AuthKv, models::*};
    /// # let auth = AuthKv::in_memory()?;
    /// # let ada = auth.create_user(NewUser::email("ada@example.com")).wait()?;
    /// # auth.create_authenticator(Authenticator {
    /// #     credential_id: "b64url".into(),
    /// #     user_id: ada.id.clone(),
    /// #     provider_account_id: "b64url".into(),
    /// #     credential_public_key: "b64".into(),
    /// #     counter: 0,
    /// #     credential_device_type: "singleDevice".into(),
    /// #     credential_backed_up: false,
    /// #     transports: None,
    /// # }).wait()?;
    /// assert!(auth.advance_counter("b64url", 0, 1).wait()?.has_passed());
    /// assert!(!auth.advance_counter("b64url", 0, 1).wait()?.has_passed(), "somebody was faster");
    /// # Ok::<(), authkv::Error>(())
    /// ```
    pub fn advance_counter(&self, credential_id: impl Into<CredentialId>, from: u32, to: u32) -> Reply<Check> {
        let id = credential_id.into();
        self.write(
            move |txn| authenticators::advance_counter(txn, &id, from, to),
            |is_first| Ok(is_first.then_some(()).into()),
        )
    }

    /// A page of the authenticators of a user, in the order of their credential ids. `after` is the
    /// [`next`](Page::next) of the previous page; a page has at most `limit` authenticators, from 1 to 1,000.
    /// [`list_authenticators_by_user_id`](crate::Adapter::list_authenticators_by_user_id) returns them all.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::Error::InvalidArgument) for another limit, and the errors of every reading method of
    /// [`Adapter`](crate::Adapter).
    pub fn list_authenticators(
        &self,
        user_id: impl Into<UserId>,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Reply<Page<Authenticator>> {
        let (user_id, after, limit) = (user_id.into(), after.cloned(), page_limit(limit));
        self.read(
            move |txn| authenticators::page(txn, &user_id, after.as_ref(), limit.clone()?),
            |page| page.try_map(|authenticator| Ok(AuthenticatorRecord::into_model(authenticator))),
        )
    }
}
