//! Reads a record from JavaScript: the fields that Auth.js has, one by one, and the rest as the application's own.

use std::collections::BTreeMap;

use authkv::models::{Change, DynamicFields, FieldPatch, ProviderAccountId, Token, Value};
use chrono::{DateTime, Utc};

use crate::failure::{Failure, Result};

/// The fields of a record that have not been read yet.
pub(crate) struct Input(BTreeMap<String, Value>);

impl Input {
    /// From JSON text, in which instants, and names that look like theirs, are written as [`Value`] writes them.
    pub(crate) fn parse(json: &str) -> Result<Self> {
        match serde_json::from_str(json) {
            Ok(Value::Map(fields)) => Ok(Self(fields)),
            // The JavaScript half of this package, which writes it, writes nothing else.
            _ => Err(Failure::invalid("the argument", "is not a record")),
        }
    }

    /// A text; none when it is absent or null.
    pub(crate) fn text(&mut self, name: &str) -> Result<Option<String>> {
        match self.0.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(_) => Err(Failure::invalid(name, "must be a string")),
        }
    }

    pub(crate) fn required_text(&mut self, name: &str) -> Result<String> {
        self.text(name)?.ok_or_else(|| Failure::invalid(name, "must be a string"))
    }

    pub(crate) fn token(&mut self, name: &str) -> Result<Option<Token>> {
        Ok(self.text(name)?.map(Token::from))
    }

    pub(crate) fn instant(&mut self, name: &str) -> Result<Option<DateTime<Utc>>> {
        match self.0.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Instant(instant)) => Ok(Some(instant.into())),
            Some(_) => Err(Failure::invalid(name, "must be a Date")),
        }
    }

    pub(crate) fn required_instant(&mut self, name: &str) -> Result<DateTime<Utc>> {
        self.instant(name)?.ok_or_else(|| Failure::invalid(name, "must be a Date"))
    }

    /// An integer within the bounds of its type.
    pub(crate) fn integer<I: TryFrom<i128>>(&mut self, name: &str) -> Result<Option<I>> {
        let refused = || Failure::invalid(name, "must be an integer in range");
        match self.0.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Integer(value)) => I::try_from(value).map(Some).map_err(|_| refused()),
            Some(_) => Err(refused()),
        }
    }

    pub(crate) fn required_integer<I: TryFrom<i128>>(&mut self, name: &str) -> Result<I> {
        self.integer(name)?.ok_or_else(|| Failure::invalid(name, "must be an integer"))
    }

    pub(crate) fn truth(&mut self, name: &str) -> Result<Option<bool>> {
        match self.0.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Bool(value)) => Ok(Some(value)),
            Some(_) => Err(Failure::invalid(name, "must be true or false")),
        }
    }

    pub(crate) fn required_truth(&mut self, name: &str) -> Result<bool> {
        self.truth(name)?.ok_or_else(|| Failure::invalid(name, "must be true or false"))
    }

    /// A provider's account id, which may be a number.
    pub(crate) fn provider_account_id(&mut self) -> Result<ProviderAccountId> {
        const NAME: &str = "providerAccountId";
        match self.0.remove(NAME) {
            Some(Value::Text(text)) => Ok(text.into()),
            Some(Value::Integer(number)) if number.unsigned_abs() < 1 << 53 => Ok(number.to_string().into()),
            // JavaScript has two zeros, which it writes the same.
            Some(Value::Float(0.0)) => Ok(0_u64.into()),
            _ => Err(Failure::invalid(NAME, "must be a string or a safe integer")),
        }
    }

    /// What a patch does with a text: absent keeps it, null clears it.
    pub(crate) fn change_text(&mut self, name: &str) -> Result<Change<String>> {
        let is_named = self.0.contains_key(name);
        Ok(change(is_named, self.text(name)?))
    }

    pub(crate) fn change_instant(&mut self, name: &str) -> Result<Change<DateTime<Utc>>> {
        let is_named = self.0.contains_key(name);
        Ok(change(is_named, self.instant(name)?))
    }

    /// A field that a patch can set and cannot clear.
    pub(crate) fn not_null(&self, name: &str) -> Result<()> {
        match self.0.get(name) {
            Some(Value::Null) => Err(Failure::invalid(name, "cannot be cleared")),
            _ => Ok(()),
        }
    }

    /// Leaves out a field that the store makes itself.
    pub(crate) fn ignore(&mut self, name: &str) {
        self.0.remove(name);
    }

    /// The application's own fields: all that has not been read.
    pub(crate) fn rest(self) -> DynamicFields {
        self.0
    }

    /// What a patch does with the application's own fields.
    pub(crate) fn rest_as_patch(self) -> FieldPatch {
        self.0.into_iter().fold(FieldPatch::new(), |patch, (name, value)| match value {
            Value::Null => patch.clear(name),
            value => patch.set(name, value),
        })
    }

    /// Refuses what has not been read.
    pub(crate) fn end(self, problem: &str) -> Result<()> {
        self.0.into_keys().next().map_or(Ok(()), |name| Err(Failure::invalid(name, problem)))
    }
}

fn change<T>(is_named: bool, value: Option<T>) -> Change<T> {
    match value {
        Some(value) => Change::Set(value),
        None if is_named => Change::Clear,
        None => Change::Keep,
    }
}
