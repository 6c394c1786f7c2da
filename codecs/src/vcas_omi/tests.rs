//! Both sides joined: what commands become, and what happens when things go wrong.

mod sessions;

use std::time::Duration;

use headgate_core::adapter::Event;
use headgate_core::body::{Refusal, RequestBody};
use headgate_core::failure::Failure;
use headgate_core::outcome::Verdict;
use headgate_core::platform::Fault;
use headgate_core::request::{Request, RequestId};
use headgate_core::text::to_hex;
use serde_json::{Value, json};

use super::PROTOCOL;
use crate::registry::{Opened, Stock};
use crate::test_support::http_pair::HttpPair;
use crate::test_support::{provider, start};

const SERVICES: &[(&str, &str)] = &[("BASIC", "PKG-B"), ("FILM", "PKG-F"), ("SPORT", "PKG-S")];

fn stock() -> Stock {
    let owned = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
    Stock { cards: owned(&["C1", "C2", "C3"]), products: owned(&["PKG-B", "PKG-F", "PKG-S"]) }
}

fn pair_with(settings: Value, stock: &Stock) -> HttpPair {
    let Opened { adapter, .. } = (PROTOCOL.open)(&provider(SERVICES), &settings, 7).unwrap();
    HttpPair::new(adapter, (PROTOCOL.platform)(&settings, stock).unwrap())
}

fn pair() -> HttpPair {
    pair_with(json!({}), &stock())
}

/// The operations that were called since `from` calls, but for logins.
fn operations(pair: &HttpPair, from: usize) -> String {
    let name = |action: &str| action.trim_matches('"').rsplit('/').next().unwrap_or_default().to_owned();
    let names = pair.calls.iter().skip(from).map(|call| name(call.header("soapaction").unwrap_or_default()));
    names.filter(|name| name != "signOn").collect::<Vec<_>>().join(" ")
}

/// Carries a command out; gives its end and the operations that it took.
fn run(pair: &mut HttpPair, id: u64, json: &str) -> (String, String) {
    let before = pair.calls.len();
    pair.submit(id, json);
    (pair.end(id), operations(pair, before))
}

fn check(settings: Value, json: &str) -> Result<(), Refusal> {
    let provider = provider(SERVICES);
    let Opened { rules, .. } = (PROTOCOL.open)(&provider, &settings, 7).unwrap();
    let body: RequestBody = serde_json::from_str(&json.replacen('{', r#"{"provider":"p","#, 1)).unwrap();
    let request = Request::new(RequestId(Default::default()), &body, body.command()?);
    rules.capabilities().check(&request, &provider.services)?;
    rules.check(&request)
}

fn parts(pair: &HttpPair, id: u64) -> (String, Vec<(String, String)>) {
    match &pair.outcome(id).verdict {
        Verdict::Rejected(Failure { code, parts, .. }) => (
            code.to_string(),
            parts.iter().map(|part| (part.part.as_str().to_owned(), part.code.to_string())).collect(),
        ),
        other => panic!("{other:?}"),
    }
}

fn owned(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(part, code)| ((*part).to_owned(), (*code).to_owned())).collect()
}

#[test]
fn services_are_added_extended_and_removed() {
    let mut pair = pair();
    let activate = |end: &str| {
        format!(r#"{{"command":"activate_services","smartcard":"C1","services":["BASIC","SPORT"],"end":"{end}"}}"#)
    };
    let (end, calls) = run(&mut pair, 1, &activate("2030-01-01T00:00:00Z"));
    assert_eq!((end.as_str(), calls.as_str()), ("completed", "addEntitlements"));
    let held = |pair: &HttpPair, package: &str| pair.platform.holdings().cards["C1"].services[package].clone();
    assert_eq!(held(&pair, "PKG-S").end.unwrap().to_string(), "2030-01-01T00:00:00Z");
    assert_eq!(held(&pair, "PKG-S").start, None);
    // What is there already is changed; the first refusal of its code is looked into.
    let (end, calls) = run(&mut pair, 2, &activate("2031-01-01T00:00:00Z"));
    assert_eq!((end.as_str(), calls.as_str()), ("completed", "addEntitlements getNetworkList modifyEntitlements"));
    assert_eq!(held(&pair, "PKG-B").end.unwrap().to_string(), "2031-01-01T00:00:00Z");
    let (_, calls) = run(&mut pair, 3, &activate("2032-01-01T00:00:00Z"));
    assert_eq!(calls, "addEntitlements modifyEntitlements");

    let remove = r#"{"command":"deactivate_services","smartcard":"C1","services":["SPORT"]}"#;
    assert_eq!(run(&mut pair, 4, remove), ("completed".into(), "removeEntitlements".into()));
    assert!(!pair.platform.holdings().cards["C1"].services.contains_key("PKG-S"));
    // What is not held is gone.
    assert_eq!(run(&mut pair, 5, remove).0, "completed");
    let all = r#"{"command":"deactivate_services","smartcards":["C1","C2"],"services":"all"}"#;
    let (end, calls) = run(&mut pair, 6, all);
    assert_eq!(
        (end.as_str(), calls.as_str()),
        ("completed", "getDeviceEntitlements removeEntitlements getDeviceEntitlements")
    );
    assert!(pair.platform.holdings().cards["C1"].services.is_empty());
}

#[test]
fn the_whole_list_is_set_by_its_differences() {
    let mut pair = pair();
    let set = |services: &str, end: &str| {
        format!(r#"{{"command":"set_services","smartcard":"C1","services":{services},"end":"{end}"}}"#)
    };
    let (end, calls) = run(&mut pair, 1, &set(r#"["BASIC","FILM"]"#, "2030-01-01T00:00:00Z"));
    assert_eq!((end.as_str(), calls.as_str()), ("completed", "getDeviceEntitlements addEntitlements"));
    let (_, calls) = run(&mut pair, 2, &set(r#"["BASIC","FILM"]"#, "2030-01-01T00:00:00Z"));
    assert_eq!(calls, "getDeviceEntitlements");
    let (_, calls) = run(&mut pair, 3, &set(r#"["FILM","SPORT"]"#, "2031-01-01T00:00:00Z"));
    assert_eq!(calls, "getDeviceEntitlements removeEntitlements modifyEntitlements addEntitlements");
    let services = &pair.platform.holdings().cards["C1"].services;
    assert_eq!(services.keys().collect::<Vec<_>>(), ["PKG-F", "PKG-S"]);
    assert!(services.values().all(|held| held.end.is_some_and(|end| end.to_string().starts_with("2031"))));
    assert_eq!(run(&mut pair, 4, r#"{"command":"set_services","smartcard":"C1","services":[]}"#).0, "completed");
    assert!(pair.platform.holdings().cards["C1"].services.is_empty());
}

#[test]
fn what_is_refused_in_part_is_told_part_by_part() {
    let mut pair = pair();
    pair.submit(1, r#"{"command":"activate_services","smartcards":["C1","X9","C2"],"services":["BASIC"]}"#);
    assert_eq!(parts(&pair, 1), ("2002".into(), owned(&[("X9", "2002")])));
    assert_eq!(pair.end(1), "rejected 2002: 1 of 3 were refused, the others done; the first: unknown device");
    assert_eq!(pair.platform.holdings().cards["C2"].services.len(), 1);
    // Nothing worked: the platform's words.
    pair.submit(2, r#"{"command":"activate_services","smartcard":"X9","services":["BASIC","FILM"]}"#);
    assert_eq!(pair.end(2), "rejected 2002: unknown device");
    // Of one card, the service is told; of several, both.
    let stock = Stock { products: vec!["PKG-B".into()], ..stock() };
    let mut pair = pair_with(json!({}), &stock);
    pair.submit(1, r#"{"command":"activate_services","smartcard":"C1","services":["BASIC","FILM"]}"#);
    assert_eq!(parts(&pair, 1).1, owned(&[("FILM", "2003")]));
    pair.submit(2, r#"{"command":"activate_services","smartcards":["C1","C2"],"services":["BASIC","FILM"]}"#);
    assert_eq!(parts(&pair, 2).1, owned(&[("C1-PKG-F", "2003"), ("C2-PKG-F", "2003")]));
    pair.submit(3, r#"{"command":"reset_pin","smartcards":["C1","X8","X9"]}"#);
    assert_eq!(parts(&pair, 3).1, owned(&[("X8", "2002"), ("X9", "2002")]));
}

#[test]
fn lists_go_in_blocks() {
    let mut pair = pair_with(json!({ "block_size": 2 }), &Stock::default());
    let cards: Vec<_> = (1..=5).map(|number| format!("\"C{number}\"")).collect();
    let (end, calls) = run(&mut pair, 1, &format!(r#"{{"command":"add_device","smartcards":[{}]}}"#, cards.join(",")));
    assert_eq!((end.as_str(), calls.as_str()), ("completed", "addDevices addDevices addDevices"));
    assert_eq!(pair.platform.holdings().cards.len(), 5);
    let counts =
        pair.calls.iter().rev().take(3).map(|call| String::from_utf8_lossy(&call.body).matches("<t:devices>").count());
    assert_eq!(counts.collect::<Vec<_>>(), [1, 2, 2]);
    // A repeat finds them there, and says so once for each block.
    let (end, _) = run(&mut pair, 2, &format!(r#"{{"command":"add_device","smartcards":[{}]}}"#, cards.join(",")));
    assert_eq!(end, "completed");
}

#[test]
fn devices_come_and_go_and_are_suspended_as_a_whole() {
    let mut pair = pair();
    let disabled = |pair: &HttpPair| pair.platform.holdings().cards["C1"].disabled.is_some();
    for (id, command, is_disabled, operation) in [
        (1, r#"{"command":"suspend","smartcard":"C1"}"#, true, "disableDevices"),
        (2, r#"{"command":"resume","smartcard":"C1"}"#, false, "enableDevices"),
        (3, r#"{"command":"disable_device","smartcard":"C1","reason":"lost"}"#, true, "disableDevices"),
        (4, r#"{"command":"enable_device","smartcard":"C1"}"#, false, "enableDevices"),
    ] {
        assert_eq!(run(&mut pair, id, command), ("completed".into(), operation.into()));
        assert_eq!(disabled(&pair), is_disabled);
    }
    assert_eq!(run(&mut pair, 5, r#"{"command":"add_device","stb":"B1"}"#), ("completed".into(), "addDevices".into()));
    assert!(pair.calls.last().unwrap().body.windows(11).any(|bytes| bytes == b"STB_DVB_STB"));
    assert_eq!(run(&mut pair, 6, r#"{"command":"remove_device","stb":"B1"}"#).0, "completed");
    assert_eq!(run(&mut pair, 7, r#"{"command":"remove_device","stb":"B1"}"#).0, "rejected 2002: unknown device");
    assert_eq!(run(&mut pair, 8, r#"{"command":"refresh_services","smartcard":"C1"}"#).1, "refreshDeviceEntitlements");
    assert_eq!(pair.platform.holdings().cards["C1"].refreshes, 1);
    // A service alone can not be suspended.
    let refusal = check(json!({}), r#"{"command":"suspend","smartcard":"C1","services":["BASIC"]}"#).unwrap_err();
    assert_eq!((refusal.field.as_ref(), refusal.code), ("services", "out_of_range"));
}

#[test]
fn devices_are_created_before_they_are_entitled_where_that_is_set() {
    let mut pair = pair_with(json!({ "create_devices": true }), &stock());
    let activate = r#"{"command":"activate_services","smartcard":"NEW","services":["BASIC"]}"#;
    assert_eq!(run(&mut pair, 1, activate), ("completed".into(), "addDevices addEntitlements".into()));
    let again = r#"{"command":"activate_services","smartcards":["NEW","C1"],"services":["FILM"]}"#;
    let (end, calls) = run(&mut pair, 2, again);
    assert_eq!((end.as_str(), calls.as_str()), ("completed", "addDevices getNetworkList addEntitlements"));
}

#[test]
fn pairs_end_before_new_ones_begin() {
    let mut pair = pair();
    let command =
        |kind: &str, card: &str, stb: &str| format!(r#"{{"command":"{kind}","smartcard":"{card}","stb":"{stb}"}}"#);
    let (end, calls) = run(&mut pair, 1, &command("pair", "C1", "B1"));
    assert_eq!((end.as_str(), calls.as_str()), ("completed", "getSmartCardPairing getSTBPairing addDevicePair"));
    let (end, calls) = run(&mut pair, 2, &command("pair", "C1", "B1"));
    assert_eq!(end, "completed");
    assert_eq!(calls, "getSmartCardPairing getSTBPairing addDevicePair getNetworkList checkDevicePair");
    run(&mut pair, 3, &command("pair", "C2", "B2"));
    let (end, calls) = run(&mut pair, 4, &command("pair", "C1", "B2"));
    assert_eq!(end, "completed");
    assert_eq!(calls, "getSmartCardPairing removeDevicePair getSTBPairing removeDevicePair addDevicePair");
    let stbs =
        |pair: &HttpPair, card: &str| pair.platform.holdings().cards[card].stbs.iter().cloned().collect::<Vec<_>>();
    assert_eq!((stbs(&pair, "C1"), stbs(&pair, "C2")), (vec!["B2".to_owned()], vec![]));
    run(&mut pair, 5, &command("add_to_pairing", "C1", "B3"));
    assert_eq!(stbs(&pair, "C1"), ["B2", "B3"]);
    let (end, _) = run(&mut pair, 6, r#"{"command":"get_pairing","smartcards":["C1","C2"],"stbs":["B3"]}"#);
    let expected = r#"completed {"pairings":[{"smartcard":"C1","stbs":["B2","B3"]},{"smartcard":"C2","stbs":[]}]}"#;
    assert_eq!(end, expected);
    assert_eq!(run(&mut pair, 7, &command("unpair", "C1", "B3")).1, "removeDevicePair");
    assert_eq!(run(&mut pair, 8, r#"{"command":"unpair","stb":"B2"}"#).1, "removeSTBDevicePairing");
    assert!(stbs(&pair, "C1").is_empty());
    assert_eq!(run(&mut pair, 9, r#"{"command":"unpair","smartcards":["C1","C2"]}"#).0, "completed");
    let refusal = check(json!({}), r#"{"command":"unpair","smartcards":["C1","C2"],"stb":"B1"}"#).unwrap_err();
    assert_eq!(refusal.code, "conflicting_fields");
}

#[test]
fn pins_go_as_numbers_and_are_not_recorded() {
    let mut pair = pair_with(json!({ "pin_index": 2 }), &stock());
    pair.submit(1, r#"{"command":"set_pin","smartcard":"C1","pin":"0042"}"#);
    assert_eq!(pair.end(1), "completed");
    assert_eq!(pair.platform.holdings().cards["C1"].pin.as_deref(), Some("42"));
    let sent = String::from_utf8(pair.last_call().body.to_vec()).unwrap();
    assert!(sent.contains("<t:pins><t:index>2</t:index><t:value>42</t:value></t:pins>"), "{sent}");
    let recorded = String::from_utf8(pair.outcome(1).exchange.request.to_vec()).unwrap();
    assert!(recorded.contains("<t:value***/t:value>") && recorded.contains("<t:handle>***</t:handle>"), "{recorded}");
    assert!(!recorded.contains("omi-session"), "{recorded}");
    assert_eq!(run(&mut pair, 2, r#"{"command":"reset_pin","smartcard":"C1"}"#).1, "resetDevicePins");
    assert_eq!(pair.platform.holdings().cards["C1"].pin.as_deref(), Some("default"));
    let refusal = check(json!({}), r#"{"command":"set_pin","smartcard":"C1","pin":"12345678901"}"#).unwrap_err();
    assert_eq!((refusal.field.as_ref(), refusal.code), ("pin", "out_of_range"));
}

#[test]
fn messages_reach_devices_holders_everybody_and_domains() {
    let mut pair = pair_with(json!({ "accounts_are_domains": true }), &stock());
    let send = |to: &str, text: &str| {
        format!(r#"{{"command":"send_message","subscription":"S1"{to},"message":{{"kind":"bark","text":"{text}""#)
    };
    let ends = |to: &str| if to.is_empty() { "}}".to_owned() } else { format!(r#","to":{to}}}}}"#) };
    run(&mut pair, 1, r#"{"command":"create_subscriber","subscription":"S1"}"#);
    run(&mut pair, 2, r#"{"command":"activate_services","smartcard":"C2","services":["FILM"]}"#);
    for (id, devices, to, operation) in [
        (3, r#","smartcards":["C1","C2"]"#, "", "generateOSM generateOSM"),
        (4, "", r#"{"holders_of":"FILM"}"#, "generatePackageOSM"),
        (5, "", r#""everybody""#, "generateOSM"),
        (6, "", r#""subscriber""#, "generateOSM"),
    ] {
        let (end, calls) = run(&mut pair, id, &(send(devices, &format!("text {id}")) + &ends(to)));
        assert_eq!((end.as_str(), calls.as_str()), ("completed", operation), "{to}");
    }
    let holdings = pair.platform.holdings();
    assert_eq!(holdings.cards["C1"].messages, ["text 3"]);
    assert_eq!(holdings.cards["C2"].messages, ["text 3", "text 4"]);
    assert_eq!(
        (holdings.broadcasts.as_slice(), holdings.accounts["S1"].messages.as_slice()),
        (["text 5".to_owned()].as_slice(), ["text 6".to_owned()].as_slice())
    );
    let body = String::from_utf8(pair.last_call().body.to_vec()).unwrap();
    assert!(body.contains("<t:entityType>DOMAIN</t:entityType><t:entityId>S1</t:entityId>"), "{body}");
    assert!(
        body.contains("<t:messageId>7</t:messageId>") && body.contains("<t:displayDuration>20</t:displayDuration>")
    );
}

#[test]
fn messages_that_can_not_be_are_refused() {
    let message = |message: &str| format!(r#"{{"command":"send_message","smartcard":"C1","message":{message}}}"#);
    let long = "é".repeat(200);
    for (settings, json, field) in [
        (json!({}), message(r#"{"kind":"mail","text":"x"}"#), "message/kind"),
        (
            json!({}),
            message(r#"{"kind":"repeating_bark","text":"x","repeat_count":2,"repeat_interval_seconds":60}"#),
            "message/kind",
        ),
        (json!({}), message(r#"{"kind":"bark","text":"x","start":"2030-01-01T00:00:00Z"}"#), "message/start"),
        (json!({}), message(&format!(r#"{{"kind":"bark","text":"{long}"}}"#)), "message/text"),
        (json!({}), message("{\"kind\":\"bark\",\"text\":\"a\\u0007b\"}"), "message/text"),
        (json!({}), r#"{"command":"send_message","message":{"kind":"bark","text":"x"}}"#.into(), "smartcards"),
        (
            json!({}),
            r#"{"command":"send_message","subscription":"S","message":{"to":"subscriber","kind":"bark","text":"x"}}"#
                .into(),
            "message/to",
        ),
        (
            json!({}),
            r#"{"command":"send_message","message":{"to":{"region":"1"},"kind":"bark","text":"x"}}"#.into(),
            "message/to",
        ),
    ] {
        assert_eq!(check(settings, &json).unwrap_err().field, field, "{json}");
    }
    let repeating = message(r#"{"kind":"repeating_bark","text":"x","repeat_count":3,"repeat_interval_seconds":60}"#);
    let later = json!({ "version": "later", "osm": { "priority": 2, "charset_name": "UTF-8" } });
    assert_eq!(check(later.clone(), &repeating), Ok(()));
    let mut pair = pair_with(later, &stock());
    assert_eq!(run(&mut pair, 1, &repeating).0, "completed");
    let body = String::from_utf8(pair.last_call().body.to_vec()).unwrap();
    assert!(body.contains("<t:priority>2</t:priority><t:cycleDuration>180</t:cycleDuration>"), "{body}");
    assert!(body.contains("</t:messageText><t:charsetName>UTF-8</t:charsetName><t:messageDescriptor>"), "{body}");
}

#[test]
fn questions_are_answered() {
    let mut pair = pair();
    run(
        &mut pair,
        1,
        r#"{"command":"activate_services","smartcard":"C1","services":["SPORT"],"start":"2026-01-01T00:00:00Z","end":"2030-01-01T00:00:00Z"}"#,
    );
    let (end, _) = run(&mut pair, 2, r#"{"command":"get_services","smartcards":["C1","C2"]}"#);
    assert_eq!(
        end,
        r#"completed {"services":[{"smartcard":"C1","services":[{"code":"SPORT","ca_id":"PKG-S","start":"2026-01-01T00:00:00Z","end":"2030-01-01T00:00:00Z"}]},{"smartcard":"C2","services":[]}]}"#
    );
    let device = r#"{"serial":"C1","attributes":{"deviceType":"STB_DVB_SC","networkDeviceId":"C1","smsNetworkId":"dvb-network"}}"#;
    let get = r#"{"command":"get_device","smartcard":"C1"}"#;
    let (end, calls) = run(&mut pair, 3, get);
    assert_eq!((end, calls.as_str()), (format!(r#"completed {{"devices":[{device}]}}"#), "getDeviceEntitlements"));
    assert_eq!(run(&mut pair, 4, r#"{"command":"get_device","smartcard":"X9"}"#).0, "rejected 2002: unknown device");

    // Page by page, until it is found or the list ends.
    let cards = (0..25).map(|number| format!("D{number:02}")).chain(["C1".to_owned()]).collect();
    let settings = json!({ "find_device": "device_list", "page_size": 10 });
    let mut pair = pair_with(settings, &Stock { cards, ..stock() });
    let (end, calls) = run(&mut pair, 1, get);
    assert_eq!((end, calls.as_str()), (format!(r#"completed {{"devices":[{device}]}}"#), "getDeviceList"));
    let (end, calls) = run(&mut pair, 2, r#"{"command":"get_device","smartcards":["D24","X9"]}"#);
    assert_eq!(calls, "getDeviceList getDeviceList getDeviceList");
    assert!(end.starts_with("rejected unknown_device: 1 of 1") || end.contains("no such device"), "{end}");
}

#[test]
fn the_connection_is_tested_with_its_network() {
    let test = r#"{"command":"test_connection"}"#;
    let mut pair = pair();
    assert_eq!(run(&mut pair, 1, test), ("completed".into(), "getNetworkList".into()));
    let settings = json!({ "network": "OTHER" });
    let Opened { adapter, .. } = (PROTOCOL.open)(&provider(SERVICES), &settings, 7).unwrap();
    let mut pair = HttpPair::new(adapter, (PROTOCOL.platform)(&json!({}), &stock()).unwrap());
    assert!(run(&mut pair, 1, test).0.starts_with("rejected unknown_network: "));
    let refused = run(&mut pair, 2, r#"{"command":"add_device","smartcard":"C9"}"#).0;
    assert_eq!(refused, "rejected 2004: unknown network");
}

#[test]
fn accounts_are_domains_where_that_is_set() {
    let domains = json!({ "accounts_are_domains": true, "domain_devices": 1 });
    let mut pair = pair_with(domains.clone(), &stock());
    for (id, command, operations) in [
        (1, r#"{"command":"create_subscriber","subscription":"S1"}"#, "addDomains"),
        (2, r#"{"command":"add_device","subscription":"S1","smartcard":"C7"}"#, "addDevices addDomainDevices"),
        (3, r#"{"command":"activate_services","subscription":"S1","services":["BASIC","FILM"]}"#, "addEntitlements"),
        (4, r#"{"command":"deactivate_services","subscription":"S1","services":["FILM"]}"#, "removeEntitlements"),
    ] {
        assert_eq!(run(&mut pair, id, command), ("completed".into(), operations.into()), "{command}");
    }
    let account = &pair.platform.holdings().accounts["S1"];
    assert!(account.devices.contains("C7") && account.services.contains_key("PKG-B") && account.services.len() == 1);
    let (end, _) = run(&mut pair, 5, r#"{"command":"get_subscriber","subscription":"S1"}"#);
    assert_eq!(end, r#"completed {"subscriber":{"account":"S1","services":[{"code":"BASIC","ca_id":"PKG-B"}]}}"#);
    let (end, _) = run(&mut pair, 6, r#"{"command":"get_services","subscription":"S1"}"#);
    assert_eq!(end, r#"completed {"services":[{"account":"S1","services":[{"code":"BASIC","ca_id":"PKG-B"}]}]}"#);
    // The device is there, but the domain is full.
    pair.submit(7, r#"{"command":"add_device","subscription":"S1","smartcard":"C8"}"#);
    assert_eq!(parts(&pair, 7).1, owned(&[("C8", "2008")]));
    let (_, calls) = run(&mut pair, 8, r#"{"command":"remove_device","subscription":"S1","smartcard":"C7"}"#);
    assert_eq!(calls, "removeDomainDevices removeDevices");
    assert_eq!(run(&mut pair, 9, r#"{"command":"remove_subscriber","subscription":"S1"}"#).0, "completed");
    assert!(pair.platform.holdings().accounts.is_empty());
    let refusal = check(domains, r#"{"command":"add_device","smartcard":"C1"}"#).unwrap_err();
    assert_eq!(refusal.field, "subscription");
    let refusal = check(json!({}), r#"{"command":"get_subscriber","subscription":"S1"}"#).unwrap_err();
    assert_eq!(refusal.code, "unsupported_command");
}

#[test]
fn raw_calls_carry_our_session_and_give_the_answer_back() {
    let raw = |xml: &str| format!(r#"{{"command":"raw","payload":"{}"}}"#, to_hex(xml.as_bytes()));
    let names = format!("xmlns:o='{}' xmlns:t='{}'", super::wire::OMI, super::wire::TYPES);
    let mut pair = pair();
    let network = format!(
        "<o:addNetwork {names}><network><t:smsNetworkId>N2</t:smsNetworkId><t:networkType>OTT</t:networkType></network></o:addNetwork>"
    );
    let (end, calls) = run(&mut pair, 1, &raw(&network));
    assert!(end.starts_with(r#"completed {"raw":""#), "{end}");
    assert_eq!(calls, "addNetwork");
    assert_eq!(pair.last_call().target, "/services/ConfigurationMgmtService");
    let list = format!("<o:getNetworkList {names}/>");
    let (end, _) = run(&mut pair, 2, &raw(&list));
    assert!(end.contains(&to_hex(b">N2<")), "{end}");
    // What a platform tells of passwords is for the caller, not for the record.
    let secret = network.replace("N2", "N3").replace(
        "</network>",
        "<t:connection><t:uri>u</t:uri><t:authPassword>a&lt;b é</t:authPassword></t:connection></network>",
    );
    run(&mut pair, 6, &raw(&secret));
    run(&mut pair, 7, &raw(&list));
    let recorded = |id| {
        let exchange = &pair.outcome(id).exchange;
        String::from_utf8([exchange.request.as_ref(), exchange.response.as_ref()].concat()).unwrap()
    };
    for id in [6, 7] {
        let text = recorded(id);
        assert!(id != 7 || text.contains("<authPassword>***</authPassword>") || text.contains(">***</t:authPassword>"));
        assert!(!text.contains("a&lt;b") && text.contains("N2") == (id == 7), "{text}");
    }
    // A refusal is the caller's to read, but a lost session is ours.
    pair.platform.inject(Fault::LoseSessions).unwrap();
    let (end, calls) = run(&mut pair, 3, &raw(&network));
    assert_eq!(calls, "addNetwork getNetworkList addNetwork getNetworkList");
    assert!(end.contains(&to_hex(b">2001<")), "{end}");
    let pins = format!(
        "<o:setDevicePins {names}><device><t:smsDeviceId>C1</t:smsDeviceId><t:smsNetworkId>dvb-network</t:smsNetworkId>\
         <t:deviceType>STB_DVB_SC</t:deviceType><t:networkDeviceId>C1</t:networkDeviceId></device>\
         <devicePinList><t:pins><t:index>0</t:index><t:value>8642</t:value></t:pins></devicePinList></o:setDevicePins>"
    );
    run(&mut pair, 4, &raw(&pins));
    assert_eq!(pair.platform.holdings().cards["C1"].pin.as_deref(), Some("8642"));
    assert!(!String::from_utf8_lossy(&pair.outcome(4).exchange.request).contains("8642"));
    for (payload, words) in
        [(raw(&network.replace("addNetwork", "addNetworks")), "no operation"), (raw("<a"), "no XML")]
    {
        let refusal = check(json!({}), &payload).unwrap_err();
        assert!(refusal.field == "payload" && refusal.detail.contains(words), "{refusal}");
    }
    // What the platform does not understand is a fault.
    let odd = format!("<o:addNetwork {names}><other/></o:addNetwork>");
    assert_eq!(run(&mut pair, 5, &raw(&odd)).0, "rejected Client: <addNetwork> has no <network> where it belongs");
}

#[test]
fn version_3_5_lacks_what_came_later() {
    let old = || json!({ "version": "3.5" });
    assert_eq!(
        check(old(), r#"{"command":"refresh_services","smartcard":"C1"}"#).unwrap_err().code,
        "unsupported_command"
    );
    let verify = format!("<o:verifyDevice xmlns:o='{}'/>", super::wire::OMI);
    let raw = format!(r#"{{"command":"raw","payload":"{}"}}"#, to_hex(verify.as_bytes()));
    assert!(check(old(), &raw).is_err());
}

#[test]
fn a_request_is_written_as_it_would_be_sent() {
    let body: RequestBody =
        serde_json::from_str(r#"{"provider":"p","command":"add_device","smartcard":"C<1>"}"#).unwrap();
    let request = Request::new(RequestId(Default::default()), &body, body.command().unwrap());
    let encoded = (PROTOCOL.encode)(&provider(SERVICES), &json!({}), start(), &request).unwrap();
    assert_eq!((encoded.len(), encoded[0].title.as_str()), (1, "POST /services/DeviceMgmtService"));
    let text = String::from_utf8(encoded[0].bytes.to_vec()).unwrap();
    assert!(text.contains("soapaction: \"http://www.verimatrix.com/omi/addDevices\"\r\n"), "{text}");
    assert!(text.contains("<t:smsDeviceId>C&lt;1&gt;</t:smsDeviceId>"), "{text}");
    assert!(text.contains("<sessionHandle><t:handle>SESSION</t:handle></sessionHandle>"), "{text}");
    let dissections = (PROTOCOL.decode)(&json!({}), None, &encoded[0].bytes).unwrap();
    assert_eq!(dissections[0].title, "addDevices, call of DeviceMgmtService");
}

#[test]
fn paths_and_the_soap_action_can_be_set() {
    let settings = json!({ "soap_action": false, "paths": { "admin": "/omi/Admin/", "device": "/omi/Device/" } });
    let mut pair = pair_with(settings, &stock());
    pair.submit(1, r#"{"command":"reset_pin","smartcard":"C1"}"#);
    assert_eq!(pair.end(1), "completed");
    let targets: Vec<_> = pair.calls.iter().map(|call| call.target.as_str()).collect();
    assert_eq!(targets, ["/omi/Admin/", "/omi/Device/"]);
    assert!(pair.calls.iter().all(|call| call.header("soapaction").is_none()));
}

#[test]
fn the_fuzz_targets_take_what_the_protocol_says() {
    let mut pair = pair();
    run(&mut pair, 1, r#"{"command":"set_services","smartcard":"C1","services":["BASIC"]}"#);
    for call in &pair.calls {
        super::fuzzing::decode(&call.body);
        super::fuzzing::platform(&call.body);
    }
    for bytes in [b"".as_slice(), b"<", b"\xff\x00", b"<a xmlns='http://www.verimatrix.com/omi'/>"] {
        super::fuzzing::decode(bytes);
        super::fuzzing::platform(bytes);
    }
}

proptest::proptest! {
    #[test]
    fn mutilated_messages_are_survived(
        edits in proptest::collection::vec((0_usize..2_000, 0_usize..40, "[<>/a-zA-Z0-9:\"' &;=\u{0}]{0,8}"), 1..4),
        answer: bool,
    ) {
        let handle = "H";
        let devices = ["C1", "C2"].map(|id| {
            format!(
                "<t:devices><t:smsDeviceId>{id}</t:smsDeviceId><t:smsNetworkId>dvb-network</t:smsNetworkId>\
                 <t:deviceType>STB_DVB_SC</t:deviceType><t:networkDeviceId>{id}</t:networkDeviceId></t:devices>"
            )
        });
        let results = "<t:result><t:resultId>C1</t:resultId><t:resultCode>0</t:resultCode><t:resultText/></t:result>";
        let inner = match answer {
            true => format!("<o:addDevicesResponse><resultList>{results}</resultList></o:addDevicesResponse>"),
            false => format!(
                "<o:addDevices><deviceList>{}</deviceList><sessionHandle><t:handle>{handle}</t:handle></sessionHandle>\
                 </o:addDevices>",
                devices.concat()
            ),
        };
        let mut message = format!(
            "<s:Envelope xmlns:s='{}' xmlns:o='{}' xmlns:t='{}'><s:Body>{inner}</s:Body></s:Envelope>",
            crate::http::soap::ENVELOPE,
            super::wire::OMI,
            super::wire::TYPES
        )
        .into_bytes();
        for (at, length, text) in edits {
            let start = at % message.len();
            let end = (start + length).min(message.len());
            message.splice(start..end, text.into_bytes());
            if message.is_empty() {
                break;
            }
        }
        super::fuzzing::decode(&message);
        super::fuzzing::platform(&message);
    }
}
