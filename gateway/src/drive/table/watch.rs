//! Waiting to be told by the database: PostgreSQL's `LISTEN`, on a connection of its own.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;

use headgate_core::adapter::EffectId;
use headgate_core::table::{Identifier, TableAnswer, TableCall, TableError};
use tokio::sync::{Notify, mpsc, watch as latest};
use tokio::task::JoinHandle;
use tokio_postgres::{AsyncMessage, Client, Connection, NoTls};

use super::postgres::{MakeTls, config, sql_error};
use super::session::Database;
use super::{DriverEvent, TableResult};
use crate::drive::connection::DatabaseKind;

/// The task that waits.
pub(super) struct Watcher {
    database: latest::Receiver<Arc<Database>>,
    listening: Option<(Identifier, Listener)>,
}

/// A connection that listens.
struct Listener {
    /// Dropped, the connection ends.
    _client: Client,
    told: Arc<Notify>,
    carrier: JoinHandle<String>,
}

impl Watcher {
    pub(super) const fn new(database: latest::Receiver<Arc<Database>>) -> Self {
        Self { database, listening: None }
    }

    pub(super) async fn run<M: From<DriverEvent>>(
        mut self,
        mut watches: mpsc::UnboundedReceiver<(EffectId, TableCall)>,
        sink: mpsc::Sender<M>,
    ) {
        while let Some((id, call)) = watches.recv().await {
            let TableCall::Watch { channel } = call else { continue };
            let result = self.wait(channel).await;
            if sink.send(DriverEvent::Table(id, result).into()).await.is_err() {
                return;
            }
        }
    }

    /// Waits until something happens on the channel, or the connection breaks.
    async fn wait(&mut self, channel: Identifier) -> TableResult {
        if self.database.has_changed().unwrap_or(false) || self.listening.as_ref().is_some_and(|(on, _)| *on != channel)
        {
            self.listening = None;
        }
        let database = Arc::clone(&self.database.borrow_and_update());
        if database.settings.kind != DatabaseKind::Postgres {
            return Err(TableError::not_done(TableError::UNSUPPORTED, "only PostgreSQL tells when something happened"));
        }
        let (channel, mut listener) = match self.listening.take() {
            Some(listening) => listening,
            None => {
                let limit = database.settings.connect_timeout;
                let late = |_| TableError::not_done(TableError::CONNECT_FAILED, format!("no answer within {limit:?}"));
                let opened = tokio::time::timeout(limit, Listener::open(&database, &channel)).await.map_err(late)??;
                (channel, opened)
            }
        };
        tokio::select! {
            () = listener.told.notified() => {
                self.listening = Some((channel, listener));
                Ok(TableAnswer::Notified)
            }
            ended = &mut listener.carrier => {
                let why = ended.unwrap_or_else(|_| "its task failed".to_owned());
                Err(TableError::not_done(TableError::CONNECTION_LOST, why))
            }
        }
    }
}

impl Listener {
    async fn open(database: &Database, channel: &Identifier) -> Result<Self, TableError> {
        let failed = |error| TableError::not_done(TableError::CONNECT_FAILED, sql_error(error).text);
        let told = Arc::new(Notify::new());
        let (client, carrier) = match &database.tls {
            None => {
                let (client, connection) = config(database).connect(NoTls).await.map_err(failed)?;
                (client, tokio::spawn(carry(connection, Arc::clone(&told))))
            }
            Some(tls) => {
                let (client, connection) = config(database).connect(MakeTls(tls.clone())).await.map_err(failed)?;
                (client, tokio::spawn(carry(connection, Arc::clone(&told))))
            }
        };
        client.batch_execute(&headgate_codecs::sql::listen(channel).text).await.map_err(failed)?;
        // What happened before somebody listened is not known.
        told.notify_one();
        Ok(Self { _client: client, told, carrier })
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.carrier.abort();
    }
}

/// Carries the connection's bytes until it ends; tells why it did.
async fn carry<S, T>(connection: Connection<S, T>, told: Arc<Notify>) -> String
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let mut connection = pin!(connection);
    loop {
        match poll_fn(|context| connection.as_mut().get_mut().poll_message(context)).await {
            Some(Ok(AsyncMessage::Notification(_))) => told.notify_one(),
            Some(Ok(_)) => {}
            Some(Err(error)) => return sql_error(error).text,
            None => return "the connection ended".to_owned(),
        }
    }
}
