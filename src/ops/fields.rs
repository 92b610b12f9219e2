//! Looks records up by the application's own fields.

use std::ops::Bound;

use crate::error::{Result, UniqueKey};
use crate::kv::key::{Key, field_range};
use crate::kv::txn::Txn;
use crate::models::{Cursor, FieldKey, Page, RangeOf};
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

pub(super) fn page<R: FieldIndexed>(
    txn: &Txn<'_>,
    field: &str,
    range: &RangeOf,
    after: Option<&Cursor>,
    limit: usize,
) -> Result<Page<R>> {
    let mut page = Page { items: Vec::new(), next: None };
    let Some((start, end)) = field_range(field, range) else {
        return Ok(page);
    };
    let start = match after {
        Some(Cursor(after)) if *after >= end => return Ok(page),
        Some(Cursor(after)) if *after >= start => Bound::Excluded(after.as_slice()),
        _ => Bound::Included(start.as_slice()),
    };
    let mut rows = txn.rows(&R::BY_FIELD, (start, Bound::Excluded(&end)), limit.saturating_add(1))?;
    if rows.len() > limit {
        rows.truncate(limit);
        page.next = rows.last().map(|(key, ())| Cursor(key.to_bytes()));
    }
    page.items = resolve_all(txn, &rows)?;
    Ok(page)
}

pub(super) fn first<R: FieldIndexed>(txn: &Txn<'_>, field: &str, value: FieldKey) -> Result<Option<R>> {
    let mut rows = txn.with_prefix(&R::BY_FIELD, &(field.to_owned(), value), 1)?;
    rows.pop().map(|((_, key), ())| resolve(txn, &key)).transpose()
}
