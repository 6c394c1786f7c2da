//! What the tests of several protocols share: both sides joined under a simulated clock, and transcripts.

pub(crate) mod http_pair;
pub(crate) mod pair;
pub(crate) mod transcript;

use std::sync::Arc;
use std::time::Duration;

use headgate_core::adapter::{Submission, SubmissionId};
use headgate_core::body::RequestBody;
use headgate_core::provider::{BreakerPolicy, Limits, Provider, RetryPolicy, ServiceMap};
use headgate_core::request::{Request, RequestId};
use headgate_core::text::{CaId, ProviderName, ServiceCode};
use headgate_core::{Now, Tick};
use jiff::Timestamp;

/// The moment at which every test starts: 2026-01-15T12:00:00Z.
pub(crate) fn start() -> Now {
    Now { tick: Tick::new(Duration::from_secs(1_000)), wall: Timestamp::from_second(1_768_478_400).unwrap() }
}

/// `after` later on both clocks.
pub(crate) fn later(now: Now, after: Duration) -> Now {
    Now { tick: now.tick + after, wall: now.wall_after(after) }
}

/// A provider with these services: CRM code and CA ID.
pub(crate) fn provider(services: &[(&str, &str)]) -> Provider {
    let pair = |(code, ca_id): &(&str, &str)| (ServiceCode::new(code).unwrap(), CaId::new(ca_id).unwrap());
    Provider {
        name: ProviderName::new("p").unwrap(),
        services: ServiceMap::from(services.iter().map(pair).collect::<std::collections::BTreeMap<_, _>>()),
        limits: Limits::default(),
        retry: RetryPolicy::default(),
        breaker: BreakerPolicy::default(),
    }
}

/// A submission of the command that `json` describes; the provider's name is added.
pub(crate) fn submission(id: u64, json: &str) -> Submission {
    let json = json.replacen('{', r#"{"provider":"p","#, 1);
    let body: RequestBody = serde_json::from_str(&json).unwrap_or_else(|error| panic!("{json}: {error}"));
    let command = body.command().unwrap_or_else(|refusal| panic!("{json}: {refusal}"));
    let request = Request { number: id, created: start().wall, ..Request::new(RequestId(uuid_of(id)), &body, command) };
    Submission { id: SubmissionId(id), request: Arc::new(request), resume: None }
}

fn uuid_of(id: u64) -> uuid::Uuid {
    uuid::Uuid::from_u128(u128::from(id))
}
