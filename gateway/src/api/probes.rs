//! `/livez`, `/readyz`, `/metrics`: for those who watch the gateway.

use axum::extract::State as Api;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};

use super::Shared;
use super::auth::Caller;
use super::front::Front;
use super::problem::{Kind, Problem};
use crate::config::Role;

/// `GET /livez`: the program answers.
pub(super) async fn live() -> &'static str {
    "alive\n"
}

/// `GET /readyz`: it takes requests: the store is open, and it is not stopping.
pub(super) async fn ready<F: Front>(api: Api<Shared<F>>) -> Result<&'static str, Problem> {
    let not = |why| Problem::new(Kind::Unavailable, "not_ready", why);
    if api.stop.is_cancelled() {
        return Err(not("the gateway is stopping"));
    }
    api.front.store().last_number().await.map_err(|_| not("the store does not answer"))?;
    Ok("ready\n")
}

/// `GET /metrics`: in the Prometheus text format. On loopback no key is asked for: scrapers there have none.
pub(super) async fn metrics<F: Front>(
    api: Api<Shared<F>>,
    caller: Result<Caller, Problem>,
) -> Result<Response, Problem> {
    if !api.loopback {
        caller?.needs(Role::Viewer)?;
    }
    Ok(([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], api.metrics.render()).into_response())
}
