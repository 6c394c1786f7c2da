//! The platform's side of calls: those that came and wait for an answer.

use std::collections::BTreeMap;
use std::time::Duration;

use headgate_core::http::{CallId, HttpReply};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long connections may take to send the last answers.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);

/// Hands a simulated platform's answers to the connections that its calls came by.
#[derive(Default)]
pub(crate) struct Answering {
    waiting: BTreeMap<CallId, oneshot::Sender<HttpReply>>,
    last: u64,
    /// The connections.
    tasks: TaskTracker,
    kill: CancellationToken,
}

impl Answering {
    /// For the connections that `tasks` tracks and that `kill` cuts.
    pub(crate) fn new(tasks: TaskTracker, kill: CancellationToken) -> Self {
        Self { waiting: BTreeMap::new(), last: 0, tasks, kill }
    }

    /// Takes note of a call that came.
    pub(crate) fn called(&mut self, reply: oneshot::Sender<HttpReply>) -> CallId {
        // Callers that left are forgotten: some platforms never answer some calls.
        self.waiting.retain(|_, reply| !reply.is_closed());
        self.last += 1;
        let id = CallId(self.last);
        self.waiting.insert(id, reply);
        id
    }

    /// Answers a call. The caller may have left.
    pub(crate) fn reply(&mut self, id: CallId, reply: HttpReply) {
        if let Some(waiting) = self.waiting.remove(&id) {
            let _ = waiting.send(reply);
        }
    }

    /// Leaves the calls that wait without an answer, and ends the connections after the answers that were given.
    pub(crate) async fn shutdown(self) {
        let Self { waiting, tasks, kill, .. } = self;
        drop(waiting);
        tasks.close();
        if tokio::time::timeout(SHUTDOWN_TIMEOUT, tasks.wait()).await.is_err() {
            kill.cancel();
            tasks.wait().await;
        }
    }
}
