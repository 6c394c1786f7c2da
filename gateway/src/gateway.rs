//! The running gateway: one engine task for each provider, one store, and the handle that the API and
//! the command line use.

mod errors;
mod status;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, Weak};
use std::time::Duration;

use bytes::Bytes;
use headgate_codecs::registry::{self, Protocol, Transport};
use headgate_core::adapter::Rules;
use headgate_core::body::{Refusal, RequestBody};
use headgate_core::dispatch::BreakerState;
use headgate_core::dispatch::store::Finish;
use headgate_core::engine::Engine;
use headgate_core::http::{HttpAnswer, HttpReply, HttpRequest};
use headgate_core::reconcile::Terms;
use headgate_core::request::{Body, Idempotency, Request, RequestId, Source, State};
use headgate_core::text::ProviderName;
use serde::Serialize;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use uuid::Uuid;

pub use self::errors::{AcceptError, ActionError, CallError, StartError};
pub use self::status::{Health, ProviderStatus};
use crate::clock::Clock;
use crate::config::{Config, ProviderConfig, ProviderState};
use crate::drive::ConnectionError;
use crate::pull::{self, Pulls};
use crate::runner::{self, Message, Offer, Parts, Reply, RunnerStatus};
use crate::store::{self, Store, StoreError, StoredRequest};
use crate::subscriptions::{Turns, caretaker};
use crate::telemetry::metrics::ProviderMetrics;

/// A running gateway. Clones share it.
#[derive(Clone)]
pub struct Gateway {
    inner: Arc<Inner>,
}

struct Inner {
    store: Arc<dyn Store>,
    clock: Clock,
    /// The number of the newest request.
    numbers: Arc<AtomicU64>,
    providers: RwLock<BTreeMap<ProviderName, Arc<Running>>>,
    pulls: Pulls,
    stopping: AtomicBool,
    /// Changes of one subscription follow each other.
    turns: Turns,
    /// Starts, reloads and stops follow each other.
    changing: tokio::sync::Mutex<()>,
}

/// A gateway, not kept alive by this.
#[derive(Clone)]
pub(crate) struct WeakGateway(Weak<Inner>);

impl WeakGateway {
    /// The gateway, if somebody else has it.
    pub(crate) fn upgrade(&self) -> Option<Gateway> {
        self.0.upgrade().map(|inner| Gateway { inner })
    }
}

/// A provider whose task runs.
pub(crate) struct Running {
    config: ProviderConfig,
    protocol: &'static Protocol,
    rules: Arc<dyn Rules>,
    metrics: Arc<ProviderMetrics>,
    inbox: mpsc::Sender<Message>,
    task: Mutex<Option<JoinHandle<()>>>,
}

/// How long a reload waits for a changed provider's requests that are on their way.
const RELOAD_DRAIN: Duration = Duration::from_secs(30);

impl Gateway {
    /// Opens the store, recovers what had not ended, and starts an engine for each provider.
    ///
    /// # Errors
    /// [`StartError`] if the store can not be opened or a provider's settings can not be.
    pub async fn start(config: &Config) -> Result<Self, StartError> {
        pull::check(config)?;
        let store = store::open(&config.store).await?;
        let inner = Inner {
            numbers: Arc::new(AtomicU64::new(store.last_number().await?)),
            store,
            clock: Clock::start(),
            providers: RwLock::default(),
            pulls: Pulls::default(),
            stopping: AtomicBool::new(false),
            turns: Turns::default(),
            changing: tokio::sync::Mutex::default(),
        };
        inner.refuse_orphans(config).await?;
        for provider in &config.providers {
            let opened = open(provider)?;
            inner.run(provider, opened).await?;
        }
        let gateway = Self { inner: Arc::new(inner) };
        gateway.run_pulls(config).await?;
        caretaker::start(&gateway);
        Ok(gateway)
    }

    /// Takes over a changed configuration: providers that are new, changed or gone; certificates.
    /// Providers that did not change keep their links. One that changed takes nothing until
    /// what is on its way is answered, at most 30 s.
    ///
    /// # Errors
    /// [`StartError`] if something in it can not be; then nothing has changed.
    pub async fn reload(&self, config: &Config) -> Result<(), StartError> {
        let _one_at_a_time = self.inner.changing.lock().await;
        pull::check(config)?;
        self.inner.refuse_orphans(config).await?;
        let mut same = Vec::new();
        let mut changed = Vec::new();
        for provider in &config.providers {
            // All are opened before any is touched: a mistake must leave everything as it was.
            let opened = open(provider)?;
            match self.inner.running(&provider.name) {
                Some(running) if running.config == *provider => same.push(running),
                _ => changed.push((provider, opened)),
            }
        }
        self.inner.remove_all_but(config).await?;
        for running in same {
            let _ = running.inbox.send(Message::Reload).await;
        }
        let replaced = changed.iter().filter_map(|(provider, _)| self.inner.running(&provider.name));
        drain_all(replaced.collect(), RELOAD_DRAIN).await;
        for (provider, opened) in changed {
            self.inner.run(provider, opened).await?;
            tracing::info!(provider = provider.name.as_str(), state = provider.state.name(), "provider started");
        }
        self.run_pulls(config).await
    }

    /// Checks a request, stores it and starts it on its way. Returns once it is stored (durably,
    /// unless it is a query).
    ///
    /// `raw` is the JSON that `body` was read from; it is what the store keeps.
    ///
    /// # Errors
    /// [`AcceptError`]: then nothing was stored.
    pub async fn accept(&self, body: RequestBody, raw: Bytes, origin: Origin) -> Result<Accepted, AcceptError> {
        let provider = self.inner.running(&body.provider).ok_or_else(|| self.inner.unknown(&body.provider))?;
        let id = RequestId(Uuid::now_v7());
        let request = provider.check(id, &body).inspect_err(|_| provider.metrics.refused())?;
        let request = Request { source: origin.source, body: Body(raw), idempotency: origin.idempotency, ..request };
        let (accepted, stored) = oneshot::channel();
        let (finish, ended) = oneshot::channel();
        let offer = Message::Offer(Box::new(Offer { request, accepted, finish }));
        provider.inbox.send(offer).await.map_err(|_| AcceptError::Stopping)?;
        let (number, state) = stored.await.map_err(|_| AcceptError::Stopping)??;
        Ok(Accepted { id, number, state, finish: ended })
    }

    /// Hands a call of the platform's side to a provider that is served, and waits for the answer.
    ///
    /// # Errors
    /// [`CallError`] if there is no such provider, or it is stopping.
    pub async fn call(&self, name: &ProviderName, request: HttpRequest) -> Result<HttpAnswer, CallError> {
        let provider = self.inner.running(name).ok_or(CallError::UnknownProvider)?;
        if provider.protocol.transport != Transport::Served {
            return Err(CallError::NotServed);
        }
        let (reply, replied) = oneshot::channel();
        provider.inbox.send(Message::Called(request, reply)).await.map_err(|_| CallError::Stopping)?;
        match replied.await {
            Ok(HttpReply::Whole(answer) | HttpReply::AndClose(answer)) => Ok(answer),
            Ok(HttpReply::Cut(..) | HttpReply::Close) | Err(_) => Err(CallError::Stopping),
        }
    }

    /// Takes a waiting request back.
    ///
    /// # Errors
    /// [`ActionError`] if there is none, or it is not waiting.
    pub async fn cancel(&self, id: RequestId) -> Result<(), ActionError> {
        let stored = self.stored(id).await?;
        if stored.state.is_final() {
            return Err(ActionError::WrongState(stored.state));
        }
        self.ask(&stored.provider, |reply| Message::Cancel(id, reply)).await
    }

    /// Sends a request again that ended as failed, unknown, rejected, cancelled or expired; or at once one
    /// that waits for a run or a retry.
    ///
    /// # Errors
    /// [`ActionError`] if there is none, or it completed or is being sent.
    pub async fn retry(&self, id: RequestId) -> Result<(), ActionError> {
        let stored = self.stored(id).await?;
        match stored.state {
            State::Completed | State::Sent => Err(ActionError::WrongState(stored.state)),
            State::Waiting => self.ask(&stored.provider, |reply| Message::Hurry(id, reply)).await,
            State::Rejected | State::Failed | State::Unknown | State::Cancelled | State::Expired => {
                let request = Arc::new(stored.request().map_err(StoreError::Damaged)?);
                self.ask(&stored.provider, |reply| Message::Reopen(request, reply)).await
            }
        }
    }

    /// Says how an unknown request really ended.
    ///
    /// # Errors
    /// [`ActionError`] if there is none, or it is not unknown.
    pub async fn resolve(&self, id: RequestId, resolution: Resolution) -> Result<(), ActionError> {
        let stored = self.stored(id).await?;
        if stored.state != State::Unknown {
            return Err(ActionError::WrongState(stored.state));
        }
        let (state, failure) = match resolution {
            Resolution::Completed => (State::Completed, None),
            Resolution::Failed => (State::Failed, stored.failure),
        };
        let finish = Arc::new(Finish {
            id,
            state,
            attempts: stored.attempts,
            sent_at: stored.sent_at,
            finished_at: jiff::Timestamp::now(),
            failure,
            answer: stored.answer,
            reference: stored.platform_reference,
            exchange: stored.exchange,
        });
        self.ask(&stored.provider, |reply| Message::Resolve(finish, reply)).await
    }

    /// Every provider, by name, as it stands now.
    pub async fn providers(&self) -> Vec<ProviderStatus> {
        let running: Vec<_> = read(&self.inner.providers).values().cloned().collect();
        futures_util::future::join_all(running.iter().map(|provider| provider.status())).await
    }

    /// One provider, as it stands now.
    pub async fn provider(&self, name: &ProviderName) -> Option<ProviderStatus> {
        Some(self.inner.running(name)?.status().await)
    }

    /// Switches a provider on or off. Lasts until the next start, or a reload that changes the provider.
    ///
    /// # Errors
    /// [`ActionError::NotFound`] if there is none of that name.
    pub async fn set_state(&self, name: &ProviderName, state: ProviderState) -> Result<(), ActionError> {
        let provider = self.inner.running(name).ok_or(ActionError::NotFound)?;
        let message = Message::SetEffective(state == ProviderState::Effective);
        provider.inbox.send(message).await.map_err(|_| ActionError::Stopping)
    }

    /// A provider whose task runs.
    pub(crate) fn running(&self, name: &ProviderName) -> Option<Arc<Running>> {
        self.inner.running(name)
    }

    /// What orders the changes of subscriptions.
    pub(crate) fn turns(&self) -> &Turns {
        &self.inner.turns
    }

    /// The same gateway, for a task that must not keep it.
    pub(crate) fn downgrade(&self) -> impl Fn() -> Option<Self> + Send + use<> {
        let inner = Arc::downgrade(&self.inner);
        move || inner.upgrade().map(|inner| Self { inner })
    }

    /// What says that there is no such provider, and which there are.
    pub(crate) fn unknown_provider(&self, name: &ProviderName) -> Refusal {
        self.inner.unknown(name)
    }

    /// The store, for reading.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.inner.store
    }

    /// Whether it has begun to stop.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.inner.stopping.load(Ordering::Relaxed)
    }

    /// Stops: accepts nothing more, waits up to `drain` for what is in flight, closes the store.
    /// What still waits stays in the store; so does what is in flight after that time, and the next start
    /// recovers it as after a crash.
    ///
    /// # Errors
    /// [`StoreError`] if what was handed to the store could not be written.
    pub async fn stop(&self, drain: Duration) -> Result<(), StoreError> {
        self.inner.stopping.store(true, Ordering::Relaxed);
        let _one_at_a_time = self.inner.changing.lock().await;
        self.inner.pulls.stop(drain).await;
        let running: Vec<_> = read(&self.inner.providers).values().cloned().collect();
        drain_all(running, drain).await;
        self.inner.store.close().await
    }

    async fn run_pulls(&self, config: &Config) -> Result<(), StartError> {
        let weak = WeakGateway(Arc::downgrade(&self.inner));
        self.inner.pulls.run(config, &weak, self.inner.clock).await
    }

    async fn stored(&self, id: RequestId) -> Result<StoredRequest, ActionError> {
        self.inner.store.request(id).await?.ok_or(ActionError::NotFound)
    }

    async fn ask(&self, name: &ProviderName, message: impl FnOnce(Reply) -> Message) -> Result<(), ActionError> {
        let provider = self.inner.running(name).ok_or(ActionError::NotFound)?;
        let (reply, answer) = oneshot::channel();
        provider.inbox.send(message(reply)).await.map_err(|_| ActionError::Stopping)?;
        answer.await.map_err(|_| ActionError::Stopping)?.map_err(ActionError::from)
    }
}

impl Inner {
    fn running(&self, name: &ProviderName) -> Option<Arc<Running>> {
        read(&self.providers).get(name).cloned()
    }

    fn unknown(&self, name: &ProviderName) -> Refusal {
        let known = read(&self.providers).keys().map(ProviderName::as_str).collect::<Vec<_>>().join(", ");
        Refusal::new("provider", "unknown_provider", format!("there is no provider {name:?}; there are: {known}"))
    }

    /// A provider can not be left out while requests refer to it: nobody would ever end them.
    async fn refuse_orphans(&self, config: &Config) -> Result<(), StartError> {
        for (name, count) in self.store.unfinished_counts().await? {
            if !config.providers.iter().any(|provider| provider.name == name) {
                let requests = if count == 1 { "1 request of it has" } else { &format!("{count} requests of it have") };
                let text = format!(
                    "{requests} not ended; keep it in the configuration (with state = \"not_effective\", if nothing \
                     may be sent) until they have, or until you have cancelled them"
                );
                return Err(StartError::Provider { provider: name, path: String::new(), text });
            }
        }
        Ok(())
    }

    /// Ends the tasks of providers that `config` does not have. If one of them took a request since it was looked
    /// whether any has unfinished ones, all go on as before.
    async fn remove_all_but(&self, config: &Config) -> Result<(), StartError> {
        let kept: BTreeSet<_> = config.providers.iter().map(|provider| &provider.name).collect();
        let running: Vec<_> = read(&self.providers).values().cloned().collect();
        let gone: Vec<_> = running.into_iter().filter(|running| !kept.contains(&running.config.name)).collect();
        drain_all(gone.clone(), RELOAD_DRAIN).await;
        if let Err(refused) = self.refuse_orphans(config).await {
            for running in gone {
                self.run(&running.config, open(&running.config)?).await?;
            }
            return Err(refused);
        }
        for running in gone {
            let name = &running.config.name;
            write(&self.providers).remove(name);
            tracing::info!(provider = name.as_str(), "provider removed");
        }
        Ok(())
    }

    /// Starts a provider's task with what the store says has not ended, in place of one of the same name.
    async fn run(&self, config: &ProviderConfig, opened: Opened) -> Result<(), StartError> {
        let Opened { protocol, rules, engine, .. } = opened;
        let metrics = Arc::new(ProviderMetrics::new(config.name.as_str(), protocol.name));
        let parts = Parts {
            engine,
            transport: protocol.transport,
            connection: config.connection.clone(),
            store: Arc::clone(&self.store),
            numbers: Arc::clone(&self.numbers),
            clock: self.clock,
            metrics: Arc::clone(&metrics),
            unfinished: self.store.unfinished(config.name.clone()).await?,
            effective: config.state == ProviderState::Effective,
            name: config.name.clone(),
        };
        let (inbox, task) = runner::start(parts).map_err(|error| wrong_connection(config, error))?;
        let running = Running { config: config.clone(), protocol, rules, metrics, inbox, task: Mutex::new(Some(task)) };
        write(&self.providers).insert(config.name.clone(), Arc::new(running));
        Ok(())
    }
}

/// Drains providers side by side, so that several that hang take no longer than one.
async fn drain_all(providers: Vec<Arc<Running>>, limit: Duration) {
    futures_util::future::join_all(providers.iter().map(|provider| provider.drain(limit))).await;
}

impl Running {
    /// On which terms its platform is told of subscriptions.
    pub(crate) fn terms(&self) -> Terms<'_> {
        Terms {
            provider: &self.config.name,
            capabilities: self.rules.capabilities(),
            services: &self.config.services,
            strategy: &self.config.strategy,
        }
    }

    /// The request that a body makes, if this provider can do what it asks for.
    fn check(&self, id: RequestId, body: &RequestBody) -> Result<Request, Refusal> {
        let request = Request::new(id, body, body.command()?);
        let checked = self.rules.capabilities().check(&request, &self.config.services);
        checked.and_then(|()| self.rules.check(&request)).map_err(|refusal| body.locate(refusal))?;
        Ok(request)
    }

    /// Has it end what is on its way, and waits; gives up after `limit`.
    async fn drain(&self, limit: Duration) {
        let Some(mut task) = lock(&self.task).take() else { return };
        let _ = self.inbox.send(Message::Drain).await;
        if tokio::time::timeout(limit, &mut task).await.is_err() {
            let name = self.config.name.as_str();
            tracing::warn!(provider = name, "requests are still on their way; the next start takes them up");
            task.abort();
        }
    }

    async fn status(&self) -> ProviderStatus {
        let (reply, answer) = oneshot::channel();
        // A task that is gone does not answer either.
        let _ = self.inbox.send(Message::Status(reply)).await;
        let RunnerStatus { load, links_up, trouble, effective } = answer.await.unwrap_or_else(|_| RunnerStatus::gone());
        let breaker = load.breaker.name();
        let tripped = match load.breaker {
            BreakerState::Closed => None,
            BreakerState::Open(why) | BreakerState::HalfOpen(why) => Some(why),
        };
        let health = match (links_up, &tripped, load.paused) {
            (0, _, _) => Health::Down,
            (_, None, false) => Health::Up,
            (_, _, _) => Health::Degraded,
        };
        ProviderStatus {
            name: self.config.name.clone(),
            protocol: self.protocol.name,
            unconfirmed: self.protocol.unconfirmed,
            state: if effective { ProviderState::Effective } else { ProviderState::NotEffective },
            health,
            links_up,
            waiting: load.waiting,
            in_flight: load.in_flight,
            breaker,
            trouble: tripped.or(trouble),
            capabilities: self.rules.capabilities().clone(),
        }
    }
}

/// A provider whose settings were read.
struct Opened {
    protocol: &'static Protocol,
    rules: Arc<dyn Rules>,
    engine: Engine,
}

fn open(config: &ProviderConfig) -> Result<Opened, StartError> {
    let wrong = |path: String, text: String| StartError::Provider { provider: config.name.clone(), path, text };
    let protocol = registry::find(&config.protocol).ok_or_else(|| {
        let known = registry::PROTOCOLS.iter().map(|protocol| protocol.name).collect::<Vec<_>>().join(", ");
        wrong("protocol".into(), format!("there is no protocol {:?}; there are: {known}", config.protocol))
    })?;
    let provider = config.provider();
    // The seed only spreads retries and first numbers: without randomness they are merely the same.
    let seed = getrandom::u64().unwrap_or_default();
    let registry::Opened { rules, adapter } = (protocol.open)(&provider, &config.settings, seed)
        .map_err(|error| wrong(format!("settings.{}", error.path).trim_end_matches('.').into(), error.text))?;
    config.connection.validate(protocol.transport).map_err(|error| wrong_connection(config, error))?;
    let engine = Engine::new(provider, Arc::clone(&rules), adapter, seed);
    Ok(Opened { protocol, rules, engine })
}

fn wrong_connection(config: &ProviderConfig, error: ConnectionError) -> StartError {
    let path = format!("connection.{}", error.path).trim_end_matches('.').to_owned();
    StartError::Provider { provider: config.name.clone(), path, text: error.text }
}

// A lock is poisoned only by a panic while it is held, and nothing that can panic happens here.

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

/// Where a request came from.
#[derive(Clone, Debug, Default)]
pub struct Origin {
    /// Who made it.
    pub source: Source,
    /// The key that makes a repeat recognisable.
    pub idempotency: Option<Idempotency>,
}

/// A request that is stored.
#[derive(Debug)]
pub struct Accepted {
    /// Its id.
    pub id: RequestId,
    /// Its number.
    pub number: u64,
    /// `waiting`, or `sent`.
    pub state: State,
    /// Resolves when it ends. An error means that the gateway stopped first; the request is in the store.
    pub finish: oneshot::Receiver<Arc<Finish>>,
}

/// How an unknown request really ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Resolution {
    /// The platform did it.
    Completed,
    /// It did not, and will not be asked again.
    Failed,
}
