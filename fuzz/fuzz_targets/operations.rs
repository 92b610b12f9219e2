//! Sequences of operations, eight bytes each, on a store in memory and on a naive model of it.
#![no_main]

use authkv::conformance::model::{AuthKvTarget, Comparison, Operation};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut comparison = Comparison::new(AuthKvTarget::in_memory().expect("there is memory"));
    for operation in bytes.as_chunks().0 {
        comparison.step(&Operation::from_bytes(*operation));
    }
    comparison.read_back();
});
