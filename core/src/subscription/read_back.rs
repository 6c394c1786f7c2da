//! What a platform said it holds, put beside what it is believed to hold.

use std::collections::{BTreeMap, BTreeSet};

use super::{Account, Grant, Held, Holder, Paired, Registration};
use crate::command::{Command, Devices, Period};
use crate::outcome::{Answer, HeldService, HeldServices, KnownDevice, KnownSubscriber, Pairing};
use crate::text::{CaId, Serial, ServiceCode};

/// What a platform holds as it said itself; where it was not asked, as it is believed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadBack {
    /// What it holds.
    pub held: Held,
    /// Services by the platform's id that the provider's mapping does not know.
    pub strangers: BTreeSet<(Holder, CaId)>,
}

impl ReadBack {
    /// Begins with what is believed.
    #[must_use]
    pub fn new(believed: &Held) -> Self {
        Self { held: believed.clone(), strangers: BTreeSet::new() }
    }

    /// Takes note of an answer to a query. `asked` is the query: a platform may write serial numbers in its own way
    /// (leading zeros, a single card without its number), and what was asked about and is not told is not held.
    pub fn observe(&mut self, asked: &Command, answer: &Answer) {
        let none = Devices::default();
        let about = asked.devices().unwrap_or(&none);
        match answer {
            Answer::Services(held) => self.observe_services(about, held),
            Answer::Pairings(pairings) => self.observe_pairings(about, pairings),
            Answer::Devices(devices) => self.observe_devices(about, devices),
            Answer::Subscriber(subscriber) => self.observe_subscriber(subscriber),
            Answer::Raw(_) | Answer::Authenticated(_) => {}
        }
    }

    fn observe_services(&mut self, about: &Devices, told: &[HeldServices]) {
        let believed = self.held.services.clone();
        let asked_about = super::apply::holders(about);
        for holder in &asked_about {
            self.held.services.remove(holder);
        }
        for HeldServices { smartcard, services, .. } in told {
            let holder = match (smartcard, asked_about.as_slice()) {
                // One was asked about, and one is told: the platform need not say which.
                (_, [one]) if told.len() == 1 => one.clone(),
                (Some(serial), _) => {
                    let told = Holder::Smartcard(as_asked(serial, &[&about.smartcards, &about.stbs]));
                    let asked = asked_about.iter().find(|holder| holder.serial() == told.serial());
                    asked.unwrap_or(&told).clone()
                }
                (None, _) => Holder::Account,
            };
            let services = self.grants(&holder, services, believed.get(&holder));
            if !services.is_empty() {
                self.held.services.insert(holder, services);
            }
        }
    }

    /// Reads services; what the platform does not tell of a period is as it is believed.
    fn grants(
        &mut self,
        holder: &Holder,
        told: &[HeldService],
        believed: Option<&BTreeMap<ServiceCode, Grant>>,
    ) -> BTreeMap<ServiceCode, Grant> {
        let mut grants = BTreeMap::new();
        for HeldService { code, ca_id, start, end, suspended } in told {
            match code {
                Some(code) => {
                    let believed = believed.and_then(|grants| grants.get(code)).copied().unwrap_or_default();
                    let period = Period { start: start.or(believed.start), end: end.or(believed.end) };
                    let grant = Grant { suspended: *suspended, ..Grant::over(period) };
                    grants.insert(code.clone(), grant);
                }
                None => {
                    self.strangers.insert((holder.clone(), ca_id.clone()));
                }
            }
        }
        grants
    }

    fn observe_pairings(&mut self, about: &Devices, told: &[Pairing]) {
        for card in &about.smartcards {
            self.held.pairings.remove(card);
        }
        for Pairing { smartcard, stbs } in told {
            let card = as_asked(smartcard, &[&about.smartcards]);
            let known = self.held.devices.keys().cloned().collect::<Vec<_>>();
            let stbs: BTreeSet<Serial> = stbs.iter().map(|stb| as_asked(stb, &[&about.stbs, &known])).collect();
            if !stbs.is_empty() {
                self.held.pairings.insert(card, Paired { stbs, doubtful: false });
            }
        }
    }

    fn observe_devices(&mut self, about: &Devices, told: &[KnownDevice]) {
        let mut kinds = BTreeMap::new();
        for (serials, kind) in
            [(&about.smartcards, super::DeviceKind::Smartcard), (&about.stbs, super::DeviceKind::Stb)]
        {
            for serial in serials {
                let was = self.held.devices.remove(serial);
                kinds.insert(serial.clone(), was.map_or_else(|| kind.clone(), |was| was.kind));
            }
        }
        for device in told {
            let serial = as_asked(&device.serial, &[&about.smartcards, &about.stbs]);
            let kind = kinds.get(&serial).cloned().unwrap_or_default();
            match device.enabled {
                Some(false) => self.held.disabled.insert(serial.clone()),
                Some(true) => self.held.disabled.remove(&serial),
                None => false,
            };
            self.held.devices.insert(serial, Registration { kind, doubtful: false });
        }
    }

    fn observe_subscriber(&mut self, told: &KnownSubscriber) {
        let believed = self.held.account.take().unwrap_or_default();
        self.held.account = Some(Account { told: believed.told, doubtful: false });
        if !told.services.is_empty() || self.held.services.contains_key(&Holder::Account) {
            let believed = self.held.services.remove(&Holder::Account);
            let services = self.grants(&Holder::Account, &told.services, believed.as_ref());
            if !services.is_empty() {
                self.held.services.insert(Holder::Account, services);
            }
        }
        if !told.devices.is_empty() {
            let known = self.held.devices.keys().cloned().collect::<Vec<_>>();
            let told = told.devices.iter().map(|serial| as_asked(serial, &[&known]));
            let told = told.map(|serial| {
                let was = self.held.devices.get(&serial).cloned().unwrap_or_default();
                (serial, Registration { doubtful: false, ..was })
            });
            self.held.devices = told.collect();
        }
    }
}

/// The serial number as it was asked about, if the platform writes the same number with or without leading zeros.
fn as_asked(told: &Serial, asked: &[&Vec<Serial>]) -> Serial {
    let bare = |serial: &Serial| serial.as_str().trim_start_matches('0').to_owned();
    let mut candidates = asked.iter().flat_map(|serials| serials.iter());
    let exact = candidates.clone().find(|serial| *serial == told);
    exact.or_else(|| candidates.find(|serial| bare(serial) == bare(told))).unwrap_or(told).clone()
}
