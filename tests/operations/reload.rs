//! SIGHUP: the configuration is taken over as a whole or not at all.

use headgate_site::Platforms;
use hyper::StatusCode;
use serde_json::{Value, json};

use crate::process::{Gateway, wait_for};

/// A configuration without one of its providers.
pub(crate) fn without(config: &str, name: &str) -> String {
    let (head, providers) = config.split_once("[[provider]]").unwrap();
    let kept = providers.split("[[provider]]").filter(|text| !text.contains(&format!("name = \"{name}\"")));
    kept.fold(head.to_owned(), |config, provider| format!("{config}[[provider]]{provider}"))
}

async fn outcome(gateway: &Gateway, provider: &str) -> Value {
    let request = json!({ "provider": provider, "command": "reset_pin", "smartcard": "0000000001" });
    let reply = gateway.client.post(&request, 20).await.unwrap().json();
    reply.get("state").or_else(|| reply.get("code")).cloned().unwrap_or(reply)
}

/// Providers come, change, pause and go; those that did not change keep their links.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn providers_come_change_and_go() {
    let platforms = Platforms::start().await.unwrap();
    let gateway = Gateway::start(&platforms, |config| config);
    let first = gateway.config();
    let (_, nagra) = first.split_once("[[provider]]").unwrap();
    let (nagra, _) = nagra.split_once("[[provider]]").unwrap();
    let second = format!("{first}\n[[provider]]{}", nagra.replace("\"nagra\"", "\"extra\""));

    assert_eq!(outcome(&gateway, "extra").await, "unknown_provider");
    assert_eq!(gateway.reload(&second)["message"], "the configuration was taken over");
    assert_eq!(outcome(&gateway, "extra").await, "completed");
    assert_eq!(outcome(&gateway, "nagra").await, "completed");

    let changed = second.replace("name = \"extra\"", "name = \"extra\"\nlimits = { window = 1 }");
    assert_eq!(gateway.reload(&changed)["message"], "the configuration was taken over");
    assert_eq!(outcome(&gateway, "extra").await, "completed");

    let paused = second.replace("name = \"extra\"", "name = \"extra\"\nstate = \"not_effective\"");
    assert_eq!(gateway.reload(&paused)["message"], "the configuration was taken over");
    let request = json!({ "provider": "extra", "command": "reset_pin", "smartcard": "0000000001" });
    let held = gateway.client.post(&request, 0).await.unwrap().json();
    let held = held["id"].as_str().unwrap();
    let refused = gateway.reload(&first);
    assert_eq!(refused["message"], "the configuration was not taken over");
    assert!(refused["error"].as_str().unwrap().contains("provider \"extra\": 1 request of it has not ended"));
    assert!(gateway.ask(&["providers"]).ends(0).out.contains("extra"));

    assert_eq!(gateway.reload(&second)["message"], "the configuration was taken over");
    wait_for("the request that was held", || {
        let shown = gateway.ask(&["requests", "show", held, "--json"]).ends(0).json();
        (shown["state"] == "completed").then_some(())
    });
    assert_eq!(gateway.reload(&first)["message"], "the configuration was taken over");
    assert_eq!(outcome(&gateway, "extra").await, "unknown_provider");

    let links = gateway.log().iter().filter(|line| line["message"] == "link up" && line["provider"] == "nagra").count();
    assert_eq!(links, 1, "a provider that did not change keeps its link: {:#?}", gateway.log());
    gateway.stop();
}

/// A mistake anywhere in the file changes nothing, and the log says where it is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mistake_changes_nothing() {
    let platforms = Platforms::start().await.unwrap();
    let gateway = Gateway::start(&platforms, |config| config);
    let good = gateway.config();
    for (mistake, place) in [
        (good.replace("\"conax-sms\"", "\"conax-smz\""), "there is no protocol"),
        (good.replace("flush_interval", "flash_interval"), "flash_interval"),
        (good.replace("[store]", "[store"), "headgate.toml:"),
        (String::new(), "not ended"),
    ] {
        // Something to lose: a provider that the empty file would leave out.
        let request =
            json!({ "provider": "nagra", "command": "reset_pin", "smartcard": "0000000002", "process": "with_run" });
        gateway.client.post(&request, 0).await.unwrap();
        let log = gateway.reload(&mistake);
        assert!(log["message"].as_str().unwrap().starts_with("the configuration was not taken over"), "{log}");
        assert!(log.to_string().contains(place), "{log}");
        assert_eq!(outcome(&gateway, "nagra").await, "completed");
    }
    gateway.stop();
}

/// Keys and providers go together: if the providers can not be taken over, the keys are not either.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_and_providers_are_taken_over_together() {
    let platforms = Platforms::start().await.unwrap();
    let (old, new) = (crate::access::Key::make("old", "operator"), crate::access::Key::make("new", "operator"));
    let gateway = Gateway::start(&platforms, |config| config + &old.config);
    let base = gateway.config();
    let status = async |key: &str| {
        let bearer = format!("Bearer {key}");
        let headers = [("authorization", bearer.as_str())];
        gateway.client.call(hyper::Method::GET, "/v1/providers", &headers, "").await.unwrap().status
    };
    let body = json!({ "provider": "nagra", "command": "reset_pin", "smartcard": "0000000001", "process": "with_run" });
    let bearer = format!("Bearer {}", old.key);
    let headers = [("content-type", "application/json"), ("authorization", bearer.as_str())];
    let held = gateway.client.call(hyper::Method::POST, "/v1/requests", &headers, body.to_string()).await.unwrap();
    assert_eq!(held.status, StatusCode::ACCEPTED, "{}", held.json());

    let changed = base.replace(&old.config, &new.config);
    let log = gateway.reload(&without(&changed, "nagra"));
    assert_eq!(log["message"], "the configuration was not taken over", "{log}");
    assert_eq!((status(&old.key).await, status(&new.key).await), (StatusCode::OK, StatusCode::UNAUTHORIZED));

    let log = gateway.reload(&changed);
    assert_eq!(log["message"], "the configuration was taken over", "{log}");
    assert_eq!((status(&old.key).await, status(&new.key).await), (StatusCode::UNAUTHORIZED, StatusCode::OK));
    gateway.stop();
}

/// What is read only at the start is named, so that nobody believes that it holds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_that_wait_for_a_restart_are_named() {
    let platforms = Platforms::start().await.unwrap();
    let gateway = Gateway::start(&platforms, |config| config);
    gateway.reload(&gateway.config().replace("drain_timeout = \"5s\"", "drain_timeout = \"6s\""));
    let warning = gateway.logged("it is taken over at the next start");
    assert_eq!((&warning["level"], &warning["setting"]), (&json!("WARN"), &json!("server.drain_timeout")));
    gateway.stop();
}
