//! Calls as they come to the simulated OMI server.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| headgate_codecs::vcas_omi::fuzzing::platform(data));
