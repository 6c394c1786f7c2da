//! `/v1/providers`: how they stand, on and off, a connection test, a raw message.

use std::time::{Duration, Instant};

use axum::Json;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State as Api};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use headgate_core::command::CommandKind;
use headgate_core::request::{Source, State};
use headgate_core::text::{ProviderName, Reference, SubscriptionNumber};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Shared;
use super::auth::Caller;
use super::front::Front;
use super::intake::{Answer, Inbound, Preference};
use super::order::Turn;
use super::problem::{Kind, Problem};
use super::view::{Eyes, View};
use crate::config::{ProviderState, Role};
use crate::gateway::ProviderStatus;

/// How long a test or a raw message waits for its outcome, unless `Prefer` says otherwise.
const WAIT: Duration = Duration::from_secs(30);

/// How long the outcome of a test that has just expired is waited for.
const EXPIRY: Duration = Duration::from_secs(1);

/// `GET /v1/providers`.
pub(super) async fn list<F: Front>(api: Api<Shared<F>>, caller: Caller) -> Result<Response, Problem> {
    caller.needs(Role::Viewer)?;
    Ok(Json(ProvidersView { providers: api.front.providers().await }).into_response())
}

/// Every provider.
#[derive(Serialize, schemars::JsonSchema)]
#[schemars(rename = "Providers")]
pub(super) struct ProvidersView {
    /// By name.
    providers: Vec<ProviderStatus>,
}

/// `GET /v1/providers/{name}`.
pub(super) async fn show<F: Front>(
    api: Api<Shared<F>>,
    caller: Caller,
    name: Result<Path<ProviderName>, PathRejection>,
) -> Result<Response, Problem> {
    caller.needs(Role::Viewer)?;
    Ok(Json(find(&api, &name?.0).await?).into_response())
}

/// `PUT /v1/providers/{name}/state`.
pub(super) async fn set_state<F: Front>(
    api: Api<Shared<F>>,
    caller: Caller,
    name: Result<Path<ProviderName>, PathRejection>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    caller.needs(Role::Operator)?;
    let name = find(&api, &name?.0).await?.name;
    let StateBody { state } = api.read_object(&headers, body).await?;
    api.front.set_state(&name, state).await?;
    tracing::info!(key = &*caller.name, provider = name.as_str(), state = state.name(), "provider switched by hand");
    Ok(Json(find(&api, &name).await?).into_response())
}

/// The body of `PUT /v1/providers/{name}/state`.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct StateBody {
    /// Whether requests go out.
    state: ProviderState,
}

/// `POST /v1/providers/{name}/test`: a `test_connection` through the provider's queue.
pub(super) async fn test<F: Front>(
    api: Api<Shared<F>>,
    caller: Caller,
    name: Result<Path<ProviderName>, PathRejection>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    caller.needs(Role::Operator)?;
    let provider = find(&api, &name?.0).await?.name;
    let started = Instant::now();
    // Once nobody waits for its outcome, a test tells nothing: it must not stay behind in the queue.
    let wait = Preference::of(&headers).wait_or(WAIT);
    let expires = Timestamp::now() + wait.unwrap_or(WAIT);
    let posted = Posted { expires: Some(expires), ..Posted::new(provider, CommandKind::TestConnection) };
    let answer = send(&api, &caller, &posted, wait.map(|wait| wait + EXPIRY)).await?;
    let milliseconds = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    let ok = answer.shown.state() == State::Completed;
    let request = answer.shown.view(Eyes::of(caller.role));
    Ok((answer.status, Json(TestView { ok, milliseconds, request })).into_response())
}

/// How a connection test went.
#[derive(Serialize, schemars::JsonSchema)]
#[schemars(rename = "Test")]
pub(super) struct TestView<'a> {
    /// Whether the platform answered.
    ok: bool,
    /// How long it took, the time in the queue included, in milliseconds.
    milliseconds: u64,
    /// The request that asked it.
    request: View<'a>,
}

/// `POST /v1/providers/{name}/raw`: the platform's own message.
pub(super) async fn raw<F: Front>(
    api: Api<Shared<F>>,
    caller: Caller,
    name: Result<Path<ProviderName>, PathRejection>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    caller.needs(Role::Admin)?;
    let provider = find(&api, &name?.0).await?.name;
    let raw: RawBody = api.read_object(&headers, body).await?;
    let posted = Posted { raw: Some(raw), ..Posted::new(provider, CommandKind::Raw) };
    let answer = send(&api, &caller, &posted, Preference::of(&headers).wait_or(WAIT)).await?;
    Ok((answer.status, Json(answer.shown.view(Eyes::of(caller.role)))).into_response())
}

/// The body of `POST /v1/providers/{name}/raw`.
#[derive(Debug, Deserialize, Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawBody {
    /// The message in hexadecimal, without the frame that the protocol puts around it.
    payload: String,
    /// Whether sending it twice does no harm. Default false.
    #[serde(default)]
    safe_to_repeat: bool,
    /// The subscription it is for, whose other requests it keeps its order with.
    #[serde(skip_serializing_if = "Option::is_none")]
    subscription: Option<SubscriptionNumber>,
    /// The caller's own reference.
    #[serde(skip_serializing_if = "Option::is_none")]
    reference: Option<Reference>,
}

/// A request that a person makes here, in the form in which a CRM would post it.
#[derive(Serialize)]
struct Posted {
    provider: ProviderName,
    command: CommandKind,
    #[serde(flatten)]
    raw: Option<RawBody>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<Timestamp>,
}

impl Posted {
    const fn new(provider: ProviderName, command: CommandKind) -> Self {
        Self { provider, command, raw: None, expires: None }
    }
}

async fn send<F: Front>(
    api: &Shared<F>,
    caller: &Caller,
    posted: &Posted,
    wait: Option<Duration>,
) -> Result<Answer, Problem> {
    let json =
        serde_json::to_vec(posted).map_err(|error| Problem::new(Kind::Internal, "internal", error.to_string()))?;
    api.take(caller, Source::Utility, Inbound::read(json.into())?, None, Turn::default(), wait).await
}

async fn find<F: Front>(api: &Shared<F>, name: &ProviderName) -> Result<ProviderStatus, Problem> {
    let mut providers = api.front.providers().await;
    if let Some(found) = providers.iter().position(|provider| provider.name == *name) {
        return Ok(providers.swap_remove(found));
    }
    let known: Vec<_> = providers.iter().map(|provider| provider.name.as_str()).collect();
    let detail = format!("there is no provider of that name; there are: {}", known.join(", "));
    Err(Problem::new(Kind::NotFound, "unknown_provider", detail))
}
