//! The API over real sockets, with a double in place of the engines.

mod access;
mod client;
mod crm_com;
mod double;
mod events;
mod idempotency;
mod lines;
mod openapi;
mod posting;
mod reading;
mod tls;

use std::net::SocketAddr;
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusBuilder;
use tokio_util::sync::CancellationToken;

use super::{ServeError, Serving, serve};
use crate::config::{ApiKey, Role, Server};
use client::Call;
use double::Double;

/// An API that is served for a test.
struct Served {
    double: Double,
    serving: Serving,
    stop: CancellationToken,
}

impl Served {
    /// On loopback, without keys.
    async fn plain() -> Self {
        Self::with(Double::new(), &server(), &[]).await.unwrap()
    }

    async fn with(double: Double, server: &Server, keys: &[ApiKey]) -> Result<Self, ServeError> {
        let stop = CancellationToken::new();
        let metrics = PrometheusBuilder::new().build_recorder().handle();
        let serving = serve(double.clone(), server, keys, metrics, stop.clone()).await?;
        Ok(Self { double, serving, stop })
    }

    fn address(&self) -> SocketAddr {
        self.serving.http()
    }

    fn get(&self, path: &str) -> Call {
        Call::new(self.address(), "GET", path)
    }

    fn post(&self, path: &str) -> Call {
        Call::new(self.address(), "POST", path)
    }

    fn put(&self, path: &str) -> Call {
        Call::new(self.address(), "PUT", path)
    }
}

/// Any port of loopback, over HTTP and TCP; short patience.
fn server() -> Server {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    Server {
        listen: any,
        stream_listen: Some(any),
        read_timeout: Duration::from_millis(400),
        drain_timeout: Duration::from_secs(10),
        ..Server::default()
    }
}

/// One key for each role; the key is the role's name.
fn keys() -> Vec<ApiKey> {
    use sha2::{Digest, Sha256};

    let key = |role: Role| {
        let name = role.name();
        ApiKey {
            name: name.to_owned(),
            role,
            sha256: headgate_core::text::to_hex(&Sha256::digest(name)),
            providers: Vec::new(),
        }
    };
    Role::ALL.into_iter().map(key).collect()
}

/// A request that can be; its provider decides what becomes of it.
fn request(provider: &str) -> String {
    format!(r#"{{"provider":"{provider}","command":"get_services","subscription":"S1","smartcard":"00112233"}}"#)
}
