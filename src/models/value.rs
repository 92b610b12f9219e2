//! Values of own fields whose type is known only at run time.

use std::collections::BTreeMap;
use std::fmt;

use chrono::{DateTime, Utc};
use serde::de::{Error as _, MapAccess, SeqAccess, Visitor};
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Millis;

/// The own fields of a record, by name.
pub type DynamicFields = BTreeMap<String, Value>;

/// A value of an own field: what JSON has, and instants.
///
/// Lists and maps may be nested at most 32 levels deep. A number that is not finite is refused when it is stored.
#[derive(Clone, PartialEq)]
pub enum Value {
    /// No value. This is not the same as an absent field.
    Null,
    /// True or false.
    Bool(bool),
    /// An integer from `i64::MIN` to `u64::MAX`.
    Integer(i128),
    /// Any other number.
    Float(f64),
    /// A text.
    Text(String),
    /// An instant in UTC, to the millisecond.
    Instant(Instant),
    /// Values in order.
    List(Vec<Value>),
    /// Values by name.
    Map(BTreeMap<String, Value>),
}

/// An instant in own fields, in UTC and to the millisecond; anything finer is cut off. It is stored as an instant,
/// whereas most other crates store theirs as text. A struct with an `Instant` reads what [`Dynamic`](super::Dynamic)
/// wrote as [`Value::Instant`], and vice versa.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(DateTime<Utc>);

/// The single key of a map that stands for an instant; its value is the milliseconds. When a map of the application has
/// this key, or this key with more `$` in front, the key is written with one more `$`.
pub(super) const INSTANT: &str = "$instant";

fn is_escaped(name: &str) -> bool {
    name.starts_with('$') && name.trim_start_matches('$') == "instant"
}

impl From<DateTime<Utc>> for Instant {
    fn from(instant: DateTime<Utc>) -> Self {
        let cut_off = Millis::from(instant).to_instant();
        Self(cut_off.unwrap_or(instant))
    }
}

impl From<Instant> for DateTime<Utc> {
    fn from(instant: Instant) -> Self {
        instant.0
    }
}

impl From<Instant> for Millis {
    fn from(instant: Instant) -> Self {
        instant.0.into()
    }
}

impl Serialize for Instant {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map([(INSTANT, self.0.timestamp_millis())])
    }
}

impl<'de> Deserialize<'de> for Instant {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::Instant(instant) => Ok(instant),
            _ => Err(D::Error::custom("not an instant")),
        }
    }
}

macro_rules! from {
    ($($variant:ident: $($type:ty)+;)*) => {$($(
        impl From<$type> for Value {
            fn from(value: $type) -> Self {
                Self::$variant(value.into())
            }
        }
    )+)*};
}

from! {
    Bool: bool;
    Integer: i8 i16 i32 i64 u8 u16 u32 u64;
    Float: f32 f64;
    Text: &str String;
    Instant: Instant DateTime<Utc>;
    List: Vec<Value>;
    Map: BTreeMap<String, Value>;
}

/// Shows only the kind of the value, because the value may identify a person.
impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Null => "Null",
            Self::Bool(_) => "Bool(<redacted>)",
            Self::Integer(_) => "Integer(<redacted>)",
            Self::Float(_) => "Float(<redacted>)",
            Self::Text(_) => "Text(<redacted>)",
            Self::Instant(_) => "Instant(<redacted>)",
            Self::List(_) => "List(<redacted>)",
            Self::Map(_) => "Map(<redacted>)",
        })
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Integer(value) => match (i64::try_from(*value), u64::try_from(*value)) {
                (Ok(value), _) => serializer.serialize_i64(value),
                (_, Ok(value)) => serializer.serialize_u64(value),
                _ => Err(S::Error::custom("an integer has more than 64 bits")),
            },
            Self::Float(value) if !value.is_finite() => Err(S::Error::custom("a number is not finite")),
            Self::Float(value) => serializer.serialize_f64(*value),
            Self::Text(value) => serializer.serialize_str(value),
            Self::Instant(value) => value.serialize(serializer),
            Self::List(values) => serializer.collect_seq(values),
            Self::Map(values) => serializer.collect_map(values.iter().map(|(name, value)| {
                let name = if is_escaped(name) { format!("${name}") } else { name.clone() };
                (name, value)
            })),
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AnyValue;

        impl<'de> Visitor<'de> for AnyValue {
            type Value = Value;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value of an own field")
            }

            fn visit_unit<E>(self) -> Result<Value, E> {
                Ok(Value::Null)
            }

            fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
                Ok(value.into())
            }

            fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
                Ok(value.into())
            }

            fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
                Ok(value.into())
            }

            fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
                Ok(value.into())
            }

            fn visit_str<E>(self, value: &str) -> Result<Value, E> {
                Ok(value.into())
            }

            fn visit_string<E>(self, value: String) -> Result<Value, E> {
                Ok(value.into())
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<Value, A::Error> {
                let mut list = Vec::new();
                while let Some(value) = values.next_element()? {
                    list.push(value);
                }
                Ok(Value::List(list))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut values: A) -> Result<Value, A::Error> {
                let mut map = BTreeMap::new();
                while let Some((name, value)) = values.next_entry::<String, Value>()? {
                    map.insert(name, value);
                }
                Ok(unescaped(map))
            }
        }

        deserializer.deserialize_any(AnyValue)
    }
}

/// Converts a stored map to the instant or the map that it stands for.
fn unescaped(map: BTreeMap<String, Value>) -> Value {
    if let (Some(Value::Integer(millis)), 1) = (map.get(INSTANT), map.len())
        && let Some(instant) = i64::try_from(*millis).ok().and_then(|millis| Millis::new(millis).to_instant())
    {
        return Value::Instant(Instant(instant));
    }
    let names = map.into_iter().map(|(name, value)| match name.strip_prefix('$') {
        Some(rest) if is_escaped(rest) => (rest.to_owned(), value),
        _ => (name, value),
    });
    Value::Map(names.collect())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::Fields;
    use super::*;

    fn every_kind() -> DynamicFields {
        let now = Value::from(DateTime::<Utc>::from_timestamp_millis(-1).unwrap());
        let tricky = ["$instant", "$$instant", "$", "$$", "$other", "instant", "__proto__", ""];
        let tricky: BTreeMap<_, _> = tricky.map(|name| (name.to_owned(), 1_i64.into())).into();
        let values = [
            Value::Null,
            true.into(),
            i64::MIN.into(),
            u64::MAX.into(),
            0.1.into(),
            (-0.0).into(),
            1.0.into(),
            f64::MIN_POSITIVE.into(),
            "1970-01-01T00:00:00Z".into(),
            now.clone(),
            Value::List(vec![now, Value::List(Vec::new())]),
            Value::Map(tricky.clone()),
            Value::Map([("$instant".to_owned(), Value::Map(tricky))].into()),
        ];
        values.into_iter().enumerate().map(|(place, value)| (place.to_string(), value)).collect()
    }

    #[test]
    fn every_kind_of_value_comes_back() {
        let fields = Fields::of(&every_kind(), &[]).unwrap().into_extra::<DynamicFields>().unwrap();
        assert!(fields == every_kind());
    }

    #[test]
    fn numbers_keep_their_kind() {
        let fields = Fields::of(&every_kind(), &[]).unwrap().into_extra::<DynamicFields>().unwrap();
        for (name, value) in every_kind() {
            assert_eq!(std::mem::discriminant(&fields[&name]), std::mem::discriminant(&value), "{name}");
        }
    }

    #[test]
    fn a_struct_and_a_map_agree_on_instants() {
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        struct Profile {
            born: Instant,
        }

        let born = Instant::from(DateTime::<Utc>::from_timestamp_nanos(-1_000_001));
        let fields = Fields::of(&Profile { born }, &[]).unwrap();
        let dynamic = fields.into_extra::<DynamicFields>().unwrap();
        assert!(dynamic["born"] == Value::Instant(born));
        assert_eq!(DateTime::from(born), DateTime::<Utc>::from_timestamp_millis(-2).unwrap());
        let fields = Fields::of(&dynamic, &[]).unwrap();
        assert_eq!(fields.into_extra::<Profile>().unwrap(), Profile { born });
    }

    #[test]
    fn numbers_without_a_stored_form_are_refused() {
        for value in [f64::NAN.into(), f64::INFINITY.into(), Value::Integer(1 << 64), Value::Integer(i128::MIN)] {
            let fields: DynamicFields = [("a".to_owned(), value)].into();
            assert!(Fields::of(&fields, &[]).is_err());
        }
    }

    #[test]
    fn a_value_that_is_nested_very_deeply_is_refused() {
        let deep = (0..5_000).fold(Value::Null, |inner, _| Value::List(vec![inner]));
        assert!(Fields::of(&DynamicFields::from([("a".to_owned(), deep)]), &[]).is_err());
    }
}
