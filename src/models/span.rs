//! Lengths of time.

use std::time::Duration;

use chrono::TimeDelta;

/// A length of time, which a [`std::time::Duration`] or a [`chrono::TimeDelta`] becomes. The store counts in milliseconds;
/// anything finer is cut off.
///
/// ```
/// use authkv::AuthKv;
/// use authkv::chrono::TimeDelta;
/// use std::time::Duration;
///
/// AuthKv::options().session_max_age(TimeDelta::days(14)).session_update_age(Duration::from_secs(3_600)).in_memory()?;
/// # Ok::<(), authkv::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub(crate) TimeDelta);

impl From<TimeDelta> for Span {
    fn from(length: TimeDelta) -> Self {
        Self(length)
    }
}

/// A duration of more than 292 million years is cut off there.
impl From<Duration> for Span {
    fn from(length: Duration) -> Self {
        Self(TimeDelta::from_std(length).unwrap_or(TimeDelta::MAX))
    }
}
