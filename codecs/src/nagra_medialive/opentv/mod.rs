//! Generation C: OpenTV Platform 3.x, REST with tokens.
//!
//! `plan` says which work a command is; the work itself (`accounts`, `devices`, `entitlements`, `queries`) makes its
//! calls one after the other and takes their answers.

#![expect(clippy::result_large_err, reason = "an answer that ends the reading early is moved once")]

mod accounts;
#[cfg(test)]
mod answer_tests;
mod devices;
mod entitlements;
mod listing;
mod plan;
mod queries;
#[cfg(test)]
mod tests;
pub mod wire;

use std::sync::Arc;

use headgate_core::Now;
use headgate_core::adapter::Rules;
use headgate_core::body::Refusal;
use headgate_core::failure::Failure;
use headgate_core::http::{HttpAnswer, HttpCall};
use headgate_core::outcome::{Answer, Authenticated, RawAnswer};
use headgate_core::provider::ServiceMap;
use headgate_core::request::Request;
use headgate_core::text::Secret;

use self::accounts::AccountWork;
use self::devices::DeviceWork;
use self::entitlements::EntitlementWork;
use self::queries::Query;
use self::wire::{ENTITLEMENTS, Said, said};
use super::capabilities::MediaLiveRules;
use super::members::{self, Object};
use super::settings::Settings;
use crate::http::oauth::{Token, TokenClient, TokenError};
use crate::http::raw::RawCall;
use crate::http::{Begun, Dialogue, LoginRules, OpenedSession, Step, answer};

/// How the platform is talked to.
pub struct OpenTv {
    settings: Arc<Settings>,
    services: ServiceMap,
    rules: Arc<MediaLiveRules>,
    tokens: TokenClient,
    /// Where subscribers ask for theirs.
    subscribers: TokenClient,
}

/// A request being carried out.
pub struct Task {
    /// The value of `x-correlation-id`: the request's id.
    correlation: String,
    work: Work,
}

enum Work {
    Account(AccountWork),
    Devices(DeviceWork),
    Entitlements(EntitlementWork),
    Query(Query),
    SignOn { login: String, password: Secret },
    Raw(RawCall),
    Count,
}

impl OpenTv {
    /// By these settings.
    #[must_use]
    pub fn new(settings: Arc<Settings>, services: ServiceMap, rules: Arc<MediaLiveRules>) -> Self {
        let tokens = TokenClient::new(settings.token_path.clone(), settings.token.clone());
        let path = settings.subscriber_token_path.as_ref().unwrap_or(&settings.token_path);
        let mut token = settings.token.clone();
        if let Some(client) = &settings.subscriber_client_id {
            token.client_id.clone_from(client);
            token.client_secret = None;
        }
        let subscribers = TokenClient::new(path.clone(), token);
        Self { settings, services, rules, tokens, subscribers }
    }

    fn signed_on(&self, now: Now, answer: &HttpAnswer) -> Step {
        match self.subscribers.read(now, answer) {
            Ok(token) => {
                let token = Some(token.access().clone());
                Step::answered(Answer::Authenticated(Authenticated { account: None, token }))
            }
            // The platform's words may name the subscriber.
            Err(TokenError::Refused { code, .. }) => {
                Step::rejected(Failure::refused(code, "the platform does not accept these credentials"))
            }
            Err(TokenError::Other(failure)) => Step::failed(failure),
        }
    }
}

impl Dialogue for OpenTv {
    type Session = Token;
    type Task = Task;

    fn login_rules(&self) -> Option<LoginRules> {
        Some(LoginRules::default())
    }

    fn login(&mut self, now: Now, previous: Option<&Token>) -> HttpCall {
        self.tokens.ask(now, previous)
    }

    fn logged_in(&mut self, now: Now, answer: &HttpAnswer) -> Result<OpenedSession<Token>, Failure> {
        self.tokens.opened(now, answer)
    }

    fn begin(&mut self, now: Now, request: &Request) -> Result<Begun<Task>, Refusal> {
        self.rules.check(request)?;
        Ok(Begun::Task(Task { correlation: request.id.to_string(), work: self.work(now, request)? }))
    }

    fn call(&mut self, _: Now, session: Option<&Token>, task: &Task) -> Result<HttpCall, Failure> {
        let call = match &task.work {
            Work::Account(work) => work.call(),
            Work::Devices(work) => work.call(),
            Work::Entitlements(work) => work.call(),
            Work::Query(query) => query.call(),
            Work::SignOn { login, password } => return Ok(self.subscribers.ask_for(login, password)),
            Work::Raw(raw) => raw.call(),
            Work::Count => HttpCall::get(format!("{ENTITLEMENTS}?limit=0")),
        };
        let call = session.map_or_else(|| call.clone(), |token| token.authorize(call.clone()));
        let call = call.header("nv-tenant-id", self.settings.tenant.clone());
        Ok(call.header("x-correlation-id", task.correlation.clone()))
    }

    fn read(&mut self, now: Now, task: &mut Task, answer: &HttpAnswer) -> Step {
        match &mut task.work {
            Work::Account(work) => work.read(answer),
            Work::Devices(work) => work.read(answer),
            Work::Entitlements(work) => work.read(answer),
            Work::Query(query) => query.read(&self.services, answer),
            Work::SignOn { .. } => self.signed_on(now, answer),
            Work::Raw(_) => match said(answer) {
                Ok(Said::Yes) => Step::answered(Answer::Raw(RawAnswer(answer.body.clone()))),
                Ok(Said::No(failure)) => Step::rejected(failure),
                Err(step) => step,
            },
            Work::Count => match said(answer) {
                Ok(Said::Yes) => match answer::json::<wire::Page>(answer) {
                    Ok(_) => Step::completed(),
                    Err(failure) => Step::failed(failure),
                },
                Ok(Said::No(failure)) => Step::rejected(failure),
                Err(step) => step,
            },
        }
    }

    fn secrets<'a>(&'a self, session: Option<&'a Token>) -> Vec<&'a str> {
        self.tokens.secrets(session)
    }

    fn confidential(&self, task: &Task, answer: Option<&HttpAnswer>) -> Vec<String> {
        let mut secrets = match &task.work {
            Work::Account(work) => work.confidential(),
            _ => Vec::new(),
        };
        // An account that is told has a hash in it, a subscriber's sign-on its tokens.
        if let Some(answer) = answer
            && let Ok(members) = serde_json::from_slice::<Object>(&answer.body)
        {
            secrets.extend(members::secrets_of(&members));
        }
        secrets
    }
}
