//! The sizes of pages.

use crate::error::{Error, Problem, Result};
use crate::ops::pages::PageLimit;

/// How many records a page has at most.
const ITEMS_MAX: u32 = 1_000;
/// How many rows of a list are read for a page at most. Records that are not listed, such as expired sessions, count.
const ROWS_MAX: usize = 5_000;

/// The size of a page for a caller who asks for so many records.
///
/// # Errors
/// Invalid argument unless it is from 1 to 1,000.
pub(super) fn page_limit(items: usize) -> Result<PageLimit> {
    if (1..=ITEMS_MAX as usize).contains(&items) {
        Ok(PageLimit { items, rows: ROWS_MAX })
    } else {
        Err(Error::invalid("limit", Problem::OutOfRange { least: 1, most: ITEMS_MAX }))
    }
}
