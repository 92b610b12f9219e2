//! Ids: opaque texts, with one type per kind so that they cannot be mixed up.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;
use uuid::fmt::Hyphenated;

/// An id as it is stored: a UUID in its canonical spelling takes 16 bytes, anything else is text.
#[derive(Clone)]
pub(crate) enum Id<'a> {
    Uuid([u8; 16]),
    Text(Cow<'a, str>),
}

impl<'a> Id<'a> {
    pub(crate) fn of(text: &'a str) -> Self {
        // Of all spellings of a UUID, only the canonical one has this length.
        let may_be_canonical = text.len() == Hyphenated::LENGTH && !text.bytes().any(|byte| byte.is_ascii_uppercase());
        match Uuid::try_parse_ascii(text.as_bytes()) {
            Ok(uuid) if may_be_canonical => Self::Uuid(uuid.into_bytes()),
            _ => Self::Text(Cow::Borrowed(text)),
        }
    }
}

/// The text of an id. A UUID in its canonical spelling, as most ids are, needs no allocation.
#[derive(Clone)]
enum Text {
    Canonical { uuid: [u8; 16], spelling: [u8; Hyphenated::LENGTH] },
    Other(Box<str>),
}

impl Text {
    fn as_str(&self) -> &str {
        match self {
            Self::Canonical { spelling, .. } => std::str::from_utf8(spelling).unwrap_or_default(),
            Self::Other(text) => text,
        }
    }

    fn id(&self) -> Id<'_> {
        match self {
            Self::Canonical { uuid, .. } => Id::Uuid(*uuid),
            Self::Other(text) => Id::Text(Cow::Borrowed(text)),
        }
    }
}

impl From<Id<'_>> for Text {
    fn from(id: Id<'_>) -> Self {
        match id {
            Id::Uuid(uuid) => {
                let mut spelling = [0; Hyphenated::LENGTH];
                Uuid::from_bytes(uuid).hyphenated().encode_lower(&mut spelling);
                Self::Canonical { uuid, spelling }
            }
            Id::Text(text) => Self::Other(text.into()),
        }
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Text {}

impl PartialOrd for Text {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Text {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl Hash for Text {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

/// Serialises as bytes with a tag in front. As an array, which serde reads number by number, it would take longer to
/// read than everything else together.
impl Serialize for Id<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Uuid(bytes) => {
                let mut tagged = [1; 17];
                tagged[1..].copy_from_slice(bytes);
                serializer.serialize_bytes(&tagged)
            }
            Self::Text(text) => serializer.serialize_bytes(&[&[2], text.as_bytes()].concat()),
        }
    }
}

impl<'de> Deserialize<'de> for Id<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match <&[u8]>::deserialize(deserializer)? {
            [1, uuid @ ..] => uuid.try_into().map(Self::Uuid).map_err(D::Error::custom),
            [2, text @ ..] => {
                std::str::from_utf8(text).map(|text| Self::Text(Cow::Borrowed(text))).map_err(D::Error::custom)
            }
            _ => Err(D::Error::custom("an id has an unknown tag")),
        }
    }
}

/// A placeholder for an id that is not known yet.
pub(crate) fn unknown<I: From<Id<'static>>>() -> I {
    Id::Text(Cow::Borrowed("")).into()
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Text);

        impl $name {
            /// The id as text.
            pub fn as_str(&self) -> &str {
                self.0.as_str()
            }

            /// The id as it is stored.
            pub(crate) fn stored(&self) -> Id<'_> {
                self.0.id()
            }
        }

        impl From<Id<'_>> for $name {
            fn from(id: Id<'_>) -> Self {
                Self(id.into())
            }
        }

        impl From<String> for $name {
            fn from(id: String) -> Self {
                Id::of(&id).into()
            }
        }

        impl From<&str> for $name {
            fn from(id: &str) -> Self {
                Id::of(id).into()
            }
        }

        impl From<&String> for $name {
            fn from(id: &String) -> Self {
                Id::of(id).into()
            }
        }

        impl From<&Self> for $name {
            fn from(id: &Self) -> Self {
                id.clone()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.as_str().to_owned()
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                self.as_str()
            }
        }

        impl PartialEq<str> for $name {
            fn eq(&self, other: &str) -> bool {
                self.as_str() == other
            }
        }

        impl PartialEq<&str> for $name {
            fn eq(&self, other: &&str) -> bool {
                self.as_str() == *other
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        /// Serialises as text in human-readable formats such as JSON, and compactly in binary ones.
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if serializer.is_human_readable() {
                    self.as_str().serialize(serializer)
                } else {
                    self.stored().serialize(serializer)
                }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                if deserializer.is_human_readable() {
                    String::deserialize(deserializer).map(Self::from)
                } else {
                    Id::deserialize(deserializer).map(Self::from)
                }
            }
        }
    };
}

macro_rules! shown {
    ($name:ident) => {
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({:?})"), self.as_str())
            }
        }
    };
}

id! {
    /// The id of a [`User`](super::User): any non-empty text. Ids generated by the store are UUIDs (version 7).
    UserId
}
id! {
    /// The id of an [`Account`](super::Account): any non-empty text. Ids generated by the store are UUIDs (version 7).
    AccountId
}
id! {
    /// The id of a [`Session`](super::Session), generated by the store. Unlike the session token, it is not secret.
    SessionId
}
id! {
    /// The id of a [`WebSession`](super::WebSession): the hash of its token in hexadecimal, which is not secret. The id
    /// of the current session is made with `from` from the session's id in tower-sessions.
    WebSessionId
}
id! {
    /// The credential id of an [`Authenticator`](super::Authenticator), as WebAuthn gives it (base64url).
    CredentialId
}
id! {
    /// The id that a provider gives an account. It is opaque and case-sensitive. A number stands for its decimal text.
    /// It may be an e-mail address, so `Debug` does not show it.
    ProviderAccountId
}
shown!(UserId);
shown!(AccountId);
shown!(SessionId);
shown!(WebSessionId);
shown!(CredentialId);

impl fmt::Debug for ProviderAccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProviderAccountId(<redacted>)")
    }
}

impl From<u64> for ProviderAccountId {
    fn from(number: u64) -> Self {
        number.to_string().into()
    }
}

impl From<i64> for ProviderAccountId {
    fn from(number: i64) -> Self {
        number.to_string().into()
    }
}
