//! A small client of the API.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Method, Request, StatusCode};
use hyper_util::client::legacy::Client as Pool;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

/// Calls one gateway, over connections that are kept.
#[derive(Clone)]
pub struct Client {
    address: SocketAddr,
    key: Option<String>,
    pool: Pool<HttpConnector, Full<Bytes>>,
}

/// An answer of the API.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: hyper::HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Reply {
    /// The body as JSON; null where it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The lines of an NDJSON body.
    #[must_use]
    pub fn lines(&self) -> Vec<Value> {
        let lines = self.body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        lines.map(|line| serde_json::from_slice(line).unwrap_or_default()).collect()
    }
}

impl Client {
    /// A client of the gateway at `address`.
    #[must_use]
    pub fn new(address: SocketAddr) -> Self {
        Self { address, key: None, pool: Pool::builder(TokioExecutor::new()).build_http() }
    }

    /// The same, with this API key.
    #[must_use]
    pub fn with_key(self, key: &str) -> Self {
        Self { key: Some(format!("Bearer {key}")), ..self }
    }

    /// Makes a call.
    ///
    /// # Errors
    /// If there is no answer.
    pub async fn call(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Result<Reply> {
        let mut request = Request::builder().method(method).uri(format!("http://{}{path}", self.address));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(key) = &self.key {
            request = request.header("authorization", key);
        }
        let request = request.body(Full::new(body.into()))?;
        let (head, body) = self.pool.request(request).await.context("no answer")?.into_parts();
        let body = body.collect().await.context("half an answer")?.to_bytes();
        Ok(Reply { status: head.status, headers: head.headers, body })
    }

    /// Reads something.
    ///
    /// # Errors
    /// If there is no answer.
    pub async fn get(&self, path: &str) -> Result<Value> {
        Ok(self.call(Method::GET, path, &[], Bytes::new()).await?.json())
    }

    /// A request, once it has ended.
    ///
    /// # Errors
    /// If there is no answer, or it does not end.
    pub async fn ended(&self, id: &str) -> Result<Value> {
        for _ in 0..1_500 {
            let shown = self.get(&format!("/v1/requests/{id}")).await?;
            if !matches!(shown["state"].as_str(), Some("waiting" | "sent")) {
                return Ok(shown);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        bail!("request {id} does not end")
    }

    /// Posts a request, and waits for its outcome up to `wait` seconds.
    ///
    /// # Errors
    /// If there is no answer.
    pub async fn post(&self, request: &Value, wait: u32) -> Result<Reply> {
        let prefer = format!("wait={wait}");
        let headers = [("content-type", "application/json"), ("prefer", prefer.as_str())];
        let headers = if wait == 0 { &headers[..1] } else { &headers[..] };
        self.call(Method::POST, "/v1/requests", headers, request.to_string()).await
    }

    /// Posts many requests as lines, and waits for the lines of their outcomes.
    ///
    /// # Errors
    /// If there is no answer.
    pub async fn post_lines(&self, requests: &[Value], wait: u32) -> Result<Reply> {
        let prefer = format!("wait={wait}");
        let headers = [("content-type", "application/x-ndjson"), ("prefer", prefer.as_str())];
        let lines: String = requests.iter().map(|request| format!("{request}\n")).collect();
        self.call(Method::POST, "/v1/requests", &headers, lines).await
    }
}
