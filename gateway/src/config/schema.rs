//! The configuration as JSON Schema, for editors: each protocol's settings are offered once its name is
//! written.

use headgate_codecs::registry::{self, Protocol};
use serde_json::{Map, Value, json};

use super::Config;

/// The schema of the whole file, JSON Schema 2020-12.
#[must_use]
pub fn schema() -> Value {
    let mut schema = schemars::schema_for!(Config).to_value();
    let mut definitions = match schema.get_mut("$defs").map(Value::take) {
        Some(Value::Object(definitions)) => definitions,
        _ => Map::new(),
    };
    let names: Vec<&str> = registry::PROTOCOLS.iter().map(|protocol| protocol.name).collect();
    let choices: Vec<Value> = registry::PROTOCOLS.iter().map(|protocol| choice(protocol, &mut definitions)).collect();
    if let Some(provider) = definitions.get_mut("ProviderConfig").and_then(Value::as_object_mut) {
        if let Some(name) = provider.get_mut("properties").and_then(|properties| properties.get_mut("protocol")) {
            name["enum"] = json!(names);
        }
        provider.insert("allOf".into(), Value::Array(choices));
    }
    schema["$defs"] = Value::Object(definitions);
    schema
}

/// "If the protocol is this one, its settings look like that." The protocol's own definitions move up
/// beside the others, under its name.
fn choice(protocol: &Protocol, definitions: &mut Map<String, Value>) -> Value {
    let mut settings = (protocol.settings_schema)();
    if let Some(table) = settings.as_object_mut() {
        table.remove("$schema");
        if let Some(Value::Object(own)) = table.remove("$defs") {
            for (name, mut definition) in own {
                rename(&mut definition, protocol.name);
                definitions.insert(format!("{}.{name}", protocol.name), definition);
            }
        }
    }
    rename(&mut settings, protocol.name);
    json!({
        "if": { "properties": { "protocol": { "const": protocol.name } }, "required": ["protocol"] },
        "then": { "properties": { "settings": settings } },
    })
}

fn rename(value: &mut Value, protocol: &str) {
    match value {
        Value::Object(table) => {
            for (key, value) in table {
                match value {
                    Value::String(target) if key == "$ref" => {
                        if let Some(name) = target.strip_prefix("#/$defs/") {
                            *target = format!("#/$defs/{protocol}.{name}");
                        }
                    }
                    other => rename(other, protocol),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| rename(item, protocol)),
        _ => {}
    }
}
