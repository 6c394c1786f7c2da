//! A provider of this protocol and its platform, joined in memory, for the tests of both generations.

use std::sync::Arc;
use std::time::Duration;

use headgate_core::adapter::Rules;
use headgate_core::body::{Refusal, RequestBody};
use headgate_core::command::CommandKind;
use headgate_core::outcome::Answer;
use headgate_core::request::{Request, RequestId};
use serde_json::{Value, json};

use super::PROTOCOL;
use crate::registry::{Opened, Stock};
use crate::test_support::http_pair::HttpPair;
use crate::test_support::provider;

pub(super) const SERVICES: [(&str, &str); 3] = [("BASIC", "P1"), ("FILM", "P2"), ("SPORT", "P3")];

pub(super) struct Site {
    pub(super) pair: HttpPair,
    pub(super) rules: Arc<dyn Rules>,
    submitted: u64,
}

impl Site {
    /// With these settings beside those that must be set.
    pub(super) fn new(settings: &Value) -> Self {
        let settings = with(settings);
        let stock = Stock {
            cards: ["1001", "1002", "1003"].map(str::to_owned).to_vec(),
            products: ["P1", "P2", "P3"].map(str::to_owned).to_vec(),
        };
        let platform = (PROTOCOL.platform)(&settings, &stock).unwrap();
        let Opened { rules, adapter } = (PROTOCOL.open)(&provider(&SERVICES), &settings, 7).unwrap();
        Self { pair: HttpPair::new(adapter, platform), rules, submitted: 0 }
    }

    /// How a request ends that is carried out.
    pub(super) fn ask(&mut self, body: Value) -> String {
        self.submitted += 1;
        self.pair.submit(self.submitted, &body.to_string());
        self.pair.pass(Duration::from_secs(40));
        self.pair.end(self.submitted)
    }

    /// The number of the last request that was carried out.
    pub(super) const fn last(&self) -> u64 {
        self.submitted
    }

    /// What the last request was told.
    pub(super) fn told(&self) -> Answer {
        match &self.pair.outcome(self.submitted).verdict {
            headgate_core::outcome::Verdict::Completed(Some(answer)) => answer.clone(),
            other => panic!("{other:?}"),
        }
    }

    /// What the gateway would say when it is posted.
    pub(super) fn check(&self, body: Value) -> Result<(), Refusal> {
        let mut body = body;
        body["provider"] = "p".into();
        let body: RequestBody = serde_json::from_value(body).unwrap();
        let request = Request::new(RequestId(Default::default()), &body, body.command()?);
        self.rules.capabilities().check(&request, &provider(&SERVICES).services)?;
        self.rules.check(&request)
    }

    /// The field and the code of a refusal.
    pub(super) fn refusal(&self, body: Value) -> String {
        let refusal = self.check(body.clone()).expect_err(&body.to_string());
        format!("{} {}", refusal.field, refusal.code)
    }

    /// Commands that are not supported.
    pub(super) fn unsupported(&self) -> Vec<&'static str> {
        let able = &self.rules.capabilities().commands;
        CommandKind::ALL.iter().filter(|kind| !able.contains_key(kind)).map(|kind| kind.name()).collect()
    }

    /// How a request ends, and the calls that it made, without logins: method and target.
    pub(super) fn calls(&mut self, body: Value) -> (String, Vec<String>) {
        let before = self.pair.calls.len();
        let end = self.ask(body);
        let calls = self.pair.calls[before..].iter().filter(|call| !call.target.ends_with("/token"));
        (end, calls.map(|call| format!("{} {}", call.method, call.target)).collect())
    }

    /// What the platform holds, as JSON.
    pub(super) fn holdings(&self) -> Value {
        serde_json::to_value(self.pair.platform.holdings()).unwrap()
    }

    /// The body of the last call, as text.
    pub(super) fn last_body(&self) -> String {
        String::from_utf8(self.pair.last_call().body.to_vec()).unwrap()
    }
}

/// Settings with those that must be set.
pub(super) fn with(settings: &Value) -> Value {
    let mut all = json!({
        "tenant": "t1",
        "token": { "username": "headgate", "password": "pass word", "client_id": "c1" },
    });
    for (name, value) in settings.as_object().unwrap() {
        all[name] = value.clone();
    }
    all
}

/// The mistake in settings.
pub(super) fn mistake(settings: &Value) -> String {
    (PROTOCOL.open)(&provider(&SERVICES), settings, 7).err().expect("a mistake").to_string()
}
