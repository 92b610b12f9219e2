//! Patches: what an update does to a field, and to the application's own fields by name.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use serde_json::Value;

use super::index::Absentees;
use super::json::{check_name, check_value, to_json};
use super::limits::FIELD_BYTES_MAX;
use crate::error::{Error, Problem, Result};

/// What a patch does to one field.
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

/// Changes to an application's own fields, by their serde names. Fields that a patch does not name stay as they are, so
/// two patches of different fields both survive.
///
/// ```
/// use authkv::models::FieldPatch;
///
/// let patch = FieldPatch::new().set("phone_number", "+44 20 7946 0018").clear("nickname");
/// ```
#[derive(Clone, Default)]
pub struct FieldPatch(BTreeMap<String, Result<Option<Value>, Problem>>);

impl FieldPatch {
    /// A patch that changes nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a field. The method that gets the patch refuses a name that the model does not have, and a value that does
    /// not fit the field or a limit. (A model that reads through `#[serde(flatten)]` or an internally tagged enum takes
    /// any name.) As in JSON, a number that is not finite becomes null.
    ///
    /// The patch is tried on the model before it is made, and tried anew if another call changes the record's own fields
    /// at the same moment. If the model makes one field depend on another, two patches that fit alone but not together
    /// are not both made.
    #[must_use]
    pub fn set(mut self, name: impl Into<String>, value: impl Serialize) -> Self {
        self.0.insert(name.into(), to_json(&value, FIELD_BYTES_MAX).map(Some));
        self
    }

    /// Removes a field from the record.
    #[must_use]
    pub fn clear(mut self, name: impl Into<String>) -> Self {
        self.0.insert(name.into(), Ok(None));
        self
    }

    /// Refuses values that cannot be stored, and names of the record's standard fields.
    pub(crate) fn check(&self, reserved: &[&str]) -> Result<()> {
        for (name, change) in &self.0 {
            check_name(name, reserved)?;
            match change {
                Err(problem) => return Err(Error::invalid(name.clone(), problem.clone())),
                Ok(Some(value)) => check_value(name, value)?,
                Ok(None) => {}
            }
        }
        Ok(())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// True if the patch clears this field.
    pub(crate) fn clears(&self, name: &str) -> bool {
        matches!(self.0.get(name), Some(Ok(None)))
    }

    /// Sets the fields that were absent after the patch and have a value all the same.
    pub(crate) fn completed(mut self, absentees: Absentees) -> Self {
        for (name, value) in absentees {
            if let Some(value) = value {
                self.0.insert(name.into_owned(), Ok(Some(value)));
            }
        }
        self
    }

    /// True if the patch sets this field.
    pub(crate) fn sets(&self, name: &str) -> bool {
        matches!(self.0.get(name), Some(Ok(Some(_))))
    }

    /// The new value of each field. `None` if the field is cleared.
    pub(crate) fn changes(&self) -> impl Iterator<Item = (&String, &Option<Value>)> {
        self.0.iter().filter_map(|(name, change)| Some((name, change.as_ref().ok()?)))
    }
}

impl fmt::Debug for FieldPatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
