//! What templates write, and that no value leaves its place.

use super::{body, calls, speech};
use crate::http::form;
use crate::xml;

/// A text full of what ends places.
const EVIL: &str = "\"},{\"x\":1}]]></b>&amp;<!--'%00;\u{1F3AC}&a=b|{pin}\r\n";

fn message(text: &str) -> String {
    let text = serde_json::to_string(text).unwrap();
    format!(r#"{{"command":"send_message","smartcard":"c1","message":{{"kind":"bark","text":{text}}}}}"#)
}

fn with_body(body: &str) -> String {
    format!("[messages]\nbark = 500\n[operations.send_message]\npath = '/m/{{smartcard}}'\nsmartcards = 1\n{body}")
}

#[test]
fn json_values_keep_their_kind_and_their_place() {
    let speech = speech(&with_body(
        "json = { text = '{text}', seconds = '{duration}', many = '{smartcards}', both = '{duration} s', gone = '{count?}', z = '{vars.zone|upper}', fix = 5 }",
    ));
    let call = &calls(&speech, &message(EVIL)).unwrap()[0];
    let read: serde_json::Value = serde_json::from_slice(&call.body).unwrap();
    let expected = serde_json::json!({
        "text": EVIL, "seconds": 20, "many": ["c1"], "both": "20 s", "z": "Z1", "fix": 5
    });
    assert_eq!(read, expected);
    assert_eq!(call.headers[0], ("content-type".into(), "application/json".into()));
    assert_eq!(call.target, "/m/c1");
}

#[test]
fn json_text_is_read_as_a_tree() {
    let speech = speech(&with_body("json = '''[{\"a\": \"{text|left:2}\"}, \"{{literal}}\"]'''"));
    assert_eq!(body(&calls(&speech, &message("héllo")).unwrap()[0]), r#"[{"a":"hé"},"{literal}"]"#);
}

#[test]
fn xml_values_keep_their_place() {
    let speech = speech(&with_body(
        "prefixes = {}\nxml = '''<m xmlns=\"urn:m\" a=\"{text}\"><t>{text}</t><gone>{count?}</gone><n xmlns=\"\">{duration}</n></m>'''"
            .replace("prefixes = {}\n", "")
            .as_str(),
    ));
    let call = &calls(&speech, &message(EVIL)).unwrap()[0];
    let root = xml::parse(&call.body, 10_000).unwrap();
    assert!(root.is(Some("urn:m"), "m"));
    assert_eq!(root.children.len(), 2);
    assert_eq!(root.child("t").unwrap().text, EVIL);
    assert!(root.child("n").unwrap().is(None, "n"));
    assert!(root.attribute("a").unwrap().starts_with("\"},{\"x\":1}]]></b>&amp;<!--'%00;"));
    let refusal = calls(&speech, &message("a\0b")).unwrap_err();
    assert_eq!((refusal.field.as_ref(), refusal.code), ("message/text", "out_of_range"));
    assert!(!refusal.detail.contains('a') || !refusal.detail.contains("a\0b"));
}

#[test]
fn soap_bodies_repeat_and_carry_prefixes() {
    let speech = speech(
        "soap = true\nprefixes = { xsi = 'urn:xsi' }\n[operations.activate_services]\npath = '/s'\nsmartcards = [1, 9]\nservices = [1, 9]\n\
         xml = '''<add xmlns=\"urn:a\" xmlns:t=\"urn:headgate:template\" xmlns:xsi=\"urn:xsi\"><c t:each=\"smartcards\" xsi:type=\"x\">{smartcard}</c>\
         <p t:each=\"services\"><id>{ca_id}</id><c>{service}</c></p><end>{end|date:%Y-%m-%d}</end></add>'''",
    );
    let json = r#"{"command":"activate_services","smartcards":["c1","c2"],"services":["SPORT","FILM"]}"#;
    let call = &calls(&speech, json).unwrap()[0];
    let parts = crate::http::soap::read(&call.body, 10_000).unwrap();
    let root = &parts[0];
    assert!(root.is(Some("urn:a"), "add"));
    assert_eq!(root.all("c").map(|c| c.text.as_str()).collect::<Vec<_>>(), ["c1", "c2"]);
    assert_eq!(root.child("c").unwrap().attributes[0].namespace.as_deref(), Some("urn:xsi"));
    let ids: Vec<_> = root.all("p").map(|p| p.child("id").unwrap().text.as_str()).collect();
    assert_eq!(ids, ["42", "<43>"]);
    assert_eq!(root.child("end").unwrap().text, "2026-02-15");
}

#[test]
fn forms_and_queries_keep_values_in_their_place() {
    let speech = speech(&with_body(
        "query = [['q', '{text}'], ['gone', '{count?}']]\nform = [['t', '{text}'], ['u', '{settings.user}'], ['p', '{settings.password}']]",
    ));
    let call = &calls(&speech, &message(EVIL)).unwrap()[0];
    let (path, query) = call.target.split_once('?').unwrap();
    assert_eq!(path, "/m/c1");
    assert_eq!(form::parse(query.as_bytes()), [("q".to_owned(), EVIL.to_owned())]);
    let pairs = form::parse(&call.body);
    let expected = [("t", EVIL), ("u", "me"), ("p", "p\"w")].map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(pairs, expected);
}

#[test]
fn paths_and_headers_refuse_what_would_lead_astray() {
    let speech = speech(
        "[operations.remove_device]\npath = '/c/{smartcard}/x'\nmethod = 'DELETE'\nsmartcards = 1\nheaders = [['x-card', '{smartcard}']]",
    );
    let remove = |card: &str| {
        let json = format!(r#"{{"command":"remove_device","smartcard":{}}}"#, serde_json::to_string(card).unwrap());
        calls(&speech, &json)
    };
    assert_eq!(remove("a/b ?#%2e").unwrap()[0].target, "/c/a%2Fb%20%3F%23%252e/x");
    for astray in ["..", "."] {
        let refusal = remove(astray).unwrap_err();
        assert_eq!((refusal.field.as_ref(), refusal.code), ("smartcards/0", "out_of_range"));
    }
    assert!(remove("é").unwrap_err().detail.contains("printable ASCII"));
}

#[test]
fn filters_write_what_they_say() {
    let all = "{account|pad:6:0}-{account|left:2}-{account|digits}-{account|hex}-{account|base64}-{account|length:1:9}";
    let times = "{now|epoch}-{now|epoch_ms}-{now|date:%d.%m.%Y %H:%M}-{now}-{subscriber.since|or:now|date:%Y}";
    let rest = "{subscriber.language|default:en}-{subscriber.email|lower}-{subscriber.city|map:Rome=R,Oslo=O}-{request.number}-{reference|default:none}";
    let speech = speech(&format!(
        "time_zone = 'Europe/Nicosia'\n[operations.create_subscriber]\npath = '/s'\naccount = true\nform = [['a', '{all}'], ['b', '{times}'], ['c', '{rest}']]\n"
    ));
    let json = |account: &str, city: &str| {
        format!(
            r#"{{"command":"create_subscriber","account":"{account}","subscriber":{{"email":"A@B.C","address":{{"city":"{city}"}}}}}}"#
        )
    };
    let pairs = form::parse(&calls(&speech, &json("1234", "Oslo")).unwrap()[0].body);
    assert_eq!(pairs[0].1, "001234-12-1234-31323334-MTIzNA==-1234");
    assert_eq!(pairs[1].1, "1768478400-1768478400000-15.01.2026 14:00-2026-01-15T12:00:00Z-2026");
    assert_eq!(pairs[2].1, "en-a@b.c-O-7-none");
    let refused = calls(&speech, &json("12x", "Oslo")).unwrap_err();
    assert_eq!(
        (refused.field.as_ref(), refused.detail.as_str()),
        ("subscription", "must have nothing but digits at this platform")
    );
    let refused = calls(&speech, &json("12", "Bonn")).unwrap_err();
    assert_eq!(refused.field, "subscriber/address/city");
    let missing = calls(&speech, r#"{"command":"create_subscriber","account":"1"}"#).unwrap_err();
    assert_eq!((missing.field.as_ref(), missing.code), ("subscriber/email", "missing_field"));
}

#[test]
fn blocks_and_fan_out_cover_everything_once() {
    let speech = speech(
        "[operations.activate_services]\npath = '/s'\nsmartcards = [1, 9]\nservices = [1, 9]\nfor_each = ['service']\nsmartcards_per_call = 2\njson = { s = '{ca_id}', c = '{smartcards}' }",
    );
    let json = r#"{"command":"activate_services","smartcards":["1","2","3"],"services":["SPORT","NEWS"]}"#;
    let bodies: Vec<_> = calls(&speech, json).unwrap().iter().map(body).collect();
    let expected = [
        r#"{"c":["1","2"],"s":"42"}"#,
        r#"{"c":["1","2"],"s":"../44"}"#,
        r#"{"c":["3"],"s":"42"}"#,
        r#"{"c":["3"],"s":"../44"}"#,
    ];
    assert_eq!(bodies, expected);
}

#[test]
fn the_operation_is_chosen_by_its_conditions() {
    let speech = speech(
        "[messages]\nmail = 10\nbark = 10\nto_everybody = true\n\
         [operations.one]\ncommand = 'send_message'\npath = '/one'\nsmartcards = [0, 1]\n\
         [operations.all]\ncommand = 'send_message'\npath = '/all'\nwhen = { to = 'everybody' }\n\
         [operations.mail]\ncommand = 'send_message'\npath = '/mail'\nsmartcards = 1\nwhen = { message = 'mail', to = 'devices' }\n\
         [operations.none]\ncommand = 'deactivate_services'\npath = '/none'\nwhen = { services = 'all' }\n\
         [operations.given]\ncommand = 'create_subscriber'\npath = '/given'\nwhen = { given = ['subscriber.email'] }\n\
         [operations.given2]\ncommand = 'create_subscriber'\npath = '/absent'\nwhen = { absent = ['subscriber.email'] }\n",
    );
    let target = |json: &str| calls(&speech, json).map(|calls| calls[0].target.clone());
    let send = |rest: &str, kind: &str| {
        target(&format!(r#"{{"command":"send_message","message":{{"kind":"{kind}","text":"x"{rest}}}}}"#)).unwrap()
    };
    assert_eq!(send("", "bark"), "/one");
    assert_eq!(send(r#","to":"everybody""#, "mail"), "/all");
    assert_eq!(send("", "mail"), "/mail");
    assert_eq!(target(r#"{"command":"deactivate_services","services":"all"}"#).unwrap(), "/none");
    let refusal = target(r#"{"command":"deactivate_services","services":["SPORT"]}"#).unwrap_err();
    assert_eq!(refusal.code, "unsupported_command");
    assert_eq!(target(r#"{"command":"create_subscriber","subscriber":{"email":"a"}}"#).unwrap(), "/given");
    assert_eq!(target(r#"{"command":"create_subscriber"}"#).unwrap(), "/absent");
}
