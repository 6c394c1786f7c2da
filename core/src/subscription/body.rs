//! A subscription's JSON form: what a CRM puts. Flat where the subscription is simple, refused with the name of the
//! field at fault.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::Timestamp;
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::{
    DEVICES_LIMIT, DISTRIBUTORS_LIMIT, Device, DeviceKind, MAIN_DISTRIBUTOR, SERVICES_LIMIT, Service, ServiceState,
    ServiceType, Subscription, SubscriptionState,
};
use crate::body::Refusal;
use crate::command::Subscriber;
use crate::text::{
    AccountNumber, DistributorName, ProviderName, Serial, ServiceCode, SubscriptionKind, SubscriptionNumber,
};

/// The body of `PUT /v1/subscriptions/{number}`: the whole subscription, as it should be from now on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SubscriptionBody {
    /// The provider of the one viewing point, where there is only one. Short for `"distributors": {"main": ...}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<ProviderName>,
    /// The viewing points, each with its provider, as in `{"living_room": "conax", "bedroom": "vcas"}`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub distributors: BTreeMap<DistributorName, ProviderName>,
    /// Where it stands. Default `effective`.
    pub state: SubscriptionState,
    /// When a temporary state ends by itself, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// The CRM's type of the subscription.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<SubscriptionKind>,
    /// When the CRM made it, RFC 3339. Default: when Headgate first heard of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<Timestamp>,
    /// The platform's number of its account, where there is one provider and the number is not the subscription's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountNumber>,
    /// The same, where there are several providers.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub accounts: BTreeMap<ProviderName, AccountNumber>,
    /// The services: codes, or objects where more is to be said.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<ServiceBody>,
    /// One smartcard, where there is one viewing point.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub smartcard: Option<Serial>,
    /// One set-top box, where there is one viewing point.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stb: Option<Serial>,
    /// The devices.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub devices: Vec<DeviceBody>,
    /// What the platforms are told of the subscriber.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subscriber: Option<Box<Subscriber>>,
}

/// A service as a CRM writes it: its code, or an object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ServiceBody {
    /// The CRM's code.
    pub code: ServiceCode,
    /// The viewing point. Default: the only one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub distributor: Option<DistributorName>,
    /// Where it stands by itself. Default `effective`.
    pub state: ServiceState,
    /// What kind of service it is. Default `termed`.
    #[serde(rename = "type")]
    pub service_type: ServiceType,
    /// Not before this, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start: Option<Timestamp>,
    /// Not after this, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end: Option<Timestamp>,
    /// Whether the subscription can not do without it. Default false.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub mandatory: bool,
}

/// A device as a CRM writes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeviceBody {
    /// Its serial number.
    pub serial: Serial,
    /// What it is: `smartcard`, `stb`, or the platform's own word. Default `smartcard`.
    #[serde(default)]
    pub kind: DeviceKind,
    /// The viewing point. Default: the only one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distributor: Option<DistributorName>,
    /// The device in whose place it comes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<Serial>,
}

impl SubscriptionBody {
    /// The subscription that the body describes, first heard of at `now`.
    ///
    /// # Errors
    /// A [`Refusal`] that names the first field that is missing, in conflict or out of its range.
    pub fn subscription(self, number: SubscriptionNumber, now: Timestamp) -> Result<Subscription, Refusal> {
        let distributors = self.distributors()?;
        let accounts = self.accounts(&distributors)?;
        if self.until.is_some() && !self.state.is_temporary() {
            let detail = format!("a subscription that is {} does not end by itself; leave it out", self.state);
            return Err(Refusal::new("until", "superfluous_field", detail));
        }
        if let Some(subscriber) = &self.subscriber {
            subscriber.check("subscriber")?;
        }
        let shorts = [(&self.smartcard, DeviceKind::Smartcard, "smartcard"), (&self.stb, DeviceKind::Stb, "stb")];
        let shorts = shorts.into_iter().filter_map(|(serial, kind, field)| {
            let serial = serial.clone()?;
            Some((Cow::Borrowed(field), DeviceBody { serial, kind, distributor: None, replaces: None }))
        });
        let listed = self.devices.into_iter().enumerate();
        let listed = listed.map(|(index, device)| (Cow::Owned(format!("devices/{index}")), device));
        let mut subscription = Subscription {
            number,
            state: self.state,
            until: self.until,
            kind: self.kind,
            created: self.created.unwrap_or(now),
            accounts,
            distributors,
            services: Vec::new(),
            devices: Vec::new(),
            subscriber: self.subscriber.map(|subscriber| *subscriber).unwrap_or_default(),
            scheduled: Vec::new(),
        };
        for (field, device) in shorts.chain(listed) {
            subscription.install(device, &field)?;
        }
        for (index, service) in self.services.into_iter().enumerate() {
            subscription.subscribe(service, &format!("services/{index}"))?;
        }
        Ok(subscription)
    }

    fn distributors(&self) -> Result<BTreeMap<DistributorName, ProviderName>, Refusal> {
        match (&self.provider, self.distributors.len()) {
            (None, 0) => {
                Err(Refusal::new("provider", "missing_field", "name the provider, or the viewing points with theirs"))
            }
            (Some(_), 1..) => {
                Err(Refusal::new("provider", "conflicting_fields", "give either provider or distributors, not both"))
            }
            (None, 1..=DISTRIBUTORS_LIMIT) => Ok(self.distributors.clone()),
            (None, _) => Err(too_many("distributors", DISTRIBUTORS_LIMIT)),
            (Some(provider), 0) => {
                let main = DistributorName::new(MAIN_DISTRIBUTOR);
                let main = main.map_err(|error| Refusal::new("provider", "out_of_range", error.to_string()))?;
                Ok(BTreeMap::from([(main, provider.clone())]))
            }
        }
    }

    fn accounts(
        &self,
        distributors: &BTreeMap<DistributorName, ProviderName>,
    ) -> Result<BTreeMap<ProviderName, AccountNumber>, Refusal> {
        let providers: BTreeSet<&ProviderName> = distributors.values().collect();
        let mut accounts = self.accounts.clone();
        if let Some(stranger) = accounts.keys().find(|provider| !providers.contains(provider)) {
            let detail = "is not the provider of any viewing point";
            return Err(Refusal::new(format!("accounts/{}", stranger.as_str()), "unknown_provider", detail));
        }
        if let Some(account) = &self.account {
            let detail = "give either account or accounts; account only where there is one provider";
            match providers.first() {
                Some(only) if providers.len() == 1 && accounts.is_empty() => {
                    accounts.insert((*only).clone(), account.clone());
                }
                _ => return Err(Refusal::new("account", "conflicting_fields", detail)),
            }
        }
        Ok(accounts)
    }
}

impl Subscription {
    /// Adds a device, or refuses it under the name of `field`.
    pub(super) fn install(&mut self, device: DeviceBody, field: &str) -> Result<(), Refusal> {
        let DeviceBody { serial, kind, distributor, replaces } = device;
        if self.devices.len() >= DEVICES_LIMIT {
            return Err(too_many("devices", DEVICES_LIMIT));
        }
        if self.devices.iter().any(|device| device.serial == serial) {
            return Err(Refusal::new(field.to_owned(), "duplicate", "the subscription has a device of this number"));
        }
        let distributor = self.distributor(distributor, field)?;
        self.devices.push(Device { serial, kind, distributor, replaces });
        Ok(())
    }

    /// Adds a service, in the place of one of the same code that is over, or refuses it under the name of `field`.
    pub(super) fn subscribe(&mut self, service: ServiceBody, field: &str) -> Result<(), Refusal> {
        let ServiceBody { code, distributor, state, service_type, start, end, mandatory } = service;
        if let (Some(start), Some(end)) = (start, end)
            && end <= start
        {
            return Err(Refusal::new(format!("{field}/end"), "out_of_range", "must be after start"));
        }
        let distributor = self.distributor(distributor, field)?;
        let same = self.services.iter().position(|other| other.code == code && other.distributor == distributor);
        let service = Service { code, distributor, state, service_type, start, end, mandatory, replaces: None };
        let full = self.services.len() >= SERVICES_LIMIT;
        match same.and_then(|index| self.services.get_mut(index)) {
            Some(over) if over.state.is_over() => *over = service,
            Some(_) => {
                let detail = format!("the viewing point {:?} has this service already", service.distributor.as_str());
                return Err(Refusal::new(field.to_owned(), "duplicate", detail));
            }
            None if full => return Err(too_many("services", SERVICES_LIMIT)),
            None => self.services.push(service),
        }
        Ok(())
    }

    /// The viewing point of that name, or the only one.
    fn distributor(&self, name: Option<DistributorName>, field: &str) -> Result<DistributorName, Refusal> {
        let known = || self.distributors.keys().map(DistributorName::as_str).collect::<Vec<_>>().join(", ");
        let field = || format!("{field}/distributor");
        match name {
            Some(name) if self.distributors.contains_key(&name) => Ok(name),
            Some(_) => Err(Refusal::new(
                field(),
                "unknown_distributor",
                format!("is not a viewing point of the subscription; it has {}", known()),
            )),
            None => match self.distributors.first_key_value() {
                Some((only, _)) if self.distributors.len() == 1 => Ok(only.clone()),
                _ => Err(Refusal::new(field(), "missing_field", format!("say which viewing point: {}", known()))),
            },
        }
    }
}

impl From<&Subscription> for SubscriptionBody {
    /// The body that puts the subscription as it is; actions that wait for their day are left out.
    fn from(subscription: &Subscription) -> Self {
        let services = subscription.services.iter().map(|service| ServiceBody {
            code: service.code.clone(),
            distributor: Some(service.distributor.clone()),
            state: service.state,
            service_type: service.service_type,
            start: service.start,
            end: service.end,
            mandatory: service.mandatory,
        });
        let devices = subscription.devices.iter().map(|device| DeviceBody {
            serial: device.serial.clone(),
            kind: device.kind.clone(),
            distributor: Some(device.distributor.clone()),
            replaces: device.replaces.clone(),
        });
        Self {
            distributors: subscription.distributors.clone(),
            state: subscription.state,
            until: subscription.until,
            kind: subscription.kind.clone(),
            created: Some(subscription.created),
            accounts: subscription.accounts.clone(),
            services: services.collect(),
            devices: devices.collect(),
            subscriber: Some(Box::new(subscription.subscriber.clone())),
            ..Self::default()
        }
    }
}

fn too_many(field: &'static str, limit: usize) -> Refusal {
    Refusal::new(field, "out_of_range", format!("a subscription has at most {limit}"))
}

impl ServiceBody {
    /// A service of which nothing but its code is said.
    #[must_use]
    pub const fn new(code: ServiceCode) -> Self {
        Self {
            code,
            distributor: None,
            state: ServiceState::Effective,
            service_type: ServiceType::Termed,
            start: None,
            end: None,
            mandatory: false,
        }
    }
}

/// The object form; a code alone is read by the visitor.
#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct ServiceObject {
    code: ServiceCode,
    #[serde(default)]
    distributor: Option<DistributorName>,
    #[serde(default)]
    state: ServiceState,
    #[serde(default, rename = "type")]
    service_type: ServiceType,
    #[serde(default)]
    start: Option<Timestamp>,
    #[serde(default)]
    end: Option<Timestamp>,
    #[serde(default)]
    mandatory: bool,
}

impl<'de> Deserialize<'de> for ServiceBody {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct CodeOrObject;

        impl<'de> Visitor<'de> for CodeOrObject {
            type Value = ServiceBody;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a service's code, or an object with its code")
            }

            fn visit_str<E: serde::de::Error>(self, code: &str) -> Result<ServiceBody, E> {
                ServiceCode::new(code).map(ServiceBody::new).map_err(E::custom)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<ServiceBody, A::Error> {
                let ServiceObject { code, distributor, state, service_type, start, end, mandatory } =
                    ServiceObject::deserialize(MapAccessDeserializer::new(map))?;
                Ok(ServiceBody { code, distributor, state, service_type, start, end, mandatory })
            }
        }

        deserializer.deserialize_any(CodeOrObject)
    }
}

impl schemars::JsonSchema for ServiceBody {
    fn schema_name() -> Cow<'static, str> {
        "ServiceBody".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let code = generator.subschema_for::<ServiceCode>();
        let object = generator.subschema_for::<ServiceObject>();
        schemars::json_schema!({ "oneOf": [code, object] })
    }
}
