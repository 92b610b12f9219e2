//! Codes: each works once, in the browser that asked for it, for its purpose, and guesses at them are counted.

use authkv::models::{CodeCheck, Visitor};
use authkv::{AuthKv, EmailMatching, Problem};
use chrono::TimeDelta;

use crate::browser::{ADA, Browser, MINUTES, SIGN_IN, right, wrong};
use crate::stores::{Store, options};
use authkv::conformance::{Clock, invalid};

cases! {
    a_code_has_six_digits_and_works_once,
    a_code_works_only_in_the_browser_that_asked,
    a_code_is_for_its_purpose_only,
    a_code_is_no_verification_token_and_no_state,
    a_code_is_accepted_up_to_and_at_its_expiry,
    a_code_that_would_expire_at_once_or_after_more_than_an_hour_is_not_made,
    a_second_code_from_one_browser_leaves_the_first_valid,
    each_code_of_a_request_expires_at_its_own_time,
    of_four_codes_the_one_that_expires_first_gives_way,
    a_right_code_uses_up_the_others_of_its_request,
    a_request_of_another_purpose_or_address_is_not_joined_and_stays,
    a_handle_that_is_unknown_used_or_expired_makes_a_new_request,
    after_five_wrong_guesses_the_right_one_is_of_no_use,
    a_further_code_gives_no_further_guesses,
    after_the_last_guess_the_browser_gets_a_new_request,
    a_wrong_guess_is_compared_with_all_codes_of_the_request,
    the_address_is_answered_as_it_was_given,
    what_cannot_be_an_address_is_refused,
    blanks_and_hyphens_that_people_type_cost_no_guess,
    known_and_unknown_addresses_are_answered_alike,
}

const TICK: TimeDelta = TimeDelta::milliseconds(1);

fn a_code_has_six_digits_and_works_once(on: &Store) {
    let mut browser = Browser::default();
    let issued = browser.asks_for(&on.kv, SIGN_IN, ADA, MINUTES);
    assert_eq!((issued.expires, issued.digits), (on.clock.now() + MINUTES, 6));
    assert_eq!(issued.request.reveal().len(), 64);
    assert_eq!(on.sound_report().codes, 1);
    assert_eq!(browser.types(&on.kv, issued.code.reveal()), right(ADA));
    assert_eq!(browser.types(&on.kv, issued.code.reveal()), CodeCheck::NoCode);
    assert_eq!(on.sound_report().codes, 0);
}

fn a_code_works_only_in_the_browser_that_asked(on: &Store) {
    let (mut ada, mut other) = (Browser::default(), Browser::default());
    let code = ada.asks(&on.kv, ADA);
    for stranger in
        [Browser::default(), Browser { request: Some(String::new()) }, Browser { request: Some(ADA.into()) }]
    {
        assert_eq!(stranger.types(&on.kv, &code), CodeCheck::NoCode);
    }
    let of_other = other.asks(&on.kv, ADA);
    if of_other != code {
        assert_eq!(other.types(&on.kv, &code), wrong(4));
    }
    assert_eq!(ada.types(&on.kv, &code), right(ADA), "others' guesses do not count here");
    assert_eq!(other.types(&on.kv, &of_other), right(ADA), "and its use ends no other request");
}

fn a_code_is_for_its_purpose_only(on: &Store) {
    let mut browser = Browser::default();
    let code = browser.asks_for(&on.kv, SIGN_IN, ADA, MINUTES).code;
    for purpose in ["", "sign", "sign in ", "change the address"] {
        assert_eq!(browser.types_for(&on.kv, purpose, code.reveal()), CodeCheck::NoCode);
    }
    assert_eq!(browser.types(&on.kv, code.reveal()), right(ADA));
}

fn a_code_is_no_verification_token_and_no_state(on: &Store) {
    let mut browser = Browser::default();
    let code = browser.asks(&on.kv, ADA);
    let request = browser.request.clone().unwrap();
    for token in [&code, &request] {
        assert!(on.take(ADA, token).is_none());
        assert!(!on.kv.verify_link_token(SIGN_IN, ADA, token).wait().unwrap().has_passed());
        assert!(!on.kv.take_state::<String>(SIGN_IN, token).wait().unwrap().has_passed());
    }
    let link = on.kv.issue_link_token(SIGN_IN, ADA, MINUTES).wait().unwrap().token;
    let state = on.kv.put_state(SIGN_IN, ADA, MINUTES).wait().unwrap();
    for token in [link, state] {
        let from = Visitor { request: Some(token.reveal()), ..Visitor::default() };
        for code in [&code, token.reveal()] {
            assert_eq!(on.kv.verify_code(SIGN_IN, code, from).wait().unwrap(), CodeCheck::NoCode);
        }
    }
    assert_eq!(browser.types(&on.kv, &code), right(ADA));
}

fn a_code_is_accepted_up_to_and_at_its_expiry(on: &Store) {
    let mut browsers = [(); 2].map(|()| Browser::default());
    let expires = on.clock.now() + MINUTES;
    let codes = browsers.each_mut().map(|browser| browser.asks(&on.kv, ADA));
    on.clock.set(expires);
    assert_eq!(browsers[0].types(&on.kv, &codes[0]), right(ADA));
    on.clock.set(expires + TICK);
    assert_eq!(browsers[1].types(&on.kv, &codes[1]), CodeCheck::NoCode);
}

fn a_code_that_would_expire_at_once_or_after_more_than_an_hour_is_not_made(on: &Store) {
    let hour = TimeDelta::hours(1);
    let issue = |age| invalid(on.kv.issue_code(SIGN_IN, ADA, age, Visitor::default()).wait());
    for age in [TimeDelta::zero(), -TICK, TimeDelta::MIN, TimeDelta::nanoseconds(999_999)] {
        assert_eq!(issue(age), ("valid_for".to_owned(), Problem::NotPositive));
    }
    for age in [hour + TICK, TimeDelta::days(1), TimeDelta::MAX] {
        assert_eq!(issue(age), ("valid_for".to_owned(), Problem::LastsTooLong { limit: hour }));
    }
    assert_eq!(on.sound_report().codes + on.sound_report().guess_budgets, 0);
    let issued = Browser::default().asks_for(&on.kv, SIGN_IN, ADA, hour);
    assert_eq!(issued.expires, on.clock.now() + hour);
}

fn a_second_code_from_one_browser_leaves_the_first_valid(on: &Store) {
    for use_first in [true, false] {
        let mut browser = Browser::default();
        let first = browser.asks(&on.kv, ADA);
        let request = browser.request.clone();
        on.clock.set(on.clock.now() + TimeDelta::minutes(1));
        let second = browser.asks(&on.kv, " ADA@example.com\u{3000}");
        assert_eq!(browser.request, request, "it is the same request");
        assert_eq!(on.sound_report().codes, 1);
        let [used, other] = if use_first { [first, second] } else { [second, first] };
        assert_eq!(browser.types(&on.kv, &used), right(ADA));
        assert_eq!(browser.types(&on.kv, &other), CodeCheck::NoCode);
    }
}

fn each_code_of_a_request_expires_at_its_own_time(on: &Store) {
    let mut browser = Browser::default();
    let long = browser.asks_for(&on.kv, SIGN_IN, ADA, MINUTES * 2);
    let short = browser.asks_for(&on.kv, SIGN_IN, ADA, MINUTES);
    on.clock.set(short.expires + TICK);
    if short.code != long.code {
        assert_eq!(browser.types(&on.kv, short.code.reveal()), wrong(4));
    }
    assert_eq!(browser.types(&on.kv, long.code.reveal()), right(ADA));
    let long = browser.asks_for(&on.kv, SIGN_IN, ADA, MINUTES * 2);
    on.clock.set(long.expires);
    browser.asks(&on.kv, ADA);
    on.clock.set(long.expires + TICK);
    assert_ne!(browser.types(&on.kv, long.code.reveal()), right(ADA));
}

fn of_four_codes_the_one_that_expires_first_gives_way(on: &Store) {
    let mut browser = Browser::default();
    let ages = [MINUTES * 2, MINUTES, MINUTES * 3, MINUTES * 4];
    let codes = ages.map(|age| browser.asks_for(&on.kv, SIGN_IN, ADA, age).code);
    let others = [0, 2, 3].map(|place| codes[place].reveal());
    if !others.contains(&codes[1].reveal()) {
        assert_eq!(browser.types(&on.kv, codes[1].reveal()), wrong(4));
    }
    let clones = [(); 3].map(|()| browser.clone());
    assert_eq!(clones[0].types(&on.kv, others[0]), right(ADA));
    assert_eq!(clones[1].types(&on.kv, others[1]), CodeCheck::NoCode);
    // The newest one works even if it is the one that would expire first of four.
    let mut browser = Browser::default();
    (0..3).for_each(|_| drop(browser.asks_for(&on.kv, SIGN_IN, "bob@example.com", MINUTES * 2)));
    let newest = browser.asks(&on.kv, "bob@example.com");
    assert_eq!(browser.types(&on.kv, &newest), right("bob@example.com"));
}

fn a_right_code_uses_up_the_others_of_its_request(on: &Store) {
    let mut browser = Browser::default();
    let codes = [(); 3].map(|()| browser.asks(&on.kv, ADA));
    assert_eq!(browser.types(&on.kv, &codes[1]), right(ADA));
    for code in &codes {
        assert_eq!(browser.types(&on.kv, code), CodeCheck::NoCode);
    }
    let old = browser.request.clone();
    browser.asks(&on.kv, ADA);
    assert_ne!(browser.request, old, "a used request is not joined");
}

fn a_request_of_another_purpose_or_address_is_not_joined_and_stays(on: &Store) {
    let mut browser = Browser::default();
    let code = browser.asks(&on.kv, ADA);
    let of_ada = browser.clone();
    let other_purpose = browser.asks_for(&on.kv, "change", ADA, MINUTES);
    assert_ne!(browser.request, of_ada.request);
    assert_eq!(of_ada.types_for(&on.kv, "change", other_purpose.code.reveal()), CodeCheck::NoCode);
    browser.request.clone_from(&of_ada.request);
    let of_bob = browser.asks(&on.kv, "bob@example.com");
    assert_ne!(browser.request, of_ada.request);
    assert_eq!(on.sound_report().codes, 3);
    assert_eq!(of_ada.types(&on.kv, &code), right(ADA));
    assert_eq!(browser.types(&on.kv, &of_bob), right("bob@example.com"));
}

fn a_handle_that_is_unknown_used_or_expired_makes_a_new_request(on: &Store) {
    let mut used = Browser::default();
    let code = used.asks(&on.kv, ADA);
    assert_eq!(used.types(&on.kv, &code), right(ADA));
    let mut expired = Browser::default();
    expired.asks(&on.kv, ADA);
    on.clock.set(on.clock.now() + MINUTES + TICK);
    for mut browser in
        [used, expired, Browser { request: Some("unknown".into()) }, Browser { request: Some("".into()) }]
    {
        let old = browser.request.clone();
        let code = browser.asks(&on.kv, ADA);
        assert_eq!(browser.request.as_ref().map(String::len), Some(64));
        assert_ne!(browser.request, old);
        assert_eq!(Browser { request: old }.types(&on.kv, &code), CodeCheck::NoCode);
        assert_eq!(browser.types(&on.kv, &code), right(ADA));
    }
    assert_eq!(on.sound_report().codes, 0, "the expired one was removed as well");
}

fn after_five_wrong_guesses_the_right_one_is_of_no_use(on: &Store) {
    let mut browser = Browser::default();
    let code = browser.asks(&on.kv, ADA);
    for guesses_left in (0..5).rev() {
        assert_eq!(browser.types(&on.kv, "a guess"), wrong(guesses_left));
    }
    for guess in ["a guess", code.as_str()] {
        assert_eq!(browser.types(&on.kv, guess), CodeCheck::NoCode);
    }
    assert_eq!(on.sound_report().codes, 0);
}

fn a_further_code_gives_no_further_guesses(on: &Store) {
    let mut browser = Browser::default();
    for guesses_left in (2..5).rev() {
        browser.asks(&on.kv, ADA);
        assert_eq!(browser.types(&on.kv, "a guess"), wrong(guesses_left));
    }
    let code = browser.asks(&on.kv, ADA);
    assert_eq!(browser.types(&on.kv, "a guess"), wrong(1));
    assert_eq!(browser.types(&on.kv, &code), right(ADA));
}

fn after_the_last_guess_the_browser_gets_a_new_request(on: &Store) {
    let mut browser = Browser::default();
    for _ in 0..3 {
        let code = browser.asks(&on.kv, ADA);
        let old = browser.clone();
        (0..5).for_each(|_| assert_ne!(browser.types(&on.kv, "a guess"), CodeCheck::NoCode));
        let new = browser.asks(&on.kv, ADA);
        assert_ne!(browser.request, old.request);
        assert_eq!(old.types(&on.kv, &code), CodeCheck::NoCode);
        assert_eq!(browser.types(&on.kv, "a guess"), wrong(4));
        assert_eq!(browser.types(&on.kv, &new), right(ADA));
    }
}

fn a_wrong_guess_is_compared_with_all_codes_of_the_request(on: &Store) {
    let mut browser = Browser::default();
    let before = on.kv.stats().wrong_guesses;
    for cost in [1, 2, 3, 3] {
        browser.asks(&on.kv, ADA);
        let lost = on.kv.stats().wrong_guesses;
        let _ = browser.types(&on.kv, "a guess");
        assert_eq!(on.kv.stats().wrong_guesses, lost + cost * 1_000_000);
    }
    let code = browser.asks(&on.kv, ADA);
    let _ = browser.types(&on.kv, &code);
    assert_eq!(on.kv.stats().wrong_guesses, before + 9_000_000, "a right one is no wrong one");
    on.clock.set(on.clock.now() + TimeDelta::minutes(66));
    assert_eq!(on.kv.stats().wrong_guesses, 0, "an hour ago");
}

fn the_address_is_answered_as_it_was_given(on: &Store) {
    for (address, answered) in
        [(" Ada@Example.com\u{3000}", "Ada@Example.com"), ("+44 20 7946 0018 ", "+44 20 7946 0018")]
    {
        let mut browser = Browser::default();
        let code = browser.asks_for(&on.kv, "test", address, MINUTES).code;
        assert_eq!(browser.types_for(&on.kv, "test", code.reveal()), right(answered));
        assert_eq!(CodeCheck::NoCode.address(), None);
        assert_eq!(right(answered).address().as_deref(), Some(answered));
    }
}

fn what_cannot_be_an_address_is_refused(on: &Store) {
    let long = "x".repeat(513);
    let issue = |address: &str| invalid(on.kv.issue_code(SIGN_IN, address, MINUTES, Visitor::default()).wait());
    let refused = |problem| ("address".to_owned(), problem);
    assert_eq!(issue(""), refused(Problem::Empty));
    assert_eq!(issue(" \u{3000}"), refused(Problem::Empty));
    assert_eq!(issue(&long), refused(Problem::TooLong { bytes: 513, limit: 512 }));
    for address in ["ada@example.com\nBcc: eve@example.com", "\0a", "a\u{85}a", "a\u{2028}a", "ada\r\n"] {
        assert_eq!(issue(address), refused(Problem::ControlCharacter));
    }
    assert_eq!(issue("+44 20 7946 0018"), refused(Problem::NotAnEmail), "nobody signs in with it");
    assert_eq!(on.sound_report().codes + on.sound_report().guess_budgets, 0);
    let mut browser = Browser { request: Some(long.repeat(1_000)) };
    let code = browser.asks_for(&on.kv, &long, &long[1..], MINUTES);
    assert_eq!(browser.types_for(&on.kv, &long, &long.repeat(1_000)), wrong(4));
    assert_eq!(browser.types_for(&on.kv, &long, code.code.reveal()), right(&long[1..]));
}

fn blanks_and_hyphens_that_people_type_cost_no_guess(on: &Store) {
    let spellings = [
        |code: &str| format!(" {code}\n"),
        |code: &str| format!("{}\u{A0}{}", &code[..3], &code[3..]),
        |code: &str| format!("{} - {}\u{2013}{}", &code[..2], &code[2..4], &code[4..]),
    ];
    for spell in spellings {
        let mut browser = Browser::default();
        let code = browser.asks(&on.kv, ADA);
        assert_eq!(browser.types(&on.kv, &spell(&code)), right(ADA));
    }
}

fn known_and_unknown_addresses_are_answered_alike(on: &Store) {
    on.user("known");
    for address in ["known@example.com", "unknown@example.com"] {
        let mut browser = Browser::default();
        for place in 0..12 {
            let issued = browser.asks_for(&on.kv, SIGN_IN, address, MINUTES);
            assert_eq!(issued.digits, if place < 4 { 6 } else { 12 });
            (0..5).for_each(|_| assert_ne!(browser.types(&on.kv, "a guess"), CodeCheck::NoCode));
        }
    }
}

#[test]
fn where_addresses_match_exactly_requests_do() {
    for (matching, joins) in [(EmailMatching::Exact, false), (EmailMatching::AsciiCaseInsensitive, true)] {
        let auth = AuthKv::options().email_matching(matching).in_memory().unwrap();
        let mut browser = Browser::default();
        browser.asks(&auth, "Ada@example.com");
        let first = browser.request.clone();
        browser.asks(&auth, "ada@example.com");
        assert_eq!(browser.request == first, joins);
    }
}

#[test]
fn digits_and_guesses_are_options() {
    for (digits, guesses) in [(6, 1), (8, 20), (12, 20)] {
        let auth = AuthKv::options().code_digits(digits).code_guesses(guesses).in_memory().unwrap();
        let mut browser = Browser::default();
        assert_eq!(browser.asks_for(&auth, SIGN_IN, ADA, MINUTES).digits, digits);
        for guesses_left in (0..guesses).rev() {
            assert_eq!(browser.types(&auth, "a guess"), wrong(guesses_left));
        }
        assert_eq!(browser.types(&auth, "a guess"), CodeCheck::NoCode);
    }
}

#[test]
fn the_count_of_guesses_outlasts_the_process() {
    let (_folder, path) = crate::stores::new_path();
    let clock = Clock::new();
    let open = || options(&clock).open(&path).unwrap();
    let mut browser = Browser::default();
    browser.asks(&open(), ADA);
    for guesses_left in (0..5).rev() {
        assert_eq!(browser.types(&open(), "a guess"), wrong(guesses_left));
    }
    assert_eq!(browser.types(&open(), "a guess"), CodeCheck::NoCode);
}

#[test]
fn a_request_keeps_the_guesses_that_were_reserved_for_it() {
    let (_folder, path) = crate::stores::new_path();
    let clock = Clock::new();
    let open = |guesses| options(&clock).code_guesses(guesses).open(&path).unwrap();
    let mut browser = Browser::default();
    browser.asks(&open(2), ADA);
    assert_eq!(browser.types(&open(20), "a guess"), wrong(1));
    browser.asks(&open(20), ADA);
    assert_eq!(browser.types(&open(20), "a guess"), wrong(0));
}
