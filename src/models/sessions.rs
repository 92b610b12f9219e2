//! Sessions: signed-in browsers and devices.

use chrono::{DateTime, Utc};

use super::{FieldPatch, SessionId, User, UserId};
use crate::models::Token;

/// A signed-in browser or device.
#[derive(Clone, Debug, PartialEq)]
pub struct Session<X = ()> {
    /// The id. Unlike the token, it is not secret.
    pub id: SessionId,
    /// The secret in the browser's cookie. The store keeps only its SHA-256. This value is the one that the caller
    /// passed.
    pub session_token: Token,
    /// The user who is signed in.
    pub user_id: UserId,
    /// The session is valid until this instant (UTC), inclusive.
    pub expires: DateTime<Utc>,
    /// The application's own fields.
    pub extra: X,
}

/// A session in a list. It lacks the token, which the store does not know.
#[derive(Clone, Debug, PartialEq)]
pub struct SessionInfo<X = ()> {
    /// The id.
    pub id: SessionId,
    /// The user who is signed in.
    pub user_id: UserId,
    /// When the session was created.
    pub created: DateTime<Utc>,
    /// When the session was last extended, or created.
    pub extended: DateTime<Utc>,
    /// The session is valid until this instant (UTC), inclusive.
    pub expires: DateTime<Utc>,
    /// The application's own fields.
    pub extra: X,
}

/// A session to create.
#[derive(Clone, Debug, PartialEq)]
pub struct NewSession<X = ()> {
    /// The secret for the browser's cookie. It must be unguessable: at least 128 bits from a cryptographic generator.
    pub session_token: Token,
    /// The user who signs in. The user must exist.
    pub user_id: UserId,
    /// The session is valid until this instant (UTC), inclusive.
    pub expires: DateTime<Utc>,
    /// The application's own fields.
    pub extra: X,
}

impl<X: Default> NewSession<X> {
    /// A session that expires after `expires`.
    pub fn new(session_token: impl Into<Token>, user_id: impl Into<UserId>, expires: DateTime<Utc>) -> Self {
        Self::new_with(session_token, user_id, expires, X::default())
    }
}

impl<X> NewSession<X> {
    /// Like [`new`](Self::new), with own fields.
    pub fn new_with(
        session_token: impl Into<Token>,
        user_id: impl Into<UserId>,
        expires: DateTime<Utc>,
        extra: X,
    ) -> Self {
        Self { session_token: session_token.into(), user_id: user_id.into(), expires, extra }
    }
}

impl<X> Session<X> {
    /// Returns this session with other own fields.
    #[must_use]
    pub fn with_extra<Y>(self, extra: Y) -> Session<Y> {
        Session { id: self.id, session_token: self.session_token, user_id: self.user_id, expires: self.expires, extra }
    }
}

impl<X> NewSession<X> {
    /// Returns this session with other own fields.
    #[must_use]
    pub fn with_extra<Y>(self, extra: Y) -> NewSession<Y> {
        NewSession { session_token: self.session_token, user_id: self.user_id, expires: self.expires, extra }
    }
}

/// Changes to a session. A field that is `None` stays as it is.
#[derive(Clone, Debug)]
pub struct SessionPatch {
    /// The session to change.
    pub session_token: Token,
    /// Hands the session to another user, who must exist.
    pub user_id: Option<UserId>,
    /// The new expiry. The session is valid until this instant (UTC), inclusive. It counts as an extension: a session that
    /// the store made ends at the [maximum age](crate::Options::session_max_age) from now at the latest.
    pub expires: Option<DateTime<Utc>>,
    /// The application's own fields.
    pub extra: FieldPatch,
}

impl SessionPatch {
    /// A patch that changes nothing yet.
    pub fn new(session_token: impl Into<Token>) -> Self {
        Self { session_token: session_token.into(), user_id: None, expires: None, extra: FieldPatch::new() }
    }
}

/// A valid session and the user who is signed in, both from one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct SessionAndUser<U = (), S = ()> {
    /// The session.
    pub session: Session<S>,
    /// The user.
    pub user: User<U>,
}

/// Who makes a request, as [`authenticate`](crate::AuthKv::authenticate) finds them.
#[derive(Clone, Debug, PartialEq)]
pub struct Authenticated<U = (), S = ()> {
    /// The user.
    pub user: User<U>,
    /// The session, as it was before this request.
    pub session: Session<S>,
    /// The instant (UTC) to which this request extends the session: set the cookie again, with the same token and this
    /// expiry. `None` if it does not extend it.
    pub extended: Option<DateTime<Utc>>,
}
