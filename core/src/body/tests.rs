//! What becomes of bodies: commands, or refusals that name a field.

use super::*;
use crate::command::{Selection, Services};

fn command(json: &str) -> Result<Command, Refusal> {
    serde_json::from_str::<RequestBody>(json).unwrap().command()
}

fn refused_field(json: &str) -> String {
    command(json).unwrap_err().field.into_owned()
}

#[test]
fn a_single_smartcard_is_a_list_of_one() {
    let one = command(r#"{"provider":"p","command":"reset_pin","smartcard":"1"}"#);
    let list = command(r#"{"provider":"p","command":"reset_pin","smartcards":["1"]}"#);
    assert_eq!(one, list);
}

#[test]
fn switching_everything_off_must_be_said() {
    assert_eq!(refused_field(r#"{"provider":"p","command":"deactivate_services","smartcard":"1"}"#), "services");
    let all = command(r#"{"provider":"p","command":"deactivate_services","smartcard":"1","services":"all"}"#).unwrap();
    assert!(matches!(all, Command::DeactivateServices(Selection { services: Services::All, .. })));
}

#[test]
fn a_field_the_command_does_not_take_is_refused() {
    assert_eq!(refused_field(r#"{"provider":"p","command":"pair","smartcard":"1","stb":"2","pin":"1"}"#), "pin");
}

#[test]
fn repeating_barks_say_how_often_and_how_far_apart() {
    let body = |rest: &str| {
        format!(
            r#"{{"provider":"p","command":"send_message","smartcard":"1","message":{{"kind":"repeating_bark","text":"x"{rest}}}}}"#
        )
    };
    assert_eq!(refused_field(&body("")), "message/repeat_count");
    assert_eq!(refused_field(&body(r#","repeat_count":3"#)), "message/repeat_interval_seconds");
    assert_eq!(
        refused_field(&body(r#","repeat_count":3,"repeat_interval_seconds":15"#)),
        "message/repeat_interval_seconds"
    );
    assert!(command(&body(r#","repeat_count":3,"repeat_interval_seconds":60"#)).is_ok());
}

#[test]
fn periods_and_lifetimes_run_forwards() {
    let json = r#"{"provider":"p","command":"activate_services","services":["A"],"start":"2026-02-01T00:00:00Z","end":"2026-01-01T00:00:00Z"}"#;
    assert_eq!(refused_field(json), "end");
    let json = r#"{"provider":"p","command":"test_connection","not_before":"2026-02-01T00:00:00Z","expires":"2026-01-01T00:00:00Z"}"#;
    assert_eq!(refused_field(json), "expires");
}

#[test]
fn a_masked_body_shows_no_pin() {
    let body: RequestBody =
        serde_json::from_str(r#"{"provider":"p","command":"set_pin","smartcard":"1","pin":"9876"}"#).unwrap();
    assert!(!serde_json::to_string(&body.mask()).unwrap().contains("9876"));
}

#[test]
fn a_command_is_read_back_from_the_body_that_says_it() {
    for json in [
        r#"{"provider":"p","command":"activate_services","services":["A","B"],"smartcards":["1","2"],"end":"2027-01-01T00:00:00Z"}"#,
        r#"{"provider":"p","command":"set_services","services":[],"smartcard":"1"}"#,
        r#"{"provider":"p","command":"deactivate_services","services":"all","stb":"7"}"#,
        r#"{"provider":"p","command":"suspend","services":["A"],"smartcard":"1"}"#,
        r#"{"provider":"p","command":"create_subscriber","subscriber":{"first_name":"Ada"}}"#,
        r#"{"provider":"p","command":"swap_device","smartcard":"1","new_smartcard":"2"}"#,
        r#"{"provider":"p","command":"disable_device","smartcard":"1","reason":"lost"}"#,
        r#"{"provider":"p","command":"set_pin","smartcard":"1","pin":"1234"}"#,
        r#"{"provider":"p","command":"send_message","message":{"to":"everybody","kind":"repeating_bark","text":"x","repeat_count":3,"repeat_interval_seconds":60}}"#,
        r#"{"provider":"p","command":"send_message","smartcard":"1","message":{"kind":"mail","text":"x"}}"#,
        r#"{"provider":"p","command":"fingerprint","smartcard":"1","duration_seconds":5}"#,
        r#"{"provider":"p","command":"authenticate","login":"ada","password":"x"}"#,
        r#"{"provider":"p","command":"add_usage","services":["FILM"],"usage":"u1"}"#,
        r#"{"provider":"p","command":"cancel_usage","usage":"u1"}"#,
        r#"{"provider":"p","command":"raw","payload":"0aff","safe_to_repeat":true}"#,
        r#"{"provider":"p","command":"pair","smartcard":"1","stbs":["7","8"]}"#,
    ] {
        let command = command(json).unwrap();
        let body = RequestBody::of(ProviderName::new("p").unwrap(), &command);
        assert_eq!(body.command().unwrap(), command, "{json}");
    }
}
