//! A Conax order that is read is written, and read back equal.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| headgate_codecs::conax_sms::fuzzing::round_trip(data));
