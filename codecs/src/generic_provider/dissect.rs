//! Workers' calls explained field by field, and requests as workers would get them.

use headgate_core::adapter::Rules;
use headgate_core::request::Request;

use super::types::{Vocabulary, Work};
use crate::dissect::Dissection;
use crate::http::dissect::{Describe, dissect};
use crate::registry::{EncodeError, Encoded};

/// Explains a call or an answer, own or CRM.COM's.
#[must_use]
pub fn decode(bytes: &[u8]) -> Dissection {
    dissect(bytes, &Calls)
}

/// The work that a request becomes, as JSON.
///
/// # Errors
/// [`EncodeError::Refused`] if it is not supported.
pub fn encode(vocabulary: &Vocabulary, request: &Request) -> Result<Vec<Encoded>, EncodeError> {
    vocabulary.check(request)?;
    let encoded = |work: Work| {
        let bytes = serde_json::to_vec_pretty(&work).unwrap_or_default();
        Encoded { title: format!("work for a worker, {}", work.kind), bytes: bytes.into() }
    };
    Ok(vocabulary.work(request)?.into_iter().map(encoded).collect())
}

struct Calls;

impl Describe for Calls {
    fn title(&self, _: &str, names: &[String]) -> Option<String> {
        let title = match names.first()?.as_str() {
            "requests" => "work for a worker",
            "answers" => "answers of a worker",
            "failed" => "what was not taken",
            "leases" => "leases to extend",
            "responses_set" => "CRM.COM send_response",
            _ if names.iter().any(|name| name == "wait_seconds" || name == "max") => "a worker asks for work",
            _ => return None,
        };
        Some(title.to_owned())
    }

    fn meaning(&self, path: &str, _: &str) -> String {
        match path.rsplit('/').next().unwrap_or_default() {
            "number" => "the same whenever it is offered again",
            "lease" => "whose it is now",
            "delivery" => "how often it was offered",
            "type" if path.ends_with("requests/type") => "the request type",
            "ca_id" => "the platform's id of the service",
            _ => "",
        }
        .to_owned()
    }
}
