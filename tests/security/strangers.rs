//! The chance of strangers, computed. Goal: whatever they do at once, they enter a code of an address with a chance of at
//! most 3 · 10⁻⁴ in any 30 days, and nobody else gets longer codes for it. Method: 32 threads ask and guess at random for
//! simulated weeks. Each keeps its own list of the codes that its guesses were
//! compared with, and the sums over every window are taken from the lists. The store's own counts are not looked at.
//!
//! `AUTHKV_TEST_SCALE=10` tries ten times as many weeks.

use std::collections::VecDeque;

use authkv::models::CodeCheck;
use authkv::{AuthKv, Options};
use chrono::{DateTime, TimeDelta, Utc};
use fastrand::Rng;

use crate::browser::{ADA, Browser, MINUTES, SIGN_IN, right};
use crate::seeds::for_each_seed;
use authkv::conformance::{Clock, at_once};

const THREADS: u64 = 32;
const TRILLION: u64 = 1_000_000_000_000;

/// A browser with the codes that its request should have: their digits and when they expire.
#[derive(Default)]
struct Stranger {
    browser: Browser,
    codes: Vec<(u32, DateTime<Utc>)>,
}

/// When a guess was compared, and what it cost in units of 10⁻¹².
type Cost = (DateTime<Utc>, u64);

impl Stranger {
    fn asks(&mut self, kv: &AuthKv, valid_for: TimeDelta) {
        let old = self.browser.request.clone();
        let issued = self.browser.asks_for(kv, SIGN_IN, ADA, valid_for);
        if self.browser.request != old {
            self.codes.clear();
        }
        if self.codes.len() == 3 {
            let first = self.codes.iter().enumerate().min_by_key(|(_, (_, expires))| *expires).unwrap().0;
            self.codes.remove(first);
        }
        self.codes.push((issued.digits, issued.expires));
    }

    fn guesses(&mut self, kv: &AuthKv, now: DateTime<Utc>) -> Option<Cost> {
        let check = self.browser.types(kv, "a guess");
        self.codes.retain(|(_, expires)| *expires >= now);
        let cost = self.codes.iter().map(|(digits, _)| TRILLION / 10_u64.pow(*digits)).sum();
        matches!(check, CodeCheck::Wrong { .. }).then_some((now, cost))
    }
}

/// The greatest sum of costs within any span of this length.
fn most_lost(costs: &[Cost], length: TimeDelta) -> u64 {
    let (mut window, mut sum, mut most) = (VecDeque::new(), 0, 0);
    for (now, cost) in costs {
        window.push_back((*now, *cost));
        sum += cost;
        while let Some((_, cost)) = window.front().copied().filter(|(at, _)| *at <= *now - length) {
            window.pop_front();
            sum -= cost;
        }
        most = most.max(sum);
    }
    most
}

/// Five weeks. Returns what was lost.
fn attack(options: Options, digits: u32, seed: u64) -> Vec<Cost> {
    let clock = Clock::new();
    let its_clock = clock.clone();
    let kv = options.clock(move || its_clock.now()).in_memory().unwrap();
    let random = &mut Rng::with_seed(seed);
    let start = clock.now();
    let mut strangers: Vec<Stranger> = (0..THREADS).map(|_| Stranger::default()).collect();
    let (mut owner, mut bystander, mut costs) = (Browser::default(), Browser::default(), Vec::new());
    let mut day = 0;
    while clock.now() < start + TimeDelta::weeks(5) {
        let now = clock.now();
        let cells: Vec<_> = std::mem::take(&mut strangers).into_iter().map(std::sync::Mutex::new).collect();
        let lost = at_once(|n| {
            let random = &mut Rng::with_seed(seed ^ now.timestamp_millis() as u64 ^ ((n as u64) << 48));
            let mut stranger = cells[n % cells.len()].lock().unwrap();
            let mut lost = Vec::new();
            for _ in 0..random.usize(1..8) {
                match random.u8(..8) {
                    0 => *stranger = Stranger::default(),
                    1..=2 => stranger.asks(&kv, TimeDelta::milliseconds(random.i64(1..3_600_001))),
                    _ => lost.extend(stranger.guesses(&kv, now)),
                }
            }
            lost
        });
        strangers = cells.into_iter().map(|cell| cell.into_inner().unwrap()).collect();
        costs.extend(lost.into_iter().flatten());
        if (now - start).num_days() > day {
            day = (now - start).num_days();
            let issued = bystander.asks_for(&kv, SIGN_IN, "bob@example.com", MINUTES);
            assert_eq!(issued.digits, digits, "somebody who is not attacked");
            assert_eq!(bystander.types(&kv, issued.code.reveal()), right("bob@example.com"));
            let code = owner.asks(&kv, ADA);
            assert_eq!(owner.types(&kv, &code), right(ADA), "the owner of the address");
        }
        let by = match random.u8(..10) {
            0 => TimeDelta::milliseconds(random.i64(0..1_000)),
            1..=4 => TimeDelta::minutes(random.i64(1..60)),
            5..=8 => TimeDelta::minutes(random.i64(60..300)),
            _ => TimeDelta::hours(random.i64(5..30)),
        };
        clock.set(now + by);
    }
    assert!(kv.check().wait().unwrap().is_sound());
    costs
}

/// What strangers lose at most in an hour, a day and 30 days, and how much of all was at twelve digits.
fn losses((digits, guesses): (u32, u32), seed: u64) -> ([u64; 3], u64) {
    let costs = attack(AuthKv::options().code_digits(digits).code_guesses(guesses), digits, seed);
    let lost = [TimeDelta::hours(1), TimeDelta::days(1), TimeDelta::days(30)].map(|length| most_lost(&costs, length));
    let long = costs.iter().map(|(_, cost)| cost % 1_000).sum();
    eprintln!("{digits} digits, {guesses} guesses: {lost:?}, {long} at twelve digits; {} guesses", costs.len());
    (lost, long)
}

#[test]
fn the_chance_of_strangers_is_at_most_three_in_ten_thousand_in_thirty_days() {
    for_each_seed(3, |seed| {
        let options = [(6, 5), (6, 20), (8, 20)][seed as usize % 3];
        let ([hour, day, month], long) = losses(options, seed);
        assert!(month <= 300_000_000, "{month}");
        assert!(hour <= 20_000_000 + long && day <= 50_000_000 + long, "{hour}, {day}");
        let reached = [hour > 15_000_000, day > 40_000_000, month > 250_000_000];
        assert!(options != (6, 5) || reached == [true; 3], "the attack is too weak to show anything");
    });
}
