//! Nagravision profiles, as an operator writes them in TOML.

#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| headgate_codecs::nagravision_smsgw::fuzzing::profile_never_panics(text));
