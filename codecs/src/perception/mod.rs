//! Perception TV: JSON over HTTPS, every call signed by a digest in its path. One operation of the provisioning face is
//! public; the others are a profile.

#[doc(hidden)]
pub mod fuzzing;
pub mod settings;
pub mod signature;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use self::settings::{Checked, Settings};
use crate::http::HttpPlatform;
use crate::http::dissect::dissect;
use crate::registry::{Demo, Protocol, Transport};
use crate::template::dissect::Described;
use crate::template::platform::plain_words;
use crate::template::{Speech, TemplatePlatform, protocol};

/// The profile that is used unless the settings bring another.
pub const SHIPPED: &str = include_str!("profile.toml");

/// The registry's entry.
pub const PROTOCOL: Protocol = Protocol {
    name: "perception",
    title: "Perception TV",
    transport: Transport::Http,
    unconfirmed: "Sourced, from public clients: the path with client id and MD5 digest, provider/subscribers/add, client/login, \
        client/getPlatformInformation, and errors as errorType with errorDetails. The provider face's other resources \
        are not public: update, delete, packages, PINs, sessions, messages and queries are Headgate's own dialect, to be \
        replaced by `settings.profile`; so are the vendor's error numbers.",
    settings_schema: || schemars::schema_for!(Settings).to_value(),
    profile: SHIPPED,
    open: |provider, settings, seed| {
        let Checked { settings, context, signer } = Checked::read(settings)?;
        let speech = Speech::read(SHIPPED, settings.profile.as_ref(), provider, context, signer)?;
        Ok(protocol::opened(speech, settings.calls, seed))
    },
    platform: |settings, stock| {
        let Checked { settings, context, signer } = Checked::read(settings)?;
        let profile = settings::profile(settings.profile.as_ref(), &context, &*signer)?;
        Ok(Box::new(HttpPlatform::new(TemplatePlatform::new(profile, context, signer, plain_words, stock))))
    },
    decode: |settings, _, bytes| {
        let Checked { settings, context, signer } = Checked::read(settings)?;
        let profile = settings::profile(settings.profile.as_ref(), &context, &*signer)?;
        let described = Described { profile: &profile, tail: signature::resource_path, meanings: MEANINGS };
        Ok(vec![dissect(bytes, &described)])
    },
    encode: |provider, settings, now, request| {
        let Checked { settings, context, signer } = Checked::read(settings)?;
        let speech = Speech::read(SHIPPED, settings.profile.as_ref(), provider, context, Arc::clone(&signer))?;
        protocol::encode(speech, now, request)
    },
    demo: Demo {
        connection: "",
        settings: "client_id = \"1234567890123456789\"\nsecret = \"11111111-2222-3333-4444-555555555555\"\n",
        services: &[("BASIC", "P-BASIC"), ("FILM", "P-FILM"), ("SPORT", "P-SPORT")],
        cards: &[],
        requests: include_str!("demo.ndjson"),
        refused: 2,
    },
};

/// What members mean.
const MEANINGS: &[(&str, &str)] = &[
    ("errorDescription", "what went wrong, in newer versions"),
    ("errorMessage", "what went wrong, in older versions"),
    ("errorType", "the error's number"),
    ("key", "the session"),
    ("packages", "the platform's ids of the services"),
    ("password", "a secret"),
    ("pinNumber", "a secret: the PIN"),
    ("regionId", "the operator's code of a region"),
    ("subscribedSince", "seconds since 1970"),
    ("subscriberId", "the account, and the name to sign in with"),
];
