//! The lifetime of a session, and where the expiry index lists it.

use serde::{Deserialize, Serialize};

use crate::models::Millis;

/// A session may end early by one part in this many of the time it has left, if nothing else about it needs saving.
const EARLY_SHARE: i64 = 30;
/// A session may end this many milliseconds late, because each of several concurrent requests asks for its own instant.
const LATE: i64 = 1_000;

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Lifetime {
    /// The session is valid until this instant, inclusive.
    pub(crate) expires: Millis,
    pub(crate) created: Millis,
    /// When the expiry was last set.
    pub(crate) extended: Millis,
    /// The instant under which the expiry index lists the session, if that is before `expires`.
    listed_early: Option<Millis>,
}

impl Lifetime {
    pub(crate) fn new(expires: Millis, created: Millis) -> Self {
        Self { expires, created, extended: created, listed_early: None }
    }

    /// Changes the expiry as of `now`. If the new expiry is later, the entry in the expiry index stays where it is, so
    /// that an extension changes no more rows than necessary. Purging moves the entry when it reaches it.
    pub(crate) fn expiring(self, expires: Millis, now: Millis) -> Self {
        let listed = self.listed();
        Self { expires, extended: now, listed_early: (listed < expires).then_some(listed), ..self }
    }

    /// The instant under which the expiry index lists the session. It is never after `expires`.
    pub(crate) fn listed(&self) -> Millis {
        self.listed_early.unwrap_or(self.expires)
    }

    /// Moves the entry in the expiry index to the instant of expiry.
    pub(crate) fn relisted(self) -> Self {
        Self { listed_early: None, ..self }
    }

    /// True if the session ends at this instant, or so close to it that a write is not worthwhile: early by at most a
    /// thirtieth of the time left, or late by at most a second.
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
