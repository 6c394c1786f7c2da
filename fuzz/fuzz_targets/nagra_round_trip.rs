//! A Nagravision message that is read is written as the same message.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| headgate_codecs::nagravision_smsgw::fuzzing::round_trip(data));
