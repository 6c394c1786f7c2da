//! EXSET SMS, billing exchange: commands left in a queue table of the platform's own database.
//!
//! What the table looks like is not public, so it is data, in a [`profile`]. [`wire`] makes rows of entries and back,
//! [`plan`] puts commands into entries, [`adapter`] puts them in and follows them, [`platform`] is the worker on the
//! other side, [`rows`] writes rows for people. Sources and marks: `docs/protocols/exset-sms.md`.

pub mod adapter;
pub mod dissect;
#[doc(hidden)]
pub mod fuzzing;
pub mod plan;
pub mod platform;
pub mod profile;
pub mod rows;
pub mod settings;
pub mod wire;

#[cfg(test)]
mod transcript_tests;

use std::sync::Arc;

use self::adapter::ExsetAdapter;
use self::plan::Plan;
use self::platform::ExsetPlatform;
use self::settings::{Settings, Site};
use crate::registry::{Demo, Opened, Protocol, Transport};

/// The registry's entry.
pub const PROTOCOL: Protocol = Protocol {
    name: "exset-sms",
    title: "EXSET SMS, billing exchange",
    transport: Transport::Table,
    unconfirmed: "The vendor's table is not public. Sourced: a queue table called TQUEUE in the platform's database, a \
        unique entry id, adding a subscription with its five parameters, that there are commands to remove a \
        subscription, to recall, to pair and to show messages, and that the platform writes the outcome into the row. \
        Everything else is Headgate's own synthetic profile, to be replaced by `settings.profile`: columns, types, \
        states, command and error codes, who makes the ids, and every parameter of pair, unpair, message and \
        fingerprint.",
    settings_schema: || schemars::schema_for!(Settings).to_value(),
    profile: profile::SHIPPED,
    open: |provider, settings, seed| {
        let plan = Arc::new(Plan::new(Site::read(settings)?, provider.services.clone()));
        Ok(Opened { adapter: Box::new(ExsetAdapter::new(Arc::clone(&plan), seed)), rules: plan })
    },
    platform: |settings, stock| Ok(Box::new(ExsetPlatform::new(Site::read(settings)?, stock))),
    decode: dissect::decode,
    encode: dissect::encode,
    demo: Demo {
        connection: "",
        settings: "poll_interval = \"50ms\"\n",
        services: &[("BASIC", "41"), ("FILM", "43"), ("SPORT", "42")],
        cards: &["7000000001", "7000000002", "7000000003", "7000000004"],
        requests: include_str!("demo.ndjson"),
        refused: 2,
    },
};
