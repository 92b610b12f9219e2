//! What guesses at the codes of an address may cost: nobody is refused, and codes get longer instead.

use std::sync::atomic::{AtomicBool, Ordering};

use authkv::models::{CodeCheck, IssuedCode};
use chrono::TimeDelta;

use crate::browser::{ADA, Browser, MINUTES, SIGN_IN, right, wrong};
use crate::stores::{Store, options};
use authkv::conformance::{Clock, at_once};

cases! {
    somebody_who_is_not_attacked_gets_six_digits_day_by_day,
    a_code_has_twelve_digits_where_the_reserve_does_not_suffice,
    all_purposes_and_spellings_of_an_address_have_one_budget,
    what_was_not_guessed_is_given_back_when_a_code_is_used,
    what_was_not_guessed_is_given_back_when_a_code_has_expired,
    what_was_guessed_counts_for_an_hour_a_day_and_thirty_days,
    codes_of_one_request_reserve_only_the_guesses_that_are_left,
    a_code_that_gives_way_gives_its_reserve_back,
    an_owner_who_asks_anew_while_anybody_guesses_is_never_refused,
    a_clock_that_is_set_back_and_forth_frees_nothing,
    what_is_valid_again_after_a_clock_was_set_back_cannot_be_guessed_at,
    a_clock_that_was_a_year_ahead_blocks_nothing_for_a_year,
    a_budget_is_purged_when_nothing_counts_any_more,
    of_many_who_ask_at_once_no_more_get_short_codes_than_fit,
    strangers_who_ask_as_fast_as_they_can_do_not_keep_the_owner_out,
}

const MINUTE: TimeDelta = TimeDelta::minutes(1);
const HOUR: TimeDelta = TimeDelta::hours(1);
const DAY: TimeDelta = TimeDelta::days(1);

fn go(on: &Store, by: TimeDelta) {
    on.clock.set(on.clock.now() + by);
}

/// Somebody with a new browser asks.
fn stranger(on: &Store, address: &str) -> (Browser, IssuedCode) {
    let mut browser = Browser::default();
    let issued = browser.asks_for(&on.kv, SIGN_IN, address, MINUTES);
    (browser, issued)
}

fn digits(on: &Store) -> u32 {
    stranger(on, ADA).1.digits
}

/// Somebody asks, and guesses as often as they may.
fn attack(on: &Store) -> u32 {
    let (browser, issued) = stranger(on, ADA);
    for guesses_left in (0..5).rev() {
        assert_eq!(browser.types(&on.kv, "a guess"), wrong(guesses_left));
    }
    assert_eq!(browser.types(&on.kv, issued.code.reveal()), CodeCheck::NoCode);
    issued.digits
}

fn somebody_who_is_not_attacked_gets_six_digits_day_by_day(on: &Store) {
    let mut browser = Browser::default();
    for day in 0..120 {
        for _ in 0..2 {
            // They ask twice, mistype once and use one.
            let codes = [(); 2].map(|()| browser.asks_for(&on.kv, SIGN_IN, ADA, MINUTES));
            assert_eq!(codes.each_ref().map(|issued| issued.digits), [6, 6], "on day {day}");
            assert_eq!(browser.types(&on.kv, "mistyped"), wrong(4));
            assert_eq!(browser.types(&on.kv, codes[day % 2].code.reveal()), right(ADA));
            go(on, HOUR * 2);
        }
        go(on, HOUR * 20);
    }
}

fn a_code_has_twelve_digits_where_the_reserve_does_not_suffice(on: &Store) {
    let short = [(); 4].map(|()| stranger(on, ADA));
    assert!(short.iter().all(|(_, issued)| issued.digits == 6));
    let (browser, issued) = stranger(on, ADA);
    assert_eq!(issued.digits, 12);
    let code = issued.code.reveal();
    let groups = format!("{} {}-{}", &code[..4], &code[4..8], &code[8..]);
    assert_eq!(browser.types(&on.kv, "a guess"), wrong(4));
    assert_eq!(browser.types(&on.kv, &groups), right(ADA));
    assert_eq!(stranger(on, "bob@example.com").1.digits, 6, "others are not concerned");
    for (browser, issued) in short {
        assert_eq!(browser.types(&on.kv, issued.code.reveal()), right(ADA), "a request is never pushed out");
    }
}

fn all_purposes_and_spellings_of_an_address_have_one_budget(on: &Store) {
    for (purpose, address) in
        [("a", " ada@example.com"), ("b", "ADA@example.com"), ("c", ADA), ("d", "Ada@Example.com")]
    {
        assert_eq!(Browser::default().asks_for(&on.kv, purpose, address, MINUTES).digits, 6);
    }
    for purpose in ["a", "e"] {
        assert_eq!(Browser::default().asks_for(&on.kv, purpose, ADA, MINUTES).digits, 12);
    }
    assert_eq!(on.sound_report().guess_budgets, 1);
}

fn what_was_not_guessed_is_given_back_when_a_code_is_used(on: &Store) {
    let open = [(); 4].map(|()| stranger(on, ADA));
    for (place, (browser, issued)) in open.iter().enumerate() {
        assert_eq!(browser.types(&on.kv, issued.code.reveal()), right(ADA));
        // A right guess is one as well: with one of four used, 16 of 20 are gone, and a code needs 5.
        assert_eq!(digits(on), [12, 6, 6, 6][place]);
    }
}

fn what_was_not_guessed_is_given_back_when_a_code_has_expired(on: &Store) {
    let start = on.clock.now();
    (0..4).for_each(|_| assert_eq!(digits(on), 6));
    on.clock.set(start + MINUTES);
    assert_eq!(digits(on), 12, "they can still be typed in");
    on.clock.set(start + MINUTES + MINUTE * 2);
    (0..4).for_each(|_| assert_eq!(digits(on), 6));
    assert_eq!(digits(on), 12);
}

fn what_was_guessed_counts_for_an_hour_a_day_and_thirty_days(on: &Store) {
    let mut short = Vec::new();
    // Every two hours for 45 days.
    for round in 0..12 * 45 {
        if attack(on) == 6 {
            short.push(round);
        }
        go(on, HOUR * 2);
    }
    let most = |rounds: usize| {
        let in_window = |first: &usize| short.iter().filter(|round| (*first..first + rounds).contains(round)).count();
        short.iter().map(in_window).max().unwrap()
    };
    assert_eq!((most(12), most(12 * 30)), (10, 59), "of 5 · 10⁻⁵ a day and 2.95 · 10⁻⁴ in 30 days");
    go(on, DAY * 32);
    let start = on.clock.now();
    (0..4).for_each(|_| assert_eq!(attack(on), 6));
    on.clock.set(start + HOUR);
    assert_eq!(attack(on), 12, "an hour is never too short");
    on.clock.set(start + HOUR + MINUTE * 5);
    assert_eq!(attack(on), 6, "and longer by five minutes at most");
}

fn codes_of_one_request_reserve_only_the_guesses_that_are_left(on: &Store) {
    let (mut browser, _) = stranger(on, ADA);
    for guesses_left in (1..5).rev() {
        assert_eq!(browser.types(&on.kv, "a guess"), wrong(guesses_left));
    }
    // Four are lost, and one is reserved; of two more codes one guess each.
    (0..2).for_each(|_| assert_eq!(browser.asks_for(&on.kv, SIGN_IN, ADA, MINUTES).digits, 6));
    assert_eq!([digits(on), digits(on), digits(on)], [6, 6, 12], "7 + 5 + 5 of 20");
    assert_eq!(browser.types(&on.kv, "a guess"), wrong(0));
    assert_eq!(digits(on), 12);
}

fn a_code_that_gives_way_gives_its_reserve_back(on: &Store) {
    let (mut browser, _) = stranger(on, ADA);
    for _ in 0..50 {
        assert_eq!(browser.asks_for(&on.kv, SIGN_IN, ADA, MINUTES).digits, 6);
    }
    assert_eq!([digits(on), digits(on)], [6, 12], "three codes are alive, 15 of 20");
}

fn an_owner_who_asks_anew_while_anybody_guesses_is_never_refused(on: &Store) {
    let (mut short, start) = (0, on.clock.now());
    for minute in 0..120 {
        on.clock.set(start + MINUTE * minute);
        short += u32::from(attack(on) == 6);
        let (browser, issued) = stranger(on, ADA);
        assert_eq!(browser.types(&on.kv, "a guess"), wrong(4));
        assert_eq!(browser.types(&on.kv, issued.code.reveal()), right(ADA), "in minute {minute}");
    }
    assert!(short < 10, "{short} attacks at six digits");
}

fn a_clock_that_is_set_back_and_forth_frees_nothing(on: &Store) {
    let back_and_forth = |back, until| {
        let now = on.clock.now();
        for instant in [now - back, now + MINUTE, now + until] {
            on.clock.set(instant);
            assert_eq!(attack(on), 12, "{back}");
        }
    };
    for back in [MINUTE, HOUR] {
        (0..4).for_each(|_| assert_eq!(attack(on), 6));
        back_and_forth(back, HOUR);
        go(on, DAY);
    }
    // What is left of 30 days, at most ten times a day.
    for _ in 0..59 - 8 {
        assert_eq!(attack(on), 6);
        go(on, HOUR * 3);
    }
    back_and_forth(DAY * 20, DAY * 20);
}

fn what_is_valid_again_after_a_clock_was_set_back_cannot_be_guessed_at(on: &Store) {
    let start = on.clock.now();
    let old = [(); 4].map(|()| stranger(on, ADA));
    // Their reserve is given back, and used.
    on.clock.set(start + MINUTES * 2);
    let new = [(); 4].map(|()| stranger(on, ADA));
    on.clock.set(start + MINUTE);
    for (browser, issued) in &old {
        assert_eq!(browser.types(&on.kv, issued.code.reveal()), CodeCheck::NoCode);
    }
    let (browser, issued) = stranger(on, ADA);
    assert_eq!(browser.types(&on.kv, issued.code.reveal()), right(ADA), "asking anew helps");
    for (browser, issued) in old.iter().chain(&new) {
        assert_eq!(browser.types(&on.kv, issued.code.reveal()), CodeCheck::NoCode, "two sets would be too many");
    }
    // A clock that is off by less changes nothing.
    on.clock.set(start + HOUR * 3);
    let (browser, issued) = stranger(on, ADA);
    on.clock.set(issued.expires + MINUTE);
    digits(on);
    on.clock.set(issued.expires);
    assert_eq!(browser.types(&on.kv, issued.code.reveal()), right(ADA));
}

fn a_clock_that_was_a_year_ahead_blocks_nothing_for_a_year(on: &Store) {
    let start = on.clock.now();
    go(on, DAY * 365);
    (0..3).for_each(|_| assert_eq!(attack(on), 6));
    assert_eq!([digits(on), digits(on)], [6, 12]);
    on.clock.set(start);
    assert_eq!(digits(on), 6, "what was reserved is no more");
    assert_eq!(digits(on), 12, "what was lost still counts");
    on.clock.set(start + HOUR * 2 + MINUTE * 5);
    (0..4).for_each(|_| assert_eq!(digits(on), 6));
}

fn a_budget_is_purged_when_nothing_counts_any_more(on: &Store) {
    attack(on);
    digits(on);
    let purge = || on.kv.purge_expired().wait().unwrap().guess_budgets;
    for (by, left) in [(HOUR * 2, 1), (DAY * 28, 1), (DAY + HOUR * 23, 1), (DAY, 0)] {
        go(on, by);
        assert_eq!((purge() + left, on.sound_report().guess_budgets), (1, left as u64));
    }
    assert_eq!(on.sound_report().codes, 0);
    // Without guesses nothing is kept for longer than the codes.
    digits(on);
    go(on, MINUTES + MINUTE * 2 + TimeDelta::milliseconds(1));
    assert_eq!((purge(), on.sound_report().guess_budgets), (1, 0));
}

fn of_many_who_ask_at_once_no_more_get_short_codes_than_fit(on: &Store) {
    for round in 0..10 {
        let address = format!("ada-{round}@example.com");
        let asked = at_once(|_| stranger(on, &address));
        assert_eq!(asked.iter().filter(|(_, issued)| issued.digits == 6).count(), 4);
        for (browser, issued) in asked {
            assert_eq!(browser.types(&on.kv, issued.code.reveal()), right(&address));
        }
    }
}

fn strangers_who_ask_as_fast_as_they_can_do_not_keep_the_owner_out(on: &Store) {
    let is_over = AtomicBool::new(false);
    let start = on.clock.now();
    let asked = at_once(|n| {
        if n == 0 {
            for minute in 0..60 {
                on.clock.set(start + MINUTE * minute);
                let (browser, issued) = stranger(on, ADA);
                assert_eq!(browser.types(&on.kv, "a guess"), wrong(4));
                assert_eq!(browser.types(&on.kv, issued.code.reveal()), right(ADA), "in minute {minute}");
            }
            is_over.store(true, Ordering::Relaxed);
            return 0;
        }
        let mut asked = 0;
        while !is_over.load(Ordering::Relaxed) {
            let (mut browser, _) = stranger(on, ADA);
            browser.asks(&on.kv, ADA);
            let _ = browser.types(&on.kv, "a guess");
            asked += 2;
        }
        asked
    });
    assert!(asked.iter().sum::<usize>() > 60, "{asked:?}");
}

#[test]
fn the_budget_outlasts_the_process() {
    let (_folder, path) = crate::stores::new_path();
    let clock = Clock::new();
    let ask = || {
        let auth = options(&clock).open(&path).unwrap();
        Browser::default().asks_for(&auth, SIGN_IN, ADA, MINUTES).digits
    };
    assert_eq!([(); 5].map(|()| ask()), [6, 6, 6, 6, 12]);
}

#[test]
fn with_more_digits_more_requests_fit_and_with_more_guesses_fewer() {
    for (digits, guesses, fit) in [(6, 20, 1), (6, 7, 2), (6, 1, 20), (7, 20, 10), (8, 20, 100)] {
        let auth = authkv::AuthKv::options().code_digits(digits).code_guesses(guesses).in_memory().unwrap();
        for place in 0..=fit {
            let issued = Browser::default().asks_for(&auth, SIGN_IN, ADA, MINUTES);
            assert_eq!(issued.digits, if place < fit { digits } else { 12 });
        }
    }
}
