//! The description of the API against the API.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Call, Double, Served};
use crate::api::{openapi, routes};

/// The golden file. `UPDATE_GOLDEN=1 cargo nextest run` writes it anew.
const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/api/openapi.json");

fn description() -> Value {
    serde_json::from_str(openapi::document()).unwrap()
}

#[test]
fn the_description_is_the_golden_file() {
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(GOLDEN, openapi::document()).unwrap();
    }
    let golden = std::fs::read_to_string(GOLDEN).unwrap();
    assert!(golden == openapi::document(), "the API changed; look at it and run with UPDATE_GOLDEN=1");
}

#[tokio::test]
async fn every_route_and_method_is_described_and_nothing_else() {
    let served = Served::plain().await;
    let description = description();
    let described = description["paths"].as_object().unwrap();
    let routes: BTreeSet<_> = routes::<Double>().into_iter().map(|(path, _)| path).collect();
    assert_eq!(described.keys().map(String::as_str).collect::<BTreeSet<_>>(), routes);

    for (path, operations) in described {
        // A method that no route has is answered with those that it has.
        let got = Call::new(served.address(), "TRACE", path).send().await;
        got.problem(405, "method_not_allowed");
        let allowed: BTreeSet<_> = got.header("allow").split(',').map(str::to_ascii_lowercase).collect();
        let mut expected: BTreeSet<_> = operations.as_object().unwrap().keys().cloned().collect();
        if expected.contains("get") {
            expected.insert("head".to_owned());
        }
        assert_eq!(allowed, expected, "{path}");
    }
}

#[tokio::test]
async fn it_is_served() {
    let served = Served::plain().await;
    assert_eq!(served.get("/openapi.json").send().await.json(), description());
}

#[test]
fn every_reference_leads_somewhere() {
    let description = description();
    let mut left = vec![&description];
    let mut count = 0;
    while let Some(value) = left.pop() {
        if let Some(Value::String(reference)) = value.get("$ref") {
            assert!(description.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
            count += 1;
        }
        match value {
            Value::Array(items) => left.extend(items),
            Value::Object(members) => left.extend(members.values()),
            _ => {}
        }
    }
    assert!(count > 50, "{count} references");
}

#[tokio::test]
async fn a_request_has_no_members_that_are_not_described() {
    let served = Served::plain().await;
    let got = served.post("/v1/requests").header("prefer", "wait=5").json(super::request("stubborn")).await.json();
    let description = description();
    let members = |json: &Value| json.as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>();
    let properties = |schema: &str| members(&description["components"]["schemas"][schema]["properties"]);
    assert!(members(&got).is_subset(&properties("Request")));
    assert!(got["failure"]["code"].is_string() && members(&got["failure"]).is_subset(&properties("Failure")));
}
