//! Headgate's own calls for workers: fetch work under a lease, keep the lease, answer.
//!
//! The gateway serves them below `/v1/providers/{name}`; here a call's target is what follows the name.

use headgate_core::http::{HttpAnswer, HttpRequest};
use headgate_core::outcome::Answer;
use headgate_core::text::{AccountNumber, PlatformReference};
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::types::Work;

/// Most items of one call, as CRM.COM's \[S:GP\].
pub const MOST: usize = 50;

/// `POST /pull`: something to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PullCall {
    /// Most items, 1 to 50. Default 50.
    pub max: usize,
    /// How long to wait for the first one, in seconds. Default 0.
    pub wait_seconds: u64,
    /// How long they are this worker's, in seconds. Default: the provider's `lease`.
    pub lease_seconds: Option<u64>,
}

impl Default for PullCall {
    fn default() -> Self {
        Self { max: MOST, wait_seconds: 0, lease_seconds: None }
    }
}

/// The answer to a [`PullCall`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pulled {
    /// What is to be done, oldest first; empty: nothing.
    pub requests: Vec<Offer>,
}

/// An item, leased.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// Its number: the same whenever it is offered again. What was done for a number must not be done again.
    pub number: String,
    /// Names the lease; the answer gives it back.
    pub lease: String,
    /// When it is offered to others.
    pub lease_until: Timestamp,
    /// How often it was offered, this time included.
    pub delivery: u32,
    /// When the CRM asked for it.
    pub created: Timestamp,
    /// What is to be done.
    #[serde(flatten)]
    pub work: Work,
}

/// `POST /answers`: what became of items.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnswersCall {
    /// One for each item.
    pub answers: Vec<WorkerAnswer>,
}

/// What became of an item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkerAnswer {
    /// Its number.
    pub number: String,
    /// The lease it was under. Without it the answer is taken from anybody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<String>,
    /// Done or refused.
    pub state: AnswerState,
    /// Why it is refused: short and stable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Why it is refused, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The platform's own number for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<PlatformReference>,
    /// The platform's number of an account that was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountNumber>,
    /// What a reading request told, in the form in which the API shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Answer>,
}

/// Done or refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnswerState {
    /// It is done.
    Completed,
    /// It is refused.
    Rejected,
}

/// `POST /extend`: more time for these.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExtendCall {
    /// The items.
    pub leases: Vec<LeaseRef>,
    /// How long they are this worker's from now, in seconds. Default: the provider's `lease`.
    #[serde(default)]
    pub lease_seconds: Option<u64>,
}

/// A lease, named.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeaseRef {
    /// The item's number.
    pub number: String,
    /// The lease.
    pub lease: String,
}

/// The answer to an [`AnswersCall`] or an [`ExtendCall`]: what was not taken. Everything else was.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotTaken {
    /// What was not taken.
    pub failed: Vec<FailedItem>,
}

/// An item that was not taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedItem {
    /// Its number.
    pub number: String,
    /// `unknown_number`, `already_answered`, `lease_lost`.
    pub code: String,
    /// The same for people.
    pub detail: String,
}

/// Reads a call's body.
///
/// # Errors
/// The answer that says what is wrong with it.
pub fn read<T: DeserializeOwned>(request: &HttpRequest) -> Result<T, HttpAnswer> {
    let body: &[u8] = if request.body.is_empty() { b"{}" } else { &request.body };
    let mut json = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut json)
        .map_err(|error| problem(400, "invalid_field", &error.path().to_string(), &error.inner().to_string()))?;
    json.end().map_err(|error| problem(400, "malformed_json", "", &error.to_string()))?;
    Ok(value)
}

/// An answer that gives a value.
#[must_use]
pub fn answer(value: &impl Serialize) -> HttpAnswer {
    // None of these types can fail to be written.
    HttpAnswer::new(200, "application/json", serde_json::to_vec(value).unwrap_or_default())
}

/// An answer that says what is wrong.
#[must_use]
pub fn problem(status: u16, code: &str, field: &str, detail: &str) -> HttpAnswer {
    let field = Some(field.replace('.', "/")).filter(|field| !matches!(field.as_str(), "" | "/"));
    let value = serde_json::json!({
        "type": format!("urn:headgate:problem:{code}"),
        "title": "The call was not understood",
        "status": status, "code": code, "detail": detail, "field": field,
    });
    HttpAnswer::new(status, "application/problem+json", value.to_string())
}
