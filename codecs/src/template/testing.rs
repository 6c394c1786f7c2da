//! What the tests of every protocol by templates share: both sides in memory, the demo, the faults.

use std::collections::BTreeSet;
use std::time::Duration;

use headgate_core::command::CommandKind;
use headgate_core::platform::Fault;
use serde_json::Value;

use crate::registry::{Opened, Protocol, Stock};
use crate::test_support::http_pair::HttpPair;
use crate::test_support::provider;

/// Both sides of a protocol, with its demo's settings and some more.
pub(crate) fn pair(protocol: &Protocol, more: Value) -> (HttpPair, Opened) {
    let mut settings: Value = toml::from_str(protocol.demo.settings).unwrap();
    settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let provider = provider(protocol.demo.services);
    let stock =
        Stock { cards: protocol.demo.cards.iter().map(|card| (*card).to_owned()).collect(), products: Vec::new() };
    let open = || (protocol.open)(&provider, &settings, 1).unwrap_or_else(|error| panic!("{error}"));
    let platform = (protocol.platform)(&settings, &stock).unwrap_or_else(|error| panic!("{error}"));
    (HttpPair::new(open().adapter, platform), open())
}

/// A demo's requests, without the provider's name.
pub(crate) fn requests(protocol: &Protocol) -> Vec<String> {
    let without = |line: &str| {
        let mut request: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        request.as_object_mut().unwrap().remove("provider");
        request.to_string()
    };
    protocol.demo.requests.lines().map(without).collect()
}

/// Sends the demo's requests, one after the other: all end well but those that are there to be refused, which come last;
/// and every command that is supported is among them. Returns the pair after it.
pub(crate) fn run_demo(protocol: &Protocol) -> HttpPair {
    let (mut pair, opened) = pair(protocol, serde_json::json!({}));
    let services = provider(protocol.demo.services).services;
    let requests = requests(protocol);
    let mut seen = BTreeSet::new();
    for (index, json) in requests.iter().enumerate() {
        let id = index as u64 + 1;
        let request = crate::test_support::submission(id, json).request;
        seen.insert(request.command.kind());
        opened.rules.capabilities().check(&request, &services).unwrap_or_else(|refusal| panic!("{json}: {refusal}"));
        opened.rules.check(&request).unwrap_or_else(|refusal| panic!("{json}: {refusal}"));
        pair.submit(id, json);
        pair.pass(Duration::from_secs(1));
        let end = pair.end(id);
        let expected = if index + protocol.demo.refused >= requests.len() { "rejected" } else { "completed" };
        assert!(end.starts_with(expected), "{json}: {end}");
    }
    let supported: BTreeSet<_> = opened.rules.capabilities().commands.keys().copied().collect();
    let unseen: Vec<_> = supported.difference(&seen).map(|kind| kind.name()).collect();
    assert!(unseen.is_empty(), "not in the demo: {unseen:?}");
    pair
}

/// Every command that is not supported is refused at acceptance.
pub(crate) fn refuses(protocol: &Protocol, commands: &[CommandKind]) {
    let (_, opened) = pair(protocol, serde_json::json!({}));
    for command in commands {
        assert!(!opened.rules.capabilities().commands.contains_key(command), "{command}");
    }
}

/// `change` (which must be possible before and after) under every fault of a call: what the outcome says of it is right.
pub(crate) fn survives_faults(protocol: &Protocol, before: &[&str], change: &str) {
    for (fault, expected) in [
        (Fault::Garbage, "failed answer_unreadable Maybe"),
        (Fault::HalfFrame, "failed answer_broken Maybe"),
        (Fault::CloseBefore, "failed answer_broken Maybe"),
        (Fault::CloseInstead, "failed answer_broken Maybe"),
        (Fault::CloseAfter, "completed"),
        (Fault::Delay(2_000), "completed"),
        (Fault::ServerError, "failed server_error Maybe"),
        (Fault::Oversized, "failed answer_too_long Maybe"),
        (Fault::Throttle, "failed slow_down No"),
        (Fault::UnknownCard, "rejected"),
        (Fault::Silence, "failed no_answer Maybe"),
    ] {
        let (mut pair, _) = pair(protocol, serde_json::json!({}));
        for (index, json) in before.iter().enumerate() {
            pair.submit(100 + index as u64, json);
        }
        pair.platform.inject(fault).unwrap();
        pair.submit(1, change);
        pair.pass(Duration::from_secs(40));
        assert!(pair.end(1).starts_with(expected), "{fault:?}: {}", pair.end(1));
        pair.submit(2, change);
        assert!(!pair.end(2).starts_with("failed"), "after {fault:?}: {}", pair.end(2));
    }
}

/// Nothing of these words stands in the log, or in a record of what was said.
pub(crate) fn keeps(pair: &HttpPair, secrets: &[&str]) {
    for secret in secrets {
        assert!(!pair.log.contains(secret), "{secret} is in the log");
        for event in &pair.events {
            if let headgate_core::adapter::Event::Finished(_, outcome) = event {
                let record = [&outcome.exchange.request[..], &outcome.exchange.response[..]].concat();
                let record = String::from_utf8_lossy(&record).into_owned();
                assert!(!record.contains(secret), "{secret} is in a record: {record}");
            }
        }
    }
}
