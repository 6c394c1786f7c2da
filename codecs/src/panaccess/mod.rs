//! Panaccess CableView Services: one set of operations in two languages, JSON functions and SOAP rpc/encoded.
//!
//! [`wire`] writes the operations down once and puts them into either language. [`plan`] puts requests into operations,
//! [`dialogue`] carries them out and finds out whether a refusal is the session's, [`orders`] leads from the orders there
//! are to those that are wanted, and [`platform`] plays the other side.

pub mod answers;
mod confidential;
pub mod dialogue;
pub mod dissect;
mod follow;
#[doc(hidden)]
pub mod fuzzing;
pub mod login;
pub mod orders;
pub mod plan;
pub mod platform;
pub mod raw;
pub mod rules;
pub mod settings;
pub mod subscriber;
pub mod task;
#[cfg(test)]
mod tests;
pub mod wire;

use std::sync::Arc;

use self::dialogue::CableView;
use self::platform::SimulatedCableView;
use self::rules::Speech;
use self::settings::{Checked, Settings};
use crate::http::{self, HttpAdapter, HttpPlatform};
use crate::registry::{Demo, Opened, Protocol, Transport};

/// The registry's entry.
pub const PROTOCOL: Protocol = Protocol {
    name: "panaccess",
    title: "Panaccess CableView Services",
    transport: Transport::Http,
    unconfirmed: "Both languages, the operations and the names of errors are sourced. Not published, and inferred or to be \
        set: the status numbers of the radio side's work (`task_done`, `task_failed`), the unit of a message's delay \
        (`message_delay`), the length of a message, the zone of JSON times, where a SOAP fault holds the error's name, \
        whether SOAP logins take the password hashed, the life of a session, an empty list in the JSON language.",
    settings_schema: || schemars::schema_for!(Settings).to_value(),
    profile: "",
    open: |provider, settings, seed| {
        let checked = Checked::read(settings)?;
        let calls = checked.settings.calls.clone();
        let speech = Arc::new(Speech::new(checked, provider.services.clone()));
        let adapter = HttpAdapter::new(CableView::new(Arc::clone(&speech)), calls, seed);
        Ok(Opened { adapter: Box::new(adapter), rules: speech })
    },
    platform: |settings, stock| {
        Ok(Box::new(HttpPlatform::new(SimulatedCableView::new(Checked::read(settings)?, stock))))
    },
    decode: |_, _, bytes| Ok(dissect::decode(bytes)),
    encode: |provider, settings, now, request| {
        let speech = Arc::new(Speech::new(Checked::read(settings)?, provider.services.clone()));
        http::encode(&mut CableView::new(speech), Some(&CableView::example_session()), now, request)
    },
    demo: Demo {
        connection: "",
        settings: "user = \"op\"\npassword = \"demo\"\napi_token = \"demo-token\"\nheadcontrol = \"hc1\"\ncountry = \"CY\"\n\
            message_delay = \"seconds\"\nfingerprint = { on = 12 }\npackages = { 11 = 1, 12 = 2 }\n",
        services: &[("BASIC", "11"), ("EVENT", "500"), ("FILM", "13"), ("SPORT", "12")],
        cards: &["0123456701", "0123456702", "0123456703", "0123456704"],
        requests: include_str!("demo.ndjson"),
        refused: 2,
    },
};
