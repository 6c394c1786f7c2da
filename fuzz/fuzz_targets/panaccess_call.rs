//! Calls to a simulated Panaccess platform, in both of its languages.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| headgate_codecs::panaccess::fuzzing::call(data));
