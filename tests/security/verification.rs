//! Links that the store creates: each works once, for its purpose. And options out of their ranges.

use authkv::models::{SIGN_IN, VerificationToken};
use authkv::{AuthKv, Problem};
use chrono::{DateTime, TimeDelta, Utc};

use crate::browser::MINUTES;
use crate::stores::Store;
use authkv::conformance::{at_once, invalid};

cases! {
    a_link_token_is_made_for_its_identifier_and_works_once,
    an_expired_link_token_is_none_and_gone,
    of_many_who_follow_a_link_one_is_let_in,
    a_link_is_found_by_its_address_in_another_case,
    a_link_and_a_verification_token_are_never_taken_for_each_other,
    a_link_works_for_its_own_purpose_only,
    what_would_have_expired_at_once_is_not_made,
    a_link_may_last_for_ever,
    what_nothing_can_be_sent_to_gets_no_link,
}

const TICK: TimeDelta = TimeDelta::milliseconds(1);
const ROUNDS: usize = 20;
const PURPOSE: &str = "a purpose";

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

fn what_would_have_expired_at_once_is_not_made(on: &Store) {
    let not_positive = || ("valid_for".to_owned(), Problem::NotPositive);
    for age in [TimeDelta::zero(), -TICK, TimeDelta::MIN, TimeDelta::nanoseconds(999_999)] {
        assert_eq!(invalid(on.kv.issue_link_token(PURPOSE, "bob", age).wait()), not_positive());
        assert_eq!(invalid(on.kv.put_state("a purpose", &1, age).wait()), not_positive());
        assert_eq!(invalid(on.kv.use_once("a purpose", "a key", age).wait()), not_positive());
    }
    assert_eq!(on.sound_report().verification_tokens + on.sound_report().states, 0);
}

fn a_link_may_last_for_ever(on: &Store) {
    assert!(
        on.kv.issue_link_token(PURPOSE, "bob", TimeDelta::MAX).wait().unwrap().expires
            > DateTime::<Utc>::MAX_UTC - TICK
    );
}

fn what_nothing_can_be_sent_to_gets_no_link(on: &Store) {
    for identifier in ["ada@example.com\nBcc: eve@example.com", "\0a", "a\u{85}a", "a\u{2028}a", "ada\r\n"] {
        let control = ("address".to_owned(), Problem::ControlCharacter);
        assert_eq!(invalid(on.kv.issue_link_token(PURPOSE, identifier, MINUTES).wait()), control);
    }
    let link = on.kv.issue_link_token(PURPOSE, " ada ", MINUTES).wait().unwrap();
    assert_eq!(link.identifier, "ada");
    assert!(on.kv.verify_link_token(PURPOSE, "\tada", link.token.reveal()).wait().unwrap().has_passed());
}

#[test]
fn digits_guesses_and_sessions_are_options_in_their_ranges() {
    let out_of_range = |field: &str, least, most| (field.to_owned(), Problem::OutOfRange { least, most });
    for digits in [0, 5, 13, u32::MAX] {
        let refused = AuthKv::options().code_digits(digits).in_memory();
        assert_eq!(invalid(refused), out_of_range("code_digits", 6, 12));
    }
    for guesses in [0, 21, u32::MAX] {
        let refused = AuthKv::options().code_guesses(guesses).in_memory();
        assert_eq!(invalid(refused), out_of_range("code_guesses", 1, 20));
    }
    for sessions in [(1 << 20) + 1, usize::MAX] {
        let refused = AuthKv::options().hot_sessions(sessions).in_memory();
        assert_eq!(invalid(refused), out_of_range("hot_sessions", 0, 1 << 20));
    }
}
