//! Signing in with a provider's account or a proven e-mail address: user, account and session in one write.

use crate::error::{Error, Problem, Result};
use crate::kv::txn::Txn;
use crate::models::{Models, NewUser, ProviderAccount, SignIn, SignedInWithEmail, Token};
use crate::ops::sign_in;
use crate::records::{AccountRecord, AsOf, SessionRecord, UserRecord};
use crate::reply::Reply;
use crate::store::sessions::fresh_session;
use crate::store::shown::Trial;
use crate::store::{AuthKv, fresh_id};

/// # Signing in
impl<M: Models> AuthKv<M> {
    /// Signs in a visitor who has returned from a provider. The whole step is atomic:
    ///
    /// - If the account is linked, its user signs in. The account gets the OAuth tokens given here; the others, its own
    ///   fields and the user stay unchanged.
    /// - Otherwise, if somebody has the e-mail address of `user`, verified or not, nothing is written and
    ///   [`EmailInUse`](SignIn::EmailInUse) says who. An address alone never links an account.
    /// - Otherwise the user and the account are created.
    ///
    /// The new session is like one of [`start_session`](Self::start_session). A caller who does not learn the outcome,
    /// because the process died or the outcome is unknown, can call again.
    ///
    /// Set `email_verified` only if the provider says that it has verified the address and you trust the provider in
    /// this. An empty name, e-mail address or picture counts as absent.
    ///
    /// # Errors
    /// [`Conflict`](crate::Error::Conflict) when an id or an own field with a unique index is taken,
    /// [`InvalidArgument`](crate::Error::InvalidArgument) also for a user who need not be created,
    /// [`Storage`](crate::Error::Storage) also when the operating system cannot provide randomness, and the errors of
    /// every writing method of [`Adapter`](crate::Adapter).
    ///
    /// ```
    /// use authkv::models::{AccountType, NewUser, ProviderAccount, SignIn};
    /// use authkv::AuthKv;
    ///
    /// # let auth = AuthKv::in_memory()?;
    /// let github = || ProviderAccount::new(AccountType::Oauth, "github", 583_231_u64);
    /// match auth.sign_in_with_account(github(), NewUser::email("ada@example.com")).wait()? {
    ///     SignIn::Done(done) => {
    ///         assert!(done.is_new_user);
    ///         // Put done.session.session_token into a cookie.
    ///     }
    ///     SignIn::EmailInUse(_) => unreachable!("nobody has the address"),
    /// }
    ///
    /// // Another account with the same address might be somebody else's.
    /// let google = || ProviderAccount::new(AccountType::Oidc, "google", "1077");
    /// let again = auth.sign_in_with_account(google(), NewUser::email("Ada@example.com")).wait()?;
    /// let SignIn::EmailInUse(held) = again else { unreachable!("it is no account of the user") };
    ///
    /// // Keep it until the visitor has signed in with the first account, and link it then.
    /// let SignIn::Done(done) = auth.sign_in_with_account(github(), NewUser::default()).wait()? else {
    ///     unreachable!("it is an account of the user")
    /// };
    /// assert!(!done.is_new_user && done.user.id == held.user_id);
    /// auth.link_account(google().of_user(done.user.id)).wait()?;
    /// # Ok::<(), authkv::Error>(())
    /// ```
    #[doc(alias = "login")]
    #[doc(alias = "register")]
    pub fn sign_in_with_account(
        &self,
        account: ProviderAccount<M::Account>,
        user: NewUser<M::User>,
    ) -> Reply<SignIn<M::User, M::Account, M::Session>>
    where
        M::Session: Default,
    {
        self.sign_in_with_account_with(account, user, M::Session::default())
    }

    /// Like [`sign_in_with_account`](Self::sign_in_with_account), with own fields of the session.
    ///
    /// # Errors
    /// The errors of [`sign_in_with_account`](Self::sign_in_with_account).
    pub fn sign_in_with_account_with(
        &self,
        account: ProviderAccount<M::Account>,
        user: NewUser<M::User>,
        session: M::Session,
    ) -> Reply<SignIn<M::User, M::Account, M::Session>> {
        match self.visitor_with_account(account, user, session) {
            Ok((visitor, token)) => {
                let max_age = visitor.as_of.max_age;
                self.write_shown(
                    Trial::of::<M::User>().or(Trial::of::<M::Account>()),
                    move |txn| visitor.sign_in(txn),
                    sign_in::SignIn::shown,
                    move |outcome| outcome.into_model(token.clone(), max_age),
                )
            }
            Err(error) => Reply::ready(Err(error)),
        }
    }

    pub(crate) fn visitor_with_account(
        &self,
        account: ProviderAccount<M::Account>,
        user: NewUser<M::User>,
        session: M::Session,
    ) -> Result<(VisitorWithAccount, Token)> {
        let as_of = self.as_of();
        let user = self.completed(UserRecord::new(user, fresh_id, self.email_matching(), as_of.now)?)?;
        let account = self.completed(AccountRecord::new(account.of_user(user.id.clone()), fresh_id, as_of.now)?)?;
        let (session, token) = fresh_session(user.id.clone(), session, as_of)?;
        Ok((VisitorWithAccount { user, account, session, as_of }, token))
    }

    /// Signs in a visitor who has proven an e-mail address, by a [link](Self::verify_link_token) or a
    /// [code](Self::verify_code). The whole step is atomic:
    ///
    /// - If a user has the address, that user signs in. An unverified address becomes verified; nothing else about the
    ///   user changes.
    /// - Otherwise `user` is created with a verified address.
    ///
    /// The new session is like one of [`start_session`](Self::start_session). A caller who does not learn the outcome,
    /// because the process died or the outcome is unknown, can call again.
    ///
    /// # Errors
    /// [`Conflict`](Error::Conflict) when an id or an own field with a unique index is taken,
    /// [`InvalidArgument`](Error::InvalidArgument) also for a user without an address (an empty one is none), for what cannot
    /// be an address (it has no `@`, or a control character), and for a user who need not be created, [`Storage`](Error::Storage) also when the operating system cannot provide randomness, and the errors of
    /// every writing method of [`Adapter`](crate::Adapter).
    ///
    /// ```
    /// use authkv::AuthKv;
    /// use authkv::models::{Check, NewUser};
    /// use std::time::Duration;
    ///
    /// let auth = AuthKv::in_memory()?;
    /// let link = auth.issue_link_token("ada@example.com", Duration::from_secs(15 * 60)).wait()?;
    /// if let Check::Passed(used) = auth.verify_link_token("ada@example.com", link.token.reveal()).wait()? {
    ///     let done = auth.sign_in_with_email(NewUser::email(used.identifier)).wait()?;
    ///     assert!(done.is_new_user && done.user.email_verified.is_some());
    ///     // Put done.session.session_token into a cookie.
    /// }
    /// # Ok::<(), authkv::Error>(())
    /// ```
    #[doc(alias = "login")]
    #[doc(alias = "register")]
    pub fn sign_in_with_email(&self, user: NewUser<M::User>) -> Reply<SignedInWithEmail<M::User, M::Session>>
    where
        M::Session: Default,
    {
        self.sign_in_with_email_with(user, M::Session::default())
    }

    /// Like [`sign_in_with_email`](Self::sign_in_with_email), with own fields of the session.
    ///
    /// # Errors
    /// The errors of [`sign_in_with_email`](Self::sign_in_with_email).
    pub fn sign_in_with_email_with(
        &self,
        user: NewUser<M::User>,
        session: M::Session,
    ) -> Reply<SignedInWithEmail<M::User, M::Session>> {
        match self.visitor_with_email(user, session) {
            Ok((visitor, token)) => {
                let max_age = visitor.as_of.max_age;
                self.write_shown(
                    Trial::of::<M::User>(),
                    move |txn| visitor.sign_in(txn),
                    |done| done.user.extra.clone(),
                    move |done| done.into_model(token.clone(), max_age),
                )
            }
            Err(error) => Reply::ready(Err(error)),
        }
    }

    pub(crate) fn visitor_with_email(
        &self,
        user: NewUser<M::User>,
        session: M::Session,
    ) -> Result<(VisitorWithEmail, Token)> {
        let as_of = self.as_of();
        let user = self.completed(UserRecord::new(user, fresh_id, self.email_matching(), as_of.now)?)?;
        match &user.email {
            Some(email) => email.check_address()?,
            None => return Err(Error::invalid("email", Problem::Empty)),
        }
        let (session, token) = fresh_session(user.id.clone(), session, as_of)?;
        Ok((VisitorWithEmail { user: user.verified(as_of.now), session, as_of }, token))
    }
}

/// A visitor who has returned from a provider, with the records that signing in may need.
pub(crate) struct VisitorWithAccount {
    user: UserRecord,
    account: AccountRecord,
    session: SessionRecord,
    pub(crate) as_of: AsOf,
}

impl VisitorWithAccount {
    pub(crate) fn sign_in(&self, txn: &mut Txn<'_>) -> Result<sign_in::SignIn> {
        sign_in::with_account(txn, &self.user, &self.account, &self.session, self.as_of)
    }
}

/// A visitor who has proven an e-mail address, with the records that signing in may need.
pub(crate) struct VisitorWithEmail {
    user: UserRecord,
    session: SessionRecord,
    pub(crate) as_of: AsOf,
}

impl VisitorWithEmail {
    pub(crate) fn sign_in(&self, txn: &mut Txn<'_>) -> Result<sign_in::WithEmail> {
        sign_in::with_email(txn, &self.user, &self.session, self.as_of)
    }
}
