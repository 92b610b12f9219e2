//! The adapter: the 19 methods of Auth.js, in Rust spelling.

use crate::models::{
    Account, AccountKey, Authenticator, CredentialId, Models, NewAccount, NewSession, NewUser, Session, SessionAndUser,
    SessionPatch, User, UserId, UserPatch, VerificationToken,
};
use crate::reply::Reply;

/// The database adapter of Auth.js, in Rust spelling.
///
/// Every method is atomic and isolated: it happens whole or not at all, and the methods behave as if they ran one after
/// another. An acknowledged write is as durable as the store's [`Durability`](crate::Durability) says, and every later
/// call from any thread sees it. Lookups accept any text. "Not found" is `None`, never an error, unless a method says
/// otherwise.
///
/// Besides the errors listed with it, every method may answer [`Storage`](crate::Error::Storage) when the storage fails
/// or is damaged, [`Closed`](crate::Error::Closed) after the store was closed, and
/// [`MissingTable`](crate::Error::MissingTable) when the store was opened with `synchronize` off. Every method that
/// writes may answer [`Busy`](crate::Error::Busy) when too many writes are waiting, and
/// [`OutcomeUnknown`](crate::Error::OutcomeUnknown) when the commit failed half-way. With own fields, every method that
/// shows a stored record may answer [`Misfit`](crate::Error::Misfit) when the record does not fit the models; one that
/// would change the record writes nothing then, and one that removes it has done so.
///
/// The contract is that of [`@auth/core`](https://authjs.dev/guides/creating-a-database-adapter), without the gaps that
/// let concurrent sign-ins break it.
pub trait Adapter<M: Models = ()>: Send + Sync {
    /// Creates a user and returns it. The user gets a fresh id if none is given. An empty name, e-mail address or picture
    /// counts as absent. An address may be any text, but with no blanks around it.
    ///
    /// # Errors
    /// [`Conflict`](crate::Error::Conflict) when the id, the e-mail address or the value of an own field with a unique
    /// index is taken, and [`InvalidArgument`](crate::Error::InvalidArgument).
    fn create_user(&self, user: NewUser<M::User>) -> Reply<User<M::User>>;

    /// Returns the user with this id.
    fn get_user(&self, id: &UserId) -> Reply<Option<User<M::User>>>;

    /// Returns the user with this e-mail address. Addresses are compared as the store's
    /// [`EmailMatching`](crate::EmailMatching) says; blanks around the one given are ignored.
    fn get_user_by_email(&self, email: &str) -> Reply<Option<User<M::User>>>;

    /// Returns the user to whom this account is linked.
    fn get_user_by_account(&self, account: &AccountKey) -> Reply<Option<User<M::User>>>;

    /// Changes the fields that the patch names, and no others, and returns the user. A new e-mail address is taken and
    /// the old one freed in the same step. It is unproven from then on, unless the patch
    /// [sets a new proof](crate::models::UserPatch::email).
    ///
    /// # Errors
    /// [`UnknownUser`](crate::Error::UnknownUser), [`Conflict`](crate::Error::Conflict) when another user has the
    /// e-mail address or the value of an own field with a unique index, and
    /// [`InvalidArgument`](crate::Error::InvalidArgument), also for an empty e-mail address: clear it instead.
    fn update_user(&self, patch: UserPatch) -> Reply<User<M::User>>;

    /// Removes a user with all accounts, sessions and authenticators, and returns the user, or `None` if there is none.
    /// Verification tokens belong to an identifier and stay.
    ///
    /// Every other call sees all of it happen in one step. If the user has very many records, some of them are removed
    /// from the file a little later; until then the user's id cannot be used again.
    ///
    /// [`AuthKv`](crate::AuthKv) keeps a hash of the id for ever, by which it refuses web sessions that name the user.
    ///
    /// Removing a record does not remove its bytes: address, name and tokens may stay readable in the file until other
    /// writes happen to overwrite them. [`Options::secure_delete`](crate::Options::secure_delete) overwrites them.
    fn delete_user(&self, id: &UserId) -> Reply<Option<User<M::User>>>;

    /// Links an account to a user and returns it. The account gets a fresh id if none is given.
    ///
    /// # Errors
    /// [`UnknownUser`](crate::Error::UnknownUser), [`Conflict`](crate::Error::Conflict) when the pair of provider and
    /// provider account id is already linked, even to the same user, or when the id or the value of an own field with a
    /// unique index is taken, and [`InvalidArgument`](crate::Error::InvalidArgument).
    fn link_account(&self, account: NewAccount<M::Account>) -> Reply<Account<M::Account>>;

    /// Removes this account and returns it, or `None` if there is none. With a WebAuthn account, the user's
    /// authenticators with the same provider account id are removed too. Sessions stay.
    fn unlink_account(&self, account: &AccountKey) -> Reply<Option<Account<M::Account>>>;

    /// Returns the account with this key.
    fn get_account(&self, account: &AccountKey) -> Reply<Option<Account<M::Account>>>;

    /// Creates a session. An expired session with the same token is replaced.
    ///
    /// # Errors
    /// [`UnknownUser`](crate::Error::UnknownUser), [`Conflict`](crate::Error::Conflict) when the token is in use, and
    /// [`InvalidArgument`](crate::Error::InvalidArgument).
    fn create_session(&self, session: NewSession<M::Session>) -> Reply<Session<M::Session>>;

    /// Returns the session with this token and its user, both from one moment, or `None` if the session is unknown or
    /// has expired.
    fn get_session_and_user(&self, session_token: &str) -> Reply<Option<SessionAndUser<M::User, M::Session>>>;

    /// Changes the fields that the patch names and returns the session. Returns `None` if the session is unknown or has
    /// expired; it never creates one.
    ///
    /// # Errors
    /// [`UnknownUser`](crate::Error::UnknownUser) when the patch names a user who does not exist, and
    /// [`InvalidArgument`](crate::Error::InvalidArgument).
    fn update_session(&self, patch: SessionPatch) -> Reply<Option<Session<M::Session>>>;

    /// Removes a session, expired or not, and returns it. Returns `None` if there is none, as with a stale cookie.
    fn delete_session(&self, session_token: &str) -> Reply<Option<Session<M::Session>>>;

    /// Stores a verification token and returns it. An identifier may have several tokens. Storing the same pair again
    /// replaces the earlier token.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::Error::InvalidArgument).
    fn create_verification_token(
        &self,
        token: VerificationToken<M::VerificationToken>,
    ) -> Reply<VerificationToken<M::VerificationToken>>;

    /// Removes a verification token and returns it. Of any number of concurrent calls, at most one gets it. If no token
    /// matches both parts, the answer is `None` and nothing is removed. An expired token is removed and returned too,
    /// as in Auth.js: accept it only if it is not [expired](VerificationToken::is_expired).
    ///
    /// Without an identifier, the token is looked up by itself, and is found if exactly one identifier has it.
    fn use_verification_token(
        &self,
        identifier: Option<&str>,
        token: &str,
    ) -> Reply<Option<VerificationToken<M::VerificationToken>>>;

    /// Stores a WebAuthn credential of a user and returns it.
    ///
    /// # Errors
    /// [`UnknownUser`](crate::Error::UnknownUser), [`Conflict`](crate::Error::Conflict) when the credential id is
    /// taken, and [`InvalidArgument`](crate::Error::InvalidArgument).
    fn create_authenticator(&self, authenticator: Authenticator) -> Reply<Authenticator>;

    /// Returns the authenticator with this credential id.
    fn get_authenticator(&self, credential_id: &CredentialId) -> Reply<Option<Authenticator>>;

    /// Returns every authenticator of a user once, in the order of their credential ids. An unknown user has none.
    fn list_authenticators_by_user_id(&self, user_id: &UserId) -> Reply<Vec<Authenticator>>;

    /// Sets the signature counter and returns the authenticator. A counter never goes back: one that is lower than the
    /// stored one, 0 included, may come from a copy of the authenticator, and is refused. An equal one is taken, because
    /// many authenticators do not count and always send 0. To find out which of two assertions with one counter was
    /// first, use [`AuthKv::advance_counter`](crate::AuthKv::advance_counter).
    ///
    /// # Errors
    /// [`UnknownCredential`](crate::Error::UnknownCredential), and [`InvalidArgument`](crate::Error::InvalidArgument)
    /// with the field `counter` when it is lower than the stored one. Nothing was written then.
    fn update_authenticator_counter(&self, credential_id: &CredentialId, counter: u32) -> Reply<Authenticator>;
}
