//! Calls as the library's requests, and its responses as answers.

use bytes::Bytes;
use headgate_core::http::{HttpAnswer, HttpCall, HttpError, Method};
use http_body_util::Full;
use hyper::Request;
use hyper::header::{CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue};
use hyper::http::response::Parts;

use super::failure;
use super::url::Url;

/// Header fields that belong to the connection, not to a call.
const OURS: [&str; 10] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// A header field.
///
/// # Errors
/// What is wrong with it; neither name nor value is shown.
pub(super) fn field(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), &'static str> {
    if OURS.contains(&name) {
        return Err("belongs to the connection and can not be set");
    }
    let name = HeaderName::from_lowercase(name.as_bytes())
        .map_err(|_| "has a name that is none of HTTP: lower-case letters, digits and `-`")?;
    if !value.bytes().all(|byte| matches!(byte, b' '..=b'~')) || value.starts_with(' ') || value.ends_with(' ') {
        return Err("has a value that is not visible ASCII");
    }
    let mut value = HeaderValue::from_str(value).map_err(|_| "has a value that is not visible ASCII")?;
    // Kept out of HTTP/2's tables, and of what the library prints.
    value.set_sensitive(true);
    Ok((name, value))
}

/// The request that makes `call` at `url`, with those of the `fixed` header fields that it does not set itself.
pub(super) fn request(call: &HttpCall, url: &Url, fixed: &HeaderMap) -> Result<Request<Full<Bytes>>, HttpError> {
    let uri = url.join(&call.target).map_err(failure::unspeakable)?;
    let mut request = Request::new(Full::new(call.body.clone()));
    *request.uri_mut() = uri;
    *request.method_mut() = match call.method {
        Method::Get => hyper::Method::GET,
        Method::Post => hyper::Method::POST,
        Method::Put => hyper::Method::PUT,
        Method::Patch => hyper::Method::PATCH,
        Method::Delete => hyper::Method::DELETE,
    };
    let headers = request.headers_mut();
    for (name, value) in &call.headers {
        let (name, value) =
            field(name, value).map_err(|what| failure::unspeakable(&format!("a header field of a call {what}")))?;
        headers.append(name, value);
    }
    for (name, value) in fixed {
        if !headers.contains_key(name) {
            headers.insert(name, value.clone());
        }
    }
    // Without it servers can not tell an empty body from one that is missing, and answer 411.
    if call.body.is_empty() && matches!(call.method, Method::Post | Method::Put | Method::Patch) {
        headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
    Ok(request)
}

/// An answer. Bytes of header fields that are no text are replaced.
pub(super) fn answer(head: &Parts, body: Bytes) -> HttpAnswer {
    let headers = head.headers.iter();
    let headers =
        headers.map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()));
    HttpAnswer { status: head.status.as_u16(), headers: headers.collect(), body }
}
