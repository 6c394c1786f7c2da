//! Streams of bytes: how links are opened over TCP and TLS, and the set of those that are open.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use bytes::Bytes;
use headgate_core::adapter::LinkId;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_rustls::{TlsConnector, TlsStream};
use tokio_util::task::TaskTracker;

use super::link::Link;
use super::{DriverEvent, Opening, tls};

/// An open stream, either side.
pub(crate) enum Stream {
    /// Plain TCP.
    Tcp(TcpStream),
    /// TLS, after the handshake.
    Tls(Box<TlsStream<TcpStream>>),
}

/// Opens streams to one platform.
#[derive(Clone, Debug)]
pub(crate) struct Dialer {
    /// Tried in this order.
    pub(crate) addresses: Vec<Address>,
    /// How.
    pub(crate) opener: Opener,
}

impl Dialer {
    /// Opens a stream to the first address that can be reached; else says why each could not.
    pub(crate) async fn open(&self) -> Result<Stream, String> {
        let mut failures = Vec::new();
        for address in &self.addresses {
            match self.opener.open(address).await {
                Ok(stream) => return Ok(stream),
                Err(why) => failures.push(why),
            }
        }
        Err(failures.join("; "))
    }
}

/// How streams are opened, wherever they lead.
#[derive(Clone, Debug)]
pub(crate) struct Opener {
    /// For each address, TLS included.
    pub(crate) connect_timeout: Duration,
    /// `TCP_NODELAY`.
    pub(crate) nodelay: bool,
    /// Zero: none.
    pub(crate) keepalive: Duration,
    /// Plain TCP without it.
    pub(crate) tls: Option<tls::Client>,
}

impl Opener {
    /// Opens a stream to `address`; else says why not, beginning with the address.
    pub(crate) async fn open(&self, address: &Address) -> Result<Stream, String> {
        match tokio::time::timeout(self.connect_timeout, self.open_in_time(address)).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(why)) => Err(format!("{address}: {why}")),
            Err(_) => Err(self.out_of_time(address)),
        }
    }

    /// What is said of an address that can not be reached in time.
    pub(crate) fn out_of_time(&self, address: &Address) -> String {
        format!("{address}: no connection within {:?}", self.connect_timeout)
    }

    async fn open_in_time(&self, address: &Address) -> Result<Stream, String> {
        let stream =
            TcpStream::connect((address.host.as_str(), address.port)).await.map_err(|error| error.to_string())?;
        self.tune(&stream).map_err(|error| error.to_string())?;
        let Some(tls) = &self.tls else { return Ok(Stream::Tcp(stream)) };
        let name = tls.server_name(&address.host).map_err(|error| error.to_string())?;
        let stream = TlsConnector::from(std::sync::Arc::clone(&tls.config))
            .connect(name, stream)
            .await
            .map_err(|error| tls::describe(&error))?;
        Ok(Stream::Tls(Box::new(stream.into())))
    }

    fn tune(&self, stream: &TcpStream) -> std::io::Result<()> {
        stream.set_nodelay(self.nodelay)?;
        if !self.keepalive.is_zero() {
            let socket = SockRef::from(stream);
            let between = (self.keepalive / 3).max(Duration::from_secs(1));
            let keepalive = TcpKeepalive::new().with_time(self.keepalive).with_interval(between).with_retries(3);
            socket.set_tcp_keepalive(&keepalive)?;
            // Keepalive rests while bytes are under way; this bounds how long they may go unacknowledged.
            #[cfg(target_os = "linux")]
            socket.set_tcp_user_timeout(Some(self.keepalive * 2))?;
        }
        Ok(())
    }
}

/// A host and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    /// A name, or an address without brackets.
    pub(crate) host: String,
    /// The port.
    pub(crate) port: u16,
}

impl FromStr for Address {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (host, port) = text.rsplit_once(':').ok_or("must be \"host:port\"; there is no port")?;
        let port = port.parse().ok().filter(|&port| port != 0).ok_or("the port must be a number from 1 to 65535")?;
        let host = match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            Some(address) => address,
            None if host.contains(':') => return Err("an IPv6 address stands in brackets, as in \"[::1]:5000\""),
            None => host,
        };
        if host.is_empty() || host.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err("must be \"host:port\"; there is no host");
        }
        Ok(Self { host: host.to_owned(), port })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// The links of one engine, or of one simulated platform.
pub(crate) struct Links<M> {
    links: HashMap<LinkId, Link>,
    last_opening: u64,
    sink: mpsc::Sender<M>,
    tasks: TaskTracker,
}

impl<M: From<DriverEvent> + Send + 'static> Links<M> {
    /// None yet.
    pub(crate) fn new(sink: mpsc::Sender<M>) -> Self {
        Self { links: HashMap::new(), last_opening: 0, sink, tasks: TaskTracker::new() }
    }

    /// Starts a link with the stream that `open` makes. One of the same id is closed.
    pub(crate) fn open(&mut self, link: LinkId, open: impl Future<Output = Result<Stream, String>> + Send + 'static) {
        self.last_opening += 1;
        let (near, task) = Link::new(Opening { link, number: self.last_opening }, self.sink.clone());
        self.tasks.spawn(task.run(open));
        self.links.insert(link, near);
    }

    /// Queues bytes. On a link that is not open they are lost, and that it is closed was reported.
    pub(crate) fn send(&mut self, link: LinkId, bytes: Bytes) {
        if let Some(link) = self.links.get_mut(&link) {
            link.send(bytes);
        }
    }

    /// Closes a link after what is queued. Nothing more comes from it.
    pub(crate) fn close(&mut self, link: LinkId) {
        self.links.remove(&link);
    }

    /// Whether an event still counts: its link has not been closed or opened again since.
    pub(crate) fn is_current(&self, opening: Opening) -> bool {
        self.links.get(&opening.link).is_some_and(|link| link.opening == opening)
    }

    /// Closes every link and waits for their tasks, which takes a few seconds at most.
    pub(crate) async fn shutdown(mut self) {
        self.links.clear();
        self.tasks.close();
        // Nobody may be reading the sink any more, so tasks that want to report are not waited for without end.
        let _ = tokio::time::timeout(Duration::from_secs(6), self.tasks.wait()).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_written() {
        for text in ["cas.example:5000", "10.0.0.1:1", "[::1]:65535"] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
        for text in ["", "cas", ":5000", "cas:", "cas:0", "cas:65536", "::1:5000", "[]:1", "a b:1"] {
            text.parse::<Address>().unwrap_err();
        }
    }

    #[tokio::test]
    async fn a_peer_that_vanishes_is_noticed_by_the_system() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut dialer = Dialer {
            addresses: vec![listener.local_addr().unwrap().to_string().parse().unwrap()],
            opener: Opener {
                connect_timeout: Duration::from_secs(30),
                nodelay: true,
                keepalive: Duration::from_secs(30),
                tls: None,
            },
        };
        let Stream::Tcp(stream) = dialer.open().await.unwrap() else { panic!("TLS was not asked for") };
        let socket = SockRef::from(&stream);
        assert!(socket.keepalive().unwrap() && stream.nodelay().unwrap());
        assert_eq!(socket.tcp_keepalive_time().unwrap(), Duration::from_secs(30));
        assert_eq!(socket.tcp_keepalive_interval().unwrap(), Duration::from_secs(10));
        #[cfg(target_os = "linux")]
        assert_eq!(socket.tcp_user_timeout().unwrap(), Some(Duration::from_secs(60)));

        dialer.opener.keepalive = Duration::ZERO;
        let Stream::Tcp(stream) = dialer.open().await.unwrap() else { panic!("TLS was not asked for") };
        assert!(!SockRef::from(&stream).keepalive().unwrap());
    }
}
