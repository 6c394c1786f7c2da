//! A subscription: what the CRM wants of the platforms, and what each platform is believed to hold.
//!
//! The CRM is the master. It puts a subscription as a whole ([`SubscriptionBody`]) or posts the actions it performed
//! ([`Action`]); both change only the *desired* state, a [`Subscription`]. Beside it Headgate keeps, per provider,
//! the *authorised* state ([`Authorised`]): what the platform is believed to hold, which changes only when a request
//! ends. [`crate::reconcile`] finds the commands that close the difference.
//!
//! Services and devices stand at viewing points ([`DistributorName`], CRM.COM's *provisioning distributors* \[S:P3\]),
//! and each viewing point belongs to one provider. A simple subscription has one, named `main`, and need not say so:
//!
//! ```
//! use headgate_core::subscription::{Switch, SubscriptionBody};
//! use headgate_core::text::SubscriptionNumber;
//!
//! let json = r#"{"provider":"conax","services":["BASIC","SPORT"],"smartcard":"0123456789"}"#;
//! let body: SubscriptionBody = serde_json::from_str(json).unwrap();
//! let now = "2026-11-24T12:00:00Z".parse().unwrap();
//! let subscription = body.subscription(SubscriptionNumber::new("S1").unwrap(), now).unwrap();
//! assert_eq!(subscription.switch(&subscription.services[0], now), Switch::On);
//!
//! // The CRM reports that the subscriber rests until the new year.
//! let rest = serde_json::from_str(r#"{"action":"rest_subscription","until":"2027-01-01T00:00:00Z"}"#).unwrap();
//! let resting = subscription.post(&rest, now).unwrap();
//! assert_eq!(resting.switch(&resting.services[0], now), Switch::Paused);
//! assert_eq!(resting.next_change(now), Some("2027-01-01T00:00:00Z".parse().unwrap()));
//! ```

mod action;
mod apply;
mod authorised;
mod body;
mod difference;
mod held;
mod perform;
mod read_back;
mod state;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use self::action::{Action, DeviceAt, MovedService, PostedAction, ServiceAt};
pub use self::authorised::{Authorised, OutOfSync, OutOfSyncReason};
pub use self::body::{DeviceBody, ServiceBody, SubscriptionBody};
pub use self::difference::Difference;
pub use self::held::{Account, Grant, Held, Holder, Paired, Registration, Suspended};
pub use self::perform::{Performed, ScheduledAction};
pub use self::read_back::ReadBack;
pub use self::state::{ServiceState, SubscriptionState, Switch};
use crate::command::Subscriber;
use crate::text::{
    AccountNumber, DistributorName, HardwareType, ProviderName, Serial, ServiceCode, SubscriptionKind,
    SubscriptionNumber, TextError,
};

/// The desired state of one subscription.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Subscription {
    /// The CRM's number.
    pub number: SubscriptionNumber,
    /// Where it stands.
    pub state: SubscriptionState,
    /// When a temporary state ends by itself. Absent: when an action ends it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// The CRM's type of it, for the filters of runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<SubscriptionKind>,
    /// When the CRM made it, for the filters of runs.
    pub created: Timestamp,
    /// The platforms' numbers of its account, where they are not its own number.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub accounts: BTreeMap<ProviderName, AccountNumber>,
    /// The viewing points, each with its provider. At least one.
    pub distributors: BTreeMap<DistributorName, ProviderName>,
    /// The services, those that are over included; a code stands at a viewing point once.
    pub services: Vec<Service>,
    /// The devices; a serial number stands once.
    pub devices: Vec<Device>,
    /// What the platforms are told of the subscriber.
    #[serde(default)]
    pub subscriber: Subscriber,
    /// Actions that wait for their day, the earliest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scheduled: Vec<ScheduledAction>,
}

/// A service at a viewing point.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Service {
    /// The CRM's code.
    pub code: ServiceCode,
    /// The viewing point.
    pub distributor: DistributorName,
    /// Where it stands by itself; the subscription's state comes on top.
    #[serde(default)]
    pub state: ServiceState,
    /// What kind of service it is.
    #[serde(default, rename = "type")]
    pub service_type: ServiceType,
    /// Not before this; absent: at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<Timestamp>,
    /// Not after this; absent: for good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<Timestamp>,
    /// Whether the subscription can not do without it. For the CRM's own rules; platforms are not told.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub mandatory: bool,
    /// The service in whose place it came, for the action that regrets a swap.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<ServiceCode>,
}

/// What kind of service it is: CRM.COM's service types \[S:PROD\].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ServiceType {
    /// It runs on.
    #[default]
    Termed,
    /// It is used and paid one by one.
    Usage,
    /// It is done once.
    OneTime,
    /// It is a cost, no programme.
    Expense,
}

/// A device at a viewing point: CRM.COM's *installed item*.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Device {
    /// Its serial number.
    pub serial: Serial,
    /// What it is.
    #[serde(default)]
    pub kind: DeviceKind,
    /// The viewing point.
    pub distributor: DistributorName,
    /// The device in whose place it came, so that a platform that can swap is told of a swap.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<Serial>,
}

/// What a device is: `smartcard`, `stb`, or the platform's own word.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum DeviceKind {
    /// A smartcard.
    #[default]
    Smartcard,
    /// A set-top box.
    Stb,
    /// Something else. No command names it, so platforms are not told.
    Other(HardwareType),
}

/// The viewing point of a subscription that names none.
pub const MAIN_DISTRIBUTOR: &str = "main";

/// Most viewing points of one subscription.
pub const DISTRIBUTORS_LIMIT: usize = 100;
/// Most services of one subscription, those that are over included.
pub const SERVICES_LIMIT: usize = 1_000;
/// Most devices of one subscription.
pub const DEVICES_LIMIT: usize = 1_000;
/// Most actions of one subscription that wait for their day.
pub const SCHEDULED_LIMIT: usize = 100;

impl Subscription {
    /// The providers of its viewing points.
    #[must_use]
    pub fn providers(&self) -> BTreeSet<&ProviderName> {
        self.distributors.values().collect()
    }

    /// The provider's viewing points.
    pub fn distributors_of<'a>(&'a self, provider: &'a ProviderName) -> impl Iterator<Item = &'a DistributorName> {
        self.distributors.iter().filter(move |(_, its)| *its == provider).map(|(name, _)| name)
    }

    /// The devices of that kind at a viewing point, in the order they were given.
    pub fn devices_at<'a>(
        &'a self,
        distributor: &'a DistributorName,
        kind: &'a DeviceKind,
    ) -> impl Iterator<Item = &'a Device> {
        self.devices.iter().filter(move |device| device.distributor == *distributor && device.kind == *kind)
    }

    /// The services at a viewing point.
    pub fn services_at<'a>(&'a self, distributor: &'a DistributorName) -> impl Iterator<Item = &'a Service> {
        self.services.iter().filter(move |service| service.distributor == *distributor)
    }

    /// What a platform should do now with one of its services: the least of what the subscription's state, the
    /// service's state and its period allow.
    #[must_use]
    pub fn switch(&self, service: &Service, now: Timestamp) -> Switch {
        let period = match (service.start, service.end) {
            (Some(start), _) if now < start => Switch::Off,
            (_, Some(end)) if end <= now => Switch::Off,
            _ => Switch::On,
        };
        self.state.switch().min(service.state.switch()).min(period)
    }

    /// When its desired state will next change by itself: a temporary state or a period ends, a service starts, a
    /// scheduled action is due.
    #[must_use]
    pub fn next_change(&self, now: Timestamp) -> Option<Timestamp> {
        let periods = self.services.iter().filter(|service| service.state.switch() != Switch::Off);
        let periods = periods.flat_map(|service| [service.start, service.end]).flatten();
        // What is due already and was not performed yet is due now; a period that began or ended has no effect any more.
        let own = self.until.into_iter().chain(self.scheduled.iter().map(|scheduled| scheduled.due));
        own.map(|at| at.max(now)).chain(periods.filter(|at| *at > now)).min()
    }
}

impl DeviceKind {
    /// Its name: `smartcard`, `stb`, or the platform's own word.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Smartcard => "smartcard",
            Self::Stb => "stb",
            Self::Other(name) => name.as_str(),
        }
    }
}

impl fmt::Display for DeviceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl TryFrom<String> for DeviceKind {
    type Error = TextError;

    fn try_from(text: String) -> Result<Self, TextError> {
        Ok(match text.as_str() {
            "smartcard" => Self::Smartcard,
            "stb" => Self::Stb,
            other => Self::Other(HardwareType::new(other)?),
        })
    }
}

impl From<DeviceKind> for String {
    fn from(kind: DeviceKind) -> Self {
        kind.name().to_owned()
    }
}

impl schemars::JsonSchema for DeviceKind {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "DeviceKind".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        HardwareType::json_schema(generator)
    }
}

#[cfg(test)]
mod tests;
