//! Nagravision SMSGW Services: an asynchronous protocol over TCP, whose wire form is not public.
//!
//! Everything that is not public is data, in a [`profile`]. [`wire`] reads and writes the messages that a
//! profile lays out, [`speech`] puts commands into them, [`adapter`] holds the conversation, and
//! [`platform`] plays the other side.

pub mod adapter;
pub mod capabilities;
pub mod days;
pub mod dissect;
#[doc(hidden)]
pub mod fuzzing;
pub mod platform;
pub mod profile;
pub mod settings;
pub mod speech;
pub mod wire;

use std::sync::Arc;

use self::adapter::SmsGateway;
use self::platform::SimulatedGateway;
use self::settings::{Checked, Settings};
use self::speech::Speech;
use crate::registry::{Demo, Opened, Protocol, Transport};

/// The registry's entry.
pub const PROTOCOL: Protocol = Protocol {
    name: "nagravision-smsgw",
    title: "Nagravision SMSGW Services",
    transport: Transport::Stream,
    unconfirmed: "The vendor's wire form is not public. Sourced: TCP, the gateway as server, asynchronous answers, the \
        destination id in the root header. From public code of unknown origin: the order of the six root header fields, the \
        widths of the first four (9, 2, 4, 4 digits), command type 05, dates as YYYYMMDD, and the command numbers 0002, \
        0004, 0005, 0006, 0007 and 1002. Everything else is Headgate's own profile, to be replaced by `settings.profile`: \
        framing, the other two widths, every body, every answer and code, every other number, the session's opening.",
    settings_schema: || schemars::schema_for!(Settings).to_value(),
    profile: profile::SHIPPED,
    open: |provider, settings, seed| {
        let speech = Arc::new(Speech::new(Checked::read(settings)?, provider.services.clone()));
        Ok(Opened { adapter: Box::new(SmsGateway::new(Arc::clone(&speech), seed)), rules: speech })
    },
    platform: |settings, stock| Ok(Box::new(SimulatedGateway::new(Checked::read(settings)?, stock))),
    decode: |settings, _, bytes| Ok(dissect::decode(&Checked::read(settings)?.profile, bytes)),
    encode: |provider, settings, now, request| {
        dissect::encode(&Speech::new(Checked::read(settings)?, provider.services.clone()), now, request)
    },
    demo: Demo {
        connection: "",
        settings: "links = 2\n",
        services: &[("BASIC", "41"), ("FILM", "43"), ("SPORT", "42")],
        cards: &["0000004001", "0000004002", "0000004003", "0000004004"],
        requests: include_str!("demo.ndjson"),
        refused: 1,
    },
};
