//! Start and stop: what is asked while it stops, signals, a store that is not ours.

use std::net::SocketAddr;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use headgate_core::platform::Fault;
use headgate_site::Platforms;
use hyper::StatusCode;
use serde_json::json;

use crate::process::{Gateway, Process, run, wait_for};

fn reset_pin(card: &str) -> serde_json::Value {
    json!({ "provider": "nagra", "command": "reset_pin", "smartcard": card })
}

/// SIGTERM: what is in flight to a slow platform is waited for, the waiting client gets its outcome.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_waits_for_what_is_in_flight() {
    let platforms = Platforms::start().await.unwrap();
    let gateway = Gateway::start(&platforms, |config| config);
    platforms.nagra.inject(Fault::Delay(1_500)).await.unwrap();
    let client = gateway.client.clone();
    let waiting = tokio::spawn(async move { client.post(&reset_pin("0000000001"), 30).await });
    loop {
        let listed = gateway.client.get("/v1/requests?state=sent").await.unwrap();
        if listed["requests"].as_array().is_some_and(|requests| !requests.is_empty()) {
            break;
        }
    }
    gateway.signal("TERM");
    let reply = waiting.await.unwrap().unwrap();
    assert_eq!((reply.status, reply.json()["state"].clone()), (StatusCode::OK, json!("completed")));
    assert_eq!(gateway.ended().code(), Some(0));
}

/// What waits at a stop is there after the next start, and goes out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_survives_a_stop() {
    let platforms = Platforms::start().await.unwrap();
    let gateway = Gateway::start(&platforms, |config| {
        config.replace("name = \"nagra\"", "name = \"nagra\"\nstate = \"not_effective\"")
    });
    let id = gateway.client.post(&reset_pin("0000000001"), 0).await.unwrap().json()["id"].as_str().unwrap().to_owned();
    gateway.stop();
    let gateway = Gateway::start(&platforms, |config| config);
    let path = format!("/v1/requests/{id}");
    loop {
        let shown = gateway.client.get(&path).await.unwrap();
        if shown["state"] == "completed" {
            break;
        }
    }
    // The end of a request that an earlier process accepted is counted too.
    let metrics = gateway.client.call(hyper::Method::GET, "/metrics", &[], "").await.unwrap();
    let metrics = String::from_utf8(metrics.body.to_vec()).unwrap();
    let counted =
        r#"headgate_requests_finished_total{provider="nagra",protocol="nagravision-smsgw",state="completed"} 1"#;
    assert!(metrics.contains(counted), "{metrics}");
    gateway.stop();
}

/// A second signal does not wait; the request's fate is settled at the next start.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_signal_stops_at_once() {
    let platforms = Platforms::start().await.unwrap();
    let gateway =
        Gateway::start(&platforms, |config| config.replace("drain_timeout = \"5s\"", "drain_timeout = \"10m\""));
    platforms.nagra.inject(Fault::Delay(600_000)).await.unwrap();
    let id = gateway.client.post(&reset_pin("0000000001"), 1).await.unwrap().json()["id"].as_str().unwrap().to_owned();
    gateway.signal("TERM");
    gateway.logged("stopping");
    gateway.signal("TERM");
    gateway.logged("stopped at once");
    assert_eq!(gateway.ended().code(), Some(1));
    let gateway = Gateway::start(&platforms, |config| config);
    let shown = gateway.client.get(&format!("/v1/requests/{id}")).await.unwrap();
    assert_eq!(shown["provider"], "nagra", "{shown}");
    gateway.stop();
}

/// Also while a reload waits for a provider that hangs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_signal_stops_a_reload() {
    let platforms = Platforms::start().await.unwrap();
    let gateway = Gateway::start(&platforms, |config| {
        config.replace("answer_timeout = \"5s\"", "answer_timeout = \"10m\"").replace("\"5s\"", "\"10m\"")
    });
    platforms.nagra.inject(Fault::Delay(600_000)).await.unwrap();
    gateway.client.post(&reset_pin("0000000001"), 1).await.unwrap();
    let changed = gateway.config().replace("name = \"nagra\"", "name = \"nagra\"\nlimits = { window = 7 }");
    gateway.write_config(&changed);
    gateway.signal("HUP");
    gateway.logged("taking the configuration over");
    gateway.signal("TERM");
    gateway.logged("stopping once");
    gateway.signal("TERM");
    gateway.logged("stopped at once");
    assert_eq!(gateway.ended().code(), Some(1));
}

/// What systemd hears of a gateway with `Type=notify` or `notify-reload` and a watchdog.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn systemd_is_kept_informed() {
    let platforms = Platforms::start().await.unwrap();
    let home = platforms.home.path();
    let file = home.join("headgate.toml");
    std::fs::write(&file, platforms.config(SocketAddr::from(([127, 0, 0, 1], 0)))).unwrap();
    let path = home.join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let hears = |wanted: &str| loop {
        let mut datagram = [0; 4096];
        let length = socket.recv(&mut datagram).unwrap_or_else(|error| panic!("no {wanted}: {error}"));
        let text = std::str::from_utf8(&datagram[..length]).unwrap();
        if text.lines().any(|line| line.starts_with(wanted)) {
            break text.to_owned();
        }
    };
    let environment = [("NOTIFY_SOCKET", path.to_str().unwrap()), ("WATCHDOG_USEC", "300000")];
    let mut gateway = Process::spawn_with(&["serve", "--config", file.to_str().unwrap()], &environment);
    hears("READY=1");
    hears("WATCHDOG=1");
    gateway.signal("HUP");
    assert!(hears("RELOADING=1").contains("MONOTONIC_USEC="));
    hears("READY=1");
    // A reload that changes nothing ends, too.
    std::fs::write(&file, "[server").unwrap();
    gateway.signal("HUP");
    hears("RELOADING=1");
    hears("READY=1");
    gateway.signal("TERM");
    hears("STOPPING=1");
    assert_eq!(gateway.ended().code(), Some(0));
}

/// Two gateways never share a store.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_in_use_is_refused() {
    let platforms = Platforms::start().await.unwrap();
    let gateway = Gateway::start(&platforms, |config| config);
    let second = run(&["serve", "--config", platforms.home.path().join("headgate.toml").to_str().unwrap()]).ends(2);
    assert!(second.err.contains("is in use by another Headgate; stop it first"), "{second:?}");
    gateway.stop();
}

/// A provider that requests still wait for can not be left out of the configuration.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_with_unfinished_requests_can_not_be_missing() {
    let platforms = Platforms::start().await.unwrap();
    let gateway = Gateway::start(&platforms, |config| {
        config.replace("name = \"nagra\"", "name = \"nagra\"\nstate = \"not_effective\"")
    });
    let without = crate::reload::without(&gateway.config(), "nagra");
    assert_eq!(gateway.client.post(&reset_pin("0000000001"), 0).await.unwrap().status, StatusCode::ACCEPTED);
    gateway.stop();
    let file = platforms.home.path().join("headgate.toml");
    std::fs::write(&file, &without).unwrap();
    let refused = run(&["serve", "--config", file.to_str().unwrap()]).ends(2);
    assert_eq!(
        refused.err,
        "error: provider \"nagra\": 1 request of it has not ended; keep it in the configuration (with state = \
         \"not_effective\", if nothing may be sent) until they have, or until you have cancelled them\n"
    );
    // The remedy works.
    let gateway = Gateway::start(&platforms, |config| {
        config.replace("name = \"nagra\"", "name = \"nagra\"\nstate = \"not_effective\"")
    });
    let waiting = gateway.ask(&["requests", "--state", "waiting", "--json"]).ends(0).json();
    let id = waiting["requests"][0]["id"].as_str().unwrap().to_owned();
    gateway.ask(&["requests", "cancel", &id]).ends(0);
    let taken = gateway.reload(&without);
    assert_eq!(taken["message"], "the configuration was taken over", "{taken}");
    wait_for("one provider", || (!gateway.ask(&["providers"]).ends(0).out.contains("nagra")).then_some(()));
    gateway.stop();
}
