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
use headgate_codecs::crm_com::envelope::{Invalid, Parameters};
pub(super) use headgate_codecs::crm_com::{GET_PENDING, SEND_RESPONSE};
use headgate_core::http::{HttpAnswer, HttpRequest, Method};
use headgate_core::text::ProviderName;

use super::Shared;
use super::auth::Caller;
use super::front::Front;
use super::problem::{Kind, Problem};
use crate::gateway::CallError;

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
    let name = admit(&api, caller, &Parameters::read(query.as_bytes(), b"").map_err(wrong)?)?;
    hand_on(&api, &name, Method::Get, format!("/get_pending?{query}"), Bytes::new()).await
}

/// `POST /provisioning/generic_provisioning_requests/send_response`.
pub(super) async fn send_response<F: Front>(
    api: Api<Shared<F>>,
    caller: Result<Caller, Problem>,
    body: Body,
) -> Result<Response, Problem> {
    let body = api.read_body(body).await?;
    let name = admit(&api, caller, &Parameters::read(b"", &body).map_err(wrong)?)?;
    hand_on(&api, &name, Method::Post, "/send_response".to_owned(), body).await
}

/// Who calls may do the work of the provider that they name.
fn admit<F: Front>(
    api: &Shared<F>,
    caller: Result<Caller, Problem>,
    parameters: &Parameters,
) -> Result<ProviderName, Problem> {
    let caller = api.caller(caller, parameters.text("token").map_err(wrong)?.as_deref())?;
    let name = provider(parameters).map_err(wrong)?;
    caller.may_work_for(&name)?;
    Ok(name)
}

/// The provider that `provisioning_provider_identifier` names, by any of its three members \[S:GP\]: here a provider has
/// one name.
fn provider(parameters: &Parameters) -> Result<ProviderName, Invalid> {
    let field = "provisioning_provider_identifier";
    let identifier = parameters.identifier(field, &["id", "name", "alternative_code"])?;
    let identifier =
        identifier.ok_or_else(|| Invalid::new(field, "must name the provider, as in {\"name\":\"gen\"}"))?;
    ProviderName::new(&identifier.value).map_err(|_| Invalid::new(field, "is no provider's name"))
}

fn wrong(invalid: Invalid) -> Problem {
    Problem::new(Kind::Malformed, "bad_parameter", invalid.text).field(invalid.field)
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
