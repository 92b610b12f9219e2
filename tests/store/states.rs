//! States: the value under a handle is taken once, for its purpose and before it expires.

use std::collections::BTreeMap;

use authkv::models::Token;
use authkv::{AuthKv, Error, Problem};
use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use crate::stores::{Store, new_path};
use authkv::conformance::{at_once, invalid};

cases! {
    a_state_is_taken_once,
    of_many_who_take_a_state_one_gets_it,
    a_state_is_there_up_to_and_at_its_expiry,
    a_handle_is_good_for_its_purpose_only,
    whatever_serde_writes_comes_back,
    what_cannot_be_stored_is_refused,
    a_state_that_is_taken_as_something_else_stays,
}

const TICK: TimeDelta = TimeDelta::milliseconds(1);
const MINUTES: TimeDelta = TimeDelta::minutes(10);
const PURPOSE: &str = "sign in with github";

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct SigningIn {
    code_verifier: Token,
    return_to: Option<String>,
}

fn signing_in(return_to: &str) -> SigningIn {
    SigningIn { code_verifier: "a verifier".into(), return_to: Some(return_to.into()) }
}

fn put(on: &Store, value: &(impl Serialize + ?Sized)) -> Token {
    on.kv.put_state(PURPOSE, value, MINUTES).wait().unwrap()
}

fn take(on: &Store, handle: &Token) -> Option<SigningIn> {
    on.kv.take_state(PURPOSE, handle.reveal()).wait().unwrap().passed()
}

fn a_state_is_taken_once(on: &Store) {
    let states = ["/one", "/other"].map(signing_in);
    let handles = [&states[0], &states[1], &states[1]].map(|state| put(on, state));
    assert_eq!(on.sound_report().states, 3);
    assert_ne!(handles[1], handles[2]);
    assert!(handles.iter().all(|handle| handle.reveal().len() == 64));
    assert_eq!(take(on, &"a guess".into()), None);
    for (handle, state) in handles.iter().zip([&states[0], &states[1], &states[1]]) {
        assert_eq!(take(on, handle).as_ref(), Some(state));
        assert_eq!(take(on, handle), None);
    }
    assert_eq!(on.sound_report().states, 0);
}

fn of_many_who_take_a_state_one_gets_it(on: &Store) {
    for round in 0..20 {
        let state = signing_in(&round.to_string());
        let handle = put(on, &state);
        let found: Vec<_> = at_once(|_| take(on, &handle)).into_iter().flatten().collect();
        assert_eq!(found, [state]);
    }
}

fn a_state_is_there_up_to_and_at_its_expiry(on: &Store) {
    let expires = on.clock.now() + MINUTES;
    let handles = [(); 2].map(|()| put(on, &signing_in("/")));
    on.clock.set(expires);
    assert!(take(on, &handles[0]).is_some());
    on.clock.set(expires + TICK);
    assert_eq!(take(on, &handles[1]), None);
    on.clock.set(expires);
    assert_eq!(take(on, &handles[1]), None, "it was taken");
    for age in [TICK, TimeDelta::MAX] {
        let handle = on.kv.put_state(PURPOSE, &signing_in("/"), age).wait().unwrap();
        assert!(take(on, &handle).is_some());
    }
}

fn a_handle_is_good_for_its_purpose_only(on: &Store) {
    let handle = put(on, "a value");
    let take = |purpose: &str| on.kv.take_state::<String>(purpose, handle.reveal()).wait().unwrap().passed();
    for purpose in ["", "sign in with gitHub", "sign in with githu", "b", &"x".repeat(100_000)] {
        assert_eq!(take(purpose), None);
    }
    assert!(on.take(PURPOSE, handle.reveal()).is_none() && on.find_session(handle.reveal()).is_none());
    assert_eq!(take(PURPOSE).as_deref(), Some("a value"));
}

fn whatever_serde_writes_comes_back(on: &Store) {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    enum Step {
        Challenge(Vec<u8>),
        Link { texts: BTreeMap<String, String>, numbers: (u64, i64, f64) },
    }

    fn must_come_back<T: Serialize + for<'de> Deserialize<'de> + Send + PartialEq + std::fmt::Debug + 'static>(
        on: &Store,
        value: T,
    ) {
        let handle = put(on, &value);
        assert_eq!(on.kv.take_state::<T>(PURPOSE, handle.reveal()).wait().unwrap().passed(), Some(value));
    }

    let texts = [("__proto__".to_owned(), "\0👩‍👩‍👧\"".to_owned())].into();
    must_come_back(on, Step::Link { texts, numbers: (u64::MAX, i64::MIN, 632.0 / 7.0) });
    must_come_back(on, Step::Challenge((0..=255).collect()));
    must_come_back(on, String::new());
    must_come_back(on, [7_u8; 32]);
    must_come_back(on, ());
    must_come_back(on, "x".repeat((64 << 10) - 2));
}

fn what_cannot_be_stored_is_refused(on: &Store) {
    #[derive(Serialize)]
    struct Nested(Vec<Nested>);

    let nested = |levels| (1..levels).fold(Nested(Vec::new()), |inner, _| Nested(vec![inner]));
    let refused = |value: Result<_, Error>| {
        let (field, problem) = invalid(value);
        assert_eq!(field, "value");
        problem
    };
    let too_long = refused(on.kv.put_state(PURPOSE, &"x".repeat((64 << 10) - 1), MINUTES).wait());
    assert!(matches!(too_long, Problem::TooLong { limit: 65_536, .. }), "{too_long:?}");
    assert_eq!(refused(on.kv.put_state(PURPOSE, &nested(33), MINUTES).wait()), Problem::TooDeep { limit: 32 });
    let keyless = BTreeMap::from([((1, 2), 3)]);
    assert!(matches!(refused(on.kv.put_state(PURPOSE, &keyless, MINUTES).wait()), Problem::NotJson(_)));
    assert_eq!(on.sound_report().states, 0);
    drop(put(on, &nested(32)));
}

fn a_state_that_is_taken_as_something_else_stays(on: &Store) {
    let handle = put(on, "hushhush");
    let error = on.kv.take_state::<SigningIn>(PURPOSE, handle.reveal()).wait().unwrap_err();
    assert!(matches!(error, Error::Misfit { done: false, .. }));
    assert_eq!(
        on.kv.take_state::<String>(PURPOSE, handle.reveal()).wait().unwrap().passed(),
        Some("hushhush".to_owned())
    );
}

#[test]
fn handles_codes_and_tokens_are_not_in_the_file() {
    let (_folder, path) = new_path();
    let auth = AuthKv::open(&path).unwrap();
    let handle = auth.put_state(PURPOSE, "a value that is not hidden", MINUTES).wait().unwrap();
    let link = auth.issue_link_token("a purpose", "ada", MINUTES).wait().unwrap();
    drop(auth);
    let file = std::fs::read(&path).unwrap();
    let has = |text: &str| file.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(has("a value that is not hidden"));
    assert!(!has(handle.reveal()) && !has(link.token.reveal()));
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(handle.reveal().as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    }
    assert!(!file.windows(32).any(|window| window == bytes));
}
