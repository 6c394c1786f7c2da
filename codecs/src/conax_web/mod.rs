//! Conax Contego Web Services: SOAP 1.1 over HTTP, one call known, the others a profile.
//!
//! [`settings`] is what an operator can set, and chooses the profile, by which [`crate::template`] puts commands into
//! calls; [`dialogue`] adds what every Conax interface shares; [`platform`] is the other side; [`dissect`] explains a
//! message. Sources and marks: `docs/protocols/conax-web.md`.

pub mod dialogue;
pub mod dissect;
#[doc(hidden)]
pub mod fuzzing;
pub mod platform;
pub mod settings;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use headgate_core::Now;
use headgate_core::platform::Platform;
use headgate_core::provider::Provider;
use headgate_core::request::Request;
use serde_json::Value;

use self::dialogue::{ConaxWeb, ConaxWebRules};
use self::platform::ContegoPlatform;
use self::settings::{SHIPPED, Settings, Site};
use crate::http::{HttpAdapter, HttpPlatform, encode as encode_call};
use crate::registry::{Demo, EncodeError, Encoded, Opened, Protocol, SettingsError, Stock, Transport};
use crate::template::{TemplatePlatform, Unsigned};

/// The registry's entry.
pub const PROTOCOL: Protocol = Protocol {
    name: "conax-web",
    title: "Conax Contego Web Services",
    transport: Transport::Http,
    unconfirmed: "One call is known from a source: SendBarkMessageToClients, with its path, and the path of \
        authorisations. Everything else is a stand-in of Headgate's own, to be replaced by `settings.profile`: names, \
        namespaces and elements of every other call, the paths of pairing, fingerprint and PIN, the form of answers \
        beyond StatusCode and Message.",
    settings_schema: || schemars::schema_for!(Settings).to_value(),
    profile: SHIPPED,
    open,
    platform: open_platform,
    decode: dissect::decode,
    demo: Demo {
        connection: "basic = { user = \"headgate\", password = \"demo\" }\n",
        settings: "",
        services: &[("BASIC", "41"), ("FILM", "43"), ("SPORT", "42")],
        cards: &["01460000001", "01460000002", "01460000003"],
        requests: include_str!("demo.ndjson"),
        refused: 3,
    },
    encode,
};

fn open(provider: &Provider, settings: &Value, seed: u64) -> Result<Opened, SettingsError> {
    let site = Site::read(settings)?;
    let rules = Arc::new(ConaxWebRules::new(&site, provider)?);
    let dialogue = ConaxWeb::new(Arc::clone(&rules));
    Ok(Opened { rules, adapter: Box::new(HttpAdapter::new(dialogue, site.settings.calls, seed)) })
}

/// The simulated Contego speaks the shipped profile; of another one, a stand-in shows that it is of one piece.
fn open_platform(settings: &Value, stock: &Stock) -> Result<Box<dyn Platform>, SettingsError> {
    let Site { settings, profile, context } = Site::read(settings)?;
    Ok(if settings.profile.is_some() {
        let signer = Arc::new(Unsigned);
        Box::new(HttpPlatform::new(TemplatePlatform::new(profile, context, signer, platform::words, stock)))
    } else {
        Box::new(HttpPlatform::new(ContegoPlatform::new(settings.simulated_users, stock)))
    })
}

fn encode(provider: &Provider, settings: &Value, now: Now, request: &Request) -> Result<Vec<Encoded>, EncodeError> {
    let rules = Arc::new(ConaxWebRules::new(&Site::read(settings)?, provider)?);
    encode_call(&mut ConaxWeb::new(rules), None, now, request)
}
