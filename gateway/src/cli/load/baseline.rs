//! The yardstick: a bare HTTP server in this process that answers every request with its own body.

use std::convert::Infallible;
use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use crate::cli::failure::Failure;

/// A server that runs on threads of its own until it is dropped.
pub(super) struct Server {
    address: SocketAddr,
    runtime: Option<Runtime>,
}

impl Server {
    /// Starts it on a free port of this machine, with as many threads as a gateway would have.
    pub(super) fn start() -> Result<Self, Failure> {
        let wrong = |error: std::io::Error| Failure::new(format!("the bare server can not start: {error}"));
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(wrong)?;
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).map_err(wrong)?;
        listener.set_nonblocking(true).map_err(wrong)?;
        let address = listener.local_addr().map_err(wrong)?;
        let listener = {
            let _entered = runtime.enter();
            TcpListener::from_std(listener).map_err(wrong)?
        };
        runtime.spawn(accept(listener));
        Ok(Self { address, runtime: Some(runtime) })
    }

    /// Where it is.
    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A runtime must not be waited for inside another one.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn accept(listener: TcpListener) {
    while let Ok((stream, _)) = listener.accept().await {
        // Failing to set it only costs time.
        let _ = stream.set_nodelay(true);
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(echo)));
    }
}

async fn echo(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let body = request.into_body().collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    Ok(Response::new(Full::new(body)))
}
