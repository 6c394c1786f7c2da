//! Errors as `application/problem+json` (RFC 9457).

use std::borrow::Cow;
use std::time::Duration;

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use headgate_core::body::Refusal;
use serde::{Serialize, Serializer};

use crate::gateway::{AcceptError, ActionError};
use crate::store::StoreError;

/// Why the API did not do what was asked. Its texts never hold secrets.
#[derive(Clone, Debug)]
pub(super) struct Problem {
    kind: Kind,
    code: &'static str,
    detail: String,
    field: Option<Cow<'static, str>>,
    retry_after: Option<Duration>,
}

/// The kinds of problems: one for each status that the API answers with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The request can not be read.
    Malformed,
    /// Who asks is not known.
    Unauthorised,
    /// Who asks may not.
    Forbidden,
    /// There is no such thing.
    NotFound,
    /// Not with this method.
    MethodNotAllowed,
    /// The client took too long.
    TooSlow,
    /// Not in the state it is in.
    Conflict,
    /// Longer than the limit.
    TooLarge,
    /// Not a form the API reads.
    UnsupportedMediaType,
    /// Read and understood, and it can not be.
    Refused,
    /// Headgate is at fault.
    Internal,
    /// Not now.
    Unavailable,
}

impl Kind {
    const fn status(self) -> StatusCode {
        match self {
            Self::Malformed => StatusCode::BAD_REQUEST,
            Self::Unauthorised => StatusCode::UNAUTHORIZED,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::Conflict => StatusCode::CONFLICT,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Refused => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The `type` and the `title`.
    const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Malformed => ("urn:headgate:problem:malformed", "The request can not be read"),
            Self::Unauthorised => ("urn:headgate:problem:unauthorised", "An API key is needed"),
            Self::Forbidden => ("urn:headgate:problem:forbidden", "This API key may not do that"),
            Self::NotFound => ("urn:headgate:problem:not-found", "Not found"),
            Self::MethodNotAllowed => ("urn:headgate:problem:method-not-allowed", "Not with this method"),
            Self::TooSlow => ("urn:headgate:problem:too-slow", "The request did not arrive in time"),
            Self::Conflict => ("urn:headgate:problem:conflict", "Not possible as things stand"),
            Self::TooLarge => ("urn:headgate:problem:too-large", "The request is too large"),
            Self::UnsupportedMediaType => {
                ("urn:headgate:problem:unsupported-media-type", "The request's form is not supported")
            }
            Self::Refused => ("urn:headgate:problem:refused", "The request is refused"),
            Self::Internal => ("urn:headgate:problem:internal", "Headgate failed"),
            Self::Unavailable => ("urn:headgate:problem:unavailable", "Not possible now"),
        }
    }
}

/// A problem's JSON form.
#[derive(Serialize, schemars::JsonSchema)]
#[schemars(rename = "Problem")]
pub(super) struct Document<'a> {
    /// The kind of problem, as a URI.
    r#type: &'static str,
    /// The kind of problem, in words.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// What is wrong here, and what would be right.
    detail: &'a str,
    /// Short and stable, for programs.
    code: &'static str,
    /// The field at fault, as a path into the JSON (`services/0`), a query parameter or a header.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a str>,
}

/// A problem within an answer.
#[derive(Serialize, schemars::JsonSchema)]
#[schemars(rename = "PartProblem")]
pub(super) struct Owned {
    /// Short and stable, for programs.
    code: &'static str,
    /// What is wrong, and what would be right.
    detail: String,
    /// The field at fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<Cow<'static, str>>,
}

impl Problem {
    /// The same, within an answer.
    pub(super) fn owned(self) -> Owned {
        Owned { code: self.code, detail: self.detail, field: self.field }
    }

    /// A problem of this kind.
    pub(super) fn new(kind: Kind, code: &'static str, detail: impl Into<String>) -> Self {
        Self { kind, code, detail: detail.into(), field: None, retry_after: None }
    }

    /// The same, with the field at fault.
    pub(super) fn field(mut self, field: impl Into<Cow<'static, str>>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// The same, with when trying again can help.
    pub(super) const fn retry_after(mut self, after: Duration) -> Self {
        self.retry_after = Some(after);
        self
    }

    /// There is none of that kind of thing.
    pub(super) fn not_found(what: &str) -> Self {
        Self::new(Kind::NotFound, "not_found", format!("there is no such {what}"))
    }

    /// A body, or a line, beyond `limit` bytes.
    pub(super) fn too_large(limit: usize) -> Self {
        Self::new(Kind::TooLarge, "too_large", format!("must have at most {limit} bytes; see server.body_limit"))
    }

    /// Nothing more, or not all, came within `limit`.
    pub(super) fn too_slow(limit: Duration) -> Self {
        let detail = format!("the rest did not come within {} s; send without pauses", limit.as_secs_f32());
        Self::new(Kind::TooSlow, "too_slow", detail)
    }

    /// The HTTP status.
    pub(super) const fn status(&self) -> StatusCode {
        self.kind.status()
    }

    /// Short and stable, for programs.
    pub(super) const fn code(&self) -> &'static str {
        self.code
    }

    /// What is wrong, and what would be right.
    pub(super) fn detail(&self) -> &str {
        &self.detail
    }

    /// The field at fault.
    pub(super) fn at(&self) -> Option<&str> {
        self.field.as_deref()
    }

    fn document(&self) -> Document<'_> {
        let (r#type, title) = self.kind.words();
        Document {
            r#type,
            title,
            status: self.status().as_u16(),
            detail: &self.detail,
            code: self.code,
            field: self.field.as_deref(),
        }
    }
}

impl Serialize for Problem {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.document().serialize(serializer)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let json = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = (self.status(), [(header::CONTENT_TYPE, "application/problem+json")], json).into_response();
        let headers = response.headers_mut();
        if self.kind == Kind::Unauthorised {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"headgate\""));
        }
        if let Some(after) = self.retry_after {
            // Rounded up: a client that waits as long as told must not come too early.
            let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)));
        }
        response
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        Self::new(Kind::Refused, refusal.code, refusal.detail).field(refusal.field)
    }
}

impl From<AcceptError> for Problem {
    fn from(error: AcceptError) -> Self {
        match error {
            AcceptError::Refused(refusal) => refusal.into(),
            AcceptError::Busy { retry_after } => {
                Self::new(Kind::Unavailable, "busy", error.to_string()).retry_after(retry_after)
            }
            AcceptError::Stopping => stopping(),
            AcceptError::KeyTaken => Self::new(Kind::Conflict, "in_flight", error.to_string())
                .field("Idempotency-Key")
                .retry_after(Duration::from_secs(1)),
            AcceptError::Store(why) => {
                tracing::error!(error = why, "a request could not be stored");
                Self::new(Kind::Unavailable, "not_stored", "the store could not keep the request; nothing was done")
                    .retry_after(Duration::from_secs(5))
            }
        }
    }
}

impl From<ActionError> for Problem {
    fn from(error: ActionError) -> Self {
        match error {
            ActionError::NotFound => Self::not_found("request or provider"),
            ActionError::WrongState(_) => Self::new(Kind::Conflict, "wrong_state", error.to_string()),
            ActionError::Stopping => stopping(),
            ActionError::Store(error) => error.into(),
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "the store did not answer");
        Self::new(Kind::Internal, "store_failed", "the store did not answer; the gateway's log says why")
    }
}

impl From<QueryRejection> for Problem {
    fn from(rejection: QueryRejection) -> Self {
        let problem = Self::new(Kind::Malformed, "bad_parameter", rejection.body_text());
        // The cause reads `name: what is wrong`, with the path that serde_path_to_error followed.
        let cause = std::error::Error::source(&rejection).map(ToString::to_string).unwrap_or_default();
        match cause.split_once(": ") {
            Some((name, why)) if !name.contains(' ') => {
                Self { detail: why.to_owned(), ..problem }.field(name.to_owned())
            }
            _ => problem,
        }
    }
}

impl From<PathRejection> for Problem {
    fn from(_: PathRejection) -> Self {
        Self::new(Kind::NotFound, "not_found", "the id or the name in the path is not well formed")
    }
}

pub(super) fn stopping() -> Problem {
    Problem::new(Kind::Unavailable, "stopping", "the gateway is stopping").retry_after(Duration::from_secs(5))
}
