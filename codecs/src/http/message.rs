//! Whole HTTP messages as text: what is kept of a conversation, and what `headgate encode` prints.

use std::collections::BTreeSet;

use bytes::Bytes;
use headgate_core::http::{HttpAnswer, HttpCall};
use headgate_core::outcome::Exchange;

/// Most bytes that are kept of one body; the rest is only counted.
const KEPT: usize = 64 << 10;

/// What stands where a secret was.
const MASK: &[u8] = b"***";

/// What was said, both ways, with secrets masked.
#[derive(Debug, Default)]
pub(super) struct Record {
    request: Vec<u8>,
    response: Vec<u8>,
}

impl Record {
    /// Notes a call. Values of `authorization`, `cookie` and fields of tokens are never kept.
    pub(super) fn sent(&mut self, call: &HttpCall, secrets: &[&str]) {
        apart(&mut self.request);
        self.request.extend_from_slice(&masked(write_call(call), secrets));
    }

    /// Notes an answer.
    pub(super) fn received(&mut self, answer: &HttpAnswer, secrets: &[&str]) {
        apart(&mut self.response);
        self.response.extend_from_slice(&masked(write_answer(answer), secrets));
    }

    pub(super) fn into_exchange(self) -> Exchange {
        Exchange { request: self.request.into(), response: self.response.into() }
    }
}

/// A call as an HTTP/1.1 message, without what the driver adds (`host`, `content-length`, credentials).
#[must_use]
pub fn write_call(call: &HttpCall) -> Vec<u8> {
    let mut text = format!("{} {} HTTP/1.1\r\n", call.method, call.target).into_bytes();
    for (name, value) in &call.headers {
        write_field(&mut text, name, value);
    }
    write_body(&mut text, &call.body);
    text
}

/// An answer as an HTTP/1.1 message: of the header fields only those that say what the body is.
fn write_answer(answer: &HttpAnswer) -> Vec<u8> {
    let mut text = format!("HTTP/1.1 {}\r\n", answer.status).into_bytes();
    for (name, value) in &answer.headers {
        if matches!(name.as_str(), "content-type" | "retry-after" | "location") {
            write_field(&mut text, name, value);
        }
    }
    write_body(&mut text, &answer.body);
    text
}

fn write_field(text: &mut Vec<u8>, name: &str, value: &str) {
    let secret = matches!(name, "authorization" | "cookie") || name.ends_with("token");
    let value = if secret { "***" } else { value };
    text.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
}

fn write_body(text: &mut Vec<u8>, body: &Bytes) {
    text.extend_from_slice(b"\r\n");
    match body.get(..KEPT) {
        Some(kept) if body.len() > KEPT => {
            text.extend_from_slice(kept);
            text.extend_from_slice(format!("\n[{} bytes more]", body.len() - KEPT).as_bytes());
        }
        _ => text.extend_from_slice(body),
    }
}

/// Two messages one after the other stand in paragraphs of their own.
fn apart(text: &mut Vec<u8>) {
    if !text.is_empty() {
        text.extend_from_slice(b"\r\n\r\n");
    }
}

fn masked(mut text: Vec<u8>, secrets: &[&str]) -> Vec<u8> {
    for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
        for form in written_forms(secret) {
            text = replace(&text, form.as_bytes());
        }
    }
    text
}

/// A secret as it is, and as a path, a form, a JSON text and an XML document carry it.
fn written_forms(secret: &str) -> BTreeSet<String> {
    let form = super::form::Form::new().field("", secret).finish();
    let json = serde_json::Value::from(secret).to_string();
    [
        secret.to_owned(),
        super::form::escape(secret),
        form.trim_start_matches('=').to_owned(),
        json.trim_matches('"').to_owned(),
        quick_xml::escape::escape(secret).into_owned(),
    ]
    .into()
}

fn replace(text: &[u8], needle: &[u8]) -> Vec<u8> {
    let mut replaced = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.windows(needle.len()).position(|window| window == needle) {
        let (before, from) = rest.split_at(at);
        replaced.extend_from_slice(before);
        replaced.extend_from_slice(MASK);
        rest = from.get(needle.len()..).unwrap_or_default();
    }
    replaced.extend_from_slice(rest);
    replaced
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_masks_secrets_in_every_form_and_keeps_the_rest() {
        let mut record = Record::default();
        let call = HttpCall::post("/x?key=a%2Fb", "text/plain", "sessionId=a/b&card=1")
            .header("authorization", "Bearer a/b")
            .header("x-user-token", "t");
        record.sent(&call, &["a/b"]);
        record.received(&HttpAnswer::new(200, "text/plain", "a/b is fine"), &["a/b"]);
        let exchange = record.into_exchange();
        assert_eq!(
            exchange.request,
            "POST /x?key=*** HTTP/1.1\r\ncontent-type: text/plain\r\nauthorization: ***\r\nx-user-token: ***\r\n\r\nsessionId=***&card=1"
        );
        assert_eq!(exchange.response, "HTTP/1.1 200\r\ncontent-type: text/plain\r\n\r\n*** is fine");
    }

    #[test]
    fn secrets_are_masked_however_a_body_writes_them() {
        let secret = "a \"<&~*é'=";
        let mut xml = crate::xml::write::XmlWriter::fragment();
        xml.text_element("p", secret);
        for body in [
            secret.to_owned(),
            super::super::form::escape(secret),
            super::super::form::Form::new().field("p", secret).finish(),
            serde_json::json!({ "p": secret }).to_string(),
            String::from_utf8(xml.finish().unwrap().to_vec()).unwrap(),
        ] {
            let text = String::from_utf8(masked(body.clone().into_bytes(), &[secret])).unwrap();
            assert!(text.contains("***") && !text.contains("%C3%A9") && !text.contains('é'), "{body}: {text}");
        }
    }

    #[test]
    fn long_bodies_are_cut_and_counted() {
        let text = write_answer(&HttpAnswer::new(200, "text/plain", vec![b'x'; KEPT + 7]));
        assert!(text.ends_with(b"x\n[7 bytes more]"));
    }
}
