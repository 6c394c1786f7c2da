//! `/openapi.json`: the API described in OpenAPI 3.1. Schemas come from the types that are read and written, so
//! there is one source; the golden file beside this one shows every change of the contract in review.

mod subscriptions;

use std::sync::LazyLock;

use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use headgate_core::body::RequestBody;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::events::{ChangeView, EventsQuery, Gap};
use super::ndjson::Reply;
use super::problem::Document;
use super::providers::{ProvidersView, RawBody, StateBody, TestView};
use super::requests::{ListQuery, ListingView, ResolveBody, ShowQuery};
use super::view::View;
use super::workers::{GET_PENDING, SEND_RESPONSE};
use crate::config::Role;
use crate::gateway::ProviderStatus;

static DOCUMENT: LazyLock<String> = LazyLock::new(|| format!("{:#}\n", Description::default().document()));

/// `GET /openapi.json`.
pub(super) async fn show() -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json")], document())
}

/// The description, as JSON.
pub(super) fn document() -> &'static str {
    &DOCUMENT
}

/// One call.
struct Call {
    path: &'static str,
    method: &'static str,
    summary: &'static str,
    details: &'static str,
    /// The role it needs; nothing: no key.
    role: Option<Role>,
    parameters: Vec<Value>,
    body: Option<Value>,
    answers: Vec<(u16, &'static str, Value)>,
    /// The statuses of its problems, beside 401 and 403.
    problems: &'static [u16],
}

/// The description while it is put together.
struct Description {
    /// Schemas of what is read.
    read: SchemaGenerator,
    /// Schemas of what is written.
    written: SchemaGenerator,
    paths: Map<String, Value>,
}

impl Default for Description {
    fn default() -> Self {
        let settings = SchemaSettings::draft2020_12().with(|settings| {
            settings.definitions_path = "/components/schemas".into();
            settings.meta_schema = None;
        });
        Self {
            read: settings.clone().for_deserialize().into_generator(),
            written: settings.for_serialize().into_generator(),
            paths: Map::new(),
        }
    }
}

impl Description {
    fn document(mut self) -> Value {
        self.requests();
        self.one_request();
        self.subscriptions();
        self.providers();
        self.one_provider();
        self.workers();
        self.events();
        self.probes();
        self.written.subschema_for::<Document<'_>>();
        let mut schemas = self.read.take_definitions(true);
        schemas.extend(self.written.take_definitions(true));
        json!({
            "openapi": "3.1.0",
            "info": {
                "title": "Headgate",
                "version": env!("CARGO_PKG_VERSION"),
                "description": "Provisioning requests to Conditional Access and OTT platforms. Times are RFC 3339 in UTC. \
                    Errors are application/problem+json (RFC 9457). Roles: viewer, crm, operator, admin; each may do what those before it may."
            },
            "paths": self.paths,
            "components": {
                "schemas": schemas,
                "securitySchemes": { "key": { "type": "http", "scheme": "bearer", "description": "An API key. Without configured keys only loopback is served, and none is asked for." } }
            }
        })
    }

    fn requests(&mut self) {
        let (one, many) = (self.reads::<RequestBody>(), self.writes::<View<'_>>());
        let reply = self.writes::<Reply<'_>>();
        let array = json!({ "type": "array", "items": one, "minItems": 1 });
        let accepted = json!({ "application/json": { "schema": many } });
        self.call(Call {
            path: "/v1/requests",
            method: "post",
            summary: "Send one request, an array, or a stream of lines",
            details: "An array is answered by an array: for each item its own status, and its request or problem. Lines \
                (NDJSON) are answered by lines, in the order in which the requests end, each with its line's number; a \
                line waits for its outcome unless Prefer says otherwise. Requests of one subscription are accepted in \
                their order. The command raw needs the role admin. Lines may also be sent over TCP, where server.stream_listen is set.",
            role: Some(Role::Crm),
            parameters: vec![
                header("Idempotency-Key", "1 to 255 printable characters. The same key and body: the request of the first call, \
                    with Idempotent-Replayed: true; another body: 422; the first call not answered yet: 409. In a stream of \
                    lines, each line is recognised by its number."),
                prefer(),
            ],
            body: Some(json!({
                "application/json": { "schema": { "oneOf": [one, array] } },
                "application/x-ndjson": { "schema": one }
            })),
            answers: vec![
                (200, "The outcome of a request that was waited for; or an array; or lines.", json!({
                    "application/json": { "schema": { "oneOf": [many, { "type": "array", "items": reply }] } },
                    "application/x-ndjson": { "schema": reply }
                })),
                (202, "The request is stored and on its way; Location is its address.", accepted),
            ],
            problems: &[400, 408, 409, 413, 415, 422, 503],
        });
        let parameters = self.query::<ListQuery>();
        let listing = self.json::<ListingView<'_>>();
        self.call(Call {
            path: "/v1/requests",
            method: "get",
            summary: "List requests, newest first",
            details: "",
            role: Some(Role::Viewer),
            parameters,
            body: None,
            answers: vec![(200, "One page.", listing)],
            problems: &[400],
        });
    }

    fn one_request(&mut self) {
        let mut parameters = self.query::<ShowQuery>();
        parameters.push(id());
        let request = self.json::<View<'_>>();
        self.call(Call {
            path: "/v1/requests/{id}",
            method: "get",
            summary: "One request",
            details: "",
            role: Some(Role::Viewer),
            parameters,
            body: None,
            answers: vec![(200, "The request.", request.clone())],
            problems: &[400, 404],
        });
        let resolution = self.takes::<ResolveBody>();
        let actions = [
            ("/v1/requests/{id}/retry", "Send a request again that did not complete, or at once one that waits", None),
            ("/v1/requests/{id}/cancel", "Take a waiting request back", None),
            ("/v1/requests/{id}/resolve", "Say how an unknown request really ended", Some(resolution)),
        ];
        for (path, summary, body) in actions {
            self.call(Call {
                path,
                method: "post",
                summary,
                details: "",
                role: Some(Role::Operator),
                parameters: vec![id()],
                problems: if body.is_some() { &[400, 404, 408, 409, 413, 415, 503] } else { &[404, 409, 503] },
                body,
                answers: vec![(200, "The request as it stands now.", request.clone())],
            });
        }
    }

    fn providers(&mut self) {
        let providers = self.json::<ProvidersView>();
        self.call(Call {
            path: "/v1/providers",
            method: "get",
            summary: "Every provider as it stands",
            details: "",
            role: Some(Role::Viewer),
            parameters: Vec::new(),
            body: None,
            answers: vec![(200, "The providers.", providers)],
            problems: &[],
        });
        let provider = self.json::<ProviderStatus>();
        self.call(Call {
            path: "/v1/providers/{name}",
            method: "get",
            summary: "One provider as it stands",
            details: "",
            role: Some(Role::Viewer),
            parameters: vec![name()],
            body: None,
            answers: vec![(200, "The provider.", provider.clone())],
            problems: &[404],
        });
        let state = self.takes::<StateBody>();
        self.call(Call {
            path: "/v1/providers/{name}/state",
            method: "put",
            summary: "Switch a provider on or off",
            details: "Lasts until the next start or reload. While it is off, requests are accepted and wait.",
            role: Some(Role::Operator),
            parameters: vec![name()],
            body: Some(state),
            answers: vec![(200, "The provider.", provider)],
            problems: &[400, 404, 408, 413, 415, 503],
        });
    }

    fn one_provider(&mut self) {
        let test = self.json::<TestView<'_>>();
        self.call(Call {
            path: "/v1/providers/{name}/test",
            method: "post",
            summary: "Test the connection",
            details: "Sends test_connection through the provider's queue and waits, 30 s unless Prefer says otherwise.",
            role: Some(Role::Operator),
            parameters: vec![name(), prefer()],
            body: None,
            answers: vec![(200, "How it went.", test.clone()), (202, "It has not ended yet.", test)],
            problems: &[404, 422, 503],
        });
        let (raw, request) = (self.takes::<RawBody>(), self.json::<View<'_>>());
        self.call(Call {
            path: "/v1/providers/{name}/raw",
            method: "post",
            summary: "Send the platform's own message",
            details: "It is framed, correlated and queued like every request; the answer comes back as it is. Waits, 30 s unless Prefer says otherwise.",
            role: Some(Role::Admin),
            parameters: vec![name(), prefer()],
            body: Some(raw),
            answers: vec![(200, "The outcome.", request.clone()), (202, "It has not ended yet.", request)],
            problems: &[400, 404, 408, 413, 415, 422, 503],
        });
    }

    fn workers(&mut self) {
        let any = || json!({ "application/json": { "schema": { "type": "object" } } });
        for (path, summary, details) in [
            (
                "/v1/providers/{name}/pull",
                "Fetch work",
                "For workers of a provider of the protocol generic: up to 50 requests, leased to this worker; waits for the first one if told to.",
            ),
            (
                "/v1/providers/{name}/answers",
                "Answer work",
                "What became of requests that were fetched; what is not taken is listed, everything else was.",
            ),
            ("/v1/providers/{name}/extend", "Keep work longer", "Extends leases; those that are lost are listed."),
        ] {
            self.call(Call {
                path,
                method: "post",
                summary,
                details,
                role: Some(Role::Worker),
                parameters: vec![name()],
                body: Some(any()),
                answers: vec![(200, "As docs/protocols/generic.md describes it.", any())],
                problems: &[400, 404, 408, 409, 413, 503],
            });
        }
        for (path, method, summary) in [
            (GET_PENDING, "get", "Fetch work, as CRM.COM V4 offers it"),
            (SEND_RESPONSE, "post", "Answer work, as CRM.COM V4 takes it"),
        ] {
            self.call(Call {
                path,
                method,
                summary,
                details: "The key is the parameter token, or the header. Nothing is leased: for workers that were written for CRM.COM.",
                role: Some(Role::Worker),
                parameters: Vec::new(),
                body: (method == "post").then(any),
                answers: vec![(200, "In CRM.COM's envelope.", any())],
                problems: &[400, 404, 409, 503],
            });
        }
    }

    fn events(&mut self) {
        let mut parameters = self.query::<EventsQuery>();
        parameters.push(header("Last-Event-ID", "The id of the last event received: the stream goes on behind it."));
        let change = self.writes::<ChangeView<'_>>();
        let gap = self.writes::<Gap>();
        self.call(Call {
            path: "/v1/events",
            method: "get",
            summary: "Follow every change of a request's state",
            details: "Server-sent events named request; the data of each is the change. Without Last-Event-ID the stream begins now. An event named gap tells that changes in between are kept no longer: ask /v1/requests for the states as they are now.",
            role: Some(Role::Viewer),
            parameters,
            body: None,
            answers: vec![(200, "The stream.", json!({ "text/event-stream": { "schema": { "anyOf": [change, gap] } } }))],
            problems: &[400],
        });
    }

    fn probes(&mut self) {
        let text = || json!({ "text/plain": { "schema": { "type": "string" } } });
        let any = json!({ "application/json": { "schema": { "type": "object" } } });
        let calls: [(_, _, _, _, _, &[u16]); 4] = [
            (
                "/metrics",
                "Metrics in the Prometheus text format",
                "On loopback no key is needed.",
                Some(Role::Viewer),
                text(),
                &[],
            ),
            ("/livez", "Whether the program answers", "", None, text(), &[]),
            (
                "/readyz",
                "Whether it takes requests: the store is open, and it is not stopping",
                "",
                None,
                text(),
                &[503],
            ),
            ("/openapi.json", "This description", "", None, any, &[]),
        ];
        for (path, summary, details, role, content, problems) in calls {
            self.call(Call {
                path,
                method: "get",
                summary,
                details,
                role,
                parameters: Vec::new(),
                body: None,
                answers: vec![(200, "As asked.", content)],
                problems,
            });
        }
    }

    fn call(&mut self, call: Call) {
        let mut responses = Map::new();
        for (status, description, content) in call.answers {
            responses.insert(status.to_string(), json!({ "description": description, "content": content }));
        }
        let refused: &[u16] = if call.role.is_some() { &[401, 403] } else { &[] };
        for status in refused.iter().chain(call.problems) {
            let schema = json!({ "$ref": "#/components/schemas/Problem" });
            let content = json!({ "application/problem+json": { "schema": schema } });
            responses.insert(status.to_string(), json!({ "description": problem(*status), "content": content }));
        }
        let mut operation = json!({ "summary": call.summary, "responses": responses });
        if let Some(role) = call.role {
            let needs = format!("{} Needs the role {}.", call.details, role.name());
            operation["description"] = needs.trim_start().into();
            operation["security"] = json!([{ "key": [] }]);
        }
        if !call.parameters.is_empty() {
            operation["parameters"] = call.parameters.into();
        }
        if let Some(content) = call.body {
            operation["requestBody"] = json!({ "required": true, "content": content });
        }
        let path = self.paths.entry(call.path).or_insert_with(|| json!({}));
        path[call.method] = operation;
    }

    fn reads<T: JsonSchema>(&mut self) -> Value {
        self.read.subschema_for::<T>().to_value()
    }

    fn writes<T: JsonSchema>(&mut self) -> Value {
        self.written.subschema_for::<T>().to_value()
    }

    /// A JSON body that is read.
    fn takes<T: JsonSchema>(&mut self) -> Value {
        json!({ "application/json": { "schema": self.reads::<T>() } })
    }

    /// A JSON body that is written.
    fn json<T: JsonSchema>(&mut self) -> Value {
        json!({ "application/json": { "schema": self.writes::<T>() } })
    }

    /// The fields of `T` as query parameters.
    fn query<T: JsonSchema>(&mut self) -> Vec<Value> {
        let schema = T::json_schema(&mut self.read).to_value();
        let properties = schema["properties"].as_object().cloned().unwrap_or_default();
        let parameter = |(name, mut schema): (String, Value)| {
            let description = schema.as_object_mut().and_then(|schema| schema.remove("description"));
            json!({ "name": name, "in": "query", "description": description.unwrap_or_default(), "schema": schema })
        };
        properties.into_iter().map(parameter).collect()
    }
}

fn header(name: &str, description: &str) -> Value {
    json!({ "name": name, "in": "header", "description": description, "schema": { "type": "string" } })
}

fn prefer() -> Value {
    header("Prefer", "wait=SECONDS waits for the outcome, at most 300 s; respond-async does not wait (RFC 7240).")
}

fn id() -> Value {
    let schema = json!({ "type": "string", "format": "uuid" });
    json!({ "name": "id", "in": "path", "required": true, "description": "The request's id.", "schema": schema })
}

fn name() -> Value {
    let schema = json!({ "type": "string" });
    json!({ "name": "name", "in": "path", "required": true, "description": "The provider's name.", "schema": schema })
}

const fn problem(status: u16) -> &'static str {
    match status {
        400 => "It can not be read: the place and the field at fault.",
        401 => "No API key, or one that is not known.",
        403 => "The key's role may not; the problem names the one that may.",
        404 => "There is none.",
        408 => "The body did not arrive in time.",
        409 => "Not possible as things stand.",
        413 => "Too long.",
        415 => "Not a form that is read here.",
        422 => "It can not be: the field at fault, and what would be right.",
        _ => "Not now; Retry-After says when.",
    }
}
