//! Conax status answers.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| headgate_codecs::conax_sms::fuzzing::status(data));
