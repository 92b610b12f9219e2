//! An application's own fields, by name: how they are stored, read back into a struct, and patched.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::value::MapDeserializer;
use serde::de::{DeserializeOwned, Deserializer, Error as _, Visitor};
use serde::{Deserialize, Serialize, Serializer, forward_to_deserialize_any};
use serde_json::{Map, Value};

use crate::error::{Error, Problem, Result};

/// How deep lists and maps may nest in an own field. serde_json writes any depth and reads 128 levels.
const LEVELS_MAX: usize = 100;

/// What a patch does with one field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Change<T> {
    /// The field stays as it is.
    #[default]
    Keep,
    /// The field is removed from the record.
    Clear,
    /// The field gets this value.
    Set(T),
}

impl<T> Change<T> {
    /// Sets the field: `Change::to("Ada")`.
    pub fn to(value: impl Into<T>) -> Self {
        Self::Set(value.into())
    }

    pub(crate) fn map<U>(self, f: impl FnOnce(T) -> U) -> Change<U> {
        match self {
            Self::Keep => Change::Keep,
            Self::Clear => Change::Clear,
            Self::Set(value) => Change::Set(f(value)),
        }
    }

    pub(crate) fn value(&self) -> Option<&T> {
        match self {
            Self::Set(value) => Some(value),
            Self::Keep | Self::Clear => None,
        }
    }

    pub(crate) fn apply(&self, field: &mut Option<T>)
    where
        T: Clone,
    {
        match self {
            Self::Keep => {}
            Self::Clear => *field = None,
            Self::Set(value) => *field = Some(value.clone()),
        }
    }
}

/// Changes to an application's own fields, by their serde names. Fields that it does not name stay as they are. A patch
/// after which the fields would not fit the application's model is refused.
///
/// ```
/// use authkv::models::FieldPatch;
///
/// let patch = FieldPatch::new().set("phone_number", "+44 20 7946 0018").clear("nickname");
/// ```
#[derive(Clone, Default)]
pub struct FieldPatch(BTreeMap<String, Result<Change<Value>, String>>);

impl FieldPatch {
    /// A patch that changes nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a field. A value that serde cannot express is refused by the method that is given the patch.
    #[must_use]
    pub fn set(mut self, name: impl Into<String>, value: impl Serialize) -> Self {
        let value = serde_json::to_value(value).map(Change::Set).map_err(|error| error.to_string());
        self.0.insert(name.into(), value);
        self
    }

    /// Removes a field from the record.
    #[must_use]
    pub fn clear(mut self, name: impl Into<String>) -> Self {
        self.0.insert(name.into(), Ok(Change::Clear));
        self
    }

    /// Refuses values that cannot be stored and names that the record uses itself.
    pub(crate) fn checked<X: DeserializeOwned>(self, reserved: &[&str]) -> Result<FieldUpdate> {
        let mut changes = Vec::new();
        for (name, change) in self.0 {
            check_name(&name, reserved)?;
            match change {
                Err(why) => return Err(Error::invalid(name, Problem::NotFields(why))),
                Ok(change) => {
                    change.value().map_or(Ok(()), |value| check_value(&name, value))?;
                    changes.push((name, change));
                }
            }
        }
        Ok(FieldUpdate { changes, check: Fields::check::<X> })
    }
}

impl fmt::Debug for FieldPatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// A checked patch.
pub(crate) struct FieldUpdate {
    changes: Vec<(String, Change<Value>)>,
    /// Refuses fields that the application could not read.
    check: fn(&Fields) -> Result<()>,
}

/// An application's own fields as they are stored: a JSON object, or nothing at all where there are none.
#[derive(Clone, Default, PartialEq)]
pub(crate) struct Fields(Map<String, Value>);

impl Fields {
    /// The fields of an application's struct. `reserved` are the names that the record uses itself.
    pub(crate) fn of<X: Serialize + DeserializeOwned>(extra: &X, reserved: &[&str]) -> Result<Self> {
        let not_fields = |why: String| Error::invalid("extra", Problem::NotFields(why));
        match serde_json::to_value(extra).map_err(|error| not_fields(error.to_string()))? {
            Value::Null => Ok(Self::default()),
            Value::Object(fields) => {
                for (name, value) in &fields {
                    check_name(name, reserved)?;
                    check_value(name, value)?;
                }
                let fields = Self(fields);
                fields.check::<X>()?;
                Ok(fields)
            }
            _ => Err(not_fields("it serialises to a single value".to_owned())),
        }
    }

    /// Refuses what would be stored and then fail to be read, as a fraction that is not a number.
    fn check<X: DeserializeOwned>(&self) -> Result<()> {
        let unreadable =
            || Problem::NotFields("they would not fit the application's model when they are read".to_owned());
        X::deserialize(self.clone()).map(drop).map_err(|_| Error::invalid("extra", unreadable()))
    }

    pub(crate) fn into_extra<X: DeserializeOwned>(self) -> Result<X> {
        // What serde says may show the value of a field.
        X::deserialize(self).map_err(|_| Error::corrupt("a record's own fields do not fit the application's model"))
    }

    /// # Errors
    /// Invalid argument if they would no longer fit the application's model.
    pub(crate) fn apply(&mut self, update: &FieldUpdate) -> Result<()> {
        for (name, change) in &update.changes {
            match change {
                Change::Set(value) => drop(self.0.insert(name.clone(), value.clone())),
                Change::Clear => drop(self.0.remove(name)),
                Change::Keep => {}
            }
        }
        if update.changes.is_empty() { Ok(()) } else { (update.check)(self) }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn check_name(name: &str, reserved: &[&str]) -> Result<()> {
    if name.is_empty() {
        return Err(Error::invalid("the name of a custom field", Problem::Empty));
    }
    if reserved.contains(&name) {
        return Err(Error::invalid(name.to_owned(), Problem::ReservedName));
    }
    Ok(())
}

fn check_value(name: &str, value: &Value) -> Result<()> {
    let bytes = value.to_string().len();
    if bytes > super::FIELD_BYTES_MAX {
        let problem = Problem::TooLong { bytes, limit: super::FIELD_BYTES_MAX };
        return Err(Error::invalid(name.to_owned(), problem));
    }
    if !nests_at_most(LEVELS_MAX, value) {
        let problem = Problem::NotFields(format!("it nests deeper than {LEVELS_MAX} levels"));
        return Err(Error::invalid(name.to_owned(), problem));
    }
    Ok(())
}

fn nests_at_most(levels: usize, value: &Value) -> bool {
    let deeper = |value| levels.checked_sub(1).is_some_and(|levels| nests_at_most(levels, value));
    match value {
        Value::Array(values) => values.iter().all(deeper),
        Value::Object(fields) => fields.values().all(deeper),
        _ => true,
    }
}

impl Serialize for Fields {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.is_empty() {
            return serializer.serialize_bytes(&[]);
        }
        serializer.serialize_bytes(&serde_json::to_vec(&self.0).map_err(serde::ser::Error::custom)?)
    }
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = <&[u8]>::deserialize(deserializer)?;
        if bytes.is_empty() {
            return Ok(Self::default());
        }
        serde_json::from_slice(bytes).map(Self).map_err(D::Error::custom)
    }
}

/// Reads the fields into whatever serialises to them: a struct, a map, `()`, or one of these in an enum, an option or a
/// newtype.
impl<'de> Deserializer<'de> for Fields {
    type Error = serde_json::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_map(MapDeserializer::new(self.0.into_iter()))
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_unit()
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        if self.is_empty() { visitor.visit_none() } else { visitor.visit_some(self) }
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
        Value::Object(self.0).deserialize_enum(name, variants, visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf seq tuple tuple_struct map
        struct identifier ignored_any
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    struct Profile {
        phone: String,
        #[serde(default)]
        age: Option<u8>,
    }

    fn ada() -> Profile {
        Profile { phone: "1".to_owned(), age: Some(36) }
    }

    #[test]
    fn a_struct_comes_back_from_its_fields() {
        assert_eq!(Fields::of(&ada(), &[]).unwrap().into_extra::<Profile>().unwrap(), ada());
    }

    #[test]
    fn an_enum_an_option_and_a_newtype_come_back() {
        #[derive(Debug, PartialEq, Serialize, Deserialize)]
        enum Device {
            Phone { model: String },
            Desktop(Profile),
        }
        #[derive(Debug, PartialEq, Serialize, Deserialize)]
        struct Own(Option<BTreeMap<String, u8>>);

        for device in [Device::Phone { model: "1".to_owned() }, Device::Desktop(ada())] {
            assert_eq!(Fields::of(&device, &[]).unwrap().into_extra::<Device>().unwrap(), device);
        }
        for own in [Own(None), Own(Some([("one".to_owned(), 1)].into()))] {
            assert_eq!(Fields::of(&own, &[]).unwrap().into_extra::<Own>().unwrap(), own);
        }
    }

    #[test]
    fn every_fraction_comes_back_as_it_was() {
        for fraction in (0..5_000).map(|n| f64::from(n) / 7.0).chain([f64::MAX, f64::MIN_POSITIVE, 5e-324, -0.0]) {
            let fields = Fields::of(&Map::from_iter([("fraction".to_owned(), Value::from(fraction))]), &[]).unwrap();
            let bytes = serde_json::to_vec(&fields.0).unwrap();
            assert!(serde_json::from_slice::<Map<String, Value>>(&bytes).unwrap() == fields.0, "{fraction}");
        }
    }

    #[test]
    fn no_fields_are_the_unit_and_the_unit_is_no_fields() {
        let fields = Fields::of(&(), &[]).unwrap();
        assert!(fields.is_empty());
        fields.into_extra::<()>().unwrap();
    }

    #[test]
    fn a_patch_changes_only_what_it_names() {
        let mut fields = Fields::of(&ada(), &[]).unwrap();
        fields.apply(&FieldPatch::new().set("phone", "2").checked::<Profile>(&[]).unwrap()).unwrap();
        fields.apply(&FieldPatch::new().clear("age").checked::<Profile>(&[]).unwrap()).unwrap();
        assert_eq!(fields.into_extra::<Profile>().unwrap(), Profile { phone: "2".to_owned(), age: None });
    }

    #[test]
    fn what_is_not_a_set_of_named_fields_is_refused() {
        for result in [Fields::of(&7, &[]), Fields::of(&ada(), &["phone"]), Fields::of(&[1, 2], &[])] {
            assert!(matches!(result, Err(Error::InvalidArgument { .. })));
        }
        let long = FieldPatch::new().set("phone", "x".repeat(70_000)).checked::<Profile>(&[]);
        assert!(matches!(long, Err(Error::InvalidArgument { field, .. }) if field == "phone"));
    }

    #[test]
    fn what_nests_too_deep_to_be_read_is_refused() {
        let nested = |levels| (0..levels).fold(Value::from(1), |value, _| Value::Array(vec![value]));
        for (levels, accepted) in [(LEVELS_MAX, true), (LEVELS_MAX + 1, false), (200, false)] {
            let fields = Fields::of(&BTreeMap::from([("nested".to_owned(), nested(levels))]), &[]);
            assert_eq!(fields.is_ok(), accepted, "{levels} levels");
            if let Ok(fields) = fields {
                let bytes = serde_json::to_vec(&fields.0).unwrap();
                assert!(serde_json::from_slice::<Map<String, Value>>(&bytes).unwrap() == fields.0);
            }
        }
    }

    #[test]
    fn what_could_not_be_read_back_is_refused() {
        #[derive(Serialize, Deserialize)]
        struct Height {
            metres: f64,
        }
        let refused = Fields::of(&Height { metres: f64::NAN }, &[]);
        assert!(matches!(refused, Err(Error::InvalidArgument { field, .. }) if field == "extra"));
        for patch in [FieldPatch::new().clear("phone"), FieldPatch::new().set("age", "old")] {
            let mut fields = Fields::of(&ada(), &[]).unwrap();
            let refused = fields.apply(&patch.checked::<Profile>(&[]).unwrap());
            assert!(matches!(refused, Err(Error::InvalidArgument { field, .. }) if field == "extra"));
        }
    }
}
