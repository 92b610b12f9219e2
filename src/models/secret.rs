//! Tokens: the secrets that sign a person in. They are never printed. Session and verification tokens are stored only
//! as hashes.

use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

use crate::error::{Error, Result, StorageError};

/// A secret text, as it was given: a session token, a verification token or an OAuth token. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Token(String);

impl Token {
    /// Generates a secret: 256 bits of the operating system's randomness, in hexadecimal.
    ///
    /// # Errors
    /// [`Storage`](crate::Error::Storage) when the operating system cannot supply randomness.
    pub fn random() -> Result<Self> {
        Ok(Self(hex(&random_bytes::<32>()?)))
    }

    /// Generates a number with this many decimal digits. All numbers are equally likely.
    pub(crate) fn random_digits(digits: u32) -> Result<Self> {
        let number = uniform(10_u64.saturating_pow(digits), || getrandom::u64().map_err(no_randomness))?;
        Ok(Self(format!("{number:0width$}", width = digits as usize)))
    }

    /// Reveals the secret, for a cookie, a link or a request to a provider:
    ///
    /// ```
    /// # let token = authkv::models::Token::from("a-secret");
    /// let cookie = format!("session={}", token.reveal());
    /// # assert_eq!(cookie, "session=a-secret");
    /// ```
    ///
    /// `{:?}` does not show it, and there is no `{}`. [`VerificationToken::url`](crate::models::VerificationToken::url) makes
    /// a link.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    pub(crate) fn hash(&self) -> TokenHash {
        TokenHash::of(&self.0)
    }
}

/// The secret itself, as from [`reveal`](Token::reveal).
impl AsRef<str> for Token {
    fn as_ref(&self) -> &str {
        self.reveal()
    }
}

/// Bytes of the operating system's randomness.
///
/// # Errors
/// A storage failure if the operating system cannot supply randomness.
pub(super) fn random_bytes<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(no_randomness)?;
    Ok(bytes)
}

fn length(text: &str) -> [u8; 8] {
    (text.len() as u64).to_be_bytes()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn no_randomness(error: getrandom::Error) -> Error {
    Error::Storage(StorageError::caused("the operating system gives no random numbers", error))
}

/// Returns a number below `end`; all are equally likely. A draw above the last multiple of `end` would favour small
/// numbers, so it is rejected and drawn again.
fn uniform(end: u64, draw: impl Fn() -> Result<u64>) -> Result<u64> {
    let beyond = (u64::MAX % end + 1) % end;
    loop {
        let drawn = draw()?;
        if drawn <= u64::MAX - beyond {
            return Ok(drawn % end);
        }
    }
}

impl From<String> for Token {
    fn from(token: String) -> Self {
        Self(token)
    }
}

impl From<&str> for Token {
    fn from(token: &str) -> Self {
        Self(token.to_owned())
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(<redacted>)")
    }
}

/// The SHA-256 of a secret that will be presented again. The store keeps nothing else of the secret.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct TokenHash([u8; 32]);

/// Serialises as bytes. An array, which serde reads number by number, would take longer to read.
impl Serialize for TokenHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for TokenHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <&[u8]>::deserialize(deserializer)?.try_into().map(Self).map_err(D::Error::custom)
    }
}

impl TokenHash {
    pub(crate) fn of(token: &str) -> Self {
        Self(Sha256::digest(token.as_bytes()).into())
    }

    /// Hashes a secret together with its context. Equal secrets in different contexts have different hashes.
    pub(crate) fn within(context: &str, secret: &str) -> Self {
        Self::of_parts(&[&length(context), context.as_bytes(), secret.as_bytes()])
    }

    /// Hashes what is for one purpose: the token of a link, or a key that is used once. Nothing that a caller chooses has
    /// the same hash [elsewhere](Self::within), because no text and no length begins with the byte FF.
    pub(crate) fn for_purpose(purpose: &str, secret: &str) -> Self {
        Self::of_parts(&[&[0xFF], &length(purpose), purpose.as_bytes(), secret.as_bytes()])
    }

    /// Hashes texts together. The first one is a name that says what is hashed: so no hash of one kind is one of another.
    pub(crate) fn of_texts(texts: &[&str]) -> Self {
        let lengths: Vec<_> = texts.iter().map(|text| length(text)).collect();
        let parts = lengths.iter().zip(texts).flat_map(|(length, text)| [&length[..], text.as_bytes()]);
        Self::of_parts(&parts.collect::<Vec<_>>())
    }

    fn of_parts(parts: &[&[u8]]) -> Self {
        Self(parts.iter().fold(Sha256::new(), |hashed, part| hashed.chain_update(part)).finalize().into())
    }

    pub(crate) const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    pub(crate) fn to_hex(self) -> String {
        hex(&self.0)
    }

    /// Parses what [`to_hex`](Self::to_hex) writes. Returns `None` for any other text.
    pub(crate) fn from_hex(text: &str) -> Option<Self> {
        let mut hash = Self([0; 32]);
        for (byte, digits) in hash.0.iter_mut().zip(text.as_bytes().chunks(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
        }
        (hash.to_hex() == text).then_some(hash)
    }

    /// Two numbers that are as good as random and independent of each other.
    pub(crate) fn numbers(&self) -> [u64; 2] {
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, ..] = self.0;
        [u64::from_le_bytes([a, b, c, d, e, f, g, h]), u64::from_le_bytes([i, j, k, l, m, n, o, p])]
    }

    pub(crate) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// A 32-byte hash of bytes. Different inputs have different hashes.
pub(crate) fn fingerprint(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// Prints, for `Debug`, only whether a field is present, because its value may identify a person.
pub(crate) struct Redacted<'a, T>(pub(crate) &'a Option<T>);

impl<T> fmt::Debug for Redacted<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Some(<redacted>)" } else { "None" })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    /// Runs `uniform` on these draws, the last one first. Returns the number, and how many draws are left over.
    fn drawn(end: u64, draws: &[u64]) -> (u64, usize) {
        let draws = RefCell::new(draws.to_vec());
        let number = uniform(end, || Ok(draws.borrow_mut().pop().unwrap())).unwrap();
        (number, draws.borrow().len())
    }

    #[test]
    fn each_number_is_made_of_as_many_draws() {
        // 2^64 is 18,446,744,073,709 times 1,000,000 and 551,616 more.
        const MILLION: u64 = 1_000_000;
        let last = u64::MAX - 551_616;
        assert_eq!(drawn(MILLION, &[last]), (MILLION - 1, 0));
        assert_eq!(drawn(MILLION, &[7, last + 1]), (7, 0));
        assert_eq!(drawn(MILLION, &[5, MILLION + 7, u64::MAX]), (7, 1));
        assert_eq!(drawn(1 << 20, &[u64::MAX]), ((1 << 20) - 1, 0), "a power of two leaves nothing over");
        assert_eq!(drawn(1, &[u64::MAX]), (0, 0));
    }

    #[test]
    fn digits_are_as_many_as_asked_for_and_all_as_frequent() {
        const CODES: usize = 20_000;
        let mut counts = [[0_i64; 10]; 6];
        for _ in 0..CODES {
            let code = Token::random_digits(6).unwrap();
            assert_eq!(code.reveal().len(), 6);
            for (place, digit) in code.reveal().chars().enumerate() {
                counts[place][digit.to_digit(10).unwrap() as usize] += 1;
            }
        }
        // Eight standard deviations.
        let expected = CODES as i64 / 10;
        assert!(counts.iter().flatten().all(|count| (count - expected).abs() < 340), "{counts:?}");
        assert_eq!(Token::random_digits(12).unwrap().reveal().len(), 12);
    }

    #[test]
    fn the_hash_of_a_secret_within_something_is_of_both() {
        let hashes = [("ada", "123456"), ("bob", "123456"), ("ada", "123457"), ("ad", "a123456"), ("", "ada123456")];
        let distinct: std::collections::HashSet<_> =
            hashes.iter().map(|(context, secret)| TokenHash::within(context, secret)).collect();
        assert_eq!(distinct.len(), hashes.len());
        assert!(TokenHash::within("ada", "1") == TokenHash::within("ada", "1"));
    }

    #[test]
    fn the_hash_of_a_key_is_of_its_purpose_and_itself_and_of_no_secret() {
        let pairs = [("ada", "1"), ("ad", "a1"), ("", "ada1"), ("", "\0\0\0\0\0\0\0\u{3}ada1")];
        let hashes =
            [TokenHash::for_purpose, TokenHash::within].map(|hash| pairs.map(|(context, text)| hash(context, text)));
        let distinct: std::collections::HashSet<_> = hashes.iter().flatten().collect();
        assert_eq!(distinct.len(), 2 * pairs.len());
        assert!(TokenHash::for_purpose("ada", "1") == TokenHash::for_purpose("ada", "1"));
    }
}
