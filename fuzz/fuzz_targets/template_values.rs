//! Hostile texts, written into every kind of place: each arrives as it is or is refused.

#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| headgate_codecs::template::fuzzing::values_stay_in_their_place(text));
