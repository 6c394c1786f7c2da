//! `POST /v1/requests` with JSON.

use std::time::{Duration, Instant};

use axum::body::Body;
use headgate_core::request::State;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{Double, Served, request, server};
use crate::config::Server;

#[tokio::test]
async fn a_request_is_accepted_with_its_address() {
    let served = Served::plain().await;
    let got = served.post("/v1/requests").json(request("patient")).await;
    assert_eq!(got.status, 202);
    let json = got.json();
    assert_eq!(got.header("location"), format!("/v1/requests/{}", json["id"].as_str().unwrap()));
    assert_eq!(
        (&json["state"], &json["crm_state"], &json["attempts"]),
        (&"waiting".into(), &"PENDING".into(), &0.into())
    );
    assert_eq!(json["arguments"], serde_json::json!({ "smartcard": "00112233" }));
    let shown = served.get(got.header("location")).send().await.json();
    assert_eq!(shown["number"], json["number"]);
}

#[tokio::test]
async fn a_wait_brings_the_outcome() {
    let served = Served::plain().await;
    let got = served.post("/v1/requests").header("prefer", "wait=10").json(request("stubborn")).await;
    assert_eq!(got.status, 200);
    assert_eq!(got.header("preference-applied"), "wait=10");
    let json = got.json();
    assert_eq!((&json["state"], &json["crm_state"]), (&"rejected".into(), &"REJECTED".into()));
    let failure = serde_json::json!({
        "code": "42", "text": "card not known", "blame": "platform", "retry": "never", "sent": "yes"
    });
    assert_eq!(json["failure"], failure);
    assert!(json["finished"].is_string());
    assert_eq!(json["platform_reference"], "T-1");
    assert_eq!(json.get("exchange"), None);
}

#[tokio::test]
async fn the_answer_to_a_wait_is_what_the_store_holds() {
    let served = Served::plain().await;
    let got = served.post("/v1/requests").header("prefer", "wait=10").json(request("prompt")).await;
    let stored = served.get(got.header("location")).send().await.json();
    let mut answered = got.json();
    // The time of acceptance is told by the id, in milliseconds.
    let prefix = &answered["created"].as_str().unwrap()[..19];
    assert!(stored["created"].as_str().unwrap().starts_with(prefix));
    answered["created"] = stored["created"].clone();
    assert_eq!(answered, stored);
}

#[tokio::test]
async fn a_wait_ends_when_its_time_is_over() {
    let served = Served::plain().await;
    let got = served.post("/v1/requests").header("prefer", "respond-async, wait=0").json(request("patient")).await;
    assert_eq!((got.status.as_u16(), got.json()["state"].as_str()), (202, Some("waiting")));
}

#[tokio::test]
async fn what_can_not_be_is_refused_with_its_field() {
    let served = Served::plain().await;
    let unknown = served.post("/v1/requests").json(request("nobody")).await.problem(422, "unknown_provider");
    assert_eq!(unknown["field"], "provider");
    assert!(unknown["detail"].as_str().unwrap().contains("patient, prompt"));

    let json = r#"{"provider":"prompt","command":"set_pin","smartcard":"1"}"#;
    let missing = served.post("/v1/requests").json(json).await.problem(422, "missing_field");
    assert_eq!(missing["field"], "pin");
    assert!(served.double.requests().is_empty());
}

#[tokio::test]
async fn a_full_queue_says_when_to_come_again() {
    let served = Served::plain().await;
    let got = served.post("/v1/requests").json(request("full")).await;
    got.problem(503, "busy");
    assert_eq!(got.header("retry-after"), "7");
}

#[tokio::test]
async fn broken_json_is_told_with_its_place() {
    let served = Served::plain().await;
    let post = async |json: &str| served.post("/v1/requests").json(json).await;

    let syntax = post("{\"provider\":\"prompt\",\n  oops}").await.problem(400, "malformed_json");
    assert!(syntax["detail"].as_str().unwrap().starts_with("line 2, column 3: "), "{syntax}");

    let cases = [
        (r#"{"provider":"prompt"}"#, "command"),
        (r#"{"provider":"prompt","command":"fly"}"#, "command"),
        (r#"{"provider":"prompt","command":"suspend","colour":"red"}"#, "colour"),
        (r#"{"provider":"prompt","command":"suspend","services":["A",7]}"#, "services/1"),
        (r#"{"provider":"prompt","command":"send_message","message":{"kind":"mail"}}"#, "message/text"),
        (r#"{"provider":"","command":"suspend"}"#, "provider"),
    ];
    for (json, field) in cases {
        let problem = post(json).await.problem(400, "invalid_field");
        assert_eq!(problem["field"], field, "{json}: {problem}");
        assert!(problem["detail"].as_str().unwrap().starts_with("line 1, column "), "{problem}");
    }
    post("").await.problem(400, "malformed_json");
    post("[]").await.problem(400, "empty_array");
    post("[{").await.problem(400, "malformed_json");
}

#[tokio::test]
async fn a_problem_does_not_cite_a_pin() {
    let served = Served::plain().await;
    let json = r#"{"provider":"prompt","command":"set_pin","smartcard":"1","pin":98765}"#;
    let got = served.post("/v1/requests").json(json).await;
    assert_eq!(got.problem(400, "invalid_field")["field"], "pin");
    assert!(!String::from_utf8_lossy(&got.bytes).contains("98765"));
}

#[tokio::test]
async fn secrets_are_masked() {
    let served = Served::plain().await;
    let json = r#"{"provider":"prompt","command":"set_pin","smartcard":"1","p\u0069n":"98765"}"#;
    let got = served.post("/v1/requests").header("prefer", "wait=5").json(json).await;
    assert_eq!(got.json()["arguments"]["pin"], "***");
    let stored = served.get(&format!("{}?exchange=true", got.header("location"))).send().await;
    assert_eq!(stored.json()["arguments"]["pin"], "***");
    assert_eq!(stored.json().get("exchange"), None);
    for answer in [got.bytes, stored.bytes] {
        assert!(!String::from_utf8_lossy(&answer).contains("98765"));
    }
}

#[tokio::test]
async fn every_item_of_an_array_has_its_own_answer() {
    let served = Served::plain().await;
    let json = format!("[{}, {}, 7, {}]", request("prompt"), request("nobody"), request("full"));
    let got = served.post("/v1/requests").header("prefer", "wait=5").json(json).await;
    assert_eq!(got.status, 200);
    let json = got.json();
    let statuses: Vec<_> = json.as_array().unwrap().iter().map(|reply| reply["status"].as_u64().unwrap()).collect();
    assert_eq!(statuses, [200, 422, 400, 503]);
    assert_eq!(json[0]["request"]["state"], "completed");
    assert_eq!((&json[1]["item"], &json[1]["problem"]["field"]), (&1.into(), &"provider".into()));
}

#[tokio::test]
async fn an_array_keeps_the_order_within_a_subscription() {
    let served = Served::plain().await;
    let item = |n: usize| {
        let subscription = n % 3;
        format!(
            r#"{{"provider":"uneven","command":"suspend","subscription":"S{subscription}","smartcard":"1","reference":"{n}"}}"#
        )
    };
    let items: Vec<_> = (0..60).map(item).collect();
    let got = served.post("/v1/requests").json(format!("[{}]", items.join(","))).await;
    assert!(got.json().as_array().unwrap().iter().all(|reply| reply["status"] == 202));
    for subscription in ["S0", "S1", "S2"] {
        let of_one = served
            .double
            .requests()
            .into_iter()
            .filter(|request| request.subscription.as_ref().is_some_and(|number| number.as_str() == subscription));
        let references: Vec<u32> = of_one.map(|request| request.reference.unwrap().as_str().parse().unwrap()).collect();
        assert_eq!(references.len(), 20);
        assert!(references.is_sorted(), "{references:?}");
    }
}

#[tokio::test]
async fn only_json_is_read() {
    let served = Served::plain().await;
    let got =
        served.post("/v1/requests").header("content-type", "text/plain").body(Body::from(request("prompt"))).await;
    got.problem(415, "unsupported_media_type");
    served.post("/v1/requests").body(Body::from(request("prompt"))).await.problem(415, "unsupported_media_type");
}

#[tokio::test]
async fn a_long_body_is_refused_declared_or_not() {
    let small = Server { body_limit: 200, ..server() };
    let served = Served::with(Double::new(), &small, &[]).await.unwrap();
    let long = format!("{}{}", request("prompt"), " ".repeat(200));
    served.post("/v1/requests").json(long.clone()).await.problem(413, "too_large");
    let pieces = futures_util::stream::iter(
        long.into_bytes()
            .chunks(50)
            .map(|piece| Ok::<_, std::io::Error>(bytes::Bytes::copy_from_slice(piece)))
            .collect::<Vec<_>>(),
    );
    let call = served.post("/v1/requests").header("content-type", "application/json");
    call.body(Body::from_stream(pieces)).await.problem(413, "too_large");
    assert_eq!(served.post("/v1/requests").json(request("prompt")).await.status, 202);
}

#[tokio::test]
async fn a_client_that_stops_in_its_body_or_head_is_let_go() {
    let served = Served::plain().await;
    let mut socket = TcpStream::connect(served.address()).await.unwrap();
    let head = "POST /v1/requests HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{";
    socket.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    tokio::time::timeout(super::client::PATIENCE, socket.read_to_end(&mut answer)).await.unwrap().unwrap();
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("too_slow"), "{answer}");

    let mut socket = TcpStream::connect(served.address()).await.unwrap();
    socket.write_all(b"POST /v1/requests HT").await.unwrap();
    tokio::time::timeout(super::client::PATIENCE, socket.read_to_end(&mut Vec::new())).await.unwrap().unwrap();
}

/// Waits until a request has come through to the double.
async fn wait_for_a_request(served: &Served) {
    let start = Instant::now();
    while served.double.requests().is_empty() {
        assert!(start.elapsed() < super::client::PATIENCE, "no request comes through");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_stop_lets_a_waiting_call_end() {
    let served = Served::plain().await;
    let call = tokio::spawn(served.post("/v1/requests").header("prefer", "wait=20").json(request("patient")));
    wait_for_a_request(&served).await;
    let Served { double, serving, stop } = served;
    let address = serving.http();
    stop.cancel();
    let finished = tokio::spawn(serving.finished());
    double.finish_all(State::Completed);
    let got = call.await.unwrap();
    assert_eq!((got.status.as_u16(), &got.json()["state"]), (200, &Value::from("completed")));
    tokio::time::timeout(super::client::PATIENCE, finished).await.unwrap().unwrap();
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn a_call_that_waits_beyond_the_drain_timeout_is_cut() {
    let hasty = Server { drain_timeout: Duration::from_millis(50), ..server() };
    let served = Served::with(Double::new(), &hasty, &[]).await.unwrap();
    let head = "POST /v1/requests HTTP/1.1\r\nhost: localhost\r\nprefer: wait=60\r\ncontent-type: application/json\r\n";
    let body = request("patient");
    let mut socket = TcpStream::connect(served.address()).await.unwrap();
    socket.write_all(format!("{head}content-length: {}\r\n\r\n{body}", body.len()).as_bytes()).await.unwrap();
    wait_for_a_request(&served).await;
    served.stop.cancel();
    tokio::time::timeout(super::client::PATIENCE, served.serving.finished()).await.unwrap();
    let read = tokio::time::timeout(super::client::PATIENCE, socket.read(&mut [0])).await.unwrap();
    assert!(matches!(read, Ok(0) | Err(_)));
}

#[tokio::test]
async fn beyond_the_most_connections_others_wait() {
    let narrow = Server { connections: 1, ..server() };
    let served = Served::with(Double::new(), &narrow, &[]).await.unwrap();
    let ask = b"GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let mut first = TcpStream::connect(served.address()).await.unwrap();
    first.write_all(ask).await.unwrap();
    first.read_u8().await.unwrap();
    let mut second = TcpStream::connect(served.address()).await.unwrap();
    second.write_all(ask).await.unwrap();
    assert!(tokio::time::timeout(Duration::from_millis(100), second.read_u8()).await.is_err());
    drop(first);
    assert_eq!(tokio::time::timeout(super::client::PATIENCE, second.read_u8()).await.unwrap().unwrap(), b'H');
}
