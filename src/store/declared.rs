//! What an application declares, compared with its models before a store is opened.

use std::borrow::Cow;

use crate::error::{Error, Problem, Result};
use crate::models::{Absent, Absentees, Fields, Index, Indexes, Kind, Models, Shape, Value, probe};
use crate::records::{AccountRecord, SessionRecord, TokenRecord, UserRecord};
use crate::store::fit::Fitted;

/// What the models say about the fields of the indexes that the application declares.
#[derive(Default)]
pub(crate) struct Shapes {
    pub(crate) users: IndexedFields,
    pub(crate) accounts: IndexedFields,
}

/// The indexed fields of one kind of record.
#[derive(Default)]
pub(crate) struct IndexedFields(Vec<(Cow<'static, str>, Shape)>);

/// Returns the indexes of these models.
///
/// # Errors
/// `InvalidArgument` with the name of a field that cannot have an index, or that an own field must not be called.
pub(crate) fn declared<M: Models>() -> Result<(Indexes, Shapes)> {
    let mut indexes = Indexes::new(M::USER_INDEXES, M::ACCOUNT_INDEXES);
    let users = indexed_fields::<M, UserRecord>(&mut indexes.users)?;
    let accounts = indexed_fields::<M, AccountRecord>(&mut indexes.accounts)?;
    refuse_reserved_names::<M, UserRecord>()?;
    refuse_reserved_names::<M, AccountRecord>()?;
    refuse_reserved_names::<M, SessionRecord>()?;
    refuse_reserved_names::<M, TokenRecord>()?;
    Ok((indexes, Shapes { users, accounts }))
}

fn indexed_fields<M: Models, R: Fitted<M>>(indexes: &mut [Index]) -> Result<IndexedFields> {
    let fields = shapes_of::<M, R>(indexes)?;
    // A model in which every field has a default reads a record that has none. A default may differ each time.
    let readings = [(); 2].map(|()| Fields::default().fill::<R::Own>(indexes).unwrap_or_default());
    for (index, (_, shape)) in indexes.iter_mut().zip(&fields.0) {
        let reading = |absentees: &Absentees| absentees.iter().find(|(field, _)| *field == index.field).cloned();
        let absent = match readings.each_ref().map(reading) {
            [Some((_, Some(one))), Some((_, Some(other)))] if one == other => Absent::Value(one),
            [Some((_, None)), _] if shape.required => {
                return Err(Error::invalid(index.field.clone(), Problem::Missing));
            }
            [Some((_, Some(_))), _] => Absent::Something,
            _ if shape.required => Absent::Something,
            _ => Absent::Nothing,
        };
        index.absent = Some(absent);
    }
    Ok(fields)
}

fn shapes_of<M: Models, R: Fitted<M>>(indexes: &[Index]) -> Result<IndexedFields> {
    let mut fields = Vec::new();
    for (place, Index { field, .. }) in indexes.iter().enumerate() {
        let invalid = |problem| Error::invalid(field.clone(), problem);
        if let Some((_, method)) = R::FOUND_BY.iter().find(|(name, _)| name == field) {
            return Err(invalid(Problem::FoundBy(method)));
        }
        if R::RESERVED.contains(&&**field) {
            return Err(invalid(Problem::ReservedName));
        }
        if indexes.iter().skip(place + 1).any(|other| other.field == *field) {
            return Err(invalid(Problem::IndexedTwice));
        }
        match probe::shape::<R::Own>(field) {
            Some(Shape { kind: Kind::NotIndexable, .. }) => return Err(invalid(Problem::NotIndexable)),
            Some(shape) => fields.push((field.clone(), shape)),
            None => {
                let names = probe::names::<R::Own>().unwrap_or_default();
                return Err(invalid(Problem::NoSuchField { fields: names.into_iter().map(str::to_owned).collect() }));
            }
        }
    }
    Ok(IndexedFields(fields))
}

/// Refuses an own field with the name of a standard one. Where the model does not tell its names, the first record does.
fn refuse_reserved_names<M: Models, R: Fitted<M>>() -> Result<()> {
    match R::RESERVED.iter().find(|name| probe::surely_writes::<R::Own>(name)) {
        Some(name) => Err(Error::invalid(*name, Problem::ReservedName)),
        None => Ok(()),
    }
}

impl IndexedFields {
    /// Refuses a value that the field cannot have.
    pub(crate) fn check_kind(&self, field: &str, value: &Value) -> Result<()> {
        let kind = self.0.iter().find(|(name, _)| name == field).map(|(_, shape)| shape.kind);
        let expected = match (kind, value) {
            (Some(Kind::Bool), Value::Bool(_)) => return Ok(()),
            (Some(Kind::Integer), Value::Integer(_)) => return Ok(()),
            (Some(Kind::Text), Value::Text(_)) => return Ok(()),
            // No record has it, of whatever kind the field is.
            (_, Value::Null) => return Ok(()),
            (Some(Kind::Bool), _) => "a boolean",
            (Some(Kind::Integer), _) => "an integer",
            (Some(Kind::Text), _) => "a text",
            (Some(Kind::Any | Kind::NotIndexable) | None, _) => return Ok(()),
        };
        Err(Error::invalid(field.to_owned(), Problem::OtherKind(expected)))
    }
}
