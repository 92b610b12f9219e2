//! Instants as they are stored: milliseconds since 1970 in UTC.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// An instant with millisecond precision. A finer instant is rounded down.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Millis(i64);

impl Millis {
    pub(crate) const fn new(since_epoch: i64) -> Self {
        Self(since_epoch)
    }

    pub(crate) fn since_epoch(self) -> i64 {
        self.0
    }

    /// Adds a span. The result is clamped to what chrono can express.
    pub(crate) fn plus(self, span: TimeDelta) -> Self {
        let (first, last) = (Self::from(DateTime::<Utc>::MIN_UTC), Self::from(DateTime::<Utc>::MAX_UTC));
        Self(self.0.saturating_add(span.num_milliseconds())).clamp(first, last)
    }

    /// Returns `None` if the number is outside what chrono can express. Only a damaged number can be.
    pub(crate) fn to_instant(self) -> Option<DateTime<Utc>> {
        DateTime::from_timestamp_millis(self.0)
    }
}

impl From<DateTime<Utc>> for Millis {
    fn from(instant: DateTime<Utc>) -> Self {
        Self(instant.timestamp_millis())
    }
}

/// Converts a stored instant.
///
/// # Errors
/// A storage failure if the instant is damaged.
pub(crate) fn instant(millis: Millis) -> Result<DateTime<Utc>> {
    millis.to_instant().ok_or_else(|| Error::corrupt("an instant is outside of the calendar"))
}
