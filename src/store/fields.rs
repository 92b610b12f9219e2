//! Lookups by the application's own fields.

use crate::error::{Error, Problem, Result};
use crate::kv::txn::Txn;
use crate::models::{Account, Cursor, FieldKey, FieldRange, Index, Models, Page, RangeOf, User, Value};
use crate::ops::pages::PageLimit;
use crate::ops::{accounts, users};
use crate::records::{AccountRecord, UserRecord};
use crate::reply::Reply;
use crate::store::AuthKv;
use crate::store::declared::IndexedFields;
use crate::store::lists::page_limit;

/// # Lookups by own fields
impl<M: Models> AuthKv<M> {
    /// The user with this value in a field with a unique index.
    ///
    /// # Errors
    /// [`InvalidArgument`](Error::InvalidArgument) when the field has no unique index in
    /// [`USER_INDEXES`](Models::USER_INDEXES), or has another kind of value in the model; and the errors of every method of [`Adapter`](crate::Adapter).
    ///
    /// ```
    /// use authkv::models::{Index, Models, NewUser};
    /// use authkv::{AuthKv, Error, UniqueKey};
    /// use serde::{Deserialize, Serialize};
    ///
    /// #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
    /// struct Profile {
    ///     phone_number: Option<String>,
    /// }
    ///
    /// struct Shop;
    ///
    /// impl Models for Shop {
    ///     const NAME: &'static str = "shop";
    ///     const VERSION: u32 = 1;
    ///     type User = Profile;
    ///     type Account = ();
    ///     type Session = ();
    ///     type VerificationToken = ();
    ///     const USER_INDEXES: &'static [Index] = &[Index::unique("phone_number")];
    /// }
    ///
    /// let auth = AuthKv::options().models::<Shop>().in_memory()?;
    /// let ada = NewUser {
    ///     extra: Profile { phone_number: Some("+44 20 7946 0018".into()) },
    ///     ..NewUser::email("ada@example.com")
    /// };
    /// let user = auth.create_user(ada.clone()).wait()?;
    /// assert_eq!(auth.get_user_by("phone_number", "+44 20 7946 0018").wait()?, Some(user));
    ///
    /// let impostor = NewUser { email: None, ..ada };
    /// let refused = auth.create_user(impostor).wait();
    /// assert!(matches!(refused, Err(Error::Conflict(UniqueKey::Field(name))) if name == "phone_number"));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn get_user_by(&self, field: &str, value: impl Into<Value>) -> Reply<Option<User<M::User>>> {
        let value = value.into();
        let index = unique_index_on(&self.indexes().users, field, &self.shapes().users, &value);
        self.get_by(index, value, users::by_field, UserRecord::into_model)
    }

    /// The account with this value in a field with a unique index. Otherwise like [`get_user_by`](Self::get_user_by).
    ///
    /// # Errors
    /// The errors of [`get_user_by`](Self::get_user_by).
    pub fn get_account_by(&self, field: &str, value: impl Into<Value>) -> Reply<Option<Account<M::Account>>> {
        let value = value.into();
        let index = unique_index_on(&self.indexes().accounts, field, &self.shapes().accounts, &value);
        self.get_by(index, value, accounts::by_field, AccountRecord::into_model)
    }

    /// A page of the users whose value of an indexed field is in a range, in the order of the values. `after` is the
    /// position where the previous page ended; a page has at most `limit` users, from 1 to 1,000.
    ///
    /// Each page is read from one snapshot. A record that changes between two pages may be in both or in neither.
    ///
    /// # Errors
    /// [`InvalidArgument`](Error::InvalidArgument) when the field has no index in
    /// [`USER_INDEXES`](Models::USER_INDEXES), or for another limit, and the errors of every method of
    /// [`Adapter`](crate::Adapter).
    ///
    /// ```
    /// use authkv::models::{FieldRange, Index, Models, NewUser};
    /// use authkv::AuthKv;
    /// # use serde::{Deserialize, Serialize};
    /// # #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
    /// # struct Profile { plan: String }
    /// # struct Shop;
    /// # impl Models for Shop {
    /// #     const NAME: &'static str = "shop";
    /// #     const VERSION: u32 = 1;
    /// #     type User = Profile;
    /// #     type Account = ();
    /// #     type Session = ();
    /// #     type VerificationToken = ();
    /// #     const USER_INDEXES: &'static [Index] = &[Index::new("plan")];
    /// # }
    ///
    /// let auth = AuthKv::options().models::<Shop>().in_memory()?;
    /// for plan in ["basic", "premium", "premium"] {
    ///     auth.create_user(NewUser { extra: Profile { plan: plan.into() }, ..NewUser::default() }).wait()?;
    /// }
    ///
    /// let mut premium = 0;
    /// let mut after = None;
    /// loop {
    ///     let page = auth.list_users_by("plan", FieldRange::only("premium"), after.as_ref(), 1).wait()?;
    ///     premium += page.items.len();
    ///     after = page.next;
    ///     if after.is_none() {
    ///         break;
    ///     }
    /// }
    /// assert_eq!(premium, 2);
    /// # Ok::<(), authkv::Error>(())
    /// ```
    pub fn list_users_by(
        &self,
        field: &str,
        range: FieldRange,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Reply<Page<User<M::User>>> {
        let index = index_on(&self.indexes().users, field);
        self.list_by(index, range, after, limit, users::list_by_field, UserRecord::into_model)
    }

    /// A page of the accounts whose value of an indexed field is in a range. Otherwise like
    /// [`list_users_by`](Self::list_users_by), except that accounts of deleted users that are not removed yet are left
    /// out: behind 5,000 accounts that were read for it a page ends, although it may have fewer accounts than `limit`.
    ///
    /// # Errors
    /// The errors of [`list_users_by`](Self::list_users_by).
    pub fn list_accounts_by(
        &self,
        field: &str,
        range: FieldRange,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Reply<Page<Account<M::Account>>> {
        let index = index_on(&self.indexes().accounts, field);
        self.list_by(index, range, after, limit, accounts::list_by_field, AccountRecord::into_model)
    }

    fn get_by<R: Send + 'static, T: Send + 'static>(
        &self,
        index: Result<Index>,
        value: Value,
        op: fn(&Txn<'_>, &str, &FieldKey) -> Result<Option<R>>,
        into_model: fn(R) -> Result<T>,
    ) -> Reply<Option<T>> {
        match (index, FieldKey::of(value)) {
            (Ok(index), Ok(Some(key))) => {
                self.read(move |txn| op(txn, &index.field, &key), move |found| found.map(into_model).transpose())
            }
            // No record has a value that cannot be indexed.
            (Ok(_), _) => Reply::ready(Ok(None)),
            (Err(error), _) => Reply::ready(Err(error)),
        }
    }

    fn list_by<R: Send + 'static, T: Send + 'static>(
        &self,
        index: Result<Index>,
        range: FieldRange,
        after: Option<&Cursor>,
        limit: usize,
        op: ListOp<R>,
        into_model: fn(R) -> Result<T>,
    ) -> Reply<Page<T>> {
        let (after, limit) = (after.cloned(), page_limit(limit));
        match index {
            Ok(index) => self.read(
                move |txn| op(txn, &index.field, &range.0, after.as_ref(), limit.clone()?),
                move |page| page.try_map(into_model),
            ),
            Err(error) => Reply::ready(Err(error)),
        }
    }
}

type ListOp<R> = fn(&Txn<'_>, &str, &RangeOf, Option<&Cursor>, PageLimit) -> Result<Page<R>>;

fn index_on(indexes: &[Index], field: &str) -> Result<Index> {
    let index = indexes.iter().find(|index| index.field == field).cloned();
    index.ok_or_else(|| Error::invalid(field.to_owned(), Problem::NotIndexed))
}

fn unique_index_on(indexes: &[Index], field: &str, fields: &IndexedFields, value: &Value) -> Result<Index> {
    let index = index_on(indexes, field)?;
    fields.check_kind(field, value)?;
    if index.unique { Ok(index) } else { Err(Error::invalid(index.field, Problem::NotUnique)) }
}
