//! libFuzzer's way to the target `junit`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| blueprint_fuzz::junit(data));
