//! The Conax adapter against a file server that answers anything.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| headgate_codecs::conax_sms::fuzzing::adapter(data));
