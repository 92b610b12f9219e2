//! The results of signing in with a provider's account or an e-mail address.

use std::fmt;

use serde::{Deserialize, Serialize};

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

/// The purpose of a link or a code that [`sign_in_with_email`](crate::AuthKv::sign_in_with_email) takes as a
/// [proof](Proof).
pub const SIGN_IN: &str = "sign in";

/// What shows that a visitor receives mail at an address. Blanks around an address are ignored.
#[derive(Clone, Copy)]
pub enum Proof<'a> {
    /// A link that the visitor has followed. [`issue_link_token`](crate::AuthKv::issue_link_token) made it for
    /// [`SIGN_IN`], and it is used up in the step that acts on it.
    Link {
        /// The address, as the link names it.
        address: &'a str,
        /// The token, as the link has it.
        token: &'a str,
    },
    /// A code that the visitor has typed in. [`issue_code`](crate::AuthKv::issue_code) made it for [`SIGN_IN`] and for the
    /// [request](super::Visitor::request) of the visitor, which says what the address is. Each guess is counted, and a right
    /// code is used up in the step that acts on it.
    Code {
        /// The code, as it was typed.
        code: &'a str,
    },
    /// The application has proven the address itself in this request, for example by a provider that vouches for it.
    Own {
        /// The address.
        address: &'a str,
    },
}

/// Shows neither address nor token.
impl fmt::Debug for Proof<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Link { .. } => "Proof::Link",
            Self::Code { .. } => "Proof::Code",
            Self::Own { .. } => "Proof::Own",
        })
    }
}

/// The result of [`sign_in_with_email`](crate::AuthKv::sign_in_with_email).
#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::large_enum_variant)] // it is made once for each sign-in, and taken apart at once
#[non_exhaustive]
#[must_use = "nobody may have been signed in"]
pub enum EmailSignIn<U = (), S = ()> {
    /// The visitor is signed in.
    Done(SignedInWithEmail<U, S>),
    /// The proof shows nothing, and nobody is signed in.
    NotProven(NotProven),
}

impl<U, S> EmailSignIn<U, S> {
    /// The user who is signed in, if the proof was right.
    #[must_use = "nobody may have been signed in"]
    pub fn done(self) -> Option<SignedInWithEmail<U, S>> {
        if let Self::Done(done) = self { Some(done) } else { None }
    }
}

/// The result of [`prove_email`](crate::AuthKv::prove_email).
#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::large_enum_variant)] // it is made once for each proof, and taken apart at once
#[non_exhaustive]
#[must_use = "nothing may have been proven"]
pub enum ProvedEmail<U = ()> {
    /// The address of the user who is signed in is proven. The proof is used up.
    Done(User<U>),
    /// The proof is of another address than that of the user who is signed in. Nothing was written, and the proof is as it
    /// was: after asking, [`sign_in_with_email`](crate::AuthKv::sign_in_with_email) may sign the visitor in as somebody else.
    NotTheirs,
    /// The proof shows nothing.
    NotProven(NotProven),
    /// Nobody is signed in in this browser. Nothing was written, and the proof is as it was.
    NoSession,
}

/// Why a [proof](Proof) shows nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NotProven {
    /// The link was used, has expired, or was never issued for this address and purpose.
    NoLink,
    /// The code is none of those of the visitor's request.
    WrongCode {
        /// How many more guesses the request has. After the last one it no longer exists.
        guesses_left: u32,
    },
    /// The visitor has no request for codes: it was used, has expired, was never made, or its guesses are used up.
    NoCode,
}

/// A user who has signed in with an e-mail address.
#[derive(Clone, Debug, PartialEq)]
pub struct SignedInWithEmail<U = (), S = ()> {
    /// The user, who may be new.
    pub user: User<U>,
    /// The new session, with its token for the cookie.
    pub session: Session<S>,
    /// True if this sign-in created the user.
    pub is_new_user: bool,
    /// True if the user existed, nobody had proven before to own the address, and the proof came from outside: in a
    /// request without a valid session of this user.
    ///
    /// Somebody else may have signed up with the address and be waiting for its owner to arrive. If that is possible,
    /// end [the user's sessions](crate::AuthKv::end_all_sessions), unlink their accounts, and remove everything else that
    /// they could sign in with. It is said once: from then on the address is proven.
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
/// Ask the visitor to sign in as this user in another way, and keep the account with
/// [`put_state`](crate::AuthKv::put_state) until they have. Make the user's id a part of the purpose: then the state is found
/// for this user only, and somebody else who signs in does not use it up. Then [`link_account`](crate::AuthKv::link_account)
/// links [`ProviderAccount::of_user`](super::ProviderAccount::of_user) to the user *who is then signed in*. If the account
/// was linked meanwhile, that is a conflict. The sign-in has succeeded all the same, so go on:
///
/// ```
/// use authkv::models::{AccountType, NewUser, ProviderAccount, SignIn, UserId};
/// use authkv::{AuthKv, Error};
/// use std::time::Duration;
///
/// # fn main() -> authkv::Result<()> {
/// # let auth = AuthKv::in_memory()?;
/// # let [ada, bob] = ["ada@example.com", "bob@example.com"].map(|email| auth.create_user(NewUser::email(email)).wait());
/// # let (ada, bob) = (ada?.id, bob?.id);
/// let link_to = |user: &UserId| format!("link to {user}");
///
/// // The visitor comes back from a provider. The handle goes into a cookie, and they are asked to sign in.
/// let account = ProviderAccount::new(AccountType::Oidc, "google", "1077");
/// let handle = match auth.sign_in_with_account(account.clone(), NewUser::email("ada@example.com")).wait()? {
///     SignIn::EmailInUse(held) => auth.put_state(&link_to(&held.user_id), &account, Duration::from_secs(600)).wait()?,
///     SignIn::Done(_) => unreachable!("somebody has the address"),
/// };
///
/// // Behind each sign-in, with the handle of the cookie and the user who has signed in:
/// let link_what_waits = |handle: &str, user: &UserId| {
///     let Some(account) = auth.take_state::<ProviderAccount>(&link_to(user), handle).wait()?.passed() else {
///         return Ok(None);
///     };
///     match auth.link_account(account.of_user(user)).wait() {
///         Err(Error::Conflict(_)) => Ok(None), // it was linked meanwhile
///         linked => linked.map(Some),
///     }
/// };
/// assert!(link_what_waits(handle.reveal(), &bob)?.is_none());
/// assert!(link_what_waits(handle.reveal(), &ada)?.is_some());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EmailInUse {
    /// The user who has the address. Link to no other user, and do not show it to the visitor.
    pub user_id: UserId,
    /// True if this user has proven to own the address. If not, a visitor who proves it may be given the address: clear
    /// it with [`update_user`](crate::Adapter::update_user), and sign in again.
    pub email_verified: bool,
}
