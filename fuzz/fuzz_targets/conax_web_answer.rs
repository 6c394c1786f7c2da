//! Answers of Conax Web Services, calls at their platform, and messages to explain.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    headgate_codecs::conax_web::fuzzing::answer(data);
    headgate_codecs::conax_web::fuzzing::call(data);
    headgate_codecs::conax_web::fuzzing::dissect(data);
});
