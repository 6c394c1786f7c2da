//! Nagravision messages, read and explained.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| headgate_codecs::nagravision_smsgw::fuzzing::decode_never_panics(data));
