//! Calls of workers, whatever they say.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| headgate_codecs::generic_provider::fuzzing::workers_are_survived(data));
