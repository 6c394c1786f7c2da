//! Icareus Suite: JSON over HTTPS, parameters in forms, server calls signed by the organisation's key. Some actions are
//! documented or seen in public clients; granting packages is a profile.

#[doc(hidden)]
pub mod fuzzing;
pub mod settings;
pub mod signature;
#[cfg(test)]
mod tests;

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
        ("action", "the operation"),
        ("eMail", "the name to sign in with"),
        ("message", "what went wrong"),
        ("newPassword", "a secret"),
        ("organizationId", "the organisation"),
        ("packageId", "the platform's id of the service"),
        ("password", "a secret"),
        ("status", "ok or error"),
        ("token", "the signature: version, time, MD5"),
        ("userId", "the account"),
        ("userPassword", "a secret"),
        ("userToken", "the session of an administrator"),
        ("user_token", "what proves good credentials"),
    ],
};

/// The registry's entry.
pub const PROTOCOL: Protocol = Protocol {
    name: "icareus",
    title: "Icareus Suite",
    transport: Transport::Http,
    unconfirmed: "Documented by the vendor: the signature, addUser, the login, answers as status and message. Seen in public \
        clients: addSubscriber, updateUser, removeUser, changePassword, getOrganization. No public call grants or takes away a \
        package without payment: those, the second and third call of the addUser flow, reading for another user, and the \
        words of errors are Headgate's own dialect, to be replaced by `settings.profile`.",
    settings_schema: || schemars::schema_for!(Settings).to_value(),
    profile: TEMPLATES.shipped,
    open: |provider, settings, seed| TEMPLATES.open(settings::read(settings)?, provider, seed),
    platform: |settings, stock| TEMPLATES.platform(settings::read(settings)?, stock),
    decode: |settings, _, bytes| TEMPLATES.decode(&settings::read(settings)?, bytes),
    encode: |provider, settings, now, request| TEMPLATES.encode(settings::read(settings)?, provider, now, request),
    demo: Demo {
        connection: "",
        settings: "organization_id = \"1001\"\nkey = \"secret\"\nuser = \"admin@example.org\"\npassword = \"admin-pw\"\n",
        services: &[("BASIC", "301"), ("FILM", "303"), ("SPORT", "302")],
        cards: &[],
        requests: include_str!("demo.ndjson"),
        refused: 2,
    },
};

/// There are no codes, only words; these are ours.
const fn words(trouble: Trouble) -> (&'static str, &'static str) {
    match trouble {
        Trouble::NotAdmitted => ("", "invalid token"),
        Trouble::SessionLost => ("", "invalid user token"),
        other => ("", plain_words(other).1),
    }
}
