//! Writes answers for JavaScript: a [`Value`], of which own fields are made too, as JSON text.

use std::collections::BTreeMap;

use authkv::models::{Check, DynamicFields, Value};

use crate::failure::{Failure, Result};

/// What can be an answer.
pub(crate) trait Output {
    fn into_value(self) -> Value;
}

/// The text for an answer: `{"ok": value}` or `{"error": {code, message, field}}`.
pub(crate) fn text<T: Output>(result: Result<T>) -> String {
    let (name, value) = match result {
        Ok(value) => ("ok", value.into_value()),
        Err(failure) => ("error", failure.into_value()),
    };
    serde_json::to_string(&BTreeMap::from([(name, value)])).unwrap_or_else(|_| {
        // A number that is not finite, which the store refuses and so cannot return.
        r#"{"error":{"code":"STORAGE","message":"a record cannot be shown"}}"#.to_owned()
    })
}

/// A record that is being filled with fields.
pub(crate) struct Fields(BTreeMap<String, Value>);

impl Fields {
    /// Starts with the application's own fields.
    pub(crate) fn with(extra: DynamicFields) -> Self {
        Self(extra)
    }

    pub(crate) fn new() -> Self {
        Self(BTreeMap::new())
    }

    pub(crate) fn set(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.insert(name.to_owned(), value.into());
        self
    }

    /// Leaves out a field that has no value.
    pub(crate) fn set_some(self, name: &str, value: Option<impl Into<Value>>) -> Self {
        match value {
            Some(value) => self.set(name, value),
            None => self,
        }
    }

    pub(crate) fn into_value(self) -> Value {
        Value::Map(self.0)
    }
}

impl Output for Failure {
    fn into_value(self) -> Value {
        Fields::new().set("code", self.code).set("message", self.message).set_some("field", self.field).into_value()
    }
}

impl Output for () {
    fn into_value(self) -> Value {
        Value::Null
    }
}

impl Output for bool {
    fn into_value(self) -> Value {
        Value::Bool(self)
    }
}

/// Whether a check passed.
impl Output for Check {
    fn into_value(self) -> Value {
        self.has_passed().into_value()
    }
}

/// A count.
impl Output for usize {
    fn into_value(self) -> Value {
        Value::from(self as u64)
    }
}

impl<T: Output> Output for Option<T> {
    fn into_value(self) -> Value {
        self.map_or(Value::Null, T::into_value)
    }
}

impl<T: Output> Output for Vec<T> {
    fn into_value(self) -> Value {
        Value::List(self.into_iter().map(T::into_value).collect())
    }
}
