use serde_json::json;

use super::*;

fn mistake(settings: Value) -> String {
    Settings::read(&settings).unwrap_err().to_string()
}

#[test]
fn an_empty_table_has_the_defaults_of_the_sheet() {
    let settings = Settings::read(&json!({})).unwrap();
    assert_eq!(settings.paths.of(Service::Device), "/services/DeviceMgmtService");
    assert_eq!(settings.osm.display_mode, DisplayMode::RmImmed);
    assert_eq!((settings.block_size, settings.version), (100, Version::V3_6));
}

#[test]
fn mistakes_are_told_with_their_path() {
    for (settings, words) in [
        (json!({ "user": "" }), "user: must not be empty"),
        (json!({ "password": "a\u{1}" }), "password: XML can not carry"),
        (json!({ "paths": { "admin": "services" } }), "paths.admin: must be a path"),
        (json!({ "query_parts": { "addDevices": "q" } }), "query_parts.addDevices: is no operation"),
        (json!({ "query_parts": { "getDeviceList": "a b" } }), "query_parts.getDeviceList: must be the name"),
        (json!({ "block_size": 0 }), "block_size: must be 1 to 1000"),
        (json!({ "pin_index": 4 }), "pin_index: must be 0 to 3"),
        (json!({ "session_lost_codes": [0] }), "session_lost_codes: must not name 0"),
        (json!({ "session_lost_codes": [7], "absent_codes": [7] }), "absent_codes: names 7"),
        (json!({ "osm": { "alpha": 16 } }), "osm.alpha: must be 0 to 15"),
        (json!({ "osm": { "first_message": 9, "last_message": 8 } }), "osm.last_message: must be 9"),
        (json!({ "osm": { "priority": 2 } }), "osm.priority: only versions after 3.6"),
        (json!({ "osm": { "display_mode": "SOON" } }), "osm.display_mode: unknown variant"),
        (json!({ "version": "4" }), "version: unknown variant"),
        (json!({ "calls": { "at_once": 0 } }), "calls.at_once: must be 1 to 10000"),
        (json!({ "nonsense": 1 }), "unknown field"),
    ] {
        let told = mistake(settings);
        assert!(told.contains(words), "{told}");
    }
}
