//! libFuzzer's way to the target `document`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| blueprint_fuzz::document(data));
