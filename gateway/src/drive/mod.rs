//! Effects carried out: what an adapter asks for, done on real sockets and files and by HTTP calls.
//!
//! [`Drivers`] belongs to the task that runs an engine. The task hands effects to
//! [`Drivers::carry_out`], which never blocks; what comes of them arrives as [`DriverEvent`]s in the task's own
//! channel, and the task hands each to [`Drivers::deliver`], which turns it into the adapter's input.

pub mod connection;
pub(crate) mod file;
mod http;
mod link;
pub(crate) mod route;
pub(crate) mod stream;
pub(crate) mod table;
pub mod tls;

use std::sync::Arc;

use bytes::Bytes;
use headgate_codecs::registry::Transport;
use headgate_core::adapter::{Done, Effect, EffectId, FileAnswer, FileError, FileErrorKind, Input, LinkId};
use headgate_core::failure::Sent;
use headgate_core::http::{CallId, HttpAnswer, HttpError, HttpReply};
use headgate_core::table::{TableAnswer, TableError};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use connection::{Connection, ConnectionError};
use file::local::LocalDirectory;
use file::{AnyTransport, FileTask};
use http::{Answering, Calls};
use route::Route;
use stream::{Dialer, Links, Stream};
use table::{Database, TableTask};

/// Something that happened outside, on its way to an engine. See [`Drivers::deliver`].
#[derive(Debug)]
pub enum DriverEvent {
    /// A link is open.
    Connected(Opening),
    /// Bytes came.
    Received(Opening, Bytes),
    /// A link is closed, or could not be opened.
    Closed(Opening, String),
    /// A file call ended.
    File(EffectId, Result<FileAnswer, FileError>),
    /// An HTTP call ended.
    Http(EffectId, Result<HttpAnswer, HttpError>),
    /// A table call ended.
    Table(EffectId, Result<TableAnswer, TableError>),
}

/// Names one opening of a link. An adapter may close a link and open it again under the same id while
/// events of the earlier opening are still on their way; by this they are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opening {
    /// The link.
    pub link: LinkId,
    number: u64,
}

/// Carries out the effects of one engine. What happens goes to a bounded channel of the engine's own messages;
/// while it is full, links are not read.
pub struct Drivers<M> {
    way: Way<M>,
    sink: mpsc::Sender<M>,
}

enum Way<M> {
    Stream {
        dialer: Option<Arc<Dialer>>,
        links: Links<M>,
    },
    Files(FileTask),
    Calls(Calls),
    /// Of a simulated platform, and of a provider that is served.
    Answering(Answering),
    Table(TableTask),
}

impl<M: From<DriverEvent> + Send + 'static> Drivers<M> {
    /// Makes ready what `connection` describes. Opens nothing yet. Needs a tokio runtime.
    ///
    /// # Errors
    /// [`ConnectionError`] as [`Connection::validate`] gives it.
    pub fn new(transport: Transport, connection: &Connection, sink: mpsc::Sender<M>) -> Result<Self, ConnectionError> {
        let way = match Route::new(transport, connection)? {
            Route::Stream(dialer) => Way::Stream { dialer: Some(Arc::new(dialer)), links: Links::new(sink.clone()) },
            Route::Files(transport) => Way::Files(FileTask::spawn(transport, sink.clone())),
            Route::Http(client) => Way::Calls(Calls::spawn(client, sink.clone())),
            Route::Served => Way::Answering(Answering::default()),
            Route::Table(database) => Way::Table(TableTask::spawn(*database, &sink)),
        };
        Ok(Self { way, sink })
    }

    /// The drivers of a simulated platform, whose links are opened from outside: see [`Drivers::accept`].
    pub(crate) fn accepting(sink: mpsc::Sender<M>) -> Self {
        Self { way: Way::Stream { dialer: None, links: Links::new(sink.clone()) }, sink }
    }

    /// The drivers of a simulated platform that works on a directory.
    pub(crate) fn on_directory(directory: LocalDirectory, sink: mpsc::Sender<M>) -> Self {
        Self { way: Way::Files(FileTask::spawn(AnyTransport::Local(directory), sink.clone())), sink }
    }

    /// The drivers of a simulated platform that answers calls, which come by connections that `tasks` tracks and
    /// that `kill` cuts: see [`Drivers::called`].
    pub(crate) fn answering(tasks: TaskTracker, kill: CancellationToken, sink: mpsc::Sender<M>) -> Self {
        Self { way: Way::Answering(Answering::new(tasks, kill)), sink }
    }

    /// Takes note of a call that came. What it is answered with goes to `reply`; that is dropped if there are no
    /// calls here.
    pub(crate) fn called(&mut self, reply: oneshot::Sender<HttpReply>) -> Option<CallId> {
        match &mut self.way {
            Way::Answering(answering) => Some(answering.called(reply)),
            Way::Stream { .. } | Way::Files(_) | Way::Calls(_) | Way::Table(_) => None,
        }
    }

    /// The drivers of a simulated platform that works on a table.
    pub(crate) fn on_table(database: Database, sink: mpsc::Sender<M>) -> Self {
        Self { way: Way::Table(TableTask::spawn(database, &sink)), sink }
    }

    /// Takes a stream that somebody opened as `link`.
    pub(crate) fn accept(&mut self, link: LinkId, stream: Stream) {
        if let Way::Stream { links, .. } = &mut self.way {
            links.open(link, std::future::ready(Ok(stream)));
        }
    }

    /// Carries an effect out, in the order of the calls. Never blocks.
    ///
    /// [`Effect::Record`] is for the store, not for drivers, and is passed over.
    pub fn carry_out(&mut self, id: EffectId, effect: Effect) {
        match (&mut self.way, effect) {
            (Way::Stream { dialer: Some(dialer), links }, Effect::Connect(link)) => {
                let dialer = Arc::clone(dialer);
                links.open(link, async move { dialer.open().await });
            }
            (Way::Stream { dialer: None, links }, Effect::Connect(link)) => {
                links.open(link, std::future::ready(Err("a simulated platform opens no links".to_owned())));
            }
            (Way::Stream { links, .. }, Effect::Send(link, bytes)) => links.send(link, bytes),
            (Way::Stream { links, .. }, Effect::Close(link)) => links.close(link),
            (Way::Files(files), Effect::File(call)) => files.call(id, call),
            (Way::Calls(calls), Effect::Http(call)) => calls.call(id, call),
            (Way::Answering(answering), Effect::Reply(call, reply)) => answering.reply(call, reply),
            (Way::Table(table), Effect::Table(call)) => table.call(id, call),
            // What expects an answer gets one.
            (_, Effect::Table(_)) => {
                let error = TableError::not_done(TableError::UNSUPPORTED, "this provider is not connected by a table");
                self.report(DriverEvent::Table(id, Err(error)));
            }
            (_, Effect::File(_)) => {
                let text = "this provider is not connected by files".to_owned();
                self.report(DriverEvent::File(id, Err(FileError { kind: FileErrorKind::Other, text, sent: Sent::No })));
            }
            (_, Effect::Http(_)) => {
                let text = "this provider is not connected by HTTP".to_owned();
                self.report(DriverEvent::Http(id, Err(HttpError { code: "connect_failed", text, sent: Sent::No })));
            }
            (_, effect) => tracing::error!(?effect, "an effect that these drivers do not carry out"),
        }
    }

    /// Hands an event on as an adapter's input; unless it comes from a link that the adapter has closed
    /// since.
    pub fn deliver(&mut self, event: DriverEvent, to: impl FnOnce(Input<'_>)) {
        match event {
            DriverEvent::File(id, result) => to(Input::Done(id, Done::File(result))),
            DriverEvent::Http(id, result) => to(Input::Done(id, Done::Http(result))),
            DriverEvent::Table(id, result) => to(Input::Done(id, Done::Table(result))),
            DriverEvent::Connected(opening) if self.is_current(opening) => to(Input::Connected(opening.link)),
            DriverEvent::Received(opening, bytes) if self.is_current(opening) => {
                to(Input::Received(opening.link, &bytes));
            }
            DriverEvent::Closed(opening, why) if self.is_current(opening) => {
                if let Way::Stream { links, .. } = &mut self.way {
                    links.close(opening.link);
                }
                to(Input::Closed(opening.link, &why));
            }
            DriverEvent::Connected(_) | DriverEvent::Received(..) | DriverEvent::Closed(..) => {}
        }
    }

    /// Takes over changed settings, certificates and keys. Links that are open and calls under way stay as they
    /// are; the next ones, and the next file session, follow the new settings.
    ///
    /// # Errors
    /// [`ConnectionError`] if something can not be; then nothing has changed.
    pub fn reload(&mut self, transport: Transport, connection: &Connection) -> Result<(), ConnectionError> {
        match (&mut self.way, Route::new(transport, connection)?) {
            (Way::Stream { dialer, .. }, Route::Stream(new)) => *dialer = Some(Arc::new(new)),
            (Way::Files(files), Route::Files(new)) => files.replace(new),
            (Way::Calls(calls), Route::Http(new)) => calls.replace(new),
            (Way::Answering(_), Route::Served) => {}
            (Way::Table(table), Route::Table(new)) => table.replace(*new),
            _ => return Err(ConnectionError::new("", "what carries a protocol can not change while it runs")),
        }
        Ok(())
    }

    /// Closes everything, after what was asked for before. Takes a few seconds at most with links; with files, tables
    /// and HTTP as long as the calls that were queued, but no longer than half a minute. Go on reading the channel
    /// meanwhile if there are such calls: once nobody reads, the rest of them is given up.
    pub async fn shutdown(self) {
        match self.way {
            Way::Stream { links, .. } => links.shutdown().await,
            Way::Files(files) => files.shutdown().await,
            Way::Calls(calls) => calls.shutdown().await,
            Way::Answering(answering) => answering.shutdown().await,
            Way::Table(table) => table.shutdown().await,
        }
    }

    fn is_current(&self, opening: Opening) -> bool {
        matches!(&self.way, Way::Stream { links, .. } if links.is_current(opening))
    }

    fn report(&self, event: DriverEvent) {
        let sink = self.sink.clone();
        tokio::spawn(async move {
            let _ = sink.send(event.into()).await;
        });
    }
}
