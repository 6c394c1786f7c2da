//! Which settings are secrets: they may stand in a file of their own, and are never shown.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use serde_json::Value;

/// The settings whose type says that they are secrets, of this program and of every protocol.
static NAMES: LazyLock<BTreeSet<String>> = LazyLock::new(|| secret_names(&super::schema::schema()));

/// The tables whose every value is a secret, whatever its key.
static TABLES: LazyLock<BTreeSet<String>> = LazyLock::new(|| secret_tables(&super::schema::schema()));

/// Whether values of this key are secrets: by its type, or, where it is written in a wrong place, by its name.
pub(super) fn is_secret(key: &str) -> bool {
    let named = |word: &&str| key == *word || key.ends_with(&format!("_{word}"));
    ["password", "passphrase", "secret", "token"].iter().any(named) || NAMES.contains(key)
}

/// Whether all values in a table of this key are secrets.
pub(super) fn is_secret_table(key: &str) -> bool {
    TABLES.contains(key)
}

/// The names of every property in `schema` that is a [`headgate_core::text::Secret`], or a list of them.
pub(super) fn secret_names(schema: &Value) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    collect(schema, &refers, &mut names);
    names
}

/// The names of every property in `schema` that is a table of [`headgate_core::text::Secret`]s.
pub(super) fn secret_tables(schema: &Value) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    collect(schema, &|property| property.get("additionalProperties").is_some_and(refers), &mut names);
    names
}

fn collect(value: &Value, is_wanted: &dyn Fn(&Value) -> bool, names: &mut BTreeSet<String>) {
    match value {
        Value::Object(table) => {
            if let Some(Value::Object(properties)) = table.get("properties") {
                names.extend(properties.iter().filter(|(_, schema)| is_wanted(schema)).map(|(name, _)| name.clone()));
            }
            table.values().for_each(|value| collect(value, is_wanted, names));
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, is_wanted, names)),
        _ => {}
    }
}

/// Whether a property's own schema, not one of its properties', is a secret.
fn refers(schema: &Value) -> bool {
    let is_secret = |target: &str| target.rsplit(['/', '.']).next() == Some("Secret");
    schema.get("$ref").and_then(Value::as_str).is_some_and(is_secret)
        || schema.get("items").is_some_and(refers)
        || schema.get("anyOf").and_then(Value::as_array).is_some_and(|list| list.iter().any(refers))
}
