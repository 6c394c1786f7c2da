//! The protocol, from both sides.

use headgate_core::command::CommandKind;
use headgate_core::outcome::{Answer, Verdict};
use headgate_core::platform::Fault;
use serde_json::json;

use super::PROTOCOL;
use crate::http::form;
use crate::template::testing::{keeps, pair, refuses, run_demo, survives_faults};
use crate::test_support::{provider, submission};

const CREATE: &str = r#"{"command":"create_subscriber","subscription":"C1","subscriber":{"email":"ada@example.org"}}"#;

#[test]
fn the_demo_ends_as_it_says_and_the_platform_holds_what_was_asked() {
    let pair = run_demo(&PROTOCOL);
    let holdings = pair.platform.holdings();
    assert_eq!(holdings.accounts.keys().collect::<Vec<_>>(), ["C1001"]);
    let ada = &holdings.accounts["C1001"];
    assert_eq!(ada.devices.iter().collect::<Vec<_>>(), ["AA01"]);
    assert_eq!(ada.attributes["last_name"], "Virta");
    assert_eq!(ada.pin.as_deref(), Some("1234"));
    assert!(ada.services.is_empty());
    keeps(&pair, &["s3cret", "an example of a key"]);
}

#[test]
fn the_envelope_decides_not_the_status() {
    let (mut pair, _) = pair(&PROTOCOL, json!({}));
    pair.submit(1, r#"{"command":"activate_services","subscription":"C9","services":["SPORT"]}"#);
    assert_eq!(pair.end(1), "rejected -1002: there is no such account");
    let response = String::from_utf8_lossy(&pair.outcome(1).exchange.response).into_owned();
    assert!(response.starts_with("HTTP/1.1 200"), "{response}");
    assert!(response.contains(r#""status":false"#), "{response}");
    // Made twice, made once.
    pair.submit(2, CREATE);
    pair.submit(3, CREATE);
    assert_eq!((pair.end(2), pair.end(3)), ("completed".to_owned(), "completed".to_owned()));
}

#[test]
fn devices_are_registered_in_the_subscribers_name() {
    let (mut pair, _) = pair(&PROTOCOL, json!({}));
    pair.submit(1, CREATE);
    pair.submit(2, r#"{"command":"add_device","subscription":"C1","stbs":["AA01","AA02"]}"#);
    assert_eq!(pair.end(2), "completed");
    let call = pair.last_call();
    assert_eq!(call.target, "/proxy/casAuth");
    let expected = [("name", "AA02"), ("casDeviceId", "AA02"), ("type", "STB")];
    assert_eq!(form::parse(&call.body), expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    assert_eq!(call.header("x-an-webservice-customerauthtoken").unwrap().split('.').count(), 3);
    pair.submit(3, r#"{"command":"get_device","subscription":"C1"}"#);
    let Verdict::Completed(Some(Answer::Devices(devices))) = &pair.outcome(3).verdict else {
        panic!("{}", pair.end(3))
    };
    assert_eq!(devices.iter().map(|device| device.serial.as_str()).collect::<Vec<_>>(), ["AA01", "AA02"]);
    // One of two.
    pair.submit(4, r#"{"command":"remove_device","subscription":"C1","stbs":["AA01","AA09"]}"#);
    let Verdict::Rejected(failure) = &pair.outcome(4).verdict else { panic!("{}", pair.end(4)) };
    assert_eq!((failure.code.as_ref(), failure.parts[0].part.as_str()), ("-1003", "AA09"));
    let record = String::from_utf8_lossy(&pair.outcome(2).exchange.request).into_owned();
    assert!(record.contains("customerauthtoken: ***") && !record.contains(".ey"), "{record}");
}

#[test]
fn a_token_is_made_without_a_call() {
    let (mut pair, opened) = pair(&PROTOCOL, json!({}));
    let calls = pair.calls.len();
    pair.submit(1, r#"{"command":"authenticate","subscription":"C1"}"#);
    let Verdict::Completed(Some(Answer::Authenticated(proof))) = &pair.outcome(1).verdict else {
        panic!("{}", pair.end(1))
    };
    assert_eq!(proof.account.as_ref().unwrap().as_str(), "C1");
    assert_eq!(proof.token.as_ref().unwrap().reveal().split('.').count(), 3);
    assert_eq!(pair.calls.len(), calls);
    let check =
        |json: &str| opened.rules.check(&submission(1, json).request).map_err(|refusal| refusal.field.into_owned());
    assert_eq!(check(r#"{"command":"authenticate"}"#), Err("subscription".into()));
    assert_eq!(check(r#"{"command":"authenticate","subscription":"C1","password":"x"}"#), Err("password".into()));
    // Without a key there are no tokens.
    let opened = (PROTOCOL.open)(&provider(&[]), &json!({}), 1).unwrap();
    assert!(!opened.rules.capabilities().commands.contains_key(&CommandKind::Authenticate));
    let refusal =
        opened.rules.check(&submission(1, r#"{"command":"add_device","subscription":"C1","stb":"A"}"#).request);
    assert!(refusal.unwrap_err().detail.contains("token.key"));
}

#[test]
fn faults_are_told_apart() {
    survives_faults(
        &PROTOCOL,
        &[CREATE],
        r#"{"command":"activate_services","subscription":"C1","services":["SPORT"]}"#,
    );
    let (mut pair, _) = pair(&PROTOCOL, json!({}));
    assert_eq!(pair.platform.inject(Fault::RefuseLogin), Err(Fault::RefuseLogin));
}

#[test]
fn what_the_platform_does_not_do_is_refused() {
    refuses(
        &PROTOCOL,
        &[
            CommandKind::SendMessage,
            CommandKind::Fingerprint,
            CommandKind::Pair,
            CommandKind::SetPin,
            CommandKind::ResetPin,
        ],
    );
}

#[test]
fn settings_are_checked() {
    let wrong =
        |settings: serde_json::Value| (PROTOCOL.open)(&provider(&[]), &settings, 1).err().map(|error| error.path);
    assert_eq!(wrong(json!({})), None);
    assert_eq!(wrong(json!({ "token": { "key": "short" } })).as_deref(), Some("token.key"));
    assert_eq!(wrong(json!({ "token": { "life": "0s" } })).as_deref(), Some("token.life"));
    let profile = json!({ "operations": { "remove_subscriber": { "path": "/x", "sign": { "by": "token" } } } });
    assert_eq!(wrong(json!({ "profile": profile })).as_deref(), Some("profile.operations.remove_subscriber.sign"));
}
