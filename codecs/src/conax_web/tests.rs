//! Commands against the simulated platform: what it is asked, what it holds then, how they end.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use headgate_core::Now;
use headgate_core::body::RequestBody;
use headgate_core::http::{HttpAnswer, HttpRequest, Method};
use headgate_core::outcome::Verdict;
use headgate_core::platform::{Card, Fault, Holdings};
use headgate_core::request::{Request, RequestId};
use serde_json::{Value, json};

use super::PROTOCOL;
use super::platform::ContegoPlatform;
use crate::http::{Backend, HttpPlatform, soap};
use crate::registry::{Opened, Stock};
use crate::test_support::http_pair::HttpPair;
use crate::test_support::{provider, start};
use crate::xml::{self, Element};

const SERVICES: [(&str, &str); 3] = [("BASIC", "41"), ("FILM", "43"), ("SPORT", "42")];

/// Two cards as printed, with their check digits.
const ANN: &str = "014500000119";
const BEN: &str = "014500000127";

fn stock() -> Stock {
    let list = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    Stock { cards: list(&["01450000011", "01450000012"]), products: list(&["41", "42", "43"]) }
}

fn pair_of(settings: &Value, stock: &Stock) -> HttpPair {
    let Opened { adapter, .. } = (PROTOCOL.open)(&provider(&SERVICES), settings, 7).unwrap();
    HttpPair::new(adapter, (PROTOCOL.platform)(settings, stock).unwrap())
}

fn pair() -> HttpPair {
    pair_of(&json!({}), &stock())
}

fn card(pair: &HttpPair, printed: &str) -> Card {
    pair.platform.holdings().cards[&printed[..11]].clone()
}

fn body(request: &HttpRequest) -> String {
    String::from_utf8(request.body.to_vec()).unwrap()
}

/// Why a request is refused when it is posted.
fn refusal(settings: &Value, request: &str) -> Option<String> {
    let Opened { rules, .. } = (PROTOCOL.open)(&provider(&SERVICES), settings, 7).unwrap();
    let body: RequestBody = serde_json::from_str(&request.replacen('{', r#"{"provider":"p","#, 1)).unwrap();
    let request = Request::new(RequestId(Default::default()), &body, body.command().unwrap());
    let checked = rules.capabilities().check(&request, &provider(&SERVICES).services);
    checked.and_then(|()| rules.check(&request)).err().map(|refusal| format!("{}: {}", refusal.code, refusal.field))
}

fn bark(cards: &str, text: &str) -> String {
    format!(r#"{{"command":"send_message","smartcards":{cards},"message":{{"kind":"bark","text":"{text}"}}}}"#)
}

/// The sheet's section 3.1, as it stands there.
const SHEET: &str = r#"<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/">
  <s:Body>
    <SendBarkMessageToClients xmlns="http://www.conax.com/cas/xsd/user-text-messaging/v1">
      <SendBarkMessageToClientsRequest>
        <CaClientIds><CaClientId>01450000011</CaClientId></CaClientIds>
        <Message>Hello</Message>
        <DisplayDurationInSeconds>20</DisplayDurationInSeconds>
        <SequenceNumber>11</SequenceNumber>
      </SendBarkMessageToClientsRequest>
    </SendBarkMessageToClients>
  </s:Body>
</s:Envelope>"#;

/// The same without the white space between elements, with the prefix that Headgate writes.
const GOLDEN: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\
    <soap:Envelope xmlns:soap=\"http://schemas.xmlsoap.org/soap/envelope/\"><soap:Body>\
    <SendBarkMessageToClients xmlns=\"http://www.conax.com/cas/xsd/user-text-messaging/v1\">\
    <SendBarkMessageToClientsRequest>\
    <CaClientIds><CaClientId>01450000011</CaClientId></CaClientIds>\
    <Message>Hello</Message>\
    <DisplayDurationInSeconds>20</DisplayDurationInSeconds>\
    <SequenceNumber>11</SequenceNumber>\
    </SendBarkMessageToClientsRequest></SendBarkMessageToClients></soap:Body></soap:Envelope>";

/// Names, namespaces and texts, in order, without places in the bytes.
fn content(element: &Element) -> Vec<(Option<String>, String, String)> {
    let own =
        (element.namespace.as_deref().map(str::to_owned), element.name.to_string(), element.text.trim().to_owned());
    std::iter::once(own).chain(element.children.iter().flat_map(content)).collect()
}

#[test]
fn the_known_call_is_written_as_the_sheet_shows_it() {
    let mut pair = pair();
    pair.submit(1, &bark(&format!("[\"{ANN}\"]"), "Hello"));
    assert_eq!(pair.end(1), "completed");
    let call = pair.last_call();
    assert_eq!(
        (call.method, call.target.as_str()),
        (Method::Post, "/ca-server/webservices/caclient/user-text-messaging")
    );
    assert_eq!(call.headers, [("content-type".to_owned(), "text/xml;charset=\"utf-8\"".to_owned())]);
    assert_eq!(body(call), GOLDEN);
    let read = |document: &str| content(&xml::parse(document.as_bytes(), 10_000).unwrap());
    assert_eq!(read(GOLDEN), read(SHEET));
    // The platform takes the sheet's own bytes too.
    let request = HttpRequest { body: SHEET.into(), ..call.clone() };
    let mut platform = ContegoPlatform::new(Default::default(), &stock());
    assert_eq!(platform.answer(start(), &request, None).status, 200);
    assert_eq!(platform.holdings().cards["01450000011"].messages, ["Hello"]);
}

#[test]
fn settings_shape_the_known_call() {
    let settings = json!({ "sequence_number": 12, "time_zone": "Europe/Oslo", "bark_limit": 74, "cards_per_call": 1 });
    let mut pair = pair_of(&settings, &stock());
    let message = r#"{"kind":"bark","text":"Hi","duration_seconds":7,"start":"2026-07-01T10:00:00Z"}"#;
    pair.submit(1, &format!(r#"{{"command":"send_message","smartcards":["{ANN}","{BEN}"],"message":{message}}}"#));
    assert_eq!((pair.end(1).as_str(), pair.calls.len()), ("completed", 2));
    assert!(body(pair.last_call()).contains(
        "<CaClientIds><CaClientId>01450000012</CaClientId></CaClientIds><Message>Hi</Message>\
             <DisplayDurationInSeconds>7</DisplayDurationInSeconds>\
             <StartIndicationTime>2026-07-01T12:00:00</StartIndicationTime><SequenceNumber>12</SequenceNumber>"
    ));
    let long = bark(&format!("[\"{ANN}\"]"), &"x".repeat(75));
    assert_eq!(refusal(&settings, &long).as_deref(), Some("text_too_long: message/text"));
    assert_eq!(refusal(&json!({}), &long), None);
    let longer = bark(&format!("[\"{ANN}\"]"), &"x".repeat(130));
    assert_eq!(refusal(&json!({}), &longer).as_deref(), Some("text_too_long: message/text"));
    let starts = format!(r#"{{"command":"send_message","smartcard":"{ANN}","message":{message}}}"#);
    assert_eq!(refusal(&json!({ "start_time": false }), &starts).as_deref(), Some("superfluous_field: message/start"));
}

#[test]
fn cards_go_in_blocks_of_five_hundred_and_a_block_can_fail() {
    let printed: Vec<_> = (0..1_201).map(|number| format!("{number:011}0")).collect();
    let sent = printed.iter().map(|card| card[..11].to_owned());
    let mut pair =
        pair_of(&json!({}), &Stock { cards: sent.filter(|card| card != "00000000600").collect(), ..Stock::default() });
    pair.submit(1, &bark(&serde_json::to_string(&printed).unwrap(), "Hello"));
    let cards = |call: &HttpRequest| body(call).matches("<CaClientId>").count();
    assert_eq!(pair.calls.iter().map(cards).collect::<Vec<_>>(), [500, 500, 201]);
    let Verdict::Rejected(failure) = &pair.outcome(1).verdict else { panic!("{}", pair.end(1)) };
    assert_eq!((failure.code.as_ref(), failure.parts.len()), ("CLIENT_NOT_FOUND", 500));
    assert_eq!(failure.parts[0].part.as_str(), "000000005000", "as the CRM named it");
    let shown = |holdings: &Holdings| holdings.cards.values().filter(|card| card.messages == ["Hello"]).count();
    assert_eq!(shown(pair.platform.holdings()), 701);
}

#[test]
fn every_command_changes_what_the_platform_holds() {
    let mut pair = pair();
    let services = r#""services":["BASIC","SPORT"],"start":"2026-01-01T00:00:00Z","end":"2027-01-01T00:00:00Z""#;
    pair.submit(1, &format!(r#"{{"command":"activate_services","smartcards":["{ANN}","{BEN}"],{services}}}"#));
    assert_eq!((pair.end(1).as_str(), pair.calls.len()), ("completed", 1));
    assert_eq!(pair.outcome(1).reference.as_ref().unwrap().as_str(), "00000000-0000-4000-8000-000000000001");
    assert_eq!(card(&pair, BEN).services.keys().collect::<Vec<_>>(), ["41", "42"]);
    pair.submit(2, &format!(r#"{{"command":"get_services","smartcards":["{ANN}","{BEN}"]}}"#));
    let told: Value = serde_json::from_str(pair.end(2).strip_prefix("completed ").unwrap()).unwrap();
    let held =
        json!({ "code": "SPORT", "ca_id": "42", "start": "2026-01-01T00:00:00Z", "end": "2027-01-01T00:00:00Z" });
    assert_eq!((&told["services"][1]["smartcard"], &told["services"][0]["services"][1]), (&json!(BEN), &held));
    pair.submit(3, &format!(r#"{{"command":"deactivate_services","smartcard":"{ANN}","services":["BASIC"]}}"#));
    assert_eq!((pair.end(3).as_str(), card(&pair, ANN).services.len()), ("completed", 1));

    pair.submit(4, &format!(r#"{{"command":"add_to_pairing","smartcard":"{ANN}","stb":"B3"}}"#));
    assert_eq!(pair.end(4), "rejected INPUT_VALIDATION_ERROR: There is no pairing to add to");
    pair.submit(5, &format!(r#"{{"command":"pair","smartcards":["{ANN}","{BEN}"],"stbs":["B1","B2"]}}"#));
    pair.submit(6, &format!(r#"{{"command":"add_to_pairing","smartcard":"{ANN}","stb":"B3"}}"#));
    assert_eq!((pair.end(5), pair.end(6)), ("completed".to_owned(), "completed".to_owned()));
    pair.submit(7, &format!(r#"{{"command":"get_pairing","smartcard":"{ANN}"}}"#));
    assert_eq!(pair.end(7), r#"completed {"pairings":[{"smartcard":"01450000011","stbs":["B1","B2","B3"]}]}"#);
    pair.submit(8, r#"{"command":"get_pairing","stb":"B2"}"#);
    assert!(pair.end(8).contains("01450000011") && pair.end(8).contains("01450000012"), "{}", pair.end(8));

    pair.submit(9, &format!(r#"{{"command":"set_pin","smartcard":"{ANN}","pin":"0815"}}"#));
    assert_eq!((pair.end(9).as_str(), card(&pair, ANN).pin.as_deref()), ("completed", Some("0815")));
    assert!(String::from_utf8_lossy(&pair.outcome(9).exchange.request).contains("<Pin>***</Pin>"));
    pair.submit(10, &format!(r#"{{"command":"reset_pin","smartcards":["{ANN}","{BEN}"]}}"#));
    assert_eq!((pair.end(10).as_str(), card(&pair, BEN).pin.as_deref()), ("completed", Some("default")));
    pair.submit(11, &format!(r#"{{"command":"fingerprint","smartcard":"{ANN}"}}"#));
    assert_eq!((pair.end(11).as_str(), card(&pair, ANN).fingerprints), ("completed", 1));
    let mail = r#""message":{"kind":"mail","text":"Mail & <more>"}"#;
    pair.submit(12, &format!(r#"{{"command":"send_message","smartcard":"{ANN}",{mail}}}"#));
    let again = r#""message":{"kind":"repeating_bark","text":"Again","repeat_count":2,"repeat_interval_seconds":20}"#;
    pair.submit(13, &format!(r#"{{"command":"send_message","smartcard":"{ANN}",{again}}}"#));
    assert_eq!((pair.end(12), pair.end(13)), ("completed".to_owned(), "completed".to_owned()));
    assert_eq!(card(&pair, ANN).messages, ["Mail & <more>", "Again"]);
    for private in [&ANN[..11], "B1", "0815", "Again"] {
        assert!(!pair.log.contains(private), "{private} in {}", pair.log);
    }
}

#[test]
fn a_raw_message_is_an_element_or_a_call() {
    let mut pair = pair();
    let element = GOLDEN.split_once("<soap:Body>").unwrap().1.split_once("</soap:Body>").unwrap().0;
    let raw = |payload: &str| {
        format!(r#"{{"command":"raw","payload":"{}"}}"#, headgate_core::text::to_hex(payload.as_bytes()))
    };
    pair.submit(1, &raw(element));
    assert!(pair.end(1).starts_with("completed {\"raw\":"), "{}", pair.end(1));
    assert_eq!(card(&pair, ANN).messages, ["Hello"]);
    let inner =
        "<UpdateCaPinToDefaultValueRequest><CaClientId>01450000011</CaClientId></UpdateCaPinToDefaultValueRequest>";
    let element = format!("<UpdateCaPinToDefaultValue xmlns='urn:x'>{inner}</UpdateCaPinToDefaultValue>");
    pair.submit(
        2,
        &raw(&json!({ "method": "POST", "path": "/ca-server/stand-in/ca-pin", "xml": element }).to_string()),
    );
    assert_eq!(card(&pair, ANN).pin.as_deref(), Some("default"), "{}", pair.end(2));
    for payload in ["<a><b></a>", "<!DOCTYPE a><a/>", "<a/><b/>", "{\"path\":\"/x\"}"] {
        assert!(refusal(&json!({}), &raw(payload)).is_some_and(|told| told.ends_with(": payload")), "{payload}");
    }
}

#[test]
fn what_can_not_be_said_is_refused_when_it_is_posted() {
    for (request, words) in [
        (r#"{"command":"fingerprint","smartcard":"0145000001"}"#, Some("bad_number: smartcards/0")),
        (r#"{"command":"reset_pin","smartcards":["014500000119","0145000001x"]}"#, Some("bad_number: smartcards/1")),
        (r#"{"command":"reset_pin","smartcards":["014500000119","01450000011"]}"#, None),
        (
            r#"{"command":"deactivate_services","smartcard":"014500000119","services":"all"}"#,
            Some("unsupported_command: command"),
        ),
        (r#"{"command":"unpair","smartcard":"014500000119"}"#, Some("unsupported_command: command")),
        (r#"{"command":"test_connection"}"#, Some("unsupported_command: command")),
        (r#"{"command":"get_pairing"}"#, Some("unsupported_command: command")),
        (r#"{"command":"get_pairing","smartcard":"014500000119","stb":"1"}"#, Some("unsupported_command: command")),
        (r#"{"command":"pair","smartcard":"014500000119"}"#, Some("missing_field: stbs")),
    ] {
        assert_eq!(refusal(&json!({}), request).as_deref(), words, "{request}");
    }
    let (code, odd) = ("A", "4x");
    let error = (PROTOCOL.open)(&provider(&[(code, odd)]), &json!({}), 7).err().unwrap();
    assert!(error.text.contains("must have nothing but digits"), "{error}");
}

/// A platform that gives the same answer to every call.
struct Canned(HttpAnswer, Holdings);

impl Backend for Canned {
    fn answer(&mut self, _: Now, _: &HttpRequest, _: Option<Fault>) -> HttpAnswer {
        self.0.clone()
    }

    fn holdings(&self) -> &Holdings {
        &self.1
    }
}

fn ended(status: u16, body: &str) -> (String, Option<String>) {
    let Opened { adapter, .. } = (PROTOCOL.open)(&provider(&SERVICES), &json!({}), 7).unwrap();
    let answer = HttpAnswer::new(status, "text/xml", body.to_owned());
    let mut pair = HttpPair::new(adapter, Box::new(HttpPlatform::new(Canned(answer, Holdings::default()))));
    pair.submit(1, &format!(r#"{{"command":"reset_pin","smartcard":"{ANN}"}}"#));
    let reference = pair.outcome(1).reference.as_ref().map(|reference| reference.as_str().to_owned());
    (pair.end(1), reference)
}

#[test]
fn every_status_code_and_fault_has_one_meaning() {
    let envelope =
        |inner: &str| format!("<S:Envelope xmlns:S='{}'><S:Body>{inner}</S:Body></S:Envelope>", soap::ENVELOPE);
    let said = |code: &str| {
        let ns2 = "xmlns:ns2='http://www.conax.com/cas/xsd/user-text-messaging/v1'";
        let common = "xmlns='http://www.conax.com/cas/xsd/common-types/v1'";
        envelope(&format!(
            "<ns2:xResponse {ns2} {common}><StatusCode>{code}</StatusCode><ns2:Message>text</ns2:Message></ns2:xResponse>"
        ))
    };
    for code in
        ["INPUT_VALIDATION_ERROR", "FEATURE_NOT_AVAILABLE", "CLIENT_NOT_FOUND", "CLIENT_NOT_MANAGED_BY_SMS", "NEW_ONE"]
    {
        assert_eq!(ended(200, &said(code)).0, format!("rejected {code}: text"));
    }
    assert_eq!(ended(200, &said("OK")).0, "completed");
    assert_eq!(ended(200, &said("SYSTEM_ERROR")).0, "failed SYSTEM_ERROR Maybe");
    let fault = |code: &str| {
        envelope(&format!(
            "<S:Fault><faultcode>{code}</faultcode><faultstring>Couldn't parse stream.</faultstring></S:Fault>"
        ))
    };
    assert_eq!(ended(500, &fault("soap:Server")).0, "failed Server Maybe");
    assert_eq!(ended(500, &fault("S:Client")).0, "rejected Client: Couldn't parse stream.");
    assert_eq!(ended(200, &fault("S:Client")).0, "rejected Client: Couldn't parse stream.");
    assert_eq!(ended(500, &fault("not_logged_in")).0, "failed not_logged_in No");
    // A fault in no namespace, as the log of one client shows it.
    let logged = "<soap:Fault xmlns:soap='x'><faultcode>soap:Server</faultcode><faultstring>Couldn't parse stream.</faultstring></soap:Fault>";
    assert_eq!(ended(500, logged).0, "failed Server Maybe");
    let uuid = "6f1e1f1e-0c0b-4a1a-9e39-0a0b0c0d0e0f";
    let odd = envelope(&format!("<r><StatusCode>OK</StatusCode><deep><WhoKnows>{uuid}</WhoKnows></deep></r>"));
    assert_eq!(ended(200, &odd), ("completed".to_owned(), Some(uuid.to_owned())));
    for (status, body, end) in [
        (200, String::new(), "failed answer_unreadable Maybe"),
        (200, "<html><br></html>".to_owned(), "failed answer_unreadable Maybe"),
        (200, envelope("<r/>"), "failed answer_unreadable Maybe"),
        (200, said("OK")[..60].to_owned(), "failed answer_unreadable Maybe"),
        (200, format!("<!DOCTYPE a [<!ENTITY b 'c'>]>{}", said("OK")), "failed answer_unreadable Maybe"),
        (200, "<a>".repeat(10_000), "failed answer_unreadable Maybe"),
        (500, "<html/>".to_owned(), "failed server_error Maybe"),
        (401, String::new(), "failed not_admitted No"),
        (403, String::new(), "failed not_admitted No"),
        (404, String::new(), "rejected http_404: the platform said no"),
        (302, String::new(), "failed redirected No"),
    ] {
        assert_eq!(ended(status, &body).0, end, "{status} {body:.80}");
    }
}

#[test]
fn the_platform_learns_the_encoding_from_the_declaration() {
    let mut platform = ContegoPlatform::new(Default::default(), &stock());
    let mut say = |body: &str| {
        let target = "/ca-server/webservices/caclient/user-text-messaging".to_owned();
        let request = HttpRequest { method: Method::Post, target, headers: Vec::new(), body: body.to_owned().into() };
        platform.answer(start(), &request, None)
    };
    for (declaration, status) in [
        ("", 200),
        ("<?xml version=\"1.0\"?>", 200),
        ("<?xml version='1.0' encoding = 'UTF-8' ?>", 200),
        ("<?xml version=\"1.0\" encoding=\"utf-16\"?>", 500),
    ] {
        let answer = say(&format!("{declaration}{SHEET}"));
        assert_eq!(answer.status, status, "{declaration}");
        if status == 500 {
            let fault = "<faultcode>soap:Server</faultcode><faultstring>Couldn't parse stream.</faultstring>";
            // An apostrophe may be written as an entity.
            assert!(String::from_utf8_lossy(&answer.body).replace("&apos;", "'").contains(fault));
        }
    }
    assert_eq!(say("<a").status, 500);
    assert_eq!(say(&SHEET.replace("/v1", "/v2")).status, 500, "a namespace that is known is checked");
    let refused = |body: &str| String::from_utf8_lossy(&say(body).body).into_owned();
    let mut refused = refused;
    assert!(refused(&SHEET.replace(">20<", ">soon<")).contains("INPUT_VALIDATION_ERROR"));
    assert!(refused(&SHEET.replace("01450000011", "014500000119")).contains("INPUT_VALIDATION_ERROR"));
    assert!(refused(&SHEET.replace("Hello", &"x".repeat(130))).contains("INPUT_VALIDATION_ERROR"));
    assert!(refused(&SHEET.replace("01450000011", "01450000099")).contains("CLIENT_NOT_FOUND"));
}

#[test]
fn the_platform_checks_basic_authentication() {
    let users = [("u".to_owned(), headgate_core::text::Secret::new("p:1"))];
    let open = &mut ContegoPlatform::new(Default::default(), &stock());
    let closed = &mut ContegoPlatform::new(users.into(), &stock());
    let status = |platform: &mut ContegoPlatform, authorization: Option<String>| {
        let headers = authorization.map(|value| ("authorization".to_owned(), value)).into_iter().collect();
        let target = "/ca-server/webservices/caclient/user-text-messaging".to_owned();
        platform
            .answer(start(), &HttpRequest { method: Method::Post, target, headers, body: SHEET.into() }, None)
            .status
    };
    let basic = |account: &str| Some(format!("Basic {}", STANDARD.encode(account)));
    for (authorization, without_users, with_users) in [
        (None, 200, 401),
        (basic("u:p:1"), 200, 200),
        (basic("u:p"), 200, 401),
        (basic("v:p:1"), 200, 401),
        (basic("nobody"), 401, 401),
        (Some("Basic %%".to_owned()), 401, 401),
        (Some("Bearer x".to_owned()), 401, 401),
    ] {
        assert_eq!(status(open, authorization.clone()), without_users, "{authorization:?}");
        assert_eq!(status(closed, authorization.clone()), with_users, "{authorization:?}");
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
        (Fault::UnknownCard, "rejected CLIENT_NOT_FOUND: Client not found"),
        (Fault::Throttle, "failed slow_down No"),
        (Fault::ServerError, "failed server_error Maybe"),
        (Fault::Oversized, "failed answer_too_long Maybe"),
    ] {
        let mut pair = pair();
        pair.platform.inject(fault).unwrap();
        pair.submit(1, &format!(r#"{{"command":"set_pin","smartcard":"{ANN}","pin":"1"}}"#));
        pair.pass(Duration::from_secs(60));
        assert_eq!(pair.end(1), end, "{fault:?}");
        pair.submit(2, &format!(r#"{{"command":"set_pin","smartcard":"{ANN}","pin":"2"}}"#));
        assert_eq!((pair.end(2).as_str(), card(&pair, ANN).pin.as_deref()), ("completed", Some("2")), "{fault:?}");
    }
    assert!(pair().platform.inject(Fault::LoseSessions).is_err(), "there are no sessions");
}

#[test]
fn another_profile_takes_the_place_of_the_shipped_one() {
    let profile = json!({
        "soap": true,
        "answer": { "format": "xml", "success": { "at": "**/StatusCode", "is": ["OK"] }, "error_code": ["**/StatusCode"] },
        "operations": { "reset_pin": {
            "path": "/pins", "smartcards": 1, "confirmed": true,
            "xml": "<Reset xmlns='urn:own'><Card>{smartcard|left:11}</Card><Zone>{vars.zone}</Zone></Reset>"
        } }
    });
    let settings = json!({ "profile": profile, "vars": { "zone": "7" } });
    let mut pair = pair_of(&settings, &stock());
    pair.submit(1, &format!(r#"{{"command":"reset_pin","smartcard":"{ANN}"}}"#));
    assert_eq!((pair.end(1).as_str(), pair.last_call().target.as_str()), ("completed", "/pins"));
    assert!(body(pair.last_call()).contains("<Reset xmlns=\"urn:own\"><Card>01450000011</Card><Zone>7</Zone></Reset>"));
    pair.submit(2, r#"{"command":"reset_pin","smartcard":"014500009990"}"#);
    assert!(pair.end(2).starts_with("rejected CLIENT_NOT_FOUND"), "{}", pair.end(2));
    let other = format!(r#"{{"command":"set_pin","smartcard":"{ANN}","pin":"1"}}"#);
    assert_eq!(refusal(&settings, &other).as_deref(), Some("unsupported_command: command"));
}

/// What `headgate profile show` prints can be put under `settings.profile`, and is spoken by a platform that knows nothing
/// but the profile.
#[test]
fn the_shipped_profile_can_be_written_out() {
    let profile: Value = toml::from_str(PROTOCOL.profile).unwrap();
    let settings = json!({ "profile": profile });
    let cards = PROTOCOL.demo.cards.iter().map(|card| (*card).to_owned()).collect();
    let mut pair = pair_of(&settings, &Stock { cards, ..Stock::default() });
    let mut ends = Vec::new();
    for (id, line) in (1..).zip(PROTOCOL.demo.requests.lines()) {
        let request = line.replacen(r#""provider":"conax-web","#, "", 1);
        if refusal(&settings, &request).is_none() && !line.contains("\"raw\"") {
            pair.submit(id, &request);
            ends.push(pair.end(id).split([' ', ':']).take(2).collect::<Vec<_>>().join(" "));
        }
    }
    let refused: Vec<_> = ends.iter().filter(|end| !end.starts_with("completed")).collect();
    assert_eq!((ends.len(), refused), (15, vec![&"rejected CLIENT_NOT_FOUND".to_owned()]), "{ends:?}");
}

#[test]
fn a_request_is_shown_without_sending_it() {
    let request = format!(
        r#"{{"provider":"p","command":"send_message","smartcard":"{ANN}","message":{{"kind":"bark","text":"Hello"}}}}"#
    );
    let request: RequestBody = serde_json::from_str(&request).unwrap();
    let request = Request::new(RequestId(Default::default()), &request, request.command().unwrap());
    let encoded = (PROTOCOL.encode)(&provider(&SERVICES), &Value::Null, start(), &request).unwrap();
    assert_eq!(encoded[0].title, "POST /ca-server/webservices/caclient/user-text-messaging");
    assert!(encoded[0].bytes.ends_with(GOLDEN.as_bytes()));
    let dissected = (PROTOCOL.decode)(&Value::Null, None, &encoded[0].bytes).unwrap();
    assert_eq!((dissected[0].title.as_str(), dissected[0].broken.is_none()), ("call SendBarkMessageToClients", true));
}
