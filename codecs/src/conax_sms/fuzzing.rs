//! Entry points for fuzz targets. Each takes any bytes, and panics only where a promise is broken.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use headgate_core::adapter::{
    Adapter, Done, Effect, Event, FileAnswer, FileCall, FileError, FileErrorKind, Input, Output, Submission,
    SubmissionId,
};
use headgate_core::body::RequestBody;
use headgate_core::failure::Sent;
use headgate_core::request::{Request, RequestId};
use headgate_core::text::PlatformReference;
use headgate_core::{Now, Tick};
use jiff::Timestamp;

use super::adapter::ConaxAdapter;
use super::plan::Products;
use super::settings::{Settings, Site};
use super::wire::{ErrorsFile, Message, Order, OrderType, Status, Style, Tail};

const TYPES: [OrderType; 5] = [OrderType::PS, OrderType::CS, OrderType::SC, OrderType::VP, OrderType::GP];

/// Order files, of every type.
pub fn order(data: &[u8]) {
    for order_type in TYPES {
        let _ = Order::decode_lines(order_type, data);
    }
}

/// `errors.txt`, growing or not.
pub fn errors(data: &[u8]) {
    for tail in [Tail::MayGrow, Tail::Final] {
        let file = ErrorsFile::decode(data, tail);
        let again = ErrorsFile::decode(&ErrorsFile::encode(&file.entries), Tail::MayGrow);
        assert!(again.entries == file.entries, "entries read back differently");
    }
}

/// Status answers.
pub fn status(data: &[u8]) {
    if let Ok(status) = Status::decode(data, 1 << 20) {
        let again = Status::decode(&status.encode(), 1 << 24);
        assert!(again.as_ref() == Ok(&status), "a status read back differently");
    }
}

/// Message payloads.
pub fn message(data: &[u8]) {
    let _ = Message::fields(data);
    if let Ok(message) = Message::decode(data) {
        assert!(message.encode().as_deref() == Some(data), "a payload was written differently");
    }
}

/// What is read is written, and read back equal.
pub fn round_trip(data: &[u8]) {
    for order_type in TYPES {
        if let Ok(order) = Order::decode(order_type, data) {
            let again = Order::decode(order_type, &order.encode(&Style::default()));
            assert!(again.as_ref() == Ok(&order), "an order read back differently");
        }
    }
}

/// An adapter with some requests, whose file server answers whatever the bytes say. Every request
/// must end at most once, and only if it was submitted.
pub fn adapter(data: &[u8]) {
    let Ok(site) = Site::new(Settings { answer_timeout: Duration::from_secs(30), ..Settings::default() }) else {
        return;
    };
    let mut adapter = ConaxAdapter::new(Arc::new(site), Arc::new(Products::default()), 0);
    let mut script = Script { data };
    let mut now = Now { tick: Tick::default(), wall: Timestamp::UNIX_EPOCH };
    let mut open = std::collections::BTreeSet::new();
    adapter.handle_input(now, Input::Start);
    for (number, body) in BODIES.iter().enumerate() {
        let id = SubmissionId(number as u64);
        if let Some(submission) = submission(id, body, &mut script) {
            open.insert(id);
            adapter.submit(now, submission);
        }
    }
    while script.left() {
        match adapter.poll_output() {
            Output::Do(id, Effect::File(call)) => {
                let done = Done::File(script.answer(&call));
                adapter.handle_input(now, Input::Done(id, done));
            }
            Output::Do(id, Effect::Record(_)) => adapter.handle_input(now, Input::Done(id, Done::Recorded)),
            Output::Do(..) => {}
            Output::Event(Event::Finished(id, _)) => assert!(open.remove(&id), "a request ended twice"),
            Output::Event(_) => {}
            Output::Wait(deadline) => {
                script.byte();
                let wait = deadline.map_or(Duration::from_secs(1), |deadline| deadline.at.since(now.tick));
                now = Now { tick: now.tick + wait, wall: now.wall_after(wait) };
                adapter.handle_input(now, Input::Deadline);
            }
        }
    }
}

const BODIES: [&str; 5] = [
    r#"{"provider":"p","command":"get_services","smartcard":"01450000011"}"#,
    r#"{"provider":"p","command":"send_message","smartcard":"01450000011","message":{"kind":"mail","text":"HELLO"}}"#,
    r#"{"provider":"p","command":"send_message","smartcard":"01450000022","message":{"kind":"mail","text":"HELLO"}}"#,
    r#"{"provider":"p","command":"pair","smartcard":"01450000011","stb":"12"}"#,
    r#"{"provider":"p","command":"unpair","stb":"12"}"#,
];

/// Names that mean something to the adapter, for listings.
const NAMES: [&str; 8] =
    ["sc000001.emm", "gp000002.emm", "vp000003.emm", "gp000004.emm", "sc000001.tmp", "errors.txt", "gp000001.emm", "x"];

const REFERENCES: [&str; 4] =
    ["-/0of1/000001", "202611010000-202712312359/0of1/000002", "-/0of1/!ERR_DATES", "-/1of1/"];

fn submission(id: SubmissionId, body: &str, script: &mut Script<'_>) -> Option<Submission> {
    let body: RequestBody = serde_json::from_str(body).ok()?;
    let command = body.command().ok()?;
    let request = Request { number: id.0, ..Request::new(RequestId(Default::default()), &body, command) };
    let resume = REFERENCES.get(usize::from(script.byte() % 8)).and_then(|text| PlatformReference::new(text).ok());
    Some(Submission { id, request: Arc::new(request), resume })
}

/// Bytes that decide what the file server answers.
struct Script<'a> {
    data: &'a [u8],
}

impl Script<'_> {
    const fn left(&self) -> bool {
        !self.data.is_empty()
    }

    fn byte(&mut self) -> u8 {
        let (first, rest) = self.data.split_first().map_or((0, &[][..]), |(first, rest)| (*first, rest));
        self.data = rest;
        first
    }

    fn bytes(&mut self) -> Bytes {
        let length = usize::from(self.byte());
        let (now, later) = self.data.split_at(length.min(self.data.len()));
        self.data = later;
        Bytes::copy_from_slice(now)
    }

    fn answer(&mut self, call: &FileCall) -> Result<FileAnswer, FileError> {
        const KINDS: [FileErrorKind; 6] = [
            FileErrorKind::NotFound,
            FileErrorKind::Exists,
            FileErrorKind::Denied,
            FileErrorKind::Link,
            FileErrorKind::TooLarge,
            FileErrorKind::Other,
        ];
        let choice = self.byte();
        if let Some(kind) = KINDS.get(usize::from(choice % 16)) {
            let sent = if choice & 0x10 == 0 { Sent::No } else { Sent::Maybe };
            return Err(FileError { kind: *kind, text: String::new(), sent });
        }
        Ok(match call {
            FileCall::List { .. } => {
                let bits = self.byte();
                let seen = |(index, name): (usize, &&str)| (bits >> index & 1 == 1).then(|| (*name).to_owned());
                FileAnswer::Names(NAMES.iter().enumerate().filter_map(seen).collect())
            }
            FileCall::Read { .. } => FileAnswer::Contents(self.bytes()),
            _ => FileAnswer::Done,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_target_fails(data: Vec<u8>) {
            for target in [super::order, super::errors, super::status, super::message, super::round_trip, super::adapter] {
                target(&data);
            }
        }

        #[test]
        fn the_adapter_bears_long_runs(data in prop::collection::vec(any::<u8>(), 500..4000)) {
            super::adapter(&data);
        }
    }
}
