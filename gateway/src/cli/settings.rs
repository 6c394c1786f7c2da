//! What the offline subcommands are told: a protocol by name, its settings from a file.

use std::io::Read;
use std::path::Path;

use headgate_codecs::registry::{self, Protocol};
use serde_json::{Map, Value};

use super::failure::Failure;
use crate::config::load::suggest;

/// The protocol of that name.
pub(super) fn protocol(name: &str) -> Result<&'static Protocol, Failure> {
    registry::find(name).ok_or_else(|| {
        let known: Vec<&str> = registry::PROTOCOLS.iter().map(|protocol| protocol.name).collect();
        Failure::new(format!("there is no protocol {name:?}")).help(suggest(name, &known))
    })
}

/// A protocol's settings: a TOML file that holds what stands under `[provider.settings]`, or a JSON file.
/// Without a file, every setting has its default.
pub(super) fn settings(file: Option<&Path>) -> Result<Value, Failure> {
    let Some(file) = file else { return Ok(Value::Object(Map::new())) };
    let text = std::fs::read_to_string(file)
        .map_err(|error| Failure::new(format!("the settings file {} can not be read: {error}", file.display())))?;
    let value: Result<Value, String> = if file.extension().is_some_and(|extension| extension == "json") {
        serde_json::from_str(&text).map_err(|error| error.to_string())
    } else {
        toml::from_str(&text).map_err(|error| error.to_string())
    };
    value.map_err(|error| {
        Failure::new(format!("{}: {}", file.display(), error.trim_end()))
            .help("write what stands under [provider.settings], as TOML (or as JSON, in a file named .json)")
    })
}

/// Settings that a protocol refused.
pub(super) fn refused(error: &registry::SettingsError, file: Option<&Path>) -> Failure {
    let place = file.map(|file| format!("{}: ", file.display())).unwrap_or_default();
    let path = if error.path.is_empty() { String::new() } else { format!("{}: ", error.path) };
    Failure::new(format!("{place}{path}{}", error.text))
        .help("`headgate config example PROTOCOL` shows every setting; give yours with --settings FILE")
}

/// The bytes of standard input.
pub(super) fn stdin() -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    std::io::stdin()
        .lock()
        .read_to_end(&mut bytes)
        .map_err(|error| Failure::new(format!("standard input can not be read: {error}")))?;
    Ok(bytes)
}

/// The bytes of a file.
pub(super) fn file(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).map_err(|error| Failure::new(format!("{} can not be read: {error}", path.display())))
}
