//! The documentation against the code: what the pages list is what there is, their examples can be read, and their
//! links lead somewhere.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use headgate::config;
use headgate::config::load::Surroundings;
use headgate_codecs::registry::{self, Opened, Protocol};
use headgate_core::body::RequestBody;
use headgate_core::capabilities::{Capabilities, CommandRules};
use headgate_core::command::CommandKind;
use headgate_core::provider::{BreakerPolicy, Limits, Provider, RetryPolicy, ServiceMap};
use headgate_core::request::State;
use headgate_core::text::ProviderName;
use serde_json::Value;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

fn page(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Everything in backticks on a page, outside of fenced blocks.
fn quoted(page: &str) -> BTreeSet<String> {
    let prose: String =
        page.split("```").step_by(2).collect::<Vec<_>>().join("\n").replace("\\|", "|").replace('\n', " ");
    prose.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The fenced blocks of a page in that language.
fn blocks<'a>(page: &'a str, language: &str) -> Vec<&'a str> {
    let fenced = page.split("```").skip(1).step_by(2);
    fenced.filter_map(|block| block.strip_prefix(language)?.strip_prefix('\n')).collect()
}

/// The Markdown files of the project.
fn pages() -> Vec<PathBuf> {
    let mut found: Vec<_> = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"].map(|name| root().join(name)).into();
    let mut folders = vec![root().join("docs")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false => found.push(path),
            }
        }
    }
    found.retain(|path| path.extension().is_some_and(|extension| extension == "md"));
    found
}

/// The names of the properties in `value`, at any depth.
fn properties(value: &Value, into: &mut BTreeSet<String>) {
    match value {
        Value::Object(table) => {
            if let Some(Value::Object(properties)) = table.get("properties") {
                into.extend(properties.keys().cloned());
            }
            table.values().for_each(|value| properties(value, into));
        }
        Value::Array(items) => items.iter().for_each(|value| properties(value, into)),
        _ => {}
    }
}

/// The names of `wanted` that stand on a page neither as they are, nor in brackets, nor as the last part of a path.
fn missing(wanted: &BTreeSet<String>, page: &str) -> Vec<String> {
    let quoted = quoted(page);
    let quoted: Vec<_> = quoted.iter().map(|text| text.trim_matches(['[', ']'])).collect();
    let named = |name: &&String| quoted.iter().any(|text| text.rsplit('.').next() == Some(name));
    wanted.iter().filter(|name| !named(name)).cloned().collect()
}

fn capabilities(protocol: &Protocol) -> Capabilities {
    let provider = Provider {
        name: ProviderName::new("p").unwrap(),
        services: ServiceMap::default(),
        limits: Limits::default(),
        retry: RetryPolicy::default(),
        breaker: BreakerPolicy::default(),
    };
    let settings = toml::from_str(protocol.demo.settings).unwrap();
    let Opened { rules, .. } = (protocol.open)(&provider, &settings, 0).unwrap();
    rules.capabilities().clone()
}

/// A command of a protocol, as the table of `docs/commands.md` tells it.
fn cell(rules: Option<&CommandRules>) -> &'static str {
    match rules {
        None => "-",
        Some(CommandRules { confirmed: true, safe_to_repeat: true, .. }) => "yes",
        Some(CommandRules { confirmed: true, safe_to_repeat: false, .. }) => "yes, once",
        Some(CommandRules { confirmed: false, safe_to_repeat: true, .. }) => "profile",
        Some(CommandRules { confirmed: false, safe_to_repeat: false, .. }) => "profile, once",
    }
}

/// The table of `docs/commands.md`.
fn table_of_commands() -> String {
    let mut text = String::from("| Command |");
    for protocol in registry::PROTOCOLS {
        text.push_str(&format!(" [{0}](protocols/{0}.md) |", protocol.name));
    }
    text.push_str(&format!("\n|---|{}\n", "---|".repeat(registry::PROTOCOLS.len())));
    let capabilities: Vec<_> = registry::PROTOCOLS.iter().map(capabilities).collect();
    for kind in CommandKind::ALL {
        let cells: Vec<_> = capabilities.iter().map(|can| cell(can.commands.get(kind))).collect();
        text.push_str(&format!("| `{kind}` | {} |\n", cells.join(" | ")));
    }
    text
}

#[test]
fn every_key_of_the_configuration_is_described() {
    let mut schema = config::schema::schema();
    let definitions = schema["$defs"].as_object_mut().unwrap();
    // Those of the protocols are described on their own pages.
    definitions.retain(|name, _| !registry::PROTOCOLS.iter().any(|protocol| name.starts_with(protocol.name)));
    definitions["ProviderConfig"].as_object_mut().unwrap().remove("allOf");
    let mut keys = BTreeSet::new();
    properties(&schema, &mut keys);
    assert!(keys.len() > 50, "{keys:?}");
    assert_eq!(missing(&keys, &page("docs/configuration.md")), Vec::<String>::new());
}

#[test]
fn every_setting_of_a_protocol_is_described() {
    for protocol in registry::PROTOCOLS {
        let settings = (protocol.settings_schema)();
        let keys = settings["properties"].as_object().unwrap().keys().cloned().collect();
        let text = page(&format!("docs/protocols/{}.md", protocol.name));
        // A table is described by what is in it: `directories.req`.
        let missing = missing(&keys, &text);
        let missing: Vec<_> = missing.iter().filter(|key| !text.contains(&format!("`{key}."))).collect();
        assert!(missing.is_empty(), "{}: {missing:?}", protocol.name);
    }
}

#[test]
fn every_call_field_state_and_code_of_the_api_is_described() {
    let openapi: Value = serde_json::from_str(&page("gateway/src/api/openapi.json")).unwrap();
    let text = page("docs/api.md");
    for (path, methods) in openapi["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            let call = format!("| `{} {path}` |", method.to_uppercase());
            assert!(text.contains(&call), "{call}");
        }
    }
    let mut fields = BTreeSet::new();
    for schema in ["RequestBody", "MessageBody", "Problem", "Failure"] {
        properties(&openapi["components"]["schemas"][schema], &mut fields);
    }
    assert!(fields.len() > 30, "{fields:?}");
    assert_eq!(missing(&fields, &text), Vec::<String>::new());

    let codes = codes_in(&["gateway/src/api", "gateway/src/gateway.rs", "core/src", "codecs/src"]);
    assert!(codes.len() > 30, "{codes:?}");
    assert_eq!(missing(&codes, &text), Vec::<String>::new());

    let states = quoted(&page("README.md"));
    assert!(State::ALL.iter().all(|state| states.contains(state.name()) && states.contains(state.in_three())));
}

/// The second argument of every problem and refusal that the sources make, where it is a literal.
fn codes_in(places: &[&str]) -> BTreeSet<String> {
    let mut files: Vec<_> = places.iter().map(|place| root().join(place)).collect();
    let mut codes = BTreeSet::new();
    while let Some(path) = files.pop() {
        if path.is_dir() {
            files.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let source = fs::read_to_string(&path).unwrap();
            let calls = ["Problem::new(", "Refusal::new(", "Self::new(Kind::"];
            for call in calls.into_iter().flat_map(|name| source.split(name).skip(1)) {
                let second = call.split(',').nth(1).unwrap_or_default().trim();
                codes.extend(second.strip_prefix('"').and_then(|code| code.strip_suffix('"')).map(str::to_owned));
            }
        }
    }
    codes
}

#[test]
fn the_tables_of_commands_are_what_the_protocols_can_do() {
    let file = root().join("docs/commands.md");
    let text = page("docs/commands.md");
    let from = text.find("| Command |").expect("a table");
    let table = table_of_commands();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        let rest = text[from..].split_once("\n\n").map_or("", |(_, rest)| rest);
        fs::write(&file, format!("{}{table}\n{rest}", &text[..from])).unwrap();
        return;
    }
    assert!(text.contains(&table), "the protocols changed; look at docs/commands.md and run with UPDATE_GOLDEN=1");

    let readme = page("README.md");
    let (_, rows) = readme.split_once("| Command | Arguments |\n|---|---|\n").expect("a table in the README");
    let names = rows.lines().map_while(|row| row.strip_prefix("| `")?.split('`').next());
    assert_eq!(names.collect::<Vec<_>>(), CommandKind::ALL.iter().map(|kind| kind.name()).collect::<Vec<_>>());
}

#[test]
fn the_example_of_a_configuration_can_be_started() {
    let readme = page("README.md");
    let home = tempfile::tempdir().unwrap();
    fs::create_dir(home.path().join("secrets")).unwrap();
    fs::write(home.path().join("secrets/cas-a"), "hunter2\n").unwrap();
    let environment = |name: &str| (name == "CAS_HOST").then(|| "cas.example".to_owned());
    let surroundings = Surroundings { directory: home.path().into(), environment: &environment };
    let blocks = blocks(&readme, "toml");
    assert_eq!(blocks.len(), 1);
    for example in blocks {
        let loaded = config::load::read("README.md", example, &surroundings).unwrap_or_else(|wrong| panic!("{wrong}"));
        assert_eq!(loaded.config.providers.len(), 2);
    }
}

#[test]
fn the_requests_in_the_examples_are_requests() {
    let mut found = 0;
    for path in ["README.md", "docs/api.md"] {
        let text = page(path);
        for start in text.match_indices(r#"{"provider":"#).map(|(at, _)| at) {
            let mut values = serde_json::Deserializer::from_str(&text[start..]).into_iter::<Value>();
            let value = values.next().unwrap().unwrap_or_else(|error| panic!("{path}: {error}"));
            if value["command"] == "nonsense" {
                continue;
            }
            let body: RequestBody = serde_json::from_value(value).unwrap_or_else(|error| panic!("{path}: {error}"));
            body.command().unwrap_or_else(|refusal| panic!("{path}: {refusal}"));
            found += 1;
        }
    }
    assert!(found >= 4, "{found}");
}

#[test]
fn every_link_leads_somewhere() {
    let mut count = 0;
    for path in pages() {
        let text = fs::read_to_string(&path).unwrap();
        for rest in text.split("](").skip(1) {
            let target = rest.split(')').next().unwrap();
            if target.contains("://") {
                continue;
            }
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let file = if file.is_empty() { path.clone() } else { path.parent().unwrap().join(file) };
            assert!(file.exists(), "{}: {target}", path.display());
            if !anchor.is_empty() {
                let text = fs::read_to_string(&file).unwrap();
                let mut heads = text.lines().filter(|line| line.starts_with('#')).map(anchor_of);
                assert!(heads.any(|head| head == anchor), "{}: {target}", path.display());
            }
            count += 1;
        }
    }
    assert!(count > 15, "{count}");
}

/// The anchor of a heading, as code hosts make it.
fn anchor_of(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = text.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}
