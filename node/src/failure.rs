//! What JavaScript is told when a call fails: a stable code and a sentence.

use std::error::Error as _;

use authkv::{Error, OpenProblem, Problem, UniqueKey};

/// An error as JavaScript sees it.
pub struct Failure {
    pub(crate) code: &'static str,
    /// The field or option that is at fault, as JavaScript spells it.
    pub(crate) field: Option<String>,
    pub(crate) message: String,
}

pub type Result<T, E = Failure> = std::result::Result<T, E>;

impl Failure {
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, field: None, message: message.into() }
    }

    /// An argument that is refused. The message is the name of its field, followed by `problem`.
    pub(crate) fn invalid(field: impl Into<String>, problem: &str) -> Self {
        let field = field.into();
        let message = match field.char_indices().nth(80) {
            Some((end, _)) => format!("{}… {problem}", &field[..end]),
            None => format!("{field} {problem}"),
        };
        Self { code: "INVALID_ARGUMENT", field: Some(field), message }
    }

    pub(crate) fn closed() -> Self {
        Error::Closed.into()
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match &error {
            Error::InvalidArgument { field, problem: Problem::ClearInstead } => {
                Self::invalid(spelling(field), "must not be empty; null clears it")
            }
            Error::InvalidArgument { field, problem } => Self::invalid(spelling(field), &problem.to_string()),
            Error::Open { problem: OpenProblem::Locked, .. } => Self::new(code(&error), locked(&error)),
            Error::Conflict(UniqueKey::Field(name)) => {
                Self { code: code(&error), field: Some(name.to_string()), message: error.to_string() }
            }
            _ => Self::new(code(&error), with_causes(&error)),
        }
    }
}

fn code(error: &Error) -> &'static str {
    match error {
        Error::Conflict(key) => match key {
            UniqueKey::UserId => "CONFLICT_USER_ID",
            UniqueKey::Email => "CONFLICT_EMAIL",
            UniqueKey::AccountId => "CONFLICT_ACCOUNT_ID",
            UniqueKey::ProviderAccount => "CONFLICT_ACCOUNT",
            UniqueKey::SessionId => "CONFLICT_SESSION_ID",
            UniqueKey::SessionToken => "CONFLICT_SESSION_TOKEN",
            UniqueKey::CredentialId => "CONFLICT_CREDENTIAL_ID",
            UniqueKey::Field(_) => "CONFLICT_FIELD",
            _ => "CONFLICT",
        },
        Error::UnknownUser => "UNKNOWN_USER",
        Error::UnknownCredential => "UNKNOWN_CREDENTIAL",
        Error::UnknownSession => "UNKNOWN_SESSION",
        Error::InvalidArgument { .. } => "INVALID_ARGUMENT",
        Error::Open { problem, .. } => match problem {
            OpenProblem::NotRedb => "NOT_REDB",
            OpenProblem::ReadOnly => "READ_ONLY",
            OpenProblem::Locked | OpenProblem::DatabaseInUse => "LOCKED",
            OpenProblem::NewerFormat { .. } => "NEWER_FORMAT",
            OpenProblem::OtherModels { .. }
            | OpenProblem::ChangeUnfinished { .. }
            | OpenProblem::ModelsNotSynchronized { .. } => "OTHER_MODELS",
            OpenProblem::OtherEmailMatching { .. } => "OTHER_EMAIL_MATCHING",
            _ => "OPEN_FAILED",
        },
        Error::MissingTable(_) => "MISSING_TABLE",
        Error::Busy => "BUSY",
        Error::Closed => "CLOSED",
        Error::OutcomeUnknown(_) => "OUTCOME_UNKNOWN",
        _ => "STORAGE",
    }
}

fn locked(error: &Error) -> String {
    format!(
        "{error}. One process at a time can have it open, with one copy of this package: stop the other one, run a \
         single server process (no cluster), or use a database server if several processes need the same accounts"
    )
}

fn with_causes(error: &Error) -> String {
    let mut message = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        // Some errors name their cause in their own text.
        let text = cause.to_string();
        if !message.contains(&text) {
            message = format!("{message}: {text}");
        }
        source = cause.source();
    }
    message
}

/// A field as Auth.js spells it.
fn spelling(field: &str) -> &str {
    match field {
        "user_id" => "userId",
        "email_verified" => "emailVerified",
        "session_token" => "sessionToken",
        "account_type" => "type",
        "provider_account_id" => "providerAccountId",
        "credential_id" => "credentialID",
        "credential_public_key" => "credentialPublicKey",
        "credential_device_type" => "credentialDeviceType",
        "credential_backed_up" => "credentialBackedUp",
        // All of the own fields together.
        "extra" => "record",
        other => other,
    }
}
