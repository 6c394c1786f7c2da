//! CRM.COM V4's calls for a Generic provider, for workers that were written for them \[S:GP, GR, GS\].
//!
//! Their traps are theirs: nothing is leased, so two workers get the same requests; answer a page before fetching the
//! next, from offset 0. The better calls are in [`super::wire`].

use std::collections::BTreeMap;

use headgate_core::Now;
use headgate_core::command::Subscriber;
use headgate_core::http::{HttpAnswer, HttpRequest};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::queue::{Item, Queue};
use super::types::{DeviceItem, ServiceItem};
use super::wire::{AnswerState, FailedItem, WorkerAnswer};
use crate::crm_com::envelope::{Invalid, Parameters, UtcOffset, ok};
use crate::crm_com::{MOST, SHOWN_FOR};

/// `POST send_response`.
#[derive(Debug, Deserialize)]
struct SendResponse {
    responses_set: Vec<Response>,
}

/// One response; what else a call says of it is passed over.
#[derive(Debug, Deserialize)]
struct Response {
    number: Number,
    response_status: Status,
    #[serde(default)]
    error_code: Option<String>,
    #[serde(default)]
    error_description: Option<String>,
    #[serde(default)]
    account_number: Option<String>,
}

/// A number, written as a text or as a number.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Number {
    Text(String),
    Number(u64),
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum Status {
    Accepted,
    Rejected,
}

/// The answer to `GET get_pending`: every request that waits, grouped by subscription, oldest first.
#[must_use]
pub fn pending(now: Now, queue: &Queue, request: &HttpRequest) -> HttpAnswer {
    let (most, offset) = match page_of(request) {
        Ok(page) => page,
        Err(invalid) => return invalid.into(),
    };
    let young = |item: &&Item| now.wall.duration_since(item.created) <= SHOWN_FOR && !item.is_leased(now.tick);
    let page = queue.iter().filter(young).skip(offset).take(most);
    let mut groups: Vec<(Option<&str>, Value, Vec<Value>)> = Vec::new();
    for item in page {
        let subscription = item.work.subscription.as_deref();
        let shown = shown(item);
        match groups.iter_mut().find(|(name, ..)| *name == subscription && name.is_some()) {
            Some((_, _, requests)) => requests.push(shown),
            None => groups.push((subscription, json!(item.work.account), vec![shown])),
        }
    }
    let groups: Vec<_> = groups
        .into_iter()
        .map(|(subscription, account, requests)| {
            json!({
                "subscription_number": subscription,
                "account_number": account,
                "pending_provisioning_requests_set": requests,
            })
        })
        .collect();
    ok(&json!({ "subscriptions_set": groups }))
}

/// Reads `POST send_response`.
///
/// # Errors
/// The answer that says what is wrong with it.
pub fn responses(request: &HttpRequest) -> Result<Vec<WorkerAnswer>, HttpAnswer> {
    let call: SendResponse = Parameters::of(request)?.parse()?;
    Ok(call.responses_set.into_iter().map(worker_answer).collect())
}

/// The answer to `POST send_response`: what was not taken.
#[must_use]
pub fn not_taken(failed: &[FailedItem]) -> HttpAnswer {
    let failed: Vec<_> = failed
        .iter()
        .map(|item| json!({ "number": item.number, "error_code": item.code, "error_description": item.detail }))
        .collect();
    ok(&json!({ "failed_provisioning_requests_set": failed }))
}

/// `number_of_results` and `offset`.
fn page_of(request: &HttpRequest) -> Result<(usize, usize), Invalid> {
    let parameters = Parameters::of(request)?;
    let mandatory = |name: &str| parameters.number(name)?.ok_or_else(|| Invalid::new(name, "is mandatory"));
    let (most, offset) = (mandatory("number_of_results")?, mandatory("offset")?);
    if !(1..=MOST).contains(&most) {
        return Err(Invalid::new("number_of_results", "must be 1 to 50"));
    }
    Ok((most, offset))
}

fn worker_answer(response: Response) -> WorkerAnswer {
    let rejected = matches!(response.response_status, Status::Rejected);
    WorkerAnswer {
        number: match response.number {
            Number::Text(number) => number,
            Number::Number(number) => number.to_string(),
        },
        lease: None,
        state: if rejected { AnswerState::Rejected } else { AnswerState::Completed },
        // Only with REJECTED, and an account number only otherwise [S:GS].
        code: response.error_code.filter(|_| rejected),
        text: response.error_description.filter(|_| rejected),
        reference: None,
        account: response.account_number.filter(|_| !rejected).and_then(|number| number.try_into().ok()),
        answer: None,
    }
}

/// A request as CRM.COM shows it. What is inside the objects is not published: ours.
fn shown(item: &Item) -> Value {
    let mut members: BTreeMap<&str, Value> = BTreeMap::from([
        ("number", json!(item.number)),
        ("type", json!(item.work.kind)),
        ("executed_date", json!(local(item.created))),
    ]);
    if let Some(subscriber) = &item.work.subscriber {
        members.insert("address", json!(subscriber.address.clone().unwrap_or_default()));
        if item.work.kind != "UPDATE_ADDRESS" {
            members.insert("account_information", account_information(subscriber));
        }
    }
    let services: Vec<_> = item.work.services.iter().map(service).collect();
    let devices: Vec<_> = item.work.devices.iter().map(device).collect();
    match item.work.kind.as_str() {
        "ACTIVATE_SERVICE" | "DEACTIVATE_SERVICE" | "ADD_UDR" | "CANCEL_UDR" => {
            members.insert("service", services.into_iter().next().unwrap_or(Value::Null));
        }
        "ADD_INSTALLED_ITEM" | "REMOVE_INSTALLED_ITEM" => {
            members.insert("installed_item", devices.into_iter().next().unwrap_or(Value::Null));
        }
        _ => {
            members.insert("services_set", services.into());
            members.insert("installed_items_set", devices.into());
        }
    }
    json!(members)
}

fn account_information(subscriber: &Subscriber) -> Value {
    let mut without_address = Subscriber { address: None, ..subscriber.clone() };
    // CRM.COM's list of types knows no passwords: a worker that needs one uses Headgate's own calls.
    without_address.password = None;
    without_address.pin = None;
    json!(without_address)
}

fn service(item: &ServiceItem) -> Value {
    json!({ "code": item.code, "ca_id": item.ca_id, "start_date": item.start.map(local), "end_date": item.end.map(local) })
}

fn device(item: &DeviceItem) -> Value {
    json!({ "serial_number": item.serial_number, "type": item.kind })
}

/// A time in CRM.COM's form; UTC here.
fn local(time: Timestamp) -> String {
    UtcOffset::default().write(time)
}
