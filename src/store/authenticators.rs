//! Authenticators for applications: listed, and counted by one of several assertions.

use crate::models::{Authenticator, CredentialId, Cursor, Models, Page, UserId};
use crate::ops::authenticators;
use crate::records::AuthenticatorRecord;
use crate::reply::Reply;
use crate::store::AuthKv;
use crate::store::lists::page_limit;

impl<M: Models> AuthKv<M> {
    /// Moves the signature counter of an authenticator from the value with which an assertion was verified to the value
    /// that the assertion has. Answers true to one caller: of two assertions that are verified at once with the same
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
    /// # use authkv::{Adapter, AuthKv, models::*};
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
    /// assert!(auth.advance_counter(&"b64url".into(), 0, 1).wait()?);
    /// assert!(!auth.advance_counter(&"b64url".into(), 0, 1).wait()?, "somebody was faster");
    /// # Ok::<(), authkv::Error>(())
    /// ```
    pub fn advance_counter(&self, credential_id: &CredentialId, from: u32, to: u32) -> Reply<bool> {
        let id = credential_id.clone();
        self.write(move |txn| authenticators::advance_counter(txn, &id, from, to), Ok)
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
        user_id: &UserId,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Reply<Page<Authenticator>> {
        let (user_id, after, limit) = (user_id.clone(), after.cloned(), page_limit(limit));
        self.read(
            move |txn| authenticators::page(txn, &user_id, after.as_ref(), limit.clone()?),
            |page| page.try_map(|authenticator| Ok(AuthenticatorRecord::into_model(authenticator))),
        )
    }
}
