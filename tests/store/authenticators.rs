//! Counters of authenticators: of several assertions with one counter one is let in.

use std::sync::Barrier;
use std::thread;

use authkv::Error;
use authkv::models::Authenticator;

use crate::stores::Store;
use authkv::conformance::authenticator;

cases! {
    a_counter_advances_from_the_value_it_has,
    of_many_assertions_with_one_counter_one_wins,
}

fn a_counter_advances_from_the_value_it_has(on: &Store) {
    const COUNTERS: [u32; 5] = [0, 1, 2, u32::MAX - 1, u32::MAX];
    let ada = on.user("ada");
    for (place, stored) in COUNTERS.into_iter().enumerate() {
        for (from, to) in COUNTERS.into_iter().flat_map(|from| COUNTERS.map(|to| (from, to))) {
            let id = format!("{place} {from} {to}");
            let given = Authenticator { counter: stored, ..authenticator(&id, &ada.id, "an account") };
            on.auth.create_authenticator(given.clone()).wait().unwrap();
            let won = on.kv.advance_counter(&given.credential_id, from, to).wait().unwrap().has_passed();
            assert_eq!(won, stored == from && (to > from || to == 0 && from == 0), "{stored}: {from} to {to}");
            let counter = if won { to } else { stored };
            assert_eq!(on.find_authenticator(&id), Some(Authenticator { counter, ..given }));
        }
    }
    let unknown = on.kv.advance_counter("unknown", 0, 1).wait();
    assert!(matches!(unknown, Err(Error::UnknownCredential)));
}

fn of_many_assertions_with_one_counter_one_wins(on: &Store) {
    let ada = on.user("ada");
    let key = on.authenticator("a-credential", &ada.id);
    for counter in 0..20 {
        let begin = Barrier::new(16);
        let wins = thread::scope(|scope| {
            let advance = || {
                begin.wait();
                on.kv.advance_counter(&key.credential_id, counter, counter + 1).wait().unwrap().has_passed()
            };
            let threads: Vec<_> = (0..16).map(|_| scope.spawn(advance)).collect();
            threads.into_iter().map(|thread| usize::from(thread.join().unwrap())).sum::<usize>()
        });
        assert_eq!(wins, 1);
    }
}
