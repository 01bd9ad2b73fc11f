//! libFuzzer's way to the target `configuration`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| blueprint_fuzz::configuration(data));
