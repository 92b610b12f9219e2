//! Verification tokens and codes that the store creates: each works once, and guesses at codes are limited.

use authkv::models::{CodeCheck, IssuedCode, SIGN_IN, VerificationToken};
use authkv::{AuthKv, EmailMatching, Problem};
use chrono::{DateTime, TimeDelta, Utc};

use crate::stores::{Store, options};
use authkv::conformance::{Clock, at_once, invalid};

cases! {
    a_link_token_is_made_for_its_identifier_and_works_once,
    an_expired_link_token_is_none_and_gone,
    of_many_who_follow_a_link_one_is_let_in,
    a_link_is_found_by_its_address_in_another_case,
    a_link_and_a_verification_token_are_never_taken_for_each_other,
    a_link_works_for_its_own_purpose_only,
    a_code_has_six_digits_and_works_once,
    a_code_is_for_its_identifier_only,
    a_code_is_accepted_up_to_and_at_its_expiry,
    what_would_have_expired_at_once_is_not_made,
    a_new_code_takes_the_place_of_the_old_one,
    after_five_wrong_guesses_the_right_one_is_of_no_use,
    a_new_code_does_not_start_the_count_anew,
    no_code_is_made_while_an_identifier_is_locked,
    the_right_code_starts_the_count_anew,
    spelling_an_identifier_in_another_case_gives_no_more_guesses,
    what_cannot_be_an_identifier_is_refused_and_has_no_code,
    blanks_that_people_type_cost_no_guess,
    of_many_who_enter_the_code_one_is_right,
    of_many_guesses_at_once_no_more_than_five_are_compared,
    asking_for_codes_while_guessing_gives_no_more_guesses,
}

const TICK: TimeDelta = TimeDelta::milliseconds(1);
const MINUTES: TimeDelta = TimeDelta::minutes(10);
const ROUNDS: usize = 20;
const PURPOSE: &str = "a purpose";

fn issue(on: &Store, identifier: &str) -> IssuedCode {
    on.kv.issue_code(identifier, MINUTES).wait().unwrap()
}

/// A new code of an identifier that is not locked.
#[track_caller]
fn code(on: &Store, identifier: &str) -> String {
    match issue(on, identifier) {
        IssuedCode::Code { code, .. } => code.reveal().to_owned(),
        IssuedCode::Locked { until } => panic!("locked until {until}"),
    }
}

fn verify(on: &Store, identifier: &str, code: &str) -> CodeCheck {
    on.kv.verify_code(identifier, code).wait().unwrap()
}

fn wrong(guesses_left: u32) -> CodeCheck {
    CodeCheck::Wrong { guesses_left }
}

fn a_link_token_is_made_for_its_identifier_and_works_once(on: &Store) {
    let issue = || on.kv.issue_link_token(PURPOSE, "ada", MINUTES).wait().unwrap();
    let [one, other] = [issue(), issue()];
    assert_ne!(one.token, other.token);
    for link in [one, other] {
        let token = link.token.reveal();
        assert_eq!((link.identifier.as_str(), link.expires), ("ada", on.clock.now() + MINUTES));
        assert_eq!(token.len(), 64);
        for (identifier, guess) in [("adam", token), ("bob", token), ("ada", "a guess"), ("", "")] {
            assert!(on.kv.verify_link_token(PURPOSE, identifier, guess).wait().unwrap().passed().is_none());
        }
        assert!(on.kv.verify_link_token(PURPOSE, "ada", token).wait().unwrap().passed() == Some(link.clone()));
        assert!(on.kv.verify_link_token(PURPOSE, "ada", token).wait().unwrap().passed().is_none());
    }
    let refused = invalid(on.kv.issue_link_token(PURPOSE, "", MINUTES).wait());
    assert_eq!(refused, ("address".to_owned(), Problem::Empty));
}

fn an_expired_link_token_is_none_and_gone(on: &Store) {
    let links = [(); 3].map(|()| on.kv.issue_link_token(PURPOSE, "ada", MINUTES).wait().unwrap());
    on.clock.set(links[0].expires);
    assert!(on.kv.verify_link_token(PURPOSE, "ada", links[0].token.reveal()).wait().unwrap().passed().is_some());
    on.clock.set(links[0].expires + TICK);
    assert!(on.kv.verify_link_token(PURPOSE, "ada", links[1].token.reveal()).wait().unwrap().passed().is_none());
    assert_eq!(on.sound_report().verification_tokens, 1, "an expired one is taken too");
}

fn a_link_is_found_by_its_address_in_another_case(on: &Store) {
    let link = on.kv.issue_link_token(PURPOSE, "Ada@Example.com", MINUTES).wait().unwrap();
    assert_eq!(link.identifier, "Ada@Example.com", "as it was given");
    let used = on.kv.verify_link_token(PURPOSE, "ada@example.com", link.token.reveal()).wait().unwrap();
    assert_eq!(used.passed().unwrap().identifier, "ada@example.com", "as it was given now");
}

fn a_link_and_a_verification_token_are_never_taken_for_each_other(on: &Store) {
    let link = on.kv.issue_link_token(PURPOSE, "ada", MINUTES).wait().unwrap();
    let link = link.token.reveal();
    // What the hash of a link is made of, but for the byte that no text has.
    let length = String::from_utf8((PURPOSE.len() as u64).to_be_bytes().to_vec()).unwrap();
    for guess in [link.to_owned(), format!("{PURPOSE}{link}"), format!("{length}{PURPOSE}{link}")] {
        assert!(on.take("ada", &guess).is_none());
        assert!(on.auth.use_verification_token(None, &guess).wait().unwrap().is_none());
        assert!(on.kv.find_verification_token("ada", &guess).wait().unwrap().is_none());
    }
    let expires = on.clock.now() + MINUTES;
    on.auth.create_verification_token(VerificationToken::new("ada", "a-secret", expires)).wait().unwrap();
    assert!(!on.kv.verify_link_token(PURPOSE, "ada", "a-secret").wait().unwrap().has_passed());
    assert!(!on.kv.verify_link_token("", "ada", "a-secret").wait().unwrap().has_passed());
    assert!(on.take("ada", "a-secret").is_some());
    assert!(on.kv.verify_link_token(PURPOSE, "ada", link).wait().unwrap().has_passed());
}

fn a_link_works_for_its_own_purpose_only(on: &Store) {
    let link = on.kv.issue_link_token("ab", "ada", MINUTES).wait().unwrap();
    let token = link.token.reveal();
    let (first, rest) = token.split_at(1);
    let [longer, shorter] = [format!("b{token}"), format!("ab{first}")];
    // The last two move a letter from the purpose to the token, and the reverse.
    for (purpose, token) in [("", token), ("AB", token), (SIGN_IN, token), ("a", &longer), (&shorter, rest)] {
        assert!(!on.kv.verify_link_token(purpose, "ada", token).wait().unwrap().has_passed(), "{purpose}");
    }
    assert!(on.kv.verify_link_token("ab", "ada", token).wait().unwrap().has_passed());
}

fn of_many_who_follow_a_link_one_is_let_in(on: &Store) {
    for _ in 0..ROUNDS {
        let link = on.kv.issue_link_token(PURPOSE, "ada", MINUTES).wait().unwrap();
        let found = at_once(|_| {
            on.kv.verify_link_token(PURPOSE, "ada", link.token.reveal()).wait().unwrap().passed().is_some()
        });
        assert_eq!(found.iter().filter(|found| **found).count(), 1);
    }
}

fn a_code_has_six_digits_and_works_once(on: &Store) {
    let IssuedCode::Code { code, expires } = issue(on, "ada") else { panic!("there was no wrong guess") };
    assert_eq!(expires, on.clock.now() + MINUTES);
    assert!(code.reveal().len() == 6 && code.reveal().bytes().all(|byte| byte.is_ascii_digit()));
    assert_eq!(on.sound_report().codes, 1);
    assert_eq!(verify(on, "ada", code.reveal()), CodeCheck::Right);
    assert_eq!(verify(on, "ada", code.reveal()), CodeCheck::NoCode);
    assert_eq!(on.sound_report().codes, 0);
    assert!(on.take("ada", code.reveal()).is_none(), "a code is no verification token");
}

fn a_code_is_for_its_identifier_only(on: &Store) {
    let of_ada = code(on, "ada");
    assert_eq!(verify(on, "bob", &of_ada), CodeCheck::NoCode);
    let mut of_bob = code(on, "bob");
    while of_bob == of_ada {
        of_bob = code(on, "bob");
    }
    assert_eq!(verify(on, "bob", &of_ada), wrong(4));
    assert_eq!(verify(on, "ada", &of_ada), CodeCheck::Right);
    assert_eq!(verify(on, "bob", &of_bob), CodeCheck::Right);
}

fn a_code_is_accepted_up_to_and_at_its_expiry(on: &Store) {
    let expires = on.clock.now() + MINUTES;
    let codes = ["ada", "bob"].map(|identifier| code(on, identifier));
    on.clock.set(expires);
    assert_eq!(verify(on, "ada", &codes[0]), CodeCheck::Right);
    on.clock.set(expires + TICK);
    assert_eq!(verify(on, "bob", &codes[1]), CodeCheck::NoCode);
    assert!(matches!(on.kv.issue_code("bob", TimeDelta::MAX).wait().unwrap(), IssuedCode::Code { .. }));
    assert!(
        on.kv.issue_link_token(PURPOSE, "bob", TimeDelta::MAX).wait().unwrap().expires
            > DateTime::<Utc>::MAX_UTC - TICK
    );
}

fn what_would_have_expired_at_once_is_not_made(on: &Store) {
    let not_positive = || ("valid_for".to_owned(), Problem::NotPositive);
    let old = code(on, "bob");
    for age in [TimeDelta::zero(), -TICK, TimeDelta::MIN, TimeDelta::nanoseconds(999_999)] {
        assert_eq!(invalid(on.kv.issue_code("bob", age).wait()), not_positive());
        assert_eq!(invalid(on.kv.issue_link_token(PURPOSE, "bob", age).wait()), not_positive());
        assert_eq!(invalid(on.kv.put_state("a purpose", &1, age).wait()), not_positive());
    }
    assert_eq!(on.sound_report().verification_tokens + on.sound_report().states, 0);
    assert_eq!(verify(on, "bob", &old), CodeCheck::Right, "the old one was replaced");
}

fn a_new_code_takes_the_place_of_the_old_one(on: &Store) {
    let old = code(on, "ada");
    let mut new = code(on, "ada");
    while new == old {
        new = code(on, "ada");
    }
    assert_eq!(on.sound_report().codes, 1);
    assert_eq!(verify(on, "ada", &old), wrong(4));
    assert_eq!(verify(on, "ada", &new), CodeCheck::Right);
}

fn after_five_wrong_guesses_the_right_one_is_of_no_use(on: &Store) {
    let right = code(on, "ada");
    for guesses_left in (0..5).rev() {
        assert_eq!(verify(on, "ada", "a guess"), wrong(guesses_left));
    }
    for guess in ["a guess", right.as_str()] {
        assert_eq!(verify(on, "ada", guess), CodeCheck::NoCode);
    }
}

fn a_new_code_does_not_start_the_count_anew(on: &Store) {
    let expires = on.clock.now() + MINUTES;
    let _ = code(on, "ada");
    assert_eq!(verify(on, "ada", "a guess"), wrong(4));
    on.clock.set(expires);
    let _ = code(on, "ada");
    assert_eq!(verify(on, "ada", "a guess"), wrong(3));
    on.clock.set(expires + MINUTES);
    let right = code(on, "ada");
    assert_eq!(verify(on, "ada", "a guess"), wrong(2));
    assert_eq!(verify(on, "ada", &right), CodeCheck::Right);
}

fn no_code_is_made_while_an_identifier_is_locked(on: &Store) {
    let until = on.clock.now() + MINUTES;
    let right = code(on, "ada");
    on.clock.set(until - TICK);
    (0..5).for_each(|_| assert_ne!(verify(on, "ada", "a guess"), CodeCheck::Right));
    for now in [until - TICK, until] {
        on.clock.set(now);
        assert_eq!(issue(on, "ada"), IssuedCode::Locked { until }, "asking again does not prolong it");
        assert_eq!(verify(on, "ada", &right), CodeCheck::NoCode);
    }
    let of_bob = code(on, "bob");
    assert_eq!(verify(on, "bob", &of_bob), CodeCheck::Right);
    on.clock.set(until + TICK);
    let right = code(on, "ada");
    assert_eq!(verify(on, "ada", "a guess"), wrong(4));
    assert_eq!(verify(on, "ada", &right), CodeCheck::Right);
}

fn the_right_code_starts_the_count_anew(on: &Store) {
    for _ in 0..2 {
        let right = code(on, "ada");
        (0..4).for_each(|_| assert_ne!(verify(on, "ada", "a guess"), CodeCheck::NoCode));
        assert_eq!(verify(on, "ada", &right), CodeCheck::Right);
    }
}

fn spelling_an_identifier_in_another_case_gives_no_more_guesses(on: &Store) {
    let right = code(on, "Ada@Example.com");
    assert_eq!(verify(on, "ADA@example.com", "a guess"), wrong(4));
    assert_eq!(verify(on, "ada@example.com", "a guess"), wrong(3));
    assert_eq!(verify(on, "ada@EXAMPLE.com", &right), CodeCheck::Right);
    let _ = code(on, "ada@example.com");
    (0..5).for_each(|_| assert_ne!(verify(on, "ada@example.com", "a guess"), CodeCheck::NoCode));
    assert!(matches!(issue(on, "ADA@example.com"), IssuedCode::Locked { .. }));
}

fn what_cannot_be_an_identifier_is_refused_and_has_no_code(on: &Store) {
    let long = "x".repeat(513);
    for (identifier, problem) in [("", Problem::Empty), (&long, Problem::TooLong { bytes: 513, limit: 512 })] {
        assert_eq!(invalid(on.kv.issue_code(identifier, MINUTES).wait()), ("identifier".to_owned(), problem));
        assert_eq!(verify(on, identifier, "a guess"), CodeCheck::NoCode);
    }
    for identifier in ["ada@example.com\nBcc: eve@example.com", "\0a", "a\u{85}a", "a\u{2028}a", "ada\r\n"] {
        let control = |field: &str| (field.to_owned(), Problem::ControlCharacter);
        assert_eq!(invalid(on.kv.issue_code(identifier, MINUTES).wait()), control("identifier"));
        assert_eq!(invalid(on.kv.issue_link_token(PURPOSE, identifier, MINUTES).wait()), control("address"));
        assert_eq!(verify(on, identifier, "a guess"), CodeCheck::NoCode);
    }
    let _ = code(on, "+44 20 7946 0018");
    assert_eq!(verify(on, "+44 20 7946 0019", "a guess"), CodeCheck::NoCode);
    assert_eq!(verify(on, "+44 20 7946 0018", &long.repeat(1_000)), wrong(4));
}

fn blanks_that_people_type_cost_no_guess(on: &Store) {
    for spell in [|code: &str| format!(" {code}\n"), |code: &str| format!("{}\u{A0}{}", &code[..3], &code[3..])] {
        let right = code(on, "ada");
        assert_eq!(verify(on, " Ada\t", &spell(&right)), CodeCheck::Right);
    }
    let link = on.kv.issue_link_token(PURPOSE, " ada ", MINUTES).wait().unwrap();
    assert_eq!(link.identifier, "ada");
    assert!(on.kv.verify_link_token(PURPOSE, "\tada", link.token.reveal()).wait().unwrap().has_passed());
}

fn of_many_who_enter_the_code_one_is_right(on: &Store) {
    for _ in 0..ROUNDS {
        let right = code(on, "ada");
        let checks = at_once(|_| verify(on, "ada", &right));
        assert_eq!(checks.iter().filter(|check| **check == CodeCheck::Right).count(), 1);
        assert_eq!(checks.iter().filter(|check| **check == CodeCheck::NoCode).count(), checks.len() - 1);
    }
}

fn of_many_guesses_at_once_no_more_than_five_are_compared(on: &Store) {
    let (mut found, mut locked) = (0, 0);
    for round in 0..2 * ROUNDS {
        let identifier = format!("ada-{round}");
        let right = code(on, &identifier);
        let guess = |n| if n % 16 == 7 { right.as_str() } else { "a guess" };
        let checks = at_once(|n| verify(on, &identifier, guess(n)));
        let mut wrong: Vec<_> = checks
            .iter()
            .filter_map(|check| match check {
                CodeCheck::Wrong { guesses_left } => Some(*guesses_left),
                CodeCheck::Right | CodeCheck::NoCode => None,
            })
            .collect();
        wrong.sort_unstable_by(|left, right| right.cmp(left));
        assert_eq!(wrong, [4, 3, 2, 1, 0][..wrong.len()], "each is counted once");
        match checks.iter().filter(|check| **check == CodeCheck::Right).count() {
            0 => locked += usize::from(wrong.len() == 5),
            1 => found += 1,
            more => panic!("{more} were right"),
        }
        assert_eq!(verify(on, &identifier, &right), CodeCheck::NoCode);
    }
    assert_eq!(found + locked, 2 * ROUNDS);
}

fn asking_for_codes_while_guessing_gives_no_more_guesses(on: &Store) {
    for round in 0..ROUNDS {
        let identifier = format!("ada-{round}");
        let _ = code(on, &identifier);
        let wrong = at_once(|n| match n % 4 {
            0 => {
                let _ = issue(on, &identifier);
                0
            }
            _ => usize::from(matches!(verify(on, &identifier, "a guess"), CodeCheck::Wrong { .. })),
        });
        assert_eq!(wrong.into_iter().sum::<usize>(), 5);
        assert!(matches!(issue(on, &identifier), IssuedCode::Locked { .. }));
    }
}

#[test]
fn where_addresses_match_exactly_identifiers_do() {
    let auth = AuthKv::options().email_matching(EmailMatching::Exact).in_memory().unwrap();
    let _ = auth.issue_code("Ada", MINUTES).wait().unwrap();
    assert_eq!(auth.verify_code("ada", "a guess").wait().unwrap(), CodeCheck::NoCode);
    assert_eq!(auth.verify_code("Ada", "a guess").wait().unwrap(), wrong(4));
}

#[test]
fn digits_and_guesses_are_options_in_their_ranges() {
    for (digits, guesses) in [(6, 1), (12, 100)] {
        let auth = AuthKv::options().code_digits(digits).code_guesses(guesses).in_memory().unwrap();
        let IssuedCode::Code { code, .. } = auth.issue_code("ada", MINUTES).wait().unwrap() else {
            panic!("no guess yet")
        };
        assert_eq!(code.reveal().len(), digits as usize);
        assert_eq!(auth.verify_code("ada", "a guess").wait().unwrap(), wrong(guesses - 1));
    }
    let out_of_range = |field: &str, least, most| (field.to_owned(), Problem::OutOfRange { least, most });
    for digits in [0, 5, 13, u32::MAX] {
        let refused = AuthKv::options().code_digits(digits).in_memory();
        assert_eq!(invalid(refused), out_of_range("code_digits", 6, 12));
    }
    for guesses in [0, 101, u32::MAX] {
        let refused = AuthKv::options().code_guesses(guesses).in_memory();
        assert_eq!(invalid(refused), out_of_range("code_guesses", 1, 100));
    }
    for sessions in [(1 << 20) + 1, usize::MAX] {
        let refused = AuthKv::options().hot_sessions(sessions).in_memory();
        assert_eq!(invalid(refused), out_of_range("hot_sessions", 0, 1 << 20));
    }
}

#[test]
fn the_count_of_guesses_outlasts_the_process() {
    let (_folder, path) = crate::stores::new_path();
    let clock = Clock::new();
    let open = || options(&clock).open(&path).unwrap();
    let _ = open().issue_code("ada", MINUTES).wait().unwrap();
    for guesses_left in (0..5).rev() {
        assert_eq!(open().verify_code("ada", "a guess").wait().unwrap(), wrong(guesses_left));
    }
    assert!(matches!(open().issue_code("ada", MINUTES).wait(), Ok(IssuedCode::Locked { .. })));
}
