//! Looks records up by the application's own fields.

use crate::error::{Error, Result, UniqueKey};
use crate::kv::key::{Key, field_range};
use crate::kv::txn::Txn;
use crate::models::{Cursor, FieldKey, Page, RangeOf};
use crate::ops::pages::{self, PageLimit};
use crate::ops::{resolve, resolve_all};
use crate::records::entries::FieldIndexed;

/// Returns the other records that already have a value of this record in a unique index.
pub(super) fn holders<R: FieldIndexed>(txn: &Txn<'_>, record: &R) -> Result<Vec<(UniqueKey, R)>> {
    let mut holders = Vec::new();
    for (field, value) in record.unique_values(txn.indexes())? {
        if let Some(holder) = first::<R>(txn, &field, value)?
            && holder.key().to_bytes() != record.key().to_bytes()
        {
            holders.push((UniqueKey::Field(field), holder));
        }
    }
    Ok(holders)
}

/// Refuses a record that has the value of another one in a unique index.
pub(crate) fn require_free<R: FieldIndexed>(txn: &Txn<'_>, record: &R) -> Result<()> {
    match holders(txn, record)?.into_iter().next() {
        Some((key, _)) => Err(Error::Conflict(key)),
        None => Ok(()),
    }
}

/// Reads a page of the records whose field is in a range. `listed` leaves out those that are not listed.
pub(super) fn page<R: FieldIndexed>(
    txn: &Txn<'_>,
    field: &str,
    range: &RangeOf,
    after: Option<&Cursor>,
    limit: PageLimit,
    listed: impl Fn(Vec<R>) -> Result<Vec<Option<R>>>,
) -> Result<Page<R>> {
    match field_range(field, range) {
        Some((start, end)) => {
            pages::page(txn, &R::BY_FIELD, (start, Some(end)), after, limit, |rows| listed(resolve_all(txn, &rows)?))
        }
        None => Ok(Page { items: Vec::new(), next: None }),
    }
}

pub(super) fn first<R: FieldIndexed>(txn: &Txn<'_>, field: &str, value: FieldKey) -> Result<Option<R>> {
    let mut rows = txn.with_prefix(&R::BY_FIELD, &(field.to_owned(), value), 1)?;
    rows.pop().map(|((_, key), ())| resolve(txn, &key)).transpose()
}
