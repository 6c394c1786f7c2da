//! The kinds of platform that worlds are made of.

use std::time::Duration;

use headgate_codecs::registry::{self, Protocol};
use headgate_core::platform::Fault;
use serde_json::{Value, json};

/// A kind of platform, and what can be asked of it.
pub struct Kind {
    /// The protocol.
    pub protocol: &'static Protocol,
    /// The provider's settings.
    pub settings: Value,
    /// Directories of its file server, for file platforms.
    pub directories: &'static [&'static str],
    /// The CRM's services and the platform's ids.
    pub services: &'static [(&'static str, &'static str)],
    /// Makes a card number from a small one.
    pub card: fn(usize) -> String,
    /// Makes a box number from a small one.
    pub stb: fn(usize) -> String,
    /// Whether an unpairing names the box rather than the card.
    pub unpairs_stb: bool,
    /// Commands that may be drawn.
    pub commands: &'static [&'static str],
    /// Faults that may be drawn.
    pub faults: &'static [Fault],
    /// Longest pause between events of the plan; file platforms need more.
    pub pace: Duration,
    /// After this long without a fault everything must have ended.
    pub patience: Duration,
}

/// An asynchronous protocol over TCP.
#[must_use]
pub fn nagravision() -> Kind {
    Kind {
        protocol: protocol("nagravision-smsgw"),
        settings: json!({ "links": 2, "window_per_link": 8, "answer_timeout": "3s", "link_check_after": "5s" }),
        directories: &[],
        services: &[("BASIC", "41"), ("SPORT", "42"), ("FILM", "43")],
        card: |n| format!("{:010}", 4_000 + n),
        stb: |n| format!("{:010}", 7_000 + n),
        unpairs_stb: false,
        commands: &[
            "activate_services",
            "activate_services",
            "deactivate_services",
            "set_services",
            "suspend",
            "resume",
            "refresh_services",
            "pair",
            "unpair",
            "set_pin",
            "reset_pin",
            "clear_pin",
            "send_message",
            "send_message",
            "fingerprint",
            "disable_device",
            "enable_device",
            "get_services",
            "test_connection",
        ],
        faults: &[
            Fault::Garbage,
            Fault::WrongNumber,
            Fault::HalfFrame,
            Fault::DuplicateAnswer,
            Fault::Silence,
            Fault::CloseBefore,
            Fault::CloseInstead,
            Fault::CloseAfter,
            Fault::Delay(2_000),
            Fault::Delay(5_000),
            Fault::UnknownCard,
            Fault::Throttle,
            Fault::RefuseLogin,
        ],
        pace: Duration::from_millis(400),
        patience: Duration::from_secs(3_600),
    }
}

/// Files dropped in directories.
#[must_use]
pub fn conax() -> Kind {
    Kind {
        protocol: protocol("conax-sms"),
        settings: json!({ "answer_timeout": "10m" }),
        directories: &["autreq/req", "autreq/ok", "autreq/err"],
        services: &[("BASIC", "41"), ("SPORT", "42"), ("FILM", "43")],
        card: |n| format!("01{n:09}"),
        stb: |n| format!("00{n:09}"),
        unpairs_stb: true,
        commands: &[
            "activate_services",
            "activate_services",
            "deactivate_services",
            "set_services",
            "pair",
            "unpair",
            "send_message",
            "send_message",
            "get_services",
        ],
        faults: &[
            Fault::Garbage,
            Fault::HalfFrame,
            Fault::DuplicateAnswer,
            Fault::Silence,
            Fault::Delay(2_000),
            Fault::Delay(30_000),
            Fault::UnknownCard,
        ],
        pace: Duration::from_secs(4),
        patience: Duration::from_hours(24),
    }
}

/// A queue table.
///
/// # Panics
/// If the protocol's profile is not what it was.
#[must_use]
pub fn exset() -> Kind {
    let protocol = protocol("exset-sms");
    // The shipped profile sends no periods; plans have them.
    let profile = protocol
        .profile
        .replace("show_at = {", "ends_at = { type = \"timestamp\" }\nshow_at = {")
        .replace("start = \"show_at\"", "start = \"show_at\"\nend = \"ends_at\"")
        .replace("\"service\", \"card\"]         # [S]", "\"service\", \"card\", \"start\", \"end\"]");
    let profile: Value = toml::from_str(&profile).expect("a profile");
    Kind {
        protocol,
        settings: json!({ "answer_timeout": "10m", "inserts": 1, "insert_rows": 4, "profile": profile }),
        directories: &[],
        services: &[("BASIC", "41"), ("SPORT", "42"), ("FILM", "43")],
        card: |n| format!("{:010}", 4_000 + n),
        stb: |n| format!("BOX-{n}"),
        unpairs_stb: false,
        commands: &[
            "activate_services",
            "activate_services",
            "deactivate_services",
            "refresh_services",
            "pair",
            "unpair",
            "send_message",
            "send_message",
            "fingerprint",
            "test_connection",
        ],
        faults: &[
            Fault::Garbage,
            Fault::HalfFrame,
            Fault::DuplicateAnswer,
            Fault::Silence,
            Fault::Delay(2_000),
            Fault::Delay(30_000),
            Fault::UnknownCard,
        ],
        pace: Duration::from_secs(2),
        patience: Duration::from_hours(24),
    }
}

fn protocol(name: &str) -> &'static Protocol {
    registry::find(name).expect("a protocol of the registry")
}
