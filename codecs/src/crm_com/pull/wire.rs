//! The two calls of a pull as they go out, and their answers as they come back \[S:GP, GR, GS\].

use headgate_core::http::{HttpAnswer, HttpCall};
use headgate_core::text::Secret;
use serde_json::{Map, Value, json};

use super::settings::{PageCounts, PullSettings};
use crate::crm_com::envelope::text_of;
use crate::crm_com::{GET_PENDING, SEND_RESPONSE};
use crate::http::form::Form;

/// One request as the CRM shows it.
#[derive(Clone, PartialEq)]
pub struct Pending {
    /// The CRM's number of it.
    pub number: String,
    /// Its type: `ACTIVATE_SERVICE`.
    pub kind: String,
    /// The CRM's number of the subscription.
    pub subscription: Option<String>,
    /// The platform's number of the account.
    pub account: Option<String>,
    /// Everything it says.
    pub members: Map<String, Value>,
}

impl std::fmt::Debug for Pending {
    /// Subscriber data stays hidden.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} <{} members>", self.number, self.kind, self.members.len())
    }
}

/// A page of what is pending.
#[derive(Debug, Default)]
pub struct Page {
    /// The requests, in the CRM's order.
    pub requests: Vec<Pending>,
    /// What the page's length and offset count, each by its number.
    pub counted: Vec<String>,
    /// How many of its requests can not be read.
    pub unreadable: usize,
}

/// What is told of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The CRM's number of it.
    pub number: String,
    /// What became of it.
    pub verdict: Verdict,
}

/// What became of a request of the CRM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It was carried out; the platform's number of the account, where it was made.
    Accepted(Option<String>),
    /// It was not: a code and a text.
    Rejected(String, String),
}

/// What the CRM did not take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotTaken {
    /// The request's number, where it can be told.
    pub number: Option<String>,
    /// Its code for it, where there is one.
    pub code: Option<String>,
}

/// Why the CRM did not do what a call asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CrmError {
    /// It says so.
    #[error("the CRM refused the call: {code}")]
    Refused {
        /// The status' code, cut to 64 characters.
        code: String,
    },
    /// Nobody knows what its answer means.
    #[error("the CRM's answer can not be read (HTTP {status}, {bytes} bytes): {why}")]
    Unreadable {
        /// HTTP's status.
        status: u16,
        /// How long it is.
        bytes: usize,
        /// What is missing.
        why: &'static str,
    },
}

/// `GET get_pending`.
#[must_use]
pub fn get_pending(settings: &PullSettings, offset: usize) -> HttpCall {
    let query = Form::new()
        .field("token", settings.token.as_ref().map_or("", Secret::reveal))
        .field("provisioning_provider_identifier", &identifier(settings).to_string())
        .field("number_of_results", &settings.page_size.to_string())
        .field("offset", &offset.to_string());
    HttpCall::get(format!("{GET_PENDING}?{}", query.finish()))
}

/// `POST send_response`.
#[must_use]
pub fn send_response(settings: &PullSettings, responses: &[Response]) -> HttpCall {
    let responses: Vec<_> = responses.iter().map(Response::to_json).collect();
    let body = json!({
        "token": settings.token.as_ref().map_or("", Secret::reveal),
        "provisioning_provider_identifier": identifier(settings),
        "responses_set": responses,
    });
    HttpCall::post(SEND_RESPONSE, "application/json", body.to_string())
}

/// Reads the answer to `get_pending`.
///
/// # Errors
/// [`CrmError`], if it is no list.
pub fn page(answer: &HttpAnswer, counts: PageCounts) -> Result<Page, CrmError> {
    let data = data(answer)?;
    let missing = CrmError::Unreadable {
        status: answer.status,
        bytes: answer.body.len(),
        why: "data.subscriptions_set is no list",
    };
    let groups = data.get("subscriptions_set").and_then(Value::as_array).ok_or(missing)?;
    let mut page = Page::default();
    for group in groups {
        let member = |name: &str| group.get(name).and_then(text_of).filter(|text| !text.is_empty());
        let (subscription, account) = (member("subscription_number"), member("account_number"));
        if counts == PageCounts::Subscriptions {
            page.counted.push(subscription.clone().unwrap_or_default());
        }
        let requests = group.get("pending_provisioning_requests_set").and_then(Value::as_array);
        for request in requests.into_iter().flatten() {
            let text = |name: &str| request.get(name).and_then(text_of).filter(|text| !text.is_empty());
            if counts == PageCounts::Requests {
                page.counted.push(text("number").unwrap_or_default());
            }
            match (text("number"), text("type"), request.as_object()) {
                // A number is a part of references, which are bounded.
                (Some(number), Some(kind), Some(members)) if number.len() <= 48 => page.requests.push(Pending {
                    number,
                    kind,
                    subscription: subscription.clone(),
                    account: account.clone(),
                    members: members.clone(),
                }),
                _ => page.unreadable += 1,
            }
        }
    }
    Ok(page)
}

/// Reads the answer to `send_response`: what was not taken. What is inside of an entry is not published: a number is
/// looked for under the names that Headgate itself and the calls around it use.
///
/// # Errors
/// [`CrmError`], if it does not say.
pub fn not_taken(answer: &HttpAnswer) -> Result<Vec<NotTaken>, CrmError> {
    let data = data(answer)?;
    let failed = match data.get("failed_provisioning_requests_set") {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(failed)) => failed,
        Some(_) => {
            let why = "data.failed_provisioning_requests_set is no list";
            return Err(CrmError::Unreadable { status: answer.status, bytes: answer.body.len(), why });
        }
    };
    let entry = |entry: &Value| {
        let member = |names: &[&str]| names.iter().find_map(|name| entry.get(*name).and_then(text_of));
        let number = text_of(entry).or_else(|| member(&["number", "provisioning_request_number", "request_number"]));
        NotTaken { number, code: member(&["error_code", "code"]).map(|code| cut(&code, 64)) }
    };
    Ok(failed.iter().map(entry).collect())
}

impl Response {
    fn to_json(&self) -> Value {
        match &self.verdict {
            // An account number goes only with ACCEPTED of BECOME_SUBSCRIBER, an error only with REJECTED [S:GS].
            Verdict::Accepted(Some(account)) => {
                json!({ "number": self.number, "response_status": "ACCEPTED", "account_number": account })
            }
            Verdict::Accepted(None) => json!({ "number": self.number, "response_status": "ACCEPTED" }),
            Verdict::Rejected(code, text) => json!({
                "number": self.number, "response_status": "REJECTED", "error_code": code, "error_description": text,
            }),
        }
    }
}

fn identifier(settings: &PullSettings) -> Value {
    let (key, value) = settings.provider_identifier.given().unwrap_or_default();
    json!({ key: value })
}

/// The `data` of an answer whose `status` is good.
fn data(answer: &HttpAnswer) -> Result<Value, CrmError> {
    let unreadable = |why| CrmError::Unreadable { status: answer.status, bytes: answer.body.len(), why };
    let mut body: Value = serde_json::from_slice(&answer.body).map_err(|_| unreadable("it is not JSON"))?;
    let code = body.pointer("/status/code").and_then(Value::as_str).ok_or_else(|| unreadable("it has no status"))?;
    if code != "OK" || !answer.is_success() {
        return Err(CrmError::Refused { code: cut(code, 64) });
    }
    body.get_mut("data").map(Value::take).filter(Value::is_object).ok_or_else(|| unreadable("it has no data"))
}

/// At most so many characters.
fn cut(text: &str, most: usize) -> String {
    text.chars().filter(|c| !c.is_control()).take(most).collect()
}
