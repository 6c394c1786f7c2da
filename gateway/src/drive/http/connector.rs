//! Connections for the library's pool, opened like every other stream of ours.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_rustls::TlsStream;
use tokio_util::either::Either;
use tower_service::Service;

use super::url;
use crate::drive::stream::{Opener, Stream};

/// Opens connections. Clones share it.
#[derive(Clone)]
pub(super) struct Connector {
    /// For `http:`.
    pub(super) plain: Arc<Opener>,
    /// For `https:`; absent: no URL asks for it.
    pub(super) tls: Option<Arc<Opener>>,
}

impl Service<Uri> for Connector {
    type Response = HttpStream;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<HttpStream>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let opener = match uri.scheme_str() {
            Some("https") => self.tls.clone(),
            _ => Some(Arc::clone(&self.plain)),
        };
        Box::pin(async move {
            // Both were checked with the settings.
            let (Some(opener), Some(address)) = (opener, url::address(&uri)) else {
                return Err(io::Error::other("this URL was not checked"));
            };
            opener.open(&address).await.map(HttpStream::new).map_err(io::Error::other)
        })
    }
}

/// A connection that HTTP is spoken on.
pub(super) struct HttpStream {
    stream: TokioIo<Either<TcpStream, Box<TlsStream<TcpStream>>>>,
    is_http2: bool,
}

impl HttpStream {
    fn new(stream: Stream) -> Self {
        let (stream, is_http2) = match stream {
            Stream::Tcp(stream) => (Either::Left(stream), false),
            Stream::Tls(stream) => {
                let chosen = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                (Either::Right(stream), chosen)
            }
        };
        Self { stream: TokioIo::new(stream), is_http2 }
    }
}

impl Connection for HttpStream {
    fn connected(&self) -> Connected {
        let connected = Connected::new();
        if self.is_http2 { connected.negotiated_h2() } else { connected }
    }
}

impl Read for HttpStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl Write for HttpStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }
}
