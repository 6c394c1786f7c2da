//! The platform's side: both generations over one set of holdings, each reached by its own paths.

mod accounts;
mod devices;
mod entitlements;
mod opentv;
mod sdp;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use headgate_core::Now;
use headgate_core::http::{HttpAnswer, HttpRequest};
use headgate_core::platform::{Fault, Holdings};
use serde_json::{Value, json};

use self::opentv::OpenTv;
use self::sdp::Sdp;
use super::settings::Settings;
use crate::http::Backend;
use crate::http::form;
use crate::http::token_end_point::TokenEndPoint;
use crate::registry::Stock;

/// What the platform keeps.
pub struct MediaLivePlatform {
    settings: Arc<Settings>,
    tokens: TokenEndPoint,
    opentv: OpenTv,
    sdp: Sdp,
    holdings: Holdings,
}

impl MediaLivePlatform {
    /// A platform that knows the devices and products of `stock`; every one, if it names none.
    #[must_use]
    pub fn new(settings: Arc<Settings>, stock: &Stock) -> Self {
        Self {
            tokens: TokenEndPoint::default(),
            opentv: OpenTv::new(Arc::clone(&settings), stock),
            sdp: Sdp::new(Arc::clone(&settings), stock),
            settings,
            holdings: Holdings::default(),
        }
    }

    /// A token, for the operator's user or for a subscriber.
    fn sign_in(&mut self, now: Now, request: &HttpRequest, refuse: bool) -> HttpAnswer {
        let fields = form::parse(&request.body);
        let field = |name: &str| fields.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value.as_str());
        let by_password = field("grant_type") == "password";
        let subscriber = by_password && !self.is_operator(field("username"));
        if subscriber && !refuse && self.opentv.signs_on(field("username"), field("password")) {
            return self.tokens.for_subscriber();
        }
        let answer = self.tokens.answer(now.tick, request, &self.settings.token, refuse || subscriber);
        self.holdings.logins += u64::from(by_password && answer.is_success());
        answer
    }

    fn is_operator(&self, username: &str) -> bool {
        let known = &self.settings.token.username;
        username == known || known.is_empty() && !self.opentv.has_sign_on(username)
    }

    fn is_token_path(&self, path: &str) -> bool {
        path == self.settings.token_path || self.settings.subscriber_token_path.as_deref() == Some(path)
    }
}

impl Backend for MediaLivePlatform {
    fn answer(&mut self, now: Now, request: &HttpRequest, refuse: Option<Fault>) -> HttpAnswer {
        if self.is_token_path(request.path()) {
            return self.sign_in(now, request, refuse.is_some());
        }
        if self.sdp.has(request.path()) {
            return self.sdp.answer(request, refuse.is_some(), &mut self.holdings);
        }
        // The twin is told apart by the path of its end point: `/NAME`.
        let twin = self.settings.twin_endpoint.as_deref();
        let of_twin = twin.and_then(|name| request.target.strip_prefix('/')?.strip_prefix(name));
        let (place, target) = match (of_twin.filter(|rest| rest.starts_with('/')), twin) {
            (Some(rest), Some(name)) => (name.to_owned(), rest),
            _ => (String::new(), request.target.as_str()),
        };
        if !self.tokens.admits(now.tick, request) {
            return error(403, "the token is not valid");
        }
        let is_known = |tenant: &str| self.settings.tenant.is_empty() || tenant == self.settings.tenant;
        if !request.header("nv-tenant-id").is_some_and(is_known) {
            return error(404, "the tenant is not known");
        }
        if refuse.is_some() {
            return error(404, "not found");
        }
        let request = HttpRequest { target: target.to_owned(), ..request.clone() };
        self.opentv.answer(&place, &request, &mut self.holdings)
    }

    fn is_login(&self, request: &HttpRequest) -> bool {
        let operators = |(name, value): &(String, String)| match name.as_str() {
            "grant_type" => value == "refresh_token",
            "username" => self.is_operator(value),
            _ => false,
        };
        self.is_token_path(request.path()) && form::parse(&request.body).iter().any(operators)
    }

    fn lose_sessions(&mut self) {
        self.tokens.forget();
    }

    fn has_sessions(&self) -> bool {
        self.settings.generation == super::settings::Generation::OpenTv3
    }

    fn holdings(&self) -> &Holdings {
        &self.holdings
    }
}

/// An answer in JSON.
fn answer(status: u16, body: &Value) -> HttpAnswer {
    HttpAnswer::new(status, "application/json", body.to_string())
}

/// A refusal.
fn error(status: u16, text: &str) -> HttpAnswer {
    answer(status, &json!({ "message": text }))
}
