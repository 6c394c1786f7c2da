//! What commands are about: devices, services, texts, subscribers.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::text::{CaId, PersonalText, Reference, Secret, Serial, ServiceCode};

/// Devices a command is about. Which and how many a command takes depends on the provider.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Devices {
    /// Smartcards, by serial number.
    pub smartcards: Vec<Serial>,
    /// Set-top boxes, by serial number.
    pub stbs: Vec<Serial>,
}

impl Devices {
    /// The first one named, smartcards first: what orders requests that name no subscription.
    #[must_use]
    pub fn first(&self) -> Option<&Serial> {
        self.smartcards.first().or_else(|| self.stbs.first())
    }
}

/// Services to hold, on devices, for a period.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entitlement {
    /// Which services; not empty, unless the whole list is set to nothing.
    pub services: Vec<ServiceCode>,
    /// On which devices.
    pub devices: Devices,
    /// From when to when.
    pub period: Period,
}

/// Services held, on devices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    /// Which services.
    pub services: Services,
    /// On which devices.
    pub devices: Devices,
}

/// Some services, or all that are held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Services {
    /// Every service the device holds.
    All,
    /// These; never empty.
    These(Vec<ServiceCode>),
}

impl Services {
    /// The services named one by one; empty for [`Services::All`].
    #[must_use]
    pub fn listed(&self) -> &[ServiceCode] {
        match self {
            Self::All => &[],
            Self::These(services) => services,
        }
    }
}

/// From when to when; an end that is absent is filled in by the provider's settings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Period {
    /// First instant; absent: at once.
    pub start: Option<Timestamp>,
    /// Last instant; absent: the provider's default.
    pub end: Option<Timestamp>,
}

/// Why a device is disabled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DisableReason {
    /// It does not work.
    Damaged,
    /// Nobody knows where it is.
    Lost,
    /// Somebody took it.
    Stolen,
}

impl DisableReason {
    /// Its name in requests.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Damaged => "damaged",
            Self::Lost => "lost",
            Self::Stolen => "stolen",
        }
    }
}

/// A text for the screen.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    /// Who sees it.
    pub audience: Audience,
    /// How it is shown.
    pub kind: MessageKind,
    /// The words. Subscriber data: `Debug` shows only their length.
    pub text: String,
    /// When it is shown; absent: at once.
    pub start: Option<Timestamp>,
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("audience", &self.audience)
            .field("kind", &self.kind)
            .field("text", &format_args!("<{} characters>", self.text.chars().count()))
            .field("start", &self.start)
            .finish()
    }
}

/// Who sees a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Audience {
    /// The devices that the command names.
    #[default]
    Devices,
    /// Every device of the subscription's account.
    Subscriber,
    /// Every device that holds this service.
    HoldersOf(ServiceCode),
    /// Every device of a part of the network, by the platform's own id of it: a headend, a region.
    Region(CaId),
    /// Every device.
    Everybody,
}

/// How a message is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageKind {
    /// Laid into the receiver's mailbox.
    Mail,
    /// Shown over the picture.
    Bark {
        /// For how long; whole seconds.
        duration: Duration,
    },
    /// Shown over the picture again and again.
    RepeatingBark {
        /// For how long each time; whole seconds.
        duration: Duration,
        /// How many times, at least one.
        count: u8,
        /// How far apart; whole seconds.
        interval: Duration,
    },
}

/// A message in the platform's own form.
#[derive(Clone, PartialEq, Eq)]
pub struct RawMessage {
    /// What goes into the adapter's frame.
    pub payload: Bytes,
    /// Whether the caller says that sending it twice does no harm.
    pub safe_to_repeat: bool,
}

impl fmt::Debug for RawMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RawMessage(<{} bytes>)", self.payload.len())
    }
}

/// What a platform is told of a subscriber. Every platform takes some of it, none takes all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Subscriber {
    /// Given name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_name: Option<PersonalText>,
    /// Family name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_name: Option<PersonalText>,
    /// The name the subscriber signs in with; absent: the platform's account number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub login: Option<PersonalText>,
    /// The password the subscriber signs in with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
    /// The account's PIN, digits only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pin: Option<Secret>,
    /// E-mail address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<PersonalText>,
    /// Telephone number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phone: Option<PersonalText>,
    /// Where the subscriber lives.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<Address>,
    /// Language, as in `en_US`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<PersonalText>,
    /// The part of the network, by the platform's own id of it: a region, a headend.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<CaId>,
    /// Since when the subscriber is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// What only this platform knows, by its own names.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, PersonalText>,
}

impl Subscriber {
    /// Replaces secrets by `***`, for showing to people.
    pub fn mask(&mut self) {
        for secret in [&mut self.password, &mut self.pin].into_iter().flatten() {
            *secret = Secret::new("***");
        }
    }
}

/// A postal address.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Address {
    /// Street and house number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub street: Option<PersonalText>,
    /// Postal code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub postal_code: Option<PersonalText>,
    /// City.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub city: Option<PersonalText>,
    /// Country, two letters of ISO 3166.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub country: Option<PersonalText>,
}

/// Who somebody says to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// The name to sign in with; absent: the platform's account number.
    pub login: Option<PersonalText>,
    /// The password; absent where the CRM vouches for the subscriber and only wants a token.
    pub password: Option<Secret>,
}

/// A use that is paid by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Usage {
    /// What is used: an event, a film.
    pub service: ServiceCode,
    /// Where it may be used.
    pub devices: Devices,
    /// From when to when.
    pub period: Period,
    /// The CRM's id of this use, by which it is taken back.
    pub usage: Reference,
}

/// A use, named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageRef {
    /// The CRM's id of it.
    pub usage: Reference,
}
