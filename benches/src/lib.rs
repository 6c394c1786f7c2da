//! What the benches measure with: requests, the messages of each protocol, and an engine without a platform.

pub mod desk;
pub mod messages;

use std::sync::Arc;

use headgate_core::body::RequestBody;
use headgate_core::request::{Body, Request, RequestId, Source};
use jiff::Timestamp;
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
        id: RequestId(Uuid::from_u128(u128::from(number))),
        number,
        provider: body.provider,
        subscription: body.subscription,
        command,
        priority: body.priority,
        process: body.process,
        not_before: body.not_before,
        expires: body.expires,
        reference: body.reference,
        source: Source::Api,
        created: Timestamp::UNIX_EPOCH,
        body: Body(json.to_owned().into()),
        idempotency: None,
    })
}
