//! The rows that authkv writes, as templates from which bare stores write rows of the same shape.

mod learn;

use crate::people::{self, Person};

pub use learn::learn;

/// The rows that authkv writes for each call, learned from authkv itself.
pub struct Shapes {
    /// The names of all tables. A row identifies its table by its place here.
    pub tables: Vec<String>,
    pub user: Vec<Row>,
    pub account: Vec<Row>,
    pub session: Vec<Row>,
    /// The rows of a session that an extension rewrites.
    pub extended: Vec<Row>,
    pub verification_token: Vec<Row>,
}

pub struct Row {
    pub table: usize,
    pub key: Template,
    pub value: Template,
    /// The value after an extension, if the extension changes it.
    extended: Option<Template>,
}

/// Bytes with holes, all of a fixed length.
pub struct Template(Vec<Piece>);

enum Piece {
    Fixed(Vec<u8>),
    Hole(Part, Coding),
}

/// A value that differs between the rows of different people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    UserId,
    Name,
    Email,
    Image,
    AccountId,
    ProviderAccountId,
    SessionId,
    /// The hash of a session token or verification token.
    TokenHash,
    /// The session's current expiry.
    Expires,
    /// The session's first expiry, which an extension leaves in some places.
    FirstExpires,
}

const PARTS: usize = Part::FirstExpires as usize + 1;

/// The encoding of a part.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Coding {
    AsIs,
    /// An instant in a value: doubled, little-endian.
    Zigzag,
}

/// Known parts, encoded as in keys.
#[derive(Clone, Default)]
pub struct Values([Option<Vec<u8>>; PARTS]);

impl Row {
    /// Learns the parts in the row's value.
    pub fn read_value(&self, value: &[u8], values: &mut Values) {
        let extended = self.extended.as_ref().filter(|extended| extended.len() == value.len());
        extended.unwrap_or(&self.value).read(value, values);
    }
}

impl Values {
    pub fn with(mut self, part: Part, bytes: impl Into<Vec<u8>>) -> Self {
        self.set(part, bytes.into());
        self
    }

    pub fn with_expires(self, expires_ms: i64) -> Self {
        self.with(Part::Expires, instant(expires_ms)).with(Part::FirstExpires, instant(expires_ms))
    }

    /// The same session after an extension.
    pub fn extended_to(self, expires_ms: i64) -> Self {
        self.with(Part::Expires, instant(expires_ms))
    }

    pub fn of_user(person: Person) -> Self {
        Self::default()
            .with(Part::UserId, *person.user_id().as_bytes())
            .with(Part::Name, person.name())
            .with(Part::Email, person.email())
            .with(Part::Image, person.image())
    }

    pub fn of_account(person: Person) -> Self {
        Self::default()
            .with(Part::UserId, *person.user_id().as_bytes())
            .with(Part::AccountId, *person.account_id().as_bytes())
            .with(Part::ProviderAccountId, person.provider_account_id())
    }

    /// The values of a session that gets its id now.
    pub fn of_session(user_id: uuid::Uuid, token: &str, expires_ms: i64) -> Self {
        Self::default()
            .with(Part::UserId, *user_id.as_bytes())
            .with(Part::SessionId, *uuid::Uuid::now_v7().as_bytes())
            .with(Part::TokenHash, people::hash(token))
            .with_expires(expires_ms)
    }

    pub fn of_token(identifier: &str, token: &str, expires_ms: i64) -> Self {
        Self::default()
            .with(Part::Email, identifier)
            .with(Part::TokenHash, people::hash(token))
            .with_expires(expires_ms)
    }

    /// If the session has only one expiry, that is the first one too.
    pub fn never_extended(&mut self) {
        if let (None, Some(expires)) = (self.get(Part::FirstExpires), self.get(Part::Expires)) {
            self.set(Part::FirstExpires, expires.to_vec());
        }
    }

    pub fn get(&self, part: Part) -> Option<&[u8]> {
        self.0.get(part as usize)?.as_deref()
    }

    pub fn text(&self, part: Part) -> Option<String> {
        String::from_utf8(self.get(part)?.to_vec()).ok()
    }

    pub fn uuid(&self, part: Part) -> Option<uuid::Uuid> {
        uuid::Uuid::from_slice(self.get(part)?).ok()
    }

    pub fn expires_ms(&self) -> Option<i64> {
        let bytes = self.get(Part::Expires)?.try_into().ok()?;
        Some((u64::from_be_bytes(bytes) ^ (1 << 63)).cast_signed())
    }

    fn set(&mut self, part: Part, bytes: Vec<u8>) {
        if let Some(place) = self.0.get_mut(part as usize) {
            *place = Some(bytes);
        }
    }
}

/// An instant, encoded as in keys.
fn instant(ms: i64) -> [u8; 8] {
    (ms.cast_unsigned() ^ (1 << 63)).to_be_bytes()
}

impl Template {
    /// A template of these bytes, in which every occurrence of these parts becomes a hole, part by part in this order.
    fn of(bytes: &[u8], parts: &[(Part, Vec<u8>)]) -> Self {
        let mut pieces = vec![Piece::Fixed(bytes.to_vec())];
        for (part, value) in parts {
            for coding in [Coding::AsIs, Coding::Zigzag] {
                let Some(written) = written(*part, coding, value) else { continue };
                pieces = pieces.into_iter().flat_map(|piece| piece.punched(*part, coding, &written)).collect();
            }
        }
        Self(pieces)
    }

    /// True if all parts of the template are known.
    pub fn is_known(&self, values: &Values) -> bool {
        self.0.iter().all(|piece| piece.is_known(values))
    }

    /// True if this part is the first of several parts.
    pub fn begins_with(&self, part: Part) -> bool {
        let mut parts = self.0.iter().filter_map(|piece| match piece {
            Piece::Hole(part, _) => Some(*part),
            Piece::Fixed(_) => None,
        });
        parts.next() == Some(part) && parts.next().is_some()
    }

    /// The bytes up to the first unknown part.
    pub fn bytes(&self, values: &Values) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(256);
        for piece in self.0.iter().take_while(|piece| piece.is_known(values)) {
            match piece {
                Piece::Fixed(fixed) => bytes.extend_from_slice(fixed),
                Piece::Hole(part, coding) => {
                    let value = values.get(*part).unwrap_or_default();
                    bytes.extend(written(*part, *coding, value).unwrap_or_default());
                }
            }
        }
        bytes
    }

    fn len(&self) -> usize {
        self.0.iter().map(Piece::len).sum()
    }

    /// Learns the parts that occur in `bytes`.
    pub fn read(&self, mut bytes: &[u8], values: &mut Values) {
        for piece in &self.0 {
            let Some((here, rest)) = bytes.split_at_checked(piece.len()) else { return };
            if let Piece::Hole(part, coding) = piece {
                values.set(*part, read(*coding, here));
            }
            bytes = rest;
        }
    }
}

impl Piece {
    fn is_known(&self, values: &Values) -> bool {
        match self {
            Self::Fixed(_) => true,
            Self::Hole(part, _) => values.get(*part).is_some(),
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Fixed(fixed) => fixed.len(),
            Self::Hole(part, _) => length(*part),
        }
    }

    /// The remaining pieces when `written` becomes a hole.
    fn punched(self, part: Part, coding: Coding, written: &[u8]) -> Vec<Self> {
        let Self::Fixed(fixed) = &self else { return vec![self] };
        let Some(start) = fixed.windows(written.len()).position(|window| window == written) else { return vec![self] };
        let (before, found) = fixed.split_at(start);
        let after = found.get(written.len()..).unwrap_or_default();
        let mut pieces = vec![Self::Fixed(before.to_vec()), Self::Hole(part, coding)];
        pieces.extend(Self::Fixed(after.to_vec()).punched(part, coding, written));
        pieces
    }
}

fn length(part: Part) -> usize {
    let person = Person(0);
    match part {
        Part::UserId | Part::AccountId | Part::SessionId => 16,
        Part::TokenHash => 32,
        Part::Expires | Part::FirstExpires => 8,
        Part::Name => person.name().len(),
        Part::Email => person.email().len(),
        Part::Image => person.image().len(),
        Part::ProviderAccountId => person.provider_account_id().len(),
    }
}

/// Encodes a part from its known form. Returns `None` if the part never has this encoding.
fn written(part: Part, coding: Coding, value: &[u8]) -> Option<Vec<u8>> {
    match (coding, part) {
        (Coding::AsIs, _) => Some(value.to_vec()),
        (Coding::Zigzag, Part::Expires | Part::FirstExpires) => {
            let ms = u64::from_be_bytes(value.try_into().ok()?) ^ (1 << 63);
            Some((ms * 2).to_le_bytes().to_vec())
        }
        (Coding::Zigzag, _) => None,
    }
}

fn read(coding: Coding, bytes: &[u8]) -> Vec<u8> {
    match (coding, bytes.try_into()) {
        (Coding::Zigzag, Ok(bytes)) => ((u64::from_le_bytes(bytes) / 2) ^ (1 << 63)).to_be_bytes().to_vec(),
        _ => bytes.to_vec(),
    }
}
