//! A backend of [axum-login](https://docs.rs/axum-login) 0.18, behind the feature `axum-login`.
//!
//! axum-login signs people in and out in an axum application. It needs two things from this crate: the sessions, which
//! are [`WebSessions`](crate::WebSessions), and a [`Backend`], which finds users. The application decides how somebody
//! proves who they are: it implements [`CheckCredentials`]. The example here accepts links sent by e-mail;
//! the program in `examples/axum_login` has one with passwords.
//!
//! ```
//! use authkv::axum_login::{Backend, CheckCredentials};
//! use authkv::models::{SIGN_IN, User, UserId};
//! use authkv::{Adapter, AuthKv, Error, WebSessions};
//! # use axum_login::axum; // an application depends on axum itself
//! use axum_login::AuthManagerLayerBuilder;
//! use axum_login::tower_sessions::SessionManagerLayer;
//!
//! struct Links;
//!
//! struct Link {
//!     email: String,
//!     token: String,
//! }
//!
//! impl CheckCredentials for Links {
//!     type Credentials = Link;
//!     type Error = Error;
//!
//!     async fn find(&self, auth: &AuthKv, link: &Link) -> Result<Option<UserId>, Error> {
//!         Ok(auth.get_user_by_email(&link.email).await?.map(|user| user.id))
//!     }
//!
//!     async fn verify(&self, auth: &AuthKv, _: Option<&User>, link: Link) -> Result<bool, Error> {
//!         Ok(auth.verify_link_token(SIGN_IN, &link.email, &link.token).await?.passed().is_some())
//!     }
//! }
//!
//! let auth = AuthKv::in_memory()?;
//! let sessions = SessionManagerLayer::new(WebSessions::new(auth.clone()));
//! let sign_in = AuthManagerLayerBuilder::new(Backend::new(auth, Links), sessions).build();
//! let app: axum::Router = axum::Router::new().layer(sign_in);
//! # Ok::<(), Error>(())
//! ```
//!
//! # Signing out everywhere
//!
//! [`AuthKv::end_all_sessions`] ends a user's sessions and changes the **security stamp**. axum-login copies the stamp into
//! each session at sign-in and compares it at each request. So sessions that are stored elsewhere, or were just being
//! created, end too. A user with the id of a deleted one has another stamp as well. When a password changes, call
//! [`Backend::sign_out_elsewhere`], which keeps the current browser signed in.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use ::axum_login::{AuthSession, AuthUser, AuthnBackend};

use crate::error::Error;
use crate::models::{Extra, Models, User, UserId};
use crate::ops::users;
use crate::records::UserRecord;
use crate::reply::Reply;
use crate::store::AuthKv;

/// The application's way to check who somebody is.
pub trait CheckCredentials<M: Models = ()>: Send + Sync + 'static {
    /// What somebody submits: an e-mail address and a password, for example.
    type Credentials: Send + Sync + 'static;
    /// Errors of the store and of anything else that the check depends on.
    type Error: std::error::Error + From<Error> + Send + Sync + 'static;

    /// Finds the user whom the credentials claim to be; `None` if there is no such user. Nothing is proven yet.
    ///
    /// # Errors
    /// When the user cannot be looked up.
    fn find(
        &self,
        auth: &AuthKv<M>,
        credentials: &Self::Credentials,
    ) -> impl Future<Output = Result<Option<UserId>, Self::Error>> + Send;

    /// Returns true if the credentials prove that it is this user. Without a user it is called with `None`, so that it
    /// can take as long as for any other; nobody is signed in then, whatever it returns.
    ///
    /// The user, with the security stamp, was read before this call. So if a stolen password is being changed and the
    /// user signs out everywhere meanwhile, a session from the old password ends with the rest.
    ///
    /// # Errors
    /// When the credentials cannot be checked.
    fn verify(
        &self,
        auth: &AuthKv<M>,
        user: Option<&User<M::User>>,
        credentials: Self::Credentials,
    ) -> impl Future<Output = Result<bool, Self::Error>> + Send;
}

/// The users of an [`AuthKv`], for axum-login. The handle is cheap to clone.
pub struct Backend<C, M: Models = ()> {
    auth: AuthKv<M>,
    check: Arc<C>,
}

impl<C: CheckCredentials<M>, M: Models> Backend<C, M> {
    /// The users of a store, whose credentials `check` verifies.
    pub fn new(auth: AuthKv<M>, check: C) -> Self {
        Self { auth, check: Arc::new(check) }
    }

    /// The store.
    pub fn auth(&self) -> &AuthKv<M> {
        &self.auth
    }

    /// Signs the user of a session out everywhere else and gives the current browser a new session with the same data.
    /// Call it after a password change. It does nothing if nobody is signed in.
    ///
    /// # Errors
    /// The errors of [`AuthKv::end_all_sessions`] and of the session store. The user may be signed out already when it
    /// fails.
    pub async fn sign_out_elsewhere(here: &mut AuthSession<Self>) -> Result<(), ::axum_login::Error<Self>> {
        let Some(id) = here.user.as_ref().map(AuthUser::id) else {
            return Ok(());
        };
        let failed = |error: Error| ::axum_login::Error::Backend(error.into());
        here.backend.auth.end_all_sessions(&id).await.map_err(failed)?;
        match here.backend.find(&id).await.map_err(failed)? {
            Some(user) => {
                here.session.cycle_id().await?;
                here.login(&user).await
            }
            None => here.logout().await.map(drop),
        }
    }

    fn find(&self, id: &UserId) -> Reply<Option<StampedUser<M::User>>> {
        let id = id.clone();
        self.auth.read(move |txn| users::get(txn, &id), |user| user.map(StampedUser::new).transpose())
    }
}

impl<C: CheckCredentials<M>, M: Models> AuthnBackend for Backend<C, M> {
    type User = StampedUser<M::User>;
    type Credentials = C::Credentials;
    type Error = C::Error;

    async fn authenticate(&self, credentials: C::Credentials) -> Result<Option<Self::User>, C::Error> {
        let user = match self.check.find(&self.auth, &credentials).await? {
            Some(id) => self.find(&id).await?,
            None => None,
        };
        let is_proven = self.check.verify(&self.auth, user.as_deref(), credentials).await?;
        Ok(user.filter(|_| is_proven))
    }

    async fn get_user(&self, id: &UserId) -> Result<Option<Self::User>, C::Error> {
        Ok(self.find(id).await?)
    }
}

/// A user with the security stamp at the time of reading.
#[derive(Clone)]
pub struct StampedUser<X = ()> {
    user: User<X>,
    stamp: [u8; 12],
}

impl<X: Extra> StampedUser<X> {
    fn new(user: UserRecord) -> Result<Self, Error> {
        let mut stamp = [0; 12];
        let (created, sign_outs) = stamp.split_at_mut(8);
        created.copy_from_slice(&user.created.since_epoch().to_be_bytes());
        sign_outs.copy_from_slice(&user.sign_outs.to_be_bytes());
        Ok(Self { user: user.into_model()?, stamp })
    }
}

impl<X> StampedUser<X> {
    /// The user without the security stamp.
    pub fn into_user(self) -> User<X> {
        self.user
    }
}

impl<X> Deref for StampedUser<X> {
    type Target = User<X>;

    fn deref(&self) -> &User<X> {
        &self.user
    }
}

impl<X: Extra> AuthUser for StampedUser<X> {
    type Id = UserId;

    fn id(&self) -> UserId {
        self.user.id.clone()
    }

    /// The security stamp.
    fn session_auth_hash(&self) -> &[u8] {
        &self.stamp
    }
}

impl<X> fmt::Debug for StampedUser<X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StampedUser").field(&self.user).finish()
    }
}

impl<C, M: Models> Clone for Backend<C, M> {
    fn clone(&self) -> Self {
        Self { auth: self.auth.clone(), check: Arc::clone(&self.check) }
    }
}

impl<C, M: Models> fmt::Debug for Backend<C, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backend").field("auth", &self.auth).finish_non_exhaustive()
    }
}
