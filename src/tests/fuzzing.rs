//! Properties of arbitrary bytes, read as records and as keys. The fuzz targets call these functions; tests call them
//! with inputs that the fuzzer found or that are known to be interesting.
//!
//! # Panics
//! Each function panics if a property does not hold.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use chrono::TimeDelta;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use uuid::Uuid;

use crate::error::Result;
use crate::kv::codec;
use crate::kv::key::{Key, prefix_end};
use crate::models::{AccountId, Indexes, Millis, Token, TokenHash, UserId};
use crate::records::entries::Record;
use crate::records::expiring::Expiring;
use crate::records::schema::{
    ACCOUNT_BY_PROVIDER, ACCOUNTS_BY_USER, META, SESSION_BY_TOKEN, SessionEntry, USER_BY_EMAIL,
};
use crate::records::{
    AccountRecord, AuthenticatorRecord, CodeRequest, GuessBudget, OldCode, SessionRecord, StateRecord, TokenRecord,
    UserRecord, WebSessionRecord,
};

type OwnFields = BTreeMap<String, Value>;

/// Decodes bytes as each kind of stored value: once unchanged, and once as a body with a correct checksum, which no
/// fuzzer guesses. The first byte chooses the kind.
pub fn decode_record(bytes: &[u8]) {
    let Some((kind, bytes)) = bytes.split_first() else {
        return;
    };
    match kind % 15 {
        0 => record(bytes, UserRecord::into_model::<OwnFields>),
        1 => record(bytes, AccountRecord::into_model::<OwnFields>),
        2 => record(bytes, |session: SessionRecord| {
            session.into_model::<OwnFields>(Token::from("token"), TimeDelta::days(30))
        }),
        3 => record(bytes, |token: TokenRecord| token.into_model::<OwnFields>(Token::from("token"))),
        4 => record(bytes, |authenticator: AuthenticatorRecord| Ok(authenticator.into_model())),
        5 => drop(value::<SessionEntry>(SESSION_BY_TOKEN.id.name, bytes)),
        6 => drop(value::<(AccountId, UserId)>(ACCOUNT_BY_PROVIDER.id.name, bytes)),
        7 => drop(value::<UserId>(USER_BY_EMAIL.id.name, bytes)),
        8 => drop(value::<String>(META.id.name, bytes)),
        9 => drop(value::<()>(ACCOUNTS_BY_USER.id.name, bytes)),
        10 => record(bytes, |_: OldCode| Ok(())),
        11 => record(bytes, |_: StateRecord| Ok(())),
        12 => record(bytes, WebSessionRecord::into_model),
        13 => record(bytes, |_: CodeRequest| Ok(())),
        _ => record(bytes, |budget: GuessBudget| Ok(budget.at(Millis::new(0)))),
    }
}

fn record<R: Record, M>(bytes: &[u8], into_model: impl FnOnce(R) -> Result<M>) {
    if let Some(record) = value::<R>(R::TABLE.id.name, bytes) {
        let key = record.key().to_bytes();
        assert!(R::Key::from_bytes(&key).is_some(), "the key of a record cannot be read");
        drop(record.entries(&Indexes::default()));
        drop(into_model(record));
    }
}

/// A value that decodes is encoded to bytes that decode to the same value.
fn value<V: Serialize + DeserializeOwned>(table: &str, body: &[u8]) -> Option<V> {
    const KEY: &[u8] = b"key";
    drop(codec::decode::<V>(table, KEY, body));
    let value: V = codec::decode(table, KEY, &codec::enveloped(table, KEY, body)).ok()?;
    let bytes = codec::encode(table, KEY, &value).ok()?;
    let again: V = codec::decode(table, KEY, &bytes).expect("what was encoded can be decoded");
    assert_eq!(codec::encode(table, KEY, &again).expect("it was encoded before"), bytes);
    Some(value)
}

/// Reads bytes as each kind of key and makes keys of them: two of each kind, from the parts between bytes `FF`.
pub fn code_keys(bytes: &[u8]) {
    read_key::<String>(bytes);
    read_key::<UserId>(bytes);
    read_key::<(UserId, AccountId)>(bytes);
    read_key::<(TokenHash, String)>(bytes);
    read_key::<(UserId, TokenHash)>(bytes);
    read_key::<(Millis, Expiring)>(bytes);

    let mut parts = bytes.split(|byte| *byte == 0xFF);
    let [a, b, c, d] = std::array::from_fn(|_| parts.next().unwrap_or_default());
    compare(&(text(a), text(b)), &(text(c), text(d)), Ord::cmp);
    compare(&(id(a), id(b)), &(id(c), id(d)), |left, right| {
        id_order(&left.0, &right.0).then_with(|| id_order(&left.1, &right.1))
    });
    compare(&(hash(a), text(b)), &(hash(c), text(d)), |left, right| {
        left.0.as_bytes().cmp(right.0.as_bytes()).then_with(|| left.1.cmp(&right.1))
    });
    compare(&(millis(a), text(b)), &(millis(c), text(d)), Ord::cmp);
    compare(&expiring(a, b), &expiring(c, d), expiring_order);
    prefixes(a, b);
}

/// Only bytes that some key is written as can be read.
fn read_key<K: Key>(bytes: &[u8]) {
    if let Some(key) = K::from_bytes(bytes) {
        assert_eq!(key.to_bytes(), bytes, "a key was read from other bytes than it is written as");
    }
}

/// Keys survive a round trip, are ordered as their values are, and are not prefixes of each other.
fn compare<K: Key>(left: &K, right: &K, order: impl Fn(&K, &K) -> Ordering) {
    let (left_bytes, right_bytes) = (left.to_bytes(), right.to_bytes());
    for (key, bytes) in [(left, &left_bytes), (right, &right_bytes)] {
        let again = K::from_bytes(bytes).expect("a written key can be read");
        assert_eq!(order(&again, key), Ordering::Equal);
    }
    let expected = order(left, right);
    assert_eq!(left_bytes.cmp(&right_bytes), expected);
    assert_eq!(left_bytes.starts_with(&right_bytes), expected.is_eq(), "a key begins another one");
}

/// The end of a prefix separates the keys that start with it from those after them.
fn prefixes(prefix: &[u8], bytes: &[u8]) {
    let below = prefix_end(prefix.to_vec()).is_none_or(|end| bytes < end.as_slice());
    assert_eq!(bytes.starts_with(prefix), bytes >= prefix && below);
}

fn text(part: &[u8]) -> String {
    String::from_utf8_lossy(part).into_owned()
}

/// A UUID of 16 bytes, and a text of any other number.
fn id(part: &[u8]) -> UserId {
    Uuid::from_slice(part).map_or_else(|_| text(part), |uuid| uuid.to_string()).into()
}

/// UUIDs first.
fn id_order(left: &UserId, right: &UserId) -> Ordering {
    let order = |id: &UserId| {
        let text = id.as_str().to_owned();
        (Uuid::parse_str(&text).map_or(true, |uuid| uuid.to_string() != text), text)
    };
    order(left).cmp(&order(right))
}

fn hash(part: &[u8]) -> TokenHash {
    TokenHash::of(&text(part))
}

fn millis(part: &[u8]) -> Millis {
    let mut bytes = [0; 8];
    bytes.iter_mut().zip(part).for_each(|(byte, part)| *byte = *part);
    Millis::new(i64::from_le_bytes(bytes))
}

fn expiring(a: &[u8], b: &[u8]) -> Expiring {
    match a.len() % 7 {
        0 => Expiring::Session(id(a), id(b).as_str().into()),
        1 => Expiring::Token(hash(a), text(b)),
        2 => Expiring::OldCode(text(b)),
        3 => Expiring::State(hash(a)),
        4 => Expiring::WebSession(hash(a)),
        5 => Expiring::CodeRequest(hash(a)),
        _ => Expiring::GuessBudget(hash(a)),
    }
}

/// Sessions first, then tokens, codes of old formats, states, web sessions, requests for codes and budgets.
fn expiring_order(left: &Expiring, right: &Expiring) -> Ordering {
    let kind = |expiring: &Expiring| match expiring {
        Expiring::Session(..) => 1,
        Expiring::Token(..) => 2,
        Expiring::OldCode(_) => 3,
        Expiring::State(_) => 4,
        Expiring::WebSession(_) => 5,
        Expiring::CodeRequest(_) => 6,
        Expiring::GuessBudget(_) => 7,
    };
    match (left, right) {
        (Expiring::Session(left, left_id), Expiring::Session(right, right_id)) => {
            id_order(left, right).then_with(|| id_order(&left_id.as_str().into(), &right_id.as_str().into()))
        }
        (Expiring::Token(left, left_text), Expiring::Token(right, right_text)) => {
            left.as_bytes().cmp(right.as_bytes()).then_with(|| left_text.cmp(right_text))
        }
        (Expiring::OldCode(left), Expiring::OldCode(right)) => left.cmp(right),
        (Expiring::State(left), Expiring::State(right))
        | (Expiring::WebSession(left), Expiring::WebSession(right))
        | (Expiring::CodeRequest(left), Expiring::CodeRequest(right))
        | (Expiring::GuessBudget(left), Expiring::GuessBudget(right)) => left.as_bytes().cmp(right.as_bytes()),
        _ => kind(left).cmp(&kind(right)),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    /// Calls `check` with each stored input of a fuzz target.
    fn replay(target: &str, check: fn(&[u8])) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/regressions").join(target);
        let mut inputs = 0;
        for file in fs::read_dir(&folder).unwrap() {
            let path = file.unwrap().path();
            eprintln!("{}", path.display());
            check(&fs::read(path).unwrap());
            inputs += 1;
        }
        assert!(inputs > 0, "{} is empty", folder.display());
    }

    #[test]
    fn records_that_were_found_decode_as_they_must() {
        replay("record_decoding", decode_record);
    }

    #[test]
    fn keys_that_were_found_are_coded_as_they_must_be() {
        replay("key_coding", code_keys);
    }
}
