//! Verification tokens: creating and taking them.

use chrono::TimeDelta;

use super::subject::Subject;
use crate::models::VerificationToken;

cases! {
    a_token_comes_back_as_it_was_given,
    a_token_is_taken_once,
    both_parts_must_match_and_a_mismatch_removes_nothing,
    an_identifier_may_have_several_tokens,
    one_text_under_two_identifiers_is_two_tokens,
    the_same_pair_again_replaces,
    without_an_identifier_the_only_token_is_taken,
    without_an_identifier_an_ambiguous_token_is_left_alone,
    a_token_needs_no_user,
    an_expired_token_is_taken_with_its_true_expiry,
    the_expiry_of_a_token_is_kept_to_the_millisecond,
}

fn a_token_comes_back_as_it_was_given(on: &Subject) {
    let given = VerificationToken::new("Ada@example.com", "a-secret", on.tomorrow());
    assert_eq!(on.auth.create_verification_token(given.clone()).wait().unwrap(), given);
    assert_eq!(on.take("Ada@example.com", "a-secret"), Some(given));
}

fn a_token_is_taken_once(on: &Subject) {
    let token = on.token("ada", "a-secret");
    assert_eq!(on.take("ada", "a-secret"), Some(token));
    assert_eq!(on.take("ada", "a-secret"), None);
    assert_eq!(on.take_by_token("a-secret"), None);
}

fn both_parts_must_match_and_a_mismatch_removes_nothing(on: &Subject) {
    let (token, other) = (on.token("ada", "a-secret"), on.token("bob", "another"));
    let wrong = [("bob", "a-secret"), ("ada", "another"), ("Ada", "a-secret"), ("ada", "A-secret"), ("", "a-secret")];
    for (identifier, token) in wrong.into_iter().chain([("ada", ""), ("ada ", "a-secret"), ("ad", "a-secret")]) {
        assert_eq!(on.take(identifier, token), None);
    }
    assert_eq!(on.take_by_token("a-secre"), None);
    assert_eq!(on.take_by_token(""), None);
    assert_eq!(on.take("ada", "a-secret"), Some(token));
    assert_eq!(on.take("bob", "another"), Some(other));
}

fn an_identifier_may_have_several_tokens(on: &Subject) {
    let [one, two, three] = ["1", "2", "3"].map(|token| on.token("ada", token));
    assert_eq!(on.take("ada", "2"), Some(two));
    assert_eq!(on.take("ada", "1"), Some(one));
    assert_eq!(on.take("ada", "3"), Some(three));
}

fn one_text_under_two_identifiers_is_two_tokens(on: &Subject) {
    let (ada, bob) = (on.token("ada", "a-secret"), on.token("bob", "a-secret"));
    assert_eq!(on.take("ada", "a-secret"), Some(ada));
    assert_eq!(on.take("ada", "a-secret"), None);
    assert_eq!(on.take("bob", "a-secret"), Some(bob));
}

fn the_same_pair_again_replaces(on: &Subject) {
    on.token("ada", "a-secret");
    let newer = VerificationToken::new("ada", "a-secret", on.tomorrow() + TimeDelta::hours(1));
    assert_eq!(on.auth.create_verification_token(newer.clone()).wait().unwrap(), newer);
    assert_eq!(on.take("ada", "a-secret"), Some(newer));
    assert_eq!(on.take("ada", "a-secret"), None);
}

fn without_an_identifier_the_only_token_is_taken(on: &Subject) {
    let (token, other) = (on.token("ada", "a-secret"), on.token("ada", "another"));
    assert_eq!(on.take_by_token("a-secret"), Some(token));
    assert_eq!(on.take_by_token("a-secret"), None);
    assert_eq!(on.take("ada", "another"), Some(other));
}

fn without_an_identifier_an_ambiguous_token_is_left_alone(on: &Subject) {
    let tokens = ["ada", "bob", "eve"].map(|identifier| on.token(identifier, "a-secret"));
    let [ada, bob, eve] = tokens;
    assert_eq!(on.take_by_token("a-secret"), None);
    assert_eq!(on.take("bob", "a-secret"), Some(bob));
    assert_eq!(on.take_by_token("a-secret"), None);
    assert_eq!(on.take("ada", "a-secret"), Some(ada));
    assert_eq!(on.take_by_token("a-secret"), Some(eve));
}

fn a_token_needs_no_user(on: &Subject) {
    let token = on.token("nobody@example.com", "a-secret");
    assert_eq!(on.find_by_email("nobody@example.com"), None);
    assert_eq!(on.take("nobody@example.com", "a-secret"), Some(token));
}

fn an_expired_token_is_taken_with_its_true_expiry(on: &Subject) {
    let (ada, bob) = (on.token("ada", "a-secret"), on.token("bob", "another"));
    // So soon after the expiry that no store has removed it yet.
    on.clock.set(on.tomorrow() + TimeDelta::hours(1));
    assert_eq!(on.take("ada", "a-secret"), Some(ada));
    assert_eq!(on.take("ada", "a-secret"), None);
    assert_eq!(on.take_by_token("another"), Some(bob));
    assert_eq!(on.take_by_token("another"), None);
}

fn the_expiry_of_a_token_is_kept_to_the_millisecond(on: &Subject) {
    let fine = on.tomorrow() + TimeDelta::nanoseconds(7_999_999);
    let kept = on.tomorrow() + TimeDelta::milliseconds(7);
    let token = on.auth.create_verification_token(VerificationToken::new("ada", "a-secret", fine)).wait().unwrap();
    assert_eq!(token.expires, kept);
    assert_eq!(on.take("ada", "a-secret").unwrap().expires, kept);
}
