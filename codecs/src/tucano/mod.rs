//! Tucano: JSON answers to forms over HTTPS, in one envelope. The provisioning interface is not public: it is a profile, in the
//! style of the subscribers' interface. Subscribers' tokens are made here.

#[doc(hidden)]
pub mod fuzzing;
pub mod settings;
#[cfg(test)]
mod tests;
pub mod token;

use self::settings::Settings;
use crate::registry::{Demo, Protocol, Transport};
use crate::template::platform::{Trouble, plain_words};
use crate::template::protocol::{TemplateProtocol, whole_path};

/// What it brings to its profile.
pub const TEMPLATES: TemplateProtocol = TemplateProtocol {
    shipped: include_str!("profile.toml"),
    words,
    tail: whole_path,
    meanings: &[
        ("casDeviceId", "the device"),
        ("code", "the error's number; -1: authentication"),
        ("customerId", "the account"),
        ("packageIds", "the platform's ids of the services"),
        ("password", "a secret"),
        ("purchasePin", "a secret: the PIN"),
        ("status", "true: done; false: refused"),
        ("uniqueDeviceId", "the device"),
        ("x-an-webservice-customerauthtoken", "a secret: the subscriber's token"),
        ("x-an-webservice-identitykey", "the key of the application"),
        ("x-an-webservice-transaction-source-id", "the request's id"),
    ],
};

/// The registry's entry.
pub const PROTOCOL: Protocol = Protocol {
    name: "tucano",
    title: "Tucano",
    transport: Transport::Http,
    unconfirmed: "The provisioning interface is not public. Sourced, of the subscribers' interface: forms in and JSON out, the \
        envelope with status, result and error (HTTP 200 also on errors), the codes -1 and -1604, the header fields, and \
        casAvailableDevice, casAuth and casRemoveDevice; of CRM.COM: the token's members exp, userid and apip. Everything else \
        is Headgate's own dialect, to be replaced by `settings.profile`; the token's algorithm and key are settings.",
    settings_schema: || schemars::schema_for!(Settings).to_value(),
    profile: TEMPLATES.shipped,
    open: |provider, settings, seed| TEMPLATES.open(settings::read(settings)?, provider, seed),
    platform: |settings, stock| TEMPLATES.platform(settings::read(settings)?, stock),
    decode: |settings, _, bytes| TEMPLATES.decode(&settings::read(settings)?, bytes),
    encode: |provider, settings, now, request| TEMPLATES.encode(settings::read(settings)?, provider, now, request),
    demo: Demo {
        connection: "",
        settings: "token = { key = \"an example of a key\", apip = \"demo\" }\n",
        services: &[("BASIC", "11"), ("FILM", "13"), ("SPORT", "12")],
        cards: &[],
        requests: include_str!("demo.ndjson"),
        refused: 2,
    },
};

/// -1 is sourced; the other numbers are ours.
const fn words(trouble: Trouble) -> (&'static str, &'static str) {
    let (_, text) = plain_words(trouble);
    let code = match trouble {
        Trouble::NotAdmitted | Trouble::SessionLost | Trouble::WrongPassword => "-1",
        Trouble::BadRequest => "-1000",
        Trouble::Exists => "-1001",
        Trouble::UnknownAccount => "-1002",
        Trouble::UnknownDevice => "-1003",
        Trouble::UnknownThing => "-1004",
    };
    (code, text)
}
