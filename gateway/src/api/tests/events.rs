//! `GET /v1/events`.

use axum::body::Body;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::client::{Call, PATIENCE};
use super::{Served, request};

/// A client that follows the events.
struct Ear {
    body: Incoming,
    text: String,
}

impl Ear {
    async fn new(call: Call) -> Self {
        let response = call.open(Body::empty()).await;
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { body: response.into_body(), text: String::new() }
    }

    /// The next change, its id and its data; nothing, at the end.
    async fn hear(&mut self) -> Option<(u64, Value)> {
        let (name, id, data) = self.event().await?;
        assert_eq!(name, "request");
        Some((id, data))
    }

    /// The next event, its name, its id and its data; nothing, at the end.
    async fn event(&mut self) -> Option<(String, u64, Value)> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name)).unwrap();
                let data = serde_json::from_str(field("data: ")).unwrap();
                let heard = (field("event: ").to_owned(), field("id: ").parse().unwrap(), data);
                self.text = rest.to_owned();
                return Some(heard);
            }
            let frame = timeout(PATIENCE, self.body.frame()).await.unwrap()?.unwrap();
            self.text.push_str(std::str::from_utf8(&frame.into_data().unwrap()).unwrap());
        }
    }

    async fn ids(&mut self, count: usize) -> Vec<u64> {
        let mut ids = Vec::new();
        while ids.len() < count {
            ids.push(self.hear().await.unwrap().0);
        }
        ids
    }
}

#[tokio::test]
async fn changes_are_told_as_they_happen() {
    let served = Served::plain().await;
    served.post("/v1/requests").json(request("prompt")).await;
    let mut ear = Ear::new(served.get("/v1/events")).await;
    served.post("/v1/requests").json(request("stubborn")).await;
    let (id, waiting) = ear.hear().await.unwrap();
    assert_eq!((id, &waiting["state"], &waiting["subscription"]), (3, &"waiting".into(), &"S1".into()));
    let (id, rejected) = ear.hear().await.unwrap();
    assert_eq!((id, &rejected["crm_state"], &rejected["code"]), (4, &"REJECTED".into(), &"42".into()));
}

#[tokio::test]
async fn a_client_that_comes_back_misses_nothing() {
    let served = Served::plain().await;
    for _ in 0..400 {
        served.post("/v1/requests").json(request("prompt")).await;
    }
    // More than one page of the store, then live.
    let mut ear = Ear::new(served.get("/v1/events").header("last-event-id", "7")).await;
    assert_eq!(ear.ids(793).await, (8..=800).collect::<Vec<_>>());
    served.post("/v1/requests").json(request("prompt")).await;
    assert_eq!(ear.ids(2).await, [801, 802]);
    served.get("/v1/events").header("last-event-id", "x").send().await.problem(400, "bad_event_id");
}

/// Old changes are kept no longer: the client is told, so that it can look at the requests instead.
#[tokio::test]
async fn a_client_that_was_away_too_long_is_told_of_the_gap() {
    let served = Served::plain().await;
    for _ in 0..10 {
        served.post("/v1/requests").json(request("prompt")).await;
    }
    served.double.forget_changes(15);
    let mut ear = Ear::new(served.get("/v1/events").header("last-event-id", "7")).await;
    assert_eq!(ear.event().await.unwrap(), ("gap".into(), 15, json!({ "after": 7, "before": 16 })));
    assert_eq!(ear.ids(5).await, [16, 17, 18, 19, 20]);
    // The gap's own id, and the last event before it, lead to no second gap.
    let mut ear = Ear::new(served.get("/v1/events").header("last-event-id", "15")).await;
    assert_eq!(ear.ids(1).await, [16]);
}

/// A store that was set up anew counts from the beginning again.
#[tokio::test]
async fn a_client_of_another_store_is_told_of_the_gap() {
    let served = Served::plain().await;
    served.post("/v1/requests").json(request("prompt")).await;
    let mut ear = Ear::new(served.get("/v1/events").header("last-event-id", "900")).await;
    assert_eq!(ear.event().await.unwrap(), ("gap".into(), 2, json!({ "after": 900, "before": 3 })));
    served.post("/v1/requests").json(request("prompt")).await;
    assert_eq!(ear.ids(2).await, [3, 4]);
}

#[tokio::test]
async fn a_client_that_lags_is_served_from_the_store() {
    let served = Served::plain().await;
    let mut ear = Ear::new(served.get("/v1/events")).await;
    // Far more than the live channel of the double holds, without a moment for the stream in between.
    let array = vec![request("prompt"); 100].join(",");
    served.post("/v1/requests").json(format!("[{array}]")).await;
    assert_eq!(ear.ids(200).await, (1..=200).collect::<Vec<_>>());
}

#[tokio::test]
async fn only_what_is_wanted_is_told() {
    let served = Served::plain().await;
    let mut ear = Ear::new(served.get("/v1/events?provider=patient&reference=R2").header("last-event-id", "0")).await;
    for (provider, reference) in [("prompt", "R2"), ("patient", "R1"), ("patient", "R2")] {
        let body = format!(r#"{{"provider":"{provider}","command":"test_connection","reference":"{reference}"}}"#);
        served.post("/v1/requests").json(body).await;
    }
    let (_, change) = ear.hear().await.unwrap();
    assert_eq!((&change["provider"], &change["reference"]), (&"patient".into(), &"R2".into()));
}

#[tokio::test]
async fn a_stop_ends_the_stream() {
    let served = Served::plain().await;
    let mut ear = Ear::new(served.get("/v1/events")).await;
    served.stop.cancel();
    assert!(ear.hear().await.is_none());
    timeout(PATIENCE, served.serving.finished()).await.unwrap();
}
