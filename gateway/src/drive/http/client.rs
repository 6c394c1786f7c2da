//! One provider's client: a pool of connections, and how a call is made over it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use headgate_core::http::{HttpAnswer, HttpCall, HttpError};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper::header::HeaderMap;
use hyper::{Request, Response};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::capture_connection;
use tokio::time::Instant;

use super::connector::Connector;
use super::url::Url;
use super::{failure, message};

/// The library's pool.
pub(super) type Pool = legacy::Client<Connector, Full<Bytes>>;

/// Makes calls.
pub(crate) struct Client {
    pub(super) pool: Pool,
    /// The provider's `url`.
    pub(super) main: EndPoint,
    /// The provider's `endpoints`.
    pub(super) others: BTreeMap<String, EndPoint>,
    /// Header fields of every call.
    pub(super) fixed: HeaderMap,
    pub(super) connect_timeout: Duration,
    pub(super) call_timeout: Duration,
    pub(super) connections: usize,
}

/// One web service, at one of several places.
pub(super) struct EndPoint {
    urls: Vec<Url>,
    /// The one that worked last.
    current: AtomicUsize,
}

/// What one attempt at one URL came to.
enum Attempt {
    NotConnected(String),
    Over(Result<HttpAnswer, HttpError>),
}

impl Client {
    /// How many calls it may make at once.
    pub(crate) const fn connections(&self) -> usize {
        self.connections
    }

    /// Makes a call: at the first URL that can be connected to, and once.
    pub(crate) async fn call(&self, call: &HttpCall) -> Result<HttpAnswer, HttpError> {
        let end_point = self.others.get(call.endpoint.as_ref()).unwrap_or(&self.main);
        let mut failures = Vec::new();
        for (place, url) in end_point.in_order() {
            let request = message::request(call, url, &self.fixed)?;
            match self.attempt(request, url, call).await {
                Attempt::NotConnected(why) => failures.push(why),
                Attempt::Over(result) => {
                    end_point.current.store(place, Ordering::Relaxed);
                    return result;
                }
            }
        }
        Err(failure::not_connected(failures.join("; ")))
    }

    async fn attempt(&self, mut request: Request<Full<Bytes>>, url: &Url, call: &HttpCall) -> Attempt {
        // Filled in when the pool hands the request to a connection: until then nothing can have been written.
        let mut connection = capture_connection(&mut request);
        let mut answering = self.pool.request(request);
        let head = tokio::select! {
            biased;
            head = &mut answering => Some(head),
            _ = connection.wait_for_connection_metadata() => None,
            // The connector has a limit of its own; this one is for the pool, where a call can wait for others'.
            () = tokio::time::sleep(self.connect_timeout) => {
                let why = format!("{}: no connection within {:?}", url.address, self.connect_timeout);
                return Attempt::NotConnected(why);
            }
        };
        let timeout = call.timeout.unwrap_or(self.call_timeout);
        let deadline = Instant::now().checked_add(timeout);
        let answered = async {
            let head = match head {
                Some(head) => head,
                None => answering.await,
            };
            match head {
                Ok(response) => Attempt::Over(collect(response, call.answer_limit).await),
                Err(error) if connection.connection_metadata().is_none() => {
                    Attempt::NotConnected(failure::why_not_connected(&error))
                }
                Err(error) => Attempt::Over(Err(failure::no_head(&error))),
            }
        };
        match deadline {
            Some(deadline) => tokio::time::timeout_at(deadline, answered)
                .await
                .unwrap_or_else(|_| Attempt::Over(Err(failure::out_of_time(timeout)))),
            None => answered.await,
        }
    }
}

impl EndPoint {
    /// At these places, of which there is at least one.
    pub(super) const fn new(urls: Vec<Url>) -> Self {
        Self { urls, current: AtomicUsize::new(0) }
    }

    /// The one that worked last, then the others as they stand in the settings.
    fn in_order(&self) -> impl Iterator<Item = (usize, &Url)> {
        let current = self.current.load(Ordering::Relaxed);
        let first = self.urls.get(current).map(|url| (current, url));
        first.into_iter().chain(self.urls.iter().enumerate().filter(move |(place, _)| *place != current))
    }
}

/// Reads an answer's body, no further than the limit.
async fn collect(response: Response<Incoming>, limit: usize) -> Result<HttpAnswer, HttpError> {
    let (head, mut body) = response.into_parts();
    // What is declared too long is not waited for.
    if body.size_hint().lower() > limit as u64 {
        return Err(failure::too_long(limit));
    }
    let mut bytes = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| failure::broken_body(&error))?;
        // Trailers are nobody's.
        let Ok(data) = frame.into_data() else { continue };
        if bytes.len().saturating_add(data.len()) > limit {
            return Err(failure::too_long(limit));
        }
        bytes.extend_from_slice(&data);
    }
    Ok(message::answer(&head, bytes.freeze()))
}
