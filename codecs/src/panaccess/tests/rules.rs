//! What is refused at acceptance.

use headgate_core::adapter::Rules;
use headgate_core::command::CommandKind;
use serde_json::json;

use super::settings;
use crate::panaccess::rules::Speech;
use crate::panaccess::settings::Checked;
use crate::test_support::{provider, submission};

fn speech(binding: &str, more: &serde_json::Value) -> Speech {
    let services = provider(&[("BASIC", "11"), ("SPORT", "12"), ("ODD", "x")]).services;
    Speech::new(Checked::read(&settings(binding, more)).unwrap(), services)
}

fn refusal(speech: &Speech, request: &str) -> String {
    let request = submission(1, request).request;
    let checked = speech.capabilities().check(&request, &speech.services).and_then(|()| speech.check(&request));
    checked.map_or_else(|refusal| refusal.to_string(), |()| "accepted".to_owned())
}

#[test]
fn what_can_not_be_said_is_refused_with_its_field() {
    let products = speech("json", &json!({}));
    let packages = speech("json", &json!({"mode": "packages"}));
    let orders = speech("soap", &json!({"mode": "orders", "message_delay": null, "packages": {}}));
    let bare = Speech::new(Checked::read(&json!({})).unwrap(), super::no_services());
    let card = r#""smartcard":"0123456701""#;
    for (speech, request, words) in [
        (&products, format!(r#"{{"command":"clear_pin",{card}}}"#), "command: this provider does not support"),
        (&packages, format!(r#"{{"command":"activate_services",{card},"services":["BASIC"]}}"#), "does not support"),
        (&packages, format!(r#"{{"command":"suspend",{card}}}"#), "does not support"),
        (&bare, format!(r#"{{"command":"fingerprint",{card}}}"#), "does not support"),
        (&products, r#"{"command":"refresh_services","smartcard":"123"}"#.into(), "smartcards/0: must be 10 digits"),
        (&products, r#"{"command":"refresh_services","smartcard":"012345678X"}"#.into(), "smartcards/0: must be 10 digits"),
        (&products, format!(r#"{{"command":"pair",{card},"stb":"00A1"}}"#), "stbs/0: must be 16 hexadecimal"),
        (&products, format!(r#"{{"command":"set_pin",{card},"pin":"123"}}"#), "pin: must be 4 digits"),
        (&products, format!(r#"{{"command":"activate_services",{card},"services":["ODD"]}}"#), "services: service \"ODD\" must have a number"),
        (&products, format!(r#"{{"command":"activate_services",{card},"services":["NONE"]}}"#), "has no CA ID"),
        (&products, format!(r#"{{"command":"activate_services",{card},"services":["BASIC"],"start":"2026-02-01T00:00:00Z"}}"#), "start: products begin at once"),
        (&products, format!(r#"{{"command":"activate_services",{card},"services":["BASIC"],"end":"2020-02-01T00:00:00Z"}}"#), "end: is past"),
        (&orders, r#"{"command":"activate_services","services":["BASIC"]}"#.into(), "subscription: name the subscription"),
        (&packages, format!(r#"{{"command":"deactivate_services",{card},"services":["BASIC"]}}"#), "services: a card's packages are set as a whole"),
        (&products, r#"{"subscription":"S","command":"create_subscriber","subscriber":{"password":"x"}}"#.into(), "subscriber/password: the platform does not take"),
        (&products, r#"{"subscription":"S","command":"create_subscriber","subscriber":{"attributes":{"x":"y"}}}"#.into(), "subscriber/attributes/x: is not one of"),
        (&bare, r#"{"subscription":"S","command":"create_subscriber"}"#.into(), "subscriber/region: name the headcontrol"),
        (&bare, r#"{"subscription":"S","command":"create_subscriber","subscriber":{"region":"hc1"}}"#.into(), "subscriber/address/country: name the country"),
        (&products, r#"{"subscription":"S","command":"update_subscriber","subscriber":{"email":"x"}}"#.into(), "subscriber/email: the platform changes contacts"),
        (&products, format!(r#"{{"subscription":"S","command":"swap_device",{card},"new_smartcard":"1"}}"#), "new_smartcard: must be 10 digits"),
        (&products, format!(r#"{{"command":"send_message",{card},"message":{{"kind":"mail","text":"x"}}}}"#), "message/kind: this provider can not show"),
        (&products, format!(r#"{{"command":"send_message",{card},"message":{{"kind":"bark","text":"{}"}}}}"#, "x".repeat(201)), "message/text: is 201 bytes long"),
        (&products, format!(r#"{{"command":"send_message",{card},"message":{{"kind":"repeating_bark","text":"x","repeat_count":1,"repeat_interval_seconds":90}}}}"#), "message/repeat_interval_seconds: must be whole minutes"),
        (&orders, format!(r#"{{"command":"send_message",{card},"message":{{"kind":"bark","text":"x","start":"2026-02-01T00:00:00Z"}}}}"#), "message/start: the unit of the platform's delay"),
        (&orders, format!(r#"{{"command":"send_message",{card},"message":{{"kind":"bark","text":"x\u0001"}}}}"#).replace('\u{1}', "\\u0001"), "message/text: XML can not carry"),
        (&orders, r#"{"command":"send_message","message":{"to":{"holders_of":"BASIC"},"kind":"bark","text":"x"}}"#.into(), "message/to/holders_of: service \"BASIC\" is a product"),
        (&products, format!(r#"{{"command":"fingerprint",{card},"duration_seconds":3601}}"#), "duration_seconds: must be 1 to 3600"),
        (&products, r#"{"subscription":"S","command":"add_usage","services":["BASIC"],"usage":"u","end":"2027-01-01T00:00:00Z"}"#.into(), "start: the event has its own times"),
        (&products, r#"{"command":"raw","payload":"00"}"#.into(), "payload: must be JSON as in"),
        (&orders, r#"{"command":"raw","payload":"3c61"}"#.into(), "payload: the document ends within"),
    ] {
        let told = refusal(speech, &request);
        assert!(told.contains(words), "{request}: {told}");
    }
    assert_eq!(
        refusal(&packages, &format!(r#"{{"command":"deactivate_services",{card},"services":"all"}}"#)),
        "accepted"
    );
}

#[test]
fn raw_calls_leave_the_session_to_us() {
    let payload =
        |text: &str| format!(r#"{{"command":"raw","payload":"{}"}}"#, headgate_core::text::to_hex(text.as_bytes()));
    let json = speech("json", &json!({}));
    let soap = speech("soap", &json!({}));
    for (speech, text, words) in [
        (&json, r#"{"function":"login"}"#, "the session is Headgate's business"),
        (&soap, "<cvLogout/>", "the session is Headgate's business"),
        (&json, r#"{"function":"x&f=y"}"#, "letters and digits"),
        (&json, r#"{"function":"x","parameters":{"sessionId":"1"}}"#, "leave sessionId out"),
        (&soap, "<cvX><sessionId>1</sessionId></cvX>", "leave sessionId out"),
        (&json, r#"{"function":"x","parameters":[1]}"#, "must be an object"),
        (&soap, "<!DOCTYPE a><a/>", "DOCTYPE"),
        (&json, r#"{"function":"getListOfOffers","parameters":{"offset":0}}"#, "accepted"),
        (&soap, "<cvGetListOfOffers><offset>0</offset></cvGetListOfOffers>", "accepted"),
    ] {
        let told = refusal(speech, &payload(text));
        assert!(told.contains(words), "{text}: {told}");
    }
}

#[test]
fn what_the_sheet_does_not_know_is_not_offered() {
    let can = speech("json", &json!({}));
    let missing: Vec<_> =
        CommandKind::ALL.iter().filter(|kind| !can.capabilities().commands.contains_key(kind)).collect();
    assert_eq!(
        missing,
        [
            &CommandKind::AddToPairing,
            &CommandKind::ClearPin,
            &CommandKind::RemoveSessions,
            &CommandKind::Authenticate,
            &CommandKind::CancelUsage
        ]
    );
}
