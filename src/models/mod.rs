//! The records of an application's sign-in: users, accounts, sessions, verification tokens and authenticators.
//!
//! The fields are those of Auth.js, in Rust spelling. `X` is the type of the application's own fields, `()` if it has
//! none. Each record that can be written has a type for creating it (`New…`) and, where Auth.js has an update, a type
//! for changing it (`…Patch`). In a patch, leaving a field alone, clearing it and setting it are three different
//! things.
//!
//! Texts are UTF-8. E-mail addresses, ids, provider parts, tokens and identifiers have at most 512 bytes, other fields
//! 64 KiB, and a whole record 512 KiB. Instants are kept to the millisecond; anything finer is cut off. `Debug` shows
//! neither tokens nor anything that identifies a person.

mod accounts;
mod authenticators;
mod check;
mod codes;
mod dynamic;
mod extra;
mod field_reader;
mod fields;
mod id;
mod index;
mod instant;
mod json;
mod limits;
mod migration;
mod misfit;
mod patch;
pub(crate) mod probe;
pub(crate) mod secret;
mod sessions;
mod sign_in;
mod span;
mod tokens;
mod users;
mod value;
mod visitor;
mod web_sessions;

pub(crate) use accounts::account_from;
pub use accounts::{Account, AccountKey, AccountPatch, AccountType, MustLeave, NewAccount, ProviderAccount};
pub use authenticators::Authenticator;
pub use check::Check;
pub(crate) use codes::{CODE_VALID_MAX, LONG_CODE_DIGITS};
pub use codes::{CodeCheck, IssuedCode};
pub use dynamic::Dynamic;
pub use extra::{Extra, MigrationError, Models};
pub(crate) use fields::Fields;
pub use id::{AccountId, CredentialId, ProviderAccountId, SessionId, UserId, WebSessionId};
pub(crate) use id::{Id, unknown};
pub(crate) use index::{Absent, Absentees, FieldKey, Indexes, RangeOf};
pub use index::{Cursor, FieldRange, Index, Page};
pub(crate) use instant::{Millis, instant};
pub(crate) use json::json_text;
pub(crate) use limits::{FIELD_BYTES_MAX, KEY_BYTES_MAX, RECORD_BYTES_MAX};
pub use migration::{MigrationProgress, MigrationStep};
pub(crate) use misfit::{Misfit, RecordName};
pub use patch::{Change, FieldPatch};
pub(crate) use probe::{Kind, Shape};
pub use secret::Token;
pub(crate) use secret::{Redacted, TokenHash, fingerprint};
pub use sessions::{Authenticated, NewSession, Session, SessionAndUser, SessionInfo, SessionPatch};
pub use sign_in::{
    EmailInUse, EmailSignIn, NotProven, Proof, ProvedEmail, SIGN_IN, SignIn, SignedIn, SignedInWithEmail,
};
pub use span::Span;
pub use tokens::VerificationToken;
pub use users::{NewUser, User, UserPatch};
pub use value::{DynamicFields, Instant, Value};
pub use visitor::Visitor;
pub(crate) use web_sessions::{Mark, SaveId, Since};
pub use web_sessions::{WebSession, WebSessionData};
