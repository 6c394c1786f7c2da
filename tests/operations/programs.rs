//! Every part as a program of its own: simulated platforms, the gateway, and the commands of those who work with it.

use std::path::Path;

use serde_json::{Value, json};

use crate::access::certify;
use crate::process::{Gateway, Process, run, run_with};

const SERVICES: &str = "services = { BASIC = \"41\", SPORT = \"42\" }";

const QUICK: &str = "flush_interval = \"20ms\"\npoll_interval = \"20ms\"\nlongest_poll_interval = \"100ms\"\n";

/// A platform over TLS and one over files, and a gateway for both.
struct Plant {
    links: Process,
    files: Process,
    gateway: Gateway,
}

impl Plant {
    fn start(home: &Path) -> Self {
        certify(home);
        let file = |name: &str| home.join(name).display().to_string();
        let (certificate, key, settings, directory) =
            (file("localhost.pem"), file("localhost.key"), file("conax.toml"), file("conax"));
        let tls = ["--tls-certificate", &certificate, "--tls-key", &key];
        let mut links =
            Process::spawn(&[&["simulate", "nagravision-smsgw", "--listen", "127.0.0.1:0"][..], &tls].concat());
        let port = links.first_line().rsplit_once(':').unwrap().1.to_owned();
        std::fs::write(&settings, QUICK).unwrap();
        let files = Process::spawn(&["simulate", "conax-sms", "--directory", &directory, "--settings", &settings]);
        files.logged("works on");
        let config = format!(
            "[server]\nlisten = \"127.0.0.1:0\"\n[store]\npath = \"{}\"\n\
             [[provider]]\nname = \"nagra\"\nprotocol = \"nagravision-smsgw\"\n{SERVICES}\n\
             [provider.connection]\naddress = \"localhost:{port}\"\ntls = {{ ca = \"{}\" }}\n\
             [[provider]]\nname = \"conax\"\nprotocol = \"conax-sms\"\n{SERVICES}\n\
             [provider.connection]\ndirectory = \"{directory}\"\n[provider.settings]\n{QUICK}",
            file("headgate.db"),
            file("ca.pem"),
        );
        let gateway = Gateway::run(home, &config);
        Self { links, files, gateway }
    }

    /// Stops everything; what the platforms held.
    fn stop(mut self) -> [Value; 2] {
        self.gateway.stop();
        [&mut self.links, &mut self.files].map(|platform| {
            platform.signal("TERM");
            assert_eq!(platform.ended().code(), Some(0));
            let held = platform.rest();
            serde_json::from_str(&held).unwrap_or_else(|error| panic!("{error}: {held}"))
        })
    }
}

#[test]
fn a_day_of_an_operator() {
    let home = tempfile::tempdir().unwrap();
    let plant = Plant::start(home.path());
    let gateway = &plant.gateway;
    let checked = run(&["config", "check", home.path().join("headgate.toml").to_str().unwrap()]).ends(0);
    assert!(checked.out.contains("is good: 2 providers"), "{checked:?}");

    // Sent from a file: one that is refused does not stop the others, and each is told of by its line.
    let card = "0000004001";
    let lines = [
        json!({ "provider": "nagra", "command": "activate_services", "smartcard": card, "services": ["BASIC"],
                "end": "2030-01-31T00:00:00Z", "subscription": "S1", "reference": "crm-1" }),
        json!({ "provider": "nagra", "command": "activate_services", "smartcard": card, "services": ["OPERA"] }),
        json!({ "provider": "conax", "command": "activate_services", "smartcard": "014500000018",
                "services": ["BASIC", "SPORT"] }),
    ];
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let file = home.path().join("requests.ndjson");
    std::fs::write(&file, text).unwrap();
    let sent = gateway.ask(&["send", file.to_str().unwrap(), "--wait", "60"]).ends(1);
    let refused = "line 2: The request is refused: services/0: service \"OPERA\" has no CA ID at this provider; ";
    assert!(sent.err.starts_with(refused), "{sent:?}");
    let table: Vec<Vec<&str>> = sent.out.lines().map(|line| line.split_whitespace().collect()).collect();
    assert!(table.contains(&vec!["nagra", "activate_services", "completed", "1"]), "{sent:?}");
    assert!(table.contains(&vec!["conax", "activate_services", "completed", "1"]), "{sent:?}");

    // Looked at, with the bytes that went over the wire, which explain themselves.
    let found = gateway.ask(&["requests", "--reference", "crm-1", "--json"]).ends(0).json();
    let id = found["requests"][0]["id"].as_str().unwrap().to_owned();
    let shown = gateway.ask(&["requests", "show", &id]).ends(0).out;
    let names: Vec<_> = shown.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(names[..4], ["number", "id", "state", "crm_state"], "{shown}");
    let exchange = |provider: &str, form: &str| {
        let found = gateway.ask(&["requests", "--provider", provider, "--json"]).ends(0).json();
        let id = found["requests"][0]["id"].as_str().unwrap();
        let shown = gateway.ask(&["requests", "show", id, "--exchange", "--json"]).ends(0).json();
        shown["exchange"]["request"][form].as_str().unwrap_or_else(|| panic!("no {form} in {shown}")).to_owned()
    };
    let decoded = run(&["decode", "nagravision-smsgw", &exchange("nagra", "hex")]).ends(0).out;
    assert!(decoded.contains(card), "{decoded}");
    assert!(exchange("conax", "text").contains("\n01450000001\n"));
    let wrong = gateway.ask(&["requests", "show", "1"]).ends(2);
    assert!(wrong.err.contains("second column of `headgate requests`"), "{wrong:?}");

    // The providers.
    let listed = gateway.ask(&["providers"]).ends(0).out;
    assert!(listed.contains("nagra") && listed.contains("conax") && !listed.contains("down"), "{listed}");
    let tested = gateway.ask(&["providers", "test", "nagra"]).ends(0).out;
    assert!(tested.starts_with("nagra answered in "), "{tested}");
    assert_eq!(gateway.ask(&["providers", "disable", "nagra"]).ends(0).out, "nagra is not_effective\n");
    assert_eq!(gateway.ask(&["providers", "enable", "nagra"]).ends(0).out, "nagra is effective\n");
    let unknown = gateway.ask(&["providers", "show", "nope"]).ends(2);
    assert!(unknown.err.contains("there are: conax, nagra"), "{unknown:?}");

    let [links, files] = plant.stop();
    assert_eq!(links["cards"][card]["services"].as_object().map(serde_json::Map::len), Some(1), "{links}");
    assert_eq!(files["cards"]["01450000001"]["services"].as_object().map(serde_json::Map::len), Some(2), "{files}");
}

/// A platform that is away is told of once as lost and then as not reached, and a test of it does not stay behind.
#[test]
fn a_platform_that_is_away() {
    let home = tempfile::tempdir().unwrap();
    let mut plant = Plant::start(home.path());
    plant.gateway.logged("link up");
    assert_eq!(plant.gateway.ask(&["providers", "test", "nagra"]).ends(0).status, Some(0));
    plant.links.signal("TERM");
    plant.links.ended();
    let lost = plant.gateway.logged("link lost");
    assert_eq!(lost["provider"], "nagra");
    let missed = plant.gateway.logged("link not opened");
    assert_eq!(missed["provider"], "nagra");
    let listed = plant.gateway.ask(&["providers"]).ends(0).out;
    assert!(listed.contains("down") && listed.contains("Connection refused"), "{listed}");
    let tested = plant.gateway.ask(&["providers", "test", "nagra", "--wait", "1"]).ends(1).out;
    assert!(tested.starts_with("nagra did not answer: ") && tested.contains("Connection refused"), "{tested}");
    let waiting = plant.gateway.ask(&["requests", "--state", "waiting", "--json"]).ends(0).json();
    assert_eq!(waiting["requests"], json!([]));
    plant.gateway.stop();
}

/// What needs no gateway.
#[test]
fn offline_commands_fit_together() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("headgate.toml");
    let example = run(&["config", "example"]).ends(0).out;
    std::fs::write(&file, &example).unwrap();
    run(&["config", "check", file.to_str().unwrap()]).ends(0);
    let request = r#"{"command":"activate_services","smartcard":"0000004001","services":["BASIC"]}"#;
    let encode = ["encode", "nagravision-smsgw", "--service", "BASIC=41", "-", "--json"];
    let encoded = run_with(&encode, &[], request).ends(0).json();
    let bytes = first_hex(&encoded).unwrap_or_else(|| panic!("no bytes in {encoded}"));
    assert!(run(&["decode", "nagravision-smsgw", &bytes]).ends(0).out.contains("0000004001"));
    let profile = run(&["profile", "show", "nagravision-smsgw"]).ends(0);
    assert!(profile.out.parse::<toml::Table>().is_ok() && profile.err.contains("Not confirmed"), "{profile:?}");
}

/// The first text of hexadecimal digits.
fn first_hex(value: &Value) -> Option<String> {
    match value {
        Value::Object(members) => members
            .get("hex")
            .and_then(Value::as_str)
            .map(str::to_owned)
            .or_else(|| members.values().find_map(first_hex)),
        Value::Array(items) => items.iter().find_map(first_hex),
        _ => None,
    }
}
