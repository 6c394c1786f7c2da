//! What a platform should hold of a subscription now.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::terms::{Suspension, Terms};
use crate::command::Period;
use crate::subscription::{
    Account, Device, DeviceKind, Grant, Held, Holder, Paired, Registration, ServiceType, Subscription, Suspended,
    Switch,
};
use crate::text::{DistributorName, Serial, ServiceCode};

/// What the platform should hold of the subscription now: only what it is able to hold, and what it has a name for.
#[must_use]
pub fn wanted(subscription: &Subscription, terms: &Terms<'_>, now: Timestamp) -> Held {
    let mut wanted = Held::default();
    let here = subscription.distributors.values().any(|provider| provider == terms.provider);
    if !here || !subscription.state.is_known_to_platforms() {
        return wanted;
    }
    if terms.has_accounts() {
        wanted.account = Some(Account { told: subscription.subscriber.clone(), doubtful: false });
    }
    for distributor in subscription.distributors_of(terms.provider) {
        let devices = subscription.devices.iter().filter(|device| device.distributor == *distributor);
        let registered = devices.filter(|device| terms.registers(&device.kind));
        wanted.devices.extend(
            registered
                .map(|device| (device.serial.clone(), Registration { kind: device.kind.clone(), doubtful: false })),
        );
        let cards: Vec<&Device> = subscription.devices_at(distributor, &DeviceKind::Smartcard).collect();
        let stbs: Vec<&Device> = subscription.devices_at(distributor, &DeviceKind::Stb).collect();
        wanted.pairings.extend(deal(&cards, &stbs, terms.boxes_per_card()));
        let services = grants(subscription, distributor, terms, now);
        for holder in terms.holders(subscription, distributor) {
            // Several viewing points may share the account: then it holds what any of them has.
            let held = wanted.services.entry(holder).or_default();
            for (code, grant) in &services {
                let both = held.get(code).map_or(*grant, |other| widest(*other, *grant));
                held.insert(code.clone(), both);
            }
        }
    }
    wanted.services.retain(|_, services| !services.is_empty());
    match terms.suspension() {
        None => switch_paused_off(&mut wanted),
        Some(Suspension::Services) => {}
        Some(Suspension::Holders) => suspend_holders(&mut wanted),
    }
    if terms.whole_list() {
        one_period_each(&mut wanted);
    }
    wanted
}

/// The services of the subscription that the platform has no name for: they can not be switched on there.
#[must_use]
pub fn unmapped<'a>(subscription: &'a Subscription, terms: &Terms<'_>) -> Vec<&'a ServiceCode> {
    let here = subscription.services.iter().filter(|service| {
        !service.state.is_over() && subscription.distributors.get(&service.distributor) == Some(terms.provider)
    });
    let mut codes: Vec<_> =
        here.map(|service| &service.code).filter(|code| terms.services.ca_id(code).is_none()).collect();
    codes.sort();
    codes.dedup();
    codes
}

fn grants(
    subscription: &Subscription,
    distributor: &DistributorName,
    terms: &Terms<'_>,
    now: Timestamp,
) -> BTreeMap<ServiceCode, Grant> {
    let services =
        subscription.services_at(distributor).filter(|service| terms.services.ca_id(&service.code).is_some());
    let services = services.filter(|service| match service.service_type {
        ServiceType::Usage => !terms.strategy.skip_usage,
        ServiceType::Expense => false,
        ServiceType::Termed | ServiceType::OneTime => true,
    });
    let grants = services.filter_map(|service| {
        let suspended = match subscription.switch(service, now) {
            Switch::Off => return None,
            Switch::Paused => true,
            Switch::On => false,
        };
        let period = Period { start: service.start, end: service.end };
        Some((service.code.clone(), Grant { suspended, ..Grant::over(period) }))
    });
    grants.collect()
}

/// Pairs the boxes of one viewing point with its smartcards: the first with the first, the second with the second, and
/// what is left of the boxes with the last card, as far as the platform takes them. A box works with one card.
fn deal(cards: &[&Device], stbs: &[&Device], most: usize) -> BTreeMap<Serial, Paired> {
    let mut pairings: BTreeMap<_, Paired> = BTreeMap::new();
    for (index, stb) in stbs.iter().enumerate() {
        let Some(card) = cards.get(index).or_else(|| cards.last()) else { break };
        let paired = pairings.entry(card.serial.clone()).or_default();
        if paired.stbs.len() < most {
            paired.stbs.insert(stb.serial.clone());
        }
    }
    pairings.retain(|_, paired| !paired.stbs.is_empty());
    pairings
}

/// The grant that allows what either does.
fn widest(a: Grant, b: Grant) -> Grant {
    if a.suspended != b.suspended {
        return if a.suspended { b } else { a };
    }
    let start = a.start.zip(b.start).map(|(a, b)| a.min(b));
    let end = a.end.zip(b.end).map(|(a, b)| a.max(b));
    Grant { start, end, ..a }
}

/// For a platform that can not suspend: what is paused is off.
fn switch_paused_off(wanted: &mut Held) {
    for services in wanted.services.values_mut() {
        services.retain(|_, grant| !grant.suspended);
    }
    wanted.services.retain(|_, services| !services.is_empty());
}

/// For a platform that suspends only as a whole: whoever has nothing but paused services is suspended; where something
/// else is on, what is paused is off.
fn suspend_holders(wanted: &mut Held) {
    let paused: Vec<Holder> = wanted
        .services
        .iter()
        .filter(|(_, services)| services.values().all(|grant| grant.suspended))
        .map(|(holder, _)| holder.clone())
        .collect();
    for holder in &paused {
        for grant in wanted.services.get_mut(holder).into_iter().flat_map(BTreeMap::values_mut) {
            grant.suspended = false;
        }
    }
    switch_paused_off(wanted);
    wanted.suspended.extend(paused.into_iter().map(|holder| (holder, Suspended::default())));
}

/// A whole list has one period: the services' own where they agree, else none. Headgate sends the list again when a
/// service ends.
fn one_period_each(wanted: &mut Held) {
    for services in wanted.services.values_mut() {
        let mut periods = services.values().map(Grant::period);
        let first = periods.next().unwrap_or_default();
        let common = if periods.all(|period| period == first) { first } else { Period::default() };
        for grant in services.values_mut() {
            *grant = Grant::over(common);
        }
    }
}
