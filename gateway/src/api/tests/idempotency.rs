//! `Idempotency-Key`.

use headgate_core::request::State;

use super::client::Got;
use super::{Double, Served, keys, request, server};

async fn post(served: &Served, key: &str, body: &str) -> Got {
    served.post("/v1/requests").header("idempotency-key", key).json(body).await
}

#[tokio::test]
async fn a_repeat_gets_the_same_request_also_after_a_restart() {
    let served = Served::plain().await;
    let first = post(&served, "k1", &request("prompt")).await;
    let repeat = post(&served, "k1", &request("prompt")).await;
    assert_eq!((first.status, first.header("idempotent-replayed")), (repeat.status, ""));
    assert_eq!(repeat.header("idempotent-replayed"), "true");
    assert_eq!(
        (first.json()["id"].clone(), first.header("location")),
        (repeat.json()["id"].clone(), repeat.header("location"))
    );

    let again = Served::with(served.double.restarted(), &server(), &[]).await.unwrap();
    let later = again.post("/v1/requests").header("idempotency-key", "k1").header("prefer", "wait=5");
    let later = later.json(request("prompt")).await;
    assert_eq!((later.status.as_u16(), later.header("idempotent-replayed")), (200, "true"));
    assert_eq!(later.json()["id"], first.json()["id"]);
    assert_eq!(served.double.requests().len(), 1);
}

#[tokio::test]
async fn another_body_is_refused() {
    let served = Served::plain().await;
    post(&served, "k1", &request("prompt")).await;
    let problem = post(&served, "k1", &request("stubborn")).await.problem(422, "key_reused");
    assert_eq!(problem["field"], "Idempotency-Key");
    post(&served, &"k".repeat(256), &request("prompt")).await.problem(400, "bad_idempotency_key");
}

#[tokio::test]
async fn while_the_first_call_waits_a_repeat_conflicts() {
    let served = Served::plain().await;
    let first = served.post("/v1/requests").header("idempotency-key", "k1").header("prefer", "wait=20");
    let first = tokio::spawn(first.json(request("patient")));
    while served.double.requests().is_empty() {
        tokio::task::yield_now().await;
    }
    let repeat = post(&served, "k1", &request("patient")).await;
    repeat.problem(409, "in_flight");
    assert_eq!(repeat.header("retry-after"), "1");

    served.double.finish_all(State::Completed);
    assert_eq!(first.await.unwrap().status, 200);
    assert_eq!(post(&served, "k1", &request("patient")).await.header("idempotent-replayed"), "true");
}

#[tokio::test]
async fn a_race_of_one_key_makes_one_request() {
    let served = Served::plain().await;
    let calls = (0..20).map(|_| post(&served, "k1", r#"{"provider":"uneven","command":"resume","smartcard":"1"}"#));
    let statuses: Vec<_> = futures_util::future::join_all(calls).await.iter().map(|got| got.status.as_u16()).collect();
    assert_eq!(served.double.requests().len(), 1);
    assert!(statuses.contains(&202));
    assert!(statuses.iter().all(|status| [202, 409].contains(status)), "{statuses:?}");
}

#[tokio::test]
async fn a_repeat_can_wait_for_the_outcome() {
    let served = Served::plain().await;
    post(&served, "k1", &request("patient")).await;
    let repeat = served.post("/v1/requests").header("idempotency-key", "k1").header("prefer", "wait=20");
    let repeat = tokio::spawn(repeat.json(request("patient")));
    // Whether the repeat has subscribed by now or not, it sees the outcome.
    tokio::task::yield_now().await;
    served.double.finish_all(State::Completed);
    let repeat = repeat.await.unwrap();
    assert_eq!((repeat.status.as_u16(), repeat.json()["state"].clone()), (200, "completed".into()));
}

#[tokio::test]
async fn keys_of_different_callers_are_apart() {
    let served = Served::with(Double::new(), &server(), &keys()).await.unwrap();
    for caller in ["crm", "operator"] {
        let call = served.post("/v1/requests").key(caller).header("idempotency-key", "k1");
        let got = call.json(request("prompt")).await;
        assert_eq!((got.status.as_u16(), got.header("idempotent-replayed")), (202, ""));
    }
    assert_eq!(served.double.requests().len(), 2);
}

#[tokio::test]
async fn an_array_is_repeated_item_by_item() {
    let served = Served::plain().await;
    let array = format!("[{},{}]", request("prompt"), request("stubborn"));
    let first = post(&served, "k1", &array).await.json();
    let repeat = post(&served, "k1", &array).await.json();
    for item in 0..2 {
        assert_eq!(first[item]["request"]["id"], repeat[item]["request"]["id"]);
        assert_eq!((first[item].get("replayed"), &repeat[item]["replayed"]), (None, &true.into()));
    }
    assert_eq!(served.double.requests().len(), 2);
}
