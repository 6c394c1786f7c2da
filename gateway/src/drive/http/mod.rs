//! HTTP calls carried out: side by side, up to a limit, over connections that are kept.
//!
//! A call is sent once. What decides whether it may be repeated is whether the platform may have seen it, and that
//! only the adapter and the engine can weigh: so nothing here sends anything twice, and every failure says
//! whether the call may have left ([`failure`]).

mod answering;
mod client;
mod connector;
mod failure;
mod message;
pub(crate) mod settings;
mod url;

use std::sync::Arc;
use std::time::Duration;

use headgate_core::adapter::EffectId;
use headgate_core::http::HttpCall;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::DriverEvent;
pub(crate) use answering::Answering;
pub(crate) use client::Client;

/// How long calls that are under way at the end may still take.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(30);

/// What carries out one provider's calls.
pub(crate) struct Calls {
    work: mpsc::UnboundedSender<Work>,
    queue: JoinHandle<()>,
    tasks: TaskTracker,
    kill: CancellationToken,
}

enum Work {
    Call(EffectId, HttpCall),
    Replace(Arc<Client>),
}

impl Calls {
    /// Starts it.
    pub(crate) fn spawn<M>(client: Arc<Client>, sink: mpsc::Sender<M>) -> Self
    where
        M: From<DriverEvent> + Send + 'static,
    {
        let (work, work_out) = mpsc::unbounded_channel();
        let (tasks, kill) = (TaskTracker::new(), CancellationToken::new());
        let queue = tokio::spawn(run(client, work_out, sink, tasks.clone(), kill.clone()));
        Self { work, queue, tasks, kill }
    }

    /// Queues a call. The adapter bounds how many wait: it gets an answer to each.
    pub(crate) fn call(&self, id: EffectId, call: HttpCall) {
        // The queue ends only when this sender is gone or nobody reads its answers.
        let _ = self.work.send(Work::Call(id, call));
    }

    /// Uses another client for the calls after this. Those under way stay with theirs.
    pub(crate) fn replace(&self, client: Arc<Client>) {
        let _ = self.work.send(Work::Replace(client));
    }

    /// Ends after the calls that are queued and under way, or cuts them when they take too long.
    pub(crate) async fn shutdown(self) {
        let Self { work, mut queue, tasks, kill } = self;
        drop(work);
        let ended = async {
            // It fails if the queue panicked, and then there is nothing to wait for.
            let _ = (&mut queue).await;
            tasks.close();
            tasks.wait().await;
        };
        if tokio::time::timeout(SHUTDOWN_TIMEOUT, ended).await.is_err() {
            tracing::warn!(calls = tasks.len(), "HTTP calls did not end in time and are cut");
            queue.abort();
            kill.cancel();
        }
    }
}

/// Starts calls in their order, each once there is room for it.
async fn run<M>(
    mut client: Arc<Client>,
    mut work: mpsc::UnboundedReceiver<Work>,
    sink: mpsc::Sender<M>,
    tasks: TaskTracker,
    kill: CancellationToken,
) where
    M: From<DriverEvent> + Send + 'static,
{
    let mut room = Room::new(client.connections());
    while let Some(next) = work.recv().await {
        let (id, call) = match next {
            Work::Call(id, call) => (id, call),
            Work::Replace(next) => {
                room.resize(next.connections());
                client = next;
                continue;
            }
        };
        let permit = tokio::select! {
            permit = room.enter() => permit,
            () = sink.closed() => return,
        };
        let (client, sink, kill) = (Arc::clone(&client), sink.clone(), kill.clone());
        tasks.spawn(async move {
            let result = tokio::select! {
                result = client.call(&call) => result,
                () = kill.cancelled() => return,
            };
            drop(permit);
            if let Err(error) = &result {
                tracing::debug!(?call, ?error, "an HTTP call failed");
            }
            // Nobody may be reading any more.
            let _ = sink.send(DriverEvent::Http(id, result).into()).await;
        });
    }
}

/// Room for so many calls at once. It can be made smaller while it is full.
struct Room {
    permits: Arc<Semaphore>,
    size: usize,
    /// So many permits are to disappear as soon as they come back.
    too_many: usize,
}

impl Room {
    fn new(size: usize) -> Self {
        Self { permits: Arc::new(Semaphore::new(size)), size, too_many: 0 }
    }

    fn resize(&mut self, size: usize) {
        if let Some(more) = size.checked_sub(self.size) {
            let kept = more.min(self.too_many);
            self.too_many -= kept;
            self.permits.add_permits(more - kept);
        } else {
            let fewer = self.size - size;
            self.too_many += fewer - self.permits.forget_permits(fewer);
        }
        self.size = size;
    }

    /// Waits for room. Nothing, if it is closed, which it never is.
    async fn enter(&mut self) -> Option<OwnedSemaphorePermit> {
        loop {
            let permit = Arc::clone(&self.permits).acquire_owned().await.ok()?;
            if self.too_many == 0 {
                return Some(permit);
            }
            self.too_many -= 1;
            permit.forget();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn room_shrinks_while_it_is_full_and_grows_again() {
        let mut room = Room::new(3);
        let mut held: Vec<_> = (0..3).filter_map(|_| room.enter().now_or_never().flatten()).collect();
        assert_eq!(held.len(), 3);
        room.resize(1);
        held.truncate(1);
        assert!(room.enter().now_or_never().is_none(), "one of one is taken");
        held.clear();
        held.extend(room.enter().now_or_never().flatten());
        assert!(held.len() == 1 && room.enter().now_or_never().is_none());
        room.resize(2);
        held.extend(room.enter().now_or_never().flatten());
        assert!(held.len() == 2 && room.enter().now_or_never().is_none());
        room.resize(1);
        room.resize(2);
        held.pop();
        assert!(room.enter().now_or_never().flatten().is_some(), "what was to disappear was wanted again");
    }
}
