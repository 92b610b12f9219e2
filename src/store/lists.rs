//! The sizes of pages.

use crate::ops::pages::PageLimit;

/// How many records a page has at most.
const ITEMS_MAX: usize = 1_000;
/// How many rows of a list are read for a page at most. Records that are not listed, such as expired sessions, count.
const ROWS_MAX: usize = 5_000;

/// The size of a page for a caller who asks for so many records.
pub(super) fn page_limit(items: usize) -> PageLimit {
    PageLimit { items: items.clamp(1, ITEMS_MAX), rows: ROWS_MAX }
}
