//! Rows of the queue table, read back.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| headgate_codecs::exset_sms::fuzzing::rows(data));
