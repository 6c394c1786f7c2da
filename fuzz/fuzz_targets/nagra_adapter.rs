//! The Nagravision adapter against a platform that sends anything.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| headgate_codecs::nagravision_smsgw::fuzzing::adapter_survives(data));
