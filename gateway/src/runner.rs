//! One task for each provider: it alone touches the engine, gathers what happened, and carries out what the
//! engine wants.
//!
//! The task never waits for anything but its inboxes, so nothing can deadlock with it: drivers and
//! the store are handed work and report back. Inputs that have piled up are taken in one go, which is what makes
//! large writes and large commits under load.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use headgate_codecs::registry::Transport;
use headgate_core::adapter::{Input, LinkId};
use headgate_core::command::CommandKind;
use headgate_core::dispatch::store::{Change, Finish, Recovered, StoreCall};
use headgate_core::dispatch::{BreakerState, Busy, Load};
use headgate_core::engine::{Engine, Notice, Output};
use headgate_core::http::{HttpReply, HttpRequest};
use headgate_core::request::{Request, RequestId, State};
use headgate_core::text::ProviderName;
use headgate_core::{Now, Tick};
use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::clock::Clock;
use crate::drive::{Connection, ConnectionError, DriverEvent, Drivers};
use crate::gateway::{AcceptError, ActionError};
use crate::store::{RefusedBy, Store, StoreReport};
use crate::telemetry::metrics::ProviderMetrics;

/// Most messages taken in one go: large enough to gather under load, small enough that timers fire in time.
const GATHER: usize = 512;

/// How many messages may pile up before senders wait.
const INBOX: usize = 4096;

/// Something for a provider's task to do.
pub(crate) enum Message {
    /// A new request, and who waits for it.
    Offer(Box<Offer>),
    /// A driver reports.
    Driver(DriverEvent),
    /// The platform's side calls, and waits for the answer.
    Called(HttpRequest, oneshot::Sender<HttpReply>),
    /// Take a waiting request back.
    Cancel(RequestId, Reply),
    /// Let a waiting request go now.
    Hurry(RequestId, Reply),
    /// Take up a request that had ended.
    Reopen(Arc<Request>, Reply),
    /// Record how an unknown request really ended.
    Resolve(Arc<Finish>, Reply),
    /// Switch sending on or off.
    SetEffective(bool),
    /// Read the certificates again.
    Reload,
    /// Tell how it stands.
    Status(oneshot::Sender<RunnerStatus>),
    /// Take and send nothing more; end when nothing is on its way.
    Drain,
}

impl From<DriverEvent> for Message {
    fn from(event: DriverEvent) -> Self {
        Self::Driver(event)
    }
}

/// Where the result of an operator's action goes. The inner error is the state that forbids it, or nothing if
/// the request is not here.
pub(crate) type Reply = oneshot::Sender<Result<(), Option<State>>>;

/// A new request, and who waits for it. Its number is given by the task, so that numbers grow in the
/// order in which the engine sees them.
pub(crate) struct Offer {
    pub(crate) request: Request,
    pub(crate) accepted: oneshot::Sender<Result<(u64, State), AcceptError>>,
    pub(crate) finish: oneshot::Sender<Arc<Finish>>,
}

/// How a provider's task stands.
#[derive(Clone, Debug)]
pub(crate) struct RunnerStatus {
    pub(crate) load: Load,
    pub(crate) links_up: usize,
    /// Why the last link went down; forgotten when one comes up.
    pub(crate) trouble: Option<String>,
    pub(crate) effective: bool,
}

impl RunnerStatus {
    /// Of a task that has ended.
    pub(crate) fn gone() -> Self {
        Self {
            load: Load { waiting: 0, in_flight: 0, breaker: BreakerState::Closed, paused: false },
            links_up: 0,
            trouble: Some("its task has ended; restart the gateway, which takes up what had not ended".into()),
            effective: false,
        }
    }
}

/// What a provider's task needs to run.
pub(crate) struct Parts {
    pub(crate) engine: Engine,
    pub(crate) transport: Transport,
    pub(crate) connection: Connection,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) numbers: Arc<AtomicU64>,
    pub(crate) clock: Clock,
    pub(crate) metrics: Arc<ProviderMetrics>,
    pub(crate) unfinished: Vec<Recovered>,
    pub(crate) effective: bool,
    pub(crate) name: ProviderName,
}

/// Starts a provider's task. Returns its inbox and the task, which ends after [`Message::Drain`].
///
/// # Errors
/// [`ConnectionError`] if its connection can not be.
pub(crate) fn start(parts: Parts) -> Result<(mpsc::Sender<Message>, JoinHandle<()>), ConnectionError> {
    let (inbox, messages) = mpsc::channel(INBOX);
    let (report, reports) = mpsc::unbounded_channel();
    let drivers = Drivers::new(parts.transport, &parts.connection, inbox.clone())?;
    let unfinished = parts.unfinished;
    let task = Task {
        name: parts.name,
        engine: parts.engine,
        drivers,
        transport: parts.transport,
        connection: parts.connection,
        store: parts.store,
        report,
        numbers: parts.numbers,
        clock: parts.clock,
        metrics: parts.metrics,
        waiters: HashMap::new(),
        replies: HashMap::new(),
        calls: Vec::new(),
        links_up: BTreeSet::new(),
        trouble: None,
        effective: parts.effective,
        draining: false,
    };
    let task = tokio::spawn(task.run(messages, reports, unfinished));
    Ok((inbox, task))
}

struct Task {
    name: ProviderName,
    engine: Engine,
    drivers: Drivers<Message>,
    transport: Transport,
    connection: Connection,
    store: Arc<dyn Store>,
    report: mpsc::UnboundedSender<StoreReport>,
    numbers: Arc<AtomicU64>,
    clock: Clock,
    metrics: Arc<ProviderMetrics>,
    waiters: HashMap<RequestId, Waiter>,
    /// Operators whose action is being stored.
    replies: HashMap<RequestId, Vec<Reply>>,
    calls: Vec<StoreCall>,
    links_up: BTreeSet<LinkId>,
    trouble: Option<String>,
    effective: bool,
    draining: bool,
}

/// Who waits for a request.
struct Waiter {
    number: u64,
    command: CommandKind,
    created: Timestamp,
    accepted: Option<oneshot::Sender<Result<(u64, State), AcceptError>>>,
    finish: oneshot::Sender<Arc<Finish>>,
}

impl Task {
    async fn run(
        mut self,
        mut messages: mpsc::Receiver<Message>,
        mut reports: mpsc::UnboundedReceiver<StoreReport>,
        unfinished: Vec<Recovered>,
    ) {
        let mut gathered = Vec::with_capacity(GATHER);
        let mut gathered_reports = Vec::with_capacity(GATHER);
        self.engine.set_effective(self.effective);
        self.engine.start(self.clock.now(), unfinished);
        loop {
            let deadline = self.settle();
            if self.draining && self.engine.is_idle() {
                break;
            }
            tokio::select! {
                _ = reports.recv_many(&mut gathered_reports, GATHER) => {}
                _ = messages.recv_many(&mut gathered, GATHER) => {}
                () = self.clock.sleep_until(deadline) => {}
            }
            let now = self.clock.now();
            for report in gathered_reports.drain(..) {
                self.stored(now, report);
            }
            for message in gathered.drain(..) {
                self.handle(now, message);
            }
        }
        self.drivers.shutdown().await;
    }

    fn handle(&mut self, now: Now, message: Message) {
        match message {
            Message::Offer(offer) => self.offer(now, *offer),
            Message::Driver(event) => {
                let engine = &mut self.engine;
                self.drivers.deliver(event, |input| engine.handle_input(now, input));
            }
            Message::Called(request, reply) => {
                // Whoever calls a provider that is not served learns it by the answer that never comes.
                if let Some(id) = self.drivers.called(reply) {
                    self.engine.handle_input(now, Input::Called(id, request));
                }
            }
            Message::Cancel(id, reply) => {
                let result = self.engine.cancel(now, id);
                self.reply_once_stored(id, reply, result);
            }
            Message::Hurry(id, reply) => reply_with(reply, self.engine.hurry(now, id)),
            Message::Reopen(request, reply) => {
                let id = request.id;
                let result = self.engine.reopen(now, request).map_err(|_: Busy| None);
                self.reply_once_stored(id, reply, result);
            }
            Message::Resolve(finish, reply) => {
                let id = finish.id;
                self.engine.resolve(finish);
                self.reply_once_stored(id, reply, Ok(()));
            }
            Message::SetEffective(effective) => {
                self.effective = effective;
                self.engine.set_effective(effective);
            }
            Message::Reload => {
                if let Err(error) = self.drivers.reload(self.transport, &self.connection) {
                    tracing::error!(provider = self.name.as_str(), %error, "the connection was not reloaded; it stays as it was");
                }
            }
            Message::Status(reply) => {
                // Whoever asked may have gone: nothing is lost with the answer.
                let _ = reply.send(RunnerStatus {
                    load: self.engine.load(now),
                    links_up: self.links_up.len(),
                    trouble: self.trouble.clone(),
                    effective: self.effective,
                });
            }
            Message::Drain => {
                self.draining = true;
                self.engine.drain(now);
            }
        }
    }

    /// An operator's action that was taken is answered when the store has it: then nothing undoes it, and who
    /// looks sees it.
    fn reply_once_stored(&mut self, id: RequestId, reply: Reply, taken: Result<(), Option<State>>) {
        match taken {
            Ok(()) => self.replies.entry(id).or_default().push(reply),
            Err(_) => reply_with(reply, taken),
        }
    }

    fn offer(&mut self, now: Now, offer: Offer) {
        let Offer { mut request, accepted, finish } = offer;
        let number = self.numbers.fetch_add(1, Ordering::Relaxed) + 1;
        request.number = number;
        let (id, command, created) = (request.id, request.command.kind(), request.created);
        match self.engine.offer(now, Arc::new(request)) {
            Ok(()) => {
                self.waiters.insert(id, Waiter { number, command, created, accepted: Some(accepted), finish });
            }
            Err(busy) => {
                let error = match busy {
                    Busy::Full(retry_after) => {
                        self.metrics.busy();
                        AcceptError::Busy { retry_after }
                    }
                    Busy::Stopping => AcceptError::Stopping,
                };
                let _ = accepted.send(Err(error));
            }
        }
    }

    fn stored(&mut self, now: Now, report: StoreReport) {
        match report {
            StoreReport::Stored(changes) => self.engine.handle_stored(now, &changes),
            StoreReport::Refused(change, why) => {
                let waiter = self.engine.handle_refused(now, change).and_then(|id| self.waiters.remove(&id));
                let error = match why {
                    RefusedBy::Disk(text) => AcceptError::Store(text),
                    RefusedBy::KeyTaken => AcceptError::KeyTaken,
                };
                if let Some(accepted) = waiter.and_then(|waiter| waiter.accepted) {
                    let _ = accepted.send(Err(error));
                }
            }
        }
    }

    /// Carries out all that the engine wants; returns when it wants to be called again.
    fn settle(&mut self) -> Option<Tick> {
        let now = self.clock.now();
        let deadline = loop {
            match self.engine.poll_output(now) {
                Output::Store(call) => {
                    self.count(&call.change);
                    self.calls.push(call);
                }
                Output::Do(id, effect) => self.drivers.carry_out(id, effect),
                Output::Accepted(id, state) => self.accepted(id, state),
                Output::Ended(finish) => self.ended(finish),
                Output::Reopened(id) => self.answer_operators(id),
                Output::Notice(notice) => self.notice(notice),
                Output::Wait(deadline) => break deadline,
            }
        };
        if !self.calls.is_empty() {
            self.store.write(std::mem::take(&mut self.calls), &self.report);
        }
        let (waiting, in_flight) = self.engine.depth();
        self.metrics.queue(waiting, in_flight);
        deadline.map(|deadline| deadline.at)
    }

    /// What the store is told is what happened: the one place to count it.
    fn count(&self, change: &Change) {
        match change {
            Change::Accept(_, State::Sent) | Change::Sent { .. } => self.metrics.sent(),
            Change::Again { .. } => self.metrics.retried(),
            Change::Finish(finish) => self.metrics.finished(finish.state),
            // An accept counts once it is stored: see `accepted`.
            Change::Accept(..) | Change::References(_) | Change::Reopen { .. } => {}
        }
    }

    fn accepted(&mut self, id: RequestId, state: State) {
        if let Some(waiter) = self.waiters.get_mut(&id)
            && let Some(accepted) = waiter.accepted.take()
        {
            self.metrics.accepted(waiter.command);
            let _ = accepted.send(Ok((waiter.number, state)));
        }
    }

    fn ended(&mut self, finish: Arc<Finish>) {
        self.answer_operators(finish.id);
        if let Some(waiter) = self.waiters.remove(&finish.id) {
            self.metrics.lasted(between(waiter.created, finish.finished_at));
            // Silence is no answer.
            if let (Some(sent_at), true) = (finish.sent_at, finish.state != State::Unknown) {
                self.metrics.answered(between(sent_at, finish.finished_at));
            }
            let _ = waiter.finish.send(finish);
        }
    }

    fn answer_operators(&mut self, id: RequestId) {
        for reply in self.replies.remove(&id).into_iter().flatten() {
            reply_with(reply, Ok(()));
        }
    }

    fn notice(&mut self, notice: Notice) {
        let provider = self.name.as_str();
        match notice {
            Notice::LinkUp(link) => {
                self.links_up.insert(link);
                self.metrics.links_up(self.links_up.len());
                self.trouble = None;
                tracing::info!(provider, link = link.0, "link up");
            }
            Notice::LinkDown(link, failure) => {
                // A link that never came up is not one that was lost.
                if self.links_up.remove(&link) {
                    self.metrics.links_up(self.links_up.len());
                    self.metrics.link_lost();
                    tracing::warn!(provider, link = link.0, reason = %failure, "link lost");
                } else {
                    tracing::warn!(provider, link = link.0, reason = %failure, "link not opened");
                }
                self.trouble = Some(failure.to_string());
            }
            Notice::Breaker(state) => {
                self.metrics.breaker(state.name());
                match state {
                    BreakerState::Open(why) => {
                        tracing::warn!(provider, reason = %why, "breaker opened: nothing is sent for a while");
                    }
                    BreakerState::HalfOpen(_) => {
                        tracing::info!(provider, "breaker half open: one request goes out to see");
                    }
                    BreakerState::Closed => tracing::info!(provider, "breaker closed"),
                }
            }
            Notice::Paused(pause, why) => {
                self.metrics.slow_down();
                tracing::warn!(provider, ?pause, reason = %why, "the platform asked for a pause");
            }
            Notice::Noise(noise) => {
                self.metrics.noise();
                tracing::warn!(provider, reason = %noise.text, bytes = noise.raw.len(), "unexpected data from the platform");
                tracing::trace!(provider, raw = %headgate_core::text::to_hex(&noise.raw), "the unexpected data");
            }
        }
    }
}

fn reply_with(reply: Reply, result: Result<(), Option<State>>) {
    // Whoever asked may have gone; what was done stays done.
    let _ = reply.send(result);
}

/// Zero, if the clock was set back in between.
fn between(earlier: Timestamp, later: Timestamp) -> Duration {
    Duration::try_from(later.duration_since(earlier)).unwrap_or(Duration::ZERO)
}

impl From<Option<State>> for ActionError {
    fn from(state: Option<State>) -> Self {
        state.map_or(Self::NotFound, Self::WrongState)
    }
}
