//! Verification tokens: looking them up without taking them.

use authkv::models::VerificationToken;
use chrono::TimeDelta;

use crate::stores::Store;

cases! {
    a_token_is_found_as_often_as_one_looks,
    a_token_is_found_by_both_its_parts_only,
    an_expired_token_is_found_with_its_expiry,
}

fn a_token_is_found_as_often_as_one_looks(on: &Store) {
    let token = VerificationToken::new("ada", "a-secret", on.tomorrow());
    on.auth.create_verification_token(token.clone()).wait().unwrap();
    for _ in 0..2 {
        assert!(on.kv.find_verification_token("ada", "a-secret").wait().unwrap() == Some(token.clone()));
    }
    assert!(on.take("ada", "a-secret").is_some());
    assert!(on.kv.find_verification_token("ada", "a-secret").wait().unwrap().is_none());
}

fn a_token_is_found_by_both_its_parts_only(on: &Store) {
    on.auth.create_verification_token(VerificationToken::new("ada", "a-secret", on.tomorrow())).wait().unwrap();
    for (identifier, token) in [("eve", "a-secret"), ("ada", "a-guess"), ("", ""), ("ada\0", "a-secret")] {
        assert!(on.kv.find_verification_token(identifier, token).wait().unwrap().is_none(), "{identifier} {token}");
    }
}

fn an_expired_token_is_found_with_its_expiry(on: &Store) {
    let expires = on.tomorrow();
    on.auth.create_verification_token(VerificationToken::new("ada", "a-secret", expires)).wait().unwrap();
    on.clock.set(expires + TimeDelta::days(1));
    let found = on.kv.find_verification_token("ada", "a-secret").wait().unwrap();
    assert_eq!(found.map(|token| token.expires), Some(expires));
}
