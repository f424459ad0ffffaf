#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| afterpush_tests::readers::read("provider_digitalocean", data));
