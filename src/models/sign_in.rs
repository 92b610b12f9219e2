//! The results of signing in with a provider's account or an e-mail address.

use super::{Account, Session, User, UserId};

/// The result of [`sign_in_with_account`](crate::AuthKv::sign_in_with_account).
#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::large_enum_variant)] // it is made once for each sign-in, and taken apart at once
#[must_use = "somebody may not have been signed in"]
pub enum SignIn<U = (), A = (), S = ()> {
    /// The user is signed in.
    Done(SignedIn<U, A, S>),
    /// Nobody is signed in and nothing was written: the account is new, and another user already has the e-mail
    /// address.
    EmailInUse(EmailInUse),
}

/// A user who has signed in with an account.
#[derive(Clone, Debug, PartialEq)]
pub struct SignedIn<U = (), A = (), S = ()> {
    /// The user, who may be new.
    pub user: User<U>,
    /// The account, with its current tokens.
    pub account: Account<A>,
    /// The new session, with its token for the cookie.
    pub session: Session<S>,
    /// True if this sign-in created the user.
    pub is_new_user: bool,
}

/// The result of [`sign_in_with_email`](crate::AuthKv::sign_in_with_email).
#[derive(Clone, Debug, PartialEq)]
pub struct SignedInWithEmail<U = (), S = ()> {
    /// The user, who may be new.
    pub user: User<U>,
    /// The new session, with its token for the cookie.
    pub session: Session<S>,
    /// True if this sign-in created the user.
    pub is_new_user: bool,
    /// True if the user existed, and nobody had proven before to own the address.
    ///
    /// Somebody else may have signed up with the address and be waiting for its owner to arrive. If that is possible,
    /// end [the user's sessions](crate::AuthKv::end_all_sessions), unlink their accounts, and remove everything else that
    /// they could sign in with.
    pub was_unverified: bool,
}

/// The user who already has the e-mail address that somebody tries to sign up with.
///
/// A provider that reports a user's address does not prove that the visitor is that user. So nothing is linked:
///
/// - If the provider does not verify addresses, linking would let an attacker into the account of whoever has the
///   address here.
/// - If the address is not verified here, an attacker may have signed up with it first, and may be waiting in an
///   account that the owner of the address would then use.
///
/// Ask the visitor to sign in as this user in another way. Once they have,
/// [`link_account`](crate::Adapter::link_account) links [`ProviderAccount::of_user`](super::ProviderAccount::of_user)
/// to the user *who is then signed in*.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmailInUse {
    /// The user who has the address. Compare it with the user who signs in, and do not show it to the visitor.
    pub user_id: UserId,
    /// True if this user has proven to own the address. If not, a visitor who proves it may be given the address: clear
    /// it with [`update_user`](crate::Adapter::update_user), and sign in again.
    pub email_verified: bool,
}
