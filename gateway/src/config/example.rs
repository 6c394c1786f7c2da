//! A complete, commented configuration to start from. What a protocol needs to know is written out from
//! its own schema, so that the example can not fall behind the code.

use std::fmt::Write;

use headgate_codecs::registry::{PROTOCOLS, Protocol};
use headgate_core::provider::{BreakerPolicy, Limits, Provider, RetryPolicy, ServiceMap};
use headgate_core::text::ProviderName;
use serde_json::Value;

use super::connection;

/// The sections that every configuration shares.
const HEAD: &str = include_str!("example.toml");
/// What every provider shares.
const PROVIDER: &str = include_str!("provider.toml");

/// An example with one provider for each of `protocols`; it passes the check as it is.
#[must_use]
pub fn example(protocols: &[&Protocol]) -> String {
    let mut out = String::from(HEAD);
    for protocol in protocols {
        // Writing to a String can not fail.
        let _ = write!(out, "\n# {}\n[[provider]]\n", protocol.title);
        if !protocol.unconfirmed.is_empty() {
            comment(&format!("Not confirmed by a public source: {}", protocol.unconfirmed), &mut out);
        }
        let _ = write!(out, "name = \"{0}\"\nprotocol = \"{0}\"\n{PROVIDER}\n", protocol.name);
        out.push_str(connection::example(protocol.transport));
        out.push_str("\n# What the protocol needs to know.\n[provider.settings]\n");
        if needs_settings(protocol) {
            comment(
                "What has no default, as the demo has it: replace it by what your platform's operator gave you.",
                &mut out,
            );
            out.push_str(protocol.demo.settings);
        }
        out.push_str(&settings(&(protocol.settings_schema)()));
        if !protocol.profile.is_empty() {
            let text = format!(
                "[provider.settings.profile] replaces the whole wire form; `headgate profile show {}` prints the one that is built in, to start from.",
                protocol.name
            );
            comment(&text, &mut out);
        }
    }
    out
}

/// Whether the protocol can not be spoken with defaults alone.
fn needs_settings(protocol: &Protocol) -> bool {
    let Ok(name) = ProviderName::new(protocol.name) else { return false };
    let provider = Provider {
        name,
        services: ServiceMap::default(),
        limits: Limits::default(),
        retry: RetryPolicy::default(),
        breaker: BreakerPolicy::default(),
    };
    (protocol.open)(&provider, &Value::Object(serde_json::Map::new()), 0).is_err()
}

/// An example with every protocol.
#[must_use]
pub fn every_protocol() -> String {
    example(&PROTOCOLS.iter().collect::<Vec<_>>())
}

/// A table's settings as TOML lines: required ones with their example, the others as comments with their
/// default.
fn settings(schema: &Value) -> String {
    let mut out = String::new();
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return out };
    let is_required = |name: &str| {
        schema.get("required").and_then(Value::as_array).is_some_and(|list| list.iter().any(|item| item == name))
    };
    for (name, property) in properties.iter().filter(|(name, _)| *name != "profile") {
        let target = resolve(schema, property);
        let description = [property, target].into_iter().find_map(|value| value.get("description")?.as_str());
        if let Some(description) = description {
            comment(description, &mut out);
        }
        let mark = if is_required(name) { "" } else { "# " };
        let Some(value) = sample(property).or_else(|| sample(target)) else {
            let _ = writeln!(out, "# {name} = ...");
            continue;
        };
        let _ = writeln!(out, "{mark}{name} = {value}");
    }
    out
}

/// What a property refers to, through `$ref` and `anyOf` with null.
fn resolve<'a>(schema: &'a Value, property: &'a Value) -> &'a Value {
    let alternatives = ["anyOf", "allOf", "oneOf"].iter().find_map(|word| property.get(word)?.as_array());
    let target = alternatives.and_then(|list| list.iter().find(|item| item.get("$ref").is_some())).unwrap_or(property);
    let name = target.get("$ref").and_then(Value::as_str).and_then(|name| name.strip_prefix("#/$defs/"));
    name.and_then(|name| schema.get("$defs")?.get(name)).unwrap_or(target)
}

/// A value to show, in TOML: the first example, the default, or what the type suggests.
fn sample(property: &Value) -> Option<String> {
    let shown = property
        .get("examples")
        .and_then(|examples| examples.get(0))
        .or_else(|| property.get("default"))
        .or_else(|| property.get("const"))
        .or_else(|| property.get("enum").and_then(|choices| choices.get(0)))
        .filter(|value| !value.is_null());
    if let Some(value) = shown {
        return toml::Value::try_from(value).ok().map(|value| value.to_string());
    }
    let types = property.get("type")?;
    let is = |name: &str| types == name || types.as_array().is_some_and(|list| list.iter().any(|item| item == name));
    let guess = match () {
        () if is("string") => "\"...\"",
        () if is("boolean") => "false",
        () if is("integer") => "1",
        () if is("array") => "[]",
        () => return None,
    };
    Some(guess.to_owned())
}

/// Adds `text` as comment lines of at most 100 characters.
fn comment(text: &str, out: &mut String) {
    // Marks of sources are escaped for rustdoc.
    let text = text.replace("\\[", "[").replace("\\]", "]");
    for paragraph in text.split("\n\n") {
        let mut line = String::from("#");
        for word in paragraph.split_whitespace() {
            if line.chars().count() + word.chars().count() > 100 {
                let _ = writeln!(out, "{line}");
                line = String::from("#");
            }
            line.push(' ');
            line.push_str(word);
        }
        let _ = writeln!(out, "{line}");
    }
}
