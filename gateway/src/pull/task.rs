//! One pull's task: makes the calls, and tells people and metrics what happens.

use std::sync::Arc;
use std::time::Duration;

use headgate_codecs::crm_com::pull::{Event, Input, Output, Pull, Verdict};
use headgate_codecs::registry::Transport;
use headgate_core::Tick;
use headgate_core::adapter::{Done, Effect, EffectId, Input as DriverInput};
use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::desk;
use crate::clock::Clock;
use crate::config::PullConfig;
use crate::drive::{ConnectionError, DriverEvent, Drivers};
use crate::gateway::WeakGateway;
use crate::telemetry::metrics::PullMetrics;

/// Messages that may pile up before senders wait.
const INBOX: usize = 1024;

/// How often it is counted how a pull stands.
const MEASURE: Duration = Duration::from_secs(1);

/// Something for a pull's task to take note of.
pub(super) enum Message {
    /// A driver reports.
    Driver(DriverEvent),
    /// The part of the CRM's request of this number is stored since then.
    Begun(String, Timestamp),
    /// It waits for an operator.
    Unknown(String),
    /// It ended.
    Ended(String, Verdict),
}

impl From<DriverEvent> for Message {
    fn from(event: DriverEvent) -> Self {
        Self::Driver(event)
    }
}

pub(super) struct Task {
    name: String,
    pull: Pull,
    drivers: Drivers<Message>,
    calls: EffectId,
    inbox: mpsc::Receiver<Message>,
    sender: mpsc::Sender<Message>,
    /// The parts that are followed. Dropping them loses nothing: the store has them.
    parts: JoinSet<()>,
    gateway: WeakGateway,
    clock: Clock,
    metrics: PullMetrics,
    next_measure: Tick,
}

impl Task {
    pub(super) fn new(config: &PullConfig, gateway: WeakGateway, clock: Clock) -> Result<Self, ConnectionError> {
        let (sender, inbox) = mpsc::channel(INBOX);
        // The seed only spreads calls that are made again.
        let seed = getrandom::u64().unwrap_or_default();
        Ok(Self {
            name: config.name.clone(),
            pull: Pull::new(&config.name, config.to.clone(), config.settings.clone(), seed),
            drivers: Drivers::new(Transport::Http, &config.connection, sender.clone())?,
            calls: EffectId(0),
            inbox,
            sender,
            parts: JoinSet::new(),
            gateway,
            clock,
            metrics: PullMetrics::new(&config.name, config.to.as_str()),
            next_measure: Tick::default(),
        })
    }

    /// Runs until `stop`, and until what has ended by then is posted or can not be.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        let mut stopping = false;
        self.pull.handle(self.clock.now(), Input::Deadline);
        loop {
            let deadline = self.carry_out();
            self.measure();
            if stopping && self.pull.is_done() {
                break;
            }
            tokio::select! {
                () = stop.cancelled(), if !stopping => {
                    stopping = true;
                    self.pull.handle(self.clock.now(), Input::Stop);
                }
                Some(message) = self.inbox.recv() => self.take(message),
                // What followed a part and ended is cleared away; without any, this branch waits.
                Some(_) = self.parts.join_next() => {}
                () = self.clock.sleep_until(deadline) => self.pull.handle(self.clock.now(), Input::Deadline),
            }
        }
        self.parts.shutdown().await;
        drop(self.inbox);
        self.drivers.shutdown().await;
    }

    fn take(&mut self, message: Message) {
        let now = self.clock.now();
        match message {
            Message::Driver(event) => {
                let pull = &mut self.pull;
                self.drivers.deliver(event, |input| {
                    if let DriverInput::Done(_, Done::Http(result)) = input {
                        pull.handle(now, Input::Called(result));
                    }
                });
            }
            Message::Begun(number, since) => self.pull.handle(now, Input::Begun(number, since)),
            Message::Unknown(number) => self.pull.handle(now, Input::Unknown(number)),
            Message::Ended(number, verdict) => self.pull.handle(now, Input::Ended(number, verdict)),
        }
    }

    /// Carries out what the pull wants, until it waits.
    fn carry_out(&mut self) -> Option<Tick> {
        loop {
            match self.pull.poll_output() {
                Output::Wait(deadline) => return deadline.map(|deadline| deadline.at),
                Output::Call(call) => self.drivers.carry_out(self.calls.next(), Effect::Http(call)),
                Output::Event(event) => self.note(&event),
                Output::Begin(number, part) => {
                    let (gateway, sender) = (self.gateway.clone(), self.sender.clone());
                    self.parts.spawn(desk::carry_out(gateway, number, Arc::from(part), sender));
                }
            }
        }
    }

    /// Shows how it stands, now and then: that is counted anew each time.
    fn measure(&mut self) {
        let now = self.clock.now();
        if self.next_measure <= now.tick {
            self.next_measure = now.tick + MEASURE;
            self.metrics.load(self.pull.load(), now.wall);
        }
    }

    fn note(&self, event: &Event) {
        let pull = self.name.as_str();
        self.metrics.note(event);
        match event {
            Event::Looked { pending, new, unreadable: 0 } => {
                tracing::debug!(pull, pending, new, "looked for what is pending");
            }
            Event::Looked { pending, new, unreadable } => {
                let text = "requests of the CRM can not be read and are left alone: they have no number or no type";
                tracing::warn!(pull, pending, new, unreadable, "{text}");
            }
            Event::Answered { number, accepted } => tracing::debug!(pull, number, accepted, "the CRM took an answer"),
            Event::NotTaken { number, code } => {
                let code = code.as_deref().unwrap_or("it did not say");
                tracing::warn!(pull, number, code, "the CRM did not take an answer, or its word for it got lost");
            }
            Event::GivenUp { number } => {
                let text = "the CRM does not take the answer, however often it is posted; look at the request there. \
                    A restart of Headgate tries anew";
                tracing::error!(pull, number, "{text}");
            }
            Event::Old { number, since, unknown: true } => {
                let text = "a request of the CRM waits for an operator and is nearly too old: after seven days the CRM shows \
                    it no more; resolve it now";
                tracing::warn!(pull, number, %since, "{text}");
            }
            Event::Old { number, since, unknown: false } => {
                let text = "a request of the CRM is nearly too old: after seven days the CRM shows it no more; look why its \
                    provider does not carry it out, or reset the subscription in the CRM afterwards";
                tracing::warn!(pull, number, %since, "{text}");
            }
            Event::Blind { since } => {
                let text = "no look at the CRM worked for days: what is older than seven days is lost to pulling; when the CRM \
                    is back, run a reset of its subscriptions there";
                tracing::error!(pull, %since, "{text}");
            }
            Event::Down { why, wait } => tracing::warn!(pull, ?wait, "the CRM is left alone for a while: {why}"),
            Event::Up => tracing::info!(pull, "the CRM works again"),
        }
    }
}
