//! What signing in with a provider's account comes to.

use super::{Account, Session, User, UserId};

/// What [`sign_in_with_account`](crate::AuthKv::sign_in_with_account) came to.
#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::large_enum_variant)] // it is made once for each sign-in, and taken apart at once
#[must_use = "somebody may not have been signed in"]
pub enum SignIn<U = (), A = (), S = ()> {
    /// The user is signed in.
    Done(SignedIn<U, A, S>),
    /// Nobody is signed in and nothing was written: the account is new, and somebody has the e-mail address already.
    EmailInUse(EmailInUse),
}

/// A user who has signed in with an account.
#[derive(Clone, Debug, PartialEq)]
pub struct SignedIn<U = (), A = (), S = ()> {
    /// The user, who may be new.
    pub user: User<U>,
    /// The account, with the tokens that it has now.
    pub account: Account<A>,
    /// The new session, with its token for the cookie.
    pub session: Session<S>,
    /// Whether the user was created by this sign-in.
    pub is_new_user: bool,
}

/// What [`sign_in_with_email`](crate::AuthKv::sign_in_with_email) came to.
#[derive(Clone, Debug, PartialEq)]
pub struct SignedInWithEmail<U = (), S = ()> {
    /// The user, who may be new.
    pub user: User<U>,
    /// The new session, with its token for the cookie.
    pub session: Session<S>,
    /// Whether the user was created by this sign-in.
    pub is_new_user: bool,
    /// Whether the user was there, and nobody had proven to have the address before.
    ///
    /// Whoever signed up with it may then have been somebody else, who waits for its owner to come. Where that is possible,
    /// end [their sessions](crate::AuthKv::end_sessions), unlink their accounts, and remove what else they could sign in
    /// with.
    pub was_unverified: bool,
}

/// Who has the e-mail address that somebody would sign up with.
///
/// That a provider reports the address of a user is no proof that the visitor is that user, so nothing is linked:
///
/// - A provider that does not verify addresses would let an attacker into the account of whoever has the address here.
/// - Where the address is not verified here, the attacker may have been here first, and waits in an account that the
///   owner of the address would then use.
///
/// Ask the visitor to sign in as this user in another way. When they have, [`link_account`](crate::Adapter::link_account)
/// links [`ProviderAccount::of_user`](super::ProviderAccount::of_user) to the user *who is then signed in*.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmailInUse {
    /// Who has the address. It is for comparing with who signs in, and no business of the visitor's.
    pub user_id: UserId,
    /// Whether this user has proven to have it. If not, a visitor who proves it may be given the address: clear it with
    /// [`update_user`](crate::Adapter::update_user), and sign in anew.
    pub email_verified: bool,
}
