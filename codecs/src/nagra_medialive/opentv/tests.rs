//! OpenTV 3.x: the sheet's own bodies, every command against the platform, and what is refused before it is sent.

use headgate_core::command::CommandKind;
use headgate_core::outcome::{Answer, Authenticated, Verdict};
use headgate_core::platform::Fault;
use headgate_core::text::Serial;
use serde_json::{Value, json};

use super::entitlements::{service_id, usage_id};
use crate::nagra_medialive::test_site::{Site, mistake, with};
use crate::test_support::start;

fn plain() -> Site {
    Site::new(&json!({ "allow_cancel": true }))
}

fn pre_hashed(more: &Value) -> Site {
    let mut settings = json!({
        "accounts": "pre_hashed",
        "account_defaults": { "accountProfileId": "standard", "npvrProfileName": "none", "quota": 1.50 },
        "allow_cancel": true,
    });
    settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    Site::new(&settings)
}

/// With an account A1 and its device 1001.
pub(super) fn with_account() -> Site {
    let mut site = plain();
    assert_eq!(site.ask(json!({ "command": "create_subscriber", "account": "A1" })), "completed");
    assert_eq!(site.ask(json!({ "command": "add_device", "account": "A1", "stb": "1001" })), "completed");
    site
}

fn new_subscriber(account: &str) -> Value {
    let subscriber = json!({ "email": format!("{account}@example.test"), "password": "s3cret \"p\"" });
    json!({ "command": "create_subscriber", "account": account, "subscriber": subscriber })
}

pub(super) fn activate(services: &[&str]) -> Value {
    let period = ("2020-01-01T00:00:00Z", "2031-01-01T00:00:00Z");
    json!({ "command": "activate_services", "account": "A1", "services": services, "start": period.0, "end": period.1 })
}

fn held(site: &Site) -> Value {
    site.holdings()["accounts"]["A1"]["services"].clone()
}

fn names(held: &Value) -> Vec<&str> {
    held.as_object().map(|held| held.keys().map(String::as_str).collect()).unwrap_or_default()
}

// ---- the sheet's own bodies

#[test]
fn the_bodies_are_those_of_the_sheet() {
    let mut site = with_account();
    let device: Value = serde_json::from_str(&site.last_body()).unwrap();
    let of_sheet =
        json!({ "status": "ENABLED", "deviceType": "MANAGED", "accountUid": "A1", "_id": "1001", "caSN": "1001" });
    assert_eq!(device, of_sheet);

    site.ask(activate(&["BASIC"]));
    assert_eq!(
        site.last_body(),
        concat!(
            r#"{"_id":"A1:P1","productId":"P1","accountId":"A1","validityType":"ABSOLUTE","productType":"SUBSCRIPTION","#,
            r#""validFrom":"2020-01-01T00:00:00Z","expiryDate":"2031-01-01T00:00:00Z"}"#
        )
    );
    let call = site.pair.last_call();
    for (name, value) in [
        ("content-type", "application/json"),
        ("authorization", "Bearer access-1"),
        ("nv-tenant-id", "t1"),
        ("x-correlation-id", "00000000-0000-0000-0000-000000000003"),
    ] {
        assert_eq!(call.header(name), Some(value), "{name}");
    }

    let (end, calls) = site.calls(json!({ "command": "suspend", "account": "A1" }));
    assert_eq!((end.as_str(), calls), ("completed", vec!["PUT /adm/v1/accounts/A1".to_owned()]));
    assert_eq!(site.last_body(), r#"{"status":"SUSPENDED"}"#);
    site.ask(json!({ "command": "deactivate_services", "account": "A1", "services": ["BASIC"] }));
    assert_eq!(site.pair.last_call().target, "/rmg/v1/operator/entitlements/A1%3AP1");
    assert_eq!(site.last_body(), r#"{"status":"UNSUBSCRIBED"}"#);
    let (_, calls) = site.calls(json!({ "command": "test_connection" }));
    assert_eq!(calls, ["GET /rmg/v1/operator/entitlements?limit=0"]);
    let login = &site.pair.calls[0];
    assert_eq!(login.target, "/keycloak/auth/realms/nagra/protocol/openid-connect/token");
    assert_eq!(login.body, "grant_type=password&username=headgate&password=pass+word&client_id=c1");
}

#[test]
fn a_created_account_has_the_members_of_its_form() {
    let mut site = plain();
    let attributes = json!({ "attributes": { "note": "x" } });
    site.ask(json!({ "command": "create_subscriber", "account": "A/1", "subscriber": attributes }));
    let body: Value = serde_json::from_str(&site.last_body()).unwrap();
    let of_sheet =
        json!({ "status": "ACTIVE", "billingAddress": [], "pvrStatus": "DISABLED", "_id": "A/1", "note": "x" });
    assert_eq!(body, of_sheet);
    assert_eq!(site.pair.outcome(1).reference, None, "the platform took our id");
    assert!(site.ask(json!({ "command": "get_subscriber", "account": "A/1" })).starts_with("completed"));

    let mut site = pre_hashed(&json!({}));
    assert_eq!(site.ask(new_subscriber("A1")), "completed");
    assert_eq!(site.pair.last_call().target, "/adm/v1/accounts/preHashedPassword");
    let body: Value = serde_json::from_str(&site.last_body()).unwrap();
    let members = [
        "_id",
        "accountProfileId",
        "billingAddress",
        "geoBlockExempt",
        "npvrProfileName",
        "password",
        "pvrStatus",
        "quota",
        "salt",
        "signonId",
        "status",
    ];
    assert_eq!(names(&body), members);
    assert_eq!((&body["geoBlockExempt"], &body["signonId"]), (&json!(false), &json!("A1@example.test")));
    assert_eq!(body["password"].as_str().unwrap().len(), 56, "40 bytes in Base64");
}

#[test]
fn ids_of_entitlements_are_stable_and_never_meet() {
    assert_eq!(service_id("A1", None, "P1"), "A1:P1");
    assert_eq!(service_id("A:1", Some("7/8"), "P 1"), "A%3A1:7%2F8:P%201");
    assert_ne!(service_id("A", Some("B"), "C"), service_id("A:B", None, "C"));
    assert_ne!(usage_id("x"), service_id("usage", None, "x"));
}

// ---- commands and what they leave behind

#[test]
fn services_come_and_go() {
    let mut site = with_account();
    assert_eq!(site.ask(activate(&["BASIC", "SPORT"])), "completed");
    let period = json!({ "start": "2020-01-01T00:00:00Z", "end": "2031-01-01T00:00:00Z" });
    assert_eq!(held(&site), json!({ "P1": period, "P3": period }));

    let these = |command: &str, services: &[&str]| json!({ "command": command, "account": "A1", "services": services });
    assert_eq!(site.ask(these("suspend", &["SPORT"])), "completed");
    assert_eq!(names(&held(&site)), ["P1"]);
    assert_eq!(site.ask(these("resume", &["SPORT"])), "completed");
    assert_eq!(site.ask(these("deactivate_services", &["BASIC"])), "completed");
    assert_eq!(names(&held(&site)), ["P3"]);

    // The whole list: FILM comes, BASIC comes back, SPORT goes; what was bought by itself stays.
    let usage = json!({ "command": "add_usage", "account": "A1", "services": ["SPORT"], "usage": "u1", "end": "2031-01-01T00:00:00Z" });
    assert_eq!(site.ask(usage.clone()), "completed");
    let (end, calls) = site.calls(these("set_services", &["BASIC", "FILM"]));
    assert_eq!(end, "completed");
    assert_eq!(
        calls,
        [
            "GET /rmg/v1/operator/entitlements?limit=100&page=1&accountId=A1",
            "PUT /rmg/v1/operator/entitlements/A1%3AP1",
            "POST /rmg/v1/operator/entitlements",
            "PUT /rmg/v1/operator/entitlements/A1%3AP3",
        ]
    );
    assert_eq!(names(&held(&site)), ["P1", "P2", "P3"]);
    assert_eq!(site.ask(usage), "completed");
    assert_eq!(site.ask(json!({ "command": "cancel_usage", "usage": "u1" })), "completed");
    assert_eq!(names(&held(&site)), ["P1", "P2"]);
    assert_eq!(site.ask(these("set_services", &[])), "completed");
    assert_eq!(held(&site), Value::Null);
    site.ask(activate(&["BASIC", "FILM"]));
    assert_eq!(site.ask(json!({ "command": "deactivate_services", "account": "A1", "services": "all" })), "completed");
    assert_eq!(held(&site), Value::Null);
}

#[test]
fn a_service_without_a_period_runs_from_now_for_the_default() {
    let mut site = with_account();
    site.ask(json!({ "command": "activate_services", "account": "A1", "services": ["BASIC"] }));
    let mut settings = json!({ "start": "2026-01-15T12:00:00Z", "end": "2027-01-15T12:00:00Z" });
    assert!(site.pair.now.wall >= start().wall);
    let got = held(&site)["P1"].clone();
    // Forty seconds pass between requests.
    settings["start"] = got["start"].clone();
    settings["end"] = json!(got["start"].as_str().unwrap().replace("2026", "2027"));
    assert_eq!(got, settings);
    let late = json!({ "command": "activate_services", "account": "A1", "services": ["BASIC"], "end": "2020-01-01T00:00:00Z" });
    assert_eq!(site.ask(late), "failed out_of_range No");
}

#[test]
fn a_grant_that_is_repeated_resumes_and_extends() {
    let mut site = with_account();
    site.ask(activate(&["BASIC"]));
    let mut longer = activate(&["BASIC"]);
    longer["end"] = "2035-01-01T00:00:00Z".into();
    let (end, calls) = site.calls(longer.clone());
    assert_eq!(end, "completed");
    assert_eq!(calls, ["POST /rmg/v1/operator/entitlements", "PUT /rmg/v1/operator/entitlements/A1%3AP1"]);
    assert_eq!(held(&site)["P1"]["end"], "2035-01-01T00:00:00Z");

    let mut site = Site::new(&json!({ "entitlements": { "put_period": false } }));
    site.ask(json!({ "command": "create_subscriber", "account": "A1" }));
    site.ask(activate(&["BASIC"]));
    assert_eq!(site.ask(longer), "completed");
    assert_eq!(site.last_body(), r#"{"status":"SUBSCRIBED"}"#);
    assert_eq!(held(&site)["P1"]["end"], "2031-01-01T00:00:00Z");
}

#[test]
fn a_grant_may_be_for_one_device() {
    let mut site = with_account();
    site.ask(json!({ "command": "add_device", "account": "A1", "stb": "1002" }));
    let mut on_device = activate(&["BASIC"]);
    on_device["stb"] = "1001".into();
    assert_eq!(site.ask(on_device), "completed");
    site.ask(activate(&["SPORT"]));
    let holdings = site.holdings();
    assert_eq!((names(&held(&site)), names(&holdings["cards"]["1001"]["services"])), (vec!["P3"], vec!["P1"]));
    assert!(site.ask(json!({ "command": "get_services", "account": "A1" })).starts_with("completed"));
    let Answer::Services(told) = site.told() else { panic!() };
    let told: Vec<_> = told
        .iter()
        .map(|held| (held.smartcard.as_ref().map(Serial::as_str), held.services[0].code.as_ref().unwrap().as_str()))
        .collect();
    assert_eq!(told, [(None, "SPORT"), (Some("1001"), "BASIC")]);

    // Of one device only what is on it is set and stopped.
    let mut set = json!({ "command": "set_services", "account": "A1", "services": ["FILM"], "stb": "1001" });
    assert_eq!(site.ask(set.clone()), "completed");
    assert_eq!((names(&held(&site)), names(&site.holdings()["cards"]["1001"]["services"])), (vec!["P3"], vec!["P2"]));
    set["command"] = "deactivate_services".into();
    set["services"] = "all".into();
    assert_eq!(site.ask(set), "completed");
    assert_eq!((names(&held(&site)).len(), names(&site.holdings()["cards"]["1001"]["services"]).len()), (1, 0));
    // A device of nobody is refused, with the platform's words.
    let mut unknown = activate(&["BASIC"]);
    unknown["stb"] = "1003".into();
    assert_eq!(site.ask(unknown), "rejected 400: the account has no such device");
}

#[test]
fn lists_are_read_page_by_page() {
    let mut site = Site::new(&json!({ "entitlements": { "page_size": 2, "list_filter": "" } }));
    for account in ["A0", "A1", "A2"] {
        site.ask(json!({ "command": "create_subscriber", "account": account }));
        for service in ["BASIC", "FILM", "SPORT"] {
            let mut body = activate(&[service]);
            body["account"] = account.into();
            site.ask(body);
        }
    }
    let (end, calls) = site.calls(json!({ "command": "get_subscriber", "account": "A1" }));
    assert!(end.starts_with("completed"), "{end}");
    assert_eq!(calls.len(), 6, "{calls:?}");
    assert_eq!(calls[5], "GET /rmg/v1/operator/entitlements?limit=2&page=5");
    let Answer::Subscriber(told) = site.told() else { panic!() };
    assert_eq!((told.account.as_str(), told.state.as_deref(), told.services.len()), ("A1", Some("ACTIVE"), 3));

    let mut site = Site::new(&json!({ "entitlements": { "page_size": 1, "most_pages": 2 } }));
    site.ask(json!({ "command": "create_subscriber", "account": "A1" }));
    site.ask(activate(&["BASIC", "FILM", "SPORT"]));
    assert_eq!(site.ask(json!({ "command": "get_services", "account": "A1" })), "failed answer_unreadable Maybe");
}

#[test]
fn devices_are_added_disabled_told_and_removed() {
    let mut site = with_account();
    let device = |command: &str| json!({ "command": command, "stb": "1001", "account": "A1" });
    let mut disable = device("disable_device");
    disable["reason"] = "lost".into();
    assert_eq!(site.ask(disable), "completed");
    assert_eq!(site.holdings()["cards"]["1001"]["disabled"], "DISABLED");
    let put: Value = serde_json::from_str(&site.last_body()).unwrap();
    assert_eq!((&put["caSN"], &put["accountUid"]), (&json!("1001"), &json!("A1")), "nothing is left out");
    site.ask(json!({ "command": "get_device", "stb": "1001" }));
    let Answer::Devices(told) = site.told() else { panic!() };
    assert_eq!((told[0].enabled, told[0].account.as_ref().unwrap().as_str()), (Some(false), "A1"));
    assert_eq!(site.ask(device("enable_device")), "completed");
    assert_eq!(site.holdings()["cards"]["1001"]["disabled"], Value::Null);

    // What is there already under this account is no mistake; under another it is.
    assert_eq!(site.ask(device("add_device")), "completed");
    site.ask(json!({ "command": "create_subscriber", "account": "A2" }));
    let of_other = |command: &str| json!({ "command": command, "stb": "1001", "account": "A2" });
    assert_eq!(site.ask(of_other("add_device")), "rejected 400: a device of that id exists");
    assert_eq!(site.ask(of_other("remove_device")), "rejected other_account: the device is under another account");
    for _ in 0..2 {
        assert_eq!(site.ask(device("remove_device")), "completed");
        assert_eq!(site.holdings()["cards"], json!({}));
    }
    assert_eq!(site.ask(device("get_device")), "rejected 404: the device is not known");

    // Of several parts those that can be done are done.
    let all = json!({ "command": "add_device", "account": "A1", "stbs": ["1001", "9999", "1002"] });
    let words = "1 of 3 were refused, the others done; the first: the device is not known";
    assert_eq!(site.ask(all), format!("rejected 404: {words}"));
    assert_eq!(names(&site.holdings()["cards"]), ["1001", "1002"]);
    let none = json!({ "command": "add_device", "account": "A1", "stbs": ["9998", "9999"] });
    assert_eq!(site.ask(none), "rejected 404: the device is not known");
}

#[test]
fn a_part_of_the_services_may_be_refused() {
    let mut site = Site::new(&json!({}));
    site.ask(json!({ "command": "create_subscriber", "account": "A1" }));
    site.ask(activate(&["BASIC"]));
    let words = "1 of 2 were refused, the others done; the first: the platform has nothing of that id (matchedCount 0)";
    let body = json!({ "command": "deactivate_services", "account": "A1", "services": ["SPORT", "BASIC"] });
    assert_eq!(site.ask(body), format!("rejected not_found: {words}"));
    assert_eq!(held(&site), Value::Null);
    let Verdict::Rejected(failure) = &site.pair.outcome(site.last()).verdict else { panic!() };
    assert_eq!(failure.parts[0].part.as_str(), "SPORT");
}

// ---- accounts

#[test]
fn an_account_is_suspended_resumed_and_cancelled_for_good() {
    for mut site in [plain(), pre_hashed(&json!({}))] {
        let of = |command: &str| json!({ "command": command, "account": "A1" });
        let create = match site.check(of("create_subscriber")) {
            Ok(()) => of("create_subscriber"),
            Err(_) => new_subscriber("A1"),
        };
        let state = |site: &Site| site.holdings()["accounts"]["A1"]["state"].clone();
        for command in [create.clone(), create.clone()] {
            assert_eq!(site.ask(command), "completed");
        }
        for (command, status) in [("suspend", "SUSPENDED"), ("resume", "ACTIVE"), ("remove_subscriber", "CANCELLED")] {
            for _ in 0..2 {
                assert_eq!(site.ask(of(command)), "completed", "{command}");
                assert_eq!(state(&site), status);
            }
        }
        assert_eq!(site.ask(of("resume")), "rejected 400: the account is cancelled, for good");
        assert_eq!(site.ask(create), "rejected 400: an account of that id exists");
        assert_eq!(
            site.ask(json!({ "command": "suspend", "account": "A9" })),
            "rejected 404: the account is not known"
        );
    }
}

#[test]
fn cancelling_must_be_allowed() {
    let site = Site::new(&json!({}));
    let remove = json!({ "command": "remove_subscriber", "account": "A1" });
    let refusal = site.check(remove.clone()).unwrap_err();
    assert_eq!((refusal.code, refusal.detail.contains("can never be undone")), ("unsupported_command", true));

    let mut site = Site::new(&json!({ "remove_suspends": true }));
    site.ask(json!({ "command": "create_subscriber", "account": "A1" }));
    assert_eq!(site.ask(remove), "completed");
    assert_eq!(site.holdings()["accounts"]["A1"]["state"], "SUSPENDED");
}

#[test]
fn a_change_leaves_nothing_out() {
    let mut site = pre_hashed(&json!({}));
    site.ask(new_subscriber("A1"));
    let before = account(&mut site);
    let attributes = json!({ "attributes": { "npvrProfileName": "50h" } });
    let update = json!({ "command": "update_subscriber", "account": "A1", "subscriber": attributes });
    let (end, calls) = site.calls(update);
    assert_eq!(end, "completed");
    assert_eq!(calls, ["GET /adm/v1/accounts/A1", "PUT /adm/v1/accounts/preHashedPassword/A1"]);
    let mut expected = before;
    expected["npvrProfileName"] = "50h".into();
    assert_eq!(account(&mut site), expected, "the platform nulls what a change leaves out");

    // The platform does null it: a call of ours that is short shows.
    let short = r#"{"method":"PUT","path":"/adm/v1/accounts/preHashedPassword/A1","body":{"npvrProfileName":"x"}}"#;
    let raw = json!({ "command": "raw", "payload": headgate_core::text::to_hex(short.as_bytes()) });
    assert!(site.ask(raw).starts_with("completed"));
    assert_eq!(account(&mut site)["accountProfileId"], Value::Null);
}

/// All members of A1, as the platform tells them.
fn account(site: &mut Site) -> Value {
    let get = r#"{"method":"GET","path":"/adm/v1/accounts/A1"}"#;
    site.ask(json!({ "command": "raw", "payload": headgate_core::text::to_hex(get.as_bytes()) }));
    let Answer::Raw(raw) = site.told() else { panic!() };
    serde_json::from_slice(&raw.0).unwrap()
}

#[test]
fn with_a_twin_both_are_written_and_a_part_is_told() {
    let mut site = pre_hashed(&json!({ "twin_endpoint": "ssp" }));
    let (end, calls) = site.calls(new_subscriber("A1"));
    assert_eq!(end, "completed");
    assert_eq!(calls, ["POST /adm/v1/accounts/preHashedPassword", "POST /ssp/adm/v1/accounts/preHashedPassword"]);
    let (_, calls) = site.calls(json!({ "command": "suspend", "account": "A1" }));
    assert_eq!(
        calls,
        [
            "GET /adm/v1/accounts/A1",
            "PUT /adm/v1/accounts/preHashedPassword/A1",
            "GET /ssp/adm/v1/accounts/A1",
            "PUT /ssp/adm/v1/accounts/preHashedPassword/A1",
        ]
    );
    let holdings = site.holdings();
    let state = |account: &str| holdings["accounts"][account]["state"].clone();
    assert_eq!((state("A1"), state("ssp/A1")), (json!("SUSPENDED"), json!("SUSPENDED")));

    // The first write is done, the second is refused: the part is told, and a repeat writes what is missing.
    site.pair.platform.inject(Fault::CloseAfter).unwrap();
    site.pair.platform.inject(Fault::UnknownCard).unwrap();
    assert_eq!(
        site.ask(new_subscriber("A2")),
        "rejected 404: 1 of 2 were refused, the others done; the first: not found"
    );
    let Verdict::Rejected(failure) = &site.pair.outcome(site.last()).verdict else { panic!() };
    assert_eq!(failure.parts[0].part.as_str(), "ssp");
    assert_eq!(site.ask(new_subscriber("A2")), "completed");
    assert_eq!(site.holdings()["accounts"]["ssp/A2"]["state"], "ACTIVE");

    // In doubt about the second, the whole is in doubt.
    site.pair.platform.inject(Fault::CloseAfter).unwrap();
    site.pair.platform.inject(Fault::CloseInstead).unwrap();
    assert_eq!(site.ask(new_subscriber("A3")), "failed answer_broken Maybe");
    assert_eq!(site.ask(new_subscriber("A3")), "completed");
    site.pair.platform.inject(Fault::CloseAfter).unwrap();
    site.pair.platform.inject(Fault::ServerError).unwrap();
    assert_eq!(site.ask(new_subscriber("A4")), "failed server_error Maybe");
    let Verdict::Failed(failure) = &site.pair.outcome(site.last()).verdict else { panic!() };
    assert!(failure.text.starts_with("the main end point has the change; `ssp` may not: "), "{failure}");
}

#[test]
fn subscribers_are_authenticated_and_records_tell_no_secret() {
    let mut site = pre_hashed(&json!({}));
    site.ask(new_subscriber("A1"));
    let sign_on =
        |password: &str| json!({ "command": "authenticate", "login": "A1@example.test", "password": password });
    assert!(site.ask(sign_on("s3cret \"p\"")).starts_with("completed"));
    let Answer::Authenticated(Authenticated { token: Some(token), .. }) = site.told() else { panic!() };
    assert_eq!(token.reveal(), "subscriber-2");
    assert_eq!(site.ask(sign_on("wrong")), "rejected invalid_grant: the platform does not accept these credentials");
    site.ask(json!({ "command": "update_subscriber", "account": "A1", "subscriber": { "password": "n3w" } }));
    assert!(site.ask(sign_on("n3w")).starts_with("completed"));
    site.ask(json!({ "command": "get_subscriber", "account": "A1" }));

    let mut secrets = vec![
        "s3cret",
        "n3w",
        "pass word",
        "pass+word",
        "access-1",
        "refresh-1",
        "subscriber-2",
        "subscriber-refresh-2",
    ];
    let body: Value = serde_json::from_slice(&site.pair.calls[1].body).unwrap();
    secrets.push(body["password"].as_str().unwrap());
    for id in 1..=site.last() {
        let outcome = site.pair.outcome(id);
        let record = [&outcome.exchange.request[..], &outcome.exchange.response[..]].concat();
        let record = String::from_utf8(record).unwrap();
        for secret in &secrets {
            assert!(!record.contains(secret), "{secret} in {record}");
        }
    }
    for private in secrets.into_iter().chain(["A1@example.test"]) {
        let log = site.pair.log.replace("Secret", "");
        assert!(!log.contains(private), "{private} in {log}");
    }
}

// ---- what is refused before it is sent

#[test]
fn what_can_not_be_said_is_refused_with_its_field() {
    let site = plain();
    let create =
        |subscriber: Value| json!({ "command": "create_subscriber", "account": "A1", "subscriber": subscriber });
    for (body, refusal) in [
        (json!({ "command": "create_subscriber" }), "subscription missing_field"),
        (create(json!({ "first_name": "Ann" })), "subscriber/first_name superfluous_field"),
        (create(json!({ "address": { "city": "Bern" } })), "subscriber/address/city superfluous_field"),
        (create(json!({ "password": "p" })), "subscriber/password superfluous_field"),
        (create(json!({ "attributes": { "status": "x" } })), "subscriber/attributes/status conflicting_fields"),
        (json!({ "command": "update_subscriber", "account": "A1" }), "subscriber missing_field"),
        (json!({ "command": "suspend", "account": "A1", "stb": "1" }), "stb superfluous_field"),
        (
            json!({ "command": "activate_services", "account": "A1", "services": ["NONE"] }),
            "services/0 unknown_service",
        ),
        (
            json!({ "command": "activate_services", "account": "A1", "services": ["BASIC"], "smartcard": "1" }),
            "smartcards out_of_range",
        ),
        (json!({ "command": "authenticate", "login": "x" }), "password missing_field"),
        (json!({ "command": "authenticate", "password": "x" }), "login missing_field"),
        (json!({ "command": "raw", "payload": "00" }), "payload bad_payload"),
        (json!({ "command": "get_device" }), "stbs missing_field"),
    ] {
        assert_eq!(site.refusal(body.clone()), refusal, "{body}");
    }
    let site = pre_hashed(&json!({}));
    for (subscriber, refusal) in [
        (json!({ "password": "p" }), "subscriber/email missing_field"),
        (json!({ "email": "a@b" }), "subscriber/password missing_field"),
        (json!({ "email": "a@b", "password": "p", "pin": "1" }), "subscriber/pin superfluous_field"),
    ] {
        assert_eq!(site.refusal(create(subscriber)), refusal);
    }
}

#[test]
fn only_what_the_sheet_knows_is_supported() {
    let unsupported = [
        "refresh_services",
        "swap_device",
        "pair",
        "add_to_pairing",
        "unpair",
        "set_pin",
        "reset_pin",
        "clear_pin",
        "send_message",
        "fingerprint",
        "get_pairing",
        "remove_sessions",
    ];
    assert_eq!(plain().unsupported(), unsupported);
    let without = Site::new(&json!({ "devices": { "by_id": false } })).unsupported();
    let more: Vec<_> = without.into_iter().filter(|name| !unsupported.contains(name)).collect();
    assert_eq!(more, ["remove_device", "enable_device", "disable_device", "get_device"]);
    let site = plain();
    let confirmed = |kind: CommandKind| site.rules.capabilities().commands[&kind].confirmed;
    assert!(confirmed(CommandKind::ActivateServices) && !confirmed(CommandKind::RemoveDevice));
}

#[test]
fn mistakes_in_settings_are_named() {
    for (settings, path) in [
        (json!({}), "tenant: must be set"),
        (json!({ "tenant": "t" }), "token.username: must be set"),
        (with(&json!({ "tenant": "a b" })), "tenant: must be visible ASCII"),
        (with(&json!({ "accounts": "pre_hashed" })), "account_defaults: must have accountProfileId"),
        (with(&json!({ "account_defaults": { "_id": 1 } })), "account_defaults: must not have _id"),
        (with(&json!({ "allow_cancel": true, "remove_suspends": true })), "remove_suspends: contradicts"),
        (with(&json!({ "twin_endpoint": "a/b" })), "twin_endpoint: must be the name"),
        (with(&json!({ "password_hash": { "length": 8 } })), "password_hash.length: must be 16"),
        (with(&json!({ "entitlements": { "page_size": 0 } })), "entitlements.page_size: must be 1"),
        (with(&json!({ "token_path": "x" })), "token_path: must begin with /"),
        (with(&json!({ "calls": { "at_once": 0 } })), "calls.at_once: must be 1"),
        (with(&json!({ "generation": "4" })), "generation: unknown variant"),
        (with(&json!({ "sdp": { "origin_id": 1 } })), "sdp.origin_id: must be 10000"),
    ] {
        assert!(mistake(&settings).starts_with(path), "{path}: {}", mistake(&settings));
    }
}
