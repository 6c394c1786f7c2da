//! Icareus: answers, calls and messages to explain, read.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| headgate_codecs::icareus::fuzzing::answer_never_panics(data));
