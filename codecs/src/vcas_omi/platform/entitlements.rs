//! Entitlements and packages of the simulated platform.

use headgate_core::platform::Holding;

use super::super::wire::call::Part;
use super::super::wire::sets::EntitledType;
use super::super::wire::types::{Device, EntitledEntity, Entitlement, Package};

use super::super::wire::{Call, Content};
use super::codes::{BAD_VALUE, DONE, EXISTS, NOT_THERE, UNKNOWN_DEVICE, UNKNOWN_DOMAIN, UNKNOWN_PACKAGE};
use super::state::{Found, Said, State, found, write_all};

impl State {
    /// Carries out a call that is about entitlements, or passes it on.
    pub(super) fn entitle(&mut self, call: Call) -> Said {
        let name = call.operation.name;
        match call.parts.as_slice() {
            [Part::EntitlementList(list)] => {
                let each = list.entitlements.iter().map(|held| (held.id.clone(), self.entitlement(name, held)));
                Said::Each(each.collect())
            }
            [Part::EntitledEntityList(list)] => {
                let each = list.entities.iter().map(|entity| {
                    let code = self.entity(entity);
                    if code == DONE {
                        self.entitlements.retain(|_, held| held.entity != *entity);
                        self.show_entitlements(entity);
                    }
                    (entity.id.clone(), code)
                });
                Said::Each(each.collect())
            }
            // What it does is not public; it does nothing to what is held.
            [Part::EntitledEntity(entity)] => Said::One(self.entity(entity)),
            [Part::EntitlementListQuery(query)] => {
                let count = usize::try_from(query.count).unwrap_or(0);
                let after = |held: &&Entitlement| held.id > query.last_seen && held.entity.kind == query.kind;
                let page: Vec<_> = self.entitlements.values().filter(after).take(count).cloned().collect();
                Said::Found(DONE, with_events(page))
            }
            [Part::DeviceEntitlementsQuery(query)] => match self.knows(&query.id) {
                false => Said::Found(UNKNOWN_DEVICE, Box::new(|_| {})),
                true => {
                    let device: Vec<Device> = self.devices.get(&query.id).into_iter().cloned().collect();
                    self.held("device", device, EntitledType::Device, &query.id)
                }
            },
            [Part::DomainEntitlementsQuery(query)] => match self.domains.get(&query.id).cloned() {
                None => Said::Found(UNKNOWN_DOMAIN, Box::new(|_| {})),
                Some(domain) => self.held("domain", vec![domain], EntitledType::Domain, &query.id),
            },
            [Part::RetailerEntitlementsQuery(query)] => {
                self.held::<Package>("retailer", Vec::new(), EntitledType::Retailer, &query.id)
            }
            [Part::PackageListQuery(query)] => {
                let count = usize::try_from(query.count).unwrap_or(0);
                let after = self.catalogue.packages.values().filter(|package| package.id > query.last_seen);
                found("packages", after.take(count).cloned().collect())
            }
            _ => self.say(call),
        }
    }

    fn entitlement(&mut self, operation: &str, held: &Entitlement) -> i32 {
        let entity = self.entity(&held.entity);
        if entity != DONE {
            return entity;
        }
        if !self.catalogue.knows_package(&held.package.id) {
            return UNKNOWN_PACKAGE;
        }
        let limits = held.period.start.zip(held.period.end);
        let there = self.entitlements.contains_key(&held.id);
        match operation {
            _ if held.id.is_empty() || limits.is_some_and(|(start, end)| end <= start) => return BAD_VALUE,
            "addEntitlements" if there => return EXISTS,
            "addEntitlements" => self.entitlements.insert(held.id.clone(), held.clone()),
            _ if !there => return NOT_THERE,
            "modifyEntitlements" => self.entitlements.insert(held.id.clone(), held.clone()),
            _ => self.entitlements.remove(&held.id),
        };
        self.show_entitlements(&held.entity);
        DONE
    }

    /// Whether there is somebody of that kind and id.
    fn entity(&mut self, entity: &EntitledEntity) -> i32 {
        match entity.kind {
            EntitledType::Device if !self.knows(&entity.id) => UNKNOWN_DEVICE,
            EntitledType::Domain if !self.domains.contains_key(&entity.id) => UNKNOWN_DOMAIN,
            _ => DONE,
        }
    }

    /// Shows in the holdings what somebody holds.
    fn show_entitlements(&mut self, entity: &EntitledEntity) {
        let mine = self.entitlements.values().filter(|held| held.entity == *entity);
        let services = mine.map(|held| {
            let holding = Holding { start: held.period.start, end: held.period.end, suspended: false };
            (held.package.id.clone(), holding)
        });
        let services = services.collect();
        match entity.kind {
            EntitledType::Device => self.card(&entity.id).services = services,
            _ => self.holdings.accounts.entry(entity.id.clone()).or_default().services = services,
        }
    }

    /// Somebody, and what they hold.
    fn held<T: Content + 'static>(&self, name: &'static str, who: Vec<T>, kind: EntitledType, id: &str) -> Said {
        let mine = self.entitlements.values().filter(|held| held.entity.kind == kind && held.entity.id == id);
        let mine: Vec<_> = mine.cloned().collect();
        Said::Found(
            DONE,
            Box::new(move |writer| {
                write_all(name, &who, writer);
                write_all("entitlements", &mine, writer);
            }),
        )
    }
}

/// Entitlements, each with its events; the simulated platform keeps none of those.
fn with_events(page: Vec<Entitlement>) -> Found {
    Box::new(move |writer| {
        for held in page {
            writer.element("t:entitlements", &[], |writer| held.write_as("t:entitlement", writer));
        }
    })
}
