//! The operations: each method of the adapter with its arguments, and other events in the life of a store. They are
//! made from bytes, so any source of bytes is a source of operations. There are few ids, addresses and tokens, so that
//! they collide.

use chrono::TimeDelta;

use crate::models::{AccountType, Change};

/// How many bytes make an operation.
pub const OPERATION_BYTES: usize = 8;

/// A call of one of the adapter's methods, or an event between two calls. Instants are given as offsets from the
/// clock's time.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub enum Operation {
    CreateUser {
        id: Option<&'static str>,
        name: Option<&'static str>,
        email: Option<&'static str>,
        email_verified: Option<TimeDelta>,
        image: Option<&'static str>,
    },
    GetUser(Who),
    GetUserByEmail(&'static str),
    GetUserByAccount(Pair),
    UpdateUser {
        user: Who,
        name: Change<&'static str>,
        email: Change<&'static str>,
        email_verified: Change<TimeDelta>,
        image: Change<&'static str>,
    },
    DeleteUser(Who),
    LinkAccount {
        id: Option<&'static str>,
        user: Who,
        account_type: AccountType,
        account: Pair,
        /// The start of all optional texts.
        text: Option<&'static str>,
        expires_at: Option<i64>,
    },
    UnlinkAccount(Pair),
    GetAccount(Pair),
    CreateSession {
        token: &'static str,
        user: Who,
        expires: TimeDelta,
    },
    GetSessionAndUser(&'static str),
    UpdateSession {
        token: &'static str,
        user: Option<Who>,
        expires: Option<TimeDelta>,
    },
    DeleteSession(&'static str),
    CreateVerificationToken {
        identifier: &'static str,
        token: &'static str,
        expires: TimeDelta,
    },
    UseVerificationToken {
        identifier: Option<&'static str>,
        token: &'static str,
    },
    CreateAuthenticator {
        credential: &'static str,
        user: Who,
        account: &'static str,
        counter: u32,
        transports: Option<&'static str>,
    },
    GetAuthenticator(&'static str),
    ListAuthenticatorsByUserId(Who),
    UpdateAuthenticatorCounter {
        credential: &'static str,
        counter: u32,
    },
    /// The clock advances.
    AdvanceClock(TimeDelta),
    /// Expired records are removed.
    Purge,
    /// The store is closed and opened again.
    Reopen,
}

/// A provider, and an account's id there.
pub type Pair = (&'static str, &'static str);

/// The user that an operation names.
#[derive(Clone, Copy, Debug)]
pub enum Who {
    /// The user with this id, who may not exist.
    Named(&'static str),
    /// An existing user, by position in the order of creation, modulo the number of users. If there are no users, an id
    /// that nobody has.
    Nth(u8),
}

const LONG: &str = match std::str::from_utf8(&[b'x'; 513]) {
    Ok(text) => text,
    Err(_) => "",
};

/// A name, a UUID that is stored in 16 bytes, and a UUID that must stay text.
const IDS: [&str; 3] = ["ada", "0193e7a4-5d1c-7c3a-9f00-0123456789ab", "0193E7A4-5D1C-7C3A-9F00-0123456789AB"];
const TEXTS: [Option<&str>; 4] = [None, Some(""), Some("Ada"), Some("\0👩‍👩‍👧")];
/// Three different addresses: case is ignored for ASCII letters, but not for others.
const EMAILS: [&str; 6] =
    ["ada@example.com", "Ada@Example.com", "bob@example.com", "äda@example.com", "ÄDA@example.com", "ÄDA@EXAMPLE.com"];
/// Pairs that become equal when their parts are joined with a colon.
const PROVIDERS: [&str; 2] = ["a", "a:b"];
const ACCOUNTS: [&str; 3] = ["b:c", "c", "C"];
const TYPES: [AccountType; 4] = [AccountType::Webauthn, AccountType::Oauth, AccountType::Oidc, AccountType::Email];
const TOKENS: [&str; 3] = ["s", "S", "s\0"];
const IDENTIFIERS: [&str; 2] = ["ada@example.com", "Ada@example.com"];
const CREDENTIALS: [&str; 3] = ["c", "C", "c\0"];
const COUNTERS: [u32; 4] = [0, 1, 300, u32::MAX];
const FROM_NOW: [TimeDelta; 8] = [
    TimeDelta::seconds(1),
    TimeDelta::zero(),
    TimeDelta::milliseconds(-1),
    TimeDelta::milliseconds(1),
    TimeDelta::nanoseconds(1_999_999),
    TimeDelta::minutes(1),
    TimeDelta::days(30),
    TimeDelta::days(30),
];
const STEPS: [TimeDelta; 8] = [
    TimeDelta::milliseconds(1),
    TimeDelta::milliseconds(1),
    TimeDelta::microseconds(300),
    TimeDelta::microseconds(300),
    TimeDelta::seconds(1),
    TimeDelta::seconds(1),
    TimeDelta::minutes(2),
    TimeDelta::days(31),
];

impl Operation {
    /// Decodes an operation. The first byte chooses the operation, the others its arguments. Smaller numbers make
    /// simpler operations. Inputs are kept as bytes, so a change here changes their meaning.
    pub fn from_bytes([kind, a, b, c, d, e, f, _]: [u8; OPERATION_BYTES]) -> Self {
        let pair = (pick(&PROVIDERS, a), pick(&ACCOUNTS, b));
        match kind % 40 {
            0 => Self::GetUser(Who::from_byte(a)),
            1 => Self::GetUserByEmail(pick(&EMAILS, a)),
            2 => Self::GetUserByAccount(pair),
            3 => Self::GetAccount(pair),
            4 => Self::GetSessionAndUser(pick(&TOKENS, a)),
            5 => Self::GetAuthenticator(pick(&CREDENTIALS, a)),
            6 => Self::ListAuthenticatorsByUserId(Who::from_byte(a)),
            7..=10 => Self::CreateUser {
                id: id(a),
                name: pick(&TEXTS, b),
                email: optional(c, |byte| spoilt(byte, &EMAILS)),
                email_verified: optional(d, |byte| pick(&FROM_NOW, byte)),
                image: pick(&TEXTS, e),
            },
            11..=14 => Self::UpdateUser {
                user: Who::from_byte(a),
                name: change(b, |byte| pick(&TEXTS, byte).unwrap_or_default()),
                email: change(c, |byte| spoilt(byte, &EMAILS)),
                email_verified: change(d, |byte| pick(&FROM_NOW, byte)),
                image: change(e, |byte| pick(&TEXTS, byte).unwrap_or_default()),
            },
            15 => Self::DeleteUser(Who::from_byte(a)),
            16..=18 => Self::LinkAccount {
                id: id(c),
                user: Who::from_byte(d),
                account_type: pick(&TYPES, e),
                account: (spoilt(a, &PROVIDERS), spoilt(b, &ACCOUNTS)),
                text: pick(&TEXTS, f),
                expires_at: optional(f, |byte| i64::from(byte) - 20),
            },
            19 => Self::UnlinkAccount(pair),
            20..=22 => {
                Self::CreateSession { token: spoilt(a, &TOKENS), user: Who::from_byte(b), expires: pick(&FROM_NOW, c) }
            }
            23..=25 => Self::UpdateSession {
                token: pick(&TOKENS, a),
                user: optional(b, Who::from_byte),
                expires: optional(c, |byte| pick(&FROM_NOW, byte)),
            },
            26 => Self::DeleteSession(pick(&TOKENS, a)),
            27..=29 => Self::CreateVerificationToken {
                identifier: spoilt(a, &IDENTIFIERS),
                token: spoilt(b, &TOKENS),
                expires: pick(&FROM_NOW, c),
            },
            30..=31 => Self::UseVerificationToken {
                identifier: optional(a, |byte| pick(&IDENTIFIERS, byte)),
                token: pick(&TOKENS, b),
            },
            32..=34 => Self::CreateAuthenticator {
                credential: spoilt(a, &CREDENTIALS),
                user: Who::from_byte(b),
                account: spoilt(c, &ACCOUNTS),
                counter: pick(&COUNTERS, d),
                transports: pick(&TEXTS, e),
            },
            35 => Self::UpdateAuthenticatorCounter { credential: pick(&CREDENTIALS, a), counter: pick(&COUNTERS, b) },
            36..=37 => Self::AdvanceClock(pick(&STEPS, a)),
            38 => Self::Purge,
            _ => Self::Reopen,
        }
    }

    /// Returns an account's optional texts, all different: access, refresh and id token, token type, scope, session
    /// state.
    pub(super) fn optional_texts(text: Option<&str>) -> [Option<String>; 6] {
        [1, 2, 3, 4, 5, 6].map(|place| text.map(|text| format!("{text}{place}")))
    }

    /// Returns every lookup that can find something in a store with this many users.
    pub(super) fn lookups(users: u8) -> impl Iterator<Item = Self> {
        let who = (0..users).map(Who::Nth).chain(IDS.map(Who::Named));
        let pairs = PROVIDERS.into_iter().flat_map(|provider| ACCOUNTS.map(|account| (provider, account)));
        who.flat_map(|who| [Self::GetUser(who), Self::ListAuthenticatorsByUserId(who)])
            .chain(EMAILS.map(Self::GetUserByEmail))
            .chain(pairs.flat_map(|pair| [Self::GetAccount(pair), Self::GetUserByAccount(pair)]))
            .chain(TOKENS.map(Self::GetSessionAndUser))
            .chain(CREDENTIALS.map(Self::GetAuthenticator))
    }

    /// Returns the name of the method or event.
    pub fn name(&self) -> &'static str {
        match self {
            Self::CreateUser { .. } => "create_user",
            Self::GetUser(_) => "get_user",
            Self::GetUserByEmail(_) => "get_user_by_email",
            Self::GetUserByAccount(_) => "get_user_by_account",
            Self::UpdateUser { .. } => "update_user",
            Self::DeleteUser(_) => "delete_user",
            Self::LinkAccount { .. } => "link_account",
            Self::UnlinkAccount(_) => "unlink_account",
            Self::GetAccount(_) => "get_account",
            Self::CreateSession { .. } => "create_session",
            Self::GetSessionAndUser(_) => "get_session_and_user",
            Self::UpdateSession { .. } => "update_session",
            Self::DeleteSession(_) => "delete_session",
            Self::CreateVerificationToken { .. } => "create_verification_token",
            Self::UseVerificationToken { .. } => "use_verification_token",
            Self::CreateAuthenticator { .. } => "create_authenticator",
            Self::GetAuthenticator(_) => "get_authenticator",
            Self::ListAuthenticatorsByUserId(_) => "list_authenticators_by_user_id",
            Self::UpdateAuthenticatorCounter { .. } => "update_authenticator_counter",
            Self::AdvanceClock(_) => "advance the clock",
            Self::Purge => "purge",
            Self::Reopen => "reopen",
        }
    }
}

impl Who {
    fn from_byte(byte: u8) -> Self {
        match byte % 8 {
            7 => Self::Named(pick(&IDS, byte / 8)),
            _ => Self::Nth(byte),
        }
    }
}

fn pick<T: Copy>(pool: &[T], byte: u8) -> T {
    pool[usize::from(byte) % pool.len()]
}

/// Picks a text of the pool, or rarely one that is too short or too long to be stored.
fn spoilt(byte: u8, pool: &[&'static str]) -> &'static str {
    match byte % 32 {
        30 => "",
        31 => LONG,
        _ => pick(pool, byte),
    }
}

/// Usually `None`, so that the store generates an id.
fn id(byte: u8) -> Option<&'static str> {
    if byte < 128 { None } else { Some(spoilt(byte, &IDS)) }
}

fn optional<T>(byte: u8, some: impl FnOnce(u8) -> T) -> Option<T> {
    (!byte.is_multiple_of(4)).then(|| some(byte / 4))
}

fn change<T>(byte: u8, to: impl FnOnce(u8) -> T) -> Change<T> {
    match byte % 4 {
        0 | 1 => Change::Keep,
        2 => Change::Clear,
        _ => Change::Set(to(byte / 4)),
    }
}
