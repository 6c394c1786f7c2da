use std::sync::Arc;

use headgate_core::adapter::Rules;
use headgate_core::body::RequestBody;
use headgate_core::request::{Request, RequestId};
use headgate_core::{Now, Tick};
use serde_json::{Value, json};

use super::adapter::world::services;
use super::plan::{ConaxRules, Products, default_period};
use super::settings::Site;

fn rules(settings: Value) -> ConaxRules {
    ConaxRules::new(Arc::new(Site::read(&settings).unwrap()), Arc::new(Products::new(&services()).unwrap()))
}

fn request(mut body: Value) -> Request {
    body["provider"] = "p".into();
    let body: RequestBody = serde_json::from_value(body).unwrap();
    Request::new(RequestId(Default::default()), &body, body.command().unwrap())
}

/// The field at fault; empty: accepted.
fn refused(rules: &ConaxRules, body: Value) -> String {
    let request = request(body);
    let checked = rules.capabilities().check(&request, &services()).and_then(|()| rules.check(&request));
    checked.err().map(|refusal| refusal.field.into_owned()).unwrap_or_default()
}

#[test]
fn what_can_not_be_written_is_refused_by_field() {
    let rules = rules(json!({"card_prefix": "01"}));
    let mail = |text: &str| json!({"command": "send_message", "smartcard": "01450000011", "message": {"kind": "mail", "text": text}});
    for (body, field) in [
        (json!({"command": "activate_services", "services": ["GOLD"], "smartcard": "014500000119"}), ""),
        (json!({"command": "activate_services", "services": ["GOLD"], "smartcard": "12"}), "smartcards/0"),
        (json!({"command": "activate_services", "services": ["GOLD"], "smartcard": "02450000011"}), "smartcards/0"),
        (json!({"command": "activate_services", "services": ["TIN"], "smartcard": "01450000011"}), "services/0"),
        (json!({"command": "activate_services", "services": ["GOLD"], "stb": "12"}), "smartcards"),
        (json!({"command": "set_services", "services": [], "smartcard": "01450000011"}), ""),
        (json!({"command": "deactivate_services", "services": "all", "smartcard": "01450000011"}), ""),
        (json!({"command": "pair", "smartcard": "01450000011", "stb": "12"}), ""),
        (json!({"command": "pair", "smartcard": "01450000011", "stb": "1x"}), "stbs/0"),
        (json!({"command": "pair", "smartcard": "01450000011", "stbs": ["1", "2"]}), "stbs"),
        (json!({"command": "reset_pin", "smartcard": "01450000011"}), "command"),
        (mail(&"x".repeat(141)), ""),
        (mail(&"x".repeat(142)), "message/text"),
        (mail("é"), "message/text"),
        (json!({"command": "raw", "payload": "7073"}), "payload"),
        (json!({"command": "raw", "payload": headgate_core::text::to_hex(b"ps\nU\n000001\n")}), "payload"),
        (json!({"command": "raw", "payload": headgate_core::text::to_hex(b"ps\r\nU\r\nNNNNNN\r\nZZZ\r\n")}), ""),
    ] {
        assert_eq!(refused(&rules, body.clone()), field, "{body}");
    }
    let mut later = mail("x");
    later["message"]["start"] = "2026-07-31T18:05:00Z".into();
    assert_eq!(refused(&rules, later.clone()), "message/start");
    later["message"]["kind"] = "bark".into();
    assert_eq!(refused(&rules, later.clone()), "");
    later["message"]["start"] = "2071-01-01T00:00:00Z".into();
    assert_eq!(refused(&rules, later), "message/start");
}

#[test]
fn only_what_has_the_same_end_is_safe_to_repeat() {
    let rules = rules(json!({}));
    let safe: Vec<_> =
        rules.capabilities().commands.iter().filter(|(_, r)| r.safe_to_repeat).map(|(k, _)| k.name()).collect();
    assert_eq!(
        safe,
        [
            "activate_services",
            "deactivate_services",
            "set_services",
            "pair",
            "unpair",
            "get_services",
            "test_connection"
        ]
    );
    assert!(rules.capabilities().resumes);
}

#[test]
fn open_periods_follow_the_calendar_of_the_zone() {
    let period = |months: u32, wall: &str| {
        let site = Site::read(&json!({"add_end_months": months})).unwrap();
        default_period(&site, wall.parse().unwrap()).unwrap().to_string()
    };
    assert_eq!(period(1, "2026-11-24T12:00:00Z"), "202611010000-202612312359");
    assert_eq!(period(3, "2026-11-30T23:59:59Z"), "202611010000-202702282359");
    assert_eq!(period(0, "2028-02-01T00:00:00Z"), "202802010000-202802292359");
}

#[test]
fn a_service_that_is_no_product_is_named() {
    let map = serde_json::from_value::<std::collections::BTreeMap<_, _>>(json!({"GOLD": "G1"})).unwrap();
    let error = Products::new(&map.into()).unwrap_err();
    assert!(error.text.contains("GOLD") && error.text.contains("1 to 8 digits"));
}

#[test]
fn a_command_is_written_as_the_files_it_becomes() {
    let provider = headgate_core::provider::Provider {
        name: headgate_core::text::ProviderName::new("p").unwrap(),
        services: services(),
        limits: Default::default(),
        retry: Default::default(),
        breaker: Default::default(),
    };
    let now = Now { tick: Tick::default(), wall: "2026-11-24T12:00:00Z".parse().unwrap() };
    let request = request(json!({"command": "set_services", "services": ["KIDS"], "smartcard": "014500000119"}));
    let protocol = crate::registry::find("conax-sms").unwrap();
    let files = (protocol.encode)(&provider, &json!({"line_end": "crlf"}), now, &request).unwrap();
    let names: Vec<&str> = files.iter().map(|file| file.title.as_str()).collect();
    assert_eq!(names, ["cs000001.emm", "cs000002.emm", "ps000003.emm"]);
    let text =
        "U\r\n000003\r\n00000043\r\n202611010000\r\n202612312359\r\nU\r\nEMM\r\nU\r\n000001\r\n01450000011\r\nZZZ\r\n";
    assert_eq!(files[2].bytes, text.as_bytes());
    for file in &files {
        let dissections = (protocol.decode)(&json!({}), Some(&file.title), &file.bytes).unwrap();
        assert_eq!(dissections[0].broken, None);
    }
    let opened = (protocol.open)(&provider, &json!({}), 7).unwrap();
    assert_eq!(opened.adapter.capacity(), 0);
    assert_eq!((protocol.open)(&provider, &json!({"numbers": {"first": 0}}), 7).err().unwrap().path, "numbers.first");
    let schema = (protocol.settings_schema)();
    assert!(schema["properties"]["max_ids_per_file"]["description"].as_str().unwrap().contains("20000"));
}
