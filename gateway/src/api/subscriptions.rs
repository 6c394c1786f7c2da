//! `/v1/subscriptions`: put them, act on them, reset them, list them, ask their platforms, forget them.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State as Api};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use headgate_core::command::CommandKind;
use headgate_core::request::{RequestId, State};
use headgate_core::subscription::{
    Action, Authorised, Difference, Held, Holder, OutOfSync, PostedAction, Subscription, SubscriptionBody,
    SubscriptionState,
};
use headgate_core::text::{CaId, ProviderName, ServiceCode, SubscriptionKind, SubscriptionNumber};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, timeout_at};

use super::Shared;
use super::auth::Caller;
use super::front::Front;
use super::intake::Preference;
use super::problem::{Kind, Problem};
use crate::config::Role;
use crate::gateway::Accepted;
use crate::store::subscriptions::{StoredSubscription, SubscriptionFilter, SubscriptionPage};
use crate::subscriptions::{Changed, Made, Note, Standing, SubscriptionError, Told, Wish};

/// Most subscriptions of one page of a listing.
const PAGE_LIMIT: usize = 1_000;

/// How long a platform is asked, unless `Prefer` says otherwise.
const ASK_WAIT: Duration = Duration::from_secs(30);

/// `PUT /v1/subscriptions/{number}`.
pub(super) async fn put<F: Front>(
    api: Api<Shared<F>>,
    caller: Caller,
    number: Result<Path<SubscriptionNumber>, PathRejection>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    caller.needs(Role::Crm)?;
    let number = number?.0;
    let body: SubscriptionBody = api.read_object(&headers, body).await?;
    change(&api, &caller, &number, Wish::Put(Box::new(body)), "put", &headers).await
}

/// `POST /v1/subscriptions/{number}/actions`.
pub(super) async fn act<F: Front>(
    api: Api<Shared<F>>,
    caller: Caller,
    number: Result<Path<SubscriptionNumber>, PathRejection>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    caller.needs(Role::Crm)?;
    let number = number?.0;
    let posted: PostedAction = api.read_object(&headers, body).await?;
    change(&api, &caller, &number, Wish::Act(Box::new(posted)), "acted on", &headers).await
}

/// `POST /v1/subscriptions/{number}/reset`.
pub(super) async fn reset<F: Front>(
    api: Api<Shared<F>>,
    caller: Caller,
    number: Result<Path<SubscriptionNumber>, PathRejection>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    caller.needs(Role::Crm)?;
    change(&api, &caller, &number?.0, Wish::Reset, "reset", &headers).await
}

async fn change<F: Front>(
    api: &Shared<F>,
    caller: &Caller,
    number: &SubscriptionNumber,
    wish: Wish,
    what: &'static str,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let until = Preference::of(headers).wait.map(|wait| Instant::now() + wait);
    let changed = api.front.change_subscription(number, &wish).await?;
    tracing::info!(key = &*caller.name, what, requests = changed.requests.len(), "a subscription was changed");
    let status = if changed.created { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(ChangedView::of(changed, until).await)).into_response())
}

/// `GET /v1/subscriptions/{number}`.
pub(super) async fn show<F: Front>(
    api: Api<Shared<F>>,
    caller: Caller,
    number: Result<Path<SubscriptionNumber>, PathRejection>,
) -> Result<Response, Problem> {
    caller.needs(Role::Viewer)?;
    let standing = api.front.subscription(&number?.0).await?;
    Ok(Json(SubscriptionView::of(standing)).into_response())
}

/// `DELETE /v1/subscriptions/{number}`.
pub(super) async fn forget<F: Front>(
    api: Api<Shared<F>>,
    caller: Caller,
    number: Result<Path<SubscriptionNumber>, PathRejection>,
) -> Result<Response, Problem> {
    caller.needs(Role::Crm)?;
    api.front.forget_subscription(&number?.0).await?;
    tracing::info!(key = &*caller.name, "a subscription was forgotten");
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// `GET /v1/subscriptions/{number}/platform`.
pub(super) async fn platform<F: Front>(
    api: Api<Shared<F>>,
    caller: Caller,
    number: Result<Path<SubscriptionNumber>, PathRejection>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    caller.needs(Role::Crm)?;
    let wait = Preference::of(&headers).wait.unwrap_or(ASK_WAIT);
    let told = api.front.ask_platforms(&number?.0, wait).await?;
    let platforms = told.into_iter().map(|told| (told.provider.clone(), ToldView::of(told))).collect();
    Ok(Json(PlatformsView { platforms }).into_response())
}

/// `GET /v1/subscriptions`.
pub(super) async fn list<F: Front>(
    api: Api<Shared<F>>,
    caller: Caller,
    query: Result<Query<SubscriptionsQuery>, QueryRejection>,
) -> Result<Response, Problem> {
    caller.needs(Role::Viewer)?;
    let (filter, page) = query?.0.read()?;
    let listing = api.front.store().subscriptions(filter, page).await?;
    let subscriptions = listing.subscriptions.into_iter().map(SubscriptionLine::of).collect();
    Ok(Json(SubscriptionsView { subscriptions, next: listing.next }).into_response())
}

/// The query of `GET /v1/subscriptions`. Every filter given must hold.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SubscriptionsQuery {
    /// With something wanted of this provider, or held there.
    provider: Option<ProviderName>,
    /// In this state.
    state: Option<SubscriptionState>,
    /// Of this type of the CRM.
    kind: Option<SubscriptionKind>,
    /// Out of step, or in step.
    out_of_sync: Option<bool>,
    /// Made at or after this time, RFC 3339.
    from: Option<Timestamp>,
    /// Made before this time, RFC 3339.
    to: Option<Timestamp>,
    /// At most so many, 1 to 1,000. Default 100.
    limit: Option<usize>,
    /// `next` of the page before.
    cursor: Option<String>,
}

impl SubscriptionsQuery {
    fn read(self) -> Result<(SubscriptionFilter, SubscriptionPage), Problem> {
        let limit = self.limit.unwrap_or(100);
        if !(1..=PAGE_LIMIT).contains(&limit) {
            let detail = format!("must be 1 to {PAGE_LIMIT}");
            return Err(Problem::new(Kind::Malformed, "bad_parameter", detail).field("limit"));
        }
        let filter = SubscriptionFilter {
            provider: self.provider,
            state: self.state,
            kind: self.kind,
            out_of_sync: self.out_of_sync,
            from: self.from,
            to: self.to,
        };
        Ok((filter, SubscriptionPage { after: self.cursor, limit }))
    }
}

/// One page of a listing.
#[derive(Serialize, schemars::JsonSchema)]
#[schemars(rename = "Subscriptions")]
pub(super) struct SubscriptionsView {
    /// The subscriptions, by number as text is sorted.
    subscriptions: Vec<SubscriptionLine>,
    /// The `cursor` of the next page; absent: this is the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// A subscription in a listing.
#[derive(Serialize, schemars::JsonSchema)]
struct SubscriptionLine {
    /// The CRM's number.
    number: SubscriptionNumber,
    /// Where it stands.
    state: SubscriptionState,
    /// The CRM's type of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<SubscriptionKind>,
    /// When it was made.
    created: Timestamp,
    /// Its providers, those included that should hold nothing any more.
    providers: Vec<ProviderName>,
    /// Where it is out of step, and why.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    out_of_sync: BTreeMap<ProviderName, OutOfSync>,
}

impl SubscriptionLine {
    fn of(stored: StoredSubscription) -> Self {
        let StoredSubscription { desired, holdings } = stored;
        let providers = holdings.keys().cloned().collect();
        let marks = holdings.into_iter().filter_map(|(name, holding)| Some((name, holding.authorised.out_of_sync?)));
        let out_of_sync = marks.collect();
        let Subscription { number, state, kind, created, .. } = desired;
        Self { number, state, kind, created, providers, out_of_sync }
    }
}

/// A subscription beside its platforms.
#[derive(Serialize, schemars::JsonSchema)]
#[schemars(rename = "SubscriptionStanding")]
pub(super) struct SubscriptionView {
    /// What the CRM wants. Secrets are stars.
    #[serde(flatten)]
    desired: Subscription,
    /// What each platform is believed to hold.
    platforms: BTreeMap<ProviderName, PlatformView>,
}

/// What one platform is believed to hold.
#[derive(Serialize, schemars::JsonSchema)]
struct PlatformView {
    /// Whether it holds what it should, as far as anybody knows.
    in_step: bool,
    /// What it is believed to hold, and whether that belief is good.
    #[serde(flatten)]
    authorised: Authorised,
    /// How many requests that change something have not ended.
    unfinished: usize,
    /// Requests are still to be made; Headgate does so by itself.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    unplanned: bool,
    /// How it differs from what it should hold; absent: the provider is not configured.
    #[serde(skip_serializing_if = "Option::is_none")]
    differences: Option<Vec<Difference>>,
    /// Services that the platform has no name for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unmapped: Vec<ServiceCode>,
}

impl SubscriptionView {
    fn of(standing: Standing) -> Self {
        let Standing { stored, mut differences, mut unmapped } = standing;
        let holdings = stored.holdings.into_iter().map(|(provider, holding)| {
            let differences = differences.remove(&provider);
            let settled = holding.pending.is_empty() && !holding.unplanned && holding.authorised.out_of_sync.is_none();
            let view = PlatformView {
                in_step: settled && differences.as_ref().is_some_and(Vec::is_empty),
                authorised: holding.authorised.mask(),
                unfinished: holding.pending.len(),
                unplanned: holding.unplanned,
                differences,
                unmapped: unmapped.remove(&provider).unwrap_or_default(),
            };
            (provider, view)
        });
        Self { platforms: holdings.collect(), desired: masked(stored.desired) }
    }
}

/// The same with secrets replaced by stars, for showing.
fn masked(mut desired: Subscription) -> Subscription {
    desired.subscriber.mask();
    for scheduled in &mut desired.scheduled {
        match &mut scheduled.action {
            Action::BecomeSubscriber { subscriber: Some(subscriber) } | Action::UpdateSubscriber { subscriber } => {
                subscriber.mask();
            }
            _ => {}
        }
    }
    desired
}

/// What became of a change.
#[derive(Serialize, schemars::JsonSchema)]
#[schemars(rename = "SubscriptionChanged")]
pub(super) struct ChangedView {
    /// The CRM's number.
    number: SubscriptionNumber,
    /// Where it stands now.
    state: SubscriptionState,
    /// The requests that were made, in their order.
    requests: Vec<MadeView>,
    /// The requests that could not be made; those behind them at the same provider were not tried.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    not_made: Vec<NotMadeView>,
    /// Providers whose requests are left to the processing run.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    awaits_run: Vec<ProviderName>,
    /// What no command of a provider can bring in step.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    left: BTreeMap<ProviderName, Vec<Difference>>,
    /// Services that a provider has no name for.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    unmapped: BTreeMap<ProviderName, Vec<ServiceCode>>,
}

/// A request that was made.
#[derive(Serialize, schemars::JsonSchema)]
struct MadeView {
    /// Its id.
    id: RequestId,
    /// Its number.
    number: u64,
    /// Its provider.
    provider: ProviderName,
    /// Its command.
    command: CommandKind,
    /// Where it stands.
    state: State,
}

/// A request that could not be made.
#[derive(Serialize, schemars::JsonSchema)]
struct NotMadeView {
    /// Its provider.
    provider: ProviderName,
    /// Its command.
    command: CommandKind,
    /// Why, and whether it is made later by itself.
    problem: super::problem::Owned,
}

impl ChangedView {
    /// Waits for the requests until the time is up.
    async fn of(changed: Changed, until: Option<Instant>) -> Self {
        let Changed { desired, requests, not_made, notes, .. } = changed;
        let mut views = Vec::with_capacity(requests.len());
        for Made { provider, command, accepted } in requests {
            let Accepted { id, number, state, finish } = accepted;
            let finish = match until {
                // Neither a wait that is over nor a gateway that stops is an error: the request is in the store.
                Some(until) => timeout_at(until, finish).await.ok().and_then(Result::ok),
                None => None,
            };
            let state = finish.map_or(state, |finish| finish.state);
            views.push(MadeView { id, number, provider, command, state });
        }
        let not_made = not_made.into_iter().map(|not_made| NotMadeView {
            provider: not_made.provider,
            command: not_made.command,
            problem: Problem::from(not_made.error).owned(),
        });
        let mut view = Self {
            number: desired.number,
            state: desired.state,
            requests: views,
            not_made: not_made.collect(),
            awaits_run: Vec::new(),
            left: BTreeMap::new(),
            unmapped: BTreeMap::new(),
        };
        for (provider, Note { awaits_run, left, unmapped }) in notes {
            if awaits_run {
                view.awaits_run.push(provider.clone());
            }
            if !left.is_empty() {
                view.left.insert(provider.clone(), left);
            }
            if !unmapped.is_empty() {
                view.unmapped.insert(provider, unmapped);
            }
        }
        view
    }
}

/// What the platforms say.
#[derive(Serialize, schemars::JsonSchema)]
#[schemars(rename = "SubscriptionPlatforms")]
pub(super) struct PlatformsView {
    /// By provider.
    platforms: BTreeMap<ProviderName, ToldView>,
}

/// What one platform says.
#[derive(Serialize, schemars::JsonSchema)]
struct ToldView {
    /// How many questions it was asked; zero: it can not be asked, and what stands here is what is believed.
    asked: usize,
    /// Why a question has no answer.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unanswered: Vec<String>,
    /// What it holds; where it did not say, as it is believed.
    held: Held,
    /// Services it holds under ids that the configuration does not know.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    strangers: Vec<StrangerView>,
    /// How that differs from what it should hold.
    differences: Vec<Difference>,
    /// Whether it is what is believed from now on.
    adopted: bool,
}

/// A service under an id that the configuration does not know.
#[derive(Serialize, schemars::JsonSchema)]
struct StrangerView {
    /// Who holds it.
    holder: Holder,
    /// The platform's id.
    ca_id: CaId,
}

impl ToldView {
    fn of(told: Told) -> Self {
        let Told { asked, unanswered, held, strangers, differences, adopted, .. } = told;
        let held = Authorised { held, ..Authorised::default() }.mask().held;
        let strangers = strangers.into_iter().map(|(holder, ca_id)| StrangerView { holder, ca_id }).collect();
        Self { asked, unanswered, held, strangers, differences, adopted }
    }
}

impl From<SubscriptionError> for Problem {
    fn from(error: SubscriptionError) -> Self {
        match error {
            SubscriptionError::NotFound => Self::not_found("subscription"),
            SubscriptionError::Refused(refusal) => refusal.into(),
            SubscriptionError::StillHeld(_) => Self::new(Kind::Conflict, "still_held", error.to_string()),
            SubscriptionError::Unsteady => {
                Self::new(Kind::Unavailable, "unsteady", error.to_string()).retry_after(Duration::from_secs(1))
            }
            SubscriptionError::Stopping => super::problem::stopping(),
            SubscriptionError::NotStored(error) => {
                tracing::error!(%error, "a subscription could not be stored");
                let detail = "the store could not keep the subscription; nothing was changed";
                Self::new(Kind::Unavailable, "not_stored", detail).retry_after(Duration::from_secs(5))
            }
            SubscriptionError::Store(error) => error.into(),
        }
    }
}
