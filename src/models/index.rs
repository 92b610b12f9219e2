//! Indexes on an application's own fields: their declarations and their queries.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Millis, Value};
use crate::error::{Error, Problem};

/// An index on an own field, declared in [`Models`](super::Models). It covers the records whose field is a boolean, an
/// integer, an [`Instant`](super::Instant) or a text of at most 512 bytes. A record with null, or without a field for which
/// the model reads no value, is not in the index. A record with any other value is refused.
///
/// Where the model reads a value for an absent field, as with `#[serde(default)]`, that value is stored: in old records when
/// a store is opened, in new ones when they are made. A field that is left out all the same, by
/// `#[serde(skip_serializing_if)]`, is refused.
///
/// ```
/// use authkv::models::Index;
///
/// const USER_INDEXES: &[Index] = &[Index::unique("phone_number"), Index::new("plan")];
/// ```
#[derive(Clone, Serialize, Deserialize)]
pub struct Index {
    pub(crate) field: Cow<'static, str>,
    pub(crate) unique: bool,
    /// `None` if the index was not compared with the models: it is only declared, or an earlier version built it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) absent: Option<Absent>,
}

/// What the models read where a record does not have an indexed field.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Absent {
    /// No value. The record is not in the index.
    Nothing,
    /// A value, so that each record is stored with the field.
    Something,
    /// The same, and it is always this value.
    Value(serde_json::Value),
}

/// Indexed fields that were absent, and the value that each got.
pub(crate) type Absentees = Vec<(Cow<'static, str>, Option<serde_json::Value>)>;

/// Two indexes are equal if they are declared in the same way.
impl PartialEq for Index {
    fn eq(&self, other: &Self) -> bool {
        (&self.field, self.unique) == (&other.field, other.unique)
    }
}

impl Eq for Index {}

impl fmt::Debug for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Index").field("field", &self.field).field("unique", &self.unique).finish()
    }
}

impl Index {
    /// An index on the field with this serde name, under which the field is written: `#[serde(rename)]` and `rename_all`
    /// count, `#[serde(alias)]` does not. Opening a store refuses an index on a field that the model does not have, and on
    /// one whose kind cannot be in an index. A map, an enum and a struct with `#[serde(flatten)]` do not tell their fields:
    /// there a misspelt index is not noticed, and no record is in it.
    pub const fn new(field: &'static str) -> Self {
        Self { field: Cow::Borrowed(field), unique: false, absent: None }
    }

    /// A unique index: at most one record has a value of the field at a time, as at most one user has an e-mail
    /// address.
    ///
    /// An empty text is a value like any other, so only one record can have it. Forms and providers send one where they
    /// have nothing: make it `None` first, in a new record and in a patch.
    ///
    /// ```
    /// use authkv::models::FieldPatch;
    ///
    /// fn given(text: &str) -> Option<&str> {
    ///     Some(text.trim()).filter(|text| !text.is_empty())
    /// }
    ///
    /// assert_eq!(given(" "), None);
    /// let patch = FieldPatch::new().set("phone_number", given(""));
    /// # let _ = patch;
    /// ```
    pub const fn unique(field: &'static str) -> Self {
        Self { field: Cow::Borrowed(field), unique: true, absent: None }
    }
}

/// The indexes of a store.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Indexes {
    pub(crate) users: Vec<Index>,
    pub(crate) accounts: Vec<Index>,
}

impl Indexes {
    /// Sorts the indexes by field, because the order in which they are declared does not matter.
    pub(crate) fn new(users: &[Index], accounts: &[Index]) -> Self {
        let sorted = |indexes: &[Index]| {
            let mut indexes = indexes.to_vec();
            indexes.sort_by(|left, right| left.field.cmp(&right.field));
            indexes
        };
        Self { users: sorted(users), accounts: sorted(accounts) }
    }

    /// True if these indexes were built as the `declared` ones have to be.
    pub(crate) fn serve(&self, declared: &Self) -> bool {
        let serves = |(built, declared): (&Index, &Index)| match (&built.absent, &declared.absent) {
            (Some(Absent::Nothing), Some(absent)) => *absent == Absent::Nothing,
            (built, _) => built.is_some(),
        };
        let pairs = self.users.iter().zip(&declared.users).chain(self.accounts.iter().zip(&declared.accounts));
        self == declared && pairs.into_iter().all(serves)
    }
}

/// The value of an indexed field, in sort order: booleans, integers, instants, texts.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum FieldKey {
    Bool(bool),
    Integer(i128),
    Instant(Millis),
    Text(String),
}

impl FieldKey {
    /// Returns `None` for null. A text may have any length here, because a query may contain any text.
    pub(crate) fn of(value: Value) -> Result<Option<Self>, Problem> {
        match value {
            Value::Null => Ok(None),
            Value::Bool(value) => Ok(Some(Self::Bool(value))),
            Value::Integer(value) => Ok(Some(Self::Integer(value))),
            Value::Instant(value) => Ok(Some(Self::Instant(value.into()))),
            Value::Text(value) => Ok(Some(Self::Text(value))),
            Value::Float(_) | Value::List(_) | Value::Map(_) => Err(Problem::NotIndexable),
        }
    }
}

/// A range of values of an indexed field to list. Booleans, integers and instants are ordered by size, texts by their
/// bytes.
#[derive(Clone, Debug)]
pub struct FieldRange(pub(crate) RangeOf);

#[derive(Clone, Debug)]
pub(crate) enum RangeOf {
    All,
    Prefix(String),
    AtLeast(Value),
    AtMost(Value),
    Between(Value, Value),
}

impl FieldRange {
    /// All values of every kind: booleans first, then integers, instants and texts.
    pub fn all() -> Self {
        Self(RangeOf::All)
    }

    /// Only this value.
    pub fn only(value: impl Into<Value>) -> Self {
        let value = value.into();
        Self(RangeOf::Between(value.clone(), value))
    }

    /// Texts that start with this one.
    pub fn prefix(text: impl Into<String>) -> Self {
        Self(RangeOf::Prefix(text.into()))
    }

    /// This value and greater values of the same kind.
    pub fn at_least(value: impl Into<Value>) -> Self {
        Self(RangeOf::AtLeast(value.into()))
    }

    /// This value and smaller values of the same kind.
    pub fn at_most(value: impl Into<Value>) -> Self {
        Self(RangeOf::AtMost(value.into()))
    }

    /// These two values and all values between them. Nothing if they are of different kinds.
    pub fn between(least: impl Into<Value>, greatest: impl Into<Value>) -> Self {
        Self(RangeOf::Between(least.into(), greatest.into()))
    }
}

/// A page of a list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Page<T> {
    /// The records, in the order of the list.
    pub items: Vec<T>,
    /// Where the next page starts. `None` if there are no more records. A page for which 5,000 rows were read that are
    /// not listed, such as expired sessions, ends there, even if it has no item yet.
    pub next: Option<Cursor>,
}

impl<T> Page<T> {
    pub(crate) fn try_map<U>(self, map: impl FnMut(T) -> Result<U, Error>) -> Result<Page<U>, Error> {
        Ok(Page { items: self.items.into_iter().map(map).collect::<Result<_, _>>()?, next: self.next })
    }
}

/// A position in a list. As text it is hexadecimal, for use in a link to the next page. It contains the values by which
/// the list is ordered, such as the field's value at that position, and the ids of the record and its user. Serde writes
/// and reads it as that text, for example in the query of a request. A cursor of another list is refused
/// ([`NotACursor`](Problem::NotACursor)).
#[derive(Clone, PartialEq, Eq)]
pub struct Cursor(pub(crate) Vec<u8>);

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for Cursor {
    type Err = Error;

    /// # Errors
    /// [`InvalidArgument`](Error::InvalidArgument) if the text is not a cursor.
    fn from_str(text: &str) -> Result<Self, Error> {
        let digits: Option<Vec<u8>> = text.chars().map(|digit| Some(digit.to_digit(16)? as u8)).collect();
        match digits {
            Some(digits) if digits.len().is_multiple_of(2) => Ok(Self(
                digits.chunks_exact(2).map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit)).collect(),
            )),
            _ => Err(Error::invalid("cursor", Problem::NotACursor)),
        }
    }
}

/// Serialises as its text.
impl Serialize for Cursor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Cursor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// Redacted, because the field's value may identify a person.
impl fmt::Debug for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cursor(<redacted>)")
    }
}
