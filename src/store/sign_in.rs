//! Signing in with a provider's account or a proven e-mail address: user, account and session in one write.

use crate::error::{Error, Problem, Result};
use crate::kv::txn::Txn;
use crate::models::{
    EmailSignIn, Models, NewUser, Proof, ProvedEmail, ProviderAccount, SIGN_IN, SignIn, Token, TokenHash, Visitor,
};
use crate::ops::sign_in::{self, EmailProof};
use crate::records::{AccountRecord, AsOf, Email, SessionRecord, UserRecord};
use crate::reply::Reply;
use crate::store::codes::code_guess;
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

    /// Signs in a visitor who proves an e-mail address. The whole step is atomic:
    ///
    /// - The proof is used up. If it shows nothing, nobody is signed in; see [`NotProven`](EmailSignIn::NotProven).
    /// - If a user has the address, that user signs in. An unverified address becomes verified; nothing else about the
    ///   user changes.
    /// - Otherwise `user` is created with the address, verified. Leave the address of `user` absent: the proof says which
    ///   one it is.
    ///
    /// `from` is what this request brought along. An address that nobody had proven before may have been taken by somebody
    /// else: [`was_unverified`](crate::models::SignedInWithEmail::was_unverified) says so, unless the request has a valid
    /// session of that very user.
    ///
    /// The new session is like one of [`start_session`](Self::start_session). A caller who does not learn the outcome,
    /// because the process died or the outcome is unknown, cannot call again with the same proof: it may be used up. The
    /// visitor asks for another link or code.
    ///
    /// # Errors
    /// [`Conflict`](Error::Conflict) when an id or an own field with a unique index is taken,
    /// [`InvalidArgument`](Error::InvalidArgument) also for a user with an address, for a [`Proof::Own`] of what cannot be
    /// an address (it has no `@`, or a control character), and for a user who need not be created,
    /// [`Storage`](Error::Storage) also when the operating system cannot provide randomness, and the errors of every
    /// writing method of [`Adapter`](crate::Adapter). After an error the proof is as it was, except that nobody knows after
    /// [`OutcomeUnknown`](Error::OutcomeUnknown).
    ///
    /// ```
    /// use authkv::AuthKv;
    /// use authkv::models::{EmailSignIn, NewUser, Proof, SIGN_IN, Visitor};
    /// use std::time::Duration;
    ///
    /// let auth = AuthKv::in_memory()?;
    /// let link = auth.issue_link_token(SIGN_IN, "ada@example.com", Duration::from_secs(15 * 60)).wait()?;
    ///
    /// // Send the link. When it is followed, with the cookies of that request:
    /// let proof = Proof::Link { address: "ada@example.com", token: link.token.reveal() };
    /// let from = Visitor { session: None, ..Visitor::default() };
    /// match auth.sign_in_with_email(proof, NewUser::default(), from).wait()? {
    ///     EmailSignIn::Done(done) => {
    ///         assert!(done.is_new_user && done.user.email_verified.is_some());
    ///         // Put done.session.session_token into a cookie.
    ///     }
    ///     _ => unreachable!("it was not used before"),
    /// }
    /// # Ok::<(), authkv::Error>(())
    /// ```
    #[doc(alias = "login")]
    #[doc(alias = "register")]
    pub fn sign_in_with_email(
        &self,
        proof: Proof<'_>,
        user: NewUser<M::User>,
        from: Visitor<'_>,
    ) -> Reply<EmailSignIn<M::User, M::Session>>
    where
        M::Session: Default,
    {
        self.sign_in_with_email_with(proof, user, M::Session::default(), from)
    }

    /// Like [`sign_in_with_email`](Self::sign_in_with_email), with own fields of the session.
    ///
    /// # Errors
    /// The errors of [`sign_in_with_email`](Self::sign_in_with_email).
    pub fn sign_in_with_email_with(
        &self,
        proof: Proof<'_>,
        user: NewUser<M::User>,
        session: M::Session,
        from: Visitor<'_>,
    ) -> Reply<EmailSignIn<M::User, M::Session>> {
        match self.visitor_with_email(proof, user, session, from) {
            Ok((visitor, token)) => {
                let as_of = visitor.as_of;
                let signed_in = self.write_shown(
                    Trial::of::<M::User>(),
                    move |txn| visitor.sign_in(txn),
                    sign_in::WithEmail::shown,
                    move |outcome| Ok((outcome.cost(), outcome.into_model(token.clone(), as_of.max_age)?)),
                );
                self.noting_guess(as_of.now, signed_in)
            }
            Err(error) => Reply::ready(Err(error)),
        }
    }

    /// Proves the address of the user who is signed in in this browser, as after a link on a settings page or after a
    /// sign-up with an address that nobody has proven yet. In one step the session is looked up, the proof is used up and the
    /// user's address becomes verified. It is a proof from inside, so nothing about the user has to be ended.
    ///
    /// The user is that of [`Visitor::session`] and nobody else: a link that was made for another person is
    /// [`NotTheirs`](ProvedEmail::NotTheirs).
    ///
    /// # Errors
    /// [`InvalidArgument`](Error::InvalidArgument) for a [`Proof::Own`] of what cannot be an address, and the errors of
    /// every writing method of [`Adapter`](crate::Adapter). After an error the proof is as it was, except that nobody knows
    /// after [`OutcomeUnknown`](Error::OutcomeUnknown).
    ///
    /// ```
    /// use authkv::AuthKv;
    /// use authkv::models::{NewUser, Proof, ProvedEmail, SIGN_IN, Visitor};
    /// use std::time::Duration;
    ///
    /// let auth = AuthKv::in_memory()?;
    /// let ada = auth.create_user(NewUser::email("ada@example.com")).wait()?;
    /// let cookie = auth.start_session(&ada.id).wait()?.session_token;
    /// let link = auth.issue_link_token(SIGN_IN, "ada@example.com", Duration::from_secs(15 * 60)).wait()?;
    ///
    /// let proof = Proof::Link { address: "ada@example.com", token: link.token.reveal() };
    /// assert_eq!(auth.prove_email(proof, Visitor::default()).wait()?, ProvedEmail::NoSession);
    /// let from = Visitor { session: Some(cookie.reveal()), ..Visitor::default() };
    /// match auth.prove_email(proof, from).wait()? {
    ///     ProvedEmail::Done(user) => assert!(user.id == ada.id && user.email_verified.is_some()),
    ///     _ => unreachable!("it is their address"),
    /// }
    /// # Ok::<(), authkv::Error>(())
    /// ```
    #[doc(alias = "verify_email")]
    pub fn prove_email(&self, proof: Proof<'_>, from: Visitor<'_>) -> Reply<ProvedEmail<M::User>> {
        let (as_of, session) = (self.as_of(), session_of(from));
        match self.email_proof(proof, from) {
            Ok(proof) => {
                let proved = self.write_shown(
                    Trial::of::<M::User>(),
                    move |txn| sign_in::prove_email(txn, &proof, session, as_of),
                    sign_in::Proved::shown,
                    |outcome| Ok((outcome.cost(), outcome.into_model()?)),
                );
                self.noting_guess(as_of.now, proved)
            }
            Err(error) => Reply::ready(Err(error)),
        }
    }

    pub(crate) fn visitor_with_email(
        &self,
        proof: Proof<'_>,
        user: NewUser<M::User>,
        session: M::Session,
        from: Visitor<'_>,
    ) -> Result<(VisitorWithEmail, Token)> {
        let as_of = self.as_of();
        let proof = self.email_proof(proof, from)?;
        let user = self.completed(UserRecord::new(user, fresh_id, self.email_matching(), as_of.now)?)?;
        if user.email.is_some() {
            return Err(Error::invalid("email", Problem::LeftToProof));
        }
        let (session, token) = fresh_session(user.id.clone(), session, as_of)?;
        Ok((VisitorWithEmail { proof, user, session, from: session_of(from), as_of }, token))
    }

    fn email_proof(&self, proof: Proof<'_>, from: Visitor<'_>) -> Result<EmailProof> {
        let matching = self.email_matching();
        Ok(match proof {
            // No link was sent to what cannot be an address.
            Proof::Link { address, token } => {
                EmailProof::Link(Email::typed(address, matching), TokenHash::for_purpose(SIGN_IN, token))
            }
            Proof::Code { code } => EmailProof::Code(code_guess(SIGN_IN, code, from)),
            Proof::Own { address } => EmailProof::Own(Email::provable(address, matching)?),
        })
    }
}

fn session_of(from: Visitor<'_>) -> Option<TokenHash> {
    from.session.map(|token| Token::from(token).hash())
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

/// A visitor who proves an e-mail address, with the records that signing in may need.
pub(crate) struct VisitorWithEmail {
    proof: EmailProof,
    user: UserRecord,
    session: SessionRecord,
    from: Option<TokenHash>,
    pub(crate) as_of: AsOf,
}

impl VisitorWithEmail {
    pub(crate) fn sign_in(&self, txn: &mut Txn<'_>) -> Result<sign_in::WithEmail> {
        sign_in::with_email(txn, &self.proof, &self.user, &self.session, self.from, self.as_of)
    }
}
