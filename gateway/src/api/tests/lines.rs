//! NDJSON, over HTTP and over TCP.

use axum::body::Body;
use bytes::Bytes;
use http_body_util::BodyExt;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::timeout;

use super::client::PATIENCE;
use super::{Double, Served, keys, request, server};
use crate::config::Server;
use headgate_core::request::State;

/// A client of the TCP stream.
struct Wire {
    answers: Lines<BufReader<OwnedReadHalf>>,
    out: OwnedWriteHalf,
}

impl Wire {
    async fn to(served: &Served) -> Self {
        let (read, out) = TcpStream::connect(served.serving.stream().unwrap()).await.unwrap().into_split();
        Self { answers: BufReader::new(read).lines(), out }
    }

    async fn say(&mut self, text: &str) {
        self.out.write_all(text.as_bytes()).await.unwrap();
    }

    /// The next answer; nothing, at the end.
    async fn hear(&mut self) -> Option<Value> {
        let line = timeout(PATIENCE, self.answers.next_line()).await.unwrap().unwrap()?;
        Some(serde_json::from_str(&line).unwrap())
    }

    /// Every answer to the end, by the number of its line.
    async fn hear_all(&mut self) -> Vec<Value> {
        let mut all = Vec::new();
        while let Some(answer) = self.hear().await {
            all.push(answer);
        }
        by_line(all)
    }
}

fn by_line(mut answers: Vec<Value>) -> Vec<Value> {
    answers.sort_by_key(|answer| answer["line"].as_u64());
    answers
}

fn statuses(answers: &[Value]) -> Vec<(u64, u64)> {
    answers.iter().map(|answer| (answer["line"].as_u64().unwrap(), answer["status"].as_u64().unwrap())).collect()
}

#[tokio::test]
async fn lines_over_http_are_answered_one_by_one() {
    let served = Served::plain().await;
    let lines = format!("{}\n\n{{oops\n{}\r\n{}", request("prompt"), request("nobody"), request("stubborn"));
    let call = served.post("/v1/requests").header("content-type", "application/x-ndjson; charset=utf-8");
    let got = call.body(Body::from(lines)).await;
    assert_eq!((got.status.as_u16(), got.header("content-type")), (200, "application/x-ndjson"));
    let answers = String::from_utf8(got.bytes.to_vec()).unwrap();
    let answers = by_line(answers.lines().map(|line| serde_json::from_str(line).unwrap()).collect());
    assert_eq!(statuses(&answers), [(1, 200), (3, 400), (4, 422), (5, 200)]);
    assert_eq!(answers[0]["request"]["state"], "completed");
    assert_eq!(answers[1]["problem"]["code"], "malformed_json");
    assert_eq!(answers[3]["request"]["failure"]["code"], "42");
}

#[tokio::test]
async fn lines_over_http_go_both_ways_at_once() {
    let served = Served::plain().await;
    let (lines, body) = tokio::sync::mpsc::channel::<Result<Bytes, std::io::Error>>(1);
    let body = Body::from_stream(tokio_stream::wrappers::ReceiverStream::new(body));
    let call = served.post("/v1/requests").header("content-type", "application/x-ndjson");
    let mut response = call.open(body).await.into_body();
    for number in 1..=3 {
        lines.send(Ok(Bytes::from(request("prompt") + "\n"))).await.unwrap();
        let frame = timeout(PATIENCE, response.frame()).await.unwrap().unwrap().unwrap().into_data().unwrap();
        let answer: Value = serde_json::from_slice(&frame).unwrap();
        assert_eq!(answer["line"], number);
    }
    drop(lines);
    assert!(timeout(PATIENCE, response.frame()).await.unwrap().is_none());
}

#[tokio::test]
async fn lines_can_be_answered_before_their_outcome() {
    let served = Served::plain().await;
    let call = served.post("/v1/requests").header("content-type", "application/x-ndjson");
    let got = call.header("prefer", "respond-async").body(Body::from(request("patient"))).await;
    assert_eq!((got.json()["status"].clone(), got.json()["request"]["state"].clone()), (202.into(), "waiting".into()));
}

#[tokio::test]
async fn a_stream_that_broke_off_is_repeated_under_its_key() {
    let served = Served::plain().await;
    let post = async |lines: &str| {
        let call = served.post("/v1/requests").header("content-type", "application/x-ndjson");
        let got = call.header("idempotency-key", "night").body(Body::from(lines.to_owned())).await;
        let answers = String::from_utf8(got.bytes.to_vec()).unwrap();
        by_line(answers.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
    };
    let (one, two) = (request("prompt"), request("stubborn"));
    post(&one).await;
    let answers = post(&format!("{one}\n{two}\n")).await;
    assert_eq!((&answers[0]["replayed"], answers[1].get("replayed")), (&true.into(), None));
    assert_eq!(served.double.requests().len(), 2);
}

#[tokio::test]
async fn lines_over_tcp_are_answered_as_they_end() {
    let served = Served::plain().await;
    let mut wire = Wire::to(&served).await;
    wire.say(&format!("{}\n{}\n", request("patient"), request("prompt"))).await;
    assert_eq!(wire.hear().await.unwrap()["line"], 2);
    served.double.finish_all(State::Completed);
    let late = wire.hear().await.unwrap();
    assert_eq!((&late["line"], &late["request"]["state"]), (&1.into(), &"completed".into()));
}

#[tokio::test]
async fn a_long_or_broken_line_does_not_disturb_the_others() {
    let small = Server { body_limit: 300, ..server() };
    let served = Served::with(Double::new(), &small, &[]).await.unwrap();
    let mut wire = Wire::to(&served).await;
    let long = "x".repeat(100_000);
    let lines = format!("{}\n{long}\n\u{0}\n{}\n{}", request("prompt"), request("prompt"), "y".repeat(301));
    wire.say(&lines).await;
    wire.out.shutdown().await.unwrap();
    let answers = wire.hear_all().await;
    assert_eq!(statuses(&answers), [(1, 200), (2, 413), (3, 400), (4, 200), (5, 413)]);
    assert_eq!(answers[1]["problem"]["code"], "too_large");
}

#[tokio::test]
async fn a_line_may_come_byte_by_byte() {
    let served = Served::plain().await;
    let mut wire = Wire::to(&served).await;
    for byte in request("prompt").bytes().chain(*b"\n") {
        wire.out.write_all(&[byte]).await.unwrap();
        tokio::task::yield_now().await;
    }
    assert_eq!(wire.hear().await.unwrap()["status"], 200);
}

#[tokio::test]
async fn lines_keep_their_order_within_a_subscription() {
    let served = Served::plain().await;
    let mut wire = Wire::to(&served).await;
    let line = |n: usize| {
        format!(
            "{{\"provider\":\"uneven\",\"command\":\"suspend\",\"smartcard\":\"C{}\",\"reference\":\"{n}\"}}\n",
            n % 3
        )
    };
    wire.say(&(0..60).map(line).collect::<String>()).await;
    wire.out.shutdown().await.unwrap();
    assert_eq!(wire.hear_all().await.len(), 60);
    for card in 0..3 {
        let of_one = served.double.requests().into_iter().filter_map(|request| {
            let number: usize = request.reference.unwrap().as_str().parse().unwrap();
            (number % 3 == card).then_some(number)
        });
        let numbers: Vec<_> = of_one.collect();
        assert_eq!(numbers.len(), 20);
        assert!(numbers.is_sorted(), "{numbers:?}");
    }
}

#[tokio::test]
async fn a_client_that_stops_within_a_line_or_falls_silent_is_let_go() {
    let served = Served::plain().await;
    let mut within = Wire::to(&served).await;
    within.say("{\"provider\"").await;
    let answers = within.hear_all().await;
    assert_eq!(statuses(&answers), [(1, 408)]);

    // Ten times the read timeout, once a line was answered.
    let mut silent = Wire::to(&served).await;
    silent.say(&(request("prompt") + "\n")).await;
    assert_eq!(statuses(&silent.hear_all().await), [(1, 200), (2, 408)]);
}

#[tokio::test]
async fn a_client_that_waits_for_an_outcome_is_not_silent() {
    let served =
        Served::with(Double::new(), &Server { read_timeout: std::time::Duration::from_millis(20), ..server() }, &[])
            .await
            .unwrap();
    let mut wire = Wire::to(&served).await;
    wire.say(&(request("patient") + "\n")).await;
    tokio::time::sleep(std::time::Duration::from_millis(400)).await;
    served.double.finish_all(State::Completed);
    assert_eq!(wire.hear().await.unwrap()["status"], 200);
}

#[tokio::test]
async fn a_client_that_does_not_read_stops_being_read() {
    let served = Served::plain().await;
    let mut wire = Wire::to(&served).await;
    let block = (request("prompt") + "\n").repeat(500);
    // Its answers fill every buffer on the way; then nothing more is taken from it.
    let flood = async {
        for _ in 0..400 {
            wire.out.write_all(block.as_bytes()).await?;
        }
        Ok::<_, std::io::Error>(())
    };
    let held_up = timeout(PATIENCE, flood).await;
    assert!(matches!(held_up, Err(_) | Ok(Err(_))), "200,000 lines were taken from a client that reads nothing");
    assert!(served.double.requests().len() < 150_000);
}

#[tokio::test]
async fn the_first_line_is_the_key() {
    let served = Served::with(Double::new(), &server(), &keys()).await.unwrap();
    let mut wire = Wire::to(&served).await;
    wire.say("{\"key\":\"crm\"}\n").await;
    assert_eq!(wire.hear().await.unwrap(), serde_json::json!({ "line": 1, "status": 200 }));
    wire.say(&(request("prompt") + "\n{\"provider\":\"prompt\",\"command\":\"raw\",\"payload\":\"00\"}\n")).await;
    wire.out.shutdown().await.unwrap();
    assert_eq!(statuses(&wire.hear_all().await), [(2, 200), (3, 403)]);

    for (first, status) in [("{\"key\":\"nobody\"}\n", 401), ("{\"key\":\"viewer\"}\n", 403), ("{}\n", 401)] {
        let mut wire = Wire::to(&served).await;
        wire.say(first).await;
        let answers = wire.hear_all().await;
        assert_eq!(statuses(&answers), [(1, status)], "{first}");
    }
    let mut wire = Wire::to(&served).await;
    wire.say(&(request("prompt") + "\n")).await;
    assert_eq!(statuses(&wire.hear_all().await), [(1, 401)]);
    assert_eq!(served.double.requests().len(), 1);
}

#[tokio::test]
async fn a_key_line_is_harmless_where_none_is_needed() {
    let served = Served::plain().await;
    let mut wire = Wire::to(&served).await;
    wire.say(&format!("{{\"key\":\"x\"}}\n{}\n", request("prompt"))).await;
    wire.out.shutdown().await.unwrap();
    assert_eq!(statuses(&wire.hear_all().await), [(1, 200), (2, 200)]);
}

#[tokio::test]
async fn a_stop_answers_what_was_read_and_ends_the_stream() {
    let served = Served::plain().await;
    let mut wire = Wire::to(&served).await;
    wire.say(&(request("patient") + "\n")).await;
    while served.double.requests().is_empty() {
        tokio::task::yield_now().await;
    }
    served.stop.cancel();
    served.double.finish_all(State::Completed);
    assert_eq!(statuses(&wire.hear_all().await), [(1, 200)]);
    let mut rest = Vec::new();
    timeout(PATIENCE, wire.answers.get_mut().read_to_end(&mut rest)).await.unwrap().unwrap();
    assert!(rest.is_empty());
    timeout(PATIENCE, served.serving.finished()).await.unwrap();
}
