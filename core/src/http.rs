//! HTTP calls as data: what an adapter asks for, what a platform answers.
//!
//! A call names no host: where the platform is, how TLS is done and how Headgate identifies itself
//! (`Authorization`) is the provider's connection, and the driver's business.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use bytes::Bytes;

use crate::failure::Sent;

/// Most bytes of an answer, where a call does not say otherwise: 4 MiB.
pub const ANSWER_LIMIT: usize = 4 << 20;

/// One HTTP request, sent once. It is never repeated by the driver, and redirects are not followed.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpCall {
    /// The method.
    pub method: Method,
    /// Which of the provider's end points; empty: the main one. One that the connection does not name is the main one.
    pub endpoint: Cow<'static, str>,
    /// Path and query, percent-encoded, beginning with `/`; appended to the end point's own path. Empty: that path
    /// itself, as SOAP has it.
    pub target: String,
    /// Header fields, in order. Names in lower case; values visible ASCII. `host`, `content-length` and the
    /// connection's own fields are the driver's. One that the provider's connection sets too goes before that.
    pub headers: Vec<(Cow<'static, str>, String)>,
    /// The body; empty: none.
    pub body: Bytes,
    /// Most bytes of the answer's body; a longer one is an error.
    pub answer_limit: usize,
    /// How long the answer may take from sending on; absent: the connection's own limit.
    pub timeout: Option<Duration>,
    /// Whether it changes nothing at the platform: a reading call, a login. If its answer is lost, nothing has
    /// happened.
    pub harmless: bool,
}

impl HttpCall {
    /// A call with a body, to the main end point.
    #[must_use]
    pub fn post(target: impl Into<String>, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        Self {
            headers: vec![(Cow::Borrowed("content-type"), content_type.to_owned())],
            body: body.into(),
            ..Self::new(Method::Post, target)
        }
    }

    /// A call that reads.
    #[must_use]
    pub fn get(target: impl Into<String>) -> Self {
        Self { harmless: true, ..Self::new(Method::Get, target) }
    }

    /// A call without a body, to the main end point.
    #[must_use]
    pub fn new(method: Method, target: impl Into<String>) -> Self {
        Self {
            method,
            endpoint: Cow::Borrowed(""),
            target: target.into(),
            headers: Vec::new(),
            body: Bytes::new(),
            answer_limit: ANSWER_LIMIT,
            timeout: None,
            harmless: false,
        }
    }

    /// The same with one more header field.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((Cow::Borrowed(name), value.into()));
        self
    }

    /// The same, changing nothing at the platform.
    #[must_use]
    pub const fn harmless(mut self) -> Self {
        self.harmless = true;
        self
    }
}

impl fmt::Debug for HttpCall {
    /// Shows lengths, not contents: targets and bodies hold secrets and subscriber data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} <{} bytes>, body <{} bytes>", self.method, self.target.len(), self.body.len())
    }
}

/// An HTTP method.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// `GET`.
    Get,
    /// `POST`.
    Post,
    /// `PUT`.
    Put,
    /// `PATCH`.
    Patch,
    /// `DELETE`.
    Delete,
}

impl Method {
    /// Its name, as in `POST`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }

    /// The method of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Get, Self::Post, Self::Put, Self::Patch, Self::Delete].into_iter().find(|method| method.name() == name)
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An HTTP answer, whole.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct HttpAnswer {
    /// The status code.
    pub status: u16,
    /// Header fields in order, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
}

impl HttpAnswer {
    /// An answer with a body.
    #[must_use]
    pub fn new(status: u16, content_type: &str, body: impl Into<Bytes>) -> Self {
        Self { status, headers: vec![("content-type".to_owned(), content_type.to_owned())], body: body.into() }
    }

    /// The first header field of that name, which must be in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Whether the status is 200 to 299.
    #[must_use]
    pub const fn is_success(&self) -> bool {
        matches!(self.status, 200..=299)
    }
}

impl fmt::Debug for HttpAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} <{} bytes>", self.status, self.body.len())
    }
}

/// Why a call has no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpError {
    /// Short and stable: `connect_failed`, `no_answer`, `answer_broken`, `answer_too_long`; `call_unspeakable` for a
    /// target or a header field that is none of HTTP.
    pub code: &'static str,
    /// What happened, for people. No secrets, no subscriber data.
    pub text: String,
    /// Whether the platform may have seen the call.
    pub sent: Sent,
}

/// Names one call that came to a platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(pub u64);

/// A call as it comes to a platform.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpRequest {
    /// The method.
    pub method: Method,
    /// Path and query, percent-encoded.
    pub target: String,
    /// Header fields in order, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
}

impl HttpRequest {
    /// The first header field of that name, which must be in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The path, without the query, still percent-encoded.
    #[must_use]
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// The query, still percent-encoded; empty: none.
    #[must_use]
    pub fn query(&self) -> &str {
        self.target.split_once('?').map_or("", |(_, query)| query)
    }
}

impl fmt::Debug for HttpRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} <{} bytes>, body <{} bytes>", self.method, self.target.len(), self.body.len())
    }
}

/// How a platform answers a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HttpReply {
    /// Whole.
    Whole(HttpAnswer),
    /// This, and then the connection is closed.
    AndClose(HttpAnswer),
    /// The head declares a body of so many bytes; what is here of it follows, and then the connection is closed.
    Cut(HttpAnswer, u64),
    /// The connection is closed without a word.
    Close,
}
