use headgate_core::command::CommandKind;
use serde_json::json;

use super::super::PROTOCOL;
use crate::test_support::{provider, submission};

const CARD: &str = "014500000001";

fn add(service: &str) -> String {
    format!(r#"{{"command":"activate_services","smartcard":"{CARD}","services":["{service}"]}}"#)
}

#[test]
fn rules_name_the_field_at_fault() {
    let opened = (PROTOCOL.open)(&provider(&[("BASIC", "101")]), &json!({}), 1).unwrap();
    let refused = |json: &str| {
        let request = &submission(1, json).request;
        let shared = opened.rules.capabilities().check(request, &provider(&[("BASIC", "101")]).services);
        let refusal = shared.and_then(|()| opened.rules.check(request)).expect_err(json);
        (refusal.field.into_owned(), refusal.code)
    };
    assert_eq!(refused(&add("BASIC").replace(CARD, "SC1")), ("smartcards".into(), "does_not_fit"));
    assert_eq!(refused(&add("BASIC").replace("BASIC", "NONE")), ("services/0".into(), "unknown_service"));
    assert_eq!(
        refused(&format!(r#"{{"command":"set_pin","smartcard":"{CARD}","pin":"12345"}}"#)),
        ("pin".into(), "does_not_fit")
    );
    assert_eq!(
        refused(&format!(
            r#"{{"command":"send_message","smartcard":"{CARD}","message":{{"kind":"bark","text":"{}"}}}}"#,
            "x".repeat(161)
        )),
        ("message/text".into(), "text_too_long")
    );
    assert_eq!(refused(&format!(r#"{{"command":"pair","smartcard":"{CARD}"}}"#)), ("stbs".into(), "missing_field"));
    assert_eq!(
        refused(r#"{"command":"add_to_pairing","smartcard":"1","stb":"2"}"#),
        ("command".into(), "unsupported_command")
    );

    let profile: serde_json::Value = toml::from_str(&super::super::profile::SHIPPED.replace("[commands.suspend_all]", "[commands.replace_products]").replace(
        "number = \"2004\"        # ours\nbody = [\n",
        "number = \"2004\"\nbody = [\n  { field = \"products\", kind = \"list\", width = 3, fields = [{ field = \"product\", kind = \"text\", width = 12 }] },\n",
    )).unwrap();
    let opened = (PROTOCOL.open)(&provider(&[("BASIC", "101")]), &json!({"profile": profile}), 1).unwrap();
    let suspend = submission(1, &format!(r#"{{"command":"suspend","smartcard":"{CARD}"}}"#));
    assert_eq!(opened.rules.check(&suspend.request).unwrap_err().field, "services");
}

#[test]
fn only_what_may_be_repeated_says_so() {
    let opened = (PROTOCOL.open)(&provider(&[]), &json!({}), 1).unwrap();
    for (kind, rules) in &opened.rules.capabilities().commands {
        let harmful = matches!(kind, CommandKind::SendMessage | CommandKind::Fingerprint | CommandKind::Raw);
        assert_eq!((rules.safe_to_repeat, rules.confirmed), (!harmful, false), "{kind}");
    }
    assert_eq!(opened.rules.capabilities().commands.len(), 19);
}
