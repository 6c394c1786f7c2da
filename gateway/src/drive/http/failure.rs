//! Why a call has no answer, and whether the platform may have seen it.
//!
//! Certainly not ([`Sent::No`]) is said in three cases only:
//!
//! * no connection was ever found for the call: the library marks the call when it hands it to one;
//! * the connection gave it back before a byte of it was written: that, and nothing else, is what the library calls
//!   cancelled (`hyper::Error::is_canceled`), as when the platform closed an idle connection a moment ago;
//! * the platform refused our certificate: with TLS 1.3 that comes after our own side of the handshake is done, and
//!   a server reads nothing of what we sent along before it has accepted us.
//!
//! Everything else may have arrived ([`Sent::Maybe`]).
//!
//! No text holds a target, a header field or a body. So what a peer can put into an error of HTTP/2 is not shown.

use std::error::Error;
use std::io;

use headgate_core::failure::Sent;
use headgate_core::http::HttpError;
use hyper_util::client::legacy;
use rustls::AlertDescription;

use crate::drive::tls;

/// The call can not be put into HTTP.
pub(super) fn unspeakable(what: &str) -> HttpError {
    HttpError { code: "call_unspeakable", text: what.to_owned(), sent: Sent::No }
}

/// There is no connection.
pub(super) fn not_connected(why: String) -> HttpError {
    HttpError { code: "connect_failed", text: why, sent: Sent::No }
}

/// The answer was not there in time.
pub(super) fn out_of_time(after: std::time::Duration) -> HttpError {
    maybe("no_answer", format!("no answer within {after:?}"))
}

/// The answer is longer than the call allows.
pub(super) fn too_long(limit: usize) -> HttpError {
    maybe("answer_too_long", format!("the answer is longer than {limit} bytes"))
}

/// Why no connection could be found.
pub(super) fn why_not_connected(error: &legacy::Error) -> String {
    match deepest::<io::Error>(error) {
        Some(error) => tls::describe(error),
        None => "no connection could be opened".to_owned(),
    }
}

/// A connection was there, and nothing that is the head of an answer came.
pub(super) fn no_head(error: &legacy::Error) -> HttpError {
    let broken = deepest::<hyper::Error>(error);
    if broken.is_some_and(hyper::Error::is_canceled) {
        return not_connected("the connection was closed before the call was written".to_owned());
    }
    if let Some(error) = deepest::<io::Error>(error) {
        let text = tls::describe(error);
        return if refuses_our_certificate(error) { not_connected(text) } else { maybe("no_answer", text) };
    }
    match broken {
        Some(error) if error.is_parse_too_large() => {
            maybe("answer_too_long", "the answer's header is too long".to_owned())
        }
        Some(error) if error.is_parse() => maybe("answer_broken", format!("the answer is not HTTP: {error}")),
        Some(error) if error.is_incomplete_message() => {
            maybe("no_answer", "the connection was closed before an answer came".to_owned())
        }
        Some(error) => maybe("no_answer", format!("no answer came: {error}")),
        None => maybe("no_answer", "no answer came".to_owned()),
    }
}

/// The head of an answer came, and its body broke.
pub(super) fn broken_body(error: &hyper::Error) -> HttpError {
    let why = deepest::<io::Error>(error).map_or_else(|| error.to_string(), tls::describe);
    maybe("answer_broken", format!("the answer's body broke: {why}"))
}

fn maybe(code: &'static str, text: String) -> HttpError {
    HttpError { code, text, sent: Sent::Maybe }
}

/// The last error of that type in the chain of causes.
fn deepest<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    let mut next = Some(error);
    let mut found = None;
    while let Some(error) = next {
        found = error.downcast_ref().or(found);
        next = error.source();
    }
    found
}

fn refuses_our_certificate(error: &io::Error) -> bool {
    let alert = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    matches!(
        alert,
        Some(rustls::Error::AlertReceived(
            AlertDescription::CertificateRequired
                | AlertDescription::BadCertificate
                | AlertDescription::UnsupportedCertificate
                | AlertDescription::CertificateRevoked
                | AlertDescription::CertificateExpired
                | AlertDescription::CertificateUnknown
                | AlertDescription::UnknownCA
        ))
    )
}
