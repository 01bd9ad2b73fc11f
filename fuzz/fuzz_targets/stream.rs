//! libFuzzer's way to the target `stream`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| blueprint_fuzz::stream(data));
