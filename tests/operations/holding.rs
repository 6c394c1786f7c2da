//! Requests that wait: for a run, for a time, for a provider that is switched off, for a rate, for a breaker.

use std::time::Duration;

use headgate_core::platform::Fault;
use headgate_site::Platforms;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::process::{Gateway, wait_for};

/// Posts a `reset_pin` with these members too; its id.
async fn post(gateway: &Gateway, card: u32, more: &Value) -> String {
    let mut request = json!({ "provider": "nagra", "command": "reset_pin", "smartcard": format!("{card:010}") });
    request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let reply = gateway.client.post(&request, 0).await.unwrap().json();
    reply["id"].as_str().unwrap_or_else(|| panic!("{reply}")).to_owned()
}

fn shown(gateway: &Gateway, id: &str) -> Value {
    gateway.ask(&["requests", "show", id, "--json"]).ends(0).json()
}

/// Waits until a request is in this state; how it is shown then.
fn becomes(gateway: &Gateway, id: &str, state: &str) -> Value {
    wait_for(state, || Some(shown(gateway, id)).filter(|request| request["state"] == state))
}

fn time(request: &Value, field: &str) -> Timestamp {
    request[field].as_str().unwrap_or_else(|| panic!("no {field} in {request}")).parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_with_a_run_waits_for_an_operator() {
    let platforms = Platforms::start().await.unwrap();
    let gateway = Gateway::start(&platforms, |config| config);
    let run = post(&gateway, 1, &json!({ "process": "with_run" })).await;
    let unwanted = post(&gateway, 2, &json!({ "process": "with_run" })).await;
    let now = post(&gateway, 3, &json!({})).await;
    becomes(&gateway, &now, "completed");
    assert_eq!(shown(&gateway, &run)["state"], "waiting");

    gateway.ask(&["requests", "retry", &run]).ends(0);
    becomes(&gateway, &run, "completed");
    let cancelled = gateway.ask(&["requests", "cancel", &unwanted]).ends(0);
    assert_eq!(cancelled.out, "request 2 is cancelled\n");
    let again = gateway.ask(&["requests", "cancel", &unwanted]).ends(2);
    assert_eq!(again.err, "error: Not possible as things stand: the request is cancelled\n");
    assert_eq!(platforms.nagra.holdings().await.unwrap().cards.len(), 2);
    gateway.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_go_out_in_their_time() {
    let platforms = Platforms::start().await.unwrap();
    let gateway = Gateway::start(&platforms, |config| config);
    let soon = Timestamp::now() + Duration::from_secs(2);
    let later = post(&gateway, 1, &json!({ "not_before": soon })).await;
    assert_eq!(shown(&gateway, &later)["state"], "waiting");
    gateway.ask(&["providers", "disable", "conax"]).ends(0);
    let card = headgate_site::site::conax_card(1);
    let held = json!({ "provider": "conax", "command": "get_services", "smartcard": card, "expires": soon });
    let held = gateway.client.post(&held, 0).await.unwrap().json()["id"].as_str().unwrap().to_owned();

    let sent = time(&becomes(&gateway, &later, "completed"), "sent");
    assert!(sent >= soon, "sent at {sent}, not before {soon}");
    let expired = becomes(&gateway, &held, "expired");
    assert_eq!((&expired["attempts"], &expired["crm_state"]), (&json!(0), &json!("REJECTED")));
    gateway.stop();
}

/// What waits for a provider that is switched off goes out when it is switched on, express requests first.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn express_requests_go_first() {
    let platforms = Platforms::start().await.unwrap();
    let gateway = Gateway::start(&platforms, |config| {
        config.replace("name = \"nagra\"", "name = \"nagra\"\nstate = \"not_effective\"\nlimits = { window = 1 }")
    });
    let mut regular = Vec::new();
    for card in 1..=5 {
        regular.push(post(&gateway, card, &json!({})).await);
    }
    let express = post(&gateway, 6, &json!({ "priority": "express" })).await;
    let test = gateway.client.call(hyper::Method::POST, "/v1/providers/nagra/test", &[("prefer", "wait=1")], "").await;
    let test = test.unwrap().json();
    assert_eq!((&test["ok"], &test["request"]["state"]), (&json!(false), &json!("expired")), "{test}");
    assert!(platforms.nagra.holdings().await.unwrap().cards.is_empty());

    gateway.ask(&["providers", "enable", "nagra"]).ends(0);
    let first = time(&becomes(&gateway, &express, "completed"), "sent");
    for id in regular {
        assert!(time(&becomes(&gateway, &id, "completed"), "sent") >= first);
    }
    gateway.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rate_holds() {
    let platforms = Platforms::start().await.unwrap();
    let gateway = Gateway::start(&platforms, |config| {
        config.replace("name = \"nagra\"", "name = \"nagra\"\nlimits = { rate = \"20 per 1s\" }")
    });
    let requests: Vec<_> = (0..50)
        .map(|n| json!({ "provider": "nagra", "command": "reset_pin", "smartcard": format!("{n:010}") }))
        .collect();
    let reply = gateway.client.post_lines(&requests, 60).await.unwrap();
    let mut sent: Vec<_> = reply.lines().iter().map(|line| time(&line["request"], "sent")).collect();
    sent.sort_unstable();
    assert_eq!(sent.len(), 50);
    for pair in sent.windows(21) {
        let stretch = pair[20].duration_since(pair[0]);
        // The times are of the wall clock, which may be set a little meanwhile.
        assert!(stretch.as_millis() >= 950, "21 requests within {stretch:#}");
    }
    gateway.stop();
}

/// A platform that says nothing is left alone; operators see why; the first answer ends it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_breaker_opens_and_closes() {
    let platforms = Platforms::start().await.unwrap();
    let gateway = Gateway::start(&platforms, |config| {
        let policy = "breaker = { failures = 2, open_for = \"3s\" }\nretry = { attempts = 1 }";
        config
            .replace("name = \"nagra\"", &format!("name = \"nagra\"\n{policy}"))
            .replace("answer_timeout = \"5s\"", "answer_timeout = \"1s\"")
    });
    for card in 1..=2 {
        platforms.nagra.inject(Fault::Silence).await.unwrap();
        let id = post(&gateway, card, &json!({})).await;
        wait_for("its end", || Some(shown(&gateway, &id)).filter(|request| request.get("finished").is_some()));
    }
    let probe = post(&gateway, 3, &json!({})).await;
    let provider = gateway.ask(&["providers", "show", "nagra"]).ends(0).out;
    assert!(provider.contains("2 failures in a row, the last: "), "{provider}");
    assert!(provider.contains("degraded") || provider.contains("down"), "{provider}");
    becomes(&gateway, &probe, "completed");
    let opened = gateway.logged("breaker opened");
    assert_eq!(opened["provider"], "nagra");
    gateway.logged("breaker closed");
    wait_for("a healthy provider", || {
        let provider = gateway.ask(&["providers", "show", "nagra", "--json"]).ends(0).json();
        (provider["health"] == "up" && provider["breaker"] == "closed" && provider.get("trouble").is_none())
            .then_some(())
    });
    gateway.stop();
}
