//! The adapter over a table, whose database answers whatever the bytes say.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| headgate_codecs::exset_sms::fuzzing::adapter(data));
