//! What a CRM did to a subscription, told as it happened: CRM.COM's behaviour codes \[S:ACT\], in snake_case.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};

use super::{DeviceBody, ServiceBody};
use crate::command::{Address, Subscriber};
use crate::schedule::When;
use crate::text::{AccountNumber, DistributorName, ProviderName, Serial, ServiceCode};

/// An action, as it was posted: what, and when it takes effect.
///
/// ```
/// # use headgate_core::subscription::{Action, PostedAction};
/// let posted: PostedAction =
///     serde_json::from_str(r#"{"action":"terminate_subscription","effective":{"after_days":30}}"#).unwrap();
/// assert_eq!(posted.action, Action::TerminateSubscription {});
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct PostedAction {
    /// When it takes effect. Default `"now"`.
    #[serde(default, skip_serializing_if = "When::is_now")]
    pub effective: When,
    /// What was done.
    #[serde(flatten)]
    pub action: Action,
}

impl<'de> Deserialize<'de> for PostedAction {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        // By hand: serde can not refuse unknown fields beside a flattened enum.
        let mut fields = serde_json::Map::deserialize(deserializer)?;
        let effective = fields.remove("effective").map(When::deserialize).transpose().map_err(D::Error::custom)?;
        let action = Action::deserialize(serde_json::Value::Object(fields)).map_err(D::Error::custom)?;
        Ok(Self { effective: effective.unwrap_or_default(), action })
    }
}

/// Something done to a subscription.
///
/// Every action changes the desired state, or is refused with a reason. Those that touch no platform (billing terms,
/// grace periods \[I: absent from every trigger table\]) are accepted and change nothing, so that a CRM may post all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "action", rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Action {
    /// A draft becomes effective; what the platforms are told of the subscriber may come along.
    BecomeSubscriber {
        /// What the platforms are told; absent: as it is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        subscriber: Option<Box<Subscriber>>,
    },
    /// Switch the subscription on.
    ActivateSubscription {},
    /// Switch the subscription off; it may come back.
    DeactivateSubscription {},
    /// End the subscription, for good.
    TerminateSubscription {},
    /// Put it to rest for a while.
    RestSubscription {
        /// When the rest ends by itself.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Timestamp>,
    },
    /// The rest is over.
    EndSubscriptionResting {},
    /// Let a subscription that is switched off run for a short time.
    ShortTermActivation {
        /// When it ends by itself.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Timestamp>,
    },
    /// Switch it off again.
    EndShortTermActivation {},
    /// Switch a running subscription off for a short time.
    ShortTermDeactivation {
        /// When it ends by itself.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Timestamp>,
    },
    /// Switch it on again.
    EndShortTermDeactivation {},
    /// Add a service; its state may be `draft`.
    AddService {
        /// The service.
        service: ServiceBody,
    },
    /// Take a service out.
    RemoveService(ServiceAt),
    /// Start a service that is a draft or stopped.
    StartService(ServiceAt),
    /// Stop a service; it may be started again.
    StopService(ServiceAt),
    /// Put one service in another's place; the old stays on until the new is on.
    SwapService {
        /// The service that goes.
        service: ServiceCode,
        /// Its viewing point. Default: the only one that has it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        distributor: Option<DistributorName>,
        /// The service that comes, at the same viewing point.
        replacement: ServiceCode,
    },
    /// Take back that a service was added, or came in another's place: then the old one comes back.
    RegretService(ServiceAt),
    /// Cancel a service.
    CancelService(ServiceAt),
    /// Take back that a service was added by mistake.
    UndoAddService(ServiceAt),
    /// Replace some services by others at once, those that stay untouched.
    SwapPackage {
        /// The services that go.
        remove: Vec<ServiceAt>,
        /// The services that come.
        add: Vec<ServiceBody>,
    },
    /// Add a device.
    AddInstalledItem {
        /// The device.
        device: DeviceBody,
    },
    /// Take a device out.
    RemoveInstalledItem {
        /// Its serial number.
        serial: Serial,
    },
    /// Take back that a device was added by mistake.
    UndoAddInstItem {
        /// Its serial number.
        serial: Serial,
    },
    /// Put one device in another's place; its services stay on while they move.
    SwapInstalledItem {
        /// The device that goes.
        serial: Serial,
        /// The device that comes: same kind, same viewing point.
        replacement: Serial,
    },
    /// Services and devices change together.
    AmendServicesInstalledItems {
        /// The services that go.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        remove_services: Vec<ServiceAt>,
        /// The services that come.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        add_services: Vec<ServiceBody>,
        /// The devices that go.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        remove_devices: Vec<Serial>,
        /// The devices that come.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        add_devices: Vec<DeviceBody>,
    },
    /// Move services and devices to other viewing points.
    ChangeSubscriptionDistribution {
        /// The services that move.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        services: Vec<MovedService>,
        /// The devices that move.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        devices: Vec<DeviceAt>,
    },
    /// Services and devices are replaced by these altogether.
    ReplaceSubscription {
        /// The services from now on.
        services: Vec<ServiceBody>,
        /// The devices from now on.
        devices: Vec<DeviceBody>,
    },
    /// What the platforms are told of the subscriber changes; what is absent stays.
    UpdateSubscriber {
        /// What changes.
        subscriber: Box<Subscriber>,
    },
    /// The address changes.
    UpdateAddress {
        /// The address from now on.
        address: Address,
    },
    /// The subscription moves to another place: the same as `update_address`.
    ChangeSubscriptionLocation {
        /// The address from now on.
        address: Address,
    },
    /// The platform's number of the account changes, or becomes known.
    ChangeSubscriberAccount {
        /// The provider.
        provider: ProviderName,
        /// The number from now on.
        account: AccountNumber,
    },
    /// Touches no platform.
    AmendBillingTerms {},
    /// Touches no platform.
    BillAsOfDate {},
    /// Touches no platform.
    ExtendGracePeriod {},
}

/// A service of the subscription.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServiceAt {
    /// Its code.
    pub service: ServiceCode,
    /// Its viewing point. Default: the only one that has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distributor: Option<DistributorName>,
}

/// A service of the subscription, and where it goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MovedService {
    /// Its code.
    pub service: ServiceCode,
    /// The viewing point it leaves. Default: the only one that has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<DistributorName>,
    /// The viewing point it goes to.
    pub to: DistributorName,
}

/// A device of the subscription, and where it goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeviceAt {
    /// Its serial number.
    pub serial: Serial,
    /// The viewing point it goes to.
    pub to: DistributorName,
}
