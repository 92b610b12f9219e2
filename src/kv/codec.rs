//! Record bytes: an envelope around the bytes that bincode writes. No other file names bincode. `docs/format.md` documents
//! the bytes.

use bincode::config::{Configuration, Limit, LittleEndian, Varint};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Problem, Result, StorageError};
use crate::models::RECORD_BYTES_MAX;

const VERSION: u8 = 1;

/// The limit keeps a length in damaged bytes from making the decoder reserve unbounded memory. It is twice the longest
/// record, because bincode counts the length that is announced and then, again, the bytes that are read.
const CONFIG: Configuration<LittleEndian, Varint, Limit<{ 2 * RECORD_BYTES_MAX }>> =
    bincode::config::standard().with_limit::<{ 2 * RECORD_BYTES_MAX }>();

/// Encodes a value in its stored form: version, checksum over table, key and body, body. An entry that is all key has
/// an empty body. Its checksum reveals a damaged key.
///
/// # Errors
/// Invalid argument if the body is longer than the longest record.
pub(crate) fn encode<V: Serialize>(table: &str, key: &[u8], value: &V) -> Result<Vec<u8>> {
    let body = bincode::serde::encode_to_vec(value, CONFIG)
        .map_err(|error| Error::Storage(StorageError::caused("a record cannot be encoded", error)))?;
    if body.len() > RECORD_BYTES_MAX {
        return Err(Error::invalid("the record", Problem::TooLong { bytes: body.len(), limit: RECORD_BYTES_MAX }));
    }
    Ok(enveloped(table, key, &body))
}

/// Puts version and checksum in front of a body.
pub(crate) fn enveloped(table: &str, key: &[u8], body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(5 + body.len());
    bytes.push(VERSION);
    bytes.extend_from_slice(&checksum(table, key, body).to_le_bytes());
    bytes.extend_from_slice(body);
    bytes
}

/// Decodes a value from its stored form.
///
/// # Errors
/// A storage failure if the bytes are not exactly what [`encode`] wrote for this table and key.
pub(crate) fn decode<'a, V: Deserialize<'a>>(table: &str, key: &[u8], bytes: &'a [u8]) -> Result<V> {
    let body = verified(table, key, bytes)?;
    match bincode::serde::borrow_decode_from_slice(body, CONFIG) {
        Ok((value, used)) if used == body.len() => Ok(value),
        Ok(_) => Err(Error::corrupt("a record is followed by other bytes")),
        Err(error) => Err(Error::Storage(StorageError::caused("a record cannot be decoded", error))),
    }
}

/// Returns the body of a value in its stored form.
///
/// # Errors
/// A storage failure if the checksum does not match this table, key and body.
pub(crate) fn verified<'a>(table: &str, key: &[u8], bytes: &'a [u8]) -> Result<&'a [u8]> {
    let [VERSION, c0, c1, c2, c3, body @ ..] = bytes else {
        return Err(Error::corrupt("a record has an unknown version"));
    };
    if checksum(table, key, body) != u32::from_le_bytes([*c0, *c1, *c2, *c3]) {
        return Err(Error::corrupt("a record's checksum is wrong"));
    }
    Ok(body)
}

fn checksum(table: &str, key: &[u8], body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(table.as_bytes());
    hasher.update(key);
    hasher.update(body);
    hasher.finalize()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const TABLE: &str = "fruit";

    #[test]
    fn a_value_has_these_bytes() {
        let bytes = encode(TABLE, b"key", &("apple", 300_u32, Some(-1_i64))).unwrap();
        assert_eq!(
            bytes,
            [
                1, // version
                0x15, 0xEC, 0x4E, 0xCC, // CRC-32 of "fruit", "key" and the body
                5, b'a', b'p', b'p', b'l', b'e', // text
                251, 0x2C, 0x01, // 300
                1, 1, // present, zigzag -1
            ]
        );
        let back: (String, u32, Option<i64>) = decode(TABLE, b"key", &bytes).unwrap();
        assert_eq!(back, ("apple".to_owned(), 300, Some(-1)));
    }

    #[test]
    fn an_entry_that_is_all_key_has_a_checksum_too() {
        let bytes = encode(TABLE, b"key", &()).unwrap();
        assert_eq!(bytes.len(), 5);
        decode::<()>(TABLE, b"key", &bytes).unwrap();
        assert!(decode::<()>(TABLE, b"kex", &bytes).is_err());
        assert!(decode::<()>(TABLE, b"key", &[]).is_err());
    }

    #[test]
    fn every_flipped_bit_is_found() {
        let bytes = encode(TABLE, b"key", &("apple", 300_u32)).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(decode::<(String, u32)>(TABLE, b"key", &damaged).is_err());
        }
    }

    #[test]
    fn a_record_at_another_key_or_in_another_table_is_refused() {
        let bytes = encode(TABLE, b"key", &"apple").unwrap();
        assert!(decode::<String>(TABLE, b"kex", &bytes).is_err());
        assert!(decode::<String>("trees", b"key", &bytes).is_err());
    }

    #[test]
    fn lengths_in_hostile_bytes_reserve_no_memory() {
        let body = [253, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F];
        let bytes = enveloped(TABLE, b"key", &body);
        assert!(decode::<String>(TABLE, b"key", &bytes).is_err());
        assert!(decode::<Vec<u64>>(TABLE, b"key", &bytes).is_err());
    }

    #[test]
    fn trailing_bytes_and_too_long_records_are_refused() {
        let mut body = bincode::serde::encode_to_vec("apple", CONFIG).unwrap();
        body.push(0);
        let bytes = enveloped(TABLE, b"key", &body);
        assert!(decode::<String>(TABLE, b"key", &bytes).is_err());
        assert!(matches!(encode(TABLE, b"key", &"x".repeat(RECORD_BYTES_MAX)), Err(Error::InvalidArgument { .. })));
    }
}
