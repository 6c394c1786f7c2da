//! Connections in: accepted, counted, wrapped in TLS, handed on, and ended with grace.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::either::Either;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// A connection, with or without TLS.
pub(crate) type Io = Either<TcpStream, Box<TlsStream<TcpStream>>>;

/// The TLS settings in force; nothing: no TLS.
pub(crate) type Tls = Option<watch::Receiver<Arc<ServerConfig>>>;

/// How long to wait after the system refused a connection, as it does when it is out of file descriptors.
const AFTER_ERROR: Duration = Duration::from_millis(50);

/// A bound socket and what its connections have in common.
pub(crate) struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    tls: Tls,
    permits: Arc<Semaphore>,
    handshake_timeout: Duration,
}

impl Listener {
    /// Binds the address.
    ///
    /// # Errors
    /// What the system says if that is not possible.
    pub(crate) async fn bind(
        address: SocketAddr,
        tls: Tls,
        connections: usize,
        handshake_timeout: Duration,
    ) -> io::Result<Self> {
        let socket = TcpListener::bind(address).await?;
        let address = socket.local_addr()?;
        let permits = Arc::new(Semaphore::new(connections.clamp(1, Semaphore::MAX_PERMITS)));
        Ok(Self { socket, address, tls, permits, handshake_timeout })
    }

    /// The address it is bound to.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Accepts connections until `stop`, and runs `serve` on each. Beyond the most connections allowed, further
    /// ones wait in the system's backlog.
    pub(crate) async fn run<S, C>(self, tasks: TaskTracker, stop: CancellationToken, kill: CancellationToken, serve: S)
    where
        S: Fn(Io) -> C + Clone + Send + Sync + 'static,
        C: Future<Output = ()> + Send + 'static,
    {
        loop {
            let accepted = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                accepted = self.accept() => accepted,
            };
            let Some((socket, permit)) = accepted else { continue };
            let tls = self.tls.as_ref().map(|tls| TlsAcceptor::from(Arc::clone(&tls.borrow())));
            let (kill, serve, patience) = (kill.clone(), serve.clone(), self.handshake_timeout);
            tasks.spawn(async move {
                let connection = async {
                    if let Some(io) = shake_hands(socket, tls, patience).await {
                        serve(io).await;
                    }
                };
                tokio::select! {
                    () = kill.cancelled() => {}
                    () = connection => {}
                }
                drop(permit);
            });
        }
    }

    async fn accept(&self) -> Option<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
        let permit = Arc::clone(&self.permits).acquire_owned().await.ok()?;
        match self.socket.accept().await {
            Ok((socket, _)) => {
                // Answers are small and waited for: never held back to be sent together.
                if let Err(error) = socket.set_nodelay(true) {
                    tracing::debug!(%error, "a connection closed at once");
                }
                Some((socket, permit))
            }
            Err(error) => {
                tracing::warn!(%error, address = %self.address, "a connection could not be accepted");
                tokio::time::sleep(AFTER_ERROR).await;
                None
            }
        }
    }
}

async fn shake_hands(socket: TcpStream, tls: Option<TlsAcceptor>, patience: Duration) -> Option<Io> {
    let Some(tls) = tls else { return Some(Either::Left(socket)) };
    match timeout(patience, tls.accept(socket)).await {
        Ok(Ok(stream)) => Some(Either::Right(Box::new(stream))),
        Ok(Err(error)) => {
            tracing::debug!(%error, "TLS handshake failed");
            None
        }
        Err(_) => {
            tracing::debug!("TLS handshake took too long");
            None
        }
    }
}
