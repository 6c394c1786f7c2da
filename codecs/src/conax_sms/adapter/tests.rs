use std::time::Duration;

use headgate_core::adapter::{Adapter, FileCall, SubmissionId};
use headgate_core::failure::{Retry, Sent};
use headgate_core::outcome::{Answer, Verdict};
use headgate_core::platform::{Fault, Platform};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::world::{Crash, World};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

fn world() -> World {
    World::new(json!({}), &[])
}

fn card(n: u64) -> String {
    format!("{:011}", 1_450_000_000 + n)
}

fn activate(cards: &[u64], services: &[&str]) -> Value {
    let cards: Vec<String> = cards.iter().map(|n| card(*n)).collect();
    json!({"command": "activate_services", "services": services, "smartcards": cards})
}

fn message(n: u64, text: &str) -> Value {
    json!({"command": "send_message", "smartcard": card(n), "message": {"kind": "bark", "text": text}})
}

#[test]
fn one_request_goes_the_whole_way() {
    let mut w = world();
    let id = w.submit(activate(&[11], &["GOLD"]));
    w.run(SECOND);
    assert_eq!(w.puts(), 0, "it is gathered first");
    w.run_out();
    assert!(w.completed(id));
    let holding = &w.holdings().cards[&card(11)].services["41"];
    assert_eq!(holding.start.unwrap().to_string(), "2026-11-01T00:00:00Z");
    assert_eq!(holding.end.unwrap().to_string(), "2026-12-31T23:59:00Z");
    let outcome = &w.outcomes[&id];
    assert_eq!(outcome.reference.as_ref().unwrap().as_str(), "ps000001.emm");
    let request = "U\n000001\n00000041\n202611010000\n202612312359\nU\nEMM\nU\n000001\n01450000011\nZZZ\n";
    assert_eq!(outcome.exchange.request, request.as_bytes());
    assert_eq!(w.recorded[&id].as_str(), "202611010000-202612312359/0of1/+");
    assert!(w.paths().is_empty(), "{:?}", w.paths());
}

#[test]
fn files_are_full_or_due() {
    let mut w = World::new(json!({"max_ids_per_file": 3}), &[]);
    for n in 0..7 {
        w.submit(activate(&[n], &["GOLD"]));
    }
    assert_eq!(w.puts(), 2, "two are full");
    w.run(2 * SECOND);
    assert_eq!(w.puts(), 3, "the third is due");
    w.run_out();
    assert_eq!(w.outcomes.len(), 7);
    assert_eq!(w.holdings().applied, 3);
}

#[test]
fn an_express_request_takes_its_whole_file_along() {
    let mut w = world();
    w.submit(activate(&[2], &["GOLD"]));
    assert_eq!(w.puts(), 0);
    let mut express = activate(&[1], &["GOLD"]);
    express["priority"] = "express".into();
    w.submit(express);
    assert_eq!(w.puts(), 1);
    w.run_out();
    assert_eq!(w.holdings().applied, 1);
}

#[test]
fn a_file_for_each_product_and_one_end() {
    let mut w = world();
    let id = w.submit(activate(&[1, 2], &["GOLD", "SPORT", "KIDS"]));
    w.run_out();
    assert!(w.completed(id));
    assert_eq!((w.puts(), w.holdings().applied), (3, 3));
    assert_eq!(w.services_of(&card(2)), ["41", "42", "43"]);
}

#[test]
fn the_whole_list_takes_away_first() {
    let mut w = world();
    w.submit(activate(&[1], &["GOLD", "SPORT"]));
    w.run_out();
    let puts = w.puts();
    let id = w.submit(json!({"command": "set_services", "services": ["KIDS"], "smartcard": card(1)}));
    w.run(2 * SECOND);
    assert_eq!(w.puts() - puts, 2, "the activation waits");
    w.run_out();
    assert!(w.completed(id));
    assert_eq!(w.services_of(&card(1)), ["43"]);
    let all = w.submit(json!({"command": "deactivate_services", "services": "all", "smartcard": card(1)}));
    w.run_out();
    assert!(w.completed(all));
    assert!(w.services_of(&card(1)).is_empty());
}

#[test]
fn an_activation_waits_for_cancellations_and_is_not_sent_when_one_is_refused() {
    let mut w = World::new(json!({}), &["01450000002"]);
    let id = w.submit(json!({"command": "set_services", "services": ["KIDS"], "smartcard": card(1)}));
    w.run_out();
    assert_eq!(w.rejected(id).code, "ERR_CARDNUM");
    assert!(!w.log.iter().any(|line| line.contains("ps0")));
}

#[test]
fn one_bad_card_among_many_is_refused_alone() {
    let known: Vec<String> = (0..50).filter(|n| *n != 17 && *n != 30).map(card).collect();
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    let mut w = World::new(json!({}), &known);
    let ids: Vec<SubmissionId> = (0..50).map(|n| w.submit(activate(&[n], &["GOLD"]))).collect();
    w.run_out();
    for (n, id) in ids.iter().enumerate() {
        if n == 17 || n == 30 {
            assert_eq!(w.rejected(*id).code, "ERR_CARDNUM");
            assert!(!w.rejected(*id).text.contains("0145"));
        } else {
            assert!(w.completed(*id), "{n}");
            assert_eq!(w.services_of(&card(n as u64)), ["41"]);
        }
    }
    assert_eq!(w.rejected(ids[17]).text, "card not registered to this SMS (line 27 of the order file)");
    assert_eq!(w.puts(), 3);
    let response = &w.outcomes[&ids[17]].exchange.response;
    assert_eq!(&response[..], b"ps000001.emm\r\nERR_CARDNUM,27\r\n");
    assert!(w.paths().is_empty(), "{:?}", w.paths());
}

#[test]
fn a_file_refused_as_a_whole_refuses_every_request_in_it() {
    let mut w = world();
    let backwards = |n| json!({"command": "activate_services", "services": ["GOLD"], "smartcard": card(n), "start": "2020-01-01T00:00:00Z", "end": "2020-01-01T00:00:10Z"});
    let local = w.submit(backwards(1));
    assert_eq!(w.failed(local).code, "out_of_range", "the same minute");
    // A product that the platform does not know.
    let raw = "ps\nU\nNNNNNN\n00000099\n202001010000\n202101010000\nU\nEMM\nU\n000001\n01450000011\nZZZ\n";
    let raw = json!({"command": "raw", "payload": headgate_core::text::to_hex(raw.as_bytes())});
    let refused = w.submit(raw);
    w.run_out();
    assert_eq!(w.rejected(refused).code, "ERR_PRODUCT");
    assert_eq!(w.rejected(refused).retry, Retry::Never);
}

#[test]
fn a_raw_order_comes_back_as_the_platform_left_it() {
    let mut w = world();
    let lines = "U\nNNNNNN\nU\nU\nU\nU\nEMM\nU\n00001\n01450000011\nZZZ\n";
    let payload = headgate_core::text::to_hex(format!("sc\n{lines}").as_bytes());
    let id = w.submit(json!({"command": "raw", "payload": payload, "safe_to_repeat": true}));
    w.run_out();
    let Verdict::Completed(Some(Answer::Raw(raw))) = &w.outcomes[&id].verdict else { panic!() };
    assert!(raw.0.starts_with(b"<AuthorisationStatuses>"));
    assert_eq!(w.outcomes[&id].exchange.request, lines.replace("NNNNNN", "000001").as_bytes());
}

#[test]
fn what_cards_hold_is_read_from_the_answer() {
    let mut w = world();
    w.submit(activate(&[1], &["SPORT"]));
    w.run_out();
    let one = w.submit(json!({"command": "get_services", "smartcards": [card(1), card(2)]}));
    let two = w.submit(json!({"command": "get_services", "smartcard": card(1)}));
    w.run_out();
    let Verdict::Completed(Some(Answer::Services(held))) = &w.outcomes[&one].verdict else { panic!() };
    assert_eq!(held.len(), 2);
    assert_eq!(held[0].services[0].code.as_ref().unwrap().as_str(), "SPORT");
    assert_eq!(held[0].services[0].ca_id.as_str(), "00000042");
    assert_eq!(held[0].services[0].end.unwrap().to_string(), "2026-12-31T23:59:00Z");
    assert!(held[1].services.is_empty());
    let Verdict::Completed(Some(Answer::Services(held))) = &w.outcomes[&two].verdict else { panic!() };
    assert_eq!(held.len(), 1);
    assert_eq!(w.puts(), 2, "both asked with one file");
}

#[test]
fn pairing_messages_and_the_connection_test() {
    let mut w = world();
    let pair = w.submit(json!({"command": "pair", "smartcard": card(1), "stb": "0012345"}));
    let mail = json!({"command": "send_message", "smartcards": [card(1), card(2)], "message": {"kind": "mail", "text": "HELLO"}});
    let mail = w.submit(mail);
    let test = w.submit(json!({"command": "test_connection"}));
    w.run_out();
    assert!(w.completed(pair) && w.completed(mail) && w.completed(test));
    assert!(w.holdings().cards[&card(1)].stbs.contains("0012345"));
    assert_eq!(w.holdings().cards[&card(2)].messages, ["HELLO"]);
    let unpair = w.submit(json!({"command": "unpair", "stbs": ["0012345"]}));
    w.run_out();
    assert!(w.completed(unpair));
    assert!(w.holdings().cards[&card(1)].stbs.is_empty());
}

#[test]
fn twenty_thousand_numbers_are_split() {
    let mut w = world();
    let cards: Vec<u64> = (0..45_000).collect();
    let id = w.submit(activate(&cards, &["GOLD"]));
    w.run_out();
    assert!(w.completed(id));
    assert_eq!((w.puts(), w.holdings().cards.len()), (3, 45_000));
}

#[test]
fn tens_of_thousands_of_requests_share_files() {
    let mut w = world();
    for n in 0..30_000 {
        w.submit(activate(&[n], &["GOLD"]));
    }
    w.run_out();
    assert_eq!(w.outcomes.len(), 30_000);
    assert_eq!(w.puts(), 2);
}

#[test]
fn half_written_answers_are_waited_for() {
    let mut w = World::new(json!({}), &["01450000001"]);
    w.platform.inject(Fault::HalfFrame).unwrap();
    let status = w.submit(json!({"command": "get_services", "smartcard": card(1)}));
    w.run_out();
    assert!(w.completed(status));
    w.platform.inject(Fault::HalfFrame).unwrap();
    let bad = w.submit(activate(&[2], &["GOLD"]));
    w.run_out();
    assert_eq!(w.rejected(bad).code, "ERR_CARDNUM");
    assert!(w.rejected(bad).text.contains("line 10"));
}

#[test]
fn nonsense_in_the_errors_file_is_not_misread() {
    let mut w = World::new(json!({}), &["01450000001"]);
    w.files.write("autreq/err/errors.txt", "ps000777.emm\r\nERR_DATES,4\r\n".as_bytes());
    w.platform.inject(Fault::Garbage).unwrap();
    let bad = w.submit(activate(&[2], &["GOLD"]));
    w.run_out();
    assert_eq!(w.rejected(bad).code, "ERR_CARDNUM");
    assert_eq!(w.paths(), ["autreq/err/errors.txt"], "it holds lines of others, so it stays");
}

#[test]
fn silence_ends_as_unanswered_and_the_file_is_withdrawn() {
    let mut w = World::new(json!({"answer_timeout": "10m"}), &[]);
    w.platform.inject(Fault::Silence).unwrap();
    let id = w.submit(message(1, "HELLO"));
    w.run(9 * MINUTE);
    assert!(w.outcomes.is_empty());
    w.run_out();
    assert_eq!((w.failed(id).code.as_ref(), w.failed(id).sent), ("no_answer", Sent::Maybe));
    assert!(w.paths().is_empty());
}

#[test]
fn a_message_that_was_given_up_is_not_sent_again_after_a_restart() {
    let mut w = World::new(json!({"answer_timeout": "10m"}), &[]);
    w.platform.inject(Fault::Silence).unwrap();
    let id = w.submit(message(1, "HELLO"));
    while w.outcomes.is_empty() {
        w.step();
    }
    assert!(w.recorded[&id].as_str().ends_with("/0of1/?"));
    // The outcome did not reach the disk.
    w.outcomes.clear();
    w.restart();
    w.run_out();
    assert_eq!((w.failed(id).code.as_ref(), w.failed(id).sent), ("no_answer", Sent::Maybe));
    assert_eq!(w.holdings().cards[&card(1)].messages.len(), 1);
}

#[test]
fn late_wrong_and_double_answers() {
    let mut w = world();
    w.platform.inject(Fault::Delay(30_000)).unwrap();
    let late = w.submit(activate(&[1], &["GOLD"]));
    w.run_out();
    assert!(w.completed(late));
    w.platform.inject(Fault::DuplicateAnswer).unwrap();
    let twice = w.submit(activate(&[1], &["GOLD"]));
    w.run_out();
    assert!(w.completed(twice));
    assert_eq!(w.paths(), ["autreq/ok/ps000002.emm"], "nobody waits for it");
    w.platform.inject(Fault::WrongNumber).unwrap();
    let lost = w.submit(activate(&[1], &["GOLD"]));
    w.run_out();
    assert_eq!((w.failed(lost).code.as_ref(), w.failed(lost).sent), ("file_vanished", Sent::Maybe));
}

#[test]
fn a_refusal_nobody_explains_ends_after_a_while() {
    let mut w = world();
    w.platform_asleep = true;
    let id = w.submit(activate(&[1], &["GOLD"]));
    w.run(3 * SECOND);
    let contents = w.file("autreq/req/ps000001.emm");
    w.files.call(&FileCall::Delete { path: "autreq/req/ps000001.emm".into() }).unwrap();
    w.files.write("autreq/err/ps000001.emm", contents);
    w.run(30 * SECOND);
    assert!(w.outcomes.is_empty());
    w.run_out();
    assert_eq!(w.rejected(id).code, "unexplained_refusal");
}

#[test]
fn the_second_place_of_refusals_is_read_too() {
    let mut w = World::new(json!({"directories": {"second_errors_file": "aut/err/errors.txt"}}), &[]);
    w.platform_asleep = true;
    let id = w.submit(activate(&[1], &["GOLD"]));
    w.run(3 * SECOND);
    let contents = w.file("autreq/req/ps000001.emm");
    w.files.call(&FileCall::Delete { path: "autreq/req/ps000001.emm".into() }).unwrap();
    w.files.write("autreq/err/ps000001.emm", contents);
    w.files.write("aut/err/errors.txt", &b"ps000001.emm\r\nERR_DATES,4\r\n"[..]);
    w.run_out();
    assert_eq!(w.rejected(id).code, "ERR_DATES");
    assert!(w.paths().is_empty(), "{:?}", w.paths());
}

#[test]
fn a_server_that_is_down_hands_back_what_was_not_written() {
    let mut w = world();
    assert!(w.adapter.capacity() > 0);
    w.platform_asleep = true;
    let written = w.submit(activate(&[1], &["GOLD"]));
    w.run(3 * SECOND);
    w.files.set_down(true);
    let gathered = w.submit(activate(&[2], &["SPORT"]));
    w.run(5 * MINUTE);
    assert_eq!((w.failed(gathered).code.as_ref(), w.failed(gathered).sent), ("file_server", Sent::No));
    assert_eq!(w.adapter.capacity(), 0);
    assert!(w.log.iter().any(|line| line.starts_with("LinkDown(LinkId(0)")));
    let refused = w.submit(activate(&[3], &["GOLD"]));
    assert_eq!(w.failed(refused).sent, Sent::No);
    w.files.set_down(false);
    w.platform_asleep = false;
    w.run_out();
    assert!(w.completed(written));
    assert_eq!(w.log.iter().filter(|line| line.starts_with("LinkUp")).count(), 2);
}

#[test]
fn nothing_is_taken_before_the_first_look() {
    let mut w = world();
    w.files.set_down(true);
    w.restart_without_looking();
    assert_eq!(w.adapter.capacity(), 0);
}

#[test]
fn a_put_whose_answer_is_lost_is_looked_for_first() {
    let mut w = world();
    w.lost_puts = 1;
    let id = w.submit(message(1, "HELLO"));
    w.run_out();
    assert!(w.completed(id));
    assert_eq!((w.puts(), w.holdings().cards[&card(1)].messages.len()), (1, 1));
}

#[test]
fn foreign_files_are_left_alone_and_their_numbers_avoided() {
    let mut w = World::new(json!({"numbers": {"first": 5, "last": 9}}), &[]);
    w.platform_asleep = true;
    for path in ["autreq/ok/ps000005.emm", "autreq/err/gp000006.emm", "autreq/req/cs000007.tmp", "autreq/ok/readme.txt"]
    {
        w.files.write(path, &b"x"[..]);
    }
    w.run(2 * MINUTE);
    let before = w.paths().len();
    w.platform_asleep = false;
    let first = w.submit(activate(&[1], &["GOLD"]));
    w.run_out();
    let second = w.submit(activate(&[1], &["SPORT"]));
    w.run_out();
    let third = w.submit(activate(&[1], &["KIDS"]));
    w.run_out();
    let name = |id| w.outcomes[&id].reference.as_ref().unwrap().as_str();
    assert_eq!([name(first), name(second), name(third)], ["ps000008.emm", "ps000009.emm", "ps000008.emm"]);
    assert_eq!(w.paths().len(), before);
}

#[test]
fn a_number_somebody_else_took_meanwhile_is_not_overwritten() {
    let mut w = world();
    w.platform_asleep = true;
    w.files.write("autreq/req/ps000001.emm", &b"x"[..]);
    let id = w.submit(activate(&[1], &["GOLD"]));
    w.run(3 * SECOND);
    assert_eq!(w.paths(), ["autreq/req/ps000001.emm", "autreq/req/ps000002.emm"]);
    assert!(w.recorded[&id].as_str().ends_with("/000002"));
}

#[test]
fn when_every_number_is_used_nothing_is_taken_until_one_is_free() {
    let mut w = World::new(json!({"numbers": {"first": 1, "last": 2}, "clean_up": false}), &[]);
    for service in ["GOLD", "SPORT", "KIDS"] {
        w.submit(activate(&[1], &[service]));
    }
    w.run(MINUTE);
    assert_eq!((w.outcomes.len(), w.adapter.capacity()), (2, 0));
    assert!(w.log.iter().any(|line| line.contains("no transaction number is free")));
    w.files.call(&FileCall::Delete { path: "autreq/ok/ps000001.emm".into() }).unwrap();
    w.run_out();
    assert_eq!(w.outcomes.len(), 3);
}

#[test]
fn draining_sends_what_was_gathered() {
    let mut w = world();
    let id = w.submit(activate(&[1], &["GOLD"]));
    w.adapter.drain(w.now);
    w.pump();
    assert_eq!((w.puts(), w.adapter.capacity()), (1, 0));
    w.run_out();
    assert!(w.completed(id));
}

/// A little of everything, on a platform that does not know card 3.
fn mixture(crash: Option<(usize, Crash)>, again: Option<usize>) -> World {
    let known: Vec<String> = [1, 2, 4, 5].into_iter().map(card).collect();
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    let mut w = World::new(json!({"max_ids_per_file": 2}), &known);
    w.crash = crash.map(|(at, when)| (w.effects + at, when));
    w.crash_again = again;
    w.submit(activate(&[1], &["GOLD", "SPORT"]));
    w.submit(activate(&[3], &["GOLD"]));
    w.submit(activate(&[1, 2, 4], &["KIDS"]));
    w.submit(message(1, "HELLO"));
    w.submit(message(3, "HELLO"));
    w.submit(message(2, "OTHER"));
    w.submit(json!({"command": "set_services", "services": ["GOLD"], "smartcard": card(5)}));
    w.submit(json!({"command": "pair", "smartcard": card(2), "stb": "77"}));
    w.submit(json!({"command": "get_services", "smartcard": card(2)}));
    w.run_out();
    w
}

#[test]
fn a_restart_at_any_effect_loses_nothing_and_doubles_nothing() {
    let whole = mixture(None, None);
    let mut expected = whole.holdings().clone();
    expected.applied = 0;
    let verdicts = |w: &World| -> Vec<String> {
        let short = |verdict: &Verdict| match verdict {
            Verdict::Completed(_) => "completed".to_owned(),
            Verdict::Rejected(failure) => failure.code.clone().into_owned(),
            Verdict::Failed(failure) => format!("failed {failure}"),
        };
        w.outcomes.values().map(|outcome| short(&outcome.verdict)).collect()
    };
    assert_eq!(verdicts(&whole).iter().filter(|v| *v == "ERR_CARDNUM").count(), 2);
    assert!(whole.effects > 60, "{}", whole.effects);
    for at in 1..=whole.effects {
        for (when, again) in [
            (Crash::Before, None),
            (Crash::After, None),
            (Crash::Before, Some(1)),
            (Crash::After, Some(2)),
            (Crash::After, Some(5)),
        ] {
            let w = mixture(Some((at, when)), again);
            let mut held = w.holdings().clone();
            held.applied = 0;
            assert_eq!(held, expected, "crash {when:?} effect {at}, again {again:?}");
            assert_eq!(verdicts(&w), verdicts(&whole), "crash {when:?} effect {at}, again {again:?}");
        }
    }
}

#[test]
fn half_of_a_file_left_by_a_crash_is_removed() {
    let mut w = world();
    w.platform_asleep = true;
    w.crash = Some((w.effects + 2, Crash::Before));
    let id = w.submit(message(1, "HELLO"));
    // The put is the second effect; half of it reached the server.
    w.files.write("autreq/req/gp000001.tmp", &b"U\n0000"[..]);
    w.run(3 * SECOND);
    assert!(w.crash.is_none());
    w.platform_asleep = false;
    w.run_out();
    assert!(w.completed(id));
    assert!(w.paths().is_empty(), "{:?}", w.paths());
    assert_eq!(w.holdings().cards[&card(1)].messages.len(), 1);
}

#[test]
fn a_strangers_file_of_the_recorded_name_is_not_believed() {
    let mut w = world();
    w.platform_asleep = true;
    w.crash = Some((w.effects + 2, Crash::Before));
    let id = w.submit(message(1, "HELLO"));
    let stranger = "01\n000001\n00001001\nU\nU\nU\nU\nU\nEMM\n000001\n77\nZZZ\n";
    w.files.write("autreq/ok/gp000001.emm", stranger.as_bytes());
    w.run(3 * SECOND);
    w.platform_asleep = false;
    w.run_out();
    assert!(w.completed(id));
    assert_eq!(w.holdings().cards[&card(1)].messages.len(), 1);
    assert_eq!(w.paths(), ["autreq/ok/gp000001.emm"]);
}

#[test]
fn nothing_printed_shows_a_number_or_a_text() {
    let w = mixture(None, None);
    for line in &w.log {
        assert!(!line.contains("1450000") && !line.contains("HELLO") && !line.contains("OTHER"), "{line}");
    }
}

/// What can happen to a gateway.
#[derive(Clone, Debug)]
enum Happening {
    Message { express: bool },
    Activation,
    Time(u64),
    Restart,
    Crash { after: usize },
    ServerDown(u64),
    LostPut,
    PlatformSleeps(u64),
    Fault(Fault),
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        4 => any::<bool>().prop_map(|express| Happening::Message { express }),
        3 => Just(Happening::Activation),
        3 => (100..5_000_u64).prop_map(Happening::Time),
        1 => Just(Happening::Restart),
        2 => (1..12_usize).prop_map(|after| Happening::Crash { after }),
        1 => (1..90_u64).prop_map(Happening::ServerDown),
        1 => Just(Happening::LostPut),
        1 => (1..30_u64).prop_map(Happening::PlatformSleeps),
        2 => prop_oneof![
            Just(Fault::HalfFrame), Just(Fault::Garbage), Just(Fault::UnknownCard), Just(Fault::Delay(7_000)), Just(Fault::Silence),
        ].prop_map(Happening::Fault),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_messages_come_once_and_outcomes_are_true(happenings in prop::collection::vec(happening(), 1..60)) {
        let mut w = World::new(json!({"max_ids_per_file": 4, "answer_timeout": "5m"}), &[]);
        let mut messages = Vec::new();
        let mut activations = Vec::new();
        for (n, happening) in happenings.into_iter().enumerate() {
            let n = n as u64;
            match happening {
                Happening::Message { express } => {
                    let mut body = message(n, if n.is_multiple_of(2) { "EVEN" } else { "ODD" });
                    body["priority"] = if express { "express" } else { "regular" }.into();
                    messages.push((n, w.submit(body)));
                }
                Happening::Activation => activations.push((n, w.submit(activate(&[n], &["GOLD", "SPORT"])))),
                Happening::Time(millis) => w.run(Duration::from_millis(millis)),
                Happening::Restart => w.restart(),
                Happening::Crash { after } => w.crash = Some((w.effects + after, Crash::After)),
                Happening::ServerDown(seconds) => {
                    w.crash = None;
                    w.files.set_down(true);
                    w.run(SECOND * seconds as u32);
                    w.files.set_down(false);
                }
                Happening::LostPut => w.lost_puts += 1,
                Happening::PlatformSleeps(seconds) => {
                    w.platform_asleep = true;
                    w.run(SECOND * seconds as u32);
                    w.platform_asleep = false;
                }
                Happening::Fault(fault) => w.platform.inject(fault).unwrap(),
            }
        }
        w.crash = None;
        w.run_out();
        for (n, id) in messages {
            let shown = w.holdings().cards.get(&card(n)).map_or(0, |card| card.messages.len());
            let fits = match &w.outcomes[&id].verdict {
                Verdict::Completed(_) => shown == 1,
                Verdict::Rejected(failure) => shown == 0 && failure.code == "ERR_CARDNUM",
                Verdict::Failed(failure) if failure.sent == Sent::No => shown == 0,
                Verdict::Failed(_) => shown <= 1,
            };
            prop_assert!(fits, "message {n} was shown {shown} times: {:?}", w.outcomes[&id].verdict);
        }
        for (n, id) in activations {
            if w.completed(id) {
                prop_assert_eq!(w.services_of(&card(n)), ["41", "42"]);
            }
        }
    }
}
