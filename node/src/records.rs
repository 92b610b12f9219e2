//! The records of Auth.js, from JavaScript and back to it.

use authkv::models::{
    Account, AccountKey, AccountType, Authenticator, DynamicFields, NewAccount, NewSession, NewUser, Page, Session,
    SessionAndUser, SessionInfo, SessionPatch, Token, User, UserPatch, Value, VerificationToken,
};
use authkv::{CheckReport, Purged, Stats};

use crate::failure::{Failure, Result};
use crate::input::Input;
use crate::output::{Fields, Output};

pub(crate) fn new_user(mut input: Input) -> Result<NewUser<DynamicFields>> {
    Ok(NewUser {
        id: input.text("id")?.map(Into::into),
        name: input.text("name")?,
        email: input.text("email")?,
        email_verified: input.instant("emailVerified")?,
        image: input.text("image")?,
        extra: input.rest(),
    })
}

pub(crate) fn user_patch(mut input: Input) -> Result<UserPatch> {
    Ok(UserPatch {
        id: input.required_text("id")?.into(),
        name: input.change_text("name")?,
        email: input.change_text("email")?,
        email_verified: input.change_instant("emailVerified")?,
        image: input.change_text("image")?,
        extra: input.rest_as_patch(),
    })
}

impl Output for User<DynamicFields> {
    fn into_value(self) -> Value {
        Fields::with(self.extra)
            .set("id", self.id.as_str())
            .set_some("name", self.name)
            .set_some("email", self.email)
            .set_some("emailVerified", self.email_verified)
            .set_some("image", self.image)
            .into_value()
    }
}

const ACCOUNT_TYPES: [(&str, AccountType); 4] = [
    ("oauth", AccountType::Oauth),
    ("oidc", AccountType::Oidc),
    ("email", AccountType::Email),
    ("webauthn", AccountType::Webauthn),
];

pub(crate) fn new_account(mut input: Input) -> Result<NewAccount<DynamicFields>> {
    let account_type = input.required_text("type")?;
    let account_type = ACCOUNT_TYPES.into_iter().find(|(name, _)| *name == account_type);
    let refused = || Failure::invalid("type", "must be oauth, oidc, email or webauthn");
    Ok(NewAccount {
        id: input.text("id")?.map(Into::into),
        user_id: input.required_text("userId")?.into(),
        account_type: account_type.ok_or_else(refused)?.1,
        provider: input.required_text("provider")?,
        provider_account_id: input.provider_account_id()?,
        access_token: input.token("access_token")?,
        refresh_token: input.token("refresh_token")?,
        id_token: input.token("id_token")?,
        expires_at: input.integer("expires_at")?,
        token_type: input.text("token_type")?,
        scope: input.text("scope")?,
        session_state: input.text("session_state")?,
        extra: input.rest(),
    })
}

/// The pair that names an account. Other fields are ignored.
pub(crate) fn account_key(mut input: Input) -> Result<AccountKey> {
    Ok(AccountKey { provider: input.required_text("provider")?, provider_account_id: input.provider_account_id()? })
}

impl Output for Account<DynamicFields> {
    fn into_value(self) -> Value {
        let token = |token: Option<Token>| token.map(|token| token.reveal().to_owned());
        let account_type = ACCOUNT_TYPES.into_iter().find(|(_, known)| *known == self.account_type);
        Fields::with(self.extra)
            .set("id", self.id.as_str())
            .set("userId", self.user_id.as_str())
            .set_some("type", account_type.map(|(name, _)| name))
            .set("provider", self.provider)
            .set("providerAccountId", self.provider_account_id.as_str())
            .set_some("access_token", token(self.access_token))
            .set_some("refresh_token", token(self.refresh_token))
            .set_some("id_token", token(self.id_token))
            .set_some("expires_at", self.expires_at)
            .set_some("token_type", self.token_type)
            .set_some("scope", self.scope)
            .set_some("session_state", self.session_state)
            .into_value()
    }
}

pub(crate) fn new_session(mut input: Input) -> Result<NewSession<DynamicFields>> {
    input.ignore("id");
    Ok(NewSession {
        session_token: input.required_text("sessionToken")?.into(),
        user_id: input.required_text("userId")?.into(),
        expires: input.required_instant("expires")?,
        extra: input.rest(),
    })
}

pub(crate) fn session_patch(mut input: Input) -> Result<SessionPatch> {
    input.ignore("id");
    input.not_null("userId")?;
    input.not_null("expires")?;
    Ok(SessionPatch {
        session_token: input.required_text("sessionToken")?.into(),
        user_id: input.text("userId")?.map(Into::into),
        expires: input.instant("expires")?,
        extra: input.rest_as_patch(),
    })
}

impl Output for Session<DynamicFields> {
    fn into_value(self) -> Value {
        Fields::with(self.extra)
            .set("id", self.id.as_str())
            .set("sessionToken", self.session_token.reveal())
            .set("userId", self.user_id.as_str())
            .set("expires", self.expires)
            .into_value()
    }
}

impl Output for SessionInfo<DynamicFields> {
    fn into_value(self) -> Value {
        Fields::with(self.extra)
            .set("id", self.id.as_str())
            .set("userId", self.user_id.as_str())
            .set("created", self.created)
            .set("extended", self.extended)
            .set("expires", self.expires)
            .into_value()
    }
}

impl<T: Output> Output for Page<T> {
    fn into_value(self) -> Value {
        let next = self.next.map(|next| next.to_string());
        Fields::new()
            .set("items", self.items.into_value())
            .set("next", next.map_or(Value::Null, Value::from))
            .into_value()
    }
}

impl Output for SessionAndUser<DynamicFields, DynamicFields> {
    fn into_value(self) -> Value {
        Fields::new().set("session", self.session.into_value()).set("user", self.user.into_value()).into_value()
    }
}

pub(crate) fn verification_token(mut input: Input) -> Result<VerificationToken<DynamicFields>> {
    input.ignore("id");
    Ok(VerificationToken {
        identifier: input.required_text("identifier")?,
        token: input.required_text("token")?.into(),
        expires: input.required_instant("expires")?,
        extra: input.rest(),
    })
}

impl Output for VerificationToken<DynamicFields> {
    fn into_value(self) -> Value {
        Fields::with(self.extra)
            .set("identifier", self.identifier)
            .set("token", self.token.reveal())
            .set("expires", self.expires)
            .into_value()
    }
}

pub(crate) fn authenticator(mut input: Input) -> Result<Authenticator> {
    let authenticator = Authenticator {
        credential_id: input.required_text("credentialID")?.into(),
        user_id: input.required_text("userId")?.into(),
        provider_account_id: input.provider_account_id()?,
        credential_public_key: input.required_text("credentialPublicKey")?,
        counter: input.required_integer("counter")?,
        credential_device_type: input.required_text("credentialDeviceType")?,
        credential_backed_up: input.required_truth("credentialBackedUp")?,
        transports: input.text("transports")?,
    };
    input.end("is not a field of an authenticator, which can have no own fields")?;
    Ok(authenticator)
}

impl Output for Authenticator {
    fn into_value(self) -> Value {
        Fields::new()
            .set("credentialID", self.credential_id.as_str())
            .set("userId", self.user_id.as_str())
            .set("providerAccountId", self.provider_account_id.as_str())
            .set("credentialPublicKey", self.credential_public_key)
            .set("counter", self.counter)
            .set("credentialDeviceType", self.credential_device_type)
            .set("credentialBackedUp", self.credential_backed_up)
            .set_some("transports", self.transports)
            .into_value()
    }
}

impl Output for Purged {
    fn into_value(self) -> Value {
        Fields::new()
            .set("sessions", self.sessions as u64)
            .set("verificationTokens", self.verification_tokens as u64)
            .set("damaged", self.damaged as u64)
            .set("more", self.more)
            .into_value()
    }
}

impl Output for Stats {
    fn into_value(self) -> Value {
        Fields::new()
            .set("hotSessionHits", self.hot_session_hits)
            .set("hotSessionMisses", self.hot_session_misses)
            .set("cleanedFields", self.cleaned_fields)
            .into_value()
    }
}

impl Output for CheckReport {
    fn into_value(self) -> Value {
        let is_sound = self.is_sound();
        Fields::new()
            .set("isSound", is_sound)
            .set("users", self.users)
            .set("accounts", self.accounts)
            .set("sessions", self.sessions)
            .set("verificationTokens", self.verification_tokens)
            .set("authenticators", self.authenticators)
            .set("waitingToBeSwept", self.waiting_to_be_swept)
            .set("problemCount", self.problem_count)
            .set("problems", self.problems.into_iter().map(Value::from).collect::<Vec<_>>())
            .into_value()
    }
}
