//! A made-up platform by a profile alone, from both sides: SOAP, and every command about cards.

use std::sync::Arc;

use headgate_core::outcome::{Answer, Verdict};
use headgate_core::platform::Fault;

use crate::http::{CallSettings, HttpAdapter, HttpPlatform};
use crate::registry::Stock;
use crate::template::platform::plain_words;
use crate::template::{Context, TemplateDialogue, TemplatePlatform, Unsigned};
use crate::test_support::http_pair::HttpPair;

const SOAP: &str = r#"
soap = true
prefixes = { c = "urn:common" }
messages = { mail = 100, bark = 100, repeating_bark = 100, to_everybody = true }
[answer]
format = "xml"
success = { at = "**/StatusCode", is = ["OK"] }
error_code = ["**/StatusCode"]
error_text = ["**/Message"]
[operations.activate_services]
path = "/auth"
smartcards = [1, 50]
services = [1, 9]
smartcards_per_call = 2
extract = { reference = "**/TransactionId" }
xml = '''
<Add xmlns="urn:auth" xmlns:t="urn:headgate:template" xmlns:c="urn:common">
  <c:Clients><c:Id t:each="smartcards">{smartcard}</c:Id></c:Clients>
  <Product t:each="services"><Id>{ca_id}</Id></Product>
  <From>{start?|date:%Y-%m-%d %H:%M}</From>
  <To zone="utc">{end|date:%Y-%m-%d %H:%M}</To>
</Add>'''
[operations.deactivate_services]
path = "/auth"
smartcards = [1, 50]
services = [0, 9]
for_each = ["smartcard"]
xml = '<Cancel xmlns="urn:auth" xmlns:t="urn:headgate:template"><Id>{smartcard}</Id><Products><P t:each="services">{ca_id}</P></Products></Cancel>'
[operations.suspend]
path = "/auth"
smartcards = 1
services = [0, 9]
xml = '<Suspend><Id>{smartcard}</Id></Suspend>'
[operations.resume]
path = "/auth"
smartcards = 1
services = [0, 9]
xml = '<Resume><Id>{smartcard}</Id></Resume>'
[operations.refresh_services]
path = "/auth"
smartcards = 1
xml = '<Refresh><Id>{smartcard}</Id></Refresh>'
[operations.get_services]
path = "/auth"
smartcards = [1, 9]
for_each = ["smartcard"]
xml = '<List><Id>{smartcard}</Id></List>'
[operations.get_services.extract.services]
each = "**/Held"
ca_id = "Id"
end = "@until"
suspended = { at = "State", is = ["SUSPENDED"] }
[operations.pair]
path = "/pairing"
smartcards = 1
stbs = [1, 9]
xml = '<Pair xmlns:t="urn:headgate:template"><Id>{smartcard}</Id><Box t:each="stbs" n="{stb}"/></Pair>'
[operations.unpair]
path = "/pairing"
smartcards = 1
stbs = [0, 9]
xml = '<Unpair xmlns:t="urn:headgate:template"><Id>{smartcard}</Id><Box t:each="stbs">{stb}</Box></Unpair>'
[operations.get_pairing]
path = "/pairing"
smartcards = 1
xml = '<Pairing><Id>{smartcard}</Id></Pairing>'
extract = { pairings = { each = "**/Pair", stbs = "Box" } }
[operations.disable_device]
path = "/card"
smartcards = 1
xml = '<Disable><Id>{smartcard}</Id><Why>{reason|map:lost=1,stolen=2,damaged=3}</Why></Disable>'
[operations.enable_device]
path = "/card"
smartcards = 1
xml = '<Enable><Id>{smartcard}</Id></Enable>'
[operations.swap_device]
path = "/card"
smartcards = 1
xml = '<Swap><Id>{smartcard}</Id><New>{new_smartcard}</New></Swap>'
[operations.get_device]
path = "/card"
smartcards = 1
xml = '<Show><Id>{smartcard}</Id></Show>'
extract = { devices = { each = "**/Card", serial = "@number", enabled = { at = "Enabled", is = ["true"] }, paired = "Box" } }
[operations.set_pin]
path = "/pin"
smartcards = 1
xml = '<Set><Id>{smartcard}</Id><Pin>{pin|digits|length:4}</Pin></Set>'
[operations.reset_pin]
path = "/pin"
smartcards = 1
xml = '<Reset><Id>{smartcard}</Id></Reset>'
[operations.clear_pin]
path = "/pin"
smartcards = 1
xml = '<Clear><Id>{smartcard}</Id></Clear>'
[operations.fingerprint]
path = "/osd"
smartcards = 1
xml = '<Fingerprint><Id>{smartcard}</Id><Seconds>{duration}</Seconds></Fingerprint>'
[operations.send_message]
path = "/osd"
smartcards = [1, 50]
when = { to = "devices" }
xml = '<Bark xmlns:t="urn:headgate:template"><Id t:each="smartcards">{smartcard}</Id><Text>{text}</Text><Seconds>{duration?}</Seconds><Times>{count?}</Times></Bark>'
[operations.send_to_everybody]
command = "send_message"
path = "/osd"
when = { to = "everybody" }
xml = '<All><Text>{text}</Text></All>'
"#;

fn pair() -> HttpPair {
    let speech = super::speech(SOAP);
    let stock = Stock { cards: vec!["1".into(), "2".into(), "3".into()], products: Vec::new() };
    let profile = super::profile(SOAP).unwrap();
    let platform = TemplatePlatform::new(profile, Context::default(), Arc::new(Unsigned), plain_words, &stock);
    let adapter = HttpAdapter::new(TemplateDialogue::new(speech), CallSettings::default(), 1);
    HttpPair::new(Box::new(adapter), Box::new(HttpPlatform::new(platform)))
}

/// Carries out one request after the other; all end well.
fn carry_out(pair: &mut HttpPair, requests: &[&str]) {
    for json in requests {
        let id = pair.events.len() as u64 + 1;
        pair.submit(id, json);
        assert!(pair.end(id).starts_with("completed"), "{json}: {}", pair.end(id));
    }
}

#[test]
fn every_command_about_cards_does_what_it_says() {
    let mut pair = pair();
    carry_out(
        &mut pair,
        &[
            r#"{"command":"activate_services","smartcards":["1","2","3"],"services":["SPORT","FILM"],"end":"2026-03-01T10:30:00Z"}"#,
            r#"{"command":"deactivate_services","smartcard":"2","services":["SPORT"]}"#,
            r#"{"command":"deactivate_services","smartcard":"3","services":"all"}"#,
            r#"{"command":"suspend","smartcard":"2"}"#,
            r#"{"command":"refresh_services","smartcard":"1"}"#,
            r#"{"command":"pair","smartcard":"1","stbs":["b1","b2"]}"#,
            r#"{"command":"unpair","smartcard":"1","stb":"b2"}"#,
            r#"{"command":"disable_device","smartcard":"3","reason":"stolen"}"#,
            r#"{"command":"set_pin","smartcard":"1","pin":"4321"}"#,
            r#"{"command":"reset_pin","smartcard":"2"}"#,
            r#"{"command":"fingerprint","smartcard":"1"}"#,
            r#"{"command":"send_message","smartcards":["1","2"],"message":{"kind":"bark","text":"<b> & \"c\""}}"#,
            r#"{"command":"send_message","message":{"kind":"mail","to":"everybody","text":"all"}}"#,
        ],
    );
    let holdings = pair.platform.holdings();
    let [one, two, three] = ["1", "2", "3"].map(|card| &holdings.cards[card]);
    assert_eq!(one.services.keys().collect::<Vec<_>>(), ["42", "<43>"]);
    assert_eq!(one.services["42"].end.unwrap().to_string(), "2026-03-01T10:30:00Z");
    assert!(two.services["<43>"].suspended && two.services.len() == 1);
    assert!(three.services.is_empty());
    assert_eq!(three.disabled.as_deref(), Some("stolen"));
    assert_eq!(one.stbs.iter().collect::<Vec<_>>(), ["b1"]);
    assert_eq!((one.pin.as_deref(), two.pin.as_deref()), (Some("4321"), Some("default")));
    assert_eq!((one.refreshes, one.fingerprints), (1, 1));
    assert_eq!(
        (one.messages.as_slice(), holdings.broadcasts.as_slice()),
        (&["<b> & \"c\"".to_owned()][..], &["all".to_owned()][..])
    );
    // Three cards in blocks of two: two calls.
    assert_eq!(pair.calls.iter().filter(|call| call.target == "/auth").count(), 2 + 1 + 1 + 1 + 1);
    carry_out(
        &mut pair,
        &[
            r#"{"command":"resume","smartcard":"2"}"#,
            r#"{"command":"enable_device","smartcard":"3"}"#,
            r#"{"command":"clear_pin","smartcard":"1"}"#,
            r#"{"command":"swap_device","smartcard":"1","new_smartcard":"3"}"#,
        ],
    );
    let holdings = pair.platform.holdings();
    assert!(!holdings.cards["2"].services["<43>"].suspended);
    assert!(holdings.cards["1"].services.is_empty() && holdings.cards["3"].services.len() == 2);
    assert_eq!((holdings.cards["3"].disabled.as_ref(), holdings.cards["3"].pin.as_ref()), (None, None));
}

#[test]
fn questions_are_answered_in_xml() {
    let mut pair = pair();
    carry_out(
        &mut pair,
        &[
            r#"{"command":"activate_services","smartcard":"1","services":["SPORT"],"end":"2026-03-01T10:30:00Z"}"#,
            r#"{"command":"suspend","smartcard":"1"}"#,
            r#"{"command":"pair","smartcard":"1","stbs":["b1","b2"]}"#,
        ],
    );
    let answer = |pair: &mut HttpPair, json: &str| {
        let id = 1_000 + pair.events.len() as u64;
        pair.submit(id, json);
        match &pair.outcome(id).verdict {
            Verdict::Completed(Some(answer)) => answer.clone(),
            other => panic!("{json}: {other:?}"),
        }
    };
    let Answer::Services(held) = answer(&mut pair, r#"{"command":"get_services","smartcards":["1","2"]}"#) else {
        panic!()
    };
    assert_eq!(held.len(), 2);
    let service = &held[0].services[0];
    assert_eq!(service.code.as_ref().unwrap().as_str(), "SPORT");
    assert_eq!(service.end.unwrap().to_string(), "2026-03-01T10:30:00Z");
    assert!(service.suspended && held[1].services.is_empty());
    let Answer::Pairings(pairings) = answer(&mut pair, r#"{"command":"get_pairing","smartcard":"1"}"#) else {
        panic!()
    };
    assert_eq!(pairings[0].stbs.iter().map(|stb| stb.as_str()).collect::<Vec<_>>(), ["b1", "b2"]);
    let Answer::Devices(devices) = answer(&mut pair, r#"{"command":"get_device","smartcard":"1"}"#) else { panic!() };
    assert_eq!((devices[0].serial.as_str(), devices[0].enabled, devices[0].paired.len()), ("1", Some(true), 2));
}

#[test]
fn what_is_not_known_is_refused_in_part_or_as_a_whole() {
    let mut pair = pair();
    pair.submit(1, r#"{"command":"set_pin","smartcard":"9","pin":"1234"}"#);
    assert_eq!(pair.end(1), "rejected unknown_device: there is no such device");
    // Blocks of two: the second has the unknown card, and the card that shared its call.
    pair.submit(2, r#"{"command":"activate_services","smartcards":["1","2","3","9"],"services":["SPORT"]}"#);
    let Verdict::Rejected(failure) = &pair.outcome(2).verdict else { panic!("{}", pair.end(2)) };
    assert_eq!(failure.parts.iter().map(|part| part.part.as_str()).collect::<Vec<_>>(), ["3", "9"]);
    assert!(failure.text.starts_with("2 of 4"), "{failure}");
    pair.platform.inject(Fault::UnknownCard).unwrap();
    pair.submit(3, r#"{"command":"set_pin","smartcard":"1","pin":"1234"}"#);
    assert_eq!(pair.end(3), "rejected unknown_device: there is no such device");
}
