//! Perception TV: JSON over HTTPS, every call signed by a digest in its path. One operation of the provisioning face is
//! public; the others are a profile.

#[doc(hidden)]
pub mod fuzzing;
pub mod settings;
pub mod signature;
#[cfg(test)]
mod tests;

use self::settings::Settings;
use crate::registry::{Demo, Protocol, Transport};
use crate::template::platform::plain_words;
use crate::template::protocol::TemplateProtocol;

/// What it brings to its profile.
pub const TEMPLATES: TemplateProtocol = TemplateProtocol {
    shipped: include_str!("profile.toml"),
    words: plain_words,
    tail: signature::resource_path,
    meanings: &[
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
    ],
};

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
    profile: TEMPLATES.shipped,
    open: |provider, settings, seed| TEMPLATES.open(settings::read(settings)?, provider, seed),
    platform: |settings, stock| TEMPLATES.platform(settings::read(settings)?, stock),
    decode: |settings, _, bytes| TEMPLATES.decode(&settings::read(settings)?, bytes),
    encode: |provider, settings, now, request| TEMPLATES.encode(settings::read(settings)?, provider, now, request),
    demo: Demo {
        connection: "",
        settings: "client_id = \"1234567890123456789\"\nsecret = \"11111111-2222-3333-4444-555555555555\"\n",
        services: &[("BASIC", "P-BASIC"), ("FILM", "P-FILM"), ("SPORT", "P-SPORT")],
        cards: &[],
        requests: include_str!("demo.ndjson"),
        refused: 2,
    },
};
