//! Asks a model which fields it has and what it takes for them, without a record.
//!
//! A model is read from a single field whose value notes what is asked of it. A derived struct also tells the names of
//! its fields. A map, a struct with `#[serde(flatten)]` and an enum tell none: then only records show what there is.

use std::cell::RefCell;
use std::iter::once;

use serde::de::value::{BorrowedStrDeserializer, Error as Refused, MapDeserializer, SeqDeserializer};
use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, Error as _, IntoDeserializer, MapAccess, Visitor};
use serde::forward_to_deserialize_any;

use super::value::INSTANT;

/// What is known about a field of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) kind: Kind,
    /// True if the model always has a value of the field, so that each record must have one.
    pub(crate) required: bool,
}

/// The kind of value that a field takes, as far as the model says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Bool,
    Integer,
    Text,
    /// A list, a map or a fraction.
    NotIndexable,
    /// It is not known before there is a value.
    Any,
}

/// The names under which a model writes its fields. `None` if it does not tell.
pub(crate) fn names<X: DeserializeOwned>() -> Option<Vec<&'static str>> {
    let notes = ask::<X>("");
    notes.names.map(|names| names.iter().copied().filter(|name| written_as::<X>(name) != Written::ByAnother).collect())
}

/// True if the model writes a field under this name for certain.
pub(crate) fn surely_writes<X: DeserializeOwned>(name: &str) -> bool {
    ask::<X>(name).names.is_some_and(|names| names.contains(&name)) && written_as::<X>(name) == Written::ByItself
}

/// What is known about a field. `None` if the model has none with this name, or only reads it under this name.
pub(crate) fn shape<X: DeserializeOwned>(name: &str) -> Option<Shape> {
    let Notes { names, asked, may_be_none } = ask::<X>(name);
    let is_known = names.is_none_or(|names| names.contains(&name));
    if !is_known || written_as::<X>(name) == Written::ByAnother {
        return None;
    }
    Some(Shape { kind: asked.unwrap_or(Kind::Any), required: names.is_some() && asked.is_some() && !may_be_none })
}

#[derive(Default)]
struct Notes {
    names: Option<&'static [&'static str]>,
    asked: Option<Kind>,
    /// True if the field takes no value as well.
    may_be_none: bool,
}

fn ask<X: DeserializeOwned>(name: &str) -> Notes {
    let notes = RefCell::default();
    // It never succeeds where the field is known.
    drop(X::deserialize(Probe { name, value: Asked { notes: &notes }, times: 1, notes: &notes }));
    notes.into_inner()
}

/// Under which name a field is written that is read under this one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Written {
    ByItself,
    /// The name is an alias.
    ByAnother,
    NotKnown,
}

/// A field that comes twice is refused by the name under which it is written, if its value was taken the first time.
fn written_as<X: DeserializeOwned>(name: &str) -> Written {
    let notes = RefCell::default();
    for guess in 0..GUESSES {
        let twice = Probe { name, value: Guess(guess), times: 2, notes: &notes };
        let Err(refused) = X::deserialize(twice) else { continue };
        let text = refused.to_string();
        if let Some(written) = text.strip_prefix("duplicate field `").and_then(|text| text.strip_suffix('`')) {
            return if written == name { Written::ByItself } else { Written::ByAnother };
        }
    }
    Written::NotKnown
}

/// The fields of a record that has only one, which may come twice.
struct Probe<'p, F> {
    name: &'p str,
    value: F,
    times: u32,
    notes: &'p RefCell<Notes>,
}

impl<'p: 'de, 'de, F: Deserializer<'de, Error = Refused> + Copy> Deserializer<'de> for Probe<'p, F> {
    type Error = Refused;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        visitor.visit_map(self)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        names: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refused> {
        self.notes.borrow_mut().names = Some(names);
        visitor.visit_map(self)
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        self.notes.borrow_mut().names = Some(&[]);
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Refused> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Refused> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Refused> {
        Err(Refused::custom("an enum does not tell its fields"))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf seq tuple tuple_struct map
        identifier ignored_any
    }
}

impl<'p: 'de, 'de, F: Deserializer<'de, Error = Refused> + Copy> MapAccess<'de> for Probe<'p, F> {
    type Error = Refused;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Refused> {
        if self.times == 0 {
            return Ok(None);
        }
        self.times -= 1;
        seed.deserialize(BorrowedStrDeserializer::new(self.name)).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Refused> {
        seed.deserialize(self.value)
    }
}

/// A value that notes what is asked of it.
#[derive(Clone, Copy)]
struct Asked<'p> {
    notes: &'p RefCell<Notes>,
}

impl Asked<'_> {
    fn note<T>(self, kind: Kind) -> Result<T, Refused> {
        self.notes.borrow_mut().asked = Some(kind);
        Err(Refused::custom("it has been asked"))
    }
}

/// Methods that note a kind.
macro_rules! noted {
    ($($kind:ident: $($method:ident($($argument:ty),*))+;)*) => {$($(
        fn $method<V: Visitor<'de>>(self, $(_: $argument,)* _: V) -> Result<V::Value, Refused> {
            self.note(Kind::$kind)
        }
    )+)*};
}

impl<'de> Deserializer<'de> for Asked<'_> {
    type Error = Refused;

    noted! {
        Bool: deserialize_bool();
        Integer: deserialize_i8() deserialize_i16() deserialize_i32() deserialize_i64() deserialize_i128()
            deserialize_u8() deserialize_u16() deserialize_u32() deserialize_u64() deserialize_u128();
        Text: deserialize_char() deserialize_str() deserialize_string() deserialize_identifier();
        NotIndexable: deserialize_f32() deserialize_f64() deserialize_seq() deserialize_tuple(usize)
            deserialize_tuple_struct(&'static str, usize) deserialize_map()
            deserialize_struct(&'static str, &'static [&'static str]);
        Any: deserialize_bytes() deserialize_byte_buf() deserialize_enum(&'static str, &'static [&'static str]);
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Refused> {
        self.notes.borrow_mut().may_be_none = true;
        self.note(Kind::Any)
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        self.deserialize_any(visitor)
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Refused> {
        self.deserialize_any(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        visitor.visit_unit()
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        self.notes.borrow_mut().may_be_none = true;
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Refused> {
        visitor.visit_newtype_struct(self)
    }
}

/// A value of the kind that is asked for, with this number among several guesses.
#[derive(Clone, Copy)]
struct Guess(usize);

const GUESSES: usize = TEXTS.len();
/// Texts of kinds that are often read from one.
const TEXTS: [&str; 6] =
    ["", "0", "1970-01-01T00:00:00Z", "1970-01-01", "00000000-0000-0000-0000-000000000000", "127.0.0.1"];

macro_rules! guessed {
    ($($method:ident: $visit:ident($($value:expr)?);)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
            visitor.$visit($($value)?)
        }
    )*};
}

impl Guess {
    fn text(self) -> &'static str {
        TEXTS.get(self.0).copied().unwrap_or_default()
    }
}

impl<'de> Deserializer<'de> for Guess {
    type Error = Refused;

    guessed! {
        deserialize_bool: visit_bool(false);
        deserialize_i8: visit_i8(0);
        deserialize_i16: visit_i16(0);
        deserialize_i32: visit_i32(0);
        deserialize_i64: visit_i64(0);
        deserialize_i128: visit_i64(0);
        deserialize_u8: visit_u8(0);
        deserialize_u16: visit_u16(0);
        deserialize_u32: visit_u32(0);
        deserialize_u64: visit_u64(0);
        deserialize_u128: visit_u64(0);
        deserialize_f32: visit_f32(0.0);
        deserialize_f64: visit_f64(0.0);
        deserialize_char: visit_char('0');
        deserialize_bytes: visit_borrowed_bytes(&[]);
        deserialize_byte_buf: visit_borrowed_bytes(&[]);
        deserialize_unit: visit_unit();
        deserialize_ignored_any: visit_unit();
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        match self.0 {
            0 => visitor.visit_borrowed_str(""),
            1 => visitor.visit_u64(0),
            2 => visitor.visit_bool(false),
            3 => visitor.visit_unit(),
            4 => visitor.visit_map(MapDeserializer::new(once((INSTANT, 0_i64)))),
            _ => visitor.visit_seq(SeqDeserializer::new(None::<u8>.into_iter())),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        visitor.visit_borrowed_str(self.text())
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        self.deserialize_str(visitor)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        visitor.visit_none()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Refused> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Refused> {
        visitor.visit_unit()
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        visitor.visit_seq(SeqDeserializer::new(None::<u8>.into_iter()))
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Refused> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Refused> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        visitor.visit_map(MapDeserializer::new(None::<(&str, u8)>.into_iter()))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refused> {
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refused> {
        let variant = variants.get(self.0).ok_or_else(|| Refused::custom("there are no more variants"))?;
        visitor.visit_enum(IntoDeserializer::<Refused>::into_deserializer(*variant))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use std::net::Ipv4Addr;

    use serde::{Deserialize, Serialize};

    use super::super::{DynamicFields, Instant};
    use super::*;

    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "camelCase")]
    #[allow(dead_code)]
    struct Profile {
        #[serde(alias = "mobile")]
        phone_number: String,
        #[serde(rename = "tier", default)]
        plan: Option<Plan>,
        logins: Logins,
        is_member: bool,
        born: Instant,
        #[serde(alias = "seen_at")]
        seen: Ipv4Addr,
        tags: Vec<String>,
        height: f32,
        address: Option<Address>,
    }

    #[derive(Serialize, Deserialize)]
    enum Plan {
        Free,
    }

    #[derive(Serialize, Deserialize)]
    struct Logins(u64);

    #[derive(Serialize, Deserialize)]
    struct Address {
        street: String,
    }

    #[derive(Serialize, Deserialize)]
    struct Flat {
        plan: String,
        #[serde(flatten)]
        address: Address,
    }

    #[derive(Serialize, Deserialize)]
    enum Either {
        Left { plan: String },
    }

    #[test]
    fn a_struct_tells_the_names_under_which_it_writes_its_fields() {
        let names = names::<Profile>().expect("it is a struct");
        let own = ["phoneNumber", "tier", "logins", "isMember", "born", "seen", "tags", "height", "address"];
        assert_eq!(names, own);
        assert_eq!(super::names::<Option<Profile>>().map(|names| names.len()), Some(9));
        assert_eq!(super::names::<()>(), Some(Vec::new()));
        assert_eq!(super::names::<DynamicFields>(), None);
        assert_eq!(super::names::<BTreeMap<String, u8>>(), None);
        assert_eq!(super::names::<Flat>(), None);
        assert_eq!(super::names::<Either>(), None);
        assert!(surely_writes::<Profile>("tier") && !surely_writes::<Profile>("mobile"));
        assert!(!surely_writes::<Flat>("plan") && !surely_writes::<()>("plan"));
    }

    #[test]
    fn a_field_shows_its_kind_and_whether_it_may_be_absent() {
        let field = |kind, required| Some(Shape { kind, required });
        let cases = [
            ("phoneNumber", field(Kind::Text, true)),
            ("tier", field(Kind::Any, false)),
            ("logins", field(Kind::Integer, true)),
            ("isMember", field(Kind::Bool, true)),
            ("born", field(Kind::Any, false)),
            ("seen", field(Kind::Text, true)),
            ("tags", field(Kind::NotIndexable, true)),
            ("height", field(Kind::NotIndexable, true)),
            ("address", field(Kind::NotIndexable, false)),
            ("mobile", None),
            ("seen_at", None),
            ("phone_number", None),
            ("plan", None),
            ("", None),
        ];
        for (name, expected) in cases {
            assert_eq!(shape::<Profile>(name), expected, "{name}");
        }
        assert_eq!(shape::<()>("plan"), None);
        assert_eq!(shape::<BTreeMap<String, u8>>("plan"), field(Kind::Integer, false));
        assert_eq!(shape::<DynamicFields>("plan"), field(Kind::Any, false));
        assert_eq!(shape::<Flat>("plan"), field(Kind::Text, false));
        assert_eq!(shape::<Flat>("street"), field(Kind::Any, false));
        assert_eq!(shape::<Either>("plan"), field(Kind::Any, false));
    }
}
