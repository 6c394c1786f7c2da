//! Conax Contego SMS Services.

pub mod adapter;
pub mod plan;
pub mod settings;
pub mod wire;

use crate::registry::{Protocol, SettingsError, Transport};

/// The registry's entry.
pub const PROTOCOL: Protocol = Protocol {
    name: "conax-sms",
    title: "Conax Contego SMS Services",
    transport: Transport::Files,
    unconfirmed: "",
    settings_schema: || serde_json::json!({}),
    profile: "",
    open: |_, _, _| Err(SettingsError::new("", "not built yet")),
    platform: |_, _| Err(SettingsError::new("", "not built yet")),
    decode: |_, _, _| Err(SettingsError::new("", "not built yet")),
    encode: |_, _, _, _| Err(SettingsError::new("", "not built yet").into()),
};
