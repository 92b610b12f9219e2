//! What guesses at the codes of an address may cost: what was lost in three windows of time, and what is reserved.
//!
//! A guess at a code of d digits is right by chance once in 10ᵈ. All amounts are in units of 10⁻¹².

use serde::{Deserialize, Serialize};

use crate::models::{CODE_VALID_MAX, LONG_CODE_DIGITS, Millis, TokenHash};

const MINUTE: i64 = 60_000;
const DAY: i64 = 24 * 60 * MINUTE;

/// How far a clock may be set back, or the clocks of two processes may differ, without consequences.
const SLACK: i64 = MINUTE;

/// A span of time up to now in which an address may lose so much. What was lost is kept in buckets, and a bucket counts
/// until all of its time is out of the window: so a window is longer by at most one bucket, and never too short.
pub(crate) struct Window {
    length: i64,
    bucket: i64,
    limit: u64,
}

pub(crate) const HOUR: Window = Window { length: 60 * MINUTE, bucket: 5 * MINUTE, limit: 20_000_000 };

/// In 30 days it is 3 · 10⁻⁴, of which 5 · 10⁻⁶ are left for codes of twelve digits: five million guesses.
const WINDOWS: [Window; 3] = [
    HOUR,
    Window { length: DAY, bucket: DAY / 24, limit: 50_000_000 },
    Window { length: 30 * DAY, bucket: DAY, limit: 295_000_000 },
];

impl Window {
    fn number(&self, at: Millis) -> i64 {
        at.since_epoch().div_euclid(self.bucket)
    }

    /// The instant from which the bucket is out of the window.
    fn end(&self, number: i64) -> i64 {
        number.saturating_add(1).saturating_mul(self.bucket).saturating_add(self.length)
    }

    /// Drops what is out of the window. What seems to lie ahead was lost before a clock was set back. It stays where it is,
    /// at most one window ahead: so a clock that goes back by less than that, and forth again, frees nothing early, and one
    /// that was a year ahead blocks nothing for a year.
    pub(crate) fn slide(&self, lost: &mut Buckets, now: Millis) {
        let furthest = self.number(now).saturating_add(self.length / self.bucket);
        let beyond = lost.total_of(|number| number > furthest);
        lost.retain(|number| number <= furthest && self.end(number) > now.since_epoch());
        lost.add(furthest, beyond);
    }

    /// While the clock is behind what was lost already, what is lost counts as lost then.
    pub(crate) fn lose(&self, lost: &mut Buckets, now: Millis, amount: u64) {
        let number = lost.last().map_or(self.number(now), |last| last.max(self.number(now)));
        lost.add(number, amount);
    }
}

/// Amounts by the number of their bucket: how many buckets long the time from 1970 to it is.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Buckets(Vec<(i64, u64)>);

impl Buckets {
    fn add(&mut self, number: i64, amount: u64) {
        match self.0.iter_mut().find(|(found, _)| *found == number) {
            Some((_, sum)) => *sum = sum.saturating_add(amount),
            None if amount > 0 => self.0.push((number, amount)),
            None => {}
        }
    }

    fn take(&mut self, number: i64, amount: u64) {
        if let Some((_, sum)) = self.0.iter_mut().find(|(found, _)| *found == number) {
            *sum = sum.saturating_sub(amount);
        }
        self.0.retain(|(_, sum)| *sum > 0);
    }

    fn retain(&mut self, keeps: impl Fn(i64) -> bool) {
        self.0.retain(|(number, _)| keeps(*number));
    }

    pub(crate) fn total(&self) -> u64 {
        self.total_of(|_| true)
    }

    fn total_of(&self, counts: impl Fn(i64) -> bool) -> u64 {
        let counted = self.0.iter().filter(|(number, _)| counts(*number));
        counted.fold(0, |sum, (_, amount)| sum.saturating_add(*amount))
    }

    fn last(&self) -> Option<i64> {
        self.0.iter().map(|(number, _)| *number).max()
    }
}

/// The budget of an address, all purposes together. What a code of fewer than twelve digits can lose at most is reserved
/// when it is issued. So whatever is guessed at once, no window loses more than its limit: each guess was reserved while
/// everything lost in the window and everything else reserved fitted into the limit beside it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct GuessBudget {
    /// The key: the hash of the address.
    #[serde(skip)]
    pub(crate) address: TokenHash,
    /// The era of what is reserved. A code of another one has nothing reserved any more and is void.
    era: Option<u64>,
    /// Up to this instant the reserves of expired codes were given back. If the clock is set back behind it, they
    /// would be valid again.
    given_back: Option<Millis>,
    /// By the minute in which their codes expire.
    reserved: Buckets,
    lost: [Buckets; WINDOWS.len()],
}

impl GuessBudget {
    pub(crate) fn new(address: TokenHash) -> Self {
        Self { address, era: None, given_back: None, reserved: Buckets::default(), lost: Default::default() }
    }

    /// The budget at this instant: without what is out of the windows, and without the reserves of codes that have
    /// expired more than a minute ago. If the clock was set back so far that such codes would be valid again, or that
    /// codes would be valid for longer than they may, all that is reserved is given back and the codes are void.
    pub(crate) fn at(mut self, now: Millis) -> Self {
        for (window, lost) in WINDOWS.iter().zip(&mut self.lost) {
            window.slide(lost, now);
        }
        let latest = now.plus(CODE_VALID_MAX).since_epoch().saturating_add(SLACK);
        let last = self.reserved.last().map(|minute| minute.saturating_mul(MINUTE));
        if self.given_back.is_some_and(|until| now < until) || last.is_some_and(|last| last > latest) {
            (self.era, self.given_back, self.reserved) = (None, None, Buckets::default());
        }
        let is_over = |minute| minute_end(minute).saturating_add(SLACK) <= now.since_epoch();
        let mut over = self.reserved.clone();
        over.retain(is_over);
        self.given_back = over.last().map(|minute| Millis::new(minute_end(minute))).max(self.given_back);
        self.reserved.retain(|minute| !is_over(minute));
        self
    }

    /// True if so much more can be reserved.
    pub(crate) fn has_room(&self, amount: u64) -> bool {
        let amount = self.reserved.total().saturating_add(amount);
        WINDOWS.iter().zip(&self.lost).all(|(window, lost)| lost.total().saturating_add(amount) <= window.limit)
    }

    /// Reserves what a code can lose. Returns the era of the reserve, which is `new` if there is none yet.
    pub(crate) fn reserve(&mut self, expires: Millis, amount: u64, new: u64) -> u64 {
        self.reserved.add(minute(expires), amount);
        *self.era.get_or_insert(new)
    }

    pub(crate) fn give_back(&mut self, expires: Millis, amount: u64) {
        self.reserved.take(minute(expires), amount);
    }

    pub(crate) fn lose(&mut self, now: Millis, amount: u64) {
        for (window, lost) in WINDOWS.iter().zip(&mut self.lost) {
            window.lose(lost, now, amount);
        }
    }

    /// True if the reserves of this era have not been given back.
    pub(crate) fn is_of(&self, era: u64) -> bool {
        self.era == Some(era)
    }

    /// True if there is nothing to remember.
    pub(crate) fn is_empty(&self) -> bool {
        self.reserved.last().is_none() && self.lost.iter().all(|lost| lost.last().is_none())
    }

    /// The last instant at which there is something to remember.
    pub(crate) fn expires(&self) -> Millis {
        let lost = WINDOWS.iter().zip(&self.lost).filter_map(|(window, lost)| lost.last().map(|last| window.end(last)));
        let reserved = self.reserved.last().map(|minute| minute_end(minute).saturating_add(SLACK));
        // What somebody else has written into a damaged row may be beyond the calendar.
        Millis::new(lost.chain(reserved).max().unwrap_or(0)).plus(chrono::TimeDelta::zero())
    }
}

/// What one guess at a code of so many digits costs.
pub(crate) fn cost(digits: u32) -> u64 {
    10_u64.saturating_pow(LONG_CODE_DIGITS.saturating_sub(digits))
}

fn minute(at: Millis) -> i64 {
    at.since_epoch().div_euclid(MINUTE)
}

fn minute_end(minute: i64) -> i64 {
    minute.saturating_add(1).saturating_mul(MINUTE)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use chrono::TimeDelta;
    use fastrand::Rng;

    use super::*;
    use crate::kv::codec;
    use crate::models::fingerprint;

    const START: i64 = 1_900_000_000_000;

    fn address() -> TokenHash {
        TokenHash::from_bytes(fingerprint(b"ada"))
    }

    /// The exact sum of what was lost within the window before now.
    fn exact(lost: &[(i64, u64)], length: i64, now: i64) -> u64 {
        lost.iter().filter(|(at, _)| *at > now - length).map(|(_, amount)| amount).sum()
    }

    #[test]
    fn no_window_counts_less_than_was_lost_in_it_nor_more_than_in_one_bucket_more() {
        for seed in 0..200 {
            let random = &mut Rng::with_seed(seed);
            let (mut budget, mut lost, mut now) = (GuessBudget::new(address()), Vec::new(), START);
            for _ in 0..300 {
                now += [1, MINUTE, 10 * MINUTE, 60 * MINUTE, 6 * 60 * MINUTE][random.usize(..5)] * random.i64(0..3);
                budget = budget.at(Millis::new(now));
                for (window, counted) in WINDOWS.iter().zip(&budget.lost) {
                    assert!(counted.total() >= exact(&lost, window.length, now), "seed {seed}");
                    assert!(counted.total() <= exact(&lost, window.length + window.bucket, now), "seed {seed}");
                }
                let amount = random.u64(1..1_000);
                budget.lose(Millis::new(now), amount);
                lost.push((now, amount));
            }
        }
    }

    #[test]
    fn a_clock_that_goes_back_by_less_than_a_window_and_forth_lets_no_window_count_less() {
        for seed in 0..200 {
            let random = &mut Rng::with_seed(seed);
            let (mut budget, mut lost, mut now) = (GuessBudget::new(address()), Vec::new(), START);
            for _ in 0..300 {
                now += random.i64(0..20 * MINUTE);
                budget = budget.at(Millis::new(now));
                for (window, counted) in WINDOWS.iter().zip(&budget.lost) {
                    assert!(counted.total() >= exact(&lost, window.length, now), "seed {seed}");
                }
                budget.lose(Millis::new(now), 7);
                // For a moment, the clock is behind.
                let behind = Millis::new(now - random.i64(0..60 * MINUTE));
                budget = budget.at(behind);
                budget.lose(behind, 5);
                lost.push((now, 12));
            }
        }
    }

    #[test]
    fn a_budget_stays_small_whatever_is_done_and_however_the_clock_goes() {
        let mut largest = 0;
        for seed in 0..20 {
            let random = &mut Rng::with_seed(seed);
            let (mut budget, mut now) = (GuessBudget::new(address()), START);
            for _ in 0..5_000 {
                now += match random.u8(..100) {
                    0 => -random.i64(0..60 * DAY),
                    1..=3 => random.i64(0..2 * DAY),
                    _ => random.i64(0..2 * MINUTE),
                };
                budget = budget.at(Millis::new(now));
                let expires = Millis::new(now).plus(TimeDelta::milliseconds(random.i64(1..60 * MINUTE)));
                budget.reserve(expires, u64::from(u32::MAX), u64::MAX);
                budget.lose(Millis::new(now), u64::from(u32::MAX));
                largest = largest.max(codec::encode("guess_budgets", b"key", &budget).unwrap().len());
            }
        }
        assert!(largest > 500 && largest < 4_096, "{largest} bytes");
    }

    #[test]
    fn what_is_reserved_is_given_back_a_minute_after_its_minute() {
        let expires = Millis::new(START);
        let mut budget = GuessBudget::new(address());
        assert_eq!(budget.reserve(expires, 20_000_000, 7), 7);
        assert!(!budget.has_room(1) && budget.is_of(7));
        let end = START - START % MINUTE + 2 * MINUTE;
        assert!(!budget.clone().at(Millis::new(end - 1)).has_room(1));
        let after = budget.clone().at(Millis::new(end));
        assert!(after.has_room(20_000_000) && !after.has_room(20_000_001) && after.is_of(7));
        assert!(after.clone().at(Millis::new(end - MINUTE)).is_of(7), "the codes have expired");
        assert!(!after.at(Millis::new(end - MINUTE - 1)).is_of(7), "they would be valid again");
        assert!(!budget.at(Millis::new(START - 63 * MINUTE)).is_of(7), "they would be valid for too long");
    }
}
