//! What the simulated platform holds, and what it does with its devices.

use std::collections::{BTreeMap, BTreeSet};

use headgate_core::platform::{Card, Holdings};

use super::super::settings::Settings;
use super::super::wire::call::Part;
use super::super::wire::sets::NetworkType;
use super::super::wire::types::{
    Device, DeviceCommand, DevicePair, DevicePinList, Domain, DomainDevice, Entitlement, Network, SmartCardDevice,
    StbDevice,
};
use super::super::wire::{Call, Content};
use super::catalogue::Catalogue;
use super::codes::{
    BAD_VALUE, DOMAIN_FULL, DONE, EXISTS, NOT_THERE, PAIRED_OTHERWISE, UNKNOWN_DEVICE, UNKNOWN_DOMAIN, UNKNOWN_NETWORK,
};
use super::messages::Messages;
use crate::registry::Stock;
use crate::xml::write::XmlWriter;

/// What is answered.
pub(super) enum Said {
    /// One result's code.
    One(i32),
    /// Every item's id and code.
    Each(Vec<(String, i32)>),
    /// A code, and what was found.
    Found(i32, Found),
}

/// Writes what was found.
pub(super) type Found = Box<dyn FnOnce(&mut XmlWriter)>;

/// Everything the platform holds.
pub(super) struct State {
    pub(super) holdings: Holdings,
    /// By `smsDeviceId`.
    pub(super) devices: BTreeMap<String, Device>,
    /// Devices that are not there are made as soon as they are named.
    every_device: bool,
    /// By `smsEntitlementId`.
    pub(super) entitlements: BTreeMap<String, Entitlement>,
    pub(super) catalogue: Catalogue,
    pub(super) domains: BTreeMap<String, Domain>,
    pub(super) messages: Messages,
    /// Smartcard and box.
    pairs: BTreeSet<(String, String)>,
    /// What else is known of a device: its region, its tokens, its master.
    regions: BTreeMap<String, String>,
    purses: BTreeMap<String, i32>,
    masters: BTreeMap<String, String>,
    /// The commands that were sent to devices, with whom they were for.
    pub(super) commands: Vec<(String, DeviceCommand)>,
    /// The type and network of devices that nobody described.
    likely: Device,
}

impl State {
    pub(super) fn new(settings: &Settings, stock: &Stock) -> Self {
        let likely = Device {
            sms_device_id: String::new(),
            sms_network_id: settings.network.clone(),
            device_type: settings.smartcard_type.clone(),
            network_device_id: String::new(),
            sms_authenticator: None,
        };
        let network = Network { id: settings.network.clone(), kind: NetworkType::Dvb, connection: None };
        let mut state = Self {
            holdings: Holdings::default(),
            devices: BTreeMap::new(),
            every_device: stock.cards.is_empty(),
            entitlements: BTreeMap::new(),
            catalogue: Catalogue::new(network, &stock.products),
            domains: BTreeMap::new(),
            messages: Messages::default(),
            pairs: BTreeSet::new(),
            regions: BTreeMap::new(),
            purses: BTreeMap::new(),
            masters: BTreeMap::new(),
            commands: Vec::new(),
            likely,
        };
        stock.cards.iter().for_each(|card| state.make(card));
        state
    }

    /// Carries out a call whose session is good.
    pub(super) fn apply(&mut self, call: Call) -> Said {
        let name = call.operation.name;
        match call.parts.as_slice() {
            [Part::DeviceList(list)] => {
                let each = list.devices.iter().map(|device| (device.sms_device_id.clone(), self.device(name, device)));
                Said::Each(each.collect())
            }
            [Part::Device(device)] => Said::One(self.with_device(name, device)),
            [Part::Device(device), Part::DevicePinList(pins)] => Said::One(self.set_pins(device, pins)),
            [Part::Device(device), Part::DeviceRegion(region)] => Said::One(self.known(device, |state, id| {
                state.regions.insert(id, region.region.clone());
            })),
            [Part::Device(device), Part::DevicePurse(purse)] => Said::One(self.known(device, |state, id| {
                state.purses.insert(id, purse.tokens);
            })),
            [Part::Device(master), Part::DeviceList(slaves)] => Said::One(self.join(master, &slaves.devices)),
            [Part::DevicePair(pair)] => Said::One(self.pair(name, pair)),
            [Part::SmartCardDevice(card)] => Said::One(self.end_pairs(|pair| pair.0 == card.id)),
            [Part::StbDevice(stb)] => Said::One(self.end_pairs(|pair| pair.1 == stb.id)),
            [Part::SmartCardPairingQuery(query)] => {
                let stbs = self.pairs.iter().filter(|pair| pair.0 == query.id);
                found("stbDevices", stbs.map(|(_, stb)| StbDevice { id: stb.clone() }).collect())
            }
            [Part::StbPairingQuery(query)] => {
                let cards = self.pairs.iter().filter(|pair| pair.1 == query.id);
                found("smartCardDevices", cards.map(|(card, _)| SmartCardDevice { id: card.clone() }).collect())
            }
            [Part::DeviceListQuery(query)] => {
                let count = usize::try_from(query.count).unwrap_or(0);
                let after = self.devices.values().filter(|device| device.sms_device_id > query.last_seen);
                found("devices", after.take(count).cloned().collect())
            }
            [Part::NetworkDeviceIdQuery(query)] => {
                let count = usize::try_from(query.count).unwrap_or(0);
                let on = |device: &&Device| device.sms_network_id == query.network;
                let after = |device: &&Device| device.network_device_id > query.last_seen;
                found("devices", self.devices.values().filter(on).filter(after).take(count).cloned().collect())
            }
            [Part::DomainList(list)] => {
                let each = list.domains.iter().map(|domain| (domain.id.clone(), self.domain(name, domain)));
                Said::Each(each.collect())
            }
            [Part::Domain(domain), Part::DomainDeviceList(list)] => {
                let each = list.devices.iter();
                Said::Each(
                    each.map(|device| {
                        let id = device.device.sms_device_id.clone();
                        (id, self.domain_device(name, &domain.id, device))
                    })
                    .collect(),
                )
            }
            _ => self.entitle(call),
        }
    }

    /// Makes a device known that nobody described.
    fn make(&mut self, id: &str) {
        let device = Device { sms_device_id: id.to_owned(), network_device_id: id.to_owned(), ..self.likely.clone() };
        self.devices.insert(id.to_owned(), device);
        self.holdings.cards.insert(id.to_owned(), Card::default());
    }

    /// Whether a device is there, or may be as soon as it is named.
    pub(super) fn knows(&mut self, id: &str) -> bool {
        if !self.devices.contains_key(id) && self.every_device && !id.is_empty() {
            self.make(id);
        }
        self.devices.contains_key(id)
    }

    pub(super) fn card(&mut self, id: &str) -> &mut Card {
        self.holdings.cards.entry(id.to_owned()).or_default()
    }

    /// Does something with a device that is known.
    fn known(&mut self, device: &Device, what: impl FnOnce(&mut Self, String)) -> i32 {
        if !self.knows(&device.sms_device_id) {
            return UNKNOWN_DEVICE;
        }
        what(self, device.sms_device_id.clone());
        DONE
    }

    /// One device of a list.
    fn device(&mut self, operation: &str, device: &Device) -> i32 {
        let id = device.sms_device_id.as_str();
        if id.is_empty() || device.network_device_id.is_empty() {
            return BAD_VALUE;
        }
        if !self.catalogue.knows_network(&device.sms_network_id) {
            return UNKNOWN_NETWORK;
        }
        match operation {
            "addDevices" if self.devices.contains_key(id) => EXISTS,
            "addDevices" => {
                self.devices.insert(id.to_owned(), device.clone());
                self.card(id);
                DONE
            }
            "modifyDevices" => self.known(device, |state, id| {
                state.devices.insert(id, device.clone());
            }),
            "removeDevices" if !self.devices.contains_key(id) => UNKNOWN_DEVICE,
            "removeDevices" => {
                self.remove(id);
                DONE
            }
            "enableDevices" => self.known(device, |state, id| state.card(&id).disabled = None),
            "disableDevices" => self.known(device, |state, id| state.card(&id).disabled = Some("disabled".to_owned())),
            "clearDevices" => self.known(device, |state, id| {
                state.entitlements.retain(|_, entitlement| entitlement.entity.id != id);
                *state.card(&id) = Card::default();
            }),
            "unjoinDevices" => self.known(device, |state, id| {
                state.masters.retain(|slave, master| *slave != id && *master != id);
            }),
            _ => BAD_VALUE,
        }
    }

    /// Removes a device with all it held.
    fn remove(&mut self, id: &str) {
        self.devices.remove(id);
        self.entitlements.retain(|_, entitlement| entitlement.entity.id != id);
        self.end_pairs(|(card, stb)| card == id || stb == id);
        self.masters.retain(|slave, master| slave != id && master != id);
        self.regions.remove(id);
        self.purses.remove(id);
        self.holdings.cards.remove(id);
        for account in self.holdings.accounts.values_mut() {
            account.devices.remove(id);
        }
    }

    /// A call for one device.
    fn with_device(&mut self, operation: &str, device: &Device) -> i32 {
        self.known(device, |state, id| match operation {
            "refreshDeviceKeys" | "refreshDeviceEntitlements" => state.card(&id).refreshes += 1,
            "resetDevicePins" => state.card(&id).pin = Some("default".to_owned()),
            _ => {}
        })
    }

    fn set_pins(&mut self, device: &Device, pins: &DevicePinList) -> i32 {
        let fits = |count: usize| (1..=4).contains(&count);
        if !fits(pins.pins.len()) || pins.pins.iter().any(|pin| !(0..=3).contains(&pin.index) || pin.value < 0) {
            return BAD_VALUE;
        }
        let values: Vec<_> = pins.pins.iter().map(|pin| pin.value.to_string()).collect();
        self.known(device, |state, id| state.card(&id).pin = Some(values.join(",")))
    }

    fn join(&mut self, master: &Device, slaves: &[Device]) -> i32 {
        if slaves.iter().any(|slave| !self.knows(&slave.sms_device_id)) {
            return UNKNOWN_DEVICE;
        }
        self.known(master, |state, id| {
            state.masters.extend(slaves.iter().map(|slave| (slave.sms_device_id.clone(), id.clone())));
        })
    }

    fn pair(&mut self, operation: &str, pair: &DevicePair) -> i32 {
        let (card, stb) = (pair.smart_card.id.clone(), pair.stb.id.clone());
        if stb.is_empty() || !self.knows(&card) {
            return UNKNOWN_DEVICE;
        }
        let paired = self.pairs.contains(&(card.clone(), stb.clone()));
        match operation {
            "addDevicePair" if paired => EXISTS,
            // A box works with one card.
            "addDevicePair" if self.pairs.iter().any(|(_, other)| *other == stb) => PAIRED_OTHERWISE,
            "addDevicePair" => {
                self.card(&card).stbs.insert(stb.clone());
                self.pairs.insert((card, stb));
                DONE
            }
            _ if !paired => NOT_THERE,
            "removeDevicePair" => self.end_pairs(|(one, other)| *one == card && *other == stb),
            _ => DONE,
        }
    }

    /// Ends the pairs that `which` picks. That there are none is no mistake.
    fn end_pairs(&mut self, which: impl Fn(&(String, String)) -> bool) -> i32 {
        for (card, stb) in self.pairs.extract_if(.., |pair| which(pair)) {
            if let Some(card) = self.holdings.cards.get_mut(&card) {
                card.stbs.remove(&stb);
            }
        }
        DONE
    }

    fn domain(&mut self, operation: &str, domain: &Domain) -> i32 {
        let id = domain.id.as_str();
        let there = self.domains.contains_key(id);
        let fits = domain.max_devices >= 0 && domain.address.is_none_or(|address| (1..=64).contains(&address));
        match operation {
            _ if id.is_empty() || !fits => BAD_VALUE,
            "addDomains" if there => EXISTS,
            "addDomains" | "modifyDomains" if there || operation == "addDomains" => {
                self.domains.insert(id.to_owned(), domain.clone());
                self.holdings.accounts.entry(id.to_owned()).or_default();
                DONE
            }
            _ if !there => UNKNOWN_DOMAIN,
            _ => {
                self.domains.remove(id);
                self.holdings.accounts.remove(id);
                self.entitlements.retain(|_, entitlement| entitlement.entity.id != id);
                DONE
            }
        }
    }

    fn domain_device(&mut self, operation: &str, domain: &str, device: &DomainDevice) -> i32 {
        let id = device.device.sms_device_id.as_str();
        let Some(most) = self.domains.get(domain).map(|domain| usize::try_from(domain.max_devices).unwrap_or(0)) else {
            return UNKNOWN_DOMAIN;
        };
        if !self.knows(id) {
            return UNKNOWN_DEVICE;
        }
        let devices = &mut self.holdings.accounts.entry(domain.to_owned()).or_default().devices;
        match operation {
            "addDomainDevices" if devices.contains(id) => EXISTS,
            "addDomainDevices" if devices.len() >= most => DOMAIN_FULL,
            "addDomainDevices" => {
                devices.insert(id.to_owned());
                DONE
            }
            _ if !devices.contains(id) => NOT_THERE,
            "removeDomainDevices" => {
                devices.remove(id);
                DONE
            }
            _ => DONE,
        }
    }
}

/// What was found, each as an element of that name.
pub(super) fn found<T: Content + 'static>(name: &'static str, values: Vec<T>) -> Said {
    Said::Found(DONE, Box::new(move |writer| write_all(name, &values, writer)))
}

pub(super) fn write_all<T: Content>(name: &str, values: &[T], writer: &mut XmlWriter) {
    values.iter().for_each(|value| value.write_as(&format!("t:{name}"), writer));
}

/// The ids by which the results of a list call are told.
pub(super) fn item_ids(call: &Call) -> Vec<String> {
    match call.parts.last() {
        Some(Part::DeviceList(list)) => list.devices.iter().map(|device| device.sms_device_id.clone()).collect(),
        Some(Part::DomainDeviceList(list)) => {
            list.devices.iter().map(|device| device.device.sms_device_id.clone()).collect()
        }
        Some(Part::EntitlementList(list)) => list.entitlements.iter().map(|held| held.id.clone()).collect(),
        Some(Part::EntitledEntityList(list)) => list.entities.iter().map(|entity| entity.id.clone()).collect(),
        Some(Part::DomainList(list)) => list.domains.iter().map(|domain| domain.id.clone()).collect(),
        Some(Part::PackageList(list)) => list.packages.iter().map(|package| package.id.clone()).collect(),
        Some(Part::EventList(list)) => list.events.iter().map(|event| event.id.clone()).collect(),
        Some(Part::ContentList(list)) => list.contents.iter().map(|content| content.id.clone()).collect(),
        _ => Vec::new(),
    }
}
