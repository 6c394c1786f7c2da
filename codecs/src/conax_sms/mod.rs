//! Conax Contego SMS Services: order files dropped in a directory, answers found in others.
//!
//! [`wire`] says what the files hold, [`plan`] which files a command needs, [`adapter`] gathers, writes and
//! follows them, [`platform`] is the other side, [`settings`] is what an operator can set, [`dissect`]
//! explains a file. Sources and marks: `docs/protocols/conax-sms.md`.

pub mod adapter;
pub mod dissect;
#[doc(hidden)]
pub mod fuzzing;
pub mod plan;
pub mod platform;
pub mod settings;
pub mod wire;

#[cfg(test)]
mod plan_tests;
#[cfg(test)]
mod transcript_tests;

use std::sync::Arc;

use headgate_core::Now;
use headgate_core::platform::Platform;
use headgate_core::provider::Provider;
use headgate_core::request::Request;
use serde_json::Value;

use crate::registry::{Demo, EncodeError, Encoded, Opened, Protocol, SettingsError, Stock, Transport};

use adapter::ConaxAdapter;
use plan::{ConaxRules, Products};
use platform::ConaxPlatform;
use settings::{Settings, Site};

/// The registry's entry.
pub const PROTOCOL: Protocol = Protocol {
    name: "conax-sms",
    title: "Conax Contego SMS Services",
    transport: Transport::Files,
    unconfirmed: "pair, unpair and send_message rest on one source alone; the meaning of lines 1, 6 and 8 of an order, \
                  whether refusals are appended to errors.txt, and the character set of messages are inferred",
    settings_schema: || schemars::schema_for!(Settings).to_value(),
    profile: "",
    open,
    platform: open_platform,
    decode: dissect::decode,
    demo: Demo {
        connection: "",
        settings: "flush_interval = \"100ms\"\npoll_interval = \"50ms\"\nidle_poll_interval = \"1s\"\n",
        services: &[("BASIC", "41"), ("FILM", "43"), ("SPORT", "42")],
        cards: &["01450000001", "01450000002", "01450000003", "01450000004"],
        requests: include_str!("demo.ndjson"),
        refused: 2,
    },
    encode,
};

fn open(provider: &Provider, settings: &Value, seed: u64) -> Result<Opened, SettingsError> {
    let site = Arc::new(Site::read(settings)?);
    let products = Arc::new(Products::new(&provider.services)?);
    let rules = Arc::new(ConaxRules::new(Arc::clone(&site), Arc::clone(&products)));
    Ok(Opened { rules, adapter: Box::new(ConaxAdapter::new(site, products, seed)) })
}

fn open_platform(settings: &Value, stock: &Stock) -> Result<Box<dyn Platform>, SettingsError> {
    Ok(Box::new(ConaxPlatform::new(Site::read(settings)?, stock)?))
}

/// The files a command would become, numbered from the first number of the range.
fn encode(provider: &Provider, settings: &Value, now: Now, request: &Request) -> Result<Vec<Encoded>, EncodeError> {
    let command = &request.command;
    let site = Site::read(settings)?;
    let products = Products::new(&provider.services)?;
    let default = plan::default_period(&site, now.wall)
        .ok_or_else(|| SettingsError::new("add_end_months", "the period ends in a year that can not be written"))?;
    let period = plan::period(&site, command, default)?;
    let range = site.settings.numbers;
    let mut numbers = (range.first..=range.last).cycle().filter_map(wire::TransactionNumber::new);
    let parts = plan::parts(&site, &products, command, period)?;
    let file = |part: &plan::Part| {
        let number = numbers.next()?;
        let name = wire::FileName { order_type: part.ask.order_type(), number };
        let bytes = part.ask.encode(&site, number, part.numbers.len(), &part.numbers).into();
        Some(Encoded { title: name.to_string(), bytes })
    };
    Ok(parts.iter().filter_map(file).collect())
}
