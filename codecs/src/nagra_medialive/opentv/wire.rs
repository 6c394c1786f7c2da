//! What calls and answers of the REST services hold: ADM (accounts, devices) and RMG (entitlements).

use std::collections::BTreeMap;

use headgate_core::failure::Failure;
use headgate_core::http::{HttpAnswer, HttpCall, Method};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::http::raw::JSON;
use crate::http::{Step, answer, form};
use crate::nagra_medialive::settings::{AccountForm, DeviceKind, Validity};

/// Accounts \[S12\].
pub const ACCOUNTS: &str = "/adm/v1/accounts";

/// Accounts with passwords \[S11, S14, S15\].
pub const PRE_HASHED: &str = "/adm/v1/accounts/preHashedPassword";

/// Devices \[S12\].
pub const DEVICES: &str = "/adm/v1/devices";

/// Entitlements \[S13\].
pub const ENTITLEMENTS: &str = "/rmg/v1/operator/entitlements";

/// The id of one thing among many, as a path.
#[must_use]
pub fn by_id(of: &str, id: &str) -> String {
    format!("{of}/{}", form::escape(id))
}

/// Where an account is changed.
#[must_use]
pub fn account_path(form: AccountForm, id: &str) -> String {
    by_id(if form == AccountForm::PreHashed { PRE_HASHED } else { ACCOUNTS }, id)
}

/// A call with a JSON body.
#[must_use]
pub fn with_body(method: Method, target: impl Into<String>, body: &impl Serialize) -> HttpCall {
    // Nothing that is written here can fail to be JSON.
    let body = serde_json::to_vec(body).unwrap_or_default();
    HttpCall { method, ..HttpCall::post(target, JSON, body) }
}

/// The life of an account \[S12\].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountStatus {
    /// It may be used.
    Active,
    /// It may not, for a while.
    Suspended,
    /// Never again, and its id stays taken.
    Cancelled,
}

impl AccountStatus {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Suspended => "SUSPENDED",
            Self::Cancelled => "CANCELLED",
        }
    }
}

/// A device that is put under an account \[S12\].
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NewDevice<'a> {
    /// Its id, the caller's.
    #[serde(rename = "_id")]
    pub id: &'a str,
    /// `ENABLED`.
    pub status: &'static str,
    /// What it is.
    pub device_type: DeviceKind,
    /// The account it is under.
    pub account_uid: &'a str,
    /// Its number in conditional access.
    #[serde(rename = "caSN", skip_serializing_if = "Option::is_none")]
    pub ca_sn: Option<&'a str>,
}

/// An entitlement that is granted \[S13, S27\].
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Grant {
    /// Its id, the caller's: a grant that is repeated is the same one.
    #[serde(rename = "_id")]
    pub id: String,
    /// What is granted.
    pub product_id: String,
    /// To whom.
    pub account_id: String,
    /// When the window starts.
    pub validity_type: Validity,
    /// `SUBSCRIPTION`, `TRANSACTIONAL`.
    pub product_type: &'static str,
    /// From when.
    pub valid_from: Timestamp,
    /// Until when.
    pub expiry_date: Timestamp,
    /// The only device it is good on; absent: all of the account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_id: Option<String>,
}

/// A change of an entitlement \[S13\]; the period there is unconfirmed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EntitlementChange {
    /// `SUBSCRIBED`, `UNSUBSCRIBED`.
    pub status: &'static str,
    /// From when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub valid_from: Option<Timestamp>,
    /// Until when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expiry_date: Option<Timestamp>,
}

/// An entitlement that holds.
pub const SUBSCRIBED: &str = "SUBSCRIBED";

/// One that does not.
pub const UNSUBSCRIBED: &str = "UNSUBSCRIBED";

/// An entitlement in a list. Pages spell members differently \[S13\].
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Held {
    /// Its id.
    #[serde(rename = "_id")]
    pub id: String,
    /// What it is for.
    #[serde(alias = "productID")]
    pub product_id: String,
    /// Whose it is.
    #[serde(alias = "accountID")]
    pub account_id: String,
    /// The only device it is good on.
    #[serde(default, alias = "deviceID")]
    pub device_id: Option<String>,
    /// Its kind, where the platform tells.
    #[serde(default)]
    pub product_type: Option<String>,
    /// Its status, where the platform tells.
    #[serde(default)]
    pub status: Option<String>,
    /// Since when, where the platform tells it in a form that we know.
    #[serde(default, deserialize_with = "moment")]
    pub valid_from: Option<Timestamp>,
    /// Until when, likewise.
    #[serde(default, deserialize_with = "moment")]
    pub expiry_date: Option<Timestamp>,
}

impl Held {
    /// Whether it holds, as far as the status says.
    #[must_use]
    pub fn is_subscribed(&self) -> bool {
        self.status.as_deref().is_none_or(|status| status == SUBSCRIBED)
    }
}

fn moment<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    let value = Value::deserialize(deserializer)?;
    Ok(value.as_str().and_then(|text| text.parse().ok()))
}

/// A page of a list \[S13\].
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Page {
    /// How many there are on all pages.
    pub total_records: u64,
    /// Those of this page; absent: only the number was asked for.
    #[serde(default)]
    pub resource_set: Vec<Held>,
}

/// The answer to a creation \[S12, S13\].
#[derive(Clone, PartialEq, Eq, Deserialize)]
pub struct Created {
    /// The id of what was made.
    #[serde(rename = "_id")]
    pub id: String,
}

/// The answer to a change \[S12, S13\].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Changed {
    /// How many things the id names.
    pub matched_count: u64,
}

/// What an answer says before its body is looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// Yes.
    Yes,
    /// No, and why: final, for calls that were refused must never be repeated \[S12, S13\].
    No(Failure),
}

/// What an answer says.
///
/// # Errors
/// The step, if it is no answer to the call: the token is not good (401, 403), or the platform has an error of its own.
pub fn said(answer: &HttpAnswer) -> Result<Said, Step> {
    match answer.status {
        200..=299 => Ok(Said::Yes),
        401 | 403 => Err(Step::SessionLost(answer::not_admitted(answer))),
        400..=499 => Ok(Said::No(refusal(answer))),
        _ => Err(Step::failed(answer::server_error(answer))),
    }
}

/// Whether a change found what it was meant for. Answers without a body found it.
///
/// # Errors
/// The step, if the answer can not be read.
pub fn matched(answer: &HttpAnswer) -> Result<bool, Step> {
    if answer.body.is_empty() {
        return Ok(true);
    }
    answer::json::<Changed>(answer).map(|changed| changed.matched_count > 0).map_err(Step::failed)
}

/// What is refused because the id names nothing.
#[must_use]
pub fn nothing_matched() -> Failure {
    Failure::refused("not_found", "the platform has nothing of that id (matchedCount 0)")
}

/// Whether a refusal may mean that what was to be made is there already.
#[must_use]
pub const fn may_exist(answer: &HttpAnswer) -> bool {
    matches!(answer.status, 400 | 409)
}

/// The platform's code and words. No source shows the form of an error: the usual members are looked for.
fn refusal(answer: &HttpAnswer) -> Failure {
    let body: BTreeMap<String, Value> = serde_json::from_slice(&answer.body).unwrap_or_default();
    let member = |names: &[&str]| {
        names.iter().find_map(|name| match body.get(*name)? {
            Value::String(text) if !text.trim().is_empty() => Some(words(text)),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        })
    };
    let code = member(&["code", "errorCode", "error"]).unwrap_or_else(|| answer.status.to_string());
    let text = member(&["message", "description", "errorMessage", "detail"]);
    Failure::refused(code, text.unwrap_or_else(|| format!("refused (HTTP {})", answer.status)))
}

/// At most 300 characters, none of them a control character.
fn words(text: &str) -> String {
    text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).take(300).collect()
}
