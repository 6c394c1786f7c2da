//! Nagravision's CAS Gateway (CAG): the vendor's REST interface to one or more conditional access systems.
//!
//! [`wire`] says what calls and answers hold, [`dialogue`] which calls a command needs, [`rules`] what can be asked,
//! [`platform`] is the other side, [`settings`] is what an operator can set, [`dissect`] explains a message. Sources
//! and marks: `docs/protocols/nagravision-cag.md`.

pub mod dialogue;
pub mod dissect;
#[doc(hidden)]
pub mod fuzzing;
pub mod platform;
pub mod rules;
pub mod settings;
#[cfg(test)]
mod tests;
pub mod wire;

use std::sync::Arc;

use headgate_core::Now;
use headgate_core::platform::Platform;
use headgate_core::provider::Provider;
use headgate_core::request::Request;
use serde_json::Value;

use self::dialogue::Cag;
use self::platform::CagPlatform;
use self::rules::CagRules;
use self::settings::Settings;
use crate::http::oauth::Token;
use crate::http::{HttpAdapter, HttpPlatform, encode as encode_call};
use crate::registry::{Demo, EncodeError, Encoded, Opened, Protocol, SettingsError, Stock, Transport};

/// The registry's entry.
pub const PROTOCOL: Protocol = Protocol {
    name: "nagravision-cag",
    title: "Nagravision CAS Gateway (CAG)",
    transport: Transport::Http,
    unconfirmed: "pair and set_pin are seen only in the internal variant of the vendor's documentation; an empty list of \
                  products, which number is the device's id, the codes of refusals and how raw calls are answered are \
                  not published",
    settings_schema: || schemars::schema_for!(Settings).to_value(),
    profile: "",
    open,
    platform: open_platform,
    decode: dissect::decode,
    demo: Demo {
        connection: "",
        settings: include_str!("demo.toml"),
        services: &[("BASIC", "P-BASIC"), ("FILM", "P-FILM"), ("SPORT", "P-SPORT")],
        cards: &["6001000001", "6001000002", "6001000003"],
        requests: include_str!("demo.ndjson"),
        refused: 3,
    },
    encode,
};

fn open(provider: &Provider, settings: &Value, seed: u64) -> Result<Opened, SettingsError> {
    let settings = Settings::read(settings)?;
    settings.check_credentials()?;
    let settings = Arc::new(settings);
    let calls = settings.calls.clone();
    let dialogue = Cag::new(Arc::clone(&settings), provider.services.clone());
    Ok(Opened { rules: Arc::new(CagRules::new(settings)), adapter: Box::new(HttpAdapter::new(dialogue, calls, seed)) })
}

fn open_platform(settings: &Value, stock: &Stock) -> Result<Box<dyn Platform>, SettingsError> {
    let settings = Arc::new(Settings::read(settings)?);
    Ok(Box::new(HttpPlatform::new(CagPlatform::new(settings, stock))))
}

fn encode(provider: &Provider, settings: &Value, now: Now, request: &Request) -> Result<Vec<Encoded>, EncodeError> {
    let settings = Arc::new(Settings::read(settings)?);
    let session = settings.token.is_some().then(Token::placeholder);
    encode_call(&mut Cag::new(settings, provider.services.clone()), session.as_ref(), now, request)
}
