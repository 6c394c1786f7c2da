use std::time::Duration;

use headgate_core::adapter::{Effect, Event, Input, LinkId, Output};
use headgate_core::platform::{Card, Fault};
use serde_json::json;

use super::super::PROTOCOL;
use crate::registry::Stock;
use crate::test_support::pair::Pair;
use crate::test_support::{provider, start, submission, transcript};

const CARD: &str = "014500000001";
const SECOND: Duration = Duration::from_secs(1);

fn services() -> Vec<(&'static str, &'static str)> {
    vec![("BASIC", "101"), ("SPORT", "SPORT"), ("MOVIES", "103"), ("GONE", "404")]
}

/// Both sides with these settings; the platform knows two cards and three products.
fn pair_with(settings: serde_json::Value) -> Pair {
    let stock = Stock {
        cards: vec![CARD.into(), "014500000002".into()],
        products: vec!["101".into(), "SPORT".into(), "103".into()],
    };
    let opened = (PROTOCOL.open)(&provider(&services()), &settings, 1).unwrap_or_else(|error| panic!("{error}"));
    Pair::new(opened.adapter, (PROTOCOL.platform)(&settings, &stock).unwrap())
}

fn pair() -> Pair {
    pair_with(json!({}))
}

fn add(service: &str) -> String {
    format!(r#"{{"command":"activate_services","smartcard":"{CARD}","services":["{service}"]}}"#)
}

const TEST: &str = r#"{"command":"test_connection"}"#;

/// A change that may not be repeated.
fn bark(text: &str) -> String {
    format!(r#"{{"command":"send_message","smartcard":"{CARD}","message":{{"kind":"bark","text":"{text}"}}}}"#)
}

fn card(pair: &Pair) -> &Card {
    &pair.platform.holdings().cards[CARD]
}

fn ups(pair: &Pair) -> usize {
    pair.events.iter().filter(|event| matches!(event, Event::LinkUp(_))).count()
}

fn downs(pair: &Pair) -> Vec<String> {
    let down = |event: &Event| match event {
        Event::LinkDown(_, failure) => Some(failure.code.to_string()),
        _ => None,
    };
    pair.events.iter().filter_map(down).collect()
}

#[test]
fn every_command_does_what_it_says() {
    let mut pair = pair();
    let mut id = 0;
    let mut run = |json: String| {
        id += 1;
        pair.submit(id, &json);
        (pair.end(id), pair.platform.holdings().clone())
    };
    let devices = format!(r#""smartcard":"{CARD}""#);
    let with = |command: &str, rest: &str| format!(r#"{{"command":"{command}",{devices}{rest}}}"#);
    let held = |json: String, run: &mut dyn FnMut(String) -> (String, headgate_core::platform::Holdings)| {
        let (end, holdings) = run(json);
        assert_eq!(end, "completed");
        holdings.cards[CARD].clone()
    };

    let period = r#","services":["BASIC"],"start":"2026-02-01T00:00:00Z","end":"2026-02-28T23:59:59Z""#;
    let card = held(with("activate_services", period), &mut run);
    assert_eq!(card.services["101"].start.unwrap().to_string(), "2026-02-01T00:00:00Z");
    assert_eq!(card.services["101"].end.unwrap().to_string(), "2026-02-28T23:59:59Z");
    let card = held(with("activate_services", r#","services":["SPORT","MOVIES"]"#), &mut run);
    assert_eq!(card.services.keys().collect::<Vec<_>>(), ["101", "103", "SPORT"]);
    assert_eq!(card.services["103"].end.unwrap().to_string(), "2027-01-15T23:59:59Z");
    assert!(held(with("suspend", r#","services":["BASIC"]"#), &mut run).services["101"].suspended);
    assert!(!held(with("resume", r#","services":["BASIC"]"#), &mut run).services["101"].suspended);
    assert!(held(with("suspend", ""), &mut run).services.values().all(|holding| holding.suspended));
    assert!(held(with("resume", ""), &mut run).services.values().all(|holding| !holding.suspended));
    let card = held(with("deactivate_services", r#","services":["BASIC","SPORT"]"#), &mut run);
    assert_eq!(card.services.keys().collect::<Vec<_>>(), ["103"]);
    let card = held(with("set_services", r#","services":["BASIC","SPORT"]"#), &mut run);
    assert_eq!(card.services.keys().collect::<Vec<_>>(), ["101", "SPORT"]);
    let (told, _) = run(with("get_services", ""));
    assert_eq!(
        told,
        r#"completed {"services":[{"smartcard":"014500000001","services":[{"code":"BASIC","ca_id":"101","start":"2026-01-15T00:00:00Z","end":"2027-01-15T23:59:59Z"},{"code":"SPORT","ca_id":"SPORT","start":"2026-01-15T00:00:00Z","end":"2027-01-15T23:59:59Z"}]}]}"#
    );
    assert!(held(with("deactivate_services", r#","services":"all""#), &mut run).services.is_empty());
    assert_eq!(held(with("refresh_services", ""), &mut run).refreshes, 1);

    assert!(held(with("pair", r#","stb":"AB12""#), &mut run).stbs.contains("AB12"));
    let (told, _) = run(with("get_pairing", ""));
    assert_eq!(told, r#"completed {"pairings":[{"smartcard":"014500000001","stbs":["AB12"]}]}"#);
    assert!(held(with("unpair", ""), &mut run).stbs.is_empty());

    assert_eq!(held(with("set_pin", r#","pin":"4321""#), &mut run).pin.as_deref(), Some("4321"));
    assert_eq!(held(with("reset_pin", ""), &mut run).pin.as_deref(), Some("default"));
    assert_eq!(held(with("clear_pin", ""), &mut run).pin, None);

    assert_eq!(held(bark("Pay"), &mut run).messages, ["Pay"]);
    let mail = with("send_message", r#","message":{"kind":"mail","text":"Καλώς"}"#);
    assert_eq!(held(mail, &mut run).messages, ["Pay", "Καλώς"]);
    let again = r#","message":{"kind":"repeating_bark","text":"Now","repeat_count":3,"repeat_interval_seconds":60}"#;
    assert_eq!(held(with("send_message", again), &mut run).messages.len(), 3);
    assert_eq!(held(with("fingerprint", r#","duration_seconds":10"#), &mut run).fingerprints, 1);

    let card = held(with("disable_device", r#","reason":"stolen""#), &mut run);
    assert_eq!(card.disabled.as_deref(), Some("stolen"));
    assert_eq!(
        run(with("activate_services", r#","services":["BASIC"]"#)).0,
        "rejected 0202: the smartcard is disabled"
    );
    assert_eq!(held(with("enable_device", ""), &mut run).disabled, None);
    assert_eq!(run(TEST.into()).0, "completed");
}

#[test]
fn refusals_are_told_in_the_platforms_words() {
    let mut pair = pair();
    pair.submit(1, &add("GONE"));
    assert_eq!(pair.end(1), "rejected 0301: unknown product");
    pair.submit(2, &add("BASIC").replace(CARD, "999"));
    assert_eq!(pair.end(2), "rejected 0201: unknown smartcard");
    pair.submit(3, &format!(r#"{{"command":"suspend","smartcard":"{CARD}","services":["BASIC"]}}"#));
    assert_eq!(pair.end(3), "rejected 0302: the smartcard does not hold the product");
    let period = r#""BASIC"],"end":"2025-12-31T00:00:00Z""#;
    pair.submit(4, &add("BASIC").replace(r#""BASIC"]"#, period));
    assert_eq!(pair.end(4), "rejected 0303: the period ends before it begins");
}

#[test]
fn several_cards_and_products_end_together_and_the_first_refusal_decides() {
    let mut pair = pair();
    let json = r#"{"command":"deactivate_services","smartcards":["014500000001","999","014500000002"],"services":["BASIC","GONE"]}"#;
    pair.submit(1, json);
    assert_eq!(pair.end(1), "rejected 0301: unknown product");
    // Six messages in one piece, six answers.
    assert_eq!((pair.sends, pair.platform.holdings().applied), (1, 6));
    assert_eq!(pair.outcome(1).exchange.request.len(), 6 * (2 + 32 + 4 + 28));
    assert_eq!(pair.outcome(1).exchange.response.len(), {
        let ack = 2 + 32 + 4 + 4;
        let nack = |text: &str| ack + 4 + 3 + text.len();
        2 * ack + 3 * nack("unknown product") + nack("unknown smartcard")
    });
}

#[test]
fn setting_services_stops_at_a_refusal() {
    let mut pair = pair();
    let json = |services: &str| format!(r#"{{"command":"set_services","smartcard":"{CARD}","services":[{services}]}}"#);
    pair.submit(1, &add("MOVIES"));
    pair.platform.inject(Fault::UnknownCard).unwrap();
    pair.submit(2, &json(r#""BASIC","SPORT""#));
    assert_eq!(pair.end(2), "rejected 0201: unknown smartcard");
    assert_eq!(card(&pair).services.keys().collect::<Vec<_>>(), ["103"]);
    pair.submit(3, &json(""));
    assert_eq!((pair.end(3).as_str(), card(&pair).services.len()), ("completed", 0));
}

#[test]
fn requests_are_pipelined_and_sent_as_one() {
    let mut pair = pair_with(json!({"window_per_link": 10}));
    assert_eq!(pair.adapter.capacity(), 10);
    for id in 1..=12 {
        pair.submit_only(id, &add("BASIC"));
        assert_eq!(pair.adapter.capacity(), 10_usize.saturating_sub(usize::try_from(id).unwrap()));
    }
    pair.settle();
    assert_eq!(pair.sends, 1);
    for id in 1..=10 {
        assert_eq!(pair.end(id), "completed");
    }
    assert_eq!(pair.end(11), "failed no_room No");
    assert_eq!(pair.adapter.capacity(), 10);
}

#[test]
fn a_request_of_many_messages_keeps_to_the_window() {
    let mut pair = pair_with(json!({"window_per_link": 2}));
    let cards: Vec<_> = (0..9).map(|_| format!("\"{CARD}\"")).collect();
    pair.submit_only(1, &format!(r#"{{"command":"refresh_services","smartcards":[{}]}}"#, cards.join(",")));
    pair.submit_only(2, TEST);
    assert_eq!(pair.adapter.capacity(), 0);
    pair.settle();
    assert_eq!((pair.end(1).as_str(), pair.end(2).as_str(), card(&pair).refreshes), ("completed", "completed", 9));
    assert!(pair.sends >= 5, "{} sends", pair.sends);
}

#[test]
fn answers_are_matched_in_any_order() {
    let mut pair = pair();
    pair.platform.inject(Fault::Delay(500)).unwrap();
    pair.submit_only(1, &add("GONE"));
    pair.submit_only(2, &add("BASIC"));
    pair.settle();
    assert_eq!((pair.has_ended(1), pair.end(2).as_str()), (false, "completed"));
    pair.pass(SECOND);
    assert_eq!(pair.end(1), "rejected 0301: unknown product");
}

#[test]
fn a_late_answer_is_noise() {
    let mut pair = pair_with(json!({"answer_timeout": "2s"}));
    pair.platform.inject(Fault::Delay(3_000)).unwrap();
    pair.submit(1, &bark("Pay"));
    pair.pass(2 * SECOND);
    assert_eq!(pair.end(1), "failed no_answer Maybe");
    pair.submit(2, &add("BASIC"));
    pair.pass(SECOND);
    assert_eq!(pair.end(2), "completed");
    assert!(pair.noises()[0].starts_with("a late answer"), "{:?}", pair.noises());
    assert_eq!(downs(&pair), Vec::<String>::new());
}

#[test]
fn numbers_wrap_and_are_not_reused_while_an_answer_may_come() {
    // Two digits: numbers come round again after 99.
    let profile: serde_json::Value =
        toml::from_str(&super::super::profile::SHIPPED.replacen("width = 9", "width = 2", 1)).unwrap();
    let mut pair = pair_with(json!({"profile": profile, "answer_timeout": "1s", "window_per_link": 4}));
    pair.platform.inject(Fault::Delay(60_000)).unwrap();
    pair.submit(1, &add("GONE"));
    pair.pass(SECOND);
    assert_eq!(pair.end(1), "failed no_answer Maybe");
    for id in 2..500 {
        pair.submit(id, &add("BASIC"));
        assert_eq!(pair.end(id), "completed");
    }
    pair.pass(60 * SECOND);
    assert_eq!(pair.noises().len(), 1);
    assert!(pair.noises()[0].starts_with("a late answer"));
    // After the late answer its number is free again.
    for id in 500..700 {
        pair.submit(id, &add("BASIC"));
        assert_eq!(pair.end(id), "completed");
    }
}

#[test]
fn a_platform_that_leaves_a_window_unanswered_is_left() {
    let mut pair = pair_with(json!({"answer_timeout": "1s", "window_per_link": 1, "link_check_after": "1h"}));
    for id in 1..=16 {
        pair.platform.inject(Fault::Silence).unwrap();
        pair.submit(id, &add("BASIC"));
        pair.pass(SECOND);
        assert_eq!(pair.end(id), "failed no_answer Maybe");
    }
    assert_eq!(downs(&pair), ["platform_silent"]);
    pair.pass(2 * SECOND);
    assert_eq!(ups(&pair), 2);
}

#[test]
fn a_platform_that_answers_late_but_answers_is_kept() {
    let mut pair = pair_with(json!({"answer_timeout": "1s", "window_per_link": 1}));
    for id in 1..=100 {
        pair.platform.inject(Fault::Delay(1_500)).unwrap();
        pair.submit(id, &add("BASIC"));
        pair.pass(2 * SECOND);
        assert_eq!(pair.end(id), "failed no_answer Maybe");
    }
    assert_eq!((downs(&pair).len(), pair.noises().len()), (0, 100));
}

#[test]
fn duplicate_and_wrong_answers_are_noise() {
    let mut pair = pair();
    pair.platform.inject(Fault::DuplicateAnswer).unwrap();
    pair.submit(1, &add("BASIC"));
    assert_eq!((pair.end(1).as_str(), pair.noises().len()), ("completed", 1));
    pair.platform.inject(Fault::WrongNumber).unwrap();
    pair.submit(2, &bark("Pay"));
    assert_eq!((pair.has_ended(2), pair.noises().len()), (false, 2));
    pair.pass(10 * SECOND);
    assert_eq!(pair.end(2), "failed no_answer Maybe");
}

#[test]
fn a_lost_link_ends_each_submission_for_itself() {
    for (fault, messages, noises, end) in [
        (Fault::CloseBefore, 0, 0, "failed link_lost Maybe"),
        (Fault::CloseInstead, 1, 0, "failed link_lost Maybe"),
        (Fault::Garbage, 0, 1, "failed link_lost Maybe"),
        (Fault::CloseAfter, 1, 0, "completed"),
    ] {
        let mut pair = pair();
        pair.platform.inject(fault).unwrap();
        pair.submit_only(1, &bark("Pay"));
        pair.submit_only(2, TEST);
        pair.settle();
        assert_eq!(pair.end(1), end, "{fault:?}");
        assert!(pair.has_ended(2), "{fault:?}");
        assert_eq!((card(&pair).messages.len(), pair.noises().len()), (messages, noises), "{fault:?}");
        assert_eq!((pair.adapter.capacity(), downs(&pair).len()), (0, 1), "{fault:?}");
        pair.pass(SECOND);
        assert_eq!((ups(&pair), pair.adapter.capacity()), (2, 256), "{fault:?}");
        pair.submit(3, TEST);
        assert_eq!(pair.end(3), "completed", "{fault:?}");
    }
}

#[test]
fn half_an_answer_has_the_link_checked_at_once_and_ended() {
    let mut pair = pair();
    pair.platform.inject(Fault::HalfFrame).unwrap();
    pair.submit(1, &bark("Pay"));
    pair.pass(10 * SECOND);
    assert_eq!(pair.end(1), "failed no_answer Maybe");
    pair.pass(11 * SECOND);
    assert_eq!((downs(&pair), ups(&pair)), (vec!["link_silent".to_owned()], 2));
}

#[test]
fn what_never_left_is_told_as_not_sent() {
    let mut pair = pair();
    pair.submit_only(1, &bark("Pay"));
    pair.adapter.handle_input(pair.now, Input::Closed(LinkId(0), "reset by peer"));
    pair.settle();
    assert_eq!((pair.end(1).as_str(), pair.sends), ("failed link_lost No", 0));
}

#[test]
fn a_silent_link_is_checked_and_stays() {
    let mut pair = pair();
    pair.pass(Duration::from_secs(301));
    assert_eq!((pair.sends, downs(&pair).len(), ups(&pair)), (10, 0, 1));
}

#[test]
fn the_session_is_opened_before_anything_is_sent() {
    let settings = json!({"user": "headgate", "password": "secret"});
    let mut pair = pair_with(settings);
    assert_eq!((ups(&pair), pair.sends), (1, 1));
    pair.submit(1, TEST);
    assert_eq!(pair.end(1), "completed");

    pair.platform.inject(Fault::RefuseLogin).unwrap();
    pair.platform.inject(Fault::CloseAfter).unwrap();
    pair.submit(2, TEST);
    pair.submit(3, &add("BASIC"));
    pair.pass(SECOND);
    assert_eq!(downs(&pair), ["link_closed", "0110"]);
    assert_eq!(pair.adapter.capacity(), 0);
    pair.pass(3 * SECOND);
    assert_eq!((ups(&pair), pair.adapter.capacity()), (2, 256));
}

#[test]
fn throttling_pauses_and_asks_for_another_attempt() {
    let mut pair = pair();
    pair.platform.inject(Fault::Throttle).unwrap();
    pair.submit(1, &bark("Pay"));
    assert_eq!(pair.end(1), "failed 0120 Yes");
    let pause = pair.events.iter().find_map(|event| match event {
        Event::SlowDown { pause, why } => Some((*pause, why.as_str())),
        _ => None,
    });
    assert_eq!(pause, Some((2 * SECOND, "too many commands")));
}

#[test]
fn links_share_the_load() {
    let mut pair = pair_with(json!({"links": 3, "window_per_link": 4}));
    assert_eq!((ups(&pair), pair.adapter.capacity()), (3, 12));
    for id in 1..=12 {
        pair.submit_only(id, &add("BASIC"));
    }
    assert_eq!(pair.adapter.capacity(), 0);
    pair.settle();
    assert_eq!((pair.sends, pair.adapter.capacity()), (3, 12));
    pair.adapter.handle_input(pair.now, Input::Closed(LinkId(1), "gone"));
    pair.settle();
    assert_eq!(pair.adapter.capacity(), 8);
    pair.pass(SECOND);
    assert_eq!(pair.adapter.capacity(), 12);
}

#[test]
fn reconnecting_backs_off_and_starts_again() {
    let mut pair = pair_with(json!({"reconnect_first": "1s", "reconnect_longest": "8s", "link_check_after": "1h"}));
    pair.refuse = 6;
    pair.adapter.handle_input(pair.now, Input::Closed(LinkId(0), "gone"));
    pair.settle();
    pair.pass(60 * SECOND);
    assert_eq!((ups(&pair), downs(&pair).len()), (2, 7));
    let waits: Vec<_> = std::iter::once(start())
        .chain(pair.connects[1..].iter().copied())
        .collect::<Vec<_>>()
        .windows(2)
        .map(|w| w[1].tick.since(w[0].tick))
        .collect();
    for (wait, full) in waits.iter().zip([1, 2, 4, 8, 8, 8, 8]) {
        let full = SECOND * full;
        assert!(*wait <= full && *wait >= full * 3 / 4, "{waits:?}");
    }
}

#[test]
fn bytes_of_an_old_link_are_not_taken_for_the_new_ones() {
    let mut pair = pair();
    pair.adapter.handle_input(pair.now, Input::Closed(LinkId(0), "gone"));
    pair.adapter.handle_input(pair.now, Input::Received(LinkId(0), b"\xff\xff old"));
    pair.settle();
    pair.pass(SECOND);
    pair.adapter.handle_input(pair.now, Input::Received(LinkId(0), b"\xff\xff old"));
    pair.submit(1, TEST);
    assert_eq!(pair.end(1), "completed");
}

#[test]
fn draining_waits_for_answers_and_takes_leave() {
    let mut pair = pair();
    pair.platform.inject(Fault::Delay(500)).unwrap();
    pair.submit(1, &add("BASIC"));
    pair.adapter.drain(pair.now);
    assert_eq!(pair.adapter.capacity(), 0);
    pair.submit(2, &add("SPORT"));
    assert_eq!(pair.end(2), "failed stopping No");
    pair.pass(SECOND);
    assert_eq!(pair.end(1), "completed");
    assert!(pair.log.contains("Close(0))\nWait(None)\n"), "{}", pair.log);
}

#[test]
fn raw_messages_are_framed_and_numbered() {
    let mut pair = pair();
    // cancel_all of the card, then something no profile knows.
    let payload = headgate_core::text::to_hex(format!("0007{CARD}    ").as_bytes());
    pair.submit(1, &add("BASIC"));
    pair.submit(2, &format!(r#"{{"command":"raw","payload":"{payload}"}}"#));
    assert_eq!(pair.end(2), format!(r#"completed {{"raw":"{}"}}"#, headgate_core::text::to_hex(b"90000007")));
    assert!(card(&pair).services.is_empty());
    pair.submit(3, r#"{"command":"raw","payload":"37373737ff"}"#);
    assert!(
        pair.end(3).starts_with(&format!(r#"completed {{"raw":"{}"#, headgate_core::text::to_hex(b"900177770102")))
    );
}

#[test]
fn nothing_of_a_subscriber_is_in_the_log() {
    let mut pair = pair();
    pair.submit(1, &add("BASIC"));
    pair.submit(2, &format!(r#"{{"command":"set_pin","smartcard":"{CARD}","pin":"4321"}}"#));
    pair.submit(3, &bark("Your bill is due"));
    pair.submit(4, &format!(r#"{{"command":"get_services","smartcard":"{CARD}"}}"#));
    pair.submit(5, &format!(r#"{{"command":"pair","smartcard":"{CARD}","stb":"STB77"}}"#));
    pair.submit(6, &format!(r#"{{"command":"get_pairing","smartcard":"{CARD}"}}"#));
    pair.platform.inject(Fault::DuplicateAnswer).unwrap();
    pair.submit(7, &add("SPORT").replace(CARD, "0145999"));
    pair.log.push_str(&format!("{:?}", pair.events));
    for private in [CARD, "4321", "bill", "STB77", "0145999"] {
        assert!(!pair.log.contains(private), "{private} in {}", pair.log);
    }
    // The record of what was sent is for people too: it holds no PIN.
    let sent = String::from_utf8_lossy(&pair.outcome(2).exchange.request).into_owned();
    assert!(sent.ends_with(&format!("3020{CARD}    ****")), "{sent}");
}

#[test]
fn days_are_those_of_the_settings_zone() {
    let mut pair = pair_with(json!({"time_zone": "Asia/Nicosia"}));
    let period = r#""BASIC"],"start":"2026-06-30T21:00:00Z","end":"2026-07-31T20:59:59Z""#;
    pair.submit(1, &add("BASIC").replace(r#""BASIC"]"#, period));
    let sent = String::from_utf8_lossy(&pair.outcome(1).exchange.request).into_owned();
    assert!(sent.ends_with("101         2026070120260731"), "{sent}");
}

#[test]
fn transcripts_are_played_as_they_are_written() {
    for (name, settings, text) in [
        ("session", json!({"user": "headgate", "password": "secret"}), include_str!("../transcripts/session.txt")),
        ("answers", json!({}), include_str!("../transcripts/answers.txt")),
        ("link", json!({"answer_timeout": "2s", "link_check_after": "5s"}), include_str!("../transcripts/link.txt")),
    ] {
        let mut adapter = (PROTOCOL.open)(&provider(&services()), &settings, 41).unwrap().adapter;
        let played = transcript::play(&mut *adapter, text);
        assert!(played == text, "{name} came out as:\n{played}");
    }
}

#[test]
fn another_profile_makes_another_wire_form() {
    let profile: serde_json::Value = toml::from_str(
        r#"
        name = "other"
        charset = "latin1"
        command_type = 1
        framing = { kind = "delimiter", delimiter = "03", limit = 200 }
        header = [
            { field = "literal", kind = "literal", text = "N" },
            { field = "dest_id", kind = "number", width = 2 },
            { field = "source_id", kind = "number", width = 2 },
            { field = "transaction_number", kind = "number", width = 5 },
        ]
        section = [{ field = "command_number", kind = "number", width = 3 }]
        ack = { number = "100", body = [{ field = "reference", kind = "counted", width = 2 }] }
        nack = { number = "101", body = [{ field = "code", kind = "number", width = 2 }] }
        codes.busy = { number = "7", text = "busy" }
        [commands.add_product]
        number = "2"
        body = [{ field = "product", kind = "hex", width = 4 }, { field = "card", kind = "number", width = 10 }]
        [commands.mail]
        number = "9"
        body = [{ field = "card", kind = "number", width = 10 }, { field = "text", kind = "text", width = 8 }]
        "#,
    )
    .unwrap();
    let settings = json!({"profile": profile, "source_id": 5, "dest_id": 6, "link_check_after": "1s"});
    let opened = (PROTOCOL.open)(&provider(&[("A", "1F"), ("B", "20")]), &settings, 6).unwrap();
    let mut pair = Pair::new(opened.adapter, (PROTOCOL.platform)(&settings, &Stock::default()).unwrap());
    pair.submit(1, r#"{"command":"activate_services","smartcard":"77","services":["A","B"]}"#);
    assert_eq!(pair.end(1), "completed");
    let exchange = &pair.outcome(1).exchange;
    assert_eq!(exchange.request, &b"N060500007002001F0000000077\x03N06050000800200200000000077\x03"[..]);
    assert_eq!(exchange.response, &b"N05060000710002P7\x03N05060000810002P8\x03"[..]);
    assert_eq!(pair.outcome(1).reference.as_ref().map(|reference| reference.as_str()), Some("P8"));
    assert_eq!(pair.platform.holdings().cards["77"].services.keys().collect::<Vec<_>>(), ["1F", "20"]);

    // Eight characters of Latin-1 are sixteen bytes of UTF-8.
    let mail = |text: &str| {
        format!(r#"{{"command":"send_message","smartcard":"77","message":{{"kind":"mail","text":"{text}"}}}}"#)
    };
    let check = |text: &str| {
        let request = submission(1, &mail(text)).request;
        let services = provider(&[]).services;
        opened.rules.capabilities().check(&request, &services).and_then(|()| opened.rules.check(&request))
    };
    assert_eq!(check("éééééééé"), Ok(()));
    assert_eq!(check("ééééééééé").unwrap_err().field, "message/text");
    assert_eq!(check("Καλώς").unwrap_err().code, "does_not_fit");
    pair.submit(2, &mail("éééééééé"));
    assert_eq!(pair.platform.holdings().cards["77"].messages, ["éééééééé"]);

    // There is no link check; a code of the simulator that the profile does not name becomes 0.
    pair.platform.inject(Fault::UnknownCard).unwrap();
    pair.submit(3, r#"{"command":"activate_services","smartcard":"77","services":["A"]}"#);
    assert!(pair.end(3).starts_with("rejected 00"), "{}", pair.end(3));
    pair.pass(30 * SECOND);
    assert_eq!((pair.sends, downs(&pair).len()), (3, 0));
}

#[test]
fn a_submission_without_room_costs_nothing() {
    let mut adapter = (PROTOCOL.open)(&provider(&services()), &json!({}), 1).unwrap().adapter;
    adapter.submit(start(), submission(1, TEST));
    assert!(matches!(adapter.poll_output(), Output::Event(Event::Finished(..))));
    adapter.handle_input(start(), Input::Start);
    assert!(matches!(adapter.poll_output(), Output::Do(_, Effect::Connect(LinkId(0)))));
    assert_eq!(adapter.poll_output(), Output::Wait(None));
}
