//! Stores an application's own fields by name, and reads them back into a struct.

use std::any::Any;
use std::cell::RefCell;

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use super::field_reader::{Notes, Reader};
use super::index::{Absent, Absentees, FieldKey, Index};
use super::json::{check_name, check_value, to_json};
use super::limits::{KEY_BYTES_MAX, RECORD_BYTES_MAX};
use super::misfit::Misfit;
use super::patch::FieldPatch;
use super::value::{DynamicFields, Value as DynamicValue};
use crate::error::{Error, Problem, Result};

/// An application's own fields as they are stored: a JSON object, or no bytes if there are none.
#[derive(Clone, Default, PartialEq)]
pub(crate) struct Fields(Map<String, Value>);

impl Fields {
    /// Converts an application's struct to fields, and checks that they can be read back into it. `reserved` are the
    /// names of the record's standard fields.
    pub(crate) fn of<X: Serialize + DeserializeOwned>(extra: &X, reserved: &[&str]) -> Result<Self> {
        Self::of_all("extra", extra, reserved)
    }

    /// Like [`of`](Self::of). `all` is what an error calls the fields as a whole.
    pub(crate) fn of_all<X: Serialize + DeserializeOwned>(
        all: &'static str,
        extra: &X,
        reserved: &[&str],
    ) -> Result<Self> {
        let invalid = |problem| Error::invalid(all, problem);
        match to_json(extra, RECORD_BYTES_MAX).map_err(invalid)? {
            Value::Null => Ok(Self::default()),
            Value::Object(fields) => {
                for (name, value) in &fields {
                    check_name(name, reserved)?;
                    check_value(name, value)?;
                }
                let fields = Self(fields);
                match fields.clone().read::<X>() {
                    Ok(_) => Ok(fields),
                    Err(Misfit { field: Some(field), why }) => Err(Error::invalid(field, Problem::Misfit(why))),
                    Err(Misfit { field: None, why }) => Err(invalid(Problem::Misfit(why))),
                }
            }
            _ => Err(invalid(Problem::NotFields("it serialises to a single value".to_owned()))),
        }
    }

    /// Returns these fields changed to `fields`. If nothing differs, it returns the stored form unchanged.
    pub(crate) fn changed_to(self, fields: &DynamicFields, reserved: &[&str]) -> Result<Self> {
        let stays = self.clone().read::<DynamicFields>().is_ok_and(|(now, _)| now == *fields);
        if stays { Ok(self) } else { Self::of(fields, reserved) }
    }

    pub(crate) fn into_extra<X: DeserializeOwned + 'static>(self) -> Result<X, Misfit> {
        // An application without own fields, as most are, has nothing to read.
        let unit: &mut dyn Any = &mut Some(());
        match unit.downcast_mut::<Option<X>>().and_then(Option::take) {
            Some(unit) => Ok(unit),
            None => self.read().map(|(extra, _)| extra),
        }
    }

    pub(crate) fn apply(&mut self, patch: &FieldPatch) {
        for (name, change) in patch.changes() {
            match change {
                Some(value) => drop(self.0.insert(name.clone(), value.clone())),
                None => drop(self.0.remove(name)),
            }
        }
    }

    /// Takes the named fields from `other`; a field that it lacks is removed.
    pub(crate) fn take(&mut self, names: &[String], other: &Self) {
        for name in names {
            match other.0.get(name) {
                Some(value) => drop(self.0.insert(name.clone(), value.clone())),
                None => drop(self.0.remove(name)),
            }
        }
    }

    /// Refuses the patch that these fields come of, if it set a field that the application's struct does not have or
    /// spoilt one. What it did not touch is not its fault.
    pub(crate) fn check_patched<X: DeserializeOwned>(&self, patch: &FieldPatch) -> Result<()> {
        if patch.is_empty() {
            return Ok(());
        }
        match self.clone().read::<X>() {
            Ok((_, unknown)) => match unknown.into_iter().find(|name| patch.sets(name)) {
                Some(name) => Err(Error::invalid(name, Problem::UnknownField)),
                None => Ok(()),
            },
            Err(Misfit { field: Some(field), .. }) if !patch.changes().any(|(name, _)| *name == field) => Ok(()),
            Err(Misfit { field, why }) => {
                Err(Error::invalid(field.unwrap_or_else(|| "extra".to_owned()), Problem::Misfit(why)))
            }
        }
    }

    /// Refuses fields from which an application's struct cannot be read.
    pub(crate) fn check_fit<X: DeserializeOwned>(&self) -> Result<(), Misfit> {
        self.clone().read::<X>().map(drop)
    }

    /// Adds the indexed fields that are absent and for which the model reads a value. Returns the absent fields, with
    /// the value of each that was added.
    pub(crate) fn fill<X: Serialize + DeserializeOwned + 'static>(
        &mut self,
        indexes: &[Index],
    ) -> Result<Absentees, Misfit> {
        let absent = self.absent(indexes);
        if absent.is_empty() {
            return Ok(Absentees::new());
        }
        let read = self.clone().into_extra::<X>()?;
        let misfit = |problem: Problem| Misfit { field: None, why: problem.to_string() };
        let written = to_json(&read, RECORD_BYTES_MAX).map_err(misfit)?;
        let mut absentees = Absentees::new();
        for Index { field, .. } in absent {
            let value = written.get(&**field).filter(|value| !value.is_null());
            if let Some(value) = value {
                self.0.insert(field.clone().into_owned(), value.clone());
            }
            absentees.push((field.clone(), value.cloned()));
        }
        Ok(absentees)
    }

    /// Adds the indexed fields that are absent and for which the models are known to read one value.
    pub(crate) fn fill_as_known(&mut self, indexes: &[Index]) {
        for Index { field, absent, .. } in self.absent(indexes) {
            if let Some(Absent::Value(value)) = absent {
                self.0.insert(field.clone().into_owned(), value.clone());
            }
        }
    }

    /// The fields that these have and `fewer` do not.
    pub(crate) fn added_to(&self, fewer: &Self) -> Absentees {
        let added = self.0.iter().filter(|(name, _)| !fewer.0.contains_key(*name));
        added.map(|(name, value)| (name.clone().into(), Some(value.clone()))).collect()
    }

    /// Refuses fields that lack one for which the models read a value.
    pub(crate) fn check_indexed(&self, indexes: &[Index]) -> Result<()> {
        match self.absent(indexes).into_iter().find(|index| !matches!(index.absent, None | Some(Absent::Nothing))) {
            Some(index) => Err(Error::invalid(index.field.clone(), Problem::Missing)),
            None => Ok(()),
        }
    }

    fn absent<'i>(&self, indexes: &'i [Index]) -> Vec<&'i Index> {
        indexes.iter().filter(|index| !self.0.contains_key(&*index.field)).collect()
    }

    /// The value of a field as an index stores it. `None` if the record is not in the index.
    pub(crate) fn key(&self, field: &str) -> Result<Option<FieldKey>> {
        let Some(value) = self.0.get(field) else {
            return Ok(None);
        };
        let value = DynamicValue::deserialize(value).map_err(|_| Error::corrupt("an own field cannot be read"))?;
        match FieldKey::of(value) {
            Ok(Some(FieldKey::Text(text))) if text.len() > KEY_BYTES_MAX => {
                let problem = Problem::TooLong { bytes: text.len(), limit: KEY_BYTES_MAX };
                Err(Error::invalid(field.to_owned(), problem))
            }
            key => key.map_err(|problem| Error::invalid(field.to_owned(), problem)),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the struct, and the names of the fields that it does not have.
    fn read<X: DeserializeOwned>(self) -> Result<(X, Vec<String>), Misfit> {
        let notes = RefCell::default();
        let extra = X::deserialize(Reader { fields: self.0, notes: &notes });
        let Notes { unknown, failed } = notes.into_inner();
        extra.map(|extra| (extra, unknown)).map_err(|error| Misfit::new(failed, &error))
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

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::limits::FIELD_DEPTH_MAX;
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

    #[derive(Clone, Serialize, Deserialize)]
    struct Nested(Vec<Nested>);

    fn nested(levels: usize) -> Nested {
        (1..levels).fold(Nested(Vec::new()), |inner, _| Nested(vec![inner]))
    }

    fn problem<T>(result: Result<T>) -> (String, Problem) {
        match result {
            Err(Error::InvalidArgument { field, problem }) => (field.into_owned(), problem),
            _ => panic!("it was accepted"),
        }
    }

    #[test]
    fn a_struct_comes_back_from_its_fields() {
        assert_eq!(Fields::of(&ada(), &[]).unwrap().into_extra::<Profile>().unwrap(), ada());
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
    fn no_fields_are_the_unit_and_the_unit_is_no_fields() {
        let fields = Fields::of(&(), &[]).unwrap();
        assert!(fields.is_empty());
        fields.into_extra::<()>().unwrap();
    }

    #[test]
    fn a_patch_changes_only_what_it_names() {
        let mut fields = Fields::of(&ada(), &[]).unwrap();
        fields.apply(&FieldPatch::new().set("phone", "2"));
        fields.apply(&FieldPatch::new().clear("age"));
        assert_eq!(fields.into_extra::<Profile>().unwrap(), Profile { phone: "2".to_owned(), age: None });
    }

    #[test]
    fn what_is_not_a_set_of_named_fields_is_refused() {
        for result in [Fields::of(&7, &[]), Fields::of(&ada(), &["phone"]), Fields::of(&[1, 2], &[])] {
            assert!(matches!(result, Err(Error::InvalidArgument { .. })));
        }
    }

    #[test]
    fn what_cannot_be_read_back_is_refused() {
        let not_a_number: BTreeMap<String, f64> = [("a".to_owned(), f64::NAN)].into();
        let why = "invalid type: null, expected f64".to_owned();
        assert_eq!(problem(Fields::of(&not_a_number, &[])), ("a".to_owned(), Problem::Misfit(why)));
    }

    #[test]
    fn fields_are_bounded_in_length_and_depth_while_they_are_serialised() {
        let long = FieldPatch::new().set("phone", "x".repeat(70_000));
        assert!(matches!(problem(long.check(&[])), (field, Problem::TooLong { .. }) if field == "phone"));
        let endless = FieldPatch::new().set("phone", Endless);
        assert!(matches!(problem(endless.check(&[])).1, Problem::TooLong { .. }));
        let deepest = FieldPatch::new().set("phone", nested(FIELD_DEPTH_MAX));
        deepest.check(&[]).unwrap();
        for levels in [FIELD_DEPTH_MAX + 1, 10_000] {
            let deep = FieldPatch::new().set("phone", nested(levels));
            assert_eq!(problem(deep.check(&[])).1, Problem::TooDeep { limit: FIELD_DEPTH_MAX });
        }
    }

    /// An endless list.
    struct Endless;

    impl Serialize for Endless {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_seq(std::iter::repeat(1))
        }
    }

    #[test]
    fn a_patch_that_the_struct_does_not_take_is_refused() {
        fn patched<X: DeserializeOwned>(mut fields: Fields, patch: &FieldPatch) -> Result<()> {
            fields.apply(patch);
            fields.check_patched::<X>(patch)
        }
        let misfit = |why: &str| ("phone".to_owned(), Problem::Misfit(why.to_owned()));
        let unit = patched::<()>(Fields::default(), &FieldPatch::new().set("phone", "2"));
        assert_eq!(problem(unit), ("phone".to_owned(), Problem::UnknownField));
        let patched = |patch: FieldPatch| patched::<Profile>(Fields::of(&ada(), &[]).unwrap(), &patch);
        assert_eq!(problem(patched(FieldPatch::new().set("phnoe", "2"))), ("phnoe".to_owned(), Problem::UnknownField));
        let number = problem(patched(FieldPatch::new().set("phone", 2)));
        assert_eq!(number, misfit("invalid type: integer, expected a string"));
        assert_eq!(problem(patched(FieldPatch::new().clear("phone"))), misfit("missing field `phone`"));
        patched(FieldPatch::new().set("phone", "2").clear("age").clear("unknown")).unwrap();
    }

    #[test]
    fn fields_of_an_older_struct_that_nobody_knows_are_no_obstacle() {
        let older: BTreeMap<String, String> = [("phone", "1"), ("fax", "2")].map(|(k, v)| (k.into(), v.into())).into();
        let mut fields = Fields::of(&older, &[]).unwrap();
        let patch = FieldPatch::new().set("age", 7);
        fields.apply(&patch);
        fields.check_patched::<Profile>(&patch).unwrap();
        assert_eq!(fields.into_extra::<Profile>().unwrap().phone, "1");
    }
}
