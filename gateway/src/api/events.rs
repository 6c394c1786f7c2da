//! `GET /v1/events`: every change of a request's state, as server-sent events.
//!
//! An event's id is the change's sequence number. A client that comes back with `Last-Event-ID` gets what it missed,
//! from the store; one that comes without gets what changes from now on. A client that reads too slowly is
//! served from the store as well, so it misses nothing that is kept. Where something is not kept, an event `gap`
//! tells, so that the client can ask `/v1/requests` for the states as they are now.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State as Api};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use headgate_core::command::CommandKind;
use headgate_core::request::{RequestId, State};
use headgate_core::text::{ProviderName, Reference, SubscriptionNumber};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use super::Shared;
use super::auth::Caller;
use super::front::Front;
use super::problem::{Kind, Problem};
use crate::config::Role;
use crate::store::{StateChange, Store, StoreError};

/// The header with the id of the last event a client got.
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// How often a comment tells that the stream is alive.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// How many changes are read from the store at once.
const PAGE: usize = 500;

/// `GET /v1/events`.
pub(super) async fn follow<F: Front>(
    api: Api<Shared<F>>,
    caller: Caller,
    headers: HeaderMap,
    query: Result<Query<EventsQuery>, QueryRejection>,
) -> Result<Response, Problem> {
    caller.needs(Role::Viewer)?;
    let last = headers.get(LAST_EVENT_ID).map(read_id).transpose()?;
    let follower = Follower::new(api.front.store(), last, query?.0, api.stop.clone());
    let events = futures_util::stream::unfold(follower, |mut follower| async {
        let event = match follower.next().await? {
            Told::Change(change) => event(&change),
            Told::Gap(gap) => gap.event(),
        };
        Some((Ok::<_, Infallible>(event), follower))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response())
}

/// The query of `GET /v1/events`. Every filter given must hold.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct EventsQuery {
    /// Of this provider.
    provider: Option<ProviderName>,
    /// Of this subscription.
    subscription: Option<SubscriptionNumber>,
    /// With this reference of the CRM.
    reference: Option<Reference>,
}

impl EventsQuery {
    fn admits(&self, change: &StateChange) -> bool {
        self.provider.as_ref().is_none_or(|provider| *provider == change.provider)
            && (self.subscription.is_none() || self.subscription == change.subscription)
            && (self.reference.is_none() || self.reference == change.reference)
    }
}

/// The data of an event.
#[derive(Serialize, schemars::JsonSchema)]
#[schemars(rename = "Change")]
pub(super) struct ChangeView<'a> {
    /// Which request.
    id: RequestId,
    /// Its number.
    number: u64,
    /// When it changed.
    at: Timestamp,
    /// Its provider.
    #[schemars(with = "ProviderName")]
    provider: &'a str,
    /// Its subscription.
    #[schemars(with = "Option<SubscriptionNumber>")]
    #[serde(skip_serializing_if = "Option::is_none")]
    subscription: Option<&'a str>,
    /// Its command.
    command: CommandKind,
    /// The CRM's reference.
    #[schemars(with = "Option<Reference>")]
    #[serde(skip_serializing_if = "Option::is_none")]
    reference: Option<&'a str>,
    /// The state it has now.
    state: State,
    /// The same for a CRM with three states.
    #[schemars(extend("enum" = ["PENDING", "COMPLETED", "REJECTED"]))]
    crm_state: &'static str,
    /// The code of its failure, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'a str>,
}

/// The data of an event `gap`: changes that the client can not be told, because they are kept no longer, or because
/// the store is not the one that gave its last event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub(super) struct Gap {
    /// The id of the last event the client got.
    after: u64,
    /// The id of the next event there is, or will be.
    before: u64,
}

impl Gap {
    /// A client that comes back with its id has been told.
    fn event(self) -> Event {
        let json = serde_json::to_string(&self).unwrap_or_default();
        Event::default().id(self.before.saturating_sub(1).to_string()).event("gap").data(json)
    }
}

/// What a follower is told.
enum Told {
    Change(Box<StateChange>),
    Gap(Gap),
}

fn event(change: &StateChange) -> Event {
    let view = ChangeView {
        id: change.id,
        number: change.number,
        at: change.at,
        provider: change.provider.as_str(),
        subscription: change.subscription.as_ref().map(SubscriptionNumber::as_str),
        command: change.command,
        reference: change.reference.as_ref().map(Reference::as_str),
        state: change.state,
        crm_state: change.state.in_three(),
        code: change.code.as_deref(),
    };
    let json = serde_json::to_string(&view).unwrap_or_default();
    Event::default().id(change.sequence.to_string()).event("request").data(json)
}

fn unreadable<T>(error: &StoreError) -> Option<T> {
    tracing::error!(%error, "the event stream can not be read from the store");
    None
}

fn read_id(value: &HeaderValue) -> Result<u64, Problem> {
    value.to_str().ok().and_then(|id| id.trim().parse().ok()).ok_or_else(|| {
        Problem::new(Kind::Malformed, "bad_event_id", "must be the id of an event of this stream")
            .field("Last-Event-ID")
    })
}

/// One client's place in the stream of changes.
struct Follower {
    store: Arc<dyn Store>,
    live: broadcast::Receiver<StateChange>,
    /// The last change that was passed on or passed over; none yet: the stream begins with the next change.
    last: Option<u64>,
    /// Changes read from the store.
    missed: VecDeque<StateChange>,
    /// Whether there may be more in the store.
    behind: bool,
    /// Whether `last` is what the client says, and may be of another store.
    claimed: bool,
    /// A change to tell after a gap.
    held: Option<StateChange>,
    wanted: EventsQuery,
    stop: CancellationToken,
}

impl Follower {
    fn new(store: &Arc<dyn Store>, last: Option<u64>, wanted: EventsQuery, stop: CancellationToken) -> Self {
        // Subscribed before the first look into the store: a change between the two comes twice, never not at all.
        let live = store.subscribe();
        Self {
            store: Arc::clone(store),
            live,
            last,
            missed: VecDeque::new(),
            behind: last.is_some(),
            claimed: last.is_some(),
            held: None,
            wanted,
            stop,
        }
    }

    /// What the client is told next; nothing, once the gateway stops or the store fails.
    async fn next(&mut self) -> Option<Told> {
        if self.claimed
            && let Some(gap) = self.foreign().await?
        {
            return Some(Told::Gap(gap));
        }
        let stop = self.stop.clone();
        loop {
            let change = tokio::select! {
                biased;
                () = stop.cancelled() => return None,
                change = self.any() => change?,
            };
            let sequence = change.sequence;
            match self.last {
                Some(last) if sequence <= last => continue,
                Some(last) if sequence > last + 1 => {
                    self.last = Some(sequence - 1);
                    self.held = Some(change);
                    return Some(Told::Gap(Gap { after: last, before: sequence }));
                }
                Some(_) | None => self.last = Some(sequence),
            }
            if self.wanted.admits(&change) {
                return Some(Told::Change(Box::new(change)));
            }
        }
    }

    /// Whether the client's last event is one that this store has not given yet: then it followed another one, which
    /// this replaces. The stream goes on with the next change. The outer nothing: the store fails.
    async fn foreign(&mut self) -> Option<Option<Gap>> {
        let newest = match self.store.last_sequence().await {
            Ok(newest) => newest,
            Err(error) => return unreadable(&error),
        };
        self.claimed = false;
        let Some(after) = self.last.filter(|last| *last > newest) else { return Some(None) };
        self.last = Some(newest);
        Some(Some(Gap { after, before: newest + 1 }))
    }

    /// The next change, from the store while the client is behind, else as it happens.
    async fn any(&mut self) -> Option<StateChange> {
        loop {
            if let Some(change) = self.held.take().or_else(|| self.missed.pop_front()) {
                return Some(change);
            }
            if let (true, Some(last)) = (self.behind, self.last) {
                match self.store.changes(last, PAGE).await {
                    Ok(page) => {
                        // A page may be short of a change that can not be read.
                        self.behind = !page.is_empty();
                        self.missed = page.into();
                    }
                    Err(error) => return unreadable(&error),
                }
                continue;
            }
            match self.live.recv().await {
                Ok(change) => return Some(change),
                Err(RecvError::Closed) => return None,
                Err(RecvError::Lagged(count)) => {
                    // Before the first change there is no place to go on from; the next one tells where it was.
                    let Some(start) = self.last.or_else(|| self.start(count)) else { continue };
                    self.last = Some(start);
                    self.behind = true;
                }
            }
        }
    }

    /// Where a stream began that lost its first `count` changes. Numbers of changes follow each other, so they
    /// are counted back from the oldest that is still there.
    fn start(&mut self, count: u64) -> Option<u64> {
        let oldest = self.live.try_recv().ok()?;
        Some(oldest.sequence.saturating_sub(count + 1))
    }
}
