//! Conax message payloads.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| headgate_codecs::conax_sms::fuzzing::message(data));
