//! Reads own fields into a struct, and notes the fields that the struct does not have or cannot read.

use std::cell::RefCell;

use serde::de::value::MapDeserializer;
use serde::de::{Deserializer, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::{Map, Value};

/// Deserialises the fields into any type that serialises to named fields: a struct, a map, `()`, or one of these in an
/// enum, an option or a newtype.
pub(super) struct Reader<'n> {
    pub(super) fields: Map<String, Value>,
    pub(super) notes: &'n RefCell<Notes>,
}

/// What was noted while fields were read.
#[derive(Default)]
pub(super) struct Notes {
    /// The fields that a struct does not have.
    pub(super) unknown: Vec<String>,
    /// The field whose value could not be read.
    pub(super) failed: Option<String>,
}

impl<'de> Deserializer<'de> for Reader<'_> {
    type Error = serde_json::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        let notes = self.notes;
        let values = self.fields.into_iter().map(|(name, value)| {
            let value = FieldValue { name: name.clone(), value, notes };
            (name, value)
        });
        visitor.visit_map(MapDeserializer::new(values))
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        if !self.fields.is_empty() {
            self.notes.borrow_mut().unknown.extend(self.fields.into_iter().map(|(name, _)| name));
        }
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Self::Error> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        if self.fields.is_empty() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        Value::Object(self.fields).deserialize_enum(name, variants, visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf seq tuple tuple_struct map
        struct identifier ignored_any
    }
}

/// The value of one field. If the visitor ignores it or fails, that is noted.
struct FieldValue<'n> {
    name: String,
    value: Value,
    notes: &'n RefCell<Notes>,
}

impl<'de> IntoDeserializer<'de, serde_json::Error> for FieldValue<'_> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

/// Forwards to the deserializer of the value.
macro_rules! forward {
    ($($method:ident($($argument:ident: $type:ty),*))*) => {$(
        fn $method<V: Visitor<'de>>(self, $($argument: $type,)* visitor: V) -> Result<V::Value, Self::Error> {
            let Self { name, value, notes } = self;
            value.$method($($argument,)* visitor).inspect_err(|_| notes.borrow_mut().failed = Some(name))
        }
    )*};
}

impl<'de> Deserializer<'de> for FieldValue<'_> {
    type Error = serde_json::Error;

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        self.notes.borrow_mut().unknown.push(self.name);
        visitor.visit_unit()
    }

    forward! {
        deserialize_any() deserialize_bool() deserialize_i8() deserialize_i16() deserialize_i32() deserialize_i64()
        deserialize_i128() deserialize_u8() deserialize_u16() deserialize_u32() deserialize_u64() deserialize_u128()
        deserialize_f32() deserialize_f64() deserialize_char() deserialize_str() deserialize_string()
        deserialize_bytes() deserialize_byte_buf() deserialize_option() deserialize_unit() deserialize_seq()
        deserialize_map() deserialize_identifier()
        deserialize_unit_struct(name: &'static str) deserialize_newtype_struct(name: &'static str)
        deserialize_tuple(len: usize) deserialize_tuple_struct(name: &'static str, len: usize)
        deserialize_struct(name: &'static str, fields: &'static [&'static str])
        deserialize_enum(name: &'static str, variants: &'static [&'static str])
    }
}
