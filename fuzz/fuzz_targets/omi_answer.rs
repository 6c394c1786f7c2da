//! OMI messages: answers, calls, raw calls.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| headgate_codecs::vcas_omi::fuzzing::decode(data));
