//! The lifetime of a session, and where the expiry index lists it.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use crate::models::Millis;

/// A session may end early by one part in this many of the time it has left, if nothing else about it needs saving.
const EARLY_SHARE: i64 = 30;
/// A session may end this many milliseconds late, because each of several concurrent requests asks for its own instant.
const LATE: i64 = 1_000;

/// The instant at which a call looks at sessions, and the maximum age of those that the store made.
#[derive(Clone, Copy)]
pub(crate) struct AsOf {
    pub(crate) now: Millis,
    pub(crate) max_age: TimeDelta,
}

/// The last instant at which a session is valid. The maximum age binds a session that the store made, also one that was
/// made under a longer age; `made_here` is the instant of its last extension.
pub(crate) fn last_instant(expires: Millis, made_here: Option<Millis>, max_age: TimeDelta) -> Millis {
    made_here.map_or(expires, |extended| expires.min(extended.plus(max_age)))
}

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Lifetime {
    /// The session is valid until this instant, inclusive, if the maximum age does not end it earlier.
    pub(crate) expires: Millis,
    pub(crate) created: Millis,
    /// When the expiry was last set.
    pub(crate) extended: Millis,
    listing: Listing,
}

/// Who made the session, and the instant under which the expiry index lists it, if that is before `expires`. The first
/// two are coded as the optional instant that formats 1 and 2 have here.
#[derive(Clone, Copy, Serialize, Deserialize)]
enum Listing {
    AtExpiry,
    Early(Millis),
    MadeHere,
    MadeHereEarly(Millis),
}

impl Listing {
    fn new(made_here: bool, early: Option<Millis>) -> Self {
        match (made_here, early) {
            (false, None) => Self::AtExpiry,
            (false, Some(at)) => Self::Early(at),
            (true, None) => Self::MadeHere,
            (true, Some(at)) => Self::MadeHereEarly(at),
        }
    }

    fn made_here(self) -> bool {
        matches!(self, Self::MadeHere | Self::MadeHereEarly(_))
    }

    fn early(self) -> Option<Millis> {
        if let Self::Early(at) | Self::MadeHereEarly(at) = self { Some(at) } else { None }
    }
}

impl Lifetime {
    /// A lifetime of which the caller decides.
    pub(crate) fn new(expires: Millis, created: Millis) -> Self {
        Self { expires, created, extended: created, listing: Listing::AtExpiry }
    }

    /// Returns the lifetime as one of which the store decides.
    pub(crate) fn made_here(self) -> Self {
        Self { listing: Listing::new(true, self.listing.early()), ..self }
    }

    /// The instant of the last extension, if the store made the session.
    pub(crate) fn extended_here(&self) -> Option<Millis> {
        self.listing.made_here().then_some(self.extended)
    }

    /// The last instant at which the session is valid.
    pub(crate) fn last_instant(&self, max_age: TimeDelta) -> Millis {
        last_instant(self.expires, self.extended_here(), max_age)
    }

    /// Changes the expiry as of `now`. If the new expiry is later, the entry in the expiry index stays where it is, so
    /// that an extension changes no more rows than necessary. Purging moves the entry when it reaches it.
    pub(crate) fn expiring(self, expires: Millis, now: Millis) -> Self {
        let listed = self.listed();
        let early = (listed < expires).then_some(listed);
        Self { expires, extended: now, listing: Listing::new(self.listing.made_here(), early), ..self }
    }

    /// The instant under which the expiry index lists the session. It is never after `expires`.
    pub(crate) fn listed(&self) -> Millis {
        self.listing.early().unwrap_or(self.expires)
    }

    /// Moves the entry in the expiry index to the instant of expiry.
    pub(crate) fn relisted(self) -> Self {
        Self { listing: Listing::new(self.listing.made_here(), None), ..self }
    }

    /// True if the session ends at this instant, or so close to it that a write is not worthwhile: early by at most a
    /// thirtieth of the time left, or late by at most a second.
    pub(crate) fn ends_about_at(&self, expires: Millis, now: Millis) -> bool {
        let [ends, wanted, now] = [self.expires, expires, now].map(Millis::since_epoch);
        let early = wanted.saturating_sub(now).max(0) / EARLY_SHARE;
        let late = if wanted > now { LATE } else { 0 };
        (wanted.saturating_sub(early)..=wanted.saturating_add(late)).contains(&ends)
    }
}
