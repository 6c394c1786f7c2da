//! OpenTV 3.x: tokens that end, and answers that are none.

use std::sync::Arc;
use std::time::Duration;

use headgate_core::body::RequestBody;
use headgate_core::http::{HttpAnswer, HttpRequest};
use headgate_core::platform::Fault;
use headgate_core::request::{Request, RequestId};
use serde_json::{Value, json};

use super::tests::{activate, with_account};
use super::{MediaLiveRules, OpenTv, wire};
use crate::http::oauth::Token;
use crate::http::{Begun, Dialogue, End, Step, answer};
use crate::nagra_medialive::PROTOCOL;
use crate::nagra_medialive::settings::Settings;
use crate::nagra_medialive::test_site::{SERVICES, Site, with};
use crate::registry::Stock;
use crate::test_support::http_pair::HttpPair;
use crate::test_support::pair::in_words;
use crate::test_support::{provider, start};

#[test]
fn tokens_are_renewed_before_they_end_and_asked_for_again_when_they_can_not_be() {
    let mut site = with_account();
    let kinds = |site: &Site| {
        let logins = site.pair.calls.iter().filter(|call| call.target.ends_with("/token"));
        let kind = |call: &HttpRequest| {
            if call.body.starts_with(b"grant_type=refresh_token") { 'r' } else { 'p' }
        };
        logins.map(kind).collect::<String>()
    };
    let test = || json!({ "command": "test_connection" });
    for _ in 0..10 {
        assert_eq!(site.ask(test()), "completed");
    }
    assert_eq!(kinds(&site), "pr", "after 480 of 300 seconds");
    site.pair.pass(Duration::from_secs(2_000));
    assert_eq!(site.ask(test()), "completed");
    assert_eq!(kinds(&site), "prp", "the refresh token is over too");
    // A token that the platform forgot is renewed by the password, and the call is made again.
    site.pair.platform.inject(Fault::LoseSessions).unwrap();
    assert_eq!(site.ask(activate(&["BASIC"])), "completed");
    assert_eq!(kinds(&site), "prpp");
    // A refresh token that is refused is followed by the password at once.
    site.pair.pass(Duration::from_secs(300));
    site.pair.platform.inject(Fault::RefuseLogin).unwrap();
    assert_eq!(site.ask(test()), "completed");
    assert_eq!(kinds(&site), "prpprp");
    assert!(!site.pair.log.contains("LinkDown"));
}

#[test]
fn tokens_lost_under_a_thousand_requests_are_asked_for_once() {
    let mut site = Site::new(&json!({ "calls": { "at_once": 1_000 } }));
    site.ask(json!({ "command": "create_subscriber", "account": "A1" }));
    site.pair.hold = true;
    site.pair.platform.inject(Fault::LoseSessions).unwrap();
    for id in 1_001..=2_000_u64 {
        site.pair.submit_only(id, &json!({ "command": "create_subscriber", "account": id.to_string() }).to_string());
    }
    site.pair.settle();
    site.pair.release();
    assert!((1_001..=2_000).all(|id| site.pair.end(id) == "completed"));
    let logins = site.pair.calls.iter().filter(|call| call.target.ends_with("/token")).count();
    assert_eq!((logins, site.holdings()["accounts"].as_object().unwrap().len()), (2, 1_001));
}

#[test]
fn a_tenant_that_is_not_known_is_told() {
    let settings = with(&json!({}));
    let platform = (PROTOCOL.platform)(&with(&json!({ "tenant": "other" })), &Stock::default()).unwrap();
    let opened = (PROTOCOL.open)(&provider(&[]), &settings, 7).unwrap();
    let mut pair = HttpPair::new(opened.adapter, platform);
    pair.submit(1, r#"{"command":"test_connection"}"#);
    assert_eq!(pair.end(1), "rejected 404: the tenant is not known");
}

#[test]
fn an_id_of_the_platforms_own_is_the_reference() {
    let mut dialogue = dialogue();
    let create = request(json!({ "command": "create_subscriber", "account": "A1" }));
    let Ok(Begun::Task(mut task)) = dialogue.begin(start(), &create) else { panic!() };
    let step = dialogue.read(start(), &mut task, &HttpAnswer::new(201, "application/json", r#"{"_id":"8f3a"}"#));
    let Step::End(End { reference: Some(reference), .. }) = step else { panic!("{step:?}") };
    assert_eq!(reference.as_str(), "8f3a");
}

#[test]
fn answers_that_are_none_end_in_doubt_or_as_refusals() {
    let deep = format!("{{\"a\":{}", "[".repeat(10_000));
    for (status, body, end) in [
        (200, "<html>gone</html>", "answer_unreadable"),
        (200, "{\"_id\":\"A", "answer_unreadable"),
        (200, "{\"_id\":7}", "answer_unreadable"),
        (200, "{\"_id\":\"A\",\"_id\":\"B\"}", "answer_unreadable"),
        (200, "\u{fffd}\0", "answer_unreadable"),
        (200, deep.as_str(), "answer_unreadable"),
        (500, "", "server_error"),
        (503, "{\"message\":\"busy\"}", "server_error"),
        (402, "{\"code\":17,\"message\":\"no\\u0000 credit\"}", "17: no  credit"),
        (410, "<html>4711</html>", "410: refused (HTTP 410)"),
    ] {
        let mut dialogue = dialogue();
        let request = request(json!({ "command": "activate_services", "account": "A1", "services": ["BASIC"] }));
        let Ok(Begun::Task(mut task)) = dialogue.begin(start(), &request) else { panic!() };
        dialogue.call(start(), Some(&Token::placeholder()), &task).unwrap();
        let step = dialogue.read(start(), &mut task, &HttpAnswer::new(status, "application/json", body.to_owned()));
        let Step::End(ended) = step else { panic!("{step:?}") };
        let words = in_words(&ended.verdict);
        assert!(words.contains(end), "{body}: {words}");
    }
    let invalid = HttpAnswer::new(200, "application/json", vec![b'{', 0xff, b'}']);
    assert!(answer::json::<wire::Created>(&invalid).is_err());
}

#[test]
fn lists_that_are_odd_are_no_lists() {
    for body in [
        r#"{"totalRecords":5}"#,
        r#"{"totalRecords":5,"resourceSet":[]}"#,
        r#"{"totalRecords":-1,"resourceSet":[]}"#,
        r#"{"totalRecords":1,"resourceSet":[{"_id":"E"}]}"#,
        r#"{"totalRecords":1,"resourceSet":[{"_id":"E","productId":"","accountId":"A1"}]}"#,
        r#"{"resourceSet":[]}"#,
        "[]",
    ] {
        let mut dialogue = dialogue();
        let request = request(json!({ "command": "get_services", "account": "A1" }));
        let Ok(Begun::Task(mut task)) = dialogue.begin(start(), &request) else { panic!() };
        let mut answer = HttpAnswer::new(200, "application/json", body.to_owned());
        answer.body = if body.contains("5}") { body.replace("5}", "500}").into() } else { body.to_owned().into() };
        let step = dialogue.read(start(), &mut task, &answer);
        let Step::End(ended) = step else { panic!("{body}: {step:?}") };
        let words = in_words(&ended.verdict);
        assert!(words.contains("answer_unreadable"), "{body}: {words}");
    }
    // The other spelling of members, and times in forms that we do not know.
    let body = r#"{"totalRecords":1,"resourceSet":[{"_id":"E","productID":"P9","accountID":"A1","validFrom":7,"expiryDate":"soon"}]}"#;
    let mut dialogue = dialogue();
    let Ok(Begun::Task(mut task)) =
        dialogue.begin(start(), &request(json!({ "command": "get_services", "account": "A1" })))
    else {
        panic!()
    };
    let step = dialogue.read(start(), &mut task, &HttpAnswer::new(200, "application/json", body));
    let Step::End(ended) = step else { panic!("{step:?}") };
    assert!(in_words(&ended.verdict).contains(r#"[{"ca_id":"P9"}]"#), "{ended:?}");
}

fn dialogue() -> OpenTv {
    let settings = Arc::new(Settings::read(&with(&json!({ "entitlements": { "page_size": 1 } }))).unwrap());
    let rules = Arc::new(MediaLiveRules::new(Arc::clone(&settings)));
    let services = provider(&SERVICES).services;
    OpenTv::new(settings, services, rules)
}

fn request(mut body: Value) -> Request {
    body["provider"] = "p".into();
    let body: RequestBody = serde_json::from_value(body).unwrap();
    let command = body.command().unwrap();
    Request::new(RequestId(Default::default()), &body, command)
}

#[test]
fn what_is_encoded_is_explained() {
    let settings = with(&json!({}));
    let request = request(json!({ "command": "activate_services", "account": "A1", "services": ["BASIC"] }));
    let encoded = (PROTOCOL.encode)(&provider(&SERVICES), &settings, start(), &request).unwrap();
    assert_eq!(encoded[0].title, "POST /rmg/v1/operator/entitlements");
    let explained = (PROTOCOL.decode)(&settings, None, &encoded[0].bytes).unwrap();
    assert_eq!((explained[0].title.as_str(), &explained[0].broken), ("grant of an entitlement", &None));
    assert!(explained[0].fields.iter().any(|field| field.name == "productId" && field.value == "P1"));
    assert!(explained[0].fields.iter().any(|field| field.name == "authorization" && field.value == "***"));
}
