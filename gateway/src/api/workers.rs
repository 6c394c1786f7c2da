//! Calls of workers: third-party code that fetches the work of a provider and answers it.
//!
//! What they say is the protocol's business; here it is checked who calls, and for which provider. Headgate's own calls
//! stand below the provider, CRM.COM V4's where its own do \[S:GP, GS\].

use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State as Api};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use headgate_codecs::http::form;
use headgate_core::http::{HttpAnswer, HttpRequest, Method};
use headgate_core::text::ProviderName;
use serde_json::{Map, Value};

use super::Shared;
use super::auth::Caller;
use super::front::Front;
use super::problem::{Kind, Problem};
use crate::gateway::CallError;

/// CRM.COM's call that fetches.
pub(super) const GET_PENDING: &str = "/provisioning/generic_provisioning_requests/get_pending";

/// CRM.COM's call that answers.
pub(super) const SEND_RESPONSE: &str = "/provisioning/generic_provisioning_requests/send_response";

/// `POST /v1/providers/{name}/pull`.
pub(super) async fn pull<F: Front>(
    api: Api<Shared<F>>,
    caller: Caller,
    name: Result<Path<ProviderName>, PathRejection>,
    body: Body,
) -> Result<Response, Problem> {
    own(&api, &caller, name?.0, "/pull", body).await
}

/// `POST /v1/providers/{name}/answers`.
pub(super) async fn answers<F: Front>(
    api: Api<Shared<F>>,
    caller: Caller,
    name: Result<Path<ProviderName>, PathRejection>,
    body: Body,
) -> Result<Response, Problem> {
    own(&api, &caller, name?.0, "/answers", body).await
}

/// `POST /v1/providers/{name}/extend`.
pub(super) async fn extend<F: Front>(
    api: Api<Shared<F>>,
    caller: Caller,
    name: Result<Path<ProviderName>, PathRejection>,
    body: Body,
) -> Result<Response, Problem> {
    own(&api, &caller, name?.0, "/extend", body).await
}

async fn own<F: Front>(
    api: &Shared<F>,
    caller: &Caller,
    name: ProviderName,
    target: &str,
    body: Body,
) -> Result<Response, Problem> {
    caller.may_work_for(&name)?;
    let body = api.read_body(body).await?;
    hand_on(api, &name, Method::Post, target.to_owned(), body).await
}

/// `GET /provisioning/generic_provisioning_requests/get_pending`.
pub(super) async fn get_pending<F: Front>(
    api: Api<Shared<F>>,
    caller: Result<Caller, Problem>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let query = query.unwrap_or_default();
    let name = admit(&api, caller, &parameters(query.as_bytes()))?;
    hand_on(&api, &name, Method::Get, format!("/get_pending?{query}"), Bytes::new()).await
}

/// `POST /provisioning/generic_provisioning_requests/send_response`.
pub(super) async fn send_response<F: Front>(
    api: Api<Shared<F>>,
    caller: Result<Caller, Problem>,
    body: Body,
) -> Result<Response, Problem> {
    let body = api.read_body(body).await?;
    let name = admit(&api, caller, &parameters(&body))?;
    hand_on(&api, &name, Method::Post, "/send_response".to_owned(), body).await
}

/// Who calls may do the work of the provider that they name.
fn admit<F: Front>(
    api: &Shared<F>,
    caller: Result<Caller, Problem>,
    parameters: &Map<String, Value>,
) -> Result<ProviderName, Problem> {
    let caller = api.caller(caller, parameters.get("token").and_then(Value::as_str))?;
    let name = provider(parameters)?;
    caller.may_work_for(&name)?;
    Ok(name)
}

/// The provider that `provisioning_provider_identifier` names, by any of its three members \[S:GP\]: here a provider has
/// one name.
fn provider(parameters: &Map<String, Value>) -> Result<ProviderName, Problem> {
    let wrong = |detail: &'static str| {
        Problem::new(Kind::Malformed, "bad_parameter", detail).field("provisioning_provider_identifier")
    };
    let identifier = parameters
        .get("provisioning_provider_identifier")
        .and_then(Value::as_object)
        .ok_or_else(|| wrong("name the provider, as in {\"name\":\"gen\"}"))?;
    let mut names =
        ["name", "alternative_code", "id"].into_iter().filter_map(|member| identifier.get(member)?.as_str());
    match (names.next(), names.next()) {
        (Some(name), None) => ProviderName::new(name).map_err(|_| wrong("is no provider's name")),
        _ => Err(wrong("give exactly one of id, name and alternative_code")),
    }
}

/// The parameters of a query, a form or a JSON object.
fn parameters(bytes: &[u8]) -> Map<String, Value> {
    if bytes.trim_ascii_start().starts_with(b"{") {
        return serde_json::from_slice(bytes).unwrap_or_default();
    }
    let value = |text: String| match text.trim_start().starts_with('{') {
        true => serde_json::from_str(&text).unwrap_or(Value::String(text)),
        false => Value::String(text),
    };
    form::parse(bytes).into_iter().map(|(name, text)| (name, value(text))).collect()
}

async fn hand_on<F: Front>(
    api: &Shared<F>,
    name: &ProviderName,
    method: Method,
    target: String,
    body: Bytes,
) -> Result<Response, Problem> {
    let request = HttpRequest { method, target, headers: Vec::new(), body };
    let answer = api.front.call(name, request).await.map_err(|error| match error {
        CallError::UnknownProvider => Problem::new(Kind::NotFound, "unknown_provider", error.to_string()),
        CallError::NotServed => Problem::new(Kind::Conflict, "not_served", error.to_string()),
        CallError::Stopping => Problem::new(Kind::Unavailable, "stopping", error.to_string()),
    })?;
    Ok(response(answer))
}

/// An answer of the platform's side, as HTTP carries it.
pub(super) fn response(answer: HttpAnswer) -> Response {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let kind = answer.header("content-type").unwrap_or("application/json").to_owned();
    (status, [(header::CONTENT_TYPE, kind)], answer.body).into_response()
}
