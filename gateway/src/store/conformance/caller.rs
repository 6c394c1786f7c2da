//! A caller that waits for the reports, and requests to hand over.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use headgate_core::body::RequestBody;
use headgate_core::dispatch::store::{Change, ChangeId, Finish, StoreCall};
use headgate_core::failure::Failure;
use headgate_core::outcome::Exchange;
use headgate_core::request::{Body, Idempotency, Request, RequestId, State};
use headgate_core::text::ProviderName;
use jiff::Timestamp;
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::store::{RefusedBy, ReportSender, Store, StoreReport};

/// Somebody who changes things, and waits for the reports.
pub(in crate::store) struct Caller {
    store: Arc<dyn Store>,
    report: ReportSender,
    reports: mpsc::UnboundedReceiver<StoreReport>,
    last: u64,
    open: usize,
    /// What was reported, in that order; `None`: stored.
    pub(in crate::store) heard: Vec<(ChangeId, Option<RefusedBy>)>,
}

impl Caller {
    pub(in crate::store) fn new(store: &Arc<dyn Store>) -> Self {
        let (report, reports) = mpsc::unbounded_channel();
        Self { store: Arc::clone(store), report, reports, last: 0, open: 0, heard: Vec::new() }
    }

    /// Hands changes over, durable ones, in one call.
    pub(in crate::store) fn write(&mut self, changes: Vec<Change>) {
        self.write_as(true, changes);
    }

    pub(super) fn write_as(&mut self, durable: bool, changes: Vec<Change>) {
        self.open += changes.len();
        let calls = changes.into_iter().map(|change| {
            self.last += 1;
            StoreCall { id: ChangeId(self.last), durable, change }
        });
        let calls = calls.collect();
        self.store.write(calls, &self.report);
    }

    /// Waits for the next report.
    pub(in crate::store) async fn hear(&mut self) {
        let next = tokio::time::timeout(Duration::from_secs(60), self.reports.recv()).await;
        match next.expect("no report within a minute").unwrap() {
            StoreReport::Stored(ids) => {
                self.open -= ids.len();
                self.heard.extend(ids.into_iter().map(|id| (id, None)));
            }
            StoreReport::Refused(id, by) => {
                self.open -= 1;
                self.heard.push((id, Some(by)));
            }
        }
    }

    /// Waits until everything is reported; returns what was refused so far.
    pub(in crate::store) async fn settle(&mut self) -> BTreeMap<u64, RefusedBy> {
        while self.open > 0 {
            self.hear().await;
        }
        self.heard.iter().filter_map(|(id, by)| by.clone().map(|by| (id.0, by))).collect()
    }

    /// Stores changes, all of which must go through.
    pub(in crate::store) async fn store(&mut self, changes: Vec<Change>) {
        self.write(changes);
        assert_eq!(self.settle().await, BTreeMap::new());
    }
}

/// A request of this number, as it would be read from this JSON.
pub(in crate::store) fn request_of(number: u64, json: &str) -> Request {
    let body: RequestBody = serde_json::from_str(json).unwrap();
    // The time in the id is not looked at; the rest makes it one of its own.
    let id = RequestId(Uuid::from_u128(0x0192_0000_0000_7000_8000_0000_0000_0000 | u128::from(number)));
    let command = body.command().unwrap();
    Request {
        number,
        created: at(i64::try_from(number % 1_000_000).unwrap()),
        body: Body(json.to_owned().into()),
        ..Request::new(id, &body, command)
    }
}

/// A plain request.
pub(in crate::store) fn request(number: u64) -> Request {
    request_of(number, r#"{"provider":"north","command":"refresh_services","smartcard":"0145"}"#)
}

/// So many seconds into the tests' day.
pub(super) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + seconds).unwrap()
}

pub(in crate::store) fn accept(request: &Request) -> Change {
    Change::Accept(Arc::new(request.clone()), State::Waiting)
}

pub(super) fn with_key(number: u64, key: &str) -> Request {
    let idempotency = Some(Idempotency { key: key.into(), digest: [u8::try_from(number % 256).unwrap(); 32] });
    Request { idempotency, created: Timestamp::now(), ..request(number) }
}

pub(in crate::store) fn finish(request: &Request, state: State) -> Change {
    Change::Finish(Arc::new(finish_of(request, state)))
}

pub(super) fn finish_of(request: &Request, state: State) -> Finish {
    Finish {
        id: request.id,
        state,
        attempts: 1,
        sent_at: Some(at(50)),
        finished_at: at(60),
        failure: (state != State::Completed).then(|| Failure::refused("E7", "no such card")),
        answer: None,
        reference: None,
        exchange: Exchange { request: b"ask".to_vec().into(), response: b"say".to_vec().into() },
    }
}

pub(super) fn north() -> ProviderName {
    ProviderName::new("north").unwrap()
}
