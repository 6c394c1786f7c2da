//! The payload of a `raw` command for platforms that are called with JSON: a call, written as JSON.
//!
//! ```json
//! {"method": "POST", "path": "/v1/things?x=1", "body": {"name": "value"}}
//! ```
//!
//! The protocol adds what identifies Headgate: the session, the signature, the tenant.

use std::fmt;

use headgate_core::body::Refusal;
use headgate_core::http::{HttpCall, Method};
use serde::Deserialize;
use serde_json::value::RawValue;

/// The content type of JSON.
pub const JSON: &str = "application/json";

/// Most bytes of the path and the query.
const LONGEST_PATH: usize = 8 << 10;

/// A call as the caller wrote it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawCall {
    /// The method, in capitals.
    pub method: Method,
    /// Path and query, percent-encoded, beginning with `/`.
    pub path: String,
    /// The body, which is sent as it is written; absent: none.
    #[serde(default)]
    pub body: Option<Box<RawValue>>,
}

impl RawCall {
    /// Reads a payload.
    ///
    /// # Errors
    /// A [`Refusal`] of `payload`, which holds nothing of it.
    pub fn read(payload: &[u8]) -> Result<Self, Refusal> {
        let wrong = |detail: String| Refusal::new("payload", "bad_payload", detail);
        let call: Self = serde_json::from_slice(payload).map_err(|error| {
            let form = r#"must be {"method": "POST", "path": "/...", "body": {...}}, the body only where there is one"#;
            wrong(format!("{form} (line {}, column {})", error.line(), error.column()))
        })?;
        let path = call.path.as_bytes();
        if !path.starts_with(b"/") || path.starts_with(b"//") || path.len() > LONGEST_PATH {
            return Err(wrong(format!("the path must begin with one / and have at most {LONGEST_PATH} bytes")));
        }
        if !path.iter().all(|b| b.is_ascii_graphic() && *b != b'#') {
            return Err(wrong("the path must be percent-encoded, without a fragment".into()));
        }
        Ok(call)
    }

    /// The call.
    #[must_use]
    pub fn call(&self) -> HttpCall {
        let call = HttpCall::new(self.method, self.path.clone());
        let call = HttpCall { harmless: self.method == Method::Get, ..call };
        match &self.body {
            Some(body) => HttpCall { body: body.get().to_owned().into(), ..call.header("content-type", JSON) },
            None => call,
        }
    }
}

impl fmt::Debug for RawCall {
    /// Shows lengths, not contents.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.call(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_becomes_the_call_that_it_writes() {
        let raw = RawCall::read(br#"{"method":"PUT","path":"/a%20b?c=1","body":{"x":1.50,"y":[]}}"#).unwrap();
        let call = raw.call();
        assert_eq!((call.method, call.target.as_str(), call.harmless), (Method::Put, "/a%20b?c=1", false));
        assert_eq!(call.body, r#"{"x":1.50,"y":[]}"#);
        let call = RawCall::read(br#"{"method":"GET","path":"/a"}"#).unwrap().call();
        assert!(call.harmless && call.body.is_empty() && call.headers.is_empty());
    }

    #[test]
    fn payloads_that_are_no_call_are_refused_without_telling_them() {
        for payload in [
            "",
            "4711",
            "\u{0}",
            r#"{"method":"TRACE","path":"/"}"#,
            r#"{"method":"GET"}"#,
            r#"{"method":"GET","path":"4711"}"#,
            r#"{"method":"GET","path":"//4711"}"#,
            r#"{"method":"GET","path":"/a b"}"#,
            r#"{"method":"GET","path":"/a\r\nx: 4711"}"#,
            r#"{"method":"GET","path":"/#4711"}"#,
            r#"{"method":"GET","path":"/","endpoint":"4711"}"#,
            &format!(r#"{{"method":"GET","path":"/{}"}}"#, "a".repeat(LONGEST_PATH)),
        ] {
            let refusal = RawCall::read(payload.as_bytes()).unwrap_err();
            assert_eq!((&*refusal.field, refusal.code), ("payload", "bad_payload"), "{payload}");
            assert!(!refusal.detail.contains("4711"), "{refusal}");
        }
    }
}
