//! Answers of Nagravision's CAS Gateway, calls at its platform, and messages to explain.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    headgate_codecs::nagravision_cag::fuzzing::answer(data);
    headgate_codecs::nagravision_cag::fuzzing::call(data);
    headgate_codecs::nagravision_cag::fuzzing::dissect(data);
});
