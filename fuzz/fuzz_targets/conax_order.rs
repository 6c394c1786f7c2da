//! Conax order files of every type.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| headgate_codecs::conax_sms::fuzzing::order(data));
