//! The platform's side of [`oauth`](super::oauth): an end point that gives tokens as Keycloak does, short ones to call
//! with and longer ones to renew them.

use std::collections::BTreeMap;
use std::time::Duration;

use headgate_core::Tick;
use headgate_core::http::{HttpAnswer, HttpRequest};
use serde_json::json;

use super::form;
use super::oauth::TokenSettings;

/// How long a token is good: Keycloak's default.
const ACCESS: Duration = Duration::from_secs(300);

/// How long it can be renewed, likewise.
const REFRESH: Duration = Duration::from_secs(1_800);

/// The tokens that are good, and until when.
#[derive(Debug, Default)]
pub struct TokenEndPoint {
    access: BTreeMap<String, Tick>,
    refresh: BTreeMap<String, Tick>,
    given: u64,
}

impl TokenEndPoint {
    /// Answers a call that asks for a token, as the user in `known` (what is empty there is not checked), or by a
    /// token that renews. With `refuse`, it refuses whatever the credentials are.
    pub fn answer(&mut self, now: Tick, request: &HttpRequest, known: &TokenSettings, refuse: bool) -> HttpAnswer {
        let fields = form::parse(&request.body);
        let field = |name: &str| fields.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value.as_str());
        let is = |name: &str, known: &str| known.is_empty() || field(name) == known;
        match field("grant_type") {
            _ if refuse => refusal(401, "invalid_grant", "Invalid user credentials"),
            _ if field("client_id").is_empty() || !is("client_id", &known.client_id) => {
                refusal(401, "invalid_client", "Invalid client credentials")
            }
            "refresh_token" => match self.refresh.remove(field("refresh_token")) {
                Some(until) if now < until => self.grant(now),
                _ => refusal(400, "invalid_grant", "Token is not active"),
            },
            "password" if is("username", &known.username) && is("password", known.password.reveal()) => self.grant(now),
            "password" => refusal(401, "invalid_grant", "Invalid user credentials"),
            _ => refusal(400, "unsupported_grant_type", "Unsupported grant_type"),
        }
    }

    fn grant(&mut self, now: Tick) -> HttpAnswer {
        self.access.retain(|_, until| now < *until);
        self.refresh.retain(|_, until| now < *until);
        self.given += 1;
        let (access, refresh) = (format!("access-{}", self.given), format!("refresh-{}", self.given));
        let body = json!({
            "access_token": access, "expires_in": ACCESS.as_secs(), "token_type": "Bearer",
            "refresh_token": refresh, "refresh_expires_in": REFRESH.as_secs(),
        });
        self.access.insert(access, now + ACCESS);
        self.refresh.insert(refresh, now + REFRESH);
        HttpAnswer::new(200, "application/json", body.to_string())
    }

    /// Answers with a token for somebody else, which is good for nothing here.
    pub fn for_subscriber(&mut self) -> HttpAnswer {
        self.given += 1;
        let body = json!({
            "access_token": format!("subscriber-{}", self.given), "expires_in": ACCESS.as_secs(), "token_type": "Bearer",
            "refresh_token": format!("subscriber-refresh-{}", self.given),
        });
        HttpAnswer::new(200, "application/json", body.to_string())
    }

    /// Whether the call carries a token that is good.
    #[must_use]
    pub fn admits(&self, now: Tick, request: &HttpRequest) -> bool {
        let token = request.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
        token.and_then(|token| self.access.get(token)).is_some_and(|until| now < *until)
    }

    /// How many tokens were given.
    #[must_use]
    pub const fn given(&self) -> u64 {
        self.given
    }

    /// No token is good any more; those that follow are others.
    pub fn forget(&mut self) {
        self.access.clear();
        self.refresh.clear();
    }
}

fn refusal(status: u16, code: &str, text: &str) -> HttpAnswer {
    HttpAnswer::new(status, "application/json", json!({ "error": code, "error_description": text }).to_string())
}

#[cfg(test)]
mod tests {
    use headgate_core::Now;
    use headgate_core::http::HttpCall;
    use headgate_core::text::Secret;

    use super::super::oauth::TokenClient;
    use super::*;
    use crate::test_support::{later, start};

    fn settings(password: &str) -> TokenSettings {
        TokenSettings {
            username: "u".into(),
            password: Secret::new(password),
            client_id: "c".into(),
            ..TokenSettings::default()
        }
    }

    fn arrived(call: HttpCall) -> HttpRequest {
        let headers = call.headers.iter().map(|(name, value)| (name.to_string(), value.clone())).collect();
        HttpRequest { method: call.method, target: call.target, headers, body: call.body }
    }

    #[test]
    fn a_token_is_given_for_the_password_renewed_once_and_ends() {
        let client = TokenClient::new("/token".into(), settings("p"));
        let mut point = TokenEndPoint::default();
        let mut ask =
            |now: Now, call| client.opened(now, &point.answer(now.tick, &arrived(call), &settings("p"), false));
        let first = ask(start(), client.ask(start(), None)).unwrap();
        assert_eq!(first.renew_after, Some(Duration::from_secs(270)));
        let renewal = client.ask(start(), Some(&first.session));
        let second = ask(start(), renewal.clone()).unwrap();
        assert_eq!(ask(start(), renewal).unwrap_err().code, "not_admitted");
        let call = arrived(second.session.authorize(HttpCall::get("/")));
        assert!(point.admits(start().tick, &call));
        assert!(!point.admits(later(start(), ACCESS).tick, &call));
        point.forget();
        assert!(!point.admits(start().tick, &call));
        assert_eq!(point.given(), 2);
    }

    #[test]
    fn others_get_none() {
        let mut point = TokenEndPoint::default();
        let call = arrived(TokenClient::new("/token".into(), settings("wrong")).ask(start(), None));
        assert_eq!(point.answer(start().tick, &call, &settings("p"), false).status, 401);
        assert_eq!(point.answer(start().tick, &call, &settings("wrong"), true).status, 401);
        let empty = HttpRequest { body: bytes::Bytes::new(), ..call };
        assert_eq!(point.answer(start().tick, &empty, &TokenSettings::default(), false).status, 401);
        assert_eq!(point.given(), 0);
    }
}
