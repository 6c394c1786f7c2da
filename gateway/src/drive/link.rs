//! One link that is open, or being opened: bytes queued on one side come out on the wire, bytes from
//! the wire come out as events.
//!
//! A link is one task that reads and writes side by side. Reading waits while the sink is full, so an
//! engine that can not keep up slows its platform down. Writing gathers everything that is queued
//! into few large writes; what a peer does not take is bounded by [`QUEUE_LIMIT`].

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{mpsc, oneshot};

use super::stream::Stream;
use super::{DriverEvent, Opening, tls};

/// Most bytes that may wait to be sent on one link: 16 MiB. One that exceeds it is closed; so nothing longer
/// can be sent at once.
pub(crate) const QUEUE_LIMIT: usize = 16 << 20;

/// How long a closing link may take to send what is queued.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a link that will not be written to any more is still read: what has arrived after writing
/// failed must not be lost, and closing with bytes unread would cost the peer what we sent last.
const LINGER: Duration = Duration::from_secs(1);

const READ_BUFFER: usize = 64 << 10;
const WRITE_BUFFER: usize = 64 << 10;
const WRITE_BATCH: usize = 512;

/// The near end of a link. Dropping it closes the link, after what was sent.
pub(crate) struct Link {
    pub(crate) opening: Opening,
    queue: mpsc::UnboundedSender<Bytes>,
    queued: Arc<AtomicUsize>,
    fail: Option<oneshot::Sender<String>>,
}

impl Link {
    /// A link and the task that is to carry it.
    pub(crate) fn new<M>(opening: Opening, sink: mpsc::Sender<M>) -> (Self, LinkTask<M>) {
        let (queue, queue_out) = mpsc::unbounded_channel();
        let (fail, ending) = oneshot::channel();
        let queued = Arc::new(AtomicUsize::new(0));
        let task = LinkTask { opening, queue: queue_out, queued: Arc::clone(&queued), ending, sink };
        (Self { opening, queue, queued, fail: Some(fail) }, task)
    }

    /// Queues `bytes`. Past the limit the link fails instead, and reports itself closed.
    pub(crate) fn send(&mut self, bytes: Bytes) {
        let Some(fail) = &self.fail else { return };
        let length = bytes.len();
        if self.queued.fetch_add(length, Ordering::Relaxed).saturating_add(length) <= QUEUE_LIMIT {
            // It fails when the link has ended; its end is reported already.
            let _ = self.queue.send(bytes);
        } else if !fail.is_closed()
            && let Some(fail) = self.fail.take()
        {
            let _ = fail.send(format!("the peer does not read: more than {} MiB wait to be sent", QUEUE_LIMIT >> 20));
        }
    }
}

/// The far end of a link: what runs as its task.
pub(crate) struct LinkTask<M> {
    opening: Opening,
    queue: mpsc::UnboundedReceiver<Bytes>,
    queued: Arc<AtomicUsize>,
    /// A reason: the link failed. No reason: it is to be closed.
    ending: oneshot::Receiver<String>,
    sink: mpsc::Sender<M>,
}

impl<M: From<DriverEvent>> LinkTask<M> {
    /// Opens the link and carries it until it ends. Reports [`DriverEvent::Closed`] once, unless it was
    /// asked to close.
    pub(crate) async fn run(mut self, open: impl Future<Output = Result<Stream, String>>) {
        let opened = tokio::select! {
            biased;
            end = &mut self.ending => match end {
                Ok(reason) => Err(reason),
                Err(_) => return,
            },
            opened = open => opened,
        };
        match opened {
            Ok(stream) => {
                if self.sink.send(DriverEvent::Connected(self.opening).into()).await.is_err() {
                    return;
                }
                match stream {
                    Stream::Tcp(stream) => {
                        let (reader, writer) = stream.into_split();
                        self.carry(reader, writer).await;
                    }
                    Stream::Tls(stream) => {
                        let (reader, writer) = tokio::io::split(*stream);
                        self.carry(reader, writer).await;
                    }
                }
            }
            Err(reason) => {
                let _ = self.sink.send(DriverEvent::Closed(self.opening, reason).into()).await;
            }
        }
    }

    async fn carry(self, reader: impl AsyncRead + Unpin, writer: impl AsyncWrite + Unpin) {
        let Self { opening, queue, queued, mut ending, sink } = self;
        let mut reading = std::pin::pin!(read(reader, opening, &sink));
        let mut writing = std::pin::pin!(write(writer, queue, &queued));
        let reason = tokio::select! {
            end = &mut ending => match end {
                Ok(reason) => return close(opening, reason, &sink).await,
                Err(_) => {
                    let sending = async {
                        tokio::select! {
                            _ = &mut writing => true,
                            // Reading goes on meanwhile: a peer that waits to be read may not read either.
                            _ = &mut reading => {
                                let _ = (&mut writing).await;
                                false
                            }
                        }
                    };
                    if tokio::time::timeout(CLOSE_TIMEOUT, sending).await == Ok(true) {
                        let _ = tokio::time::timeout(LINGER, reading).await;
                    }
                    return;
                }
            },
            reason = &mut reading => reason,
            written = &mut writing => {
                let _ = tokio::time::timeout(LINGER, reading).await;
                match written {
                    Ok(()) => return,
                    Err(error) => return close(opening, tls::describe(&error), &sink).await,
                }
            }
        };
        close(opening, reason, &sink).await;
        // The peer may have said its last and still read what is queued.
        let _ = tokio::time::timeout(CLOSE_TIMEOUT, writing).await;
    }
}

async fn close<M: From<DriverEvent>>(opening: Opening, reason: String, sink: &mpsc::Sender<M>) {
    let _ = sink.send(DriverEvent::Closed(opening, reason).into()).await;
}

/// Passes on what comes until nothing more comes; says why.
async fn read<M: From<DriverEvent>>(
    mut reader: impl AsyncRead + Unpin,
    opening: Opening,
    sink: &mpsc::Sender<M>,
) -> String {
    let mut buffer = BytesMut::with_capacity(READ_BUFFER);
    loop {
        // Takes the same memory again once everything read into it has been dropped.
        if buffer.capacity() < READ_BUFFER / 8 {
            buffer.reserve(READ_BUFFER);
        }
        match reader.read_buf(&mut buffer).await {
            Ok(0) => return "closed by the peer".to_owned(),
            Ok(_) => {
                let received = DriverEvent::Received(opening, buffer.split().freeze());
                if sink.send(received.into()).await.is_err() {
                    return "the gateway is stopping".to_owned();
                }
            }
            Err(error) => return tls::describe(&error),
        }
    }
}

/// Writes what is queued until the queue ends, then ends the stream.
async fn write(
    mut writer: impl AsyncWrite + Unpin,
    mut queue: mpsc::UnboundedReceiver<Bytes>,
    queued: &AtomicUsize,
) -> io::Result<()> {
    // Both grow with what is sent: a link that says little stays small.
    let mut batch = Vec::new();
    let mut gathered = BytesMut::new();
    while queue.recv_many(&mut batch, WRITE_BATCH).await > 0 {
        for bytes in batch.drain(..) {
            if gathered.len() + bytes.len() > WRITE_BUFFER {
                write_out(&mut writer, &gathered, queued).await?;
                gathered.clear();
            }
            if bytes.len() >= WRITE_BUFFER {
                write_out(&mut writer, &bytes, queued).await?;
            } else {
                gathered.extend_from_slice(&bytes);
            }
        }
        write_out(&mut writer, &gathered, queued).await?;
        gathered.clear();
        writer.flush().await?;
    }
    writer.shutdown().await
}

async fn write_out(writer: &mut (impl AsyncWrite + Unpin), bytes: &[u8], queued: &AtomicUsize) -> io::Result<()> {
    writer.write_all(bytes).await?;
    queued.fetch_sub(bytes.len(), Ordering::Relaxed);
    Ok(())
}
