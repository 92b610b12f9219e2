//! How long a session lives, and where the expiry index lists it.

use serde::{Deserialize, Serialize};

use crate::models::Millis;

/// The share of its time left by which a session may end early, as long as nothing else about it is saved.
const EARLY_SHARE: i64 = 30;
/// How much later than it should a session may end: requests that come together each ask for their own instant.
const LATE: i64 = 1_000;

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Lifetime {
    /// The last instant at which the session is valid.
    pub(crate) expires: Millis,
    pub(crate) created: Millis,
    /// When its expiry was last set.
    pub(crate) extended: Millis,
    /// The instant under which the expiry index lists it, if that is before it expires.
    listed_early: Option<Millis>,
}

impl Lifetime {
    pub(crate) fn new(expires: Millis, created: Millis) -> Self {
        Self { expires, created, extended: created, listed_early: None }
    }

    /// The same, with another expiry as of `now`. When that is later, the expiry index goes on listing it where it did,
    /// so that an extension changes no more than it must; purging moves the entry when it gets there.
    pub(crate) fn expiring(self, expires: Millis, now: Millis) -> Self {
        let listed = self.listed();
        Self { expires, extended: now, listed_early: (listed < expires).then_some(listed), ..self }
    }

    /// The instant under which the expiry index lists it, never after it expires.
    pub(crate) fn listed(&self) -> Millis {
        self.listed_early.unwrap_or(self.expires)
    }

    /// The same, listed in the expiry index when it expires.
    pub(crate) fn relisted(self) -> Self {
        Self { listed_early: None, ..self }
    }

    /// Whether it ends at this instant, or so near that this is not worth a write: at most a thirtieth of the time left too
    /// early, or a second too late.
    pub(crate) fn ends_about_at(&self, expires: Millis, now: Millis) -> bool {
        let [ends, wanted, now] = [self.expires, expires, now].map(Millis::since_epoch);
        let early = wanted.saturating_sub(now).max(0) / EARLY_SHARE;
        let late = if wanted > now { LATE } else { 0 };
        (wanted.saturating_sub(early)..=wanted.saturating_add(late)).contains(&ends)
    }

    pub(crate) fn is_valid(&self, now: Millis) -> bool {
        now <= self.expires
    }
}
