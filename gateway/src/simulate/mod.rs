//! Platforms to talk to: puts the platform's side of any protocol behind a listener ([`stream`], [`http`]), on a
//! directory ([`files`]) or on a database's table ([`tables`]), or lets it call the gateway ([`worker`]).
//!
//! One task owns the platform, and carries out its effects with the same drivers as the gateway's.

pub mod files;
pub mod http;
pub mod stream;
pub mod tables;
pub mod worker;

use std::convert::Infallible;
use std::net::SocketAddr;

use headgate_core::adapter::{Input, LinkId};
use headgate_core::http::{HttpReply, HttpRequest};
use headgate_core::platform::{Fault, Holdings, Platform, PlatformOutput};
use headgate_core::time::Deadline;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::drive::stream::Stream;
use crate::drive::{DriverEvent, Drivers};

/// Messages that wait for a platform; beyond that, its links and connections are not read.
const QUEUE: usize = 1024;

/// Messages handled between two looks at what the platform wants.
const BATCH: usize = 256;

/// A platform that runs. Dropping it stops it without waiting.
#[derive(Debug)]
pub struct Simulation {
    address: Option<SocketAddr>,
    messages: mpsc::Sender<Message>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Simulation {
    /// Where it listens; absent: it works on a directory or a table.
    #[must_use]
    pub const fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// What it holds now.
    ///
    /// # Errors
    /// [`Stopped`] if it is not running any more.
    pub async fn holdings(&self) -> Result<Holdings, Stopped> {
        let (answer, answered) = oneshot::channel();
        self.messages.send(Message::Holdings(answer)).await.map_err(|_| Stopped)?;
        answered.await.map_err(|_| Stopped)
    }

    /// Makes it misbehave once: see [`Platform::inject`].
    ///
    /// # Errors
    /// [`InjectError`] if it can not misbehave that way, or is not running any more.
    pub async fn inject(&self, fault: Fault) -> Result<(), InjectError> {
        let (answer, answered) = oneshot::channel();
        self.messages.send(Message::Inject(fault, answer)).await.map_err(|_| Stopped)?;
        answered.await.map_err(|_| Stopped)?.map_err(InjectError::NotHere)
    }

    /// Stops it: accepts nobody, sends what is queued, closes every link. Takes a few seconds at most.
    pub async fn stop(mut self) {
        self.stop.cancel();
        let _ = (&mut self.task).await;
    }

    /// Starts the task that owns `platform`.
    fn start(platform: Box<dyn Platform>, drivers: impl FnOnce(mpsc::Sender<Message>) -> Drivers<Message>) -> Self {
        let Ok(simulation) = Self::try_start(platform, |messages| Ok::<_, Infallible>(drivers(messages)));
        simulation
    }

    /// The same with drivers that may not come about.
    fn try_start<E>(
        platform: Box<dyn Platform>,
        drivers: impl FnOnce(mpsc::Sender<Message>) -> Result<Drivers<Message>, E>,
    ) -> Result<Self, E> {
        let (messages, incoming) = mpsc::channel(QUEUE);
        let stop = CancellationToken::new();
        let host = Host { platform, drivers: drivers(messages.clone())?, clock: Clock::start(), last_link: 0 };
        let task = tokio::spawn(host.run(incoming, stop.clone()));
        Ok(Self { address: None, messages, stop, task })
    }
}

impl Drop for Simulation {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// The platform is not running any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the simulated platform is not running")]
pub struct Stopped;

/// Why a fault was not injected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InjectError {
    /// This platform can not have it.
    #[error("this platform can not misbehave that way: {0:?}")]
    NotHere(Fault),
    /// It is not running.
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

/// What comes to a platform's task.
enum Message {
    Driver(DriverEvent),
    Accepted(Stream),
    Called(HttpRequest, oneshot::Sender<HttpReply>),
    Holdings(oneshot::Sender<Holdings>),
    Inject(Fault, oneshot::Sender<Result<(), Fault>>),
}

impl From<DriverEvent> for Message {
    fn from(event: DriverEvent) -> Self {
        Self::Driver(event)
    }
}

/// The task that owns a platform.
struct Host {
    platform: Box<dyn Platform>,
    drivers: Drivers<Message>,
    clock: Clock,
    last_link: u32,
}

impl Host {
    async fn run(mut self, mut incoming: mpsc::Receiver<Message>, stop: CancellationToken) {
        let mut batch = Vec::with_capacity(BATCH);
        self.platform.handle_input(self.clock.now(), Input::Start);
        loop {
            let deadline = self.carry_out();
            tokio::select! {
                () = stop.cancelled() => break,
                _ = incoming.recv_many(&mut batch, BATCH) => {
                    for message in batch.drain(..) {
                        self.handle(message);
                    }
                }
                () = self.clock.sleep_until(deadline.map(|deadline| deadline.at)) => {}
            }
            // Looked at after every turn: a busy platform must not miss its deadlines.
            let now = self.clock.now();
            if deadline.is_some_and(|deadline| deadline.at <= now.tick) {
                self.platform.handle_input(now, Input::Deadline);
            }
        }
        // Links that want to report something must not wait for a reader that is gone.
        drop(incoming);
        self.drivers.shutdown().await;
    }

    /// Carries out what the platform wants, until it waits.
    fn carry_out(&mut self) -> Option<Deadline> {
        loop {
            match self.platform.poll_output() {
                PlatformOutput::Do(id, effect) => self.drivers.carry_out(id, effect),
                PlatformOutput::Wait(deadline) => return deadline,
            }
        }
    }

    fn handle(&mut self, message: Message) {
        match message {
            Message::Driver(event) => {
                let now = self.clock.now();
                let platform = &mut self.platform;
                self.drivers.deliver(event, |input| platform.handle_input(now, input));
            }
            Message::Accepted(stream) => {
                self.last_link += 1;
                self.drivers.accept(LinkId(self.last_link), stream);
            }
            Message::Called(request, reply) => {
                if let Some(call) = self.drivers.called(reply) {
                    self.platform.handle_input(self.clock.now(), Input::Called(call, request));
                }
            }
            // Whoever asked may have given up.
            Message::Holdings(answer) => drop(answer.send(self.platform.holdings().clone())),
            Message::Inject(fault, answer) => drop(answer.send(self.platform.inject(fault))),
        }
    }
}
