//! Signing in with a provider's account, or with an e-mail address: user, account and session at once.

use crate::error::Result;
use crate::kv::txn::Txn;
use crate::models::{self, EmailInUse, Extra, Millis, SignedIn, Token};
use crate::ops::{accounts, resolve, sessions, users};
use crate::records::{AccountRecord, SessionRecord, UserRecord};

/// What signing in came to.
#[allow(clippy::large_enum_variant)] // like the model that is made of it
pub(crate) enum SignIn {
    Done {
        user: UserRecord,
        account: AccountRecord,
        session: SessionRecord,
        is_new_user: bool,
    },
    /// This user has the e-mail address.
    EmailInUse(UserRecord),
}

impl SignIn {
    /// The outcome with the session's token, which its caller knows.
    pub(crate) fn into_model<U: Extra, A: Extra, S: Extra>(
        self,
        session_token: Token,
    ) -> Result<models::SignIn<U, A, S>> {
        Ok(match self {
            Self::Done { user, account, session, is_new_user } => models::SignIn::Done(SignedIn {
                user: user.into_model()?,
                account: account.into_model()?,
                session: session.into_model(session_token)?,
                is_new_user,
            }),
            Self::EmailInUse(holder) => models::SignIn::EmailInUse(EmailInUse {
                email_verified: holder.has_verified_email(),
                user_id: holder.id,
            }),
        })
    }
}

/// Who has signed in with an e-mail address.
pub(crate) struct WithEmail {
    pub(crate) user: UserRecord,
    pub(crate) session: SessionRecord,
    pub(crate) is_new_user: bool,
    pub(crate) was_unverified: bool,
}

/// Signs in the user of the account; where nobody has it, the new user, unless somebody has the e-mail address. Account
/// and session are those of the new user, as long as it is not known who it is.
pub(crate) fn with_account(
    txn: &mut Txn<'_>,
    user: &UserRecord,
    account: &AccountRecord,
    session: &SessionRecord,
    now: Millis,
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
    sessions::create(txn, &session, now)?;
    Ok(SignIn::Done { user, account, session, is_new_user })
}

/// Signs in the user with the e-mail address of the new user, who has proven to have it; where nobody has it, the new user.
pub(crate) fn with_email(
    txn: &mut Txn<'_>,
    new: &UserRecord,
    session: &SessionRecord,
    now: Millis,
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
        Some(holder) if was_unverified => users::verify(txn, holder, now)?,
        Some(holder) => holder,
        None => {
            users::create(txn, new)?;
            new.clone()
        }
    };
    let session = session.clone().of_user(user.id.clone());
    sessions::create(txn, &session, now)?;
    Ok(WithEmail { user, session, is_new_user, was_unverified })
}
