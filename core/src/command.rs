//! What a CRM can ask of a platform, in words no vendor owns.
//!
//! One variant per command of the contract; the arguments that several commands share have one type
//! ([`Entitlement`], [`Selection`], [`Devices`]). A command that exists is well formed: required
//! arguments are present and of the right type. Whether a *particular* provider can carry it out is
//! checked against its [`crate::capabilities::Capabilities`].

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::text::{Secret, Serial, ServiceCode};

/// A command, with its arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Command {
    /// Switch services on, or extend them to a later end.
    ActivateServices(Entitlement),
    /// Switch services off.
    DeactivateServices(Selection),
    /// Make the device hold exactly these services: the whole list, no more and no less.
    SetServices(Entitlement),
    /// Send the entitlements again that the platform believes the device has.
    RefreshServices(Devices),
    /// Switch services off for a while, without forgetting them.
    Suspend(Selection),
    /// Undo [`Command::Suspend`].
    Resume(Selection),
    /// Make a device known to the platform and usable.
    EnableDevice(Devices),
    /// Stop a device from being used: stolen, lost, damaged.
    DisableDevice {
        /// Which devices.
        devices: Devices,
        /// Why.
        reason: DisableReason,
    },
    /// Tie smartcards to set-top boxes, ending any pairing they had.
    Pair(Devices),
    /// Tie more devices to an existing pairing.
    AddToPairing(Devices),
    /// End the pairing of the given devices.
    Unpair(Devices),
    /// Give the PIN this value.
    SetPin {
        /// Whose PIN.
        devices: Devices,
        /// The new value, digits only.
        pin: Secret,
    },
    /// Give the PIN its default value.
    ResetPin(Devices),
    /// Remove the PIN.
    ClearPin(Devices),
    /// Show a text.
    SendMessage {
        /// Who sees it.
        devices: Devices,
        /// What and how.
        message: Message,
    },
    /// Show a fingerprint: a mark that identifies the device on the screen.
    Fingerprint {
        /// On which devices.
        devices: Devices,
        /// For how long.
        duration: Duration,
    },
    /// Ask which services the platform holds for the devices. Changes nothing.
    GetServices(Devices),
    /// Ask what the devices are paired with. Changes nothing.
    GetPairing(Devices),
    /// Ask what the platform knows of the devices. Changes nothing.
    GetDevice(Devices),
    /// Ask the platform whether it hears us. Changes nothing.
    TestConnection,
    /// The platform's own message, framed and correlated by the adapter; the answer comes back as it is.
    Raw(RawMessage),
}

impl Command {
    /// Which command it is, without its arguments.
    #[must_use]
    pub const fn kind(&self) -> CommandKind {
        match self {
            Self::ActivateServices(_) => CommandKind::ActivateServices,
            Self::DeactivateServices(_) => CommandKind::DeactivateServices,
            Self::SetServices(_) => CommandKind::SetServices,
            Self::RefreshServices(_) => CommandKind::RefreshServices,
            Self::Suspend(_) => CommandKind::Suspend,
            Self::Resume(_) => CommandKind::Resume,
            Self::EnableDevice(_) => CommandKind::EnableDevice,
            Self::DisableDevice { .. } => CommandKind::DisableDevice,
            Self::Pair(_) => CommandKind::Pair,
            Self::AddToPairing(_) => CommandKind::AddToPairing,
            Self::Unpair(_) => CommandKind::Unpair,
            Self::SetPin { .. } => CommandKind::SetPin,
            Self::ResetPin(_) => CommandKind::ResetPin,
            Self::ClearPin(_) => CommandKind::ClearPin,
            Self::SendMessage { .. } => CommandKind::SendMessage,
            Self::Fingerprint { .. } => CommandKind::Fingerprint,
            Self::GetServices(_) => CommandKind::GetServices,
            Self::GetPairing(_) => CommandKind::GetPairing,
            Self::GetDevice(_) => CommandKind::GetDevice,
            Self::TestConnection => CommandKind::TestConnection,
            Self::Raw(_) => CommandKind::Raw,
        }
    }

    /// The devices it names, if it is about devices.
    #[must_use]
    pub const fn devices(&self) -> Option<&Devices> {
        match self {
            Self::ActivateServices(e) | Self::SetServices(e) => Some(&e.devices),
            Self::DeactivateServices(s) | Self::Suspend(s) | Self::Resume(s) => Some(&s.devices),
            Self::RefreshServices(devices)
            | Self::EnableDevice(devices)
            | Self::DisableDevice { devices, .. }
            | Self::Pair(devices)
            | Self::AddToPairing(devices)
            | Self::Unpair(devices)
            | Self::SetPin { devices, .. }
            | Self::ResetPin(devices)
            | Self::ClearPin(devices)
            | Self::SendMessage { devices, .. }
            | Self::Fingerprint { devices, .. }
            | Self::GetServices(devices)
            | Self::GetPairing(devices)
            | Self::GetDevice(devices) => Some(devices),
            Self::TestConnection | Self::Raw(_) => None,
        }
    }

    /// The services it names one by one; empty if it names none or means all of them.
    #[must_use]
    pub fn services(&self) -> &[ServiceCode] {
        match self {
            Self::ActivateServices(e) | Self::SetServices(e) => &e.services,
            Self::DeactivateServices(s) | Self::Suspend(s) | Self::Resume(s) => s.services.listed(),
            Self::RefreshServices(_)
            | Self::EnableDevice(_)
            | Self::DisableDevice { .. }
            | Self::Pair(_)
            | Self::AddToPairing(_)
            | Self::Unpair(_)
            | Self::SetPin { .. }
            | Self::ResetPin(_)
            | Self::ClearPin(_)
            | Self::SendMessage { .. }
            | Self::Fingerprint { .. }
            | Self::GetServices(_)
            | Self::GetPairing(_)
            | Self::GetDevice(_)
            | Self::TestConnection
            | Self::Raw(_) => &[],
        }
    }
}

macro_rules! command_kinds {
    ($($variant:ident $name:literal $effect:ident,)*) => {
        /// A command without its arguments.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
        #[serde(rename_all = "snake_case")]
        #[non_exhaustive]
        pub enum CommandKind {
            $(#[doc = concat!("`", $name, "`")] $variant,)*
        }

        impl CommandKind {
            /// Every command, in the order of the contract.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Its name in requests, as in `activate_services`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// Whether it changes nothing at the platform. A query is recorded without waiting for
            /// the disk, and repeating it is always safe.
            #[must_use]
            pub const fn is_query(self) -> bool {
                match self { $(Self::$variant => command_kinds!(@$effect),)* }
            }
        }
    };
    (@query) => { true };
    (@change) => { false };
}

command_kinds! {
    ActivateServices "activate_services" change,
    DeactivateServices "deactivate_services" change,
    SetServices "set_services" change,
    RefreshServices "refresh_services" change,
    Suspend "suspend" change,
    Resume "resume" change,
    EnableDevice "enable_device" change,
    DisableDevice "disable_device" change,
    Pair "pair" change,
    AddToPairing "add_to_pairing" change,
    Unpair "unpair" change,
    SetPin "set_pin" change,
    ResetPin "reset_pin" change,
    ClearPin "clear_pin" change,
    SendMessage "send_message" change,
    Fingerprint "fingerprint" change,
    GetServices "get_services" query,
    GetPairing "get_pairing" query,
    GetDevice "get_device" query,
    TestConnection "test_connection" query,
    Raw "raw" change,
}

impl CommandKind {
    /// The command of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.name() == name)
    }
}

impl fmt::Display for CommandKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

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
            .field("kind", &self.kind)
            .field("text", &format_args!("<{} characters>", self.text.chars().count()))
            .field("start", &self.start)
            .finish()
    }
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
