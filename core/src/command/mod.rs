//! What a CRM can ask of a platform, in words no vendor owns.
//!
//! One variant per command of the contract; the arguments that several commands share have one type
//! ([`Entitlement`], [`Selection`], [`Devices`]). A command that exists is well formed: required
//! arguments are present and of the right type. Whether a *particular* provider can carry it out is
//! checked against its [`crate::capabilities::Capabilities`].

mod arguments;

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use self::arguments::{
    Address, Audience, Credentials, Devices, DisableReason, Entitlement, Message, MessageKind, Period, RawMessage,
    Selection, Services, Subscriber, Usage, UsageRef,
};
use crate::text::{Secret, ServiceCode};

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
    /// Make the subscription's account at the platform. A repeat leaves it as it is, where the platform can tell.
    CreateSubscriber(Subscriber),
    /// Change what the platform keeps of the account; what is absent stays.
    UpdateSubscriber(Subscriber),
    /// Take the account away, with everything in it.
    RemoveSubscriber,
    /// Put devices under the subscription's account.
    AddDevice(Devices),
    /// Take devices out of the account; what they held goes.
    RemoveDevice(Devices),
    /// Put one device in another's place: what the old one held, the new one holds.
    SwapDevice {
        /// The device that goes.
        devices: Devices,
        /// The device that comes, of the same kind.
        replacement: Devices,
    },
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
    /// Ask what the platform knows of the account. Changes nothing.
    GetSubscriber,
    /// End the sessions that are open on the account's devices, or on these.
    RemoveSessions(Devices),
    /// Ask whether these credentials are good, and for a token that proves it, where the platform gives one.
    /// Changes nothing.
    Authenticate(Credentials),
    /// Grant a use that is paid by itself: an event, a film.
    AddUsage(Usage),
    /// Take such a use back.
    CancelUsage(UsageRef),
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
            Self::CreateSubscriber(_) => CommandKind::CreateSubscriber,
            Self::UpdateSubscriber(_) => CommandKind::UpdateSubscriber,
            Self::RemoveSubscriber => CommandKind::RemoveSubscriber,
            Self::AddDevice(_) => CommandKind::AddDevice,
            Self::RemoveDevice(_) => CommandKind::RemoveDevice,
            Self::SwapDevice { .. } => CommandKind::SwapDevice,
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
            Self::GetSubscriber => CommandKind::GetSubscriber,
            Self::RemoveSessions(_) => CommandKind::RemoveSessions,
            Self::Authenticate(_) => CommandKind::Authenticate,
            Self::AddUsage(_) => CommandKind::AddUsage,
            Self::CancelUsage(_) => CommandKind::CancelUsage,
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
            | Self::GetDevice(devices)
            | Self::AddDevice(devices)
            | Self::RemoveDevice(devices)
            | Self::SwapDevice { devices, .. }
            | Self::RemoveSessions(devices) => Some(devices),
            Self::AddUsage(usage) => Some(&usage.devices),
            Self::CreateSubscriber(_)
            | Self::UpdateSubscriber(_)
            | Self::RemoveSubscriber
            | Self::GetSubscriber
            | Self::Authenticate(_)
            | Self::CancelUsage(_)
            | Self::TestConnection
            | Self::Raw(_) => None,
        }
    }

    /// The services it names one by one; empty if it names none or means all of them.
    #[must_use]
    pub fn services(&self) -> &[ServiceCode] {
        match self {
            Self::ActivateServices(e) | Self::SetServices(e) => &e.services,
            Self::DeactivateServices(s) | Self::Suspend(s) | Self::Resume(s) => s.services.listed(),
            Self::AddUsage(usage) => std::slice::from_ref(&usage.service),
            Self::SendMessage { message: Message { audience: Audience::HoldersOf(service), .. }, .. } => {
                std::slice::from_ref(service)
            }
            _ => &[],
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
    CreateSubscriber "create_subscriber" change,
    UpdateSubscriber "update_subscriber" change,
    RemoveSubscriber "remove_subscriber" change,
    AddDevice "add_device" change,
    RemoveDevice "remove_device" change,
    SwapDevice "swap_device" change,
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
    GetSubscriber "get_subscriber" query,
    RemoveSessions "remove_sessions" change,
    Authenticate "authenticate" query,
    AddUsage "add_usage" change,
    CancelUsage "cancel_usage" change,
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
