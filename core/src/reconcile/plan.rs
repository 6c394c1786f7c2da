//! The plan itself: each step is planned from what the steps before it will have made.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::Plan;
use super::terms::{Suspension, Terms};
use crate::command::{Command, CommandKind, Devices, Entitlement, Period, Selection, Services};
use crate::subscription::{Authorised, DeviceKind, Grant, Held, Holder, Paired, Subscription};
use crate::text::{Serial, ServiceCode};

/// The steps from `held` to `wanted`.
pub(super) fn close(
    subscription: &Subscription,
    wanted: &Held,
    held: &Held,
    terms: &Terms<'_>,
    now: Timestamp,
) -> Plan {
    let mut held = held.clone();
    if terms.strategy.expires_by_itself {
        forget_expired(&mut held, wanted, now);
    }
    let mut planner =
        Planner { subscription, wanted: tolerate(wanted, &held, terms), held, terms, now, steps: Vec::new() };
    planner.tell_account();
    planner.swap_devices();
    planner.add_devices();
    if terms.strategy.pair_before_entitle {
        planner.pair();
    }
    planner.switch_on();
    if !terms.strategy.pair_before_entitle {
        planner.pair();
    }
    planner.switch_off();
    planner.unpair();
    planner.remove_devices();
    planner.remove_account();
    let left = planner.wanted.differences(&planner.held, now);
    Plan { steps: planner.steps, left, unmapped: Vec::new() }
}

/// The commands that switch these services on.
pub(super) fn entitle(services: &Held, terms: &Terms<'_>) -> Vec<Command> {
    let kind = if terms.whole_list() { CommandKind::SetServices } else { CommandKind::ActivateServices };
    let mut groups = Groups::new();
    for (holder, grants) in &services.services {
        let mut by_period: BTreeMap<_, Vec<ServiceCode>> = BTreeMap::new();
        for (code, grant) in grants {
            by_period.entry((grant.start, grant.end)).or_default().push(code.clone());
        }
        for (period, codes) in by_period {
            groups.entry((period, codes)).or_default().push(holder.clone());
        }
    }
    let mut commands = Vec::new();
    for (((start, end), codes), holders) in groups {
        for services in chunks(&codes, kind, terms) {
            for devices in devices_of(&holders, kind, terms) {
                let entitlement = Entitlement { services: services.to_vec(), devices, period: Period { start, end } };
                commands.push(match kind {
                    CommandKind::SetServices => Command::SetServices(entitlement),
                    _ => Command::ActivateServices(entitlement),
                });
            }
        }
    }
    commands
}

/// The queries that tell what the platform holds.
pub(super) fn questions(subscription: &Subscription, authorised: &Authorised, terms: &Terms<'_>) -> Vec<Command> {
    let held = &authorised.held;
    let mut holders: Vec<Holder> = held.services.keys().cloned().collect();
    for distributor in subscription.distributors_of(terms.provider) {
        holders.extend(terms.holders(subscription, distributor));
    }
    holders.sort();
    holders.dedup();
    let here = subscription.devices.iter();
    let here = here.filter(|device| subscription.distributors.get(&device.distributor) == Some(terms.provider));
    let mut devices: BTreeMap<Serial, DeviceKind> =
        here.map(|device| (device.serial.clone(), device.kind.clone())).collect();
    devices.extend(held.devices.iter().map(|(serial, registration)| (serial.clone(), registration.kind.clone())));
    let of_kind = |wanted: DeviceKind| -> Vec<Serial> {
        devices.iter().filter(|(_, kind)| **kind == wanted).map(|(serial, _)| serial.clone()).collect()
    };
    let (cards, stbs) = (of_kind(DeviceKind::Smartcard), of_kind(DeviceKind::Stb));

    let mut questions = Vec::new();
    if terms.rules(CommandKind::GetSubscriber).is_some() {
        questions.push(Command::GetSubscriber);
    }
    if terms.registers(&DeviceKind::Smartcard) || terms.registers(&DeviceKind::Stb) {
        questions.extend(terms.batches(CommandKind::GetDevice, &cards, &stbs).into_iter().map(Command::GetDevice));
    }
    questions.extend(terms.batches(CommandKind::GetPairing, &cards, &[]).into_iter().map(Command::GetPairing));
    questions.extend(devices_of(&holders, CommandKind::GetServices, terms).into_iter().map(Command::GetServices));
    questions
}

/// Holders that are told the same at once.
type Groups = BTreeMap<((Option<Timestamp>, Option<Timestamp>), Vec<ServiceCode>), Vec<Holder>>;

struct Planner<'a> {
    subscription: &'a Subscription,
    wanted: Held,
    /// What the platform will hold after the steps so far.
    held: Held,
    terms: &'a Terms<'a>,
    now: Timestamp,
    steps: Vec<Command>,
}

impl Planner<'_> {
    fn step(&mut self, command: Command) {
        self.held.apply(&command);
        self.steps.push(command);
    }

    fn tell_account(&mut self) {
        let Some(wanted) = self.wanted.account.clone() else { return };
        match &self.held.account {
            Some(account) if account.doubtful => self.step(Command::CreateSubscriber(wanted.told)),
            Some(account) if account.told.knows(&wanted.told) => {}
            Some(_) if self.terms.rules(CommandKind::UpdateSubscriber).is_some() => {
                self.step(Command::UpdateSubscriber(wanted.told));
            }
            Some(_) => {}
            None => self.step(Command::CreateSubscriber(wanted.told)),
        }
    }

    fn swap_devices(&mut self) {
        let Some(rules) = self.terms.rules(CommandKind::SwapDevice) else { return };
        let subscription = self.subscription;
        for device in &subscription.devices {
            let Some(old) = device.replaces.as_ref() else { continue };
            let here = subscription.distributors.get(&device.distributor) == Some(self.terms.provider);
            let gone = !self.wanted.knows(old) && self.wanted.knows(&device.serial);
            let certain = self.held.devices.get(old).is_none_or(|registration| !registration.doubtful);
            if !(here && gone && certain && self.held.knows(old) && !self.held.knows(&device.serial)) {
                continue;
            }
            let one = |serial: &Serial| match device.kind {
                DeviceKind::Smartcard => Devices { smartcards: vec![serial.clone()], stbs: Vec::new() },
                _ => Devices { smartcards: Vec::new(), stbs: vec![serial.clone()] },
            };
            let takes = match device.kind {
                DeviceKind::Smartcard => rules.smartcards.max > 0 && rules.stbs.min == 0,
                DeviceKind::Stb => rules.stbs.max > 0 && rules.smartcards.min == 0,
                DeviceKind::Other(_) => false,
            };
            if takes {
                self.step(Command::SwapDevice { devices: one(old), replacement: one(&device.serial) });
            }
        }
    }

    fn add_devices(&mut self) {
        let missing = |serial: &Serial| self.held.devices.get(serial).is_none_or(|registration| registration.doubtful);
        let of_kind = |kind: DeviceKind| -> Vec<Serial> {
            let wanted = self.wanted.devices.iter().filter(|(_, registration)| registration.kind == kind);
            wanted.map(|(serial, _)| serial.clone()).filter(missing).collect()
        };
        let (cards, stbs) = (of_kind(DeviceKind::Smartcard), of_kind(DeviceKind::Stb));
        for devices in self.terms.batches(CommandKind::AddDevice, &cards, &stbs) {
            self.step(Command::AddDevice(devices));
        }
    }

    fn pair(&mut self) {
        let most = |kind| self.terms.rules(kind).map_or(0, |rules| rules.stbs.max);
        let (pairs, adds) = (most(CommandKind::Pair), most(CommandKind::AddToPairing));
        for (card, wanted) in self.wanted.pairings.clone() {
            let held = self.held.pairings.get(&card);
            let certain = held.filter(|held| !held.doubtful).map(|held| &held.stbs);
            if certain == Some(&wanted.stbs) {
                continue;
            }
            let grows = certain.filter(|held| adds > 0 && held.is_subset(&wanted.stbs));
            let missing: Vec<Serial> = match grows {
                Some(held) => wanted.stbs.difference(held).cloned().collect(),
                None => wanted.stbs.iter().cloned().collect(),
            };
            let (first, rest) = match grows {
                Some(_) => (None, missing.as_slice()),
                None => {
                    missing.split_at_checked(pairs.min(missing.len())).map_or((None, &[][..]), |(a, b)| (Some(a), b))
                }
            };
            let with = |stbs: &[Serial]| Devices { smartcards: vec![card.clone()], stbs: stbs.to_vec() };
            if let Some(first) = first {
                self.step(Command::Pair(with(first)));
            }
            for stbs in rest.chunks(adds.max(1)) {
                self.step(Command::AddToPairing(with(stbs)));
            }
        }
    }

    fn switch_on(&mut self) {
        if self.terms.whole_list() {
            self.set_lists();
            self.resume_holders();
            return;
        }
        // Dark already: nobody loses a picture, and it must not light up with the rest.
        self.switch_off_if(|held, holder, code| {
            let suspended = held.suspended.contains_key(holder);
            suspended || held.grant(holder, code).is_some_and(|grant| grant.suspended)
        });
        let due = self.to_activate();
        self.suspend();
        self.resume_holders();
        self.resume_services();
        for command in entitle(&due, self.terms) {
            self.step(command);
        }
    }

    /// What is wanted on, and is not held, or not like this, or nobody knows.
    fn to_activate(&self) -> Held {
        let mut due = Held::default();
        for (holder, services) in &self.wanted.services {
            if self.wanted.suspended.contains_key(holder) {
                continue;
            }
            for (code, wanted) in services.iter().filter(|(_, grant)| !grant.suspended) {
                let held = self.held.grant(holder, code);
                if held.is_none_or(|held| held.doubtful || !held.covers(wanted, self.now)) {
                    due.services.entry(holder.clone()).or_default().insert(code.clone(), *wanted);
                }
            }
        }
        due
    }

    fn suspend(&mut self) {
        match self.terms.suspension() {
            None => {}
            Some(Suspension::Services) => self.select_services(CommandKind::Suspend, |wanted, held| {
                wanted.suspended && !held.suspended && !held.doubtful
            }),
            Some(Suspension::Holders) => {
                let due = self.wanted.suspended.keys().filter(|holder| {
                    let suspended = self.held.suspended.get(holder);
                    self.held.services.contains_key(holder) && suspended.is_none_or(|suspended| suspended.doubtful)
                });
                let due: Vec<Holder> = due.cloned().collect();
                self.select_all(CommandKind::Suspend, &due);
            }
        }
    }

    fn resume_holders(&mut self) {
        let leaves = |holder: &Holder| {
            let serial = holder.serial().filter(|serial| self.held.devices.contains_key(*serial));
            let removed = self.terms.rules(CommandKind::RemoveDevice).is_some();
            removed && serial.is_some_and(|serial| !self.wanted.devices.contains_key(serial))
        };
        let due = self.held.suspended.keys().filter(|holder| !self.wanted.suspended.contains_key(holder));
        let due: Vec<Holder> = due.filter(|holder| !leaves(holder)).cloned().collect();
        self.select_all(CommandKind::Resume, &due);
    }

    fn resume_services(&mut self) {
        self.select_services(CommandKind::Resume, |wanted, held| !wanted.suspended && held.suspended);
    }

    fn set_lists(&mut self) {
        let mut due = Held::default();
        for (holder, wanted) in &self.wanted.services {
            let is_same = self.held.services.get(holder).is_some_and(|held| {
                let same = |(code, grant): (&ServiceCode, &Grant)| {
                    let wanted = wanted.get(code);
                    wanted.is_some_and(|wanted| grant.covers(wanted, self.now) && !grant.doubtful && !grant.suspended)
                };
                held.len() == wanted.len() && held.iter().all(same)
            });
            if !is_same {
                due.services.insert(holder.clone(), wanted.clone());
            }
        }
        for command in entitle(&due, self.terms) {
            self.step(command);
        }
    }

    fn switch_off(&mut self) {
        if !self.terms.whole_list() {
            self.switch_off_if(|_, _, _| true);
            return;
        }
        let leaving = self.held.services.keys().filter(|holder| !self.wanted.services.contains_key(*holder));
        let leaving: Vec<Holder> = leaving.cloned().collect();
        let empties = self.terms.rules(CommandKind::SetServices).is_some_and(|rules| rules.services.min == 0);
        let kind = if empties { CommandKind::SetServices } else { CommandKind::DeactivateServices };
        for devices in devices_of(&leaving, kind, self.terms) {
            let period = Period::default();
            self.step(match empties {
                true => Command::SetServices(Entitlement { services: Vec::new(), devices, period }),
                false => Command::DeactivateServices(Selection { services: Services::All, devices }),
            });
        }
    }

    /// Switches off what is not wanted, as far as `which` says. What is only to be suspended, but may not be held at all,
    /// is switched off as well: then it is certain, and comes back with the others.
    fn switch_off_if(&mut self, which: impl Fn(&Held, &Holder, &ServiceCode) -> bool) {
        let unwanted = |holder: &Holder, code: &ServiceCode, held: &Grant| match self.wanted.grant(holder, code) {
            None => true,
            Some(wanted) => wanted.suspended && held.doubtful,
        };
        let mut groups: BTreeMap<Vec<ServiceCode>, Vec<Holder>> = BTreeMap::new();
        for (holder, services) in &self.held.services {
            let due = services.iter().filter(|(code, held)| unwanted(holder, code, held)).map(|(code, _)| code);
            let due = due.filter(|code| self.terms.services.ca_id(code).is_some() && which(&self.held, holder, code));
            let due: Vec<_> = due.cloned().collect();
            if !due.is_empty() {
                groups.entry(due).or_default().push(holder.clone());
            }
        }
        self.select(CommandKind::DeactivateServices, groups);
    }

    /// Says `kind` of the services of which `which` holds, as they are wanted and held.
    fn select_services(&mut self, kind: CommandKind, which: impl Fn(&Grant, &Grant) -> bool) {
        let mut groups: BTreeMap<Vec<ServiceCode>, Vec<Holder>> = BTreeMap::new();
        for (holder, services) in &self.wanted.services {
            let due = services
                .iter()
                .filter(|(code, wanted)| self.held.grant(holder, code).is_some_and(|held| which(wanted, held)));
            let due: Vec<_> = due.map(|(code, _)| code.clone()).collect();
            if !due.is_empty() {
                groups.entry(due).or_default().push(holder.clone());
            }
        }
        self.select(kind, groups);
    }

    fn select(&mut self, kind: CommandKind, groups: BTreeMap<Vec<ServiceCode>, Vec<Holder>>) {
        for (codes, holders) in groups {
            for services in chunks(&codes, kind, self.terms) {
                for devices in devices_of(&holders, kind, self.terms) {
                    let services = Services::These(services.to_vec());
                    self.say(kind, Selection { services, devices });
                }
            }
        }
    }

    fn select_all(&mut self, kind: CommandKind, holders: &[Holder]) {
        for devices in devices_of(holders, kind, self.terms) {
            self.say(kind, Selection { services: Services::All, devices });
        }
    }

    fn say(&mut self, kind: CommandKind, selection: Selection) {
        self.step(match kind {
            CommandKind::Suspend => Command::Suspend(selection),
            CommandKind::Resume => Command::Resume(selection),
            _ => Command::DeactivateServices(selection),
        });
    }

    fn unpair(&mut self) {
        let Some(rules) = self.terms.rules(CommandKind::Unpair) else { return };
        let superfluous = self.held.pairings.iter().filter_map(|(card, held)| {
            let wanted = self.wanted.pairings.get(card).map(|wanted| wanted.stbs.clone()).unwrap_or_default();
            let stbs: Vec<Serial> = held.stbs.difference(&wanted).cloned().collect();
            (!stbs.is_empty()).then(|| (card.clone(), stbs, wanted.is_empty()))
        });
        let superfluous: Vec<_> = superfluous.collect();
        let batches = if rules.stbs.max == 0 {
            // Told by the card: only where nothing of its pairing is to stay.
            let cards: Vec<_> = superfluous.into_iter().filter(|(_, _, all)| *all).map(|(card, _, _)| card).collect();
            self.terms.batches(CommandKind::Unpair, &cards, &[])
        } else if rules.smartcards.min == 0 {
            let stbs: Vec<_> = superfluous.into_iter().flat_map(|(_, stbs, _)| stbs).collect();
            self.terms.batches(CommandKind::Unpair, &[], &stbs)
        } else {
            let pairs = superfluous
                .into_iter()
                .flat_map(|(card, stbs, _)| stbs.into_iter().map(move |stb| (card.clone(), stb)).collect::<Vec<_>>());
            pairs.flat_map(|(card, stb)| self.terms.batches(CommandKind::Unpair, &[card], &[stb])).collect()
        };
        for devices in batches {
            self.step(Command::Unpair(devices));
        }
    }

    fn remove_devices(&mut self) {
        let of_kind = |kind: DeviceKind| -> Vec<Serial> {
            let held = self.held.devices.iter().filter(|(_, registration)| registration.kind == kind);
            let superfluous = held.filter(|(serial, _)| !self.wanted.devices.contains_key(*serial));
            superfluous.map(|(serial, _)| serial.clone()).collect()
        };
        let (cards, stbs) = (of_kind(DeviceKind::Smartcard), of_kind(DeviceKind::Stb));
        for devices in self.terms.batches(CommandKind::RemoveDevice, &cards, &stbs) {
            self.step(Command::RemoveDevice(devices));
        }
    }

    fn remove_account(&mut self) {
        let wanted = &self.wanted;
        let nothing_wanted = wanted.account.is_none() && wanted.devices.is_empty() && wanted.services.is_empty();
        let removes = self.terms.rules(CommandKind::RemoveSubscriber).is_some();
        if self.held.account.is_some() && nothing_wanted && removes {
            self.step(Command::RemoveSubscriber);
        }
    }
}

/// What is wanted, with what stays at the platform because the strategy leaves it there, or nothing can change it.
fn tolerate(wanted: &Held, held: &Held, terms: &Terms<'_>) -> Held {
    let mut wanted = wanted.clone();
    let strategy = terms.strategy;
    if wanted.account.is_none() && (!strategy.remove_subscriber_on_terminate || !strategy.create_subscriber) {
        wanted.account.clone_from(&held.account);
    }
    if let (Some(wanted), Some(held)) = (&mut wanted.account, &held.account)
        && terms.rules(CommandKind::UpdateSubscriber).is_none()
    {
        // What it was told once can not be told anew.
        wanted.told.clone_from(&held.told);
    }
    if !strategy.pair || !strategy.unpair_on_remove {
        for (card, paired) in &held.pairings {
            let taken = |stb: &Serial| wanted.pairings.values().any(|paired| paired.stbs.contains(stb));
            let stay: Vec<Serial> = paired.stbs.iter().filter(|stb| !taken(stb)).cloned().collect();
            if !wanted.pairings.contains_key(card) && !stay.is_empty() {
                let paired = Paired { stbs: stay.into_iter().collect(), doubtful: false };
                wanted.pairings.insert(card.clone(), paired);
            }
        }
    }
    wanted
}

/// Forgets services that are not wanted and whose end is past: the platform ended them.
fn forget_expired(held: &mut Held, wanted: &Held, now: Timestamp) {
    for (holder, services) in &mut held.services {
        services.retain(|code, grant| grant.end.is_none_or(|end| now < end) || wanted.grant(holder, code).is_some());
    }
    held.services.retain(|_, services| !services.is_empty());
}

/// Divides services into as many commands of that kind as it takes. A whole list can not be divided.
fn chunks<'a>(codes: &'a [ServiceCode], kind: CommandKind, terms: &Terms<'_>) -> Vec<&'a [ServiceCode]> {
    let most = terms.rules(kind).map_or(0, |rules| rules.services.max);
    match kind {
        CommandKind::SetServices if codes.len() <= most => vec![codes],
        CommandKind::SetServices => Vec::new(),
        _ if most == 0 => Vec::new(),
        _ => codes.chunks(most).collect(),
    }
}

/// Divides holders into as many commands of that kind as it takes.
fn devices_of(holders: &[Holder], kind: CommandKind, terms: &Terms<'_>) -> Vec<Devices> {
    let Some(rules) = terms.rules(kind) else { return Vec::new() };
    let (mut cards, mut stbs, mut account) = (Vec::new(), Vec::new(), false);
    for holder in holders {
        match holder {
            Holder::Account => account = true,
            Holder::Smartcard(serial) => cards.push(serial.clone()),
            Holder::Stb(serial) => stbs.push(serial.clone()),
        }
    }
    let takes_account = rules.smartcards.min == 0 && rules.stbs.min == 0;
    let mut batches = Vec::new();
    batches.extend((account && takes_account).then(Devices::default));
    batches.extend(terms.batches(kind, &cards, &[]));
    batches.extend(terms.batches(kind, &[], &stbs));
    batches
}
