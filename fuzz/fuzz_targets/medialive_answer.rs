//! Answers of Nagra Media Live, at every place of a task.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| headgate_codecs::nagra_medialive::fuzzing::answer(data));
