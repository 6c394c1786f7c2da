//! `/v1/requests`: post them, list them, look at one, retry, cancel, resolve.

use axum::Json;
use axum::body::Body;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State as Api};
use axum::http::header::{CONTENT_TYPE, LOCATION};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::StreamExt;
use headgate_core::command::CommandKind;
use headgate_core::request::{RequestId, Source, State};
use headgate_core::text::{ProviderName, Reference, SubscriptionNumber};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::Shared;
use super::auth::Caller;
use super::front::Front;
use super::idempotency::{self, Scope};
use super::intake::{Answer, Inbound, Preference, read_json};
use super::ndjson::{self, Reply};
use super::order::{Lanes, Turn};
use super::problem::{Kind, Problem};
use super::view::{Eyes, View};
use crate::config::Role;
use crate::gateway::Resolution;
use crate::store::{Filter, Page};

/// What RFC 7240 has a server say about the preferences it followed.
const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");

/// Items of one array that are in work at once.
const ITEMS_AT_ONCE: usize = 1_024;

/// Most requests of one page of a listing.
const PAGE_LIMIT: usize = 1_000;

/// `POST /v1/requests`: one object, an array, or lines.
pub(super) async fn post<F: Front>(
    api: Api<Shared<F>>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    caller.needs(Role::Crm)?;
    let scope = Scope::of(&headers, &caller)?;
    let preference = Preference::of(&headers);
    match media_type(&headers) {
        "application/json" => {}
        "application/x-ndjson" | "application/ndjson" | "application/jsonl" => {
            return Ok(ndjson::respond(api.0, caller, scope, preference, body));
        }
        _ => {
            let detail = "send application/json, or application/x-ndjson for one request a line";
            return Err(
                Problem::new(Kind::UnsupportedMediaType, "unsupported_media_type", detail).field("Content-Type")
            );
        }
    }
    let body = api.read_body(body).await?;
    if body.trim_ascii_start().first() == Some(&b'[') {
        return post_array(&api, &caller, scope, preference, &body).await;
    }
    let key = scope.map(|scope| scope.item(0, idempotency::digest(&body)));
    let answer = api.take(&caller, Source::Api, Inbound::read(body)?, key, Turn::default(), preference.wait).await?;
    Ok(one(&answer, &caller, preference))
}

fn one(answer: &Answer, caller: &Caller, preference: Preference) -> Response {
    let json = serde_json::to_vec(&answer.shown.view(Eyes::of(caller.role))).unwrap_or_default();
    let mut response = Response::new(Body::from(json));
    *response.status_mut() = answer.status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Ok(location) = HeaderValue::try_from(format!("/v1/requests/{}", answer.shown.id())) {
        headers.insert(LOCATION, location);
    }
    if answer.replayed {
        headers.insert(idempotency::REPLAYED, HeaderValue::from_static("true"));
    }
    if let Some(Ok(applied)) = preference.applied().map(HeaderValue::try_from) {
        headers.insert(PREFERENCE_APPLIED, applied);
    }
    response
}

/// Answers 200 with a list: for each item, in the order of the items, its own status and its request or problem.
async fn post_array<F: Front>(
    api: &Shared<F>,
    caller: &Caller,
    scope: Option<Scope>,
    preference: Preference,
    body: &Bytes,
) -> Result<Response, Problem> {
    let items: Vec<&RawValue> = read_json(body)?;
    if items.is_empty() {
        return Err(Problem::new(Kind::Malformed, "empty_array", "the array holds no request"));
    }
    let items: Vec<Bytes> = items.iter().map(|item| body.slice_ref(item.get().as_bytes())).collect();
    let digest = idempotency::digest(body);
    let mut lanes = Lanes::default();
    let taken = (0..).zip(items).map(|(place, item)| {
        let key = scope.as_ref().map(|scope| scope.item(place, digest));
        let inbound = Inbound::read(item);
        let turn = inbound.as_ref().map(|inbound| lanes.turn(&inbound.body)).unwrap_or_default();
        async move { api.take(caller, Source::Api, inbound?, key, turn, preference.wait).await }
    });
    let answers: Vec<_> = futures_util::stream::iter(taken).buffered(ITEMS_AT_ONCE).collect().await;
    let replies: Vec<_> = (0..).zip(&answers).map(|(item, answer)| Reply::of_item(item, answer, caller.role)).collect();
    Ok(Json(replies).into_response())
}

/// `GET /v1/requests`.
pub(super) async fn list<F: Front>(
    api: Api<Shared<F>>,
    caller: Caller,
    query: Result<Query<ListQuery>, QueryRejection>,
) -> Result<Response, Problem> {
    caller.needs(Role::Viewer)?;
    let (filter, page) = query?.0.read()?;
    let listing = api.front.store().requests(filter, page).await?;
    let eyes = Eyes::of(caller.role);
    let requests = listing.requests.iter().map(|stored| View::stored(stored, eyes)).collect();
    Ok(Json(ListingView { requests, next: listing.next.map(|number| number.to_string()) }).into_response())
}

/// The query of `GET /v1/requests`. Every filter given must hold.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    /// Of this provider.
    provider: Option<ProviderName>,
    /// Of this subscription.
    subscription: Option<SubscriptionNumber>,
    /// In this state.
    state: Option<State>,
    /// With this command.
    command: Option<CommandKind>,
    /// Made by this.
    source: Option<Source>,
    /// With this reference of the CRM.
    reference: Option<Reference>,
    /// Accepted at or after this time, RFC 3339.
    from: Option<Timestamp>,
    /// Accepted before this time, RFC 3339.
    to: Option<Timestamp>,
    /// At most so many, 1 to 1,000. Default 100.
    limit: Option<usize>,
    /// `next` of the page before.
    cursor: Option<String>,
}

impl ListQuery {
    fn read(self) -> Result<(Filter, Page), Problem> {
        let wrong =
            |field: &'static str, detail: String| Problem::new(Kind::Malformed, "bad_parameter", detail).field(field);
        let limit = self.limit.unwrap_or(100);
        if !(1..=PAGE_LIMIT).contains(&limit) {
            return Err(wrong("limit", format!("must be 1 to {PAGE_LIMIT}")));
        }
        let before = self.cursor.map(|cursor| cursor.parse()).transpose();
        let before = before.map_err(|_| wrong("cursor", "must be `next` of the page before".to_owned()))?;
        let filter = Filter {
            provider: self.provider,
            subscription: self.subscription,
            state: self.state,
            command: self.command,
            source: self.source,
            reference: self.reference,
            from: self.from,
            to: self.to,
        };
        Ok((filter, Page { before, limit }))
    }
}

/// One page of a listing.
#[derive(Serialize, schemars::JsonSchema)]
#[schemars(rename = "Listing")]
pub(super) struct ListingView<'a> {
    /// The requests, newest first.
    requests: Vec<View<'a>>,
    /// The `cursor` of the next page; absent: this is the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// `GET /v1/requests/{id}`.
pub(super) async fn show<F: Front>(
    api: Api<Shared<F>>,
    caller: Caller,
    id: Result<Path<RequestId>, PathRejection>,
    query: Result<Query<ShowQuery>, QueryRejection>,
) -> Result<Response, Problem> {
    caller.needs(Role::Viewer)?;
    let exchange = query?.exchange;
    if exchange {
        caller.needs(Role::Operator)?;
    }
    let stored = api.stored(id?.0).await?;
    Ok(Json(View::stored(&stored, Eyes { role: caller.role, exchange })).into_response())
}

/// The query of `GET /v1/requests/{id}`.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ShowQuery {
    /// Whether to show what went out and what came back; for operators. Default false.
    #[serde(default)]
    exchange: bool,
}

/// `POST /v1/requests/{id}/retry`.
pub(super) async fn retry<F: Front>(
    api: Api<Shared<F>>,
    caller: Caller,
    id: Result<Path<RequestId>, PathRejection>,
) -> Result<Response, Problem> {
    caller.needs(Role::Operator)?;
    let id = id?.0;
    api.front.retry(id).await?;
    tracing::info!(key = &*caller.name, request = %id, "retried by hand");
    after(&api, &caller, id).await
}

/// `POST /v1/requests/{id}/cancel`.
pub(super) async fn cancel<F: Front>(
    api: Api<Shared<F>>,
    caller: Caller,
    id: Result<Path<RequestId>, PathRejection>,
) -> Result<Response, Problem> {
    caller.needs(Role::Operator)?;
    let id = id?.0;
    api.front.cancel(id).await?;
    tracing::info!(key = &*caller.name, request = %id, "cancelled by hand");
    after(&api, &caller, id).await
}

/// `POST /v1/requests/{id}/resolve`.
pub(super) async fn resolve<F: Front>(
    api: Api<Shared<F>>,
    caller: Caller,
    id: Result<Path<RequestId>, PathRejection>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    caller.needs(Role::Operator)?;
    let id = id?.0;
    let ResolveBody { state } = api.read_object(&headers, body).await?;
    api.front.resolve(id, state).await?;
    tracing::info!(key = &*caller.name, request = %id, ?state, "resolved by hand");
    after(&api, &caller, id).await
}

/// The body of `POST /v1/requests/{id}/resolve`.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ResolveBody {
    /// How it really ended.
    state: Resolution,
}

async fn after<F: Front>(api: &Shared<F>, caller: &Caller, id: RequestId) -> Result<Response, Problem> {
    let stored = api.stored(id).await?;
    Ok(Json(View::stored(&stored, Eyes::of(caller.role))).into_response())
}

impl<F: Front> super::Api<F> {
    /// A body that is one small JSON object.
    ///
    /// # Errors
    /// A problem, if it is not, or not sent as `application/json`.
    pub(super) async fn read_object<T: serde::de::DeserializeOwned>(
        &self,
        headers: &HeaderMap,
        body: Body,
    ) -> Result<T, Problem> {
        if media_type(headers) != "application/json" {
            return Err(Problem::new(Kind::UnsupportedMediaType, "unsupported_media_type", "send application/json")
                .field("Content-Type"));
        }
        read_json(&self.read_body(body).await?)
    }
}

/// The media type, without its parameters.
fn media_type(headers: &HeaderMap) -> &str {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim()
}
