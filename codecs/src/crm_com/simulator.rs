//! A CRM.COM to pull from: subscriptions with pending requests, the two calls with their limits, and their traps.
//!
//! What the CRM's pages say, it does: at most 50 results, offsets into a set that shrinks with every answer, nothing older
//! than seven days, grouped by subscription and oldest first \[S:GP\]; a part of the answers may fail \[S:GS\]. What they do
//! not say is Headgate's: the members of its objects, the entries of what failed, and that an answered request is not
//! answered again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use headgate_core::Now;
use headgate_core::http::{HttpAnswer, HttpRequest, Method};
use headgate_core::platform::{Fault, Holdings};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::envelope::{Identifier, Invalid, Parameters, UtcOffset, ok, refused};
use super::{GET_PENDING, MOST, SEND_RESPONSE, SHOWN_FOR};
use crate::http::Backend;

/// A CRM. Clones share it, so that somebody can look while it is behind a listener.
#[derive(Clone, Debug)]
pub struct Crm(Arc<Mutex<State>>);

/// A CRM that answers calls: goes into a [`crate::http::HttpPlatform`].
#[derive(Debug)]
pub struct CrmBackend {
    crm: Crm,
    nothing: Holdings,
}

/// A request at the CRM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CrmRequest {
    /// The subscription's number.
    pub subscription: String,
    /// Its type.
    pub kind: String,
    /// What it says beside its number and its type.
    members: Value,
    /// When it was made.
    pub created: Timestamp,
    /// `PENDING`, `COMPLETED`, `REJECTED`.
    pub state: &'static str,
    /// Why it was rejected.
    pub error_code: Option<String>,
    /// How many answers were taken: never more than one.
    pub answers: u32,
    /// How many answers came, those that were not taken included.
    pub attempts: u32,
    /// So many of the next answers fail.
    failing: u32,
}

#[derive(Debug)]
struct State {
    token: String,
    /// The Generic provider's name.
    provider: String,
    requests: BTreeMap<u64, CrmRequest>,
    accounts: BTreeMap<String, String>,
    last: u64,
    calls: u64,
    /// So many of the next calls are refused as a whole.
    logged_out: u32,
    /// A request that comes between two pages of a look: subscription, type, members.
    between_pages: Vec<(String, String, Value)>,
    /// Numbers that somebody else answers between two pages.
    taken_between_pages: Vec<u64>,
}

#[derive(Deserialize)]
struct Response {
    number: String,
    response_status: Status,
    #[serde(default)]
    error_code: Option<String>,
    #[serde(default)]
    account_number: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum Status {
    Accepted,
    Rejected,
}

impl Crm {
    /// A CRM with a Generic provider of that name, for callers with this token.
    #[must_use]
    pub fn new(provider: &str, token: &str) -> Self {
        Self(Arc::new(Mutex::new(State {
            token: token.to_owned(),
            provider: provider.to_owned(),
            requests: BTreeMap::new(),
            accounts: BTreeMap::new(),
            last: 0,
            calls: 0,
            logged_out: 0,
            between_pages: Vec::new(),
            taken_between_pages: Vec::new(),
        })))
    }

    /// What answers calls for it.
    #[must_use]
    pub fn backend(&self) -> CrmBackend {
        CrmBackend { crm: self.clone(), nothing: Holdings::default() }
    }

    /// Makes a request, pending from `now` on; `members` is an object. Returns its number.
    pub fn request(&self, now: Timestamp, subscription: &str, kind: &str, members: Value) -> u64 {
        self.state().add(now, subscription, kind, members)
    }

    /// Makes a request while the next look is between two pages.
    pub fn request_between_pages(&self, subscription: &str, kind: &str, members: Value) {
        self.state().between_pages.push((subscription.to_owned(), kind.to_owned(), members));
    }

    /// Lets somebody else answer a request while the next look is between two pages.
    pub fn take_between_pages(&self, number: u64) {
        self.state().taken_between_pages.push(number);
    }

    /// Lets the next `times` answers to a request fail.
    pub fn fail_answers(&self, number: u64, times: u32) {
        if let Some(request) = self.state().requests.get_mut(&number) {
            request.failing = times;
        }
    }

    /// Refuses the next `calls` calls, as if nobody was logged in.
    pub fn log_out(&self, calls: u32) {
        self.state().logged_out = calls;
    }

    /// Every request, by number.
    #[must_use]
    pub fn requests(&self) -> BTreeMap<u64, CrmRequest> {
        self.state().requests.clone()
    }

    /// How many requests are pending.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.state().requests.values().filter(|request| request.state == "PENDING").count()
    }

    /// The platform's number of a subscription's account, as an answer told it.
    #[must_use]
    pub fn account(&self, subscription: &str) -> Option<String> {
        self.state().accounts.get(subscription).cloned()
    }

    /// How many calls came.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.state().calls
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Backend for CrmBackend {
    fn answer(&mut self, now: Now, request: &HttpRequest, _: Option<Fault>) -> HttpAnswer {
        let mut state = self.crm.state();
        state.calls += 1;
        let parameters = match Parameters::of(request) {
            Ok(parameters) => parameters,
            Err(invalid) => return invalid.into(),
        };
        if let Err(answer) = state.admit(&parameters) {
            return answer;
        }
        let answer = match (request.method, request.path()) {
            (Method::Get, GET_PENDING) => state.pending(now.wall, &parameters),
            (Method::Post, SEND_RESPONSE) => state.respond(parameters),
            _ => return refused(404, "NOT_FOUND", "there is no such call", ""),
        };
        answer.unwrap_or_else(HttpAnswer::from)
    }

    fn holdings(&self) -> &Holdings {
        &self.nothing
    }
}

impl State {
    fn add(&mut self, now: Timestamp, subscription: &str, kind: &str, members: Value) -> u64 {
        self.last += 1;
        let request = CrmRequest {
            subscription: subscription.to_owned(),
            kind: kind.to_owned(),
            members,
            created: now,
            state: "PENDING",
            error_code: None,
            answers: 0,
            attempts: 0,
            failing: 0,
        };
        self.requests.insert(self.last, request);
        self.last
    }

    fn admit(&mut self, parameters: &Parameters) -> Result<(), HttpAnswer> {
        // The sample of a refusal has this text [S:A-CSMS].
        let logged_out = || refused(200, "NOK", "txt_not_logged_in", "");
        if self.logged_out > 0 {
            self.logged_out -= 1;
            return Err(logged_out());
        }
        if parameters.text("token")?.as_deref() != Some(self.token.as_str()) {
            return Err(logged_out());
        }
        let keys = ["id", "name", "alternative_code"];
        match parameters.identifier("provisioning_provider_identifier", &keys)? {
            Some(Identifier { value, .. }) if value == self.provider => Ok(()),
            _ => Err(refused(200, "NOK", "there is no such provider", "provisioning_provider_identifier")),
        }
    }

    fn pending(&mut self, now: Timestamp, parameters: &Parameters) -> Result<HttpAnswer, Invalid> {
        let mandatory = |name: &str| Invalid::new(name, "is mandatory");
        let most = parameters.number("number_of_results")?.ok_or_else(|| mandatory("number_of_results"))?;
        let offset = parameters.number("offset")?.ok_or_else(|| mandatory("offset"))?;
        if !(1..=MOST).contains(&most) {
            return Err(Invalid::new("number_of_results", "must be 1 to 50"));
        }
        if offset > 0 {
            for (subscription, kind, members) in std::mem::take(&mut self.between_pages) {
                self.add(now, &subscription, &kind, members);
            }
            for number in std::mem::take(&mut self.taken_between_pages) {
                self.take(number, true, None);
            }
        }
        let shown =
            |request: &&CrmRequest| request.state == "PENDING" && now.duration_since(request.created) <= SHOWN_FOR;
        let mut subscriptions: BTreeMap<&str, Vec<(u64, &CrmRequest)>> = BTreeMap::new();
        for (number, request) in self.requests.iter().filter(|(_, request)| shown(request)) {
            subscriptions.entry(&request.subscription).or_default().push((*number, request));
        }
        let page = subscriptions.values().flatten().skip(offset).take(most);
        let mut groups: Vec<(&str, Vec<Value>)> = Vec::new();
        for (number, request) in page {
            let shown = request.shown(*number);
            match groups.last_mut() {
                Some((subscription, requests)) if *subscription == request.subscription => requests.push(shown),
                _ => groups.push((&request.subscription, vec![shown])),
            }
        }
        let group = |(subscription, requests): (&str, Vec<Value>)| {
            json!({
                "subscription_number": subscription,
                "account_number": self.accounts.get(subscription),
                "pending_provisioning_requests_set": requests,
            })
        };
        let groups: Vec<_> = groups.into_iter().map(group).collect();
        Ok(ok(&json!({ "subscriptions_set": groups })))
    }

    fn respond(&mut self, parameters: Parameters) -> Result<HttpAnswer, Invalid> {
        #[derive(Deserialize)]
        struct Call {
            responses_set: Vec<Response>,
        }
        let call: Call = parameters.parse()?;
        let mut failed = Vec::new();
        let mut seen = BTreeSet::new();
        for response in call.responses_set {
            let number = response.number.parse().unwrap_or_default();
            if let Err(code) = self.take_response(number, &response, seen.insert(number)) {
                failed.push(json!({ "number": response.number, "error_code": code, "error_description": "" }));
            }
        }
        Ok(ok(&json!({ "failed_provisioning_requests_set": failed })))
    }

    fn take_response(&mut self, number: u64, response: &Response, once: bool) -> Result<(), &'static str> {
        let request = self.requests.get_mut(&number).ok_or("UNKNOWN_NUMBER")?;
        request.attempts += 1;
        if request.failing > 0 {
            request.failing -= 1;
            return Err("NOT_UPDATED");
        }
        if request.state != "PENDING" || !once {
            return Err("ALREADY_ANSWERED");
        }
        let accepted = matches!(response.response_status, Status::Accepted);
        let of_become = request.kind == "BECOME_SUBSCRIBER" && accepted;
        // The first revision demands it [S:GS].
        match (&response.account_number, of_become) {
            (Some(account), true) => {
                self.accounts.insert(request.subscription.clone(), account.clone());
            }
            (None, true) => return Err("ACCOUNT_NUMBER_MISSING"),
            (Some(_), false) => return Err("ACCOUNT_NUMBER_NOT_ALLOWED"),
            (None, false) => {}
        }
        if accepted && response.error_code.is_some() {
            return Err("ERROR_CODE_NOT_ALLOWED");
        }
        self.take(number, accepted, response.error_code.clone());
        Ok(())
    }

    fn take(&mut self, number: u64, accepted: bool, error_code: Option<String>) {
        if let Some(request) = self.requests.get_mut(&number) {
            request.state = if accepted { "COMPLETED" } else { "REJECTED" };
            request.error_code = error_code;
            request.answers += 1;
        }
    }
}

impl CrmRequest {
    fn shown(&self, number: u64) -> Value {
        let mut members: Map<String, Value> = self.members.as_object().cloned().unwrap_or_default();
        members.insert("number".into(), json!(number.to_string()));
        members.insert("type".into(), json!(self.kind));
        members.insert("executed_date".into(), json!(UtcOffset::default().write(self.created)));
        Value::Object(members)
    }
}
