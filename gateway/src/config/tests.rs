use std::path::PathBuf;

use headgate_codecs::registry::PROTOCOLS;
use serde_json::Value;

use super::load::{SECTIONS, Surroundings, read};
use super::*;

fn environment(name: &str) -> Option<String> {
    match name {
        "ADDRESS" => Some("127.0.0.1:9999".into()),
        "NAME" => Some("from-outside".into()),
        "HIDDEN" => Some("hunter2".into()),
        _ => None,
    }
}

fn loaded(text: &str) -> Result<Loaded, Problems> {
    read("headgate.toml", text, &Surroundings { directory: PathBuf::new(), environment: &environment })
}

/// The problems of `text`, one line each, leaving out those of protocols and connections.
fn problems(text: &str) -> String {
    loaded(text).unwrap_err().to_string()
}

#[test]
fn an_empty_file_is_the_defaults() {
    let loaded = loaded("").unwrap();
    assert_eq!(loaded.config.server.listen.to_string(), "127.0.0.1:8480");
    assert_eq!(loaded.config.store.keep_keys, Duration::from_hours(24));
    assert_eq!(
        loaded.warnings.to_string(),
        "headgate.toml: warning: there is no provider, so no request can be accepted \
         (add a [[provider]]; `headgate config example` shows one for every protocol)"
    );
}

#[test]
fn every_mistake_is_found_in_one_go_with_its_place() {
    insta::assert_snapshot!(problems(
        r#"
[server]
lisen = "127.0.0.1:80"
read_timeout = "soon"
body_limit = -1

[[key]]
name = "crm"
role = "boss"

[[key]]
role = "crm"
sha256 = "x"

[stores]
path = "x"

[[provider]]
name = ""
protocol = "x"
limits = { rate = "fast", widow = 3 }
connection = {}
"#
    ), @r###"
    headgate.toml:3:1: server.lisen: there is no such setting here (did you mean `listen`?)
    headgate.toml:4:16: server.read_timeout: is not a length of time (write it as in "500ms", "30s", "5m" or "24h")
    headgate.toml:5:14: server.body_limit: invalid value: integer `-1`, expected usize
    headgate.toml:9:8: key[0].role: "boss" is not one of the choices (there are worker, viewer, crm, operator, admin)
    headgate.toml:11:1: key[1]: name is missing (add a line `name = ...` here)
    headgate.toml:15:2: stores: there is no such section (did you mean `store`?)
    headgate.toml:19:8: provider[0].name: must not be empty
    headgate.toml:21:19: provider[0].limits.rate: "fast" is not a rate; write it as in "100 per 1s" or "1 per 10s"
    headgate.toml:21:27: provider[0].limits.widow: there is no such setting here (did you mean `window`?)
    "###);
}

#[test]
fn mistakes_in_pulls_and_in_crm_com_s_calls_are_pointed_at() {
    insta::assert_snapshot!(problems(
        r#"
[server.crm_com]
providers = { nds = "gem" }
wait = "10m"

[[provider]]
name = "gen"
protocol = "generic"

[[pull]]
name = "a:b"
to = "gem"
[pull.settings]
provider_identifier = { name = "G", id = "1" }

[[pull]]
name = "crm"
to = "gen"
settings = { provider_identifier = { name = "G" }, types = { DANCE = ["raw"] } }
connection = { url = "ftp://crm.example" }

[[pull]]
name = "crm"
to = "gen"
settings = { provider_identifier = { name = "G" }, members = { subscriber = { shoe = "x" } } }
connection = { url = "http://127.0.0.1:1" }

[[pull]]
name = "clear"
to = "gen"
settings = { provider_identifier = { name = "G" }, token = "T" }
connection = { url = "http://crm.example" }
"#
    ), @r###"
    headgate.toml:3:21: server.crm_com.providers.nds: there is no provider "gem" (did you mean `gen`?)
    headgate.toml:4:8: server.crm_com.wait: must be at most 5m
    headgate.toml:10:1: pull[0].connection.url: missing: give the platform's web service, as in "https://cas.example:8443/path"
    headgate.toml:11:8: pull[0].name: must have 1 to 32 characters, and no colon
    headgate.toml:12:6: pull[0].to: there is no provider "gem"; there are: gen
    headgate.toml:14:1: pull[0].settings.provider_identifier: must have exactly one of name, id and alternative_code
    headgate.toml:19:71: pull[1].settings.types.DANCE[0]: raw can not be made of a request of the CRM
    headgate.toml:20:22: pull[1].connection.url: must begin with "http://" or "https://"
    headgate.toml:23:8: pull[2].name: is the same as pull[1].name (every one needs its own)
    headgate.toml:25:86: pull[2].settings.members.subscriber.shoe: is no field; there are first_name, last_name, login, password, pin, email, phone, language, region, address.street, address.postal_code, address.city, address.country and attributes.NAME
    headgate.toml:32:22: pull[3].connection.url: the pull's `token` would go to another machine in clear: use "https://", or allow it with `allow_plain_credentials = true`
    "###);
}

#[test]
fn names_that_lead_nowhere_are_pointed_at() {
    insta::assert_snapshot!(problems(
        r#"
[[key]]
name = "w"
role = "worker"
sha256 = "52cada23e5037c165c0ed6881dbb0cb52f751d37da826d388873e40eb183d130"
providers = ["otp"]

[[key]]
name = "c"
role = "crm"
sha256 = "62cada23e5037c165c0ed6881dbb0cb52f751d37da826d388873e40eb183d130"
providers = ["ott"]

[[provider]]
name = "ott"
protocol = "nagra-medialive"
settings = { tenant = "t", twin_endpoint = "ssp", token = { username = "u", password = "p", client_id = "c" } }
connection = { url = "http://127.0.0.1:1", endpoints = { spp = "http://127.0.0.1:2" } }
"#
    ), @r###"
    headgate.toml:6:13: key[0].providers: there is no provider "otp" (did you mean `ott`?)
    headgate.toml:12:13: key[1].providers: binds workers only; the role crm sees every provider (leave it out, or use role = "worker")
    headgate.toml:18:44: provider[0].connection.endpoints: the settings name an end point "ssp", which is not here (add it, as in `ssp = "https://..."`; without it its calls would go to `url`)
    "###);
}

#[test]
fn text_that_is_not_toml_is_pointed_at() {
    insta::assert_snapshot!(problems("[server]\nlisten = 127.0.0.1\n\n[[provider]\n"), @r###"
    headgate.toml:2:15: invalid float, expected nothing
    headgate.toml:4:12: unclosed array table, expected `]`
    "###);
}

#[test]
fn people_see_the_lines_around_a_mistake() {
    let problems = loaded("[server]\n# ours\nbody_limt = 5\n").unwrap_err();
    insta::assert_snapshot!(problems.render(false), @r###"
     × server.body_limt: there is no such setting here
      ╭─[headgate.toml:3:1]
    2 │ # ours
    3 │ body_limt = 5
      · ────┬────
      ·     ╰── here
      ╰────
     help: did you mean `body_limit`?
    "###);
}

#[test]
fn the_semantic_checks_name_the_setting() {
    insta::assert_snapshot!(problems(
        r#"
[server]
listen = "0.0.0.0:8480"
stream_listen = "0.0.0.0:8480"
connections = 0

[store]
path = "/no/such/directory/headgate.db"

[[key]]
name = "crm"
role = "crm"
sha256 = "abc"

[[key]]
name = "crm"
role = "admin"
sha256 = "0000000000000000000000000000000000000000000000000000000000000000"
"#
    ), @r###"
    headgate.toml: warning: there is no provider, so no request can be accepted (add a [[provider]]; `headgate config example` shows one for every protocol)
    headgate.toml:3:10: server.listen: 0.0.0.0:8480 can be reached from other machines, and there is no TLS (add [server.tls] with `certificate` and `key`, or listen on 127.0.0.1)
    headgate.toml:4:17: server.stream_listen: 0.0.0.0:8480 can be reached from other machines, and there is no TLS (add [server.tls] with `certificate` and `key`, or listen on 127.0.0.1)
    headgate.toml:4:17: server.stream_listen: is the address of the API (use another port)
    headgate.toml:5:15: server.connections: must be at least 1
    headgate.toml:8:8: store.path: there is no directory /no/such/directory (mkdir -p /no/such/directory)
    headgate.toml:13:10: key[0].sha256: must be 64 hexadecimal digits (`headgate config key NAME ROLE` makes a key and its hash; the key itself does not belong here)
    headgate.toml:16:8: key[1].name: is the same as key[0].name (every one needs its own)
    "###);
}

#[test]
fn providers_are_checked_by_name_and_protocol() {
    let known: Vec<_> = PROTOCOLS.iter().map(|protocol| protocol.name).collect();
    let told = problems(
        r#"
[[provider]]
name = "one"
protocol = "conax-smms"
connection = {}

[[provider]]
name = "one"
protocol = "carrier-pigeon"
retry = { first_delay = "10m", attempts = 0 }
connection = {}
"#,
    );
    insta::assert_snapshot!(told.replace(&known.join(", "), "all of them, by name"), @r###"
    headgate.toml:4:12: provider[0].protocol: there is no protocol "conax-smms" (did you mean `conax-sms`?)
    headgate.toml:8:8: provider[1].name: is the same as provider[0].name (every one needs its own)
    headgate.toml:9:12: provider[1].protocol: there is no protocol "carrier-pigeon" (there are all of them, by name)
    headgate.toml:10:25: provider[1].retry.first_delay: is longer than longest_delay (shorten it, or raise longest_delay)
    headgate.toml:10:43: provider[1].retry.attempts: must be at least 1
    "###);
}

#[test]
fn values_come_from_the_environment() {
    let text = "[server]\nlisten = \"${ADDRESS}\"\n[store]\npath = \"$${A}-${NAME}.db\"\n";
    let config = loaded(text).unwrap().config;
    assert_eq!(config.server.listen.port(), 9999);
    assert_eq!(config.store.path, PathBuf::from("${A}-from-outside.db"));
}

#[test]
fn a_variable_that_is_not_set_is_an_error_with_its_place() {
    insta::assert_snapshot!(problems("[store]\npath = \"${NOT_SET}\"\n\n[server]\nlisten = \"${OPEN\"\n"), @r###"
    headgate.toml:2:8: store.path: the environment variable NOT_SET is not set (set it where Headgate is started, or write $${ for ${ itself)
    headgate.toml:5:10: server.listen: a ${ is not closed (add a }, or write $${ for ${ itself)
    "###);
}

#[test]
fn values_from_outside_are_not_repeated_in_messages() {
    let shown = problems("[[key]]\nname = \"x\"\nrole = \"${HIDDEN}\"\nsha256 = \"\"\n");
    assert!(shown.contains("***") && !shown.contains("hunter2"), "{shown}");
}

#[test]
fn secrets_are_masked_where_lines_are_shown() {
    let text = "[server]\npassword = \"geheim\\\"x\"\n# é\ntoken_count = 1\n";
    let problems = loaded(text).unwrap_err();
    let shown = problems.render(false);
    assert!(!shown.contains("geheim") && shown.contains("password = \"*********\""), "{shown}");
    assert!(problems.to_string().contains("headgate.toml:4:1: server.token_count"), "{problems}");
}

#[test]
fn secrets_are_read_from_files_beside_the_configuration() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("secret"), "s3cret\n").unwrap();
    let surroundings = Surroundings { directory: directory.path().to_path_buf(), environment: &environment };
    let error = read("h.toml", "[server]\npassword = \"file:absent\"\n", &surroundings).unwrap_err().to_string();
    assert!(error.contains("h.toml:2:12: server.password:") && error.contains("can not be read"), "{error}");

    // The section does not know the key; that the file was found shows in the absence of another problem.
    let error = read("h.toml", "[server]\npassword = \"file:secret\"\n", &surroundings).unwrap_err();
    assert!(error.list.iter().any(|problem| problem.severity == Severity::Warning), "{error}");
    assert!(!error.to_string().contains("can not be read") && !error.to_string().contains("s3cret"), "{error}");
}

#[test]
fn the_sections_are_the_fields_of_the_configuration() {
    let schema = schemars::schema_for!(Config).to_value();
    let mut fields: Vec<&String> = schema["properties"].as_object().unwrap().keys().collect();
    let mut sections = SECTIONS.to_vec();
    fields.sort();
    sections.sort_unstable();
    assert_eq!(fields, sections);
}

#[test]
fn the_example_passes_the_check() {
    for protocol in PROTOCOLS {
        let text = example::example(&[protocol]);
        assert_passes(&text, 1);
    }
    assert_passes(&example::every_protocol(), PROTOCOLS.len());
}

fn assert_passes(text: &str, providers: usize) {
    match loaded(text) {
        Ok(loaded) => {
            assert!(loaded.warnings.list.is_empty(), "{}", loaded.warnings);
            assert_eq!(loaded.config.providers.len(), providers, "{text}");
        }
        Err(problems) => panic!("{}\n{text}", problems.render(false)),
    }
}

#[test]
fn paths_are_found_in_every_form_of_toml() {
    let text = r#"
[[provider]]
name = "a"
[[provider]]
settings.links = 1
[provider.settings.profile.commands.pair]
number = "0009"
fields = [{ name = "card" }, { name = "box" }]
[provider.services]
"SPORT.HD" = "7"
"#;
    let document = document::Document::parse("h.toml", text).unwrap();
    for (path, place) in [
        ("provider[1].settings.links", "5:18"),
        ("provider[1].settings.profile.commands.pair.number", "7:10"),
        ("provider[1].settings.profile.commands.pair.fields[1].name", "8:39"),
        ("provider[1].settings.profile.commands.pair", "6:37"),
        ("provider[1].services.SPORT.HD", "10:14"),
        ("provider[0].connection.address", "2:1"),
        ("provider[1].settings.profile.commands.unpair.number", "6:28"),
    ] {
        let problems = document.problems(vec![Problem::error(path, "is wrong", "")]);
        assert_eq!(problems.to_string(), format!("h.toml:{place}: {path}: is wrong"));
    }
}

#[test]
fn a_secret_is_what_the_schema_calls_one() {
    assert!(secrets::is_secret("password") && secrets::is_secret("ftp_password") && !secrets::is_secret("user"));
    let schema = serde_json::json!({"properties": {
        "pin_default": {"$ref": "#/$defs/Secret"},
        "code": {"anyOf": [{"$ref": "#/$defs/some-protocol.Secret"}, {"type": "null"}]},
        "user": {"type": "string"},
    }});
    let names = secrets::secret_names(&schema);
    assert_eq!(names.into_iter().collect::<Vec<_>>(), ["code", "pin_default"]);
    let schema = serde_json::json!({"properties": {
        "headers": {"type": "object", "additionalProperties": {"$ref": "#/$defs/Secret"}},
        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
    }});
    assert_eq!(secrets::secret_tables(&schema).into_iter().collect::<Vec<_>>(), ["headers"]);
    assert!(
        secrets::is_secret_table("headers") && secrets::is_secret("bearer") && !secrets::is_secret_table("services")
    );
}

#[test]
fn values_of_a_table_of_secrets_are_read_from_files_and_never_shown() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("key"), "from-a-file\n").unwrap();
    let text = "[[provider]]\nname = \"a\"\nprotocol = \"nagravision-smsgw\"\n[provider.connection]\n\
                headers = { x-key = \"geheim\", x-file = \"file:key\", x-env = \"${HIDDEN}\", x-wrong = 7 }\n";
    let surroundings = Surroundings { directory: directory.path().to_owned(), environment: &environment };
    for text in [text.to_owned(), text.replace(", x-wrong = 7", "")] {
        let problems = read("headgate.toml", &text, &surroundings).unwrap_err();
        let shown = format!("{problems}\n{}", problems.render(false));
        assert!(shown.contains("provider[0].connection.headers"), "{shown}");
        for secret in ["geheim", "from-a-file", "hunter2"] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }
    let missing = text.replace("file:key", "file:nowhere");
    let problems = read("headgate.toml", &missing, &surroundings).unwrap_err().to_string();
    assert!(problems.contains("provider[0].connection.headers.x-file: "), "{problems}");
}

#[test]
fn the_schema_offers_each_protocol_its_settings() {
    let schema = schema::schema();
    let provider = &schema["$defs"]["ProviderConfig"];
    assert_eq!(provider["properties"]["protocol"]["enum"].as_array().unwrap().len(), PROTOCOLS.len());
    assert_eq!(provider["allOf"].as_array().unwrap().len(), PROTOCOLS.len());
    every_reference_resolves(&schema, &schema);
}

fn every_reference_resolves(schema: &Value, value: &Value) {
    match value {
        Value::Object(table) => {
            if let Some(Value::String(target)) = table.get("$ref") {
                let pointer = target.strip_prefix('#').unwrap();
                assert!(schema.pointer(pointer).is_some(), "{target} is not defined");
            }
            table.values().for_each(|value| every_reference_resolves(schema, value));
        }
        Value::Array(items) => items.iter().for_each(|item| every_reference_resolves(schema, item)),
        _ => {}
    }
}

#[test]
fn a_new_key_and_its_stanza_belong_together() {
    let new = key::make("crm \"east\"", Role::Crm).unwrap();
    let config = loaded(&new.stanza).unwrap().config;
    assert_eq!(config.keys[0].name, "crm \"east\"");
    assert_eq!(config.keys[0].role, Role::Crm);
    assert_eq!(config.keys[0].sha256, key::hash(&new.key));
    assert_ne!(new.key, key::make("crm", Role::Crm).unwrap().key);
    assert!(!new.stanza.contains(&new.key));
}
