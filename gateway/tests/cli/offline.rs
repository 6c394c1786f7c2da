//! The subcommands that need no gateway.

use headgate_codecs::registry::PROTOCOLS;
use serde_json::Value;

use super::{headgate, headgate_with};

#[test]
fn a_configuration_is_checked_line_by_line() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("headgate.toml");
    std::fs::write(&file, "[server]\nlisen = \"127.0.0.1:80\"\nconnections = 0\n").unwrap();
    let file = file.to_str().unwrap();
    let ran = headgate(&["config", "check", file]).ends(1);
    assert!(ran.out.contains("headgate.toml:2:1") && ran.out.contains("did you mean `listen`?"), "{ran:#?}");
    assert!(!ran.out.contains('\u{1b}'), "colour codes off a terminal");
    let json = headgate(&["config", "check", file, "--json"]).ends(1).json();
    let problem = &json["problems"][0];
    assert_eq!(
        (problem["severity"].as_str(), problem["path"].as_str(), problem["line"].as_u64(), problem["column"].as_u64()),
        (Some("error"), Some("server.lisen"), Some(2), Some(1))
    );

    std::fs::write(file, "").unwrap();
    let good = headgate(&["config", "check", file]).ends(0);
    assert!(good.out.contains("there is no provider") && good.out.contains("is good: 0 providers"), "{good:#?}");
    let missing = headgate(&["config", "check", "/no/such/file"]).ends(1);
    assert!(missing.out.contains("can not be read") && missing.out.contains("config example"), "{missing:#?}");
}

#[test]
fn serve_refuses_a_wrong_configuration_in_one_line_each() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("headgate.toml");
    std::fs::write(&file, "[server]\nconnections = 0\n").unwrap();
    let ran = headgate(&["serve", "--config", file.to_str().unwrap()]).ends(2);
    assert!(ran.err.contains("headgate.toml:2:15: server.connections: must be at least 1"), "{ran:#?}");
    assert!(ran.err.contains("headgate config check"), "{ran:#?}");
}

#[test]
fn the_schema_and_the_examples_are_printed() {
    let schema = headgate(&["config", "schema"]).ends(0).json();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    let all = headgate(&["config", "example"]).ends(0).out;
    for protocol in PROTOCOLS {
        let one = headgate(&["config", "example", protocol.name]).ends(0).out;
        let stanza = format!("protocol = \"{}\"", protocol.name);
        assert!(one.contains(&stanza) && all.contains(&stanza), "{one}");
        assert_eq!(one.matches("[[provider]]").count(), 1, "{one}");
    }
    let wrong = headgate(&["config", "example", "conax-smms"]).ends(2);
    assert!(wrong.err.contains("did you mean `conax-sms`?"), "{wrong:#?}");
}

#[test]
fn a_key_is_shown_once_with_the_lines_that_let_it_in() {
    let json = headgate(&["config", "key", "crm", "crm", "--json"]).ends(0).json();
    let (key, stanza) = (json["key"].as_str().unwrap(), json["toml"].as_str().unwrap());
    assert!(key.starts_with("hg_") && stanza.contains(json["sha256"].as_str().unwrap()) && !stanza.contains(key));
    let text = headgate(&["config", "key", "crm", "admin"]).ends(0);
    assert!(text.out.contains("[[key]]\nname = \"crm\"\nrole = \"admin\"\nsha256 = "), "{text:#?}");
    let wrong = headgate(&["config", "key", "crm", "root"]).ends(2);
    assert!(wrong.err.contains("viewer, crm, operator, admin"), "{wrong:#?}");
}

#[test]
fn protocols_and_profiles_are_listed_without_a_gateway() {
    let json = headgate(&["providers", "--protocols", "--json"]).ends(0).json();
    let names: Vec<&str> = json["protocols"].as_array().unwrap().iter().map(|p| p["name"].as_str().unwrap()).collect();
    assert_eq!(names, PROTOCOLS.iter().map(|protocol| protocol.name).collect::<Vec<_>>());
    for protocol in PROTOCOLS {
        assert_eq!(headgate(&["profile", "show", protocol.name]).ends(0).out, protocol.profile);
    }
}

#[test]
fn simulate_tells_what_a_protocol_needs() {
    let files = headgate(&["simulate", "conax-sms", "--listen", "127.0.0.1:0"]).ends(2);
    assert!(files.err.contains("works over files") && files.err.contains("--directory"), "{files:#?}");
    let links = headgate(&["simulate", "nagravision-smsgw", "--directory", "/tmp"]).ends(2);
    assert!(links.err.contains("listens") && links.err.contains("--listen"), "{links:#?}");
    let fault = headgate(&["simulate", "conax-sms", "--directory", "/tmp", "--fault", "tantrum"]).ends(2);
    assert!(fault.err.contains("is no fault"), "{fault:#?}");
    let tls = headgate(&["simulate", "nagravision-smsgw", "--listen", "127.0.0.1:0", "--tls-certificate", "x"]).ends(2);
    assert!(tls.err.contains("--tls-key"), "{tls:#?}");
}

#[test]
fn a_platform_over_a_table_makes_it_in_a_file_or_tells_what_it_needs() {
    let missing = headgate(&["simulate", "exset-sms", "--listen", "127.0.0.1:0"]).ends(2);
    assert!(missing.err.contains("works over a table") && missing.err.contains("--database"), "{missing:#?}");
    let home = tempfile::tempdir().unwrap();
    let nowhere = home.path().join("no/such/place.db");
    let ran = headgate(&["simulate", "exset-sms", "--database", nowhere.to_str().unwrap()]).ends(2);
    assert!(ran.err.contains("the database can not be used"), "{ran:#?}");
    let wrong = home.path().join("database.toml");
    std::fs::write(&wrong, "kind = \"oracle\"\n").unwrap();
    let ran = headgate(&["simulate", "exset-sms", "--database", wrong.to_str().unwrap()]).ends(2);
    assert!(ran.err.contains("oracle"), "{ran:#?}");
}

#[test]
fn decode_and_encode_tell_what_is_wrong_with_their_input() {
    for (args, word) in [
        (&["decode", "conax-sms", "zz"][..], "hexadecimal"),
        (&["decode", "no-such", "00"][..], "there is no protocol"),
        (&["decode", "conax-sms", "@/no/such/file"][..], "can not be read"),
        (&["decode", "conax-sms", "00", "--settings", "/no/such"][..], "settings file"),
        (&["encode", "conax-sms", "{"][..], "the request is not right"),
        (&["encode", "conax-sms", r#"{"command":"dance"}"#][..], "unknown variant"),
        (&["encode", "conax-sms", "{}", "--service", "A"][..], "BASIC=101"),
    ] {
        let ran = headgate(args).ends(2);
        assert!(ran.err.contains(word), "{args:?}: {ran:#?}");
    }
    let empty = headgate_with(&["decode", "conax-sms"], b"").ends(2);
    assert!(empty.err.contains("no bytes to explain"), "{empty:#?}");
}

#[test]
fn a_broken_message_is_shown_up_to_where_it_breaks() {
    for protocol in PROTOCOLS {
        let ran = headgate(&["decode", protocol.name, "ff fe 00", "--json"]).ends(1);
        assert!(!broken(&ran.json()).is_null(), "{ran:#?}");
    }
}

fn broken(json: &Value) -> &Value {
    json["sources"][0]["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| &m["broken"])
        .find(|b| !b.is_null())
        .unwrap_or(&Value::Null)
}
