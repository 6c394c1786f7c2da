//! A platform behind an HTTP or HTTPS listener, HTTP/1.1 and HTTP/2.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use headgate_core::http::{HttpAnswer, HttpReply, HttpRequest, Method};
use headgate_core::platform::Platform;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited, StreamBody};
use hyper::body::{Body, Frame, Incoming};
use hyper::header::{ALLOW, CONNECTION, CONTENT_LENGTH, HOST, HeaderName, HeaderValue, TRANSFER_ENCODING};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use rustls::ServerConfig;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{Message, Simulation};
use crate::drive::Drivers;
use crate::listen::{Io, Listener};

/// Most bytes of a call's body: 16 MiB.
const BODY_LIMIT: usize = 16 << 20;

/// Most connections at once; further ones wait in the system's backlog.
const CONNECTIONS: usize = 1024;

/// How long a client may take over the TLS handshake, over a call's header, and over its body.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// Puts `platform` behind an HTTP listener at `address` (port 0: any that is free; see [`Simulation::address`]).
/// With `tls`, made by [`crate::drive::tls::server_config`], clients must speak HTTPS, and may choose HTTP/2.
///
/// # Errors
/// What the system says if it can not listen there.
pub async fn listen(
    platform: Box<dyn Platform>,
    address: SocketAddr,
    tls: Option<Arc<ServerConfig>>,
) -> io::Result<Simulation> {
    // The sender may go: the settings stay as they are.
    let tls = tls.map(|tls| {
        let mut tls = ServerConfig::clone(&tls);
        tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        watch::channel(Arc::new(tls)).1
    });
    let listener = Listener::bind(address, tls, CONNECTIONS, READ_TIMEOUT).await?;
    let address = listener.address();
    let (tasks, kill) = (TaskTracker::new(), CancellationToken::new());
    let drivers = |messages| Drivers::answering(tasks.clone(), kill.clone(), messages);
    let mut simulation = Simulation::start(platform, drivers);
    simulation.address = Some(address);
    let (messages, stop) = (simulation.messages.clone(), simulation.stop.clone());
    let serve = {
        let stop = stop.clone();
        move |io| Conversation::new(messages.clone()).serve(io, stop.clone())
    };
    tasks.spawn(listener.run(tasks.clone(), stop, kill, serve));
    Ok(simulation)
}

/// An answer's body; it fails where the connection is to break.
type Answer = UnsyncBoxBody<Bytes, io::Error>;

/// What the calls of one connection share.
#[derive(Clone)]
struct Conversation {
    messages: mpsc::Sender<Message>,
    /// The connection is to end after the answers that are under way.
    end: CancellationToken,
    /// The connection is to end at once.
    cut: CancellationToken,
}

impl Conversation {
    fn new(messages: mpsc::Sender<Message>) -> Self {
        Self { messages, end: CancellationToken::new(), cut: CancellationToken::new() }
    }

    /// Serves one connection to its end; after `stop`, to the end of the calls it is in.
    async fn serve(self, io: Io, stop: CancellationToken) {
        let mut builder = auto::Builder::new(TokioExecutor::new());
        builder.http1().timer(TokioTimer::new()).header_read_timeout(READ_TIMEOUT);
        builder.http2().timer(TokioTimer::new());
        let (end, cut) = (self.end.clone(), self.cut.clone());
        let service = service_fn(move |request| self.clone().call(request));
        let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(io), service));
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = cut.cancelled() => return,
            () = async { tokio::select! { () = stop.cancelled() => {}, () = end.cancelled() => {} } } => {
                connection.as_mut().graceful_shutdown();
                tokio::select! {
                    ended = connection.as_mut() => ended,
                    () = cut.cancelled() => return,
                }
            }
        };
        if let Err(error) = ended {
            tracing::debug!(error, "a connection to a simulated platform broke");
        }
    }

    /// Lets the platform answer one call.
    async fn call(self, request: Request<Incoming>) -> io::Result<Response<Answer>> {
        let request = match tokio::time::timeout(READ_TIMEOUT, read(request)).await {
            Ok(Ok(request)) => request,
            Ok(Err(refused)) => return Ok(refused),
            Err(_) => return Ok(refused(StatusCode::REQUEST_TIMEOUT)),
        };
        let (reply, replied) = oneshot::channel();
        // Both fail when the platform has stopped.
        let _ = self.messages.send(Message::Called(request, reply)).await;
        match replied.await {
            Ok(HttpReply::Whole(answer)) => response(answer),
            Ok(HttpReply::AndClose(answer)) => {
                self.end.cancel();
                response(answer)
            }
            Ok(HttpReply::Cut(answer, declared)) => {
                self.end.cancel();
                cut_off(answer, declared)
            }
            Ok(HttpReply::Close) | Err(_) => {
                self.cut.cancel();
                Err(io::Error::other("the platform closes the connection"))
            }
        }
    }
}

/// The whole call, or the answer of a server that does not take it.
async fn read(request: Request<Incoming>) -> Result<HttpRequest, Response<Answer>> {
    let (head, body) = request.into_parts();
    let Some(method) = Method::from_name(head.method.as_str()) else {
        let mut response = refused(StatusCode::METHOD_NOT_ALLOWED);
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, POST, PUT, PATCH, DELETE"));
        return Err(response);
    };
    if body.size_hint().lower() > BODY_LIMIT as u64 {
        return Err(refused(StatusCode::PAYLOAD_TOO_LARGE));
    }
    let body = Limited::new(body, BODY_LIMIT).collect().await.map_err(|error| {
        let too_long = error.is::<LengthLimitError>();
        refused(if too_long { StatusCode::PAYLOAD_TOO_LARGE } else { StatusCode::BAD_REQUEST })
    })?;
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    let fields = head.headers.iter();
    let mut headers: Vec<_> = fields.map(|(name, value)| (name.as_str().to_owned(), text(value.as_bytes()))).collect();
    // HTTP/2 has it elsewhere.
    if let (false, Some(authority)) = (head.headers.contains_key(HOST), head.uri.authority()) {
        headers.push((HOST.as_str().to_owned(), authority.to_string()));
    }
    let target = head.uri.path_and_query().map_or("/", |target| target.as_str()).to_owned();
    Ok(HttpRequest { method, target, headers, body: body.to_bytes() })
}

fn refused(status: StatusCode) -> Response<Answer> {
    let mut response = Response::new(whole(Bytes::new()));
    *response.status_mut() = status;
    response
}

fn response(answer: HttpAnswer) -> io::Result<Response<Answer>> {
    with_head(&answer, whole(answer.body.clone()))
}

/// What is there of the body, and then an error, which breaks the connection.
fn cut_off(answer: HttpAnswer, declared: u64) -> io::Result<Response<Answer>> {
    let body = stream::iter([Ok(Frame::data(answer.body.clone()))]).chain(stream::once(async {
        // What is there is written while this waits.
        tokio::task::yield_now().await;
        Err(io::Error::other("the platform cuts the answer off"))
    }));
    let mut response = with_head(&answer, StreamBody::new(body).boxed_unsync())?;
    response.headers_mut().insert(CONTENT_LENGTH, declared.into());
    Ok(response)
}

fn with_head(answer: &HttpAnswer, body: Answer) -> io::Result<Response<Answer>> {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(answer.status).map_err(io::Error::other)?;
    for (name, value) in &answer.headers {
        let name: HeaderName = name.parse().map_err(io::Error::other)?;
        // How long the body is, and how it is framed, is the server's business.
        if name == CONTENT_LENGTH || name == TRANSFER_ENCODING || name == CONNECTION {
            continue;
        }
        let value = HeaderValue::from_str(value).map_err(io::Error::other)?;
        response.headers_mut().append(name, value);
    }
    Ok(response)
}

fn whole(bytes: Bytes) -> Answer {
    Full::new(bytes).map_err(|never| match never {}).boxed_unsync()
}
