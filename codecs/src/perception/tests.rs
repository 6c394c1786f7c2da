//! The protocol, from both sides.

use headgate_core::command::CommandKind;
use headgate_core::outcome::{Answer, Verdict};
use serde_json::json;

use super::PROTOCOL;
use crate::template::testing::{keeps, pair, refuses, run_demo, survives_faults};

const CREATE: &str = r#"{"command":"create_subscriber","subscription":"S1","subscriber":{"password":"s3cret","pin":"0000","region":"REG1","since":"2023-11-14T22:13:20Z"}}"#;

#[test]
fn the_demo_ends_as_it_says_and_the_platform_holds_what_was_asked() {
    let pair = run_demo(&PROTOCOL);
    let holdings = pair.platform.holdings();
    let account = &holdings.accounts["S0000000001"];
    assert_eq!(holdings.accounts.len(), 1);
    assert_eq!(account.pin.as_deref(), Some("1234"));
    assert_eq!(account.attributes["region"], "REG2");
    assert_eq!(account.messages, ["Your film starts soon."]);
    assert_eq!(account.sessions_removed, 1);
    assert!(account.services.is_empty());
    assert_eq!(holdings.broadcasts, ["Maintenance at 03:00."]);
    keeps(&pair, &["s3cret", "11111111-2222", "token-S0000000001"]);
}

#[test]
fn the_add_call_is_the_one_of_the_sheet() {
    let (mut pair, _) = pair(&PROTOCOL, json!({}));
    pair.submit(1, CREATE);
    assert_eq!(pair.end(1), "completed");
    let call = pair.last_call();
    let body = r#"{"password":"s3cret","pinNumber":"0000","regionId":"REG1","subscribedSince":1700000000,"subscriberId":"S1"}"#;
    assert_eq!(call.body, body);
    assert!(call.target.starts_with("/Catherine/api/4.8/json/1234567890123456789/"), "{}", call.target);
    assert!(call.target.ends_with("/provider/subscribers/add"));
    let attributes = &pair.platform.holdings().accounts["S1"].attributes;
    assert_eq!(attributes["since"], "2023-11-14T22:13:20Z");
}

#[test]
fn what_was_switched_on_is_told_again() {
    let (mut pair, _) = pair(&PROTOCOL, json!({}));
    pair.submit(1, CREATE);
    pair.submit(
        2,
        r#"{"command":"activate_services","subscription":"S1","services":["SPORT"],"end":"2030-12-31T23:59:59Z"}"#,
    );
    pair.submit(3, r#"{"command":"get_services","subscription":"S1"}"#);
    let Verdict::Completed(Some(Answer::Services(held))) = &pair.outcome(3).verdict else { panic!("{}", pair.end(3)) };
    assert_eq!(held[0].account.as_ref().unwrap().as_str(), "S1");
    assert_eq!(held[0].services[0].code.as_ref().unwrap().as_str(), "SPORT");
    assert_eq!(held[0].services[0].end.unwrap().to_string(), "2030-12-31T23:59:59Z");
    pair.submit(4, r#"{"command":"authenticate","subscription":"S1","password":"s3cret"}"#);
    let Verdict::Completed(Some(Answer::Authenticated(proof))) = &pair.outcome(4).verdict else {
        panic!("{}", pair.end(4))
    };
    assert!(proof.token.is_some());
}

#[test]
fn another_secret_is_not_admitted() {
    use crate::registry::Stock;
    use crate::test_support::http_pair::HttpPair;
    let settings = |secret: &str| json!({ "client_id": "12", "secret": secret });
    let provider = crate::test_support::provider(&[]);
    let opened = (PROTOCOL.open)(&provider, &settings("right"), 1).unwrap();
    let platform = (PROTOCOL.platform)(&settings("other"), &Stock::default()).unwrap();
    let mut pair = HttpPair::new(opened.adapter, platform);
    pair.submit(1, CREATE);
    assert_eq!(pair.end(1), "failed not_admitted No");
    // The client face has an id and a secret of its own.
    let both = json!({ "client_id": "12", "secret": "a", "client": { "client_id": "13", "secret": "b" } });
    let opened = (PROTOCOL.open)(&provider, &both, 1).unwrap();
    let mut pair = HttpPair::new(opened.adapter, (PROTOCOL.platform)(&both, &Stock::default()).unwrap());
    pair.submit(1, r#"{"command":"test_connection"}"#);
    assert_eq!(pair.end(1), "completed");
    assert!(pair.last_call().target.contains("/json/13/"));
}

#[test]
fn faults_are_told_apart() {
    survives_faults(&PROTOCOL, &[CREATE], r#"{"command":"set_pin","subscription":"S1","pin":"4321"}"#);
}

#[test]
fn what_the_platform_does_not_do_is_refused() {
    refuses(
        &PROTOCOL,
        &[
            CommandKind::Pair,
            CommandKind::Fingerprint,
            CommandKind::AddDevice,
            CommandKind::Suspend,
            CommandKind::AddUsage,
        ],
    );
    let (_, opened) = pair(&PROTOCOL, json!({}));
    let check = |json: &str| {
        let request = crate::test_support::submission(1, json).request;
        opened.rules.check(&request).map_err(|refusal| refusal.field.into_owned())
    };
    assert_eq!(check(r#"{"command":"set_pin","subscription":"S1","pin":"12"}"#), Err("pin".into()));
    assert_eq!(check(r#"{"command":"create_subscriber","subscription":"S1"}"#), Err("subscriber/password".into()));
    assert!(check(r#"{"command":"send_message","message":{"kind":"mail","text":"x"}}"#).is_err());
}

#[test]
fn settings_are_checked() {
    let wrong = |settings: serde_json::Value| {
        let provider = crate::test_support::provider(&[]);
        (PROTOCOL.open)(&provider, &settings, 1).err().map(|error| error.path)
    };
    assert_eq!(wrong(json!({})), None);
    assert_eq!(wrong(json!({ "client_id": "x" })).as_deref(), Some("client_id"));
    assert_eq!(wrong(json!({ "version": ".." })).as_deref(), Some("version"));
    assert_eq!(wrong(json!({ "calls": { "at_once": 0 } })).as_deref(), Some("calls.at_once"));
    assert_eq!(wrong(json!({ "default_period_months": 0 })).as_deref(), Some("default_period_months"));
    let profile = json!({ "operations": { "pair": { "path": "/x", "json": { "a": "{nope}" } } } });
    assert_eq!(wrong(json!({ "profile": profile })).as_deref(), Some("profile.operations.pair.json.a"));
    let signed = json!({ "sign": { "by": "magic" } });
    assert_eq!(wrong(json!({ "profile": signed })).as_deref(), Some("profile.sign"));
}

#[test]
fn calls_are_explained() {
    let call = b"POST /Catherine/api/4.8/json/12/d/provider/subscribers/add HTTP/1.1\r\n\r\n{\"subscriberId\":\"S1\"}";
    let explained = &(PROTOCOL.decode)(&json!({}), None, call).unwrap()[0];
    assert_eq!(explained.title, "call create_subscriber (subscriberId)");
    assert_eq!(explained.fields[1].meaning, "the account, and the name to sign in with");
}
