//! Profiles of the queue table.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| headgate_codecs::exset_sms::fuzzing::profile(data));
