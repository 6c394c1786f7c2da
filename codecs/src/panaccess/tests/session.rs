//! Sessions: lost, refused, limited, and what a missing right looks like.

use std::time::Duration;

use headgate_core::platform::Fault;
use serde_json::json;

use super::{LANGUAGES, count, functions, logins, pair, pair_with};

const REFRESH: &str = r#"{"command":"refresh_services","smartcard":"0123456701"}"#;

#[test]
fn a_lost_session_is_found_out_opened_again_and_the_call_repeated_once() {
    for binding in LANGUAGES {
        let mut pair = pair(binding, &json!({}));
        pair.platform.inject(Fault::LoseSessions).unwrap();
        pair.submit(1, REFRESH);
        assert_eq!(pair.end(1), "completed");
        assert_eq!(functions(&pair), ["refreshSmartcard", "loggedIn", "refreshSmartcard"]);
        assert_eq!(logins(&pair), 2);
        assert_eq!(pair.platform.holdings().cards["0123456701"].refreshes, 1);
        // Lost again at once: the request comes back later, and was not done.
        for fault in [Fault::LoseSessions, Fault::Delay(0), Fault::LoseSessions] {
            pair.platform.inject(fault).unwrap();
        }
        pair.submit(2, REFRESH);
        assert_eq!(pair.end(2), "failed session_lost No");
    }
}

#[test]
fn a_session_lost_under_a_thousand_calls_is_opened_once_and_nothing_is_done_twice() {
    for binding in LANGUAGES {
        let mut pair = pair(binding, &json!({"calls": {"at_once": 1_000}}));
        pair.hold = true;
        pair.platform.inject(Fault::LoseSessions).unwrap();
        for id in 1..=1_000 {
            pair.submit_only(id, REFRESH);
        }
        pair.settle();
        pair.release();
        assert!((1..=1_000).all(|id| pair.end(id) == "completed"));
        assert_eq!(logins(&pair), 2);
        assert_eq!(pair.platform.holdings().cards["0123456701"].refreshes, 1_000);
    }
}

/// One finds the session lost and opens the next; then the other hears of its own loss, and checks the next one. That it
/// lives says nothing of the call that went out with the last.
#[test]
fn a_check_of_the_next_session_is_not_taken_for_the_last_ones() {
    for binding in LANGUAGES {
        let mut pair = pair(binding, &json!({}));
        for fault in [Fault::LoseSessions, Fault::Delay(20_000)] {
            pair.platform.inject(fault).unwrap();
        }
        pair.submit_only(1, REFRESH);
        pair.submit_only(2, REFRESH);
        pair.settle();
        assert_eq!((pair.end(1), pair.has_ended(2)), ("completed".to_owned(), false));
        pair.pass(Duration::from_secs(21));
        assert_eq!(pair.end(2), "completed");
        assert_eq!(functions(&pair)[4..], ["loggedIn", "refreshSmartcard"]);
        assert_eq!((logins(&pair), pair.platform.holdings().cards["0123456701"].refreshes), (2, 2));
    }
}

#[test]
fn a_missing_right_is_tried_in_the_other_spelling_once_and_then_told() {
    let mut pair = pair_with("json", &json!({}), |platform| platform.deny("refreshSmartcard"));
    pair.submit(1, REFRESH);
    assert_eq!(pair.end(1), "completed");
    assert_eq!(functions(&pair), ["refreshSmartcard", "loggedIn", "cvRefreshSmartcard"]);
    // It is remembered.
    pair.submit(2, REFRESH);
    assert_eq!(functions(&pair)[3..], ["cvRefreshSmartcard"]);

    for binding in LANGUAGES {
        let mut pair = pair_with(binding, &json!({}), |platform| {
            platform.deny("refreshSmartcard");
            platform.deny("cvRefreshSmartcard");
        });
        pair.submit(1, REFRESH);
        assert_eq!(pair.end(1), "rejected no_access_to_function: no_access_to_function");
        assert_eq!(count(&pair, "loggedIn"), if binding == "json" { 2 } else { 1 });
        assert_eq!(logins(&pair), 1);
    }
}

#[test]
fn what_was_refused_before_the_right_was_found_was_not_done() {
    let mut pair = pair_with("json", &json!({}), |platform| platform.deny("sendOsm"));
    pair.hold = true;
    pair.submit(1, r#"{"command":"send_message","smartcard":"0123456701","message":{"kind":"bark","text":"hello"}}"#);
    pair.release();
    assert_eq!(pair.end(1), "completed");
    pair.platform.inject(Fault::LoseSessions).unwrap();
    pair.hold = true;
    pair.submit(2, r#"{"command":"send_message","smartcard":"0123456701","message":{"kind":"bark","text":"hello"}}"#);
    // The check of the session can not be made: the message may be sent again without harm.
    pair.refuse = 1;
    pair.release();
    assert_eq!(pair.end(2), "failed connect_failed No");
    assert_eq!(pair.platform.holdings().cards["0123456701"].messages, ["hello"]);
}

#[test]
fn logins_are_never_more_than_twenty_in_five_minutes() {
    for binding in LANGUAGES {
        let mut pair = pair(binding, &json!({}));
        for id in 1..=30 {
            pair.platform.inject(Fault::LoseSessions).unwrap();
            pair.submit(id, REFRESH);
        }
        assert_eq!(logins(&pair), 20);
        assert!(!pair.has_ended(20), "it waits for the budget");
        pair.pass(Duration::from_mins(6));
        assert!((1..=30).all(|id| pair.has_ended(id)));
        assert!(logins(&pair) <= 40);
    }
}

#[test]
fn refused_logins_are_told_and_not_repeated_in_a_storm() {
    for binding in LANGUAGES {
        let wrong = json!({"password": "wrong"});
        let settings = super::settings(binding, &wrong);
        let services = crate::test_support::provider(&[]);
        let opened = (crate::panaccess::PROTOCOL.open)(&services, &settings, 7).unwrap();
        let platform = (crate::panaccess::PROTOCOL.platform)(
            &super::settings(binding, &json!({})),
            &crate::registry::Stock::default(),
        );
        let mut pair = crate::test_support::http_pair::HttpPair::new(opened.adapter, platform.unwrap());
        pair.pass(Duration::from_hours(1));
        assert_eq!(pair.adapter.capacity(), 0);
        assert!((10..=240).contains(&logins(&pair)), "{}", logins(&pair));
        assert!(pair.log.contains("login_refused"), "{}", pair.log);
        assert!(!pair.log.contains("wrong\"") && !pair.log.contains("op-pass"));
        let calls: Vec<_> = pair.calls.iter().map(|call| call.body.clone()).collect();
        assert_eq!(pair.platform.holdings().logins, 0, "{calls:?}");
    }
    // The limit's words are understood.
    let mut pair = pair("json", &json!({}));
    pair.platform.inject(Fault::RefuseLogin).unwrap();
    pair.platform.inject(Fault::LoseSessions).unwrap();
    pair.submit(1, REFRESH);
    assert_eq!(pair.end(1), "failed login_refused No");
}

#[test]
fn an_idle_session_is_checked_and_opened_again_when_it_is_gone() {
    for binding in LANGUAGES {
        let mut pair = pair(binding, &json!({"session_check": "10m"}));
        pair.pass(Duration::from_mins(25));
        assert_eq!((count(&pair, "loggedIn"), logins(&pair)), (2, 1));
        pair.platform.inject(Fault::LoseSessions).unwrap();
        pair.pass(Duration::from_mins(10));
        assert_eq!(logins(&pair), 2);
        pair.adapter.drain(pair.now);
        pair.settle();
        assert_eq!(functions(&pair).last().unwrap(), "logout");
    }
}

#[test]
fn soap_logins_take_the_password_as_it_is_or_hashed() {
    for how in ["plain", "hashed"] {
        let pair = pair("soap", &json!({"soap_password": how}));
        assert_eq!(pair.adapter.capacity(), 32);
        let body = String::from_utf8_lossy(&pair.calls[0].body).into_owned();
        assert_eq!(body.contains(">op-pass<"), how == "plain", "{body}");
    }
}

#[test]
fn neither_logs_nor_records_tell_secrets_or_subscribers() {
    for binding in LANGUAGES {
        let mut pair = pair(binding, &json!({"soap_password": "hashed"}));
        pair.submit(
            1,
            r#"{"subscription":"S-4711","command":"create_subscriber","subscriber":{"last_name":"Lovelace"}}"#,
        );
        pair.submit(2, r#"{"command":"set_pin","smartcard":"0123456701","pin":"8642"}"#);
        pair.submit(
            3,
            r#"{"command":"send_message","smartcard":"0123456701","message":{"kind":"bark","text":"hush"}}"#,
        );
        let session = "9f2c0000000000000000000000000001";
        let record = pair.outcome(1).exchange.clone();
        let request = String::from_utf8_lossy(&record.request).into_owned();
        assert!(request.contains("S-4711") && !request.contains(session), "{request}");
        for pin in ["0032", "8642"] {
            pair.submit(10, &format!(r#"{{"command":"set_pin","smartcard":"0123456701","pin":"{pin}"}}"#));
            pair.submit(11, r#"{"command":"get_device","smartcard":"0123456701"}"#);
            let set = String::from_utf8_lossy(&pair.outcome(10).exchange.request).into_owned();
            let told = String::from_utf8_lossy(&pair.outcome(11).exchange.response).into_owned();
            assert!(set.contains("***") && !set.contains("pin=32") && !set.contains(">32<"), "{set}");
            assert!(
                told.contains("***") && !told.contains(":32") && !told.contains(">32<") && !told.contains("8642"),
                "{told}"
            );
            pair.events.clear();
        }
        for secret in [session, "op-pass", "AbCdEfGhIjKlMnOpQrSt", "0123456701", "8642", "hush", "Lovelace", "S-4711"] {
            assert!(!pair.log.contains(secret), "{secret}");
        }
    }
}
