//! An HTTP client for tests: one call on one connection.

use std::net::SocketAddr;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long a test waits for anything before it fails.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// A call that is being put together.
pub(super) struct Call {
    address: SocketAddr,
    request: axum::http::request::Builder,
}

/// What came back.
#[derive(Debug)]
pub(super) struct Got {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) bytes: Bytes,
}

impl Call {
    pub(super) fn new(address: SocketAddr, method: &str, path: &str) -> Self {
        Self::bare(address, method, path).header("host", "localhost")
    }

    /// Without a `Host`.
    pub(super) fn bare(address: SocketAddr, method: &str, path: &str) -> Self {
        Self { address, request: Request::builder().method(method).uri(path) }
    }

    pub(super) fn header(mut self, name: &str, value: &str) -> Self {
        self.request = self.request.header(name, value);
        self
    }

    pub(super) fn key(self, key: &str) -> Self {
        self.header("authorization", &format!("Bearer {key}"))
    }

    /// Sends JSON.
    pub(super) async fn json(self, body: impl Into<String>) -> Got {
        self.header("content-type", "application/json").body(Body::from(body.into())).await
    }

    /// Sends nothing.
    pub(super) async fn send(self) -> Got {
        self.body(Body::empty()).await
    }

    pub(super) async fn body(self, body: Body) -> Got {
        let response = self.open(body).await;
        let (parts, body) = response.into_parts();
        let bytes = timeout(PATIENCE, body.collect()).await.unwrap().unwrap().to_bytes();
        Got { status: parts.status, headers: parts.headers, bytes }
    }

    /// Sends, and returns once the head of the response is there.
    pub(super) async fn open(self, body: Body) -> axum::http::Response<Incoming> {
        let mut sender = connect(TcpStream::connect(self.address).await.unwrap()).await;
        let request = self.request.body(body).unwrap();
        timeout(PATIENCE, sender.send_request(request)).await.unwrap().unwrap()
    }
}

/// An HTTP/1.1 connection that is driven in the background.
pub(super) async fn connect(io: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> SendRequest<Body> {
    let (sender, connection) = handshake(TokioIo::new(io)).await.unwrap();
    tokio::spawn(connection);
    sender
}

impl Got {
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_else(|error| panic!("{error}: {:?}", self.bytes))
    }

    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Checks that this is a problem of that status and code, in the form of RFC 9457, and returns it.
    #[track_caller]
    pub(super) fn problem(&self, status: u16, code: &str) -> Value {
        let problem = self.json();
        assert_eq!((self.status.as_u16(), &problem["code"]), (status, &Value::from(code)), "{problem}");
        assert_eq!(self.header("content-type"), "application/problem+json");
        assert_eq!(problem["status"], status);
        for member in ["type", "title", "detail"] {
            assert!(problem[member].as_str().is_some_and(|text| !text.is_empty()), "{member} in {problem}");
        }
        problem
    }
}
