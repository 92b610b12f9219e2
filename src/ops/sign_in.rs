//! Signs in with a provider's account or an e-mail address: finds or creates the user, the account and the session in
//! one step.

use chrono::TimeDelta;

use crate::error::Result;
use crate::kv::txn::Txn;
use crate::models::{self, EmailInUse, Extra, Fields, SignedIn, Token};
use crate::ops::{accounts, resolve, sessions, users};
use crate::records::{AccountRecord, AsOf, SessionRecord, UserRecord};

/// The result of signing in with an account.
#[allow(clippy::large_enum_variant)] // like the model that is made of it
pub(crate) enum SignIn {
    Done {
        user: UserRecord,
        account: AccountRecord,
        session: SessionRecord,
        is_new_user: bool,
    },
    /// This user already has the e-mail address.
    EmailInUse(UserRecord),
}

impl SignIn {
    /// The own fields that the answer shows and that may have been stored before.
    pub(crate) fn shown(&self) -> Option<(Fields, Fields)> {
        match self {
            Self::Done { user, account, .. } => Some((user.extra.clone(), account.extra.clone())),
            Self::EmailInUse(_) => None,
        }
    }

    /// Converts to the model, with the session token that the caller passed.
    pub(crate) fn into_model<U: Extra, A: Extra, S: Extra>(
        self,
        session_token: Token,
        max_age: TimeDelta,
    ) -> Result<models::SignIn<U, A, S>> {
        Ok(match self {
            Self::Done { user, account, session, is_new_user } => models::SignIn::Done(SignedIn {
                user: user.into_model()?,
                account: account.into_model()?,
                session: session.into_model(session_token, max_age)?,
                is_new_user,
            }),
            Self::EmailInUse(holder) => models::SignIn::EmailInUse(EmailInUse {
                email_verified: holder.has_verified_email(),
                user_id: holder.id,
            }),
        })
    }
}

/// The result of signing in with an e-mail address.
pub(crate) struct WithEmail {
    pub(crate) user: UserRecord,
    pub(crate) session: SessionRecord,
    pub(crate) is_new_user: bool,
    pub(crate) was_unverified: bool,
}

impl WithEmail {
    /// Converts to the model, with the session token that the caller passed.
    pub(crate) fn into_model<U: Extra, S: Extra>(
        self,
        session_token: Token,
        max_age: TimeDelta,
    ) -> Result<models::SignedInWithEmail<U, S>> {
        Ok(models::SignedInWithEmail {
            user: self.user.into_model()?,
            session: self.session.into_model(session_token, max_age)?,
            is_new_user: self.is_new_user,
            was_unverified: self.was_unverified,
        })
    }
}

/// Signs in the user of the account. If the account is unknown, it creates the new user and links the account, unless
/// another user has the e-mail address. The caller passes account and session as the new user's, because it does not
/// know yet who will be signed in.
pub(crate) fn with_account(
    txn: &mut Txn<'_>,
    user: &UserRecord,
    account: &AccountRecord,
    session: &SessionRecord,
    as_of: AsOf,
) -> Result<SignIn> {
    let (user, account, is_new_user) = match accounts::get(txn, &account.account_key())? {
        Some(known) => (resolve(txn, &known.user_id)?, accounts::refresh(txn, &known, account)?, false),
        None => {
            if let Some(email) = &user.email
                && let Some(holder) = users::by_email(txn, email.normal_form())?
            {
                return Ok(SignIn::EmailInUse(holder));
            }
            users::create(txn, user)?;
            accounts::link(txn, account)?;
            (user.clone(), account.clone(), true)
        }
    };
    let session = session.clone().of_user(user.id.clone());
    sessions::create(txn, &session, as_of)?;
    Ok(SignIn::Done { user, account, session, is_new_user })
}

/// Signs in the user who has the e-mail address of the new user, which the visitor has proven to own. If nobody has the
/// address, the new user is created.
pub(crate) fn with_email(
    txn: &mut Txn<'_>,
    new: &UserRecord,
    session: &SessionRecord,
    as_of: AsOf,
) -> Result<WithEmail> {
    let holder = match &new.email {
        Some(email) => users::by_email(txn, email.normal_form())?,
        None => None,
    };
    let (is_new_user, was_unverified) = match &holder {
        Some(holder) => (false, !holder.has_verified_email()),
        None => (true, false),
    };
    let user = match holder {
        Some(holder) if was_unverified => users::verify(txn, holder, as_of.now)?,
        Some(holder) => holder,
        None => {
            users::create(txn, new)?;
            new.clone()
        }
    };
    let session = session.clone().of_user(user.id.clone());
    sessions::create(txn, &session, as_of)?;
    Ok(WithEmail { user, session, is_new_user, was_unverified })
}
