//! Every command against the platform, in both languages.

use std::time::Duration;

use headgate_core::outcome::{Answer, Verdict};
use serde_json::json;

use super::{CARDS, LANGUAGES, count, functions, pair, settings};
use crate::panaccess::PROTOCOL;
use crate::registry::Opened;
use crate::test_support::http_pair::HttpPair;
use crate::test_support::{provider, submission};

/// Submits requests one after the other, and expects each to be completed.
fn complete(pair: &mut HttpPair, first: u64, requests: &[&str]) {
    for (id, request) in (first..).zip(requests) {
        pair.submit(id, request);
        assert!(pair.end(id).starts_with("completed"), "{request}: {}", pair.end(id));
    }
}

#[test]
fn cards_get_products_lose_them_and_are_asked_for_them() {
    for binding in LANGUAGES {
        let mut pair = pair(binding, &json!({}));
        complete(
            &mut pair,
            1,
            &[
                r#"{"command":"test_connection"}"#,
                r#"{"command":"activate_services","smartcards":["0123456701","0123456702"],"services":["BASIC","SPORT"],"end":"2030-12-31T23:59:59Z"}"#,
                r#"{"command":"deactivate_services","smartcard":"0123456702","services":["SPORT"]}"#,
                r#"{"command":"set_services","smartcard":"0123456702","services":["BASIC","FILM"],"end":"2031-01-01T00:00:00Z"}"#,
                r#"{"command":"suspend","smartcard":"0123456701","services":["SPORT"]}"#,
            ],
        );
        let cards = &pair.platform.holdings().cards;
        assert_eq!(cards["0123456701"].services.keys().collect::<Vec<_>>(), ["11", "12"]);
        assert_eq!(cards["0123456702"].services.keys().collect::<Vec<_>>(), ["11", "13"]);
        assert_eq!(cards["0123456702"].services["11"].end, "2031-01-01T00:00:00Z".parse().ok());
        assert!(cards["0123456701"].services["12"].suspended && !cards["0123456701"].services["11"].suspended);
        // A card without a subscriber got one of its own number.
        assert!(pair.platform.holdings().accounts["0123456701"].devices.contains("0123456701"));

        pair.submit(10, r#"{"command":"get_services","smartcards":["0123456701","0123456703"]}"#);
        let held = r#"completed {"services":[{"smartcard":"0123456701","account":"0123456701","services":[{"code":"BASIC","ca_id":"11","start":"2026-01-15T12:00:00Z","end":"2030-12-31T23:59:59Z","suspended":false},{"code":"SPORT","ca_id":"12","start":"2026-01-15T12:00:00Z","end":"2030-12-31T23:59:59Z","suspended":true}]},{"smartcard":"0123456703","services":[]}]}"#;
        assert_eq!(pair.end(10), held.replace(r#","suspended":false"#, ""));
        complete(
            &mut pair,
            11,
            &[
                r#"{"command":"resume","smartcard":"0123456701"}"#,
                r#"{"command":"resume","smartcard":"0123456703"}"#,
                r#"{"command":"deactivate_services","smartcard":"0123456701","services":"all"}"#,
                r#"{"command":"set_services","smartcard":"0123456702","services":[]}"#,
            ],
        );
        let cards = &pair.platform.holdings().cards;
        assert!(CARDS.iter().all(|card| cards[*card].services.is_empty()));
        assert_eq!(count(&pair, "enableOrderOfSubscriber"), 1);
    }
}

#[test]
fn services_without_an_end_last_for_the_default_period() {
    let mut pair = pair("json", &json!({"default_period_months": 2}));
    complete(&mut pair, 1, &[r#"{"command":"activate_services","smartcard":"0123456701","services":["BASIC"]}"#]);
    let end = pair.platform.holdings().cards["0123456701"].services["11"].end;
    assert_eq!(end, "2026-03-15T12:00:00Z".parse().ok());
}

#[test]
fn packages_are_set_as_a_whole() {
    for binding in LANGUAGES {
        let mut pair = pair(binding, &json!({"mode": "packages"}));
        complete(
            &mut pair,
            1,
            &[
                r#"{"command":"set_services","smartcard":"0123456701","services":["BASIC","SPORT"],"start":"2026-02-01T00:00:00Z","end":"2027-01-01T00:00:00Z"}"#,
                r#"{"command":"set_services","smartcard":"0123456701","services":["FILM"],"end":"2027-01-01T00:00:00Z"}"#,
            ],
        );
        assert_eq!(pair.platform.holdings().cards["0123456701"].services.keys().collect::<Vec<_>>(), ["13"]);
        pair.submit(5, r#"{"command":"get_services","smartcard":"0123456701"}"#);
        let held = r#"completed {"services":[{"smartcard":"0123456701","services":[{"code":"FILM","ca_id":"13"}]}]}"#;
        assert_eq!(pair.end(5), held);
        complete(&mut pair, 6, &[r#"{"command":"deactivate_services","smartcard":"0123456701","services":"all"}"#]);
        assert!(pair.platform.holdings().cards["0123456701"].services.is_empty());
        pair.submit(7, r#"{"command":"disable_device","smartcard":"0123456701","reason":"damaged"}"#);
        pair.submit(8, r#"{"command":"set_services","smartcard":"0123456701","services":["FILM"]}"#);
        assert!(pair.end(8).starts_with("rejected smartcard_is_defect"), "{}", pair.end(8));
    }
}

#[test]
fn subscribers_come_change_and_go() {
    for binding in LANGUAGES {
        let mut pair = pair(binding, &json!({"license_blocks": true}));
        let create = r#"{"subscription":"S-1","command":"create_subscriber","subscriber":{"first_name":"Ada","last_name":"Example & Co","email":"a@example.org","phone":"+35722","address":{"street":"Street 1","country":"cy"},"attributes":{"comment":"new"}}}"#;
        complete(
            &mut pair,
            1,
            &[
                create,
                create,
                r#"{"subscription":"S-1","command":"add_device","smartcards":["0123456701","0123456702"]}"#,
                r#"{"subscription":"S-1","command":"add_device","smartcard":"0123456701"}"#,
                r#"{"subscription":"S-1","command":"activate_services","smartcard":"0123456701","services":["BASIC"],"end":"2030-01-01T00:00:00Z"}"#,
                r#"{"subscription":"S-1","command":"update_subscriber","subscriber":{"last_name":"Sample","region":"hc2"}}"#,
            ],
        );
        let account = &pair.platform.holdings().accounts["S-1"];
        let attributes: Vec<_> = account.attributes.iter().map(|(name, text)| (&**name, &**text)).collect();
        assert_eq!(
            attributes,
            [("comment", "new"), ("countryCode", "CY"), ("firstName", "Ada"), ("hcId", "hc2"), ("lastName", "Sample")]
        );
        assert_eq!(account.devices.len(), 2);
        pair.submit(8, r#"{"subscription":"S-1","command":"get_subscriber"}"#);
        let Verdict::Completed(Some(Answer::Subscriber(known))) = &pair.outcome(8).verdict else { panic!() };
        assert_eq!((known.account.as_str(), known.devices.len(), known.services.len()), ("S-1", 2, 1));
        assert_eq!(known.attributes["lastName"].as_str(), "Sample");
        let before = pair.calls.len();
        complete(
            &mut pair,
            9,
            &[
                r#"{"subscription":"S-1","command":"remove_subscriber"}"#,
                r#"{"subscription":"S-1","command":"remove_subscriber"}"#,
            ],
        );
        let closing = functions(&pair).split_off(before - super::logins(&pair));
        assert_eq!(
            closing,
            [
                "getOrdersOfSubscriber",
                "removeLicenseBlockFromSubscriber",
                "getSmartcardsOfSubscriber",
                "cleanSmartcards",
                "removeSmartcardFromSubscriber",
                "removeSmartcardFromSubscriber",
                "deleteSubscriber",
                "getOrdersOfSubscriber",
            ]
        );
        assert!(pair.platform.holdings().accounts.is_empty());
        assert!(pair.platform.holdings().cards["0123456701"].services.is_empty());
        pair.submit(20, r#"{"subscription":"S-1","command":"update_subscriber","subscriber":{"last_name":"X"}}"#);
        assert!(pair.end(20).starts_with("rejected subscriber_does_not_exist"), "{}", pair.end(20));
        pair.submit(21, r#"{"subscription":"S-1","command":"create_subscriber","subscriber":{"region":"north"}}"#);
        assert!(pair.end(21).starts_with("rejected not_a_headcontrol"), "{}", pair.end(21));
    }
}

#[test]
fn devices_are_swapped_disabled_paired_and_told_of() {
    for binding in LANGUAGES {
        let mut pair = pair(binding, &json!({}));
        complete(
            &mut pair,
            1,
            &[
                r#"{"subscription":"S-1","command":"create_subscriber"}"#,
                r#"{"subscription":"S-1","command":"add_device","smartcard":"0123456701"}"#,
                r#"{"subscription":"S-1","command":"activate_services","smartcard":"0123456701","services":["BASIC"],"end":"2030-01-01T00:00:00Z"}"#,
                r#"{"command":"pair","smartcard":"0123456701","stb":"00A1B2C3D4E5F601"}"#,
                r#"{"command":"set_pin","smartcard":"0123456701","pin":"0032"}"#,
                r#"{"command":"refresh_services","smartcard":"0123456701"}"#,
                r#"{"command":"disable_device","smartcard":"0123456702","reason":"lost"}"#,
                r#"{"command":"disable_device","smartcard":"0123456701","reason":"damaged"}"#,
            ],
        );
        let cards = &pair.platform.holdings().cards;
        assert_eq!(cards["0123456702"].disabled.as_deref(), Some("disabled"));
        let card = &cards["0123456701"];
        assert_eq!((card.disabled.as_deref(), card.pin.as_deref(), card.refreshes), (Some("defect"), Some("0032"), 1));
        assert!(card.stbs.contains("00A1B2C3D4E5F601"));
        pair.submit(20, r#"{"command":"get_pairing","smartcards":["0123456701","0123456703"]}"#);
        assert_eq!(
            pair.end(20),
            r#"completed {"pairings":[{"smartcard":"0123456701","stbs":["00A1B2C3D4E5F601"]},{"smartcard":"0123456703","stbs":[]}]}"#
        );
        pair.submit(21, r#"{"command":"get_device","smartcard":"0123456701"}"#);
        assert!(pair.end(21).contains(r#""enabled":false,"paired":["00A1B2C3D4E5F601"]"#), "{}", pair.end(21));
        assert!(!pair.end(21).contains("32"), "the PIN is told");
        complete(
            &mut pair,
            22,
            &[
                r#"{"command":"enable_device","smartcards":["0123456701","0123456702"]}"#,
                r#"{"command":"reset_pin","smartcard":"0123456701"}"#,
                r#"{"command":"unpair","smartcard":"0123456701"}"#,
                r#"{"command":"unpair","smartcard":"0123456701"}"#,
                r#"{"command":"unpair","smartcard":"0123456701","stb":"00A1B2C3D4E5F601"}"#,
                r#"{"subscription":"S-1","command":"swap_device","smartcard":"0123456701","new_smartcard":"0123456704"}"#,
                r#"{"subscription":"S-1","command":"swap_device","smartcard":"0123456701","new_smartcard":"0123456704"}"#,
                r#"{"command":"remove_device","smartcard":"0123456702"}"#,
            ],
        );
        assert_eq!(count(&pair, "markSmartcardAsOk"), 1);
        let cards = &pair.platform.holdings().cards;
        assert!(cards["0123456701"].disabled.is_none() && cards["0123456702"].disabled.is_none());
        assert_eq!(cards["0123456701"].pin.as_deref(), Some("0000"));
        assert!(cards["0123456701"].stbs.is_empty() && cards["0123456701"].services.is_empty());
        assert_eq!(cards["0123456704"].services.keys().collect::<Vec<_>>(), ["11"]);
        // Somebody else's card is not taken, unless the settings say so.
        pair.submit(40, r#"{"subscription":"S-2","command":"create_subscriber"}"#);
        pair.submit(41, r#"{"subscription":"S-2","command":"add_device","smartcard":"0123456703"}"#);
        pair.submit(
            42,
            r#"{"subscription":"S-1","command":"swap_device","smartcard":"0123456704","new_smartcard":"0123456703"}"#,
        );
        assert_eq!(pair.end(42), "rejected smartcard_assigned_already: smartcard_assigned_already");
        pair.submit(43, r#"{"subscription":"S-1","command":"add_device","smartcard":"0123456703"}"#);
        assert!(pair.end(43).starts_with("rejected smartcard_assigned_already"));
    }
}

#[test]
fn cards_can_be_exchanged() {
    let mut pair = pair("json", &json!({"allow_exchange": true}));
    complete(
        &mut pair,
        1,
        &[
            r#"{"subscription":"S-1","command":"create_subscriber"}"#,
            r#"{"subscription":"S-1","command":"add_device","smartcard":"0123456701"}"#,
            r#"{"subscription":"S-2","command":"create_subscriber"}"#,
            r#"{"subscription":"S-2","command":"add_device","smartcard":"0123456702"}"#,
            r#"{"subscription":"S-1","command":"swap_device","smartcard":"0123456701","new_smartcard":"0123456702"}"#,
        ],
    );
    let accounts = &pair.platform.holdings().accounts;
    assert!(accounts["S-1"].devices.contains("0123456702") && accounts["S-2"].devices.contains("0123456701"));
}

#[test]
fn messages_reach_whom_they_are_for() {
    for binding in LANGUAGES {
        let mut pair = pair(binding, &json!({}));
        complete(
            &mut pair,
            1,
            &[
                r#"{"subscription":"S-1","command":"create_subscriber"}"#,
                r#"{"subscription":"S-1","command":"add_device","smartcard":"0123456701"}"#,
                r#"{"command":"activate_services","smartcard":"0123456702","services":["BASIC"],"end":"2030-01-01T00:00:00Z"}"#,
                r#"{"command":"send_message","smartcard":"0123456703","message":{"kind":"bark","text":"one <é>","start":"2026-01-15T12:01:30Z"}}"#,
                r#"{"command":"send_message","smartcards":["0123456703","0123456704"],"message":{"kind":"repeating_bark","text":"two","repeat_count":2,"repeat_interval_seconds":120}}"#,
                r#"{"subscription":"S-1","command":"send_message","message":{"to":"subscriber","kind":"bark","text":"three"}}"#,
                r#"{"command":"send_message","message":{"to":{"holders_of":"BASIC"},"kind":"bark","text":"four"}}"#,
                r#"{"command":"send_message","message":{"to":{"region":"hc7"},"kind":"repeating_bark","text":"five","repeat_count":1,"repeat_interval_seconds":60}}"#,
                r#"{"command":"send_message","message":{"to":"everybody","kind":"bark","text":"six"}}"#,
            ],
        );
        let holdings = pair.platform.holdings();
        let texts = |card: &str| holdings.cards[card].messages.clone();
        assert_eq!(CARDS.map(texts), [vec!["three"], vec!["four"], vec!["one <é>", "two"], vec!["two"]]);
        assert_eq!(holdings.broadcasts, ["five", "six"]);
        assert_eq!(holdings.accounts["S-1"].messages, ["three"]);
        assert_eq!((count(&pair, "sendOsm"), count(&pair, "sendBulkOsm")), (5, 1));
        if binding == "json" {
            let forms: Vec<_> = pair.calls.iter().map(|call| crate::http::form::parse(&call.body)).collect();
            let has = |name: &str, value: &str| forms.iter().flatten().any(|(n, v)| n == name && v == value);
            assert!(has("delay", "90") && has("cycleTime", "2") && has("cycleId", "0") && has("cycleId", "8"));
        }
        pair.submit(30, r#"{"command":"send_message","message":{"to":{"region":"north"},"kind":"bark","text":"x"}}"#);
        assert!(pair.end(30).starts_with("rejected not_a_headcontrol"));
        pair.submit(
            31,
            r#"{"subscription":"S-9","command":"send_message","message":{"to":"subscriber","kind":"bark","text":"x"}}"#,
        );
        assert!(pair.end(31).starts_with("rejected not_a_subscriber"));
    }
}

#[test]
fn a_fingerprint_is_ended_by_a_later_call() {
    for binding in LANGUAGES {
        let mut pair = pair(binding, &json!({}));
        pair.submit(
            1,
            r#"{"command":"fingerprint","smartcards":["0123456701","0123456702","0999999999"],"duration_seconds":30}"#,
        );
        assert!(!pair.has_ended(1));
        assert_eq!(pair.platform.holdings().cards["0123456702"].fingerprints, 1);
        pair.pass(Duration::from_secs(29));
        assert_eq!(count(&pair, "setSmartcardConfigOfSmartcard"), 3);
        pair.pass(Duration::from_secs(2));
        // One of the three was refused, and needs no end.
        assert_eq!(count(&pair, "setSmartcardConfigOfSmartcard"), 5);
        let Verdict::Rejected(failure) = &pair.outcome(1).verdict else { panic!() };
        assert_eq!((failure.code.as_ref(), failure.parts.len()), ("not_a_smartcard", 1));
    }
}

#[test]
fn one_bad_card_of_hundreds_is_found_and_the_others_are_done() {
    for binding in LANGUAGES {
        let settings = settings(binding, &json!({}));
        let services = provider(&[("BASIC", "11")]);
        let Opened { adapter, .. } = (PROTOCOL.open)(&services, &settings, 7).unwrap();
        let cards: Vec<String> = (0..250).map(|number| format!("{number:010}")).collect();
        let stock = crate::registry::Stock { cards: cards.clone(), products: Vec::new() };
        let mut pair = HttpPair::new(adapter, (PROTOCOL.platform)(&settings, &stock).unwrap());
        let all: Vec<&str> = cards.iter().map(String::as_str).chain(["0999999999"]).collect();
        let list = serde_json::to_string(&all).unwrap();
        let request = |command: &str| format!(r#"{{"command":"{command}","smartcards":{list},"services":["BASIC"]}}"#);
        pair.submit(1, &request("activate_services"));
        let Verdict::Rejected(failure) = &pair.outcome(1).verdict else { panic!("{}", pair.end(1)) };
        assert_eq!(failure.parts.len(), 1);
        assert_eq!(failure.parts[0].part.as_str(), "0999999999");
        assert!(failure.text.starts_with("1 of 251 were refused"), "{}", failure.text);
        let holdings = pair.platform.holdings();
        assert!(cards.iter().all(|card| holdings.cards[card].services.len() == 1));
        // Three blocks, of which the last is halved until the bad card is alone.
        assert!((10..20).contains(&count(&pair, "addProductToSmartcards")), "{}", functions(&pair).len());
        let text = r#""message":{"kind":"bark","text":"hello"}"#;
        pair.submit(2, &format!(r#"{{"command":"send_message","smartcards":{list},{text}}}"#));
        assert!(pair.end(2).starts_with("rejected not_a_smartcard"));
        assert!(cards.iter().all(|card| pair.platform.holdings().cards[card].messages == ["hello"]));
        // Nothing worked: that is no partial failure.
        pair.submit(3, r#"{"command":"refresh_services","smartcards":["0999999998","0999999999"]}"#);
        let Verdict::Rejected(failure) = &pair.outcome(3).verdict else { panic!() };
        assert!(failure.parts.is_empty());
    }
}

#[test]
fn events_are_ordered() {
    let mut pair = pair("soap", &json!({}));
    complete(
        &mut pair,
        1,
        &[
            r#"{"subscription":"S-1","command":"create_subscriber"}"#,
            r#"{"subscription":"S-1","command":"add_usage","services":["EVENT"],"usage":"U-1"}"#,
        ],
    );
    assert!(pair.platform.holdings().accounts["S-1"].usages.values().any(|event| event == "500"));
}

#[test]
fn raw_calls_are_framed_and_answered_as_they_are() {
    let hex = |text: &str| headgate_core::text::to_hex(text.as_bytes());
    let payloads = [
        (
            "json",
            r#"{"function":"cvAddSubscriber","parameters":{"subscriber":{"code":"S-1","hcId":"hc1","countryCode":"CY"}}}"#,
        ),
        (
            "soap",
            r#"<cvAddSubscriber xmlns:i="http://www.w3.org/2001/XMLSchema-instance"><subscriber i:type="Subscriber"><code>S-1</code><hcId>hc1</hcId><countryCode>CY</countryCode></subscriber></cvAddSubscriber>"#,
        ),
    ];
    for (binding, payload) in payloads {
        let mut pair = pair(binding, &json!({}));
        pair.submit(1, &format!(r#"{{"command":"raw","payload":"{}"}}"#, hex(payload)));
        let Verdict::Completed(Some(Answer::Raw(raw))) = &pair.outcome(1).verdict else { panic!("{}", pair.end(1)) };
        assert!(String::from_utf8_lossy(&raw.0).contains("S-1"));
        assert!(pair.platform.holdings().accounts.contains_key("S-1"));
        pair.submit(2, &format!(r#"{{"command":"raw","payload":"{}"}}"#, hex(payload)));
        assert!(pair.end(2).starts_with("rejected not_unique"));
    }
}

#[test]
fn work_in_pieces_is_continued_until_it_is_done() {
    for (binding, payload) in [
        ("json", r#"{"function":"deleteProduct","parameters":{"productId":11}}"#),
        ("soap", r#"<cvDeleteProduct><productId>11</productId></cvDeleteProduct>"#),
    ] {
        let mut pair = pair(binding, &json!({}));
        complete(
            &mut pair,
            1,
            &[
                r#"{"command":"activate_services","smartcard":"0123456701","services":["BASIC","SPORT"]}"#,
                &format!(r#"{{"command":"raw","payload":"{}"}}"#, headgate_core::text::to_hex(payload.as_bytes())),
            ],
        );
        assert_eq!(count(&pair, "continueFragmentedTask"), 2);
        assert_eq!(pair.platform.holdings().cards["0123456701"].services.keys().collect::<Vec<_>>(), ["12"]);
    }
}

#[test]
fn the_radio_side_is_followed_until_it_is_done_or_has_failed() {
    for binding in LANGUAGES {
        let more = json!({"follow_tasks": true, "calls": {"at_once": 1}, "task_done": [5], "task_failed": [6]});
        let mut pair = pair(binding, &more);
        pair.submit(1, r#"{"command":"activate_services","smartcard":"0123456701","services":["BASIC"]}"#);
        assert!(!pair.has_ended(1));
        pair.pass(Duration::from_millis(1_500));
        assert!(!pair.has_ended(1));
        pair.pass(Duration::from_secs(1));
        assert_eq!(pair.end(1), "completed");
        pair.submit(2, r#"{"command":"disable_device","smartcard":"0123456701","reason":"lost"}"#);
        pair.pass(Duration::from_secs(3));
        pair.submit(3, r#"{"command":"refresh_services","smartcard":"0123456701"}"#);
        pair.pass(Duration::from_secs(3));
        assert_eq!(pair.end(3), "rejected task_failed_17: the box does not answer");
        // Questions leave nothing to follow.
        pair.submit(4, r#"{"command":"get_device","smartcard":"0123456701"}"#);
        assert!(pair.has_ended(4));
    }
    let mut pair =
        pair("json", &json!({"follow_tasks": true, "calls": {"at_once": 1}, "task_poll": "500ms", "task_limit": "1s"}));
    pair.submit(1, r#"{"command":"refresh_services","smartcard":"0123456701"}"#);
    pair.pass(Duration::from_secs(5));
    assert_eq!(pair.end(1), "failed tasks_unfinished Yes");
}

#[test]
fn requests_are_written_as_calls_and_explained() {
    let provider = provider(&[("BASIC", "11")]);
    let now = crate::test_support::start();
    let request = submission(
        1,
        r#"{"command":"activate_services","smartcard":"0123456701","services":["BASIC"],"end":"2026-02-01T00:00:00Z"}"#,
    );
    for (binding, title) in [("json", "call of addProductToSmartcards"), ("soap", "call of addProductToSmartcards")] {
        let settings = settings(binding, &json!({}));
        let written = (PROTOCOL.encode)(&provider, &settings, now, &request.request).unwrap();
        assert_eq!(written.len(), 1);
        let explained = (PROTOCOL.decode)(&settings, None, &written[0].bytes).unwrap();
        assert_eq!(explained[0].title, title);
        assert!(explained[0].broken.is_none());
        assert!(explained[0].fields.iter().any(|field| field.value == "0123456701"));
    }
}
