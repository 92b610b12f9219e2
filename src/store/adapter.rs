//! The store as an [`Adapter`]: each method of the trait is the store's own method of the same name.

use crate::adapter::Adapter;
use crate::models::{
    Account, AccountKey, Authenticator, CredentialId, Models, NewAccount, NewSession, NewUser, Session, SessionAndUser,
    SessionPatch, User, UserId, UserPatch, VerificationToken,
};
use crate::reply::Reply;
use crate::store::AuthKv;

/// Forwards the methods of the trait to the store's own.
macro_rules! forward {
    ($(fn $name:ident($($argument:ident: $type:ty),*) -> $answer:ty;)*) => {$(
        fn $name(&self, $($argument: $type),*) -> Reply<$answer> {
            Self::$name(self, $($argument),*)
        }
    )*};
}

impl<M: Models> Adapter<M> for AuthKv<M> {
    forward! {
        fn create_user(user: NewUser<M::User>) -> User<M::User>;
        fn get_user(id: &UserId) -> Option<User<M::User>>;
        fn get_user_by_email(email: &str) -> Option<User<M::User>>;
        fn get_user_by_account(account: &AccountKey) -> Option<User<M::User>>;
        fn update_user(patch: UserPatch) -> User<M::User>;
        fn delete_user(id: &UserId) -> Option<User<M::User>>;
        fn link_account(account: NewAccount<M::Account>) -> Account<M::Account>;
        fn unlink_account(account: &AccountKey) -> Option<Account<M::Account>>;
        fn get_account(account: &AccountKey) -> Option<Account<M::Account>>;
        fn create_session(session: NewSession<M::Session>) -> Session<M::Session>;
        fn get_session_and_user(session_token: &str) -> Option<SessionAndUser<M::User, M::Session>>;
        fn update_session(patch: SessionPatch) -> Option<Session<M::Session>>;
        fn delete_session(session_token: &str) -> Option<Session<M::Session>>;
        fn create_verification_token(token: VerificationToken<M::VerificationToken>) -> VerificationToken<M::VerificationToken>;
        fn use_verification_token(identifier: Option<&str>, token: &str) -> Option<VerificationToken<M::VerificationToken>>;
        fn create_authenticator(authenticator: Authenticator) -> Authenticator;
        fn get_authenticator(credential_id: &CredentialId) -> Option<Authenticator>;
        fn list_authenticators_by_user_id(user_id: &UserId) -> Vec<Authenticator>;
        fn update_authenticator_counter(credential_id: &CredentialId, counter: u32) -> Authenticator;
    }
}
