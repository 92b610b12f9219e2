//! Keys that can be used once: the first use passes, until the key has expired.

use authkv::conformance::{at_once, invalid};
use authkv::{AuthKv, Problem};
use chrono::TimeDelta;

use crate::stores::{Store, new_path};

cases! {
    a_key_passes_once_up_to_and_at_its_expiry,
    of_many_who_use_a_key_one_passes,
    a_key_is_used_for_one_purpose,
    a_key_is_no_state_and_a_state_no_key,
    what_cannot_be_a_key_is_refused,
    used_keys_are_counted_and_purged,
}

const TICK: TimeDelta = TimeDelta::milliseconds(1);
const MINUTES: TimeDelta = TimeDelta::minutes(10);
const PURPOSE: &str = "logout token of https://accounts.example.com";

fn passes_for(on: &Store, purpose: &str, key: &str) -> bool {
    on.kv.use_once(purpose, key, MINUTES).wait().unwrap().has_passed()
}

fn passes(on: &Store, key: &str) -> bool {
    passes_for(on, PURPOSE, key)
}

fn a_key_passes_once_up_to_and_at_its_expiry(on: &Store) {
    let used = on.clock.now();
    assert!(passes(on, "a") && passes(on, "b") && passes(on, "A"));
    for now in [used, used + TICK, used + MINUTES] {
        on.clock.set(now);
        assert!(!passes(on, "a"));
    }
    on.clock.set(used + MINUTES + TICK);
    assert!(passes(on, "a"), "it has expired");
    assert!(!passes(on, "a"));
    // A use that fails extends nothing, and one that passes has its own validity.
    assert!(on.kv.use_once(PURPOSE, "b", TICK).wait().unwrap().has_passed());
    assert!(!passes(on, "b"));
    on.clock.set(on.clock.now() + TICK + TICK);
    assert!(passes(on, "b") && !passes(on, "a"));
    assert!(on.kv.use_once(PURPOSE, "for ever", TimeDelta::MAX).wait().unwrap().has_passed());
    assert!(!passes(on, "for ever"));
}

fn of_many_who_use_a_key_one_passes(on: &Store) {
    for _ in 0..20 {
        let passed = at_once(|_| passes(on, "a"));
        assert_eq!(passed.iter().filter(|passed| **passed).count(), 1);
        on.clock.set(on.clock.now() + MINUTES + TICK);
    }
    assert_eq!(on.sound_report().states, 1);
}

fn a_key_is_used_for_one_purpose(on: &Store) {
    let long = "x".repeat(100_000);
    let pairs = [("ab", "c"), ("a", "bc"), ("", "abc"), ("abc", "ab"), ("", "\0abc"), (&long, "c"), ("ab", "c ")];
    assert!(pairs.iter().all(|(purpose, key)| passes_for(on, purpose, key)));
    assert!(!pairs.iter().any(|(purpose, key)| passes_for(on, purpose, key)));
}

fn a_key_is_no_state_and_a_state_no_key(on: &Store) {
    let take = |key: &str| on.kv.take_state::<String>(PURPOSE, key).wait().unwrap().passed();
    assert!(passes(on, "a"));
    assert_eq!(take("a"), None);
    assert_eq!(on.kv.take_state::<()>(PURPOSE, "a").wait().unwrap().passed(), None);
    assert!(!passes(on, "a"), "taking it as a state removes nothing");

    let handle = on.kv.put_state(PURPOSE, "a value", MINUTES).wait().unwrap();
    assert!(passes(on, handle.reveal()) && !passes(on, handle.reveal()));
    assert_eq!(take(handle.reveal()).as_deref(), Some("a value"));
    assert!(!passes(on, handle.reveal()));
}

fn what_cannot_be_a_key_is_refused(on: &Store) {
    let refused = |key: &str| invalid(on.kv.use_once(PURPOSE, key, MINUTES).wait());
    assert_eq!(refused(""), ("key".to_owned(), Problem::Empty));
    assert_eq!(refused(&"x".repeat(513)), ("key".to_owned(), Problem::TooLong { bytes: 513, limit: 512 }));
    assert_eq!(on.sound_report().states, 0);
    for key in [&"x".repeat(512), "\0", "👩‍👩‍👧", " a "] {
        assert!(passes(on, key) && !passes(on, key));
    }
}

fn used_keys_are_counted_and_purged(on: &Store) {
    assert!(passes(on, "a"));
    assert_eq!((on.sound_report().states, on.kv.count_expired().wait().unwrap().states), (1, 0));
    on.clock.set(on.clock.now() + MINUTES);
    assert_eq!(on.kv.purge_expired().wait().unwrap().states, 0);
    assert!(!passes(on, "a"));
    on.clock.set(on.clock.now() + TICK);
    assert_eq!(on.kv.count_expired().wait().unwrap().states, 1);
    assert_eq!(on.kv.purge_expired().wait().unwrap().states, 1);
    assert_eq!(on.sound_report().states, 0);
}

#[test]
fn a_used_key_is_used_in_a_file_that_is_opened_again_and_cannot_be_read_there() {
    let (_folder, path) = new_path();
    let key = "3f1c-a-key-of-somebody-else";
    for is_first in [true, false] {
        let auth = AuthKv::open(&path).unwrap();
        assert_eq!(auth.use_once(PURPOSE, key, MINUTES).wait().unwrap().has_passed(), is_first);
    }
    let file = std::fs::read(&path).unwrap();
    assert!(!file.windows(key.len()).any(|window| window == key.as_bytes()));
}
