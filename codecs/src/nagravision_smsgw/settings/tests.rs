use serde_json::{Value, json};

use super::super::PROTOCOL;
use super::*;
use crate::test_support::provider;

const MANUAL: &str = include_str!("../../../../docs/protocols/nagravision-smsgw.md");

#[test]
fn every_setting_is_described_in_the_schema_and_in_the_manual() {
    let schema = (PROTOCOL.settings_schema)();
    let properties = schema["properties"].as_object().unwrap();
    assert_eq!(properties.len(), 15);
    for (name, property) in properties {
        assert!(property["description"].as_str().is_some_and(|text| text.len() > 10), "{name} in the schema");
        assert!(MANUAL.contains(&format!("`{name}`")), "{name} in the manual");
    }
}

#[test]
fn every_command_of_the_profile_is_in_the_manual() {
    for name in CommandName::ALL {
        assert!(MANUAL.contains(&format!("`{}`", name.name())), "{}", name.name());
    }
}

#[test]
fn what_is_not_set_has_its_default() {
    let read: Settings = read_settings(&json!({})).unwrap();
    assert_eq!(read, Settings::default());
    assert!(Checked::check(read).is_ok());
}

#[test]
fn secrets_are_not_printed() {
    let settings: Value = json!({"user": "u", "password": "hidden-word", "pin_default": "9753"});
    let printed = format!("{:?}", Checked::read(&settings).unwrap());
    assert!(!printed.contains("hidden-word") && !printed.contains("9753"));
}

#[test]
fn wrong_settings_are_told_with_their_path() {
    for (settings, path) in [
        (json!({"links": 0}), "links"),
        (json!({"links": 17}), "links"),
        (json!({"window_per_link": 0}), "window_per_link"),
        (json!({"answer_timeout": "0s"}), "answer_timeout"),
        (json!({"answer_timeout": "soon"}), "answer_timeout"),
        (json!({"link_check_after": "1ms"}), "link_check_after"),
        (json!({"reconnect_first": "10s", "reconnect_longest": "1s"}), "reconnect_longest"),
        (json!({"default_period_days": 0}), "default_period_days"),
        (json!({"source_id": 10_000}), "source_id"),
        (json!({"dest_id": 10_000}), "dest_id"),
        (json!({"time_zone": "Nowhere"}), "time_zone"),
        (json!({"password": "x"}), "password"),
        (json!({"speed": 1}), "speed"),
    ] {
        let error = (PROTOCOL.open)(&provider(&[]), &settings, 1).err().unwrap_or_else(|| panic!("{settings}"));
        assert_eq!(error.path, path, "{error}");
    }
}
