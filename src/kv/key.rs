//! Key bytes. In every component they sort like their values. The bytes of one component are never a prefix of
//! another's, so the keys that share a component are exactly those that begin with its bytes.
//!
//! | component | bytes |
//! |---|---|
//! | text | UTF-8 with each `00` written `00 01`, then `00 00` |
//! | id, a UUID in canonical spelling | `01`, 16 bytes |
//! | id, any other | `02`, text |
//! | token hash | 32 bytes |
//! | instant | milliseconds since 1970 as 8 bytes, big-endian, sign bit flipped |
//! | expiring record | `01`, user id, session id; `02`, token hash, text; `03`, text; `04`, token hash; or `05`, token hash |
//! | own field | `01`, `00` or `01` for a boolean; `02`, integer as 16 bytes, big-endian, sign bit flipped; `03`, instant; `04`, text |

use crate::models::{
    AccountId, CredentialId, FieldKey, Id, Millis, ProviderAccountId, RangeOf, SessionId, TokenHash, UserId, Value,
};

/// A value that can be a table's key, or a part of one.
pub(crate) trait Key: Sized {
    fn write(&self, out: &mut Vec<u8>);

    /// Takes a value off the front of `input`. Returns `None` if the bytes are not what [`write`](Self::write) writes.
    fn read(input: &mut &[u8]) -> Option<Self>;

    fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(48);
        self.write(&mut out);
        out
    }

    /// Reads a key that is exactly these bytes.
    fn from_bytes(mut bytes: &[u8]) -> Option<Self> {
        let key = Self::read(&mut bytes)?;
        bytes.is_empty().then_some(key)
    }
}

/// The end of the range of all keys that start with `prefix`. `None` if the range has no end.
pub(crate) fn prefix_end(mut prefix: Vec<u8>) -> Option<Vec<u8>> {
    while let Some(last) = prefix.pop() {
        if let Some(next) = last.checked_add(1) {
            prefix.push(next);
            return Some(prefix);
        }
    }
    None
}

impl Key for String {
    fn write(&self, out: &mut Vec<u8>) {
        write_text(self, out);
    }

    fn read(input: &mut &[u8]) -> Option<Self> {
        let mut text = Vec::new();
        loop {
            let zero = input.iter().position(|byte| *byte == 0)?;
            let (before, after) = input.split_at_checked(zero)?;
            text.extend_from_slice(before);
            match after {
                [0, 1, rest @ ..] => {
                    text.push(0);
                    *input = rest;
                }
                [0, 0, rest @ ..] => {
                    *input = rest;
                    return Self::from_utf8(text).ok();
                }
                _ => return None,
            }
        }
    }
}

fn write_text(text: &str, out: &mut Vec<u8>) {
    write_text_start(text, out);
    out.extend([0, 0]);
}

/// Writes the bytes with which all texts that start with this one begin.
fn write_text_start(text: &str, out: &mut Vec<u8>) {
    let mut parts = text.split('\0');
    out.extend_from_slice(parts.next().unwrap_or_default().as_bytes());
    for part in parts {
        out.extend([0, 1]);
        out.extend_from_slice(part.as_bytes());
    }
}

impl Key for TokenHash {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.as_bytes());
    }

    fn read(input: &mut &[u8]) -> Option<Self> {
        take(input).map(Self::from_bytes)
    }
}

impl Key for Millis {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&(self.since_epoch() ^ i64::MIN).to_be_bytes());
    }

    fn read(input: &mut &[u8]) -> Option<Self> {
        take(input).map(|bytes| Self::new(i64::from_be_bytes(bytes) ^ i64::MIN))
    }
}

impl FieldKey {
    fn tag(&self) -> u8 {
        match self {
            Self::Bool(_) => 1,
            Self::Integer(_) => 2,
            Self::Instant(_) => 3,
            Self::Text(_) => TEXT_TAG,
        }
    }
}

const TEXT_TAG: u8 = 4;

impl Key for FieldKey {
    fn write(&self, out: &mut Vec<u8>) {
        out.push(self.tag());
        match self {
            Self::Bool(value) => out.push(u8::from(*value)),
            Self::Integer(value) => out.extend_from_slice(&(value ^ i128::MIN).to_be_bytes()),
            Self::Instant(value) => value.write(out),
            Self::Text(value) => value.write(out),
        }
    }

    fn read(input: &mut &[u8]) -> Option<Self> {
        match take(input)? {
            [1] => match take(input)? {
                [0] => Some(Self::Bool(false)),
                [1] => Some(Self::Bool(true)),
                _ => None,
            },
            [2] => take(input).map(|bytes| Self::Integer(i128::from_be_bytes(bytes) ^ i128::MIN)),
            [3] => Key::read(input).map(Self::Instant),
            [TEXT_TAG] => Key::read(input).map(Self::Text),
            _ => None,
        }
    }
}

/// The first key, and the end, of the range of an own field's values. `None` if the range is empty.
pub(crate) fn field_range(field: &str, range: &RangeOf) -> Option<(Vec<u8>, Vec<u8>)> {
    let mut field_bytes = Vec::new();
    write_text(field, &mut field_bytes);
    let key = |value: &Value| FieldKey::of(value.clone()).ok().flatten();
    let at = |bytes: &[u8]| [field_bytes.as_slice(), bytes].concat();
    let (start, last) = match range {
        RangeOf::All => (at(&[]), at(&[])),
        RangeOf::Prefix(prefix) => {
            let mut bytes = vec![TEXT_TAG];
            write_text_start(prefix, &mut bytes);
            (at(&bytes), at(&bytes))
        }
        RangeOf::AtLeast(value) => key(value).map(|key| (at(&key.to_bytes()), at(&[key.tag()])))?,
        RangeOf::AtMost(value) => key(value).map(|key| (at(&[key.tag()]), at(&key.to_bytes())))?,
        RangeOf::Between(least, greatest) => {
            let (least, greatest) = (key(least)?, key(greatest)?);
            if least.tag() != greatest.tag() {
                return None;
            }
            (at(&least.to_bytes()), at(&greatest.to_bytes()))
        }
    };
    let end = prefix_end(last)?;
    (start < end).then_some((start, end))
}

impl<A: Key, B: Key> Key for (A, B) {
    fn write(&self, out: &mut Vec<u8>) {
        self.0.write(out);
        self.1.write(out);
    }

    fn read(input: &mut &[u8]) -> Option<Self> {
        Some((A::read(input)?, B::read(input)?))
    }
}

macro_rules! id_keys {
    ($($id:ident)*) => {$(
        impl Key for $id {
            fn write(&self, out: &mut Vec<u8>) {
                write_id(&self.stored(), out);
            }

            fn read(input: &mut &[u8]) -> Option<Self> {
                read_id(input).map(Self::from)
            }
        }
    )*};
}

id_keys!(UserId AccountId SessionId CredentialId ProviderAccountId);

fn write_id(id: &Id<'_>, out: &mut Vec<u8>) {
    match id {
        Id::Uuid(bytes) => {
            out.push(1);
            out.extend_from_slice(bytes);
        }
        Id::Text(text) => {
            out.push(2);
            write_text(text, out);
        }
    }
}

fn read_id(input: &mut &[u8]) -> Option<Id<'static>> {
    match take(input)? {
        [1] => take(input).map(Id::Uuid),
        [2] => String::read(input).filter(|text| matches!(Id::of(text), Id::Text(_))).map(|text| Id::Text(text.into())),
        _ => None,
    }
}

pub(crate) fn take<const N: usize>(input: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = input.split_first_chunk()?;
    *input = rest;
    Some(*taken)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const TEXTS: [&str; 9] = ["", "\0", "\0\0", "\0\u{1}", "a", "a\0", "a\0b", "ab", "\u{10FFFF}"];

    #[test]
    fn texts_come_back_and_keep_their_order() {
        for left in TEXTS {
            let bytes = left.to_owned().to_bytes();
            assert_eq!(String::from_bytes(&bytes).unwrap(), left);
            for right in TEXTS {
                let right_bytes = right.to_owned().to_bytes();
                assert_eq!(bytes.cmp(&right_bytes), left.cmp(right));
                assert_eq!(bytes.starts_with(&right_bytes), left == right);
            }
        }
    }

    #[test]
    fn pairs_do_not_run_into_each_other() {
        let key = |a: &str, b: &str| (a.to_owned(), b.to_owned()).to_bytes();
        assert_ne!(key("a", "b:c"), key("a:b", "c"));
        assert_ne!(key("a\0", "b"), key("a", "\0b"));
        assert_ne!(key("", "ab"), key("a", "b"));
        assert!(key("a", "z") < key("a\0", "a"));
    }

    #[test]
    fn instants_keep_their_order() {
        let instants = [i64::MIN, -1, 0, 1, i64::MAX].map(Millis::new);
        let bytes = instants.map(|instant| instant.to_bytes());
        assert!(bytes.is_sorted());
        for (instant, bytes) in instants.iter().zip(&bytes) {
            assert!(Millis::from_bytes(bytes).unwrap() == *instant);
        }
    }

    #[test]
    fn only_a_canonical_uuid_is_shortened() {
        for (id, length) in [
            ("0193e7a4-5d1c-7c3a-9f00-0123456789ab", 17),
            ("0193E7A4-5D1C-7C3A-9F00-0123456789AB", 39),
            ("0193e7a45d1c7c3a9f000123456789ab", 35),
            ("{0193e7a4-5d1c-7c3a-9f00-0123456789ab}", 41),
        ] {
            let bytes = UserId::from(id).to_bytes();
            assert_eq!(bytes.len(), length);
            assert_eq!(UserId::from_bytes(&bytes).unwrap().as_str(), id);
        }
    }

    #[test]
    fn bytes_that_no_key_has_are_refused() {
        for bytes in [&[][..], &[3], &[1, 2, 3], &[2, b'a'], &[2, b'a', 0], &[2, 0xFF, 0, 0], &[2, b'a', 0, 2, 0, 0]] {
            assert!(UserId::from_bytes(bytes).is_none());
        }
    }

    #[test]
    fn a_uuid_that_is_written_as_text_is_refused() {
        let id = "0193e7a4-5d1c-7c3a-9f00-0123456789ab";
        let bytes = [&[2], id.as_bytes(), &[0, 0]].concat();
        assert!(UserId::from_bytes(&bytes).is_none());
        assert!(UserId::from_bytes(&bytes.to_ascii_uppercase()).is_some());
    }

    #[test]
    fn a_prefix_ends_where_its_keys_do() {
        assert_eq!(prefix_end(vec![1, 2]), Some(vec![1, 3]));
        assert_eq!(prefix_end(vec![1, 0xFF]), Some(vec![2]));
        assert_eq!(prefix_end(vec![0xFF]), None);
    }
}
