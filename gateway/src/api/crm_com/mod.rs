//! CRM.COM V4's Web API for provisioning requests, for portals that were written for it. Off unless the configuration has
//! `[server.crm_com]`.
//!
//! [`calls`] is the table of calls, [`body`] makes the body of a request of a call's parameters, [`show`] shows a request
//! as CRM.COM does. Everything goes the way of `POST /v1/requests`; answers stand in CRM.COM's envelope.

mod body;
pub(super) mod calls;
mod show;

use std::time::Duration;

use axum::body::Body;
use axum::extract::{RawQuery, State as Axum};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use headgate_codecs::crm_com::envelope::{self, Invalid, Parameters};
use headgate_core::command::CommandKind;
use headgate_core::http::HttpAnswer;
use headgate_core::request::{RequestId, Source, State};
use headgate_core::text::ProviderName;
use serde_json::{Value, json};

use super::auth::Caller;
use super::front::Front;
use super::intake::Inbound;
use super::order::Turn;
use super::problem::{Kind, Problem};
use super::view::{Eyes, View};
use super::{Api, Shared, workers};
use crate::config::{CrmComFace, Role};
use crate::store::{Filter, Page};
use body::{Asked, asked};
use calls::{CALLS, Call, Does, Takes};

/// Results of a list where the call does not say.
const RESULTS: usize = 50;

/// Most results of a list.
const MOST_RESULTS: usize = 1_000;

/// Most requests that one list looks through.
const MOST_SEEN: usize = 20_000;

/// Every call, with what serves it.
pub(super) fn routes<F: Front>() -> impl Iterator<Item = (String, MethodRouter<Shared<F>>)> {
    CALLS.iter().map(|call| {
        let serve = move |api: Axum<Shared<F>>, caller: Result<Caller, Problem>, query: RawQuery, body: Body| async move {
            serve(&api, caller, call, query.0.unwrap_or_default(), body).await
        };
        (format!("/{}", call.path), if call.reads() { get(serve) } else { post(serve) })
    })
}

/// Why a call was not carried out.
enum Refused {
    Parameter(Invalid),
    Problem(Problem),
    /// The platform's own word, or Headgate's for it.
    Platform(String, String),
}

impl From<Invalid> for Refused {
    fn from(invalid: Invalid) -> Self {
        Self::Parameter(invalid)
    }
}

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl From<Refused> for HttpAnswer {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Parameter(invalid) => invalid.into(),
            Refused::Problem(problem) => {
                let code = problem.code().to_ascii_uppercase();
                let field = problem.at().unwrap_or_default();
                envelope::refused(problem.status().as_u16(), &code, problem.detail(), field)
            }
            Refused::Platform(code, text) => envelope::refused(422, "REJECTED", &text, &code),
        }
    }
}

async fn serve<F: Front>(
    api: &Shared<F>,
    caller: Result<Caller, Problem>,
    call: &Call,
    query: String,
    body: Body,
) -> Response {
    let answer = match answer(api, caller, call, &query, body).await {
        Ok(data) => envelope::ok(&data),
        Err(refused) => refused.into(),
    };
    workers::response(answer).into_response()
}

async fn answer<F: Front>(
    api: &Shared<F>,
    caller: Result<Caller, Problem>,
    call: &Call,
    query: &str,
    body: Body,
) -> Result<Value, Refused> {
    let body = api.read_body(body).await?;
    let parameters = Parameters::read(query.as_bytes(), &body)?;
    let caller = api.caller(caller, parameters.text("token")?.as_deref())?;
    caller.needs(if call.reads() { Role::Viewer } else { Role::Crm })?;
    let off = || Problem::not_found("call; server.crm_com is not set");
    let face = api.crm_com.as_ref().ok_or_else(off)?;
    let provider = match call.prefix() {
        None => None,
        Some(prefix) => Some(face.providers.of(prefix).ok_or_else(|| {
            let detail = format!("no provider serves {prefix}/; set server.crm_com.providers.{prefix}");
            Problem::new(Kind::NotFound, "not_configured", detail)
        })?),
    };
    let desk = Desk { api, caller: &caller, face, parameters: &parameters };
    let fields_set = parameters.text("fields_set")?.unwrap_or_default();
    match (call.does, provider) {
        (Does::Show, provider) => Ok(show::only(desk.show(provider).await?, &fields_set)),
        (Does::List, provider) => {
            let found = desk.list(provider).await?.into_iter().map(|one| show::only(one, &fields_set));
            Ok(json!({ "provisioning_requests_set": found.collect::<Vec<_>>() }))
        }
        (Does::Make(command, takes), Some(provider)) => {
            let view = desk.make(provider, command, takes).await?;
            Ok(show::only(show::request(&view, face.utc_offset), &fields_set))
        }
        (Does::Carry(command, takes), Some(provider)) => {
            desk.carry(provider, command, takes).await?;
            Ok(json!({}))
        }
        (Does::Authenticate(takes, names), Some(provider)) => {
            let view = desk.carry(provider, CommandKind::Authenticate, takes).await?;
            Ok(show::only(authenticated(&view, names)?, &fields_set))
        }
        (Does::Nothing(why), _) => Err(Problem::new(Kind::Refused, "not_supported", why).into()),
        // A call that makes something has a prefix.
        (Does::Make(..) | Does::Carry(..) | Does::Authenticate(..), None) => Err(off().into()),
    }
}

/// What a call needs while it is answered.
struct Desk<'a, F> {
    api: &'a Api<F>,
    caller: &'a Caller,
    face: &'a CrmComFace,
    parameters: &'a Parameters,
}

impl<F: Front> Desk<'_, F> {
    /// Makes a request; waits for its outcome if that was asked for.
    async fn make(&self, provider: &ProviderName, command: CommandKind, takes: &[Takes]) -> Result<Value, Refused> {
        let Asked { body, waits } = asked(self.face, provider, command, takes, self.parameters)?;
        self.take(body, waits.then_some(self.face.wait)).await
    }

    /// Makes a request and waits for it. Only an end without success is an error: what takes longer goes on.
    async fn carry(&self, provider: &ProviderName, command: CommandKind, takes: &[Takes]) -> Result<Value, Refused> {
        let Asked { body, .. } = asked(self.face, provider, command, takes, self.parameters)?;
        let view = self.take(body, Some(self.face.wait)).await?;
        if view["crm_state"] != "REJECTED" {
            return Ok(view);
        }
        let text = |name: &str, other: &str| view["failure"][name].as_str().unwrap_or(other).to_owned();
        Err(Refused::Platform(
            text("code", view["state"].as_str().unwrap_or_default()),
            text("text", "it was not done"),
        ))
    }

    async fn take(&self, body: Value, wait: Option<Duration>) -> Result<Value, Refused> {
        let inbound = Inbound::read(body.to_string().into())?;
        let answer = self.api.take(self.caller, Source::Api, inbound, None, Turn::default(), wait).await?;
        Ok(json_of(&answer.shown.view(Eyes::of(self.caller.role))))
    }

    async fn show(&self, provider: Option<&ProviderName>) -> Result<Value, Refused> {
        let name = "provisioning_request_identifier";
        let identifier = self.parameters.identifier(name, &["id", "number"])?;
        let identifier = identifier.ok_or_else(|| Invalid::new(name, "is mandatory"))?;
        let none = || Problem::not_found("request");
        let found = if identifier.key == "id" {
            let id = identifier.value.parse().map_err(|_| Invalid::new(name, "must have the id of a request"))?;
            self.api.stored(RequestId(id)).await?
        } else {
            let number: u64 = identifier.value.parse().map_err(|_| Invalid::new(name, "must have a whole number"))?;
            // The newest of those before the next.
            let page = Page { before: number.checked_add(1), limit: 1 };
            let found = self.api.front.store().requests(Filter::default(), page).await.map_err(Problem::from)?;
            found.requests.into_iter().find(|request| request.number == number).ok_or_else(none)?
        };
        if provider.is_some_and(|provider| *provider != found.provider) {
            return Err(none().into());
        }
        let view = json_of(&View::stored(&found, Eyes::of(self.caller.role)));
        Ok(show::request(&view, self.face.utc_offset))
    }

    /// Requests, newest first, by type, state and the platform's number.
    async fn list(&self, provider: Option<&ProviderName>) -> Result<Vec<Value>, Refused> {
        let known =
            ["token", "fields_set", "type", "life_cycle_state", "reference_number", "number_of_results", "offset"];
        if let Some(stranger) = self.parameters.names().find(|name| !known.contains(name)) {
            return Err(Invalid::new(stranger, "is no parameter of this call").into());
        }
        let wrong_type = || Invalid::new("type", "is no type of request");
        let kind = match self.parameters.text("type")? {
            Some(name) => Some(show::command_of(&name).ok_or_else(wrong_type)?),
            None => None,
        };
        let state = self.parameters.text("life_cycle_state")?;
        if state.as_deref().is_some_and(|state| State::ALL.iter().all(|one| one.in_three() != state)) {
            return Err(Invalid::new("life_cycle_state", "must be PENDING, COMPLETED or REJECTED").into());
        }
        let reference = self.parameters.text("reference_number")?;
        let most = self.parameters.number("number_of_results")?.unwrap_or(RESULTS).min(MOST_RESULTS);
        let mut skip = self.parameters.number("offset")?.unwrap_or(0);
        let filter = Filter { provider: provider.cloned(), command: kind, ..Filter::default() };
        let (mut found, mut before, mut seen) = (Vec::new(), None, 0);
        while found.len() < most {
            let page = Page { before, limit: 500 };
            let listing = self.api.front.store().requests(filter.clone(), page).await.map_err(Problem::from)?;
            for request in &listing.requests {
                let theirs = request.platform_reference.as_ref().map(|reference| reference.as_str());
                let wanted = state.as_deref().is_none_or(|state| request.state.in_three() == state)
                    && (reference.is_none() || reference.as_deref() == theirs);
                if !wanted || found.len() == most {
                    continue;
                }
                if skip > 0 {
                    skip -= 1;
                    continue;
                }
                let view = json_of(&View::stored(request, Eyes::of(self.caller.role)));
                found.push(show::request(&view, self.face.utc_offset));
            }
            seen += listing.requests.len();
            match listing.next {
                Some(next) if seen < MOST_SEEN => before = Some(next),
                Some(_) if found.len() < most => {
                    let detail =
                        format!("more than {MOST_SEEN} requests would have to be looked through; ask for a `type`");
                    return Err(Problem::new(Kind::Refused, "too_many", detail).into());
                }
                _ => break,
            }
        }
        Ok(found)
    }
}

fn json_of(view: &View<'_>) -> Value {
    serde_json::to_value(view).unwrap_or_default()
}

/// The token of an answer, under the names that a call gives it.
fn authenticated(view: &Value, names: &[&str]) -> Result<Value, Refused> {
    let subscription = &view["subscription"];
    let token = &view["answer"]["authenticated"]["token"];
    if view["crm_state"] != "COMPLETED" {
        let text = "the platform has not answered yet; ask again";
        return Err(Refused::Platform("NOT_ANSWERED".to_owned(), text.to_owned()));
    }
    let mut data = json!({ "subscription_id": subscription, "subscription": { "number": subscription } });
    for name in names {
        data[*name] = token.clone();
    }
    Ok(data)
}
