//! What the benches measure with: requests, the messages of each protocol, and an engine without a platform.

pub mod desk;
pub mod messages;

use std::sync::Arc;

use headgate_core::body::RequestBody;
use headgate_core::request::{Body, Request, RequestId};
use uuid::Uuid;

/// A request of that number, from its JSON.
///
/// # Panics
/// If the JSON is not a request.
#[must_use]
pub fn request(number: u64, json: &str) -> Arc<Request> {
    let body: RequestBody = serde_json::from_str(json).expect("a request's JSON");
    let command = body.command().expect("a command with all its fields");
    Arc::new(Request {
        number,
        body: Body(json.to_owned().into()),
        ..Request::new(RequestId(Uuid::from_u128(u128::from(number))), &body, command)
    })
}
