//! Commands against the simulated platform: what it is asked, what it holds then, how they end.

use std::time::Duration;

use headgate_core::body::RequestBody;
use headgate_core::http::HttpAnswer;
use headgate_core::outcome::Verdict;
use headgate_core::platform::{Card, Fault, Platform};
use headgate_core::request::{Request, RequestId};
use serde_json::{Value, json};

use super::PROTOCOL;
use super::platform::CagPlatform;
use super::settings::Settings;
use crate::http::{Backend, HttpPlatform};
use crate::registry::{Opened, Stock};
use crate::test_support::http_pair::HttpPair;
use crate::test_support::provider;

const SERVICES: [(&str, &str); 3] = [("BASIC", "P1"), ("FILM", "P2"), ("SPORT", "P3")];

fn settings(more: Value) -> Value {
    let mut settings = json!({ "cas_instance": "cas 1", "tenant": "t", "operator": "o" });
    settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    settings
}

fn token() -> Value {
    json!({ "token": { "username": "u", "password": "secret-p", "client_id": "c" } })
}

fn stock() -> Stock {
    let list = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    Stock { cards: list(&["101", "102", "103"]), products: list(&["P1", "P2", "P3"]) }
}

fn pair_of(settings: &Value, stock: &Stock) -> HttpPair {
    let Opened { adapter, .. } = (PROTOCOL.open)(&provider(&SERVICES), settings, 7).unwrap();
    HttpPair::new(adapter, (PROTOCOL.platform)(settings, stock).unwrap())
}

fn pair() -> HttpPair {
    pair_of(&settings(json!({})), &stock())
}

fn card(pair: &HttpPair, number: &str) -> Card {
    pair.platform.holdings().cards[number].clone()
}

fn products(pair: &HttpPair, number: &str) -> Vec<String> {
    card(pair, number).services.into_keys().collect()
}

/// Why a request is refused when it is posted.
fn refusal(settings: &Value, request: &str) -> Option<String> {
    let Opened { rules, .. } = (PROTOCOL.open)(&provider(&SERVICES), settings, 7).unwrap();
    let body: RequestBody = serde_json::from_str(&request.replacen('{', r#"{"provider":"p","#, 1)).unwrap();
    let request = Request::new(RequestId(Default::default()), &body, body.command().unwrap());
    let checked = rules.capabilities().check(&request, &provider(&SERVICES).services);
    checked.and_then(|()| rules.check(&request)).err().map(|refusal| format!("{}: {}", refusal.code, refusal.field))
}

#[test]
fn every_command_changes_what_the_platform_holds() {
    let mut pair = pair_of(&settings(json!({ "metadata": { "zone": "7" }, "recovery_years": 3 })), &stock());
    pair.submit(1, r#"{"command":"activate_services","smartcard":"101","stb":"N1","services":["BASIC","SPORT"]}"#);
    assert_eq!(pair.end(1), "completed");
    assert_eq!(pair.outcome(1).reference.as_ref().unwrap().as_str(), "1");
    let call = pair.last_call();
    assert_eq!(call.target, "/cag/v1/cas%201/devices/101/entitlements");
    assert_eq!((call.header("nv-tenant-id"), call.header("operator")), (Some("t"), Some("o")));
    assert_eq!(call.header("x-correlation-id"), Some("00000000-0000-0000-0000-000000000001"));
    assert_eq!(call.header("authorization"), None, "the connection's own are the driver's");
    let body: Value = serde_json::from_slice(&call.body).unwrap();
    assert_eq!(body["deviceSpecification"], json!({ "deviceType": "CardBased", "deviceId": "101" }));
    assert_eq!(body["smartCardSpecification"]["smartCardId"], "101");
    assert_eq!(body["settopBoxSpecification"]["chipsetSerialNumber"], "N1");
    assert_eq!(body["entitlements"], json!([{ "productId": "P1" }, { "productId": "P3" }]));
    assert_eq!(body["metadataSet"], json!([{ "fieldName": "zone", "fieldValue": "7" }]));
    assert_eq!(products(&pair, "101"), ["P1", "P3"]);

    pair.submit(2, r#"{"command":"set_services","smartcards":["101","102"],"services":["FILM"]}"#);
    assert_eq!((pair.end(2).as_str(), pair.calls.len()), ("completed", 3));
    assert_eq!((products(&pair, "101"), products(&pair, "102")), (vec!["P2".to_owned()], vec!["P2".to_owned()]));
    pair.submit(3, r#"{"command":"deactivate_services","smartcard":"102","services":"all"}"#);
    assert_eq!((pair.end(3).as_str(), products(&pair, "102").len()), ("completed", 0));
    pair.submit(4, r#"{"command":"refresh_services","smartcard":"101"}"#);
    assert_eq!((pair.end(4).as_str(), card(&pair, "101").refreshes), ("completed", 1));
    assert_eq!(pair.last_call().body, r#"{"years":"3"}"#);
    pair.submit(5, r#"{"command":"pair","smartcard":"101","stb":"N2"}"#);
    assert_eq!((pair.end(5).as_str(), card(&pair, "101").stbs.first().map(String::as_str)), ("completed", Some("N2")));
    assert!(pair.outcome(5).reference.is_some(), "the number stands under _id here");
    pair.submit(6, r#"{"command":"set_pin","smartcards":["101","103"],"pin":"0815"}"#);
    assert_eq!((pair.end(6).as_str(), card(&pair, "103").pin.as_deref()), ("completed", Some("0815")));
    let payload = headgate_core::text::to_hex(br#"{"method":"PUT","path":"/cag/v1/cas%201/devices/103/pin/1"}"#);
    pair.submit(7, &format!(r#"{{"command":"raw","payload":"{payload}"}}"#));
    assert!(pair.end(7).starts_with("completed {\"raw\":"), "{}", pair.end(7));
    assert_eq!(card(&pair, "103").pin.as_deref(), Some("1"));
    for private in ["101", "N1", "0815"] {
        assert!(!pair.log.contains(private), "{private} in {}", pair.log);
    }
}

#[test]
fn a_pin_stands_in_no_record() {
    let mut pair = pair();
    pair.submit(1, r#"{"command":"set_pin","smartcard":"101","pin":"98765"}"#);
    let exchange = &pair.outcome(1).exchange;
    let request = String::from_utf8_lossy(&exchange.request);
    assert!(request.starts_with("PUT /cag/v1/cas%201/devices/101/pin/*** HTTP/1.1"), "{request}");
}

#[test]
fn devices_are_named_by_the_number_that_the_settings_choose() {
    let by_box = settings(json!({ "device_id": "stb", "device_type": "card_less" }));
    let stock = Stock { cards: vec!["B1".into()], ..Stock::default() };
    let mut pair = pair_of(&by_box, &stock);
    pair.submit(1, r#"{"command":"activate_services","stb":"B1","services":["BASIC"]}"#);
    let body: Value = serde_json::from_slice(&pair.last_call().body).unwrap();
    assert_eq!(body["deviceSpecification"], json!({ "deviceType": "CardLess", "deviceId": "B1" }));
    assert!(body["smartCardSpecification"].is_null() && body["settopBoxSpecification"]["chipsetSerialNumber"] == "B1");
    pair.submit(2, r#"{"command":"pair","stb":"B1"}"#);
    assert_eq!((pair.end(1), pair.end(2)), ("completed".to_owned(), "completed".to_owned()));
    assert_eq!(pair.last_call().target, "/cag/v1/cas%201/devices/B1/chipsets/B1/pair");

    let with_card = settings(json!({ "device_id": "stb" }));
    let mut pair = pair_of(&with_card, &stock);
    pair.submit(1, r#"{"command":"activate_services","stb":"B1","smartcard":"C1","services":["BASIC"]}"#);
    assert_eq!(pair.end(1), "completed");
    let body: Value = serde_json::from_slice(&pair.last_call().body).unwrap();
    assert_eq!(body["smartCardSpecification"]["smartCardId"], "C1");
    let refused = |request| refusal(&with_card, request);
    assert_eq!(
        refused(r#"{"command":"activate_services","stb":"B1","services":["BASIC"]}"#).as_deref(),
        Some("missing_field: smartcards")
    );
    assert_eq!(refused(r#"{"command":"set_services","stb":"B1","services":["BASIC"]}"#), None);
    assert_eq!(
        refused(r#"{"command":"set_pin","smartcard":"C1","pin":"1"}"#).as_deref(),
        Some("out_of_range: smartcards")
    );
}

#[test]
fn what_the_platform_can_not_do_is_refused_when_it_is_posted() {
    let plain = settings(json!({}));
    for (request, words) in [
        (r#"{"command":"deactivate_services","smartcard":"1","services":["BASIC"]}"#, Some("out_of_range: services")),
        (r#"{"command":"deactivate_services","smartcard":"1","services":"all"}"#, None),
        (r#"{"command":"set_services","smartcard":"1","services":[]}"#, None),
        (r#"{"command":"refresh_services","smartcard":"1"}"#, Some("unsupported_command: command")),
        (r#"{"command":"test_connection"}"#, Some("unsupported_command: command")),
        (r#"{"command":"get_services","smartcard":"1"}"#, Some("unsupported_command: command")),
        (r#"{"command":"unpair","smartcard":"1"}"#, Some("unsupported_command: command")),
        (
            r#"{"command":"activate_services","smartcard":"1","services":["BASIC"],"end":"2030-01-01T00:00:00Z"}"#,
            Some("superfluous_field: end"),
        ),
        (
            r#"{"command":"set_services","smartcard":"1","services":["BASIC"],"start":"2030-01-01T00:00:00Z"}"#,
            Some("superfluous_field: start"),
        ),
        (
            r#"{"command":"activate_services","smartcards":["1","2"],"stb":"3","services":["BASIC"]}"#,
            Some("superfluous_field: stb"),
        ),
        (r#"{"command":"set_pin","smartcards":["1",".."],"pin":"1"}"#, Some("bad_number: smartcards/1")),
        (r#"{"command":"raw","payload":"00"}"#, Some("bad_payload: payload")),
    ] {
        assert_eq!(refusal(&plain, request).as_deref(), words, "{request}");
    }
    let strict = settings(json!({ "replace_with_nothing": false, "ignore_period": true }));
    for (request, words) in [
        (r#"{"command":"deactivate_services","smartcard":"1","services":"all"}"#, Some("unsupported_command: command")),
        (r#"{"command":"set_services","smartcard":"1","services":[]}"#, Some("missing_field: services")),
        (r#"{"command":"activate_services","smartcard":"1","services":["BASIC"],"end":"2030-01-01T00:00:00Z"}"#, None),
    ] {
        assert_eq!(refusal(&strict, request).as_deref(), words, "{request}");
    }
}

#[test]
fn what_was_refused_in_part_says_which_part() {
    let mut pair = pair();
    pair.submit(1, r#"{"command":"set_pin","smartcards":["101","999","103"],"pin":"1"}"#);
    let Verdict::Rejected(failure) = &pair.outcome(1).verdict else { panic!("{}", pair.end(1)) };
    assert_eq!((failure.code.as_ref(), failure.parts.len(), failure.parts[0].part.as_str()), ("1201", 1, "999"));
    assert_eq!(card(&pair, "103").pin.as_deref(), Some("1"), "the others are done");
    pair.submit(2, r#"{"command":"set_pin","smartcards":["998","999"],"pin":"1"}"#);
    assert_eq!(pair.end(2), "rejected 1201: Device is not known");

    // One device, of whose commands the CAS did some.
    let mut pair = pair_of(
        &settings(json!({ "metadata": { "a": "b" } })),
        &Stock { products: vec!["P1".into()], ..Stock::default() },
    );
    pair.submit(1, r#"{"command":"activate_services","smartcard":"101","services":["FILM"]}"#);
    let Verdict::Rejected(failure) = &pair.outcome(1).verdict else { panic!("{}", pair.end(1)) };
    assert_eq!((failure.code.as_ref(), failure.parts[0].part.as_str()), ("1202", "overwriteSector"));
    assert!(failure.text.starts_with("1 of 2 were refused"), "{failure}");
}

#[test]
fn tokens_are_asked_for_renewed_and_replaced_when_they_are_lost() {
    let mut pair = pair_of(&settings(token()), &stock());
    let set = |pin: &str| format!(r#"{{"command":"set_pin","smartcard":"101","pin":"{pin}"}}"#);
    pair.submit(1, &set("1"));
    assert_eq!(
        (pair.end(1).as_str(), pair.last_call().header("authorization")),
        ("completed", Some("Bearer access-1"))
    );
    pair.platform.inject(Fault::LoseSessions).unwrap();
    pair.submit(2, &set("2"));
    assert_eq!(
        (pair.end(2).as_str(), pair.last_call().header("authorization")),
        ("completed", Some("Bearer access-2"))
    );
    pair.pass(Duration::from_secs(280));
    pair.submit(3, &set("3"));
    assert_eq!((pair.end(3).as_str(), pair.platform.holdings().logins), ("completed", 3));
    assert_eq!(pair.calls.iter().filter(|call| call.target.contains("openid-connect")).count(), 3);
    assert!(!pair.log.contains("secret-p") && !pair.log.contains("access-"));
    let request = String::from_utf8_lossy(&pair.outcome(3).exchange.request).into_owned();
    assert!(request.contains("authorization: ***"), "{request}");

    let mut refused = pair_of(&settings(token()), &stock());
    refused.platform.inject(Fault::RefuseLogin).unwrap();
    refused.platform.inject(Fault::LoseSessions).unwrap();
    refused.submit(1, &set("1"));
    assert_eq!((refused.end(1).as_str(), refused.adapter.capacity()), ("failed not_admitted No", 0));
    refused.pass(Duration::from_secs(5));
    refused.submit(2, &set("1"));
    assert_eq!(refused.end(2), "completed");

    let mut elsewhere = token();
    elsewhere["token_endpoint"] = json!("keycloak");
    let pair = pair_of(&settings(elsewhere), &stock());
    assert!(pair.last_call().target.starts_with("/keycloak/keycloak/auth/"), "{}", pair.last_call().target);
}

#[test]
fn without_tokens_a_refused_call_is_ours_to_mend() {
    let mut theirs = settings(json!({}));
    theirs["tenant"] = json!("other");
    let Opened { adapter, .. } = (PROTOCOL.open)(&provider(&SERVICES), &settings(json!({})), 7).unwrap();
    let mut pair = HttpPair::new(adapter, (PROTOCOL.platform)(&theirs, &stock()).unwrap());
    pair.submit(1, r#"{"command":"set_pin","smartcard":"101","pin":"1"}"#);
    assert_eq!(pair.end(1), "rejected 404: the platform refuses the call (HTTP 404)");
    let Opened { adapter, .. } = (PROTOCOL.open)(&provider(&SERVICES), &settings(json!({})), 7).unwrap();
    let mut pair = HttpPair::new(adapter, (PROTOCOL.platform)(&settings(token()), &stock()).unwrap());
    pair.submit(1, r#"{"command":"set_pin","smartcard":"101","pin":"1"}"#);
    assert_eq!(pair.end(1), "failed not_admitted No");
}

/// A platform that gives the same answer to every call.
struct Canned(HttpAnswer, headgate_core::platform::Holdings);

impl Backend for Canned {
    fn answer(&mut self, _: headgate_core::Now, _: &headgate_core::http::HttpRequest, _: Option<Fault>) -> HttpAnswer {
        self.0.clone()
    }

    fn holdings(&self) -> &headgate_core::platform::Holdings {
        &self.1
    }
}

fn end_of(status: u16, body: &[u8]) -> String {
    let Opened { adapter, .. } = (PROTOCOL.open)(&provider(&SERVICES), &settings(json!({})), 7).unwrap();
    let answer = HttpAnswer::new(status, "application/json", body.to_vec());
    let platform: Box<dyn Platform> = Box::new(HttpPlatform::new(Canned(answer, Default::default())));
    let mut pair = HttpPair::new(adapter, platform);
    pair.submit(1, r#"{"command":"set_pin","smartcard":"101","pin":"777"}"#);
    pair.end(1)
}

#[test]
fn every_answer_has_one_meaning() {
    for (status, body, end) in [
        (200, r#"{"status":"Success","commandResults":[{"responseCode":"1028","responseText":"OK"}]}"#, "completed"),
        (200, r#"{"status":"SUCCESS","commandResults":[{"responseCode":77,"responseText":"ok"}]}"#, "completed"),
        (200, r#"{"status":"Success","commandResults":[{"responseCode":1028}]}"#, "completed"),
        (200, r#"{"status":"Success"}"#, "completed"),
        (
            200,
            r#"{"status":"Success","commandResults":[{"responseCode":"9","responseText":"no 777"}]}"#,
            "rejected 9: no ***",
        ),
        (400, r#"{"status":"Failure","commandResults":[{"responseCode":"9","responseText":"no"}]}"#, "rejected 9: no"),
        (
            200,
            r#"{"status":"Partial","commandResults":[{"responseCode":"1028"},{"responseCode":"9","responseText":"no"}]}"#,
            "rejected 9: 1 of 2 were refused, the others done; the first: no",
        ),
        (200, r#"{"status":"Queued"}"#, "rejected Queued: the platform refuses the call as a whole (HTTP 200)"),
        (400, r#"{"status":"Success"}"#, "rejected 400: the platform refuses the call as a whole (HTTP 400)"),
        (400, r#"{"error":"x"}"#, "rejected 400: the platform refuses the call (HTTP 400)"),
        (404, "<html>777</html>", "rejected 404: the platform refuses the call (HTTP 404)"),
        (401, "", "failed not_admitted No"),
        (403, "", "failed not_admitted No"),
        (500, r#"{"status":"Success"}"#, "failed server_error Maybe"),
        (302, "", "failed redirected No"),
        (200, "", "failed answer_unreadable Maybe"),
        (200, "<html/>", "failed answer_unreadable Maybe"),
        (200, r#"{"status":"Success","commandResults":[{"respons"#, "failed answer_unreadable Maybe"),
        (200, r#"{"status":"Success","status":"Failure"}"#, "failed answer_unreadable Maybe"),
        (200, r#"{"commandResults":[]}"#, "failed answer_unreadable Maybe"),
        (200, r#"{"status":"Success","commandResults":[{"responseCode":{}}]}"#, "failed answer_unreadable Maybe"),
        (200, r#"[1]"#, "failed answer_unreadable Maybe"),
    ] {
        assert_eq!(end_of(status, body.as_bytes()), end, "{status} {body}");
    }
    assert_eq!(end_of(200, b"{\"status\":\"\xff\"}"), "failed answer_unreadable Maybe");
    assert_eq!(end_of(200, "[".repeat(100_000).as_bytes()), "failed answer_unreadable Maybe");
    let long =
        format!(r#"{{"status":"F","commandResults":[{{"responseCode":"9","responseText":"{}"}}]}}"#, "x".repeat(5_000));
    assert!(end_of(400, long.as_bytes()).len() < 400);
}

#[test]
fn codes_of_success_can_be_named() {
    let named = settings(json!({ "success_codes": ["1201"] }));
    let mut pair = pair_of(&named, &stock());
    pair.submit(1, r#"{"command":"set_pin","smartcard":"999","pin":"1"}"#);
    assert_eq!(pair.end(1), "rejected Failure: the platform refuses the call as a whole (HTTP 400)");
}

#[test]
fn the_platform_refuses_what_does_not_fit() {
    let read = Settings::read(&settings(json!({}))).unwrap();
    let mut platform = CagPlatform::new(std::sync::Arc::new(read), &stock());
    let mut say = |body: &str| {
        let headers = vec![("nv-tenant-id".into(), "t".into()), ("operator".into(), "o".into())];
        let target = "/cag/v1/cas%201/devices/101/entitlements".to_owned();
        let method = headgate_core::http::Method::Post;
        let request = headgate_core::http::HttpRequest { method, target, headers, body: body.to_owned().into() };
        platform.answer(crate::test_support::start(), &request, None).status
    };
    let card = r#""smartCardSpecification":{"smartCardId":"101"}"#;
    for (body, status) in [
        (
            format!(
                r#"{{"deviceSpecification":{{"deviceType":"CardBased"}},{card},"entitlements":[{{"productId":"P1"}}]}}"#
            ),
            200,
        ),
        (r#"{"deviceSpecification":{"deviceType":"CardBased"},"entitlements":[{"productId":"P1"}]}"#.to_owned(), 400),
        (r#"{"deviceSpecification":{"deviceType":"CardLess"},"entitlements":[{"productId":"P1"}]}"#.to_owned(), 400),
        (
            format!(
                r#"{{"deviceSpecification":{{"deviceType":"CardBased","deviceId":"2"}},{card},"entitlements":[{{"productId":"P1"}}]}}"#
            ),
            400,
        ),
        (format!(r#"{{"deviceSpecification":{{"deviceType":"CardBased"}},{card},"entitlements":[]}}"#), 400),
        (
            format!(
                r#"{{"deviceSpecification":{{"deviceType":"CardBased"}},{card},"entitlements":[{{"productId":"P9"}}]}}"#
            ),
            400,
        ),
        ("{}".to_owned(), 400),
    ] {
        assert_eq!(say(&body), status, "{body}");
    }
}

#[test]
fn everything_that_goes_wrong_on_the_way_ends_clearly() {
    for (fault, end) in [
        (Fault::Garbage, "failed answer_unreadable Maybe"),
        (Fault::HalfFrame, "failed answer_broken Maybe"),
        (Fault::Silence, "failed no_answer Maybe"),
        (Fault::CloseBefore, "failed answer_broken Maybe"),
        (Fault::CloseInstead, "failed answer_broken Maybe"),
        (Fault::CloseAfter, "completed"),
        (Fault::Delay(500), "completed"),
        (Fault::UnknownCard, "rejected 1201: Device is not known"),
        (Fault::Throttle, "failed slow_down No"),
        (Fault::ServerError, "failed server_error Maybe"),
        (Fault::Oversized, "failed answer_too_long Maybe"),
    ] {
        let mut pair = pair();
        pair.platform.inject(fault).unwrap();
        pair.submit(1, r#"{"command":"set_pin","smartcard":"101","pin":"1"}"#);
        pair.pass(Duration::from_secs(60));
        assert_eq!(pair.end(1), end, "{fault:?}");
        pair.submit(2, r#"{"command":"set_pin","smartcard":"101","pin":"2"}"#);
        assert_eq!((pair.end(2).as_str(), card(&pair, "101").pin.as_deref()), ("completed", Some("2")), "{fault:?}");
    }
}

#[test]
fn a_request_is_shown_without_sending_it() {
    let body: RequestBody =
        serde_json::from_str(r#"{"provider":"p","command":"set_services","smartcard":"101","services":["FILM"]}"#)
            .unwrap();
    let request = Request::new(RequestId(Default::default()), &body, body.command().unwrap());
    let now = crate::test_support::start();
    let encoded = (PROTOCOL.encode)(&provider(&SERVICES), &settings(token()), now, &request).unwrap();
    assert_eq!(encoded[0].title, "PUT /cag/v1/cas%201/devices/101/entitlements");
    let dissected = (PROTOCOL.decode)(&Value::Null, None, &encoded[0].bytes).unwrap();
    assert_eq!((dissected[0].title.as_str(), dissected[0].broken.is_none()), ("products replaced", true));
    assert!(String::from_utf8_lossy(&encoded[0].bytes).contains("authorization: ***"));
}
