//! Keys read from bytes, and made of them: `authkv::fuzzing` says what must hold.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| authkv::fuzzing::code_keys(bytes));
