//! Signs in with a provider's account or an e-mail address: finds or creates the user, the account and the session in
//! one step.

use chrono::TimeDelta;

use crate::error::Result;
use crate::kv::txn::Txn;
use crate::models::{self, EmailInUse, Extra, Fields, Millis, NotProven, SignedIn, Token, TokenHash};
use crate::ops::codes::{self, CodeGuess, Guessed};
use crate::ops::{accounts, resolve, sessions, tokens, users};
use crate::records::{AccountRecord, AsOf, Email, SessionRecord, UserRecord};

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

/// What shows that a visitor receives mail at an address.
pub(crate) enum EmailProof {
    /// The link with this hash.
    Link(Email, TokenHash),
    Code(CodeGuess),
    /// Nothing more than the caller's word.
    Own(Email),
}

/// Why a proof shows nothing, and what a wrong guess has cost.
pub(crate) struct Unproven {
    why: NotProven,
    cost: u64,
}

impl EmailProof {
    /// Uses the proof up. Returns the address that it proves, or why it proves none.
    fn take(&self, txn: &mut Txn<'_>, now: Millis) -> Result<Result<Email, Unproven>> {
        Ok(match self {
            Self::Link(address, hash) => {
                users::prefetch_by_email(txn, address.normal_form());
                let link = tokens::take_valid(txn, address.normal_form(), *hash, now)?;
                link.map(|_| address.clone()).ok_or(Unproven { why: NotProven::NoLink, cost: 0 })
            }
            Self::Code(guess) => match codes::guess(txn, guess, now)? {
                Guessed::Right(address) => Ok(address),
                Guessed::Wrong { guesses_left, cost } => {
                    Err(Unproven { why: NotProven::WrongCode { guesses_left }, cost })
                }
                Guessed::NoCode => Err(Unproven { why: NotProven::NoCode, cost: 0 }),
            },
            Self::Own(address) => Ok(address.clone()),
        })
    }
}

/// The result of signing in with an e-mail address.
#[allow(clippy::large_enum_variant)] // like the model that is made of it
pub(crate) enum WithEmail {
    Done { user: UserRecord, session: SessionRecord, is_new_user: bool, was_unverified: bool },
    NotProven(Unproven),
}

impl WithEmail {
    /// The own fields that the answer shows and that may have been stored before.
    pub(crate) fn shown(&self) -> Option<Fields> {
        if let Self::Done { user, .. } = self { Some(user.extra.clone()) } else { None }
    }

    /// What a wrong guess has cost.
    pub(crate) fn cost(&self) -> u64 {
        if let Self::NotProven(unproven) = self { unproven.cost } else { 0 }
    }

    /// Converts to the model, with the session token that the caller passed.
    pub(crate) fn into_model<U: Extra, S: Extra>(
        self,
        session_token: Token,
        max_age: TimeDelta,
    ) -> Result<models::EmailSignIn<U, S>> {
        Ok(match self {
            Self::Done { user, session, is_new_user, was_unverified } => {
                models::EmailSignIn::Done(models::SignedInWithEmail {
                    user: user.into_model()?,
                    session: session.into_model(session_token, max_age)?,
                    is_new_user,
                    was_unverified,
                })
            }
            Self::NotProven(unproven) => models::EmailSignIn::NotProven(unproven.why),
        })
    }
}

/// The result of proving the address of who is signed in.
#[allow(clippy::large_enum_variant)] // like the model that is made of it
pub(crate) enum Proved {
    Done(UserRecord),
    /// The user has another address, or none.
    NotTheirs,
    NotProven(Unproven),
    NoSession,
}

impl Proved {
    /// The own fields that the answer shows.
    pub(crate) fn shown(&self) -> Option<Fields> {
        if let Self::Done(user) = self { Some(user.extra.clone()) } else { None }
    }

    /// What a wrong guess has cost.
    pub(crate) fn cost(&self) -> u64 {
        if let Self::NotProven(unproven) = self { unproven.cost } else { 0 }
    }

    pub(crate) fn into_model<U: Extra>(self) -> Result<models::ProvedEmail<U>> {
        Ok(match self {
            Self::Done(user) => models::ProvedEmail::Done(user.into_model()?),
            Self::NotTheirs => models::ProvedEmail::NotTheirs,
            Self::NotProven(unproven) => models::ProvedEmail::NotProven(unproven.why),
            Self::NoSession => models::ProvedEmail::NoSession,
        })
    }
}

/// Uses up a proof of the address of the user whose session the request brought along. The proof of another address is
/// left as it is.
pub(crate) fn prove_email(
    txn: &mut Txn<'_>,
    proof: &EmailProof,
    from: Option<TokenHash>,
    as_of: AsOf,
) -> Result<Proved> {
    let user = from.map_or(Ok(None), |token| sessions::user_of(txn, &token, as_of))?;
    let Some(user) = user else {
        return Ok(Proved::NoSession);
    };
    Ok(match proof.take(txn, as_of.now)? {
        Ok(email) if !user.has_email(&email) => {
            txn.drop_changes();
            Proved::NotTheirs
        }
        Ok(_) if user.has_verified_email() => Proved::Done(user),
        Ok(_) => Proved::Done(users::verify(txn, user, as_of.now)?),
        Err(why) => Proved::NotProven(why),
    })
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

/// Uses up a proof of an e-mail address, and signs in the user who has the address. If nobody has it, the new user is
/// created with it. `from` is the session that the request brought along.
pub(crate) fn with_email(
    txn: &mut Txn<'_>,
    proof: &EmailProof,
    new: &UserRecord,
    session: &SessionRecord,
    from: Option<TokenHash>,
    as_of: AsOf,
) -> Result<WithEmail> {
    let email = match proof.take(txn, as_of.now)? {
        Ok(email) => email,
        Err(why) => return Ok(WithEmail::NotProven(why)),
    };
    let holder = users::by_email(txn, email.normal_form())?;
    let is_new_user = holder.is_none();
    let (user, was_unverified) = match holder {
        Some(holder) if holder.has_verified_email() => (holder, false),
        Some(holder) => {
            let asking = from.map_or(Ok(None), |token| sessions::user_of(txn, &token, as_of))?;
            let is_inside = asking.is_some_and(|user| user.id == holder.id);
            (users::verify(txn, holder, as_of.now)?, !is_inside)
        }
        None => {
            let new = new.clone().with_email(email).verified(as_of.now);
            users::create(txn, &new)?;
            (new, false)
        }
    };
    let session = session.clone().of_user(user.id.clone());
    sessions::create(txn, &session, as_of)?;
    Ok(WithEmail::Done { user, session, is_new_user, was_unverified })
}
