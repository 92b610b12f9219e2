//! Authenticators for applications: listed.

use crate::models::{Authenticator, Cursor, Models, Page, UserId};
use crate::ops::authenticators;
use crate::records::AuthenticatorRecord;
use crate::reply::Reply;
use crate::store::AuthKv;
use crate::store::lists::page_limit;

impl<M: Models> AuthKv<M> {
    /// A page of the authenticators of a user, in the order of their credential ids. `after` is the
    /// [`next`](Page::next) of the previous page; a page has at most `limit` authenticators, from 1 to 1,000.
    /// [`list_authenticators_by_user_id`](crate::Adapter::list_authenticators_by_user_id) returns them all.
    ///
    /// # Errors
    /// The errors of every reading method of [`Adapter`](crate::Adapter).
    pub fn list_authenticators(
        &self,
        user_id: &UserId,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Reply<Page<Authenticator>> {
        let (user_id, after, limit) = (user_id.clone(), after.cloned(), page_limit(limit));
        self.read(
            move |txn| authenticators::page(txn, &user_id, after.as_ref(), limit),
            |page| page.try_map(|authenticator| Ok(AuthenticatorRecord::into_model(authenticator))),
        )
    }
}
