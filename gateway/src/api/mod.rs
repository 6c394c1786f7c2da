//! The API: JSON over HTTP, and NDJSON over HTTP and TCP.
//!
//! A request comes in through `requests` or `stream`, is read, accepted and waited for in `intake`, and is shown
//! by `view`. What goes wrong is a `problem`. `routes` lists every call; `openapi` describes them.

mod auth;
mod crm_com;
mod events;
mod front;
mod idempotency;
mod intake;
mod lines;
mod ndjson;
mod openapi;
mod order;
mod probes;
mod problem;
mod providers;
mod requests;
mod stream;
mod subscriptions;
#[cfg(test)]
mod tests;
mod tls;
mod view;
mod workers;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::{MethodRouter, get, post, put};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use metrics_exporter_prometheus::PrometheusHandle;
use rustls::ServerConfig;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::{ApiKey, CrmComFace, Server, ServerTls};
use crate::listen::{Io, Listener};
use auth::Keys;
pub use front::Front;
use idempotency::InFlight;
use problem::{Kind, Problem};
pub use tls::TlsError;

/// What HTTP over TLS offers in the handshake.
const HTTP_ALPN: [&str; 2] = ["h2", "http/1.1"];

/// How often an HTTP/2 client is asked whether it is there.
const HTTP2_PING: Duration = Duration::from_secs(30);

/// How many times the read timeout a stream of lines may be silent, while its client waits for nothing; and how many
/// times a body or a line may take as a whole.
const IDLE_FACTOR: u32 = 10;

/// Serves the API until `stop`, in the background.
///
/// Returns once the addresses are bound. `metrics` is what `/metrics` shows.
///
/// # Errors
/// [`ServeError`] if the settings are not safe, or an address can not be bound.
pub async fn serve<F: Front>(
    front: F,
    server: &Server,
    keys: &[ApiKey],
    metrics: PrometheusHandle,
    stop: CancellationToken,
) -> Result<Serving, ServeError> {
    let keys = Keys::new(keys)?;
    for address in [Some(server.listen), server.stream_listen].into_iter().flatten() {
        if !address.ip().is_loopback() && (server.tls.is_none() || keys.is_empty()) {
            return Err(ServeError::Exposed { address });
        }
    }
    let http_tls = server.tls.as_ref().map(|tls| tls::settings(tls, &HTTP_ALPN)).transpose()?;
    let stream_tls = server.tls.as_ref().map(|tls| tls::settings(tls, &[])).transpose()?;
    let (http_tls, http_settings) = http_tls.map(watch::channel).unzip();
    let (stream_tls, stream_settings) = stream_tls.map(watch::channel).unzip();
    let (keys, known_keys) = watch::channel(Arc::new(keys));

    let bind = async |address, tls| {
        let bound = Listener::bind(address, tls, server.connections, server.read_timeout).await;
        bound.map_err(|error| ServeError::Bind { address, error })
    };
    let http = bind(server.listen, http_settings).await?;
    let stream = match server.stream_listen {
        Some(address) => Some(bind(address, stream_settings).await?),
        None => None,
    };
    let api = Arc::new(Api {
        front,
        keys: known_keys,
        in_flight: InFlight::default(),
        limits: Limits {
            body: server.body_limit,
            read_timeout: server.read_timeout,
            idle: server.read_timeout * IDLE_FACTOR,
        },
        loopback: server.listen.ip().is_loopback(),
        crm_com: server.crm_com.clone(),
        metrics,
        stop: stop.clone(),
    });

    let (tasks, kill) = (TaskTracker::new(), CancellationToken::new());
    let serving = Serving {
        http: http.address(),
        stream: stream.as_ref().map(Listener::address),
        keys,
        http_tls,
        stream_tls,
        drain: server.drain_timeout,
        tasks: tasks.clone(),
        stop: stop.clone(),
        kill: kill.clone(),
    };
    let connection = HttpConnection::new(router(Arc::clone(&api)), server.read_timeout, stop.clone());
    tasks.spawn(http.run(tasks.clone(), stop.clone(), kill.clone(), move |io| connection.clone().serve(io)));
    if let Some(stream) = stream {
        tasks.spawn(stream.run(tasks.clone(), stop, kill, move |io| {
            let api = Arc::clone(&api);
            async move { stream::serve(&api, io).await }
        }));
    }
    Ok(serving)
}

/// An API that is being served.
#[derive(Debug)]
pub struct Serving {
    http: SocketAddr,
    stream: Option<SocketAddr>,
    keys: watch::Sender<Arc<Keys>>,
    http_tls: Option<watch::Sender<Arc<ServerConfig>>>,
    stream_tls: Option<watch::Sender<Arc<ServerConfig>>>,
    drain: Duration,
    tasks: TaskTracker,
    stop: CancellationToken,
    kill: CancellationToken,
}

impl Serving {
    /// The address of the HTTP API.
    #[must_use]
    pub const fn http(&self) -> SocketAddr {
        self.http
    }

    /// The address of NDJSON over TCP, if it is served.
    #[must_use]
    pub const fn stream(&self) -> Option<SocketAddr> {
        self.stream
    }

    /// Reads changed keys and certificates, for [`Serving::take_over`].
    ///
    /// # Errors
    /// [`ServeError`]. TLS can not be switched on or off, nor the last key taken away or the first one added,
    /// without a restart.
    pub fn prepare(&self, tls: Option<&ServerTls>, keys: &[ApiKey]) -> Result<Access, ServeError> {
        let keys = Keys::new(keys)?;
        if tls.is_some() != self.http_tls.is_some() || keys.is_empty() != self.keys.borrow().is_empty() {
            return Err(ServeError::Restart);
        }
        let tls = match tls {
            Some(tls) => Some((tls::settings(tls, &HTTP_ALPN)?, tls::settings(tls, &[])?)),
            None => None,
        };
        Ok(Access { keys, tls })
    }

    /// Takes over changed keys and certificates. Connections that are open stay; new ones see the new
    /// certificate, and every next call the new keys.
    pub fn take_over(&self, access: Access) {
        let Access { keys, tls } = access;
        if let Some((http, stream)) = tls {
            replace(self.http_tls.as_ref(), http);
            replace(self.stream_tls.as_ref(), stream);
        }
        self.keys.send_replace(Arc::new(keys));
    }

    /// Waits until the stop token is cancelled and the last connection has ended. Those that have not after the
    /// drain timeout are cut.
    pub async fn finished(self) {
        self.stop.cancelled().await;
        self.tasks.close();
        if tokio::time::timeout(self.drain, self.tasks.wait()).await.is_err() {
            tracing::warn!(connections = self.tasks.len(), "connections did not end in time and are cut");
            self.kill.cancel();
            self.tasks.wait().await;
        }
    }
}

/// Keys and certificates that were read and are good.
#[derive(Debug)]
pub struct Access {
    keys: Keys,
    /// For HTTP and for the stream.
    tls: Option<(Arc<ServerConfig>, Arc<ServerConfig>)>,
}

fn replace(holder: Option<&watch::Sender<Arc<ServerConfig>>>, settings: Arc<ServerConfig>) {
    if let Some(holder) = holder {
        holder.send_replace(settings);
    }
}

/// Why the API is not served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Other machines could reach it, unprotected.
    #[error(
        "{address} can be reached from other machines: set server.tls and at least one [[key]], or listen on 127.0.0.1"
    )]
    Exposed {
        /// The address.
        address: SocketAddr,
    },
    /// An API key can not be.
    #[error("key {name:?}: {why}")]
    Key {
        /// Its name.
        name: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The address can not be bound.
    #[error("can not listen on {address}: {error}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        error: std::io::Error,
    },
    /// TLS can not be served.
    #[error("server.tls: {0}")]
    Tls(#[from] TlsError),
    /// The change needs a restart.
    #[error("TLS can not be switched on or off, nor API keys altogether, while running: restart to do so")]
    Restart,
}

/// What every call has at hand.
struct Api<F> {
    front: F,
    keys: watch::Receiver<Arc<Keys>>,
    in_flight: InFlight,
    limits: Limits,
    /// Whether only this machine can reach it.
    loopback: bool,
    /// Whether and how CRM.COM's calls are served.
    crm_com: Option<CrmComFace>,
    metrics: PrometheusHandle,
    stop: CancellationToken,
}

type Shared<F> = Arc<Api<F>>;

/// How much and how slowly.
#[derive(Clone, Copy, Debug)]
struct Limits {
    /// Most bytes of a body, or of a line.
    body: usize,
    /// How long nothing may come in the middle of something.
    read_timeout: Duration,
    /// How long a stream may be silent in between, or not read its answers; and how long the whole of something may
    /// take.
    idle: Duration,
}

impl Limits {
    /// By when more must come of something whose first bytes came at `began` and whose last at `heard`; and the limit
    /// that says so.
    fn deadline(&self, began: Instant, heard: Instant) -> (Instant, Duration) {
        let (more, whole) = ((heard + self.read_timeout, self.read_timeout), (began + self.idle, self.idle));
        more.min(whole)
    }
}

fn router<F: Front>(api: Shared<F>) -> Router {
    let known = routes::<F>().into_iter().fold(Router::new(), |router, (path, methods)| router.route(path, methods));
    let crm_com = api.crm_com.iter().flat_map(|_| crm_com::routes::<F>());
    let known = crm_com.fold(known, |router, (path, methods)| router.route(&path, methods));
    known
        .fallback(async || Problem::not_found("path; /openapi.json lists them"))
        .method_not_allowed_fallback(async || {
            Problem::new(Kind::MethodNotAllowed, "method_not_allowed", "the header Allow lists the methods")
        })
        .with_state(api)
}

/// Every call that is always served.
fn routes<F: Front>() -> Vec<(&'static str, MethodRouter<Shared<F>>)> {
    vec![
        ("/v1/requests", post(requests::post::<F>).get(requests::list::<F>)),
        ("/v1/requests/{id}", get(requests::show::<F>)),
        ("/v1/requests/{id}/retry", post(requests::retry::<F>)),
        ("/v1/requests/{id}/cancel", post(requests::cancel::<F>)),
        ("/v1/requests/{id}/resolve", post(requests::resolve::<F>)),
        ("/v1/subscriptions", get(subscriptions::list::<F>)),
        (
            "/v1/subscriptions/{number}",
            put(subscriptions::put::<F>).get(subscriptions::show::<F>).delete(subscriptions::forget::<F>),
        ),
        ("/v1/subscriptions/{number}/actions", post(subscriptions::act::<F>)),
        ("/v1/subscriptions/{number}/reset", post(subscriptions::reset::<F>)),
        ("/v1/subscriptions/{number}/platform", get(subscriptions::platform::<F>)),
        ("/v1/providers", get(providers::list::<F>)),
        ("/v1/providers/{name}", get(providers::show::<F>)),
        ("/v1/providers/{name}/state", put(providers::set_state::<F>)),
        ("/v1/providers/{name}/test", post(providers::test::<F>)),
        ("/v1/providers/{name}/raw", post(providers::raw::<F>)),
        ("/v1/providers/{name}/pull", post(workers::pull::<F>)),
        ("/v1/providers/{name}/answers", post(workers::answers::<F>)),
        ("/v1/providers/{name}/extend", post(workers::extend::<F>)),
        (workers::GET_PENDING, get(workers::get_pending::<F>)),
        (workers::SEND_RESPONSE, post(workers::send_response::<F>)),
        ("/v1/events", get(events::follow::<F>)),
        ("/metrics", get(probes::metrics::<F>)),
        ("/livez", get(probes::live)),
        ("/readyz", get(probes::ready::<F>)),
        ("/openapi.json", get(openapi::show)),
    ]
}

/// How HTTP connections are served.
#[derive(Clone)]
struct HttpConnection {
    builder: auto::Builder<TokioExecutor>,
    service: TowerToHyperService<Router>,
    stop: CancellationToken,
}

impl HttpConnection {
    fn new(router: Router, read_timeout: Duration, stop: CancellationToken) -> Self {
        let mut builder = auto::Builder::new(TokioExecutor::new());
        builder.http1().timer(TokioTimer::new()).header_read_timeout(read_timeout).pipeline_flush(true);
        builder.http2().timer(TokioTimer::new()).keep_alive_interval(HTTP2_PING).keep_alive_timeout(read_timeout);
        Self { builder, service: TowerToHyperService::new(router), stop }
    }

    /// Serves one connection to its end; after `stop`, to the end of the calls it is in.
    async fn serve(self, io: Io) {
        let connection = self.builder.serve_connection(TokioIo::new(io), self.service);
        let mut connection = std::pin::pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = self.stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(error, "an HTTP connection broke");
        }
    }
}
