//! A platform behind an HTTP or HTTPS listener.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use headgate_core::platform::Platform;
use rustls::ServerConfig;

use super::Simulation;

/// Puts `platform` behind an HTTP listener at `address`. With `tls`, clients must speak HTTPS.
///
/// # Errors
/// What the system says if it can not listen there.
pub async fn listen(
    _platform: Box<dyn Platform>,
    _address: SocketAddr,
    _tls: Option<Arc<ServerConfig>>,
) -> io::Result<Simulation> {
    std::future::ready(Err(io::Error::other("no HTTP yet"))).await
}
