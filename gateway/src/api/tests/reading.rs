//! Listings, single requests and what can be done to them; providers; probes.

use headgate_core::request::{RequestId, State};
use serde_json::json;

use super::{Served, request};

async fn posted(served: &Served, provider: &str) -> (RequestId, String) {
    let got = served.post("/v1/requests").json(request(provider)).await;
    (serde_json::from_value(got.json()["id"].clone()).unwrap(), got.header("location").to_owned())
}

#[tokio::test]
async fn a_listing_goes_on_page_by_page() {
    let served = Served::plain().await;
    for _ in 0..5 {
        posted(&served, "prompt").await;
    }
    let mut numbers = Vec::new();
    let mut path = "/v1/requests?limit=2".to_owned();
    loop {
        let page = served.get(&path).send().await.json();
        numbers.extend(page["requests"].as_array().unwrap().iter().map(|request| request["number"].as_u64().unwrap()));
        let Some(next) = page.get("next") else { break };
        path = format!("/v1/requests?limit=2&cursor={}", next.as_str().unwrap());
    }
    assert_eq!(numbers, [5, 4, 3, 2, 1]);
}

#[tokio::test]
async fn every_filter_counts() {
    let served = Served::plain().await;
    let body = r#"{"provider":"patient","command":"suspend","subscription":"S 2","smartcard":"1","reference":"R1"}"#;
    served.post("/v1/requests").json(body).await;
    posted(&served, "prompt").await;
    let (none, one) = (0, 1);
    let cases = [
        ("provider=patient", one),
        ("provider=full", none),
        ("subscription=S%202", one),
        ("state=waiting", one),
        ("state=failed", none),
        ("command=suspend", one),
        ("command=raw", none),
        ("source=utility", none),
        ("reference=R1", one),
        ("from=2100-01-01T00:00:00Z", none),
        ("to=2001-01-01T00:00:00Z", none),
        ("from=2001-01-01T00:00:00Z&to=2100-01-01T00:00:00Z&source=api&reference=R1", one),
    ];
    for (query, count) in cases {
        let listing = served.get(&format!("/v1/requests?{query}")).send().await.json();
        assert_eq!(listing["requests"].as_array().unwrap().len(), count, "{query}: {listing}");
    }
}

#[tokio::test]
async fn a_wrong_filter_is_named() {
    let served = Served::plain().await;
    let cases = [
        ("state=done", "state"),
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("cursor=abc", "cursor"),
        ("from=yesterday", "from"),
        ("colour=red", "colour"),
    ];
    for (query, field) in cases {
        let problem = served.get(&format!("/v1/requests?{query}")).send().await.problem(400, "bad_parameter");
        assert_eq!(problem["field"], field, "{query}: {problem}");
    }
}

#[tokio::test]
async fn what_is_not_there_is_a_problem_too() {
    let served = Served::plain().await;
    let missing = "/v1/requests/01890000-0000-7000-8000-000000000000";
    served.get(missing).send().await.problem(404, "not_found");
    served.get("/v1/requests/17").send().await.problem(404, "not_found");
    served.get("/v2/requests").send().await.problem(404, "not_found");
    served.post(&format!("{missing}/retry")).send().await.problem(404, "not_found");
    let got = served.put("/v1/requests").send().await;
    got.problem(405, "method_not_allowed");
    assert!(got.header("allow").contains("POST"));
    let problem = served.get("/v1/providers/nobody").send().await.problem(404, "unknown_provider");
    assert!(problem["detail"].as_str().unwrap().contains("patient"));
}

#[tokio::test]
async fn the_exchange_is_shown_on_demand() {
    let served = Served::plain().await;
    let (_, path) = posted(&served, "prompt").await;
    assert_eq!(served.get(&path).send().await.json().get("exchange"), None);
    let shown = served.get(&format!("{path}?exchange=true")).send().await.json();
    assert_eq!(shown["exchange"], json!({ "request": { "text": "ASK\r\n" }, "response": { "hex": "000102" } }));
}

#[tokio::test]
async fn an_operator_retries_cancels_and_resolves() {
    let served = Served::plain().await;
    let (id, path) = posted(&served, "patient").await;
    let cancelled = served.post(&format!("{path}/cancel")).send().await;
    assert_eq!((cancelled.status.as_u16(), cancelled.json()["state"].clone()), (200, "cancelled".into()));
    let problem = served.post(&format!("{path}/cancel")).send().await.problem(409, "wrong_state");
    assert!(problem["detail"].as_str().unwrap().contains("cancelled"));

    served.double.set(id, State::Unknown);
    served.post(&format!("{path}/resolve")).json(r#"{"state":"maybe"}"#).await.problem(400, "invalid_field");
    served.post(&format!("{path}/resolve")).send().await.problem(415, "unsupported_media_type");
    let resolved = served.post(&format!("{path}/resolve")).json(r#"{"state":"failed"}"#).await;
    assert_eq!(resolved.json()["state"], "failed");
    assert_eq!(served.post(&format!("{path}/retry")).send().await.json()["state"], "waiting");
}

#[tokio::test]
async fn providers_are_listed_and_switched() {
    let served = Served::plain().await;
    let all = served.get("/v1/providers").send().await.json();
    assert_eq!(all["providers"].as_array().unwrap().len(), 5);
    let off = served.put("/v1/providers/prompt/state").json(r#"{"state":"not_effective"}"#).await;
    assert_eq!(off.json()["state"], "not_effective");
    assert_eq!(served.get("/v1/providers/prompt").send().await.json()["state"], "not_effective");
    served.put("/v1/providers/nobody/state").json(r#"{"state":"effective"}"#).await.problem(404, "unknown_provider");
    let problem =
        served.put("/v1/providers/prompt/state").json(r#"{"state":"on"}"#).await.problem(400, "invalid_field");
    assert_eq!(problem["field"], "state");
}

#[tokio::test]
async fn a_connection_is_tested_through_the_queue() {
    let served = Served::plain().await;
    let good = served.post("/v1/providers/prompt/test").send().await.json();
    assert_eq!((&good["ok"], &good["request"]["source"]), (&true.into(), &"utility".into()));
    assert!(good["milliseconds"].is_u64());
    let bad = served.post("/v1/providers/stubborn/test").send().await.json();
    assert_eq!((&bad["ok"], &bad["request"]["failure"]["text"]), (&false.into(), &"card not known".into()));
    let slow = served.post("/v1/providers/patient/test").header("prefer", "wait=0").send().await;
    assert_eq!((slow.status.as_u16(), slow.json()["ok"].clone()), (202, false.into()));
}

#[tokio::test]
async fn a_raw_message_comes_back_as_it_is() {
    let served = Served::plain().await;
    let got = served.post("/v1/providers/prompt/raw").json(r#"{"payload":"0a FF","safe_to_repeat":true}"#).await;
    let json = got.json();
    assert_eq!((got.status.as_u16(), &json["answer"]), (200, &json!({ "raw": "cafe" })));
    assert_eq!(json["arguments"], json!({ "payload": "***", "safe_to_repeat": true }));
    let problem = served.post("/v1/providers/prompt/raw").json(r#"{"payload":"0g"}"#).await.problem(422, "bad_hex");
    assert_eq!(problem["field"], "payload");
}

#[tokio::test]
async fn probes_tell_whether_it_lives_and_is_ready() {
    let served = Served::plain().await;
    for path in ["/livez", "/readyz", "/metrics"] {
        assert_eq!(served.get(path).send().await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn a_broken_store_is_told_without_its_details() {
    let served = Served::plain().await;
    let (_, path) = posted(&served, "prompt").await;
    served.double.break_store();
    served.get("/readyz").send().await.problem(503, "not_ready");
    assert_eq!(served.get("/livez").send().await.status, 200);
    let problem = served.get(&path).send().await.problem(500, "store_failed");
    assert!(!problem.to_string().contains("no disk"));
}
