//! Calls at the simulated platform of Nagra Media Live.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| headgate_codecs::nagra_medialive::fuzzing::call(data));
