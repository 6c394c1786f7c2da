//! Request bodies: any bytes are read or refused, and what is read is written as the same body.

#![no_main]

use headgate_core::body::RequestBody;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(body) = serde_json::from_slice::<RequestBody>(data) else { return };
    let command = body.command();
    let written = serde_json::to_vec(&body).expect("a body that was read can be written");
    let again: RequestBody = serde_json::from_slice(&written).expect("a body that was written can be read");
    assert_eq!(again, body, "read back differently");
    assert_eq!(again.command(), command, "means something else now");
});
