//! What the tests share.

pub(crate) mod platforms;
pub(crate) mod scripted_ftp;
pub(crate) mod scripted_http;
#[cfg(feature = "sftp")]
pub(crate) mod sshd;

use std::time::Duration;

use bytes::Bytes;
use headgate::drive::{Connection, ConnectionError, DriverEvent, Drivers};
use headgate_codecs::registry::Transport;
use headgate_core::adapter::{Done, Effect, EffectId, FileAnswer, FileCall, FileError, Input, LinkId};
use headgate_core::http::{HttpAnswer, HttpCall, HttpError};
use headgate_core::table::{TableAnswer, TableCall, TableError};
pub(crate) use headgate_site::server::PATIENCE;
use tokio::sync::mpsc;

/// Reads a `connection` table.
pub(crate) fn connection(toml: &str) -> Connection {
    toml::from_str(toml).unwrap_or_else(|error| panic!("{error}\n{toml}"))
}

/// The error that a table gives.
pub(crate) fn refusal(transport: Transport, toml: &str) -> ConnectionError {
    connection(toml).validate(transport).expect_err("this table must be refused")
}

/// What an engine would have been told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    Connected(LinkId),
    Received(LinkId, Vec<u8>),
    Closed(LinkId, String),
    File(EffectId, Result<FileAnswer, FileError>),
    Http(EffectId, Result<HttpAnswer, HttpError>),
    Table(EffectId, Result<TableAnswer, TableError>),
}

/// Drivers in the place of an engine.
pub(crate) struct Driven {
    pub(crate) drivers: Drivers<DriverEvent>,
    events: mpsc::Receiver<DriverEvent>,
    last: EffectId,
}

impl Driven {
    /// Drivers for the table `toml`.
    pub(crate) fn new(transport: Transport, toml: &str) -> Self {
        let (sink, events) = mpsc::channel(8);
        let drivers = Drivers::new(transport, &connection(toml), sink).unwrap_or_else(|error| panic!("{error}"));
        Self { drivers, events, last: EffectId::default() }
    }

    /// Has an effect carried out.
    pub(crate) fn carry_out(&mut self, effect: Effect) -> EffectId {
        let id = self.last.next();
        self.drivers.carry_out(id, effect);
        id
    }

    pub(crate) fn send(&mut self, link: LinkId, bytes: impl Into<Bytes>) {
        self.carry_out(Effect::Send(link, bytes.into()));
    }

    /// What the engine is told next.
    pub(crate) async fn next(&mut self) -> Told {
        self.next_within(PATIENCE).await.expect("nothing happened")
    }

    /// What the engine is told next, if it is told something in time.
    pub(crate) async fn next_within(&mut self, patience: Duration) -> Option<Told> {
        tokio::time::timeout(patience, async {
            loop {
                let event = self.events.recv().await.expect("the drivers hold the sink");
                let mut told = None;
                self.drivers.deliver(event, |input| told = Some(tell(input)));
                if let Some(told) = told {
                    return told;
                }
            }
        })
        .await
        .ok()
    }

    /// Opens a link, which must succeed.
    pub(crate) async fn connect(&mut self, link: LinkId) {
        self.carry_out(Effect::Connect(link));
        assert_eq!(self.next().await, Told::Connected(link));
    }

    /// Opens a link, which must fail, and tells why it did.
    pub(crate) async fn connect_in_vain(&mut self, link: LinkId) -> String {
        self.carry_out(Effect::Connect(link));
        self.closed().await
    }

    /// Why the link is closed, which is what must happen next.
    pub(crate) async fn closed(&mut self) -> String {
        match self.next().await {
            Told::Closed(_, why) => why,
            other => panic!("{other:?} instead of a closed link"),
        }
    }

    /// As many bytes as are asked for, which must be what comes next.
    pub(crate) async fn receive(&mut self, length: usize) -> Vec<u8> {
        let mut all = Vec::new();
        while all.len() < length {
            match self.next().await {
                Told::Received(_, bytes) => all.extend(bytes),
                other => panic!("{other:?} instead of bytes; there were {} of {length}", all.len()),
            }
        }
        all
    }

    /// Shuts down; what is reported meanwhile is thrown away.
    pub(crate) async fn shutdown(self) {
        let Self { drivers, mut events, .. } = self;
        let reading = tokio::spawn(async move { while events.recv().await.is_some() {} });
        tokio::time::timeout(PATIENCE, drivers.shutdown()).await.expect("shutting down takes too long");
        reading.await.unwrap();
    }

    /// Shuts down while nobody reads what is reported.
    pub(crate) async fn shutdown_unread(self) {
        let Self { drivers, events, .. } = self;
        drop(events);
        tokio::time::timeout(PATIENCE, drivers.shutdown()).await.expect("shutting down takes too long");
    }

    /// The result of a table call.
    pub(crate) async fn table(&mut self, call: TableCall) -> Result<TableAnswer, TableError> {
        let id = self.carry_out(Effect::Table(call));
        match self.next().await {
            Told::Table(answered, result) if answered == id => result,
            other => panic!("{other:?} instead of the answer to {id:?}"),
        }
    }

    /// The result of an HTTP call.
    pub(crate) async fn http(&mut self, call: HttpCall) -> Result<HttpAnswer, HttpError> {
        let id = self.carry_out(Effect::Http(call));
        match self.next().await {
            Told::Http(answered, result) if answered == id => result,
            other => panic!("{other:?} instead of the answer to {id:?}"),
        }
    }

    /// The results of HTTP calls made at once, in the order of the calls.
    pub(crate) async fn http_all(
        &mut self,
        calls: impl IntoIterator<Item = HttpCall>,
    ) -> Vec<Result<HttpAnswer, HttpError>> {
        let ids: Vec<_> = calls.into_iter().map(|call| self.carry_out(Effect::Http(call))).collect();
        let mut results = std::collections::HashMap::new();
        while results.len() < ids.len() {
            match self.next().await {
                Told::Http(id, result) => assert!(results.insert(id, result).is_none(), "answered twice"),
                other => panic!("{other:?} instead of an answer"),
            }
        }
        ids.iter().map(|id| results.remove(id).expect("each call has its answer")).collect()
    }

    /// The result of a file call.
    pub(crate) async fn file(&mut self, call: FileCall) -> Result<FileAnswer, FileError> {
        let id = self.carry_out(Effect::File(call));
        match self.next().await {
            Told::File(answered, result) if answered == id => result,
            other => panic!("{other:?} instead of the answer to {id:?}"),
        }
    }

    pub(crate) async fn list(&mut self, directory: &str) -> Result<Vec<String>, FileError> {
        let answer = self.file(FileCall::List { directory: directory.to_owned() }).await?;
        match answer {
            FileAnswer::Names(mut names) => {
                names.sort();
                Ok(names)
            }
            other => panic!("{other:?} instead of names"),
        }
    }

    pub(crate) async fn read(&mut self, path: &str, limit: usize) -> Result<Bytes, FileError> {
        match self.file(FileCall::Read { path: path.to_owned(), limit }).await? {
            FileAnswer::Contents(contents) => Ok(contents),
            other => panic!("{other:?} instead of contents"),
        }
    }

    /// Puts a file by way of one with `.tmp` in place of its ending.
    pub(crate) async fn put(&mut self, path: &str, contents: &[u8]) -> Result<(), FileError> {
        let temporary = format!("{}.tmp", path.rsplit_once('.').map_or(path, |(stem, _)| stem));
        let contents = Bytes::copy_from_slice(contents);
        done(self.file(FileCall::Put { path: path.to_owned(), temporary, contents }).await)
    }

    pub(crate) async fn rename(&mut self, from: &str, to: &str) -> Result<(), FileError> {
        done(self.file(FileCall::Rename { from: from.to_owned(), to: to.to_owned() }).await)
    }

    pub(crate) async fn delete(&mut self, path: &str) -> Result<(), FileError> {
        done(self.file(FileCall::Delete { path: path.to_owned() }).await)
    }
}

fn done(result: Result<FileAnswer, FileError>) -> Result<(), FileError> {
    match result? {
        FileAnswer::Done => Ok(()),
        other => panic!("{other:?} instead of done"),
    }
}

fn tell(input: Input<'_>) -> Told {
    match input {
        Input::Connected(link) => Told::Connected(link),
        Input::Received(link, bytes) => Told::Received(link, bytes.to_vec()),
        Input::Closed(link, why) => Told::Closed(link, why.to_owned()),
        Input::Done(id, Done::File(result)) => Told::File(id, result),
        Input::Done(id, Done::Http(result)) => Told::Http(id, result),
        Input::Done(id, Done::Table(result)) => Told::Table(id, result),
        other => panic!("{other:?} is nothing that drivers tell"),
    }
}
