//! Bytes that pretend to be a stored record: `authkv::fuzzing` says what must hold.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| authkv::fuzzing::decode_record(bytes));
