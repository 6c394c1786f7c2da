use serde_json::{Value, json};

use super::super::PROTOCOL;
use super::*;

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
