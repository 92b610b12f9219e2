//! Users: the people who can sign in.

use std::fmt;

use chrono::{DateTime, Utc};

use super::{Change, FieldPatch, UserId};
use crate::models::{Redacted, TokenHash};

/// A person who can sign in.
#[derive(Clone, PartialEq)]
pub struct User<X = ()> {
    /// The id. It never changes.
    pub id: UserId,
    /// The name to show.
    pub name: Option<String>,
    /// The e-mail address, as it was spelled when it was given. At most one user has it.
    pub email: Option<String>,
    /// When the user proved to own the address.
    pub email_verified: Option<DateTime<Utc>>,
    /// The URL of a picture.
    pub image: Option<String>,
    /// When the user was created (UTC).
    pub created: DateTime<Utc>,
    /// The application's own fields.
    pub extra: X,
}

/// A user to create. An empty name, e-mail address or picture counts as absent.
///
/// ```
/// use authkv::models::NewUser;
///
/// let ada = NewUser { name: Some("Ada Lovelace".into()), ..NewUser::email("ada@example.com") };
/// # let _: NewUser = ada;
/// ```
#[derive(Clone, Default, PartialEq)]
pub struct NewUser<X = ()> {
    /// The id. `None` to have one generated.
    pub id: Option<UserId>,
    /// The name to show.
    pub name: Option<String>,
    /// The e-mail address. It must be free.
    pub email: Option<String>,
    /// When the user proved to own the address.
    pub email_verified: Option<DateTime<Utc>>,
    /// The URL of a picture.
    pub image: Option<String>,
    /// The application's own fields.
    pub extra: X,
}

impl<X: Default> NewUser<X> {
    /// A user with nothing but an e-mail address.
    pub fn email(email: impl Into<String>) -> Self {
        Self::email_with(email, X::default())
    }
}

impl<X> NewUser<X> {
    /// A user with nothing but own fields, for a model without [`Default`].
    ///
    /// ```
    /// # struct Profile { handle: String }
    /// use authkv::models::NewUser;
    ///
    /// let ada = NewUser { name: Some("Ada".into()), ..NewUser::with(Profile { handle: "ada".into() }) };
    /// ```
    pub fn with(extra: X) -> Self {
        Self { id: None, name: None, email: None, email_verified: None, image: None, extra }
    }

    /// A user with an e-mail address and own fields.
    pub fn email_with(email: impl Into<String>, extra: X) -> Self {
        Self { email: Some(email.into()), ..Self::with(extra) }
    }
}

impl<X> User<X> {
    /// Returns this user with other own fields.
    #[must_use]
    pub fn with_extra<Y>(self, extra: Y) -> User<Y> {
        User {
            id: self.id,
            name: self.name,
            email: self.email,
            email_verified: self.email_verified,
            image: self.image,
            created: self.created,
            extra,
        }
    }
}

impl<X> NewUser<X> {
    /// Returns this user with other own fields.
    #[must_use]
    pub fn with_extra<Y>(self, extra: Y) -> NewUser<Y> {
        NewUser {
            id: self.id,
            name: self.name,
            email: self.email,
            email_verified: self.email_verified,
            image: self.image,
            extra,
        }
    }
}

/// Changes to a user.
///
/// ```
/// use authkv::models::{Change, UserPatch};
///
/// let patch = UserPatch { name: Change::to("Ada King"), image: Change::Clear, ..UserPatch::new("an-id") };
/// ```
#[derive(Clone)]
pub struct UserPatch {
    /// The user to change.
    pub id: UserId,
    /// The name to show.
    pub name: Change<String>,
    /// The e-mail address. A new one must be free and not empty, and the old one becomes free in the same step. To leave
    /// the user without an address, clear it.
    ///
    /// Another address is unproven: [`email_verified`](User::email_verified) is cleared, unless this patch sets it to a new
    /// instant. One that equals the stored instant counts as not set, since it proved the old address. What the stored
    /// instant was is forgotten then, so a patch that repeats an old one proves the address when it is applied again: set
    /// `email_verified` only where somebody has just proven the address, and never from a copy of the user.
    ///
    /// Another spelling of the same address, as [`EmailMatching`](crate::EmailMatching) compares them, keeps the proof.
    /// Clearing the address always clears it.
    pub email: Change<String>,
    /// When the user proved to own the address.
    pub email_verified: Change<DateTime<Utc>>,
    /// The URL of a picture.
    pub image: Change<String>,
    /// The application's own fields.
    pub extra: FieldPatch,
}

impl UserPatch {
    /// A patch that changes nothing yet.
    pub fn new(id: impl Into<UserId>) -> Self {
        Self {
            id: id.into(),
            name: Change::Keep,
            email: Change::Keep,
            email_verified: Change::Keep,
            image: Change::Keep,
            extra: FieldPatch::new(),
        }
    }
}

impl<X> fmt::Debug for User<X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User")
            .field("id", &self.id)
            .field("name", &Redacted(&self.name))
            .field("email", &Redacted(&self.email))
            .field("email_verified", &self.email_verified)
            .field("created", &self.created)
            .finish_non_exhaustive()
    }
}

impl<X> fmt::Debug for NewUser<X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewUser")
            .field("id", &self.id)
            .field("name", &Redacted(&self.name))
            .field("email", &Redacted(&self.email))
            .field("email_verified", &self.email_verified)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for UserPatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserPatch").field("id", &self.id).field("extra", &self.extra).finish_non_exhaustive()
    }
}

impl UserId {
    /// The hash by which the store knows, after it has deleted the user, that it had one with this id.
    pub(crate) fn trace(&self) -> TokenHash {
        TokenHash::within("deleted user", self.as_str())
    }
}
