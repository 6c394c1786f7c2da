//! VCAS OMI (Verimatrix): SOAP 1.1 over HTTPS, with a session that all calls share.
//!
//! [`wire`] reads and writes the types and all operations, [`speech`] puts Headgate's words into them, `plan` says
//! which calls carry a command, `task` where a request stands between them, `answers` what an answer leads to;
//! [`dialogue`] holds the conversation, and [`platform`] plays the other side.

mod answers;
mod capabilities;
pub mod dialogue;
pub mod dissect;
#[doc(hidden)]
pub mod fuzzing;
mod plan;
pub mod platform;
pub mod settings;
pub mod speech;
mod task;
#[cfg(test)]
mod tests;
pub mod wire;

use std::sync::Arc;

use self::dialogue::{OmiDialogue, Session};
use self::platform::OmiBackend;
use self::settings::Settings;
use self::speech::Speech;
use crate::http::{HttpAdapter, HttpPlatform, encode};
use crate::registry::{Demo, Opened, Protocol, Transport};

/// The registry's entry.
pub const PROTOCOL: Protocol = Protocol {
    name: "vcas-omi",
    title: "Verimatrix VCAS OMI",
    transport: Transport::Http,
    unconfirmed: "Sourced from service descriptions of 3.5 and 3.6 that integrators published: operations, services, \
        parts, types, their order, that 0 is success. Not public: every other result code, so that the session's loss is \
        found out by a harmless question; the session's idle time-out; the names of the parts of most questions \
        (`settings.query_parts`) and of elements in some lists; limits of lists and texts; the meaning of sectors, \
        message numbers and modes; how time zones are treated; whether lists are done in part. Which call carries a \
        command is our reading.",
    settings_schema: || schemars::schema_for!(Settings).to_value(),
    profile: "",
    open: |provider, settings, seed| {
        let speech = Arc::new(Speech::new(Settings::read(settings)?, provider.services.clone()));
        let calls = speech.settings.calls.clone();
        let adapter = HttpAdapter::new(OmiDialogue::new(Arc::clone(&speech)), calls, seed);
        Ok(Opened { adapter: Box::new(adapter), rules: speech })
    },
    platform: |settings, stock| Ok(Box::new(HttpPlatform::new(OmiBackend::new(Settings::read(settings)?, stock)))),
    decode: |_, _, bytes| Ok(vec![dissect::decode(bytes)]),
    encode: |provider, settings, now, request| {
        let speech = Speech::new(Settings::read(settings)?, provider.services.clone());
        encode(&mut OmiDialogue::new(Arc::new(speech)), Some(&Session::new("SESSION")), now, request)
    },
    demo: Demo {
        connection: "",
        settings: "password = \"demo\"\n",
        services: &[("BASIC", "PKG-BASIC"), ("FILM", "PKG-FILM"), ("SPORT", "PKG-SPORT")],
        cards: &["CARD000001", "CARD000002", "CARD000003", "CARD000004"],
        requests: include_str!("demo.ndjson"),
        refused: 2,
    },
};
