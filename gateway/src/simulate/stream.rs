//! A platform behind a TCP or TLS listener.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use headgate_core::platform::Platform;
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::{Message, Simulation};
use crate::drive::stream::Stream;
use crate::drive::{Drivers, tls};

/// How long a client may take over the TLS handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long accepting rests after it failed, as when there are no file descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Puts `platform` behind a listener at `address` (port 0: any that is free; see
/// [`Simulation::address`]). With `tls`, made by [`tls::server_config`], clients must speak TLS.
///
/// # Errors
/// What the system says if it can not listen there.
pub async fn listen(
    platform: Box<dyn Platform>,
    address: SocketAddr,
    tls: Option<Arc<ServerConfig>>,
) -> io::Result<Simulation> {
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    let mut simulation = Simulation::start(platform, Drivers::accepting);
    simulation.address = Some(address);
    tokio::spawn(accept(listener, tls.map(TlsAcceptor::from), simulation.messages.clone(), simulation.stop.clone()));
    Ok(simulation)
}

async fn accept(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    messages: mpsc::Sender<Message>,
    stop: CancellationToken,
) {
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let (stream, client) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a simulated platform could not accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, %client, "no TCP_NODELAY");
        }
        match &tls {
            // Fails when the platform has stopped; then so does this, at once.
            None => drop(messages.send(Message::Accepted(Stream::Tcp(stream))).await),
            Some(tls) => drop(tokio::spawn(shake_hands(tls.clone(), stream, client, messages.clone()))),
        }
    }
}

async fn shake_hands(tls: TlsAcceptor, stream: TcpStream, client: SocketAddr, messages: mpsc::Sender<Message>) {
    match tokio::time::timeout(HANDSHAKE_TIMEOUT, tls.accept(stream)).await {
        Ok(Ok(stream)) => drop(messages.send(Message::Accepted(Stream::Tls(Box::new(stream.into())))).await),
        Ok(Err(error)) => tracing::info!(error = tls::describe(&error), %client, "a TLS handshake failed"),
        Err(_) => tracing::info!(%client, "a TLS handshake took too long"),
    }
}
