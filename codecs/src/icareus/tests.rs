//! The protocol, from both sides.

use headgate_core::command::CommandKind;
use headgate_core::outcome::{Answer, Verdict};
use headgate_core::platform::Fault;
use serde_json::json;

use super::PROTOCOL;
use crate::http::form;
use crate::registry::Stock;
use crate::template::testing::{keeps, pair, refuses, run_demo, survives_faults};
use crate::test_support::http_pair::HttpPair;
use crate::test_support::{provider, submission};

const CREATE: &str = r#"{"command":"create_subscriber","subscription":"S1","subscriber":{"email":"ada@example.org","first_name":"Ada","last_name":"Virta"}}"#;

fn last_form(pair: &HttpPair) -> Vec<(String, String)> {
    form::parse(&pair.last_call().body)
}

#[test]
fn the_demo_ends_as_it_says_and_the_platform_holds_what_was_asked() {
    let pair = run_demo(&PROTOCOL);
    let holdings = pair.platform.holdings();
    assert_eq!(holdings.accounts.keys().collect::<Vec<_>>(), ["2001"]);
    let ada = &holdings.accounts["2001"];
    assert_eq!(ada.attributes["email"], "ada@example.org");
    assert!(ada.services.is_empty());
    assert_eq!(holdings.logins, 1);
    keeps(&pair, &["s3cret", "n3w", "admin-pw", "session-000001", "token-2001-"]);
}

#[test]
fn a_subscriber_without_a_password_takes_three_calls() {
    let (mut pair, _) = pair(&PROTOCOL, json!({}));
    let before = pair.calls.len();
    pair.submit(1, CREATE);
    assert_eq!(pair.end(1), "completed");
    assert_eq!(pair.outcome(1).reference.as_ref().unwrap().as_str(), "2001");
    let actions: Vec<_> = pair.calls[before..].iter().map(|call| form::parse(&call.body)[0].1.clone()).collect();
    assert_eq!(actions, ["addUser", "assignUser", "assignUserRole"]);
    let token = last_form(&pair).into_iter().find(|(name, _)| name == "token").unwrap().1;
    assert_eq!((token.len(), &token[..10]), (42, "016968d6c0"));
}

#[test]
fn removing_is_signed_as_the_sheet_says() {
    let settings = json!({ "organization_id": "1001", "key": "secret" });
    let opened = (PROTOCOL.open)(&provider(&[]), &settings, 1).unwrap();
    let mut pair = HttpPair::new(opened.adapter, (PROTOCOL.platform)(&settings, &Stock::default()).unwrap());
    // Without an administrator nobody logs in.
    assert!(pair.calls.is_empty());
    pair.now.wall = jiff::Timestamp::from_second(1_767_225_600).unwrap();
    pair.submit(1, r#"{"command":"remove_subscriber","account":"2002"}"#);
    let expected = [
        ("action", "removeUser"),
        ("organizationId", "1001"),
        ("userId", "2002"),
        ("token", "016955b9005297e3d3ed3d9d99a7bb41e7d8f9f01d"),
    ];
    assert_eq!(last_form(&pair), expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    assert_eq!(pair.end(1), "rejected error: there is no such account");
}

#[test]
fn services_are_switched_on_one_by_one_and_told_again() {
    let (mut pair, _) = pair(&PROTOCOL, json!({}));
    pair.submit(1, CREATE);
    pair.submit(
        2,
        r#"{"command":"activate_services","account":"2001","services":["SPORT","FILM"],"end":"2030-12-31T23:59:59Z"}"#,
    );
    assert_eq!(pair.end(2), "completed");
    pair.submit(3, r#"{"command":"get_services","account":"2001"}"#);
    let Verdict::Completed(Some(Answer::Services(held))) = &pair.outcome(3).verdict else { panic!("{}", pair.end(3)) };
    let codes: Vec<_> = held[0].services.iter().map(|service| service.code.as_ref().unwrap().as_str()).collect();
    assert_eq!(codes, ["SPORT", "FILM"]);
    assert_eq!(held[0].services[0].end.unwrap().to_string(), "2030-12-31T23:59:59Z");
    // One of two that is refused.
    pair.platform.inject(Fault::UnknownCard).unwrap();
    pair.submit(4, r#"{"command":"deactivate_services","account":"2001","services":["SPORT","FILM"]}"#);
    let Verdict::Rejected(failure) = &pair.outcome(4).verdict else { panic!("{}", pair.end(4)) };
    assert_eq!((failure.parts.len(), failure.parts[0].part.as_str()), (1, "SPORT"));
    assert_eq!(pair.platform.holdings().accounts["2001"].services.keys().collect::<Vec<_>>(), ["302"]);
}

#[test]
fn a_lost_session_is_opened_again_and_a_refused_login_is_told() {
    let (mut pair, _) = pair(&PROTOCOL, json!({}));
    pair.submit(1, CREATE);
    pair.platform.inject(Fault::LoseSessions).unwrap();
    pair.submit(2, r#"{"command":"get_services","account":"2001"}"#);
    assert!(pair.end(2).starts_with("completed"), "{}", pair.end(2));
    assert_eq!(pair.platform.holdings().logins, 2);
    pair.platform.inject(Fault::LoseSessions).unwrap();
    pair.platform.inject(Fault::RefuseLogin).unwrap();
    pair.submit(3, r#"{"command":"get_services","account":"2001"}"#);
    assert!(pair.end(3).starts_with("failed error No"), "{}", pair.end(3));
}

#[test]
fn another_key_is_not_admitted() {
    let settings = |key: &str| json!({ "organization_id": "1001", "key": key });
    let opened = (PROTOCOL.open)(&provider(&[]), &settings("right"), 1).unwrap();
    let mut pair = HttpPair::new(opened.adapter, (PROTOCOL.platform)(&settings("other"), &Stock::default()).unwrap());
    pair.submit(1, CREATE);
    assert_eq!(pair.end(1), "failed error No");
    pair.submit(2, r#"{"command":"test_connection"}"#);
    assert_eq!(pair.end(2), "failed error No");
}

#[test]
fn faults_are_told_apart() {
    survives_faults(&PROTOCOL, &[CREATE], r#"{"command":"activate_services","account":"2001","services":["SPORT"]}"#);
}

#[test]
fn what_the_platform_does_not_do_is_refused() {
    refuses(
        &PROTOCOL,
        &[
            CommandKind::SendMessage,
            CommandKind::Fingerprint,
            CommandKind::Pair,
            CommandKind::Unpair,
            CommandKind::SetPin,
            CommandKind::AddDevice,
        ],
    );
    let (_, opened) = pair(&PROTOCOL, json!({}));
    let check =
        |json: &str| opened.rules.check(&submission(1, json).request).map_err(|refusal| refusal.field.into_owned());
    let update = r#"{"command":"update_subscriber","account":"2001","subscriber":{"first_name":"A"}}"#;
    assert_eq!(check(update), Err("subscriber/last_name".into()));
    assert_eq!(check(r#"{"command":"create_subscriber"}"#), Err("subscriber/first_name".into()));
}

#[test]
fn settings_are_checked() {
    let wrong =
        |settings: serde_json::Value| (PROTOCOL.open)(&provider(&[]), &settings, 1).err().map(|error| error.path);
    assert_eq!(wrong(json!({})), None);
    assert_eq!(wrong(json!({ "organization_id": "x" })).as_deref(), Some("organization_id"));
    assert_eq!(wrong(json!({ "password": "x" })).as_deref(), Some("password"));
    assert_eq!(wrong(json!({ "vars": { "organization_id": "1" } })).as_deref(), Some("vars.organization_id"));
    assert_eq!(wrong(json!({ "vars": { "a b": "1" } })).as_deref(), Some("vars.a b"));
    let profile = json!({ "operations": { "remove_subscriber": { "path": "/x", "sign": { "by": "token" } } } });
    assert_eq!(wrong(json!({ "profile": profile })).as_deref(), Some("profile.operations.remove_subscriber.sign"));
}
