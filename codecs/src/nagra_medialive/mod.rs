//! Nagra Media Live, the OTT platform, in both of its generations.
//!
//! [`opentv`] speaks with OpenTV Platform 3.x (REST with tokens), [`sdp`] with the older Service Delivery Platform
//! (SOAP); [`settings`] chooses between them, [`capabilities`] says what each can do, [`platform`] is the other side of
//! both. Sources and marks: `docs/protocols/nagra-medialive.md`.

pub mod capabilities;
pub mod dissect;
#[doc(hidden)]
pub mod fuzzing;
pub mod members;
pub mod opentv;
pub mod password;
pub mod platform;
pub mod sdp;
pub mod settings;
#[cfg(test)]
mod test_site;

use std::sync::Arc;

use headgate_core::Now;
use headgate_core::platform::Platform;
use headgate_core::provider::Provider;
use headgate_core::request::Request;
use serde_json::Value;

use crate::http::oauth::Token;
use crate::http::{HttpAdapter, HttpPlatform, encode as encode_call};
use crate::registry::{Demo, EncodeError, Encoded, Opened, Protocol, SettingsError, Stock, Transport};

use capabilities::MediaLiveRules;
use opentv::OpenTv;
use platform::MediaLivePlatform;
use sdp::Sdp;
use settings::{Generation, Settings};

/// The registry's entry.
pub const PROTOCOL: Protocol = Protocol {
    name: "nagra-medialive",
    title: "Nagra Media Live (OpenTV Platform)",
    transport: Transport::Http,
    unconfirmed: "reading, changing and removing devices by id, the filter of lists, the period of a service that is \
                  switched on again, the length and writing of hashed passwords, where subscribers sign in; of \
                  generation sdp the namespaces, the path of SMSDomain and the hash of passwords",
    settings_schema: || schemars::schema_for!(Settings).to_value(),
    profile: "",
    open,
    platform: open_platform,
    decode: dissect::decode,
    demo: Demo {
        connection: "",
        settings: include_str!("demo.toml"),
        services: &[("BASIC", "P-BASIC"), ("FILM", "P-FILM"), ("SPORT", "P-SPORT")],
        cards: &["STB0000001", "STB0000002", "STB0000003"],
        requests: include_str!("demo.ndjson"),
        refused: 3,
    },
    encode,
};

fn open(provider: &Provider, settings: &Value, seed: u64) -> Result<Opened, SettingsError> {
    let settings = Settings::read(settings)?;
    settings.check_credentials()?;
    let settings = Arc::new(settings);
    let rules = Arc::new(MediaLiveRules::new(Arc::clone(&settings)));
    let calls = settings.calls.clone();
    let adapter: Box<dyn headgate_core::adapter::Adapter> = match settings.generation {
        Generation::OpenTv3 => {
            let dialogue = OpenTv::new(settings, provider.services.clone(), Arc::clone(&rules));
            Box::new(HttpAdapter::new(dialogue, calls, seed))
        }
        Generation::Sdp => Box::new(HttpAdapter::new(Sdp::new(settings, Arc::clone(&rules)), calls, seed)),
    };
    Ok(Opened { rules, adapter })
}

fn open_platform(settings: &Value, stock: &Stock) -> Result<Box<dyn Platform>, SettingsError> {
    let settings = Arc::new(Settings::read(settings)?);
    Ok(Box::new(HttpPlatform::new(MediaLivePlatform::new(settings, stock))))
}

fn encode(provider: &Provider, settings: &Value, now: Now, request: &Request) -> Result<Vec<Encoded>, EncodeError> {
    let settings = Arc::new(Settings::read(settings)?);
    let rules = Arc::new(MediaLiveRules::new(Arc::clone(&settings)));
    match settings.generation {
        Generation::OpenTv3 => {
            let mut dialogue = OpenTv::new(settings, provider.services.clone(), rules);
            encode_call(&mut dialogue, Some(&Token::placeholder()), now, request)
        }
        Generation::Sdp => encode_call(&mut Sdp::new(settings, rules), None, now, request),
    }
}
