//! `errors.txt`, growing or not.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| headgate_codecs::conax_sms::fuzzing::errors(data));
