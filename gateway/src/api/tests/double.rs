//! A gateway without engines: what becomes of a request is told by the name of its provider.
//!
//! `prompt` completes, `stubborn` rejects, `patient` waits until the test says so, `full` is busy, `uneven` completes but
//! accepts every other request late.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use headgate_core::body::{Refusal, RequestBody};
use headgate_core::capabilities::Capabilities;
use headgate_core::command::CommandKind;
use headgate_core::dispatch::store::{Finish, Recovered, StoreCall};
use headgate_core::failure::Failure;
use headgate_core::http::{HttpAnswer, HttpRequest};
use headgate_core::outcome::{Answer, Exchange, RawAnswer};
use headgate_core::request::{RequestId, State};
use headgate_core::text::{PlatformReference, ProviderName, SubscriptionNumber};
use jiff::Timestamp;
use tokio::sync::{broadcast, oneshot};
use uuid::Uuid;

use crate::api::Front;
use crate::config::ProviderState;
use crate::gateway::{AcceptError, Accepted, ActionError, CallError, Health, Origin, ProviderStatus, Resolution};
use crate::store::subscriptions::{
    OutOfSyncCount, StoredSubscription, SubscriptionChange, SubscriptionFilter, SubscriptionListing, SubscriptionPage,
};
use crate::store::{BoxFuture, Filter, Listing, Page, ReportSender, StateChange, Store, StoreError, StoredRequest};
use crate::subscriptions::{Changed, Standing, SubscriptionError, Told, Wish};

const NAMES: [&str; 5] = ["full", "patient", "prompt", "stubborn", "uneven"];

/// The double. Clones share it.
#[derive(Clone)]
pub(super) struct Double {
    memory: Arc<Memory>,
    store: Arc<dyn Store>,
    states: Arc<Mutex<BTreeMap<String, ProviderState>>>,
    waiting: Arc<Mutex<BTreeMap<RequestId, oneshot::Sender<Arc<Finish>>>>>,
    calls: Arc<AtomicU64>,
}

impl Double {
    pub(super) fn new() -> Self {
        let memory = Arc::new(Memory::new());
        Self::over(memory)
    }

    /// The same after a restart: only the store is kept.
    pub(super) fn restarted(&self) -> Self {
        Self::over(Arc::clone(&self.memory))
    }

    fn over(memory: Arc<Memory>) -> Self {
        Self {
            store: Arc::clone(&memory) as Arc<dyn Store>,
            memory,
            states: Arc::default(),
            waiting: Arc::default(),
            calls: Arc::default(),
        }
    }

    /// Every request, in the order of acceptance.
    pub(super) fn requests(&self) -> Vec<StoredRequest> {
        lock(&self.memory.requests).clone()
    }

    /// Forgets the state changes up to `sequence`, as a store does that keeps only so many.
    pub(super) fn forget_changes(&self, sequence: u64) {
        lock(&self.memory.changes).retain(|change| change.sequence > sequence);
    }

    /// Ends every request that waits.
    pub(super) fn finish_all(&self, state: State) {
        for (id, sender) in std::mem::take(&mut *lock(&self.waiting)) {
            let finish = Arc::new(finish(id, state, None));
            self.memory.finish(&finish);
            let _ = sender.send(finish);
        }
    }

    /// Breaks the disk.
    pub(super) fn break_store(&self) {
        self.memory.broken.store(true, Ordering::SeqCst);
    }

    /// Puts a request that waits into a state, as an engine would.
    pub(super) fn set(&self, id: RequestId, state: State) {
        self.memory.change(id, |request| request.state = state);
    }

    fn action(&self, id: RequestId, allowed: &[State], state: State) -> Result<(), ActionError> {
        let found = lock(&self.memory.requests).iter().find(|request| request.id == id).map(|request| request.state);
        match found {
            None => Err(ActionError::NotFound),
            Some(now) if !allowed.contains(&now) => Err(ActionError::WrongState(now)),
            Some(_) => {
                self.set(id, state);
                Ok(())
            }
        }
    }
}

impl Front for Double {
    async fn accept(&self, body: RequestBody, raw: Bytes, origin: Origin) -> Result<Accepted, AcceptError> {
        let command = body.command()?;
        let name = body.provider.as_str();
        if !NAMES.contains(&name) {
            return Err(Refusal::new("provider", "unknown_provider", format!("there are: {}", NAMES.join(", "))).into());
        }
        if name == "full" {
            return Err(AcceptError::Busy { retry_after: Duration::from_millis(6_500) });
        }
        if name == "uneven" && self.calls.fetch_add(1, Ordering::SeqCst).is_multiple_of(2) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let id = RequestId(Uuid::now_v7());
        let number = self.memory.accept(id, &body, raw, &origin)?;
        let (sender, receiver) = oneshot::channel();
        match name {
            "patient" => {
                lock(&self.waiting).insert(id, sender);
            }
            "stubborn" => {
                let finish = Arc::new(finish(id, State::Rejected, None));
                self.memory.finish(&finish);
                let _ = sender.send(finish);
            }
            _ => {
                let answer = (command.kind() == CommandKind::Raw)
                    .then(|| Answer::Raw(RawAnswer(Bytes::from_static(&[0xca, 0xfe]))));
                let finish = Arc::new(finish(id, State::Completed, answer));
                self.memory.finish(&finish);
                let _ = sender.send(finish);
            }
        }
        let state = if name == "patient" { State::Waiting } else { State::Sent };
        Ok(Accepted { id, number, state, finish: receiver })
    }

    async fn cancel(&self, id: RequestId) -> Result<(), ActionError> {
        self.action(id, &[State::Waiting], State::Cancelled)
    }

    async fn retry(&self, id: RequestId) -> Result<(), ActionError> {
        self.action(id, &[State::Failed, State::Unknown, State::Rejected, State::Waiting], State::Waiting)
    }

    async fn resolve(&self, id: RequestId, resolution: Resolution) -> Result<(), ActionError> {
        let state = match resolution {
            Resolution::Completed => State::Completed,
            Resolution::Failed => State::Failed,
        };
        self.action(id, &[State::Unknown], state)
    }

    async fn providers(&self) -> Vec<ProviderStatus> {
        let states = lock(&self.states);
        let status = |name: &&str| ProviderStatus {
            name: ProviderName::new(name).unwrap(),
            protocol: "double",
            unconfirmed: "",
            state: states.get(*name).copied().unwrap_or_default(),
            health: Health::Up,
            links_up: 1,
            waiting: 0,
            in_flight: 0,
            breaker: "closed",
            trouble: None,
            capabilities: Capabilities::default(),
        };
        NAMES.iter().map(status).collect()
    }

    async fn set_state(&self, name: &ProviderName, state: ProviderState) -> Result<(), ActionError> {
        lock(&self.states).insert(name.as_str().to_owned(), state);
        Ok(())
    }

    async fn call(&self, name: &ProviderName, request: HttpRequest) -> Result<HttpAnswer, CallError> {
        match name.as_str() {
            "prompt" => Ok(HttpAnswer::new(200, "application/json", format!("\"{}\"", request.target))),
            name if NAMES.contains(&name) => Err(CallError::NotServed),
            _ => Err(CallError::UnknownProvider),
        }
    }

    // The double keeps no subscriptions; the tests of the whole gateway do.

    async fn change_subscription(&self, _: &SubscriptionNumber, _: &Wish) -> Result<Changed, SubscriptionError> {
        Err(SubscriptionError::NotFound)
    }

    async fn subscription(&self, _: &SubscriptionNumber) -> Result<Standing, SubscriptionError> {
        Err(SubscriptionError::NotFound)
    }

    async fn forget_subscription(&self, _: &SubscriptionNumber) -> Result<(), SubscriptionError> {
        Err(SubscriptionError::NotFound)
    }

    async fn ask_platforms(&self, _: &SubscriptionNumber, _: Duration) -> Result<Vec<Told>, SubscriptionError> {
        Err(SubscriptionError::NotFound)
    }

    fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }
}

fn finish(id: RequestId, state: State, answer: Option<Answer>) -> Finish {
    let now = Timestamp::now();
    Finish {
        id,
        state,
        attempts: 1,
        sent_at: Some(now),
        finished_at: now,
        failure: (state == State::Rejected).then(|| Failure::refused("42", "card not known")),
        answer,
        reference: Some(PlatformReference::new("T-1").unwrap()),
        exchange: Exchange { request: Bytes::from_static(b"ASK\r\n"), response: Bytes::from_static(&[0, 1, 2]) },
    }
}

/// A store in memory.
struct Memory {
    requests: Mutex<Vec<StoredRequest>>,
    changes: Mutex<Vec<StateChange>>,
    live: broadcast::Sender<StateChange>,
    broken: AtomicBool,
}

impl Memory {
    fn new() -> Self {
        // Short, so that a test can make a receiver lag.
        Self {
            requests: Mutex::default(),
            changes: Mutex::default(),
            live: broadcast::channel(16).0,
            broken: AtomicBool::default(),
        }
    }

    fn accept(&self, id: RequestId, body: &RequestBody, raw: Bytes, origin: &Origin) -> Result<u64, AcceptError> {
        let mut requests = lock(&self.requests);
        let taken = |request: &StoredRequest| matches!((&request.idempotency, &origin.idempotency), (Some(theirs), Some(ours)) if theirs.key == ours.key);
        if requests.iter().any(taken) {
            return Err(AcceptError::KeyTaken);
        }
        let number = requests.len() as u64 + 1;
        let request = StoredRequest {
            id,
            number,
            provider: body.provider.clone(),
            subscription: body.subscription.clone(),
            command: body.command,
            priority: body.priority,
            process: body.process,
            source: origin.source,
            reference: body.reference.clone(),
            not_before: body.not_before,
            expires: body.expires,
            state: State::Waiting,
            attempts: 0,
            retry_at: None,
            created: Timestamp::now(),
            sent_at: None,
            finished_at: None,
            body: raw,
            failure: None,
            answer: None,
            platform_reference: None,
            exchange: Exchange::default(),
            idempotency: origin.idempotency.clone(),
        };
        requests.push(request.clone());
        drop(requests);
        self.report(&request);
        Ok(number)
    }

    fn finish(&self, finish: &Finish) {
        self.change(finish.id, |request| {
            request.state = finish.state;
            request.attempts = finish.attempts;
            request.sent_at = finish.sent_at;
            request.finished_at = Some(finish.finished_at);
            request.failure.clone_from(&finish.failure);
            request.answer.clone_from(&finish.answer);
            request.platform_reference.clone_from(&finish.reference);
            request.exchange = finish.exchange.clone();
        });
    }

    fn change(&self, id: RequestId, apply: impl FnOnce(&mut StoredRequest)) {
        let mut requests = lock(&self.requests);
        let request = requests.iter_mut().find(|request| request.id == id).unwrap();
        apply(request);
        let request = request.clone();
        drop(requests);
        self.report(&request);
    }

    fn report(&self, request: &StoredRequest) {
        let mut changes = lock(&self.changes);
        let change = StateChange {
            sequence: changes.len() as u64 + 1,
            at: Timestamp::now(),
            id: request.id,
            number: request.number,
            provider: request.provider.clone(),
            subscription: request.subscription.clone(),
            command: request.command,
            reference: request.reference.clone(),
            state: request.state,
            code: request.failure.as_ref().map(|failure| failure.code.to_string()),
        };
        changes.push(change.clone());
        let _ = self.live.send(change);
    }
}

impl Store for Memory {
    fn write(&self, _: Vec<StoreCall>, _: &ReportSender) {
        unreachable!("the API only reads")
    }

    fn request(&self, id: RequestId) -> BoxFuture<'_, Result<Option<StoredRequest>, StoreError>> {
        let found = lock(&self.requests).iter().find(|request| request.id == id).cloned();
        let broken = self.broken.load(Ordering::SeqCst);
        Box::pin(async move { if broken { Err(StoreError::Failed("no disk".to_owned())) } else { Ok(found) } })
    }

    fn requests(&self, filter: Filter, page: Page) -> BoxFuture<'_, Result<Listing, StoreError>> {
        let wanted = |request: &&StoredRequest| {
            filter.provider.as_ref().is_none_or(|provider| *provider == request.provider)
                && (filter.subscription.is_none() || filter.subscription == request.subscription)
                && filter.state.is_none_or(|state| state == request.state)
                && filter.command.is_none_or(|command| command == request.command)
                && filter.source.is_none_or(|source| source == request.source)
                && (filter.reference.is_none() || filter.reference == request.reference)
                && filter.from.is_none_or(|from| request.created >= from)
                && filter.to.is_none_or(|to| request.created < to)
                && page.before.is_none_or(|before| request.number < before)
        };
        let mut found: Vec<_> = lock(&self.requests).iter().rev().filter(wanted).cloned().collect();
        let more = found.len() > page.limit;
        found.truncate(page.limit);
        let next = if more { found.last().map(|request| request.number) } else { None };
        Box::pin(async move { Ok(Listing { requests: found, next }) })
    }

    fn by_key<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<(RequestId, [u8; 32])>, StoreError>> {
        let found = lock(&self.requests).iter().find_map(|request| {
            let known = request.idempotency.as_ref().filter(|known| known.key == key)?;
            Some((request.id, known.digest))
        });
        Box::pin(async move { Ok(found) })
    }

    fn unfinished(&self, _: ProviderName) -> BoxFuture<'_, Result<Vec<Recovered>, StoreError>> {
        unreachable!("the API recovers nothing")
    }

    fn unfinished_counts(&self) -> BoxFuture<'_, Result<Vec<(ProviderName, u64)>, StoreError>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn last_number(&self) -> BoxFuture<'_, Result<u64, StoreError>> {
        let last = lock(&self.requests).len() as u64;
        let broken = self.broken.load(Ordering::SeqCst);
        Box::pin(async move { if broken { Err(StoreError::Failed("no disk".to_owned())) } else { Ok(last) } })
    }

    fn changes(&self, after: u64, limit: usize) -> BoxFuture<'_, Result<Vec<StateChange>, StoreError>> {
        let changes = lock(&self.changes);
        let page = changes.iter().filter(|change| change.sequence > after).take(limit).cloned().collect();
        Box::pin(async move { Ok(page) })
    }

    fn last_sequence(&self) -> BoxFuture<'_, Result<u64, StoreError>> {
        let last = lock(&self.changes).last().map_or(0, |change| change.sequence);
        Box::pin(async move { Ok(last) })
    }

    fn subscribe(&self) -> broadcast::Receiver<StateChange> {
        self.live.subscribe()
    }

    fn subscription(&self, _: SubscriptionNumber) -> BoxFuture<'_, Result<Option<StoredSubscription>, StoreError>> {
        Box::pin(async { Ok(None) })
    }

    fn subscriptions(
        &self,
        _: SubscriptionFilter,
        _: SubscriptionPage,
    ) -> BoxFuture<'_, Result<SubscriptionListing, StoreError>> {
        Box::pin(async { Ok(SubscriptionListing { subscriptions: Vec::new(), next: None }) })
    }

    fn change_subscription(&self, _: SubscriptionChange) -> BoxFuture<'_, Result<bool, StoreError>> {
        unreachable!("the API changes no subscription by itself")
    }

    fn due_subscriptions(&self, _: Timestamp, _: usize) -> BoxFuture<'_, Result<Vec<SubscriptionNumber>, StoreError>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn out_of_sync(&self) -> BoxFuture<'_, Result<Vec<OutOfSyncCount>, StoreError>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn close(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async { Ok(()) })
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
