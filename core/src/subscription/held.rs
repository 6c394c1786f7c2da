//! What one platform holds of one subscription: as it should be, as it is believed to be, or as it was read back.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::DeviceKind;
use crate::command::{Period, Subscriber};
use crate::text::{Serial, ServiceCode};

/// What one platform holds of one subscription.
///
/// One type for all three views, so that they can be compared ([`Held::differences`]): what it should hold
/// ([`crate::reconcile::wanted`]), what it is believed to hold ([`super::Authorised::held`]), and what it said it
/// holds ([`super::ReadBack`]).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default)]
pub struct Held {
    /// The account, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<Account>,
    /// The devices that are registered.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub devices: BTreeMap<Serial, Registration>,
    /// The boxes that each smartcard works in.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub pairings: BTreeMap<Serial, Paired>,
    /// The services, by who holds them.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub services: BTreeMap<Holder, BTreeMap<ServiceCode, Grant>>,
    /// Who is suspended as a whole, with everything held.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub suspended: BTreeMap<Holder, Suspended>,
    /// Devices that were disabled by a utility: stolen, lost, damaged.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub disabled: BTreeSet<Serial>,
}

/// Who holds a service: the account as a whole, or one device.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Holder {
    /// The account.
    Account,
    /// A smartcard.
    Smartcard(Serial),
    /// A set-top box.
    Stb(Serial),
}

/// An account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Account {
    /// What the platform was told of the subscriber.
    #[serde(default)]
    pub told: Subscriber,
    /// A request about it ended without an answer: it may be otherwise.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub doubtful: bool,
}

/// A device that is registered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Registration {
    /// What it is.
    pub kind: DeviceKind,
    /// A request about it ended without an answer: it may be otherwise.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub doubtful: bool,
}

/// The boxes a smartcard works in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Paired {
    /// Their serial numbers.
    pub stbs: BTreeSet<Serial>,
    /// A request about it ended without an answer: it may be otherwise.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub doubtful: bool,
}

/// A suspension as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Suspended {
    /// A request about it ended without an answer: it may be otherwise.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub doubtful: bool,
}

/// A service that is held: CRM.COM's *Authorised* flag \[S:PAN, EXS\], with its period.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Grant {
    /// Since when, as it was asked for; absent: at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<Timestamp>,
    /// Until when, as it was asked for; absent: for good, or the platform's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<Timestamp>,
    /// Switched off for a while.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suspended: bool,
    /// A request about it ended without an answer: it may be otherwise.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub doubtful: bool,
}

impl Held {
    /// What this holder holds of a service.
    #[must_use]
    pub fn grant(&self, holder: &Holder, service: &ServiceCode) -> Option<&Grant> {
        self.services.get(holder)?.get(service)
    }

    /// Whether this holder can show a service now, as far as anybody knows.
    #[must_use]
    pub fn shows(&self, holder: &Holder, service: &ServiceCode, now: Timestamp) -> bool {
        !self.suspended.contains_key(holder)
            && self
                .grant(holder, service)
                .is_some_and(|grant| !grant.suspended && !grant.doubtful && grant.is_current(now))
    }

    /// Whether it holds anything of a device.
    #[must_use]
    pub fn knows(&self, serial: &Serial) -> bool {
        self.devices.contains_key(serial)
            || self.pairings.contains_key(serial)
            || self.services.keys().any(|holder| holder.serial() == Some(serial))
    }
}

impl Grant {
    /// A grant for that period.
    #[must_use]
    pub const fn over(period: Period) -> Self {
        Self { start: period.start, end: period.end, suspended: false, doubtful: false }
    }

    /// From when to when.
    #[must_use]
    pub const fn period(&self) -> Period {
        Period { start: self.start, end: self.end }
    }

    /// Whether its period runs now.
    #[must_use]
    pub fn is_current(&self, now: Timestamp) -> bool {
        self.start.is_none_or(|start| start <= now) && self.end.is_none_or(|end| now < end)
    }

    /// Whether a service that is held like this is as `wanted`, as to its period. A start that is past is no
    /// difference any more; a service that is wanted for good may have any end that is not reached.
    #[must_use]
    pub fn covers(&self, wanted: &Self, now: Timestamp) -> bool {
        let begins = |grant: &Self| grant.start.filter(|start| *start > now);
        let ends = match (self.end, wanted.end) {
            (Some(end), None) => end > now,
            (held, wanted) => held == wanted,
        };
        ends && begins(self) == begins(wanted)
    }
}

impl Holder {
    /// The device it is, unless it is the account or no device that can hold services.
    #[must_use]
    pub fn device(kind: &DeviceKind, serial: &Serial) -> Option<Self> {
        match kind {
            DeviceKind::Smartcard => Some(Self::Smartcard(serial.clone())),
            DeviceKind::Stb => Some(Self::Stb(serial.clone())),
            DeviceKind::Other(_) => None,
        }
    }

    /// The device's serial number.
    #[must_use]
    pub const fn serial(&self) -> Option<&Serial> {
        match self {
            Self::Account => None,
            Self::Smartcard(serial) | Self::Stb(serial) => Some(serial),
        }
    }

    /// The same, with another device of the same kind.
    #[must_use]
    pub fn with_serial(&self, serial: &Serial) -> Self {
        match self {
            Self::Account => Self::Account,
            Self::Smartcard(_) => Self::Smartcard(serial.clone()),
            Self::Stb(_) => Self::Stb(serial.clone()),
        }
    }
}

impl TryFrom<String> for Holder {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let serial = |serial: &str| Serial::new(serial).map_err(|error| error.to_string());
        match text.split_once('/') {
            None if text == "account" => Ok(Self::Account),
            Some(("smartcard", number)) => serial(number).map(Self::Smartcard),
            Some(("stb", number)) => serial(number).map(Self::Stb),
            _ => Err("must be \"account\", \"smartcard/NUMBER\" or \"stb/NUMBER\"".into()),
        }
    }
}

impl From<Holder> for String {
    fn from(holder: Holder) -> Self {
        match holder {
            Holder::Account => "account".into(),
            Holder::Smartcard(serial) => format!("smartcard/{}", serial.as_str()),
            Holder::Stb(serial) => format!("stb/{}", serial.as_str()),
        }
    }
}

impl schemars::JsonSchema for Holder {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Holder".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "pattern": "^(account|(smartcard|stb)/.+)$" })
    }
}
