//! The load generator, against the double and its own bare server.

use serde_json::{Value, json};

use super::double::Double;
use super::headgate;

fn completed(_: &str) -> (u16, Value) {
    (200, json!({"id": "x", "state": "completed"}))
}

fn busy(_: &str) -> (u16, Value) {
    (503, json!({"title": "Not possible now"}))
}

const REQUEST: &str = r#"{"provider":"alpha","command":"reset_pin","smartcard":"0%n"}"#;

#[test]
fn a_round_is_measured_beside_the_bare_server() {
    let double = Double::start(completed);
    let args = ["load", &double.url(), "--request", REQUEST, "--connections", "4", "--seconds", "1", "--warmup", "0"];
    let ran = headgate(&[&args[..], &["--baseline", "--json", "--from", "100", "--key", "k"]].concat()).ends(0).json();
    let gateway = &ran["gateway"];
    let answered = gateway["answered"].as_u64().unwrap();
    assert!(answered > 0, "{ran}");
    assert_eq!(gateway["statuses"]["200"].as_u64(), Some(answered));
    assert_eq!(gateway["states"]["completed"].as_u64(), Some(answered));
    assert!(ran["baseline"]["answered"].as_u64().unwrap() > 0 && ran["ratio"].as_f64().unwrap() > 0.0, "{ran}");
    assert!(gateway["milliseconds"]["p50"].as_f64() <= gateway["milliseconds"]["max"].as_f64());

    let asked = double.asked();
    assert!(asked.len() as u64 >= answered);
    let first = asked.iter().find(|asked| asked.body.contains("\"0100\"")).unwrap();
    assert_eq!(first.what, "POST /v1/requests");
    assert_eq!((first.key.as_deref(), first.prefer.as_deref()), (Some("Bearer k"), Some("wait=60")));
    let mut cards: Vec<&String> = asked.iter().map(|asked| &asked.body).collect();
    cards.sort();
    cards.dedup();
    assert_eq!(cards.len(), asked.len(), "a number was used twice");
}

#[test]
fn refusals_are_counted_and_decide_the_exit_status() {
    let double = Double::start(busy);
    let args =
        ["load", &double.url(), "--request", REQUEST, "--connections", "1", "--seconds", "1", "--mode", "accept"];
    let ran = headgate(&args).ends(1);
    assert!(ran.out.contains("statuses: 503 x "), "{ran:#?}");
    assert_eq!(double.asked()[0].prefer.as_deref(), Some("respond-async"));
}

#[test]
fn what_can_not_be_measured_is_told() {
    let ran = headgate(&["load", "--request", "{", "--url", "http://127.0.0.1:1"]).ends(2);
    assert!(ran.err.contains("the request is not a JSON object"), "{ran:#?}");
    let ran = headgate(&["load", "http://127.0.0.1:1", "--request", "{}"]).ends(2);
    assert!(ran.err.contains("can not be reached"), "{ran:#?}");
}
