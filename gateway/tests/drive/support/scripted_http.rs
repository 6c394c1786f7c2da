//! An HTTP/1.1 server that sends what a test wants, byte by byte: for what real servers do only on bad days.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// One request that came.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// By which connection, counted from 0.
    pub(crate) connection: usize,
    /// Which it is of all requests, counted from 0.
    pub(crate) number: usize,
    /// The request line and the header fields.
    pub(crate) head: String,
    /// The body.
    pub(crate) body: Vec<u8>,
}

/// What it does about a request, in order. Without [`Act::HangUp`] the connection stays open.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// Sends this.
    Send(Vec<u8>),
    /// Sends this again and again until nobody takes it; adds up what was taken in [`ScriptedHttp::sent`].
    Flood(&'static [u8]),
    /// Does nothing for that long.
    Wait(Duration),
    /// Waits until the test says so: see [`ScriptedHttp::release`].
    Hold,
    /// Closes the connection.
    HangUp,
}

/// A whole answer with a body.
pub(crate) fn answer(body: &str) -> Vec<Act> {
    vec![Act::Send(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes())]
}

/// Bytes, and then the end of the connection.
pub(crate) fn then_hang_up(bytes: &str) -> Vec<Act> {
    vec![Act::Send(bytes.as_bytes().to_vec()), Act::HangUp]
}

/// The server. It ends with the test's runtime.
pub(crate) struct ScriptedHttp {
    pub(crate) address: SocketAddr,
    record: Arc<Record>,
}

#[derive(Default)]
struct Record {
    seen: Mutex<Vec<Seen>>,
    connections: Mutex<usize>,
    sent: Mutex<usize>,
    held: tokio::sync::Notify,
}

impl ScriptedHttp {
    /// Starts one. `script` is asked about each request once it is there whole.
    pub(crate) async fn start(script: impl Fn(&Seen) -> Vec<Act> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (script, record) = (Arc::new(script), Arc::<Record>::default());
        let shared = Arc::clone(&record);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let connection = {
                    let mut connections = shared.connections.lock().unwrap();
                    *connections += 1;
                    *connections - 1
                };
                let (script, shared) = (Arc::clone(&script), Arc::clone(&shared));
                // A client that goes away ends its connection; nothing else can go wrong here.
                tokio::spawn(async move { drop(serve(stream, connection, &*script, &shared).await) });
            }
        });
        Self { address, record }
    }

    /// A `connection` table for it.
    pub(crate) fn table(&self, more: &str) -> String {
        format!("url = \"http://{}\"\n{more}", self.address)
    }

    /// The requests that came, in order.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.record.seen.lock().unwrap().clone()
    }

    /// How many connections were opened.
    pub(crate) fn connections(&self) -> usize {
        *self.record.connections.lock().unwrap()
    }

    /// How many bytes of a flood were taken.
    pub(crate) fn sent(&self) -> usize {
        *self.record.sent.lock().unwrap()
    }

    /// Lets one that is held go on, now or when it comes to that.
    pub(crate) fn release(&self) {
        self.record.held.notify_one();
    }
}

async fn serve(
    mut stream: TcpStream,
    connection: usize,
    script: &(dyn Fn(&Seen) -> Vec<Act> + Send + Sync),
    record: &Record,
) -> std::io::Result<()> {
    let mut buffer = Vec::new();
    loop {
        let Some((head, body)) = request(&mut stream, &mut buffer).await? else { return Ok(()) };
        let seen = {
            let mut all = record.seen.lock().unwrap();
            let number = all.len();
            all.push(Seen { connection, number, head, body });
            all.last().unwrap().clone()
        };
        for act in script(&seen) {
            match act {
                Act::Send(bytes) => stream.write_all(&bytes).await?,
                Act::Flood(bytes) => loop {
                    stream.write_all(bytes).await?;
                    *record.sent.lock().unwrap() += bytes.len();
                },
                Act::Wait(time) => tokio::time::sleep(time).await,
                Act::Hold => record.held.notified().await,
                Act::HangUp => return stream.shutdown().await,
            }
        }
    }
}

/// The next request's head and body; nothing, if the client has closed.
async fn request(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> std::io::Result<Option<(String, Vec<u8>)>> {
    let end = loop {
        if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    };
    let head = String::from_utf8(buffer.drain(..end + 4).collect()).unwrap();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
    while buffer.len() < length {
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
    Ok(Some((head, buffer.drain(..length).collect())))
}
