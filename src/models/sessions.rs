//! Sessions: that a browser is signed in.

use chrono::{DateTime, Utc};

use super::{FieldPatch, SessionId, User, UserId};
use crate::models::Token;

/// A signed-in browser or device.
#[derive(Clone, Debug, PartialEq)]
pub struct Session<X = ()> {
    /// The id; unlike the token it is no secret.
    pub id: SessionId,
    /// The secret in the browser's cookie. The store keeps only its SHA-256; this is the one that the caller passed.
    pub session_token: Token,
    /// Who is signed in.
    pub user_id: UserId,
    /// The last instant at which the session is valid.
    pub expires: DateTime<Utc>,
    /// The application's own fields.
    pub extra: X,
}

/// A session as it is listed: without its token, which the store does not know.
#[derive(Clone, Debug, PartialEq)]
pub struct SessionInfo<X = ()> {
    /// The id.
    pub id: SessionId,
    /// Who is signed in.
    pub user_id: UserId,
    /// When it was created.
    pub created: DateTime<Utc>,
    /// When it was last extended, or created.
    pub extended: DateTime<Utc>,
    /// The last instant at which the session is valid.
    pub expires: DateTime<Utc>,
    /// The application's own fields.
    pub extra: X,
}

/// A session to create.
#[derive(Clone, Debug, PartialEq)]
pub struct NewSession<X = ()> {
    /// The secret for the browser's cookie: unguessable, at least 128 bits from a cryptographic generator.
    pub session_token: Token,
    /// Who signs in; must exist.
    pub user_id: UserId,
    /// The last instant at which the session is valid.
    pub expires: DateTime<Utc>,
    /// The application's own fields.
    pub extra: X,
}

impl<X: Default> NewSession<X> {
    /// A session that ends by itself after `expires`.
    pub fn new(session_token: impl Into<Token>, user_id: impl Into<UserId>, expires: DateTime<Utc>) -> Self {
        Self { session_token: session_token.into(), user_id: user_id.into(), expires, extra: X::default() }
    }
}

impl<X> Session<X> {
    /// The same, with these own fields instead.
    #[must_use]
    pub fn with_extra<Y>(self, extra: Y) -> Session<Y> {
        Session { id: self.id, session_token: self.session_token, user_id: self.user_id, expires: self.expires, extra }
    }
}

impl<X> NewSession<X> {
    /// The same, with these own fields instead.
    #[must_use]
    pub fn with_extra<Y>(self, extra: Y) -> NewSession<Y> {
        NewSession { session_token: self.session_token, user_id: self.user_id, expires: self.expires, extra }
    }
}

/// What to change about a session. A field that is none stays as it is.
#[derive(Clone, Debug)]
pub struct SessionPatch {
    /// Which session.
    pub session_token: Token,
    /// Hands the session to another user, who must exist.
    pub user_id: Option<UserId>,
    /// A new last instant at which the session is valid.
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
pub struct SessionAndUser<S = (), U = ()> {
    /// The session.
    pub session: Session<S>,
    /// The user.
    pub user: User<U>,
}
