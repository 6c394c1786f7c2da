//! Profiles of templates, as an operator writes them in TOML; what they compile to reads answers and calls.

#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| headgate_codecs::template::fuzzing::profile_never_panics(text));
