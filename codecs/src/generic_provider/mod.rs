//! The Generic Provisioning Provider: third-party code asks for what is to be done, does it, and answers. Any system
//! can be attached so, without a line of Rust.
//!
//! Here the adapter is the side that is called. [`types`] says what a command becomes for a worker, [`queue`] keeps it
//! until it is answered and leases it out, [`wire`] holds Headgate's own calls, [`crm_com`] those of CRM.COM V4 for
//! workers that were written for them, and [`worker`] plays the third party.

pub mod adapter;
pub mod crm_com;
pub mod dissect;
#[doc(hidden)]
pub mod fuzzing;
pub mod queue;
pub mod settings;
#[cfg(test)]
mod tests;
pub mod types;
pub mod wire;
pub mod worker;

use std::sync::Arc;

use self::adapter::GenericProvider;
use self::settings::Settings;
use self::types::Vocabulary;
use self::worker::Worker;
use crate::registry::{Demo, Opened, Protocol, Transport};

/// The registry's entry.
pub const PROTOCOL: Protocol = Protocol {
    name: "generic",
    title: "Generic Provisioning Provider",
    transport: Transport::Served,
    unconfirmed: "Headgate's own calls are its own. Of CRM.COM's calls the paths, the parameters, the limits, the grouping \
        and the request types are sourced; what is inside `address`, `account_information`, `service` and \
        `installed_item`, the entries of `failed_provisioning_requests_set`, and every request type beyond CRM.COM's \
        eleven are Headgate's.",
    settings_schema: || schemars::schema_for!(Settings).to_value(),
    profile: "",
    open: |provider, settings, _| {
        let settings = Settings::read(settings)?;
        let vocabulary = Arc::new(Vocabulary::new(&settings, provider.services.clone()));
        Ok(Opened { adapter: Box::new(GenericProvider::new(settings, Arc::clone(&vocabulary))), rules: vocabulary })
    },
    platform: |settings, stock| Ok(Box::new(Worker::new(&Settings::read(settings)?, stock))),
    decode: |_, _, bytes| Ok(vec![dissect::decode(bytes)]),
    encode: |provider, settings, _, request| {
        let vocabulary = Vocabulary::new(&Settings::read(settings)?, provider.services.clone());
        dissect::encode(&vocabulary, request)
    },
    demo: Demo {
        connection: "",
        settings: "worker_absent_after = \"30s\"\n",
        services: &[("BASIC", "basic"), ("FILM", "film"), ("SPORT", "sport")],
        cards: &["G-1001", "G-1002", "G-1003"],
        requests: include_str!("demo.ndjson"),
        refused: 1,
    },
};
