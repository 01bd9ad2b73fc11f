//! libFuzzer's way to the target `tap`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| blueprint_fuzz::tap(data));
