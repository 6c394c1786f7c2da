//! Table calls carried out: by a small pool of sessions with one database, side by side.
//!
//! [`session`] is what the databases have in common, [`call`] makes a call's statements one after the other and
//! knows at every moment what has happened to it, [`watch`] waits to be told.

mod call;
mod mariadb;
mod postgres;
mod session;
mod sqlite;
mod values;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use headgate_core::adapter::EffectId;
use headgate_core::table::{TableAnswer, TableCall, TableError, TableShape};
use tokio::sync::{Mutex, mpsc, watch as latest};
use tokio::task::JoinSet;

use super::DriverEvent;
pub(crate) use session::Database;
use session::Session;
use watch::Watcher;

/// What a table call gives.
pub(crate) type TableResult = Result<TableAnswer, TableError>;

const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(30);

/// The tasks that carry out one provider's table calls.
pub(crate) struct TableTask {
    work: mpsc::UnboundedSender<(EffectId, TableCall)>,
    watches: mpsc::UnboundedSender<(EffectId, TableCall)>,
    database: latest::Sender<Arc<Database>>,
    tasks: JoinSet<()>,
    watcher: JoinSet<()>,
}

impl TableTask {
    /// Starts them. Nothing is connected before the first call.
    pub(crate) fn spawn<M>(database: Database, sink: &mpsc::Sender<M>) -> Self
    where
        M: From<DriverEvent> + Send + 'static,
    {
        let (work, queue) = mpsc::unbounded_channel();
        let (watches, watched) = mpsc::unbounded_channel();
        let sessions = database.settings.connections;
        let (sender, receiver) = latest::channel(Arc::new(database));
        let (queue, mut tasks) = (Arc::new(Mutex::new(queue)), JoinSet::new());
        for _ in 0..sessions {
            let worker = Worker { queue: Arc::clone(&queue), database: receiver.clone(), session: None };
            tasks.spawn(worker.run(sink.clone()));
        }
        let mut watcher = JoinSet::new();
        watcher.spawn(Watcher::new(receiver).run(watched, sink.clone()));
        Self { work, watches, database: sender, tasks, watcher }
    }

    /// Queues a call. The adapter bounds how many wait: it gets an answer to each.
    pub(crate) fn call(&self, id: EffectId, call: TableCall) {
        let queue = if matches!(call, TableCall::Watch { .. }) { &self.watches } else { &self.work };
        // The tasks end only when these senders are gone or nobody reads their answers.
        let _ = queue.send((id, call));
    }

    /// Uses other settings for the sessions opened after this; each session in use ends after its call.
    pub(crate) fn replace(&self, database: Database) {
        self.database.send_replace(Arc::new(database));
    }

    /// Ends the tasks after the calls that are queued. Who waits to be told is not waited for.
    pub(crate) async fn shutdown(self) {
        let Self { work, watches, mut tasks, watcher, .. } = self;
        drop((work, watches, watcher));
        let all = async { while tasks.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(SHUTDOWN_TIMEOUT, all).await;
    }
}

/// Makes the tables of a simulated platform, unless they are there.
///
/// # Errors
/// [`TableError`] if the database does not let us.
pub(crate) async fn create(database: &Database, shapes: &[TableShape]) -> Result<(), TableError> {
    let mut session = Session::open(database).await?;
    for shape in shapes {
        let statement = headgate_codecs::sql::create(session.dialect(), shape);
        let done = session.execute(&statement).await;
        done.map_err(|error| TableError::not_done(error.code, error.text))?;
    }
    session.close().await;
    Ok(())
}

/// Carries out calls, one after another, over a session of its own.
struct Worker {
    queue: Arc<Mutex<mpsc::UnboundedReceiver<(EffectId, TableCall)>>>,
    database: latest::Receiver<Arc<Database>>,
    session: Option<Session>,
}

impl Worker {
    async fn run<M: From<DriverEvent>>(mut self, sink: mpsc::Sender<M>) {
        while let Some((id, call)) = self.next().await {
            if self.database.has_changed().unwrap_or(false) {
                self.close().await;
            }
            let database = Arc::clone(&self.database.borrow_and_update());
            let result = self.carry_out(&database, &call).await;
            if let Err(error) = &result {
                tracing::debug!(?call, ?error, "a table call failed");
            }
            if sink.send(DriverEvent::Table(id, result).into()).await.is_err() {
                break;
            }
        }
        self.close().await;
    }

    /// The next call; a session that is not used meanwhile is closed.
    async fn next(&mut self) -> Option<(EffectId, TableCall)> {
        let queue = Arc::clone(&self.queue);
        let next = async move { queue.lock().await.recv().await };
        tokio::pin!(next);
        if self.session.is_some() {
            let idle = self.database.borrow().settings.idle;
            match tokio::time::timeout(idle, &mut next).await {
                Ok(next) => return next,
                Err(_) => self.close().await,
            }
        }
        next.await
    }

    async fn carry_out(&mut self, database: &Database, call: &TableCall) -> TableResult {
        loop {
            let reused = self.session.is_some();
            let mut session = match self.session.take() {
                Some(session) => session,
                None => Session::open(database).await?,
            };
            match call::carry_out(&mut session, call, database.settings.timeout).await {
                Ok(answer) => {
                    self.session = Some(session);
                    return Ok(answer);
                }
                // It had been closed while nobody used it: nothing of the call has left.
                Err(failed) if reused && failed.at_once && failed.broken => {}
                Err(failed) => {
                    if !failed.broken {
                        self.session = Some(session);
                    }
                    return Err(failed.error);
                }
            }
        }
    }

    async fn close(&mut self) {
        if let Some(session) = self.session.take() {
            session.close().await;
        }
    }
}
