//! Probes, metrics and the stream of events.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::Duration;

use headgate_site::Platforms;
use hyper::{Method, StatusCode};
use serde_json::{Value, json};

use crate::process::Gateway;

async fn reset_pin(gateway: &Gateway, card: &str) -> Value {
    let request = json!({ "provider": "nagra", "command": "reset_pin", "smartcard": card });
    gateway.client.post(&request, 20).await.unwrap().json()
}

async fn metrics(gateway: &Gateway) -> BTreeMap<String, f64> {
    let reply = gateway.client.call(Method::GET, "/metrics", &[], "").await.unwrap();
    let text = String::from_utf8(reply.body.to_vec()).unwrap();
    let series = text.lines().filter_map(|line| line.rsplit_once(' '));
    series.filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn probes_answer_and_counters_move() {
    let platforms = Platforms::start().await.unwrap();
    let gateway = Gateway::start(&platforms, |config| config);
    for probe in ["/livez", "/readyz"] {
        assert_eq!(gateway.client.call(Method::GET, probe, &[], "").await.unwrap().status, StatusCode::OK);
    }
    for n in 0..3 {
        assert_eq!(reset_pin(&gateway, &format!("{n:010}")).await["state"], "completed");
    }
    let card =
        json!({ "provider": "conax", "command": "get_services", "smartcard": headgate_site::site::conax_card(1) });
    assert_eq!(gateway.client.post(&card, 20).await.unwrap().json()["state"], "completed");
    let unmapped = json!({
        "provider": "nagra", "command": "activate_services", "smartcard": "0000000001", "services": ["OPERA"],
    });
    assert_eq!(gateway.client.post(&unmapped, 20).await.unwrap().status, StatusCode::UNPROCESSABLE_ENTITY);

    let found = metrics(&gateway).await;
    let nagra = r#"provider="nagra",protocol="nagravision-smsgw""#;
    let conax = r#"provider="conax",protocol="conax-sms""#;
    for (series, value) in [
        (format!("headgate_requests_accepted_total{{{nagra},command=\"reset_pin\"}}"), 3.0),
        (format!("headgate_requests_refused_total{{{nagra}}}"), 1.0),
        (format!("headgate_requests_sent_total{{{nagra}}}"), 3.0),
        (format!("headgate_requests_finished_total{{{nagra},state=\"completed\"}}"), 3.0),
        (format!("headgate_request_duration_seconds_count{{{nagra}}}"), 3.0),
        (format!("headgate_platform_answer_seconds_count{{{nagra}}}"), 3.0),
        (format!("headgate_requests_waiting{{{nagra}}}"), 0.0),
        (format!("headgate_requests_in_flight{{{nagra}}}"), 0.0),
        (format!("headgate_links_up{{{nagra}}}"), 1.0),
        (format!("headgate_breaker_state{{{nagra}}}"), 0.0),
        (format!("headgate_requests_finished_total{{{conax},state=\"completed\"}}"), 1.0),
        (format!("headgate_requests_refused_total{{{conax}}}"), 0.0),
    ] {
        assert_eq!(found.get(&series), Some(&value), "{series} in {found:#?}");
    }
    gateway.stop();
}

/// Collectors get flat lines: what a line is about stands in `provider`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn log_lines_are_flat() {
    let platforms = Platforms::start().await.unwrap();
    let gateway = Gateway::start(&platforms, |config| config);
    assert_eq!(reset_pin(&gateway, "0000000001").await["state"], "completed");
    let up = gateway.logged("link up");
    assert!(up["provider"].is_string(), "{up}");
    for line in gateway.log() {
        let nested = line.as_object().unwrap().iter().find(|(_, value)| value.is_object() || value.is_array());
        assert_eq!(nested, None, "{line}");
    }
    gateway.stop();
}

/// The events of a connection, until it ends.
struct Events(BufReader<TcpStream>);

impl Events {
    fn follow(gateway: &Gateway, last: Option<u64>) -> Self {
        let mut stream = TcpStream::connect(gateway.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let resume = last.map(|last| format!("Last-Event-ID: {last}\r\n")).unwrap_or_default();
        write!(stream, "GET /v1/events HTTP/1.1\r\nHost: localhost\r\n{resume}\r\n").unwrap();
        let mut events = Self(BufReader::new(stream));
        assert!(events.line().unwrap().starts_with("HTTP/1.1 200"));
        while !events.line().unwrap().is_empty() {}
        events
    }

    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let length = self.0.read_line(&mut line).unwrap();
        (length > 0).then(|| line.trim_end().to_owned())
    }

    /// The next event: its id, its name, its data.
    fn next(&mut self) -> Option<(u64, String, Value)> {
        let (mut id, mut name) = (None, None);
        loop {
            let line = self.line()?;
            if let Some(text) = line.strip_prefix("id: ") {
                id = text.parse().ok();
            } else if let Some(text) = line.strip_prefix("event: ") {
                name = Some(text.to_owned());
            } else if let Some(text) = line.strip_prefix("data: ") {
                let data = serde_json::from_str(text).unwrap();
                // The order of the fields is the server's: what is missing comes before the blank line.
                while let Some(more) = self.line().filter(|line| !line.is_empty()) {
                    if let Some(text) = more.strip_prefix("id: ") {
                        id = text.parse().ok();
                    } else if let Some(text) = more.strip_prefix("event: ") {
                        name = Some(text.to_owned());
                    }
                }
                return Some((id?, name?, data));
            }
        }
    }
}

/// A follower that comes back after a restart goes on where it was, without a hole and without a repeat.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_are_resumed_across_a_restart() {
    let platforms = Platforms::start().await.unwrap();
    let gateway = Gateway::start(&platforms, |config| config);
    let mut events = Events::follow(&gateway, None);
    let first = reset_pin(&gateway, "0000000001").await["id"].clone();
    let (last, name, data) = events.next().unwrap();
    assert_eq!((name.as_str(), &data["id"]), ("request", &first));
    let second = reset_pin(&gateway, "0000000002").await["id"].clone();
    gateway.stop();

    let gateway = Gateway::start(&platforms, |config| config);
    let third = reset_pin(&gateway, "0000000003").await["id"].clone();
    let mut events = Events::follow(&gateway, Some(last));
    let mut states = BTreeMap::<String, String>::new();
    let mut expected = last;
    while states.get(third.as_str().unwrap()).map(String::as_str) != Some("completed") {
        let (id, name, data) = events.next().unwrap();
        expected += 1;
        assert_eq!((id, name.as_str()), (expected, "request"));
        states.insert(data["id"].as_str().unwrap().to_owned(), data["state"].as_str().unwrap().to_owned());
    }
    for id in [first, second, third] {
        assert_eq!(states.get(id.as_str().unwrap()).map(String::as_str), Some("completed"), "{states:?}");
    }
    gateway.stop();
}

/// Who was away for longer than changes are kept is told so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_is_told_of_changes_that_are_gone() {
    let platforms = Platforms::start().await.unwrap();
    let keep = |config: String| config.replace("[store]", "[store]\nkeep_changes = 10");
    let gateway = Gateway::start(&platforms, keep);
    for n in 0..20 {
        reset_pin(&gateway, &format!("{n:010}")).await;
    }
    let mut events = Events::follow(&gateway, Some(1));
    let (id, name, gap) = events.next().unwrap();
    assert_eq!((name.as_str(), &gap["after"]), ("gap", &json!(1)));
    let (next, name, _) = events.next().unwrap();
    assert_eq!((next, name.as_str(), &gap["before"]), (id + 1, "request", &json!(next)));
    gateway.stop();
}
