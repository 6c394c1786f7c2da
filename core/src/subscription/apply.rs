//! What a command does to what a platform holds.

use std::collections::{BTreeMap, BTreeSet};

use super::{Account, DeviceKind, Grant, Held, Holder, Paired, Registration, Suspended};
use crate::command::{Command, Devices, Selection, Services};
use crate::text::{Serial, ServiceCode};

impl Held {
    /// What it holds once the platform has carried out `command`. Commands that change neither services, devices,
    /// pairings nor the account change nothing here.
    pub fn apply(&mut self, command: &Command) {
        match command {
            Command::ActivateServices(entitlement) => {
                for holder in holders(&entitlement.devices) {
                    let held = self.services.entry(holder).or_default();
                    let grants =
                        entitlement.services.iter().map(|code| (code.clone(), Grant::over(entitlement.period)));
                    held.extend(grants);
                }
            }
            Command::SetServices(entitlement) => {
                for holder in holders(&entitlement.devices) {
                    let grants =
                        entitlement.services.iter().map(|code| (code.clone(), Grant::over(entitlement.period)));
                    self.services.insert(holder, grants.collect());
                }
            }
            Command::DeactivateServices(selection) => self.select(selection, |held, services| match services {
                Services::All => held.clear(),
                Services::These(codes) => held.retain(|code, _| !codes.contains(code)),
            }),
            Command::Suspend(selection) => self.suspend(selection, true),
            Command::Resume(selection) => self.suspend(selection, false),
            Command::CreateSubscriber(told) => {
                self.account = Some(Account { told: told.clone(), doubtful: false });
            }
            Command::UpdateSubscriber(news) => {
                let account = self.account.get_or_insert_default();
                account.told.update(news);
                account.doubtful = false;
            }
            Command::RemoveSubscriber => {
                self.account = None;
                self.services.remove(&Holder::Account);
                for serial in std::mem::take(&mut self.devices).into_keys() {
                    self.forget(&serial);
                }
            }
            Command::AddDevice(devices) => self.register(devices),
            Command::RemoveDevice(devices) => all(devices).for_each(|serial| self.forget(serial)),
            Command::SwapDevice { devices, replacement } => {
                for (old, new) in all(devices).zip(all(replacement)) {
                    self.swap(old, new);
                }
            }
            Command::EnableDevice(devices) => all(devices).for_each(|serial| {
                self.disabled.remove(serial);
            }),
            Command::DisableDevice { devices, .. } => self.disabled.extend(all(devices).cloned()),
            Command::Pair(devices) => {
                self.part(&devices.stbs);
                for card in &devices.smartcards {
                    let stbs = devices.stbs.iter().cloned().collect();
                    self.pairings.insert(card.clone(), Paired { stbs, doubtful: false });
                }
            }
            Command::AddToPairing(devices) => {
                self.part(&devices.stbs);
                for card in &devices.smartcards {
                    self.pairings.entry(card.clone()).or_default().stbs.extend(devices.stbs.iter().cloned());
                }
            }
            Command::Unpair(devices) if devices.stbs.is_empty() => {
                for card in &devices.smartcards {
                    self.pairings.remove(card);
                }
            }
            Command::Unpair(devices) => self.part(&devices.stbs),
            Command::RefreshServices(_)
            | Command::SetPin { .. }
            | Command::ResetPin(_)
            | Command::ClearPin(_)
            | Command::SendMessage { .. }
            | Command::Fingerprint { .. }
            | Command::GetServices(_)
            | Command::GetPairing(_)
            | Command::GetDevice(_)
            | Command::GetSubscriber
            | Command::RemoveSessions(_)
            | Command::Authenticate(_)
            | Command::AddUsage(_)
            | Command::CancelUsage(_)
            | Command::TestConnection
            | Command::Raw(_) => {}
        }
        self.services.retain(|_, held| !held.is_empty());
        self.pairings.retain(|_, paired| !paired.stbs.is_empty());
    }

    /// What it may hold when nobody knows whether the platform carried out `command`: what was there before and what
    /// would be there after, all that differs being doubtful. A reconciliation says such things again.
    pub fn doubt(&mut self, command: &Command) {
        let mut after = self.clone();
        after.apply(command);
        either(&mut self.devices, after.devices, |registration, _| registration.doubtful = true);
        either(&mut self.suspended, after.suspended, |suspended, _| suspended.doubtful = true);
        let holders: BTreeSet<Holder> = self.services.keys().chain(after.services.keys()).cloned().collect();
        for holder in holders {
            let after = after.services.remove(&holder).unwrap_or_default();
            either(self.services.entry(holder).or_default(), after, |grant, other| {
                // Taken for suspended if it may be: then it is resumed as well as switched on.
                grant.suspended |= other.is_some_and(|other| other.suspended);
                grant.doubtful = true;
            });
        }
        for (card, paired) in &mut self.pairings {
            let then = after.pairings.remove(card).unwrap_or_default();
            if *paired != then {
                paired.stbs.extend(then.stbs);
                paired.doubtful = true;
            }
        }
        for (card, mut paired) in after.pairings {
            paired.doubtful = true;
            self.pairings.insert(card, paired);
        }
        if self.account != after.account {
            self.account = after.account.or_else(|| self.account.take());
            if let Some(account) = &mut self.account {
                account.doubtful = true;
            }
        }
        self.disabled.extend(after.disabled);
    }

    fn select(&mut self, selection: &Selection, change: impl Fn(&mut BTreeMap<ServiceCode, Grant>, &Services)) {
        for holder in holders(&selection.devices) {
            if let Some(held) = self.services.get_mut(&holder) {
                change(held, &selection.services);
            }
        }
    }

    fn suspend(&mut self, selection: &Selection, suspended: bool) {
        if selection.services == Services::All {
            for holder in holders(&selection.devices) {
                match suspended {
                    true => self.suspended.insert(holder, Suspended::default()),
                    false => self.suspended.remove(&holder),
                };
            }
        }
        self.select(selection, |held, services| {
            let meant = |code: &ServiceCode| match services {
                // Suspended as a whole; but whoever is resumed as a whole shows everything.
                Services::All => !suspended,
                Services::These(codes) => codes.contains(code),
            };
            for (_, grant) in held.iter_mut().filter(|(code, _)| meant(code)) {
                // Whether it is held at all is no more certain than before.
                grant.suspended = suspended;
            }
        });
    }

    fn register(&mut self, devices: &Devices) {
        let cards = devices.smartcards.iter().map(|serial| (serial, DeviceKind::Smartcard));
        let stbs = devices.stbs.iter().map(|serial| (serial, DeviceKind::Stb));
        for (serial, kind) in cards.chain(stbs) {
            self.devices.insert(serial.clone(), Registration { kind, doubtful: false });
        }
    }

    fn forget(&mut self, serial: &Serial) {
        self.devices.remove(serial);
        self.services.retain(|holder, _| holder.serial() != Some(serial));
        self.suspended.retain(|holder, _| holder.serial() != Some(serial));
        self.disabled.remove(serial);
        self.pairings.remove(serial);
        self.part(std::slice::from_ref(serial));
    }

    fn swap(&mut self, old: &Serial, new: &Serial) {
        if let Some(registration) = self.devices.remove(old) {
            self.devices.insert(new.clone(), registration);
        }
        rename(&mut self.services, old, new);
        rename(&mut self.suspended, old, new);
        if let Some(paired) = self.pairings.remove(old) {
            self.pairings.insert(new.clone(), paired);
        }
        for paired in self.pairings.values_mut() {
            if paired.stbs.remove(old) {
                paired.stbs.insert(new.clone());
            }
        }
        self.disabled.remove(old);
    }

    /// Takes these boxes out of every pairing.
    fn part(&mut self, stbs: &[Serial]) {
        for paired in self.pairings.values_mut() {
            paired.stbs.retain(|stb| !stbs.contains(stb));
        }
    }
}

/// Who holds the services of a command: its smartcards, or else its boxes, or else the account.
pub(super) fn holders(devices: &Devices) -> Vec<Holder> {
    match (devices.smartcards.as_slice(), devices.stbs.as_slice()) {
        ([], []) => vec![Holder::Account],
        ([], stbs) => stbs.iter().cloned().map(Holder::Stb).collect(),
        (cards, _) => cards.iter().cloned().map(Holder::Smartcard).collect(),
    }
}

fn all(devices: &Devices) -> impl Iterator<Item = &Serial> {
    devices.smartcards.iter().chain(&devices.stbs)
}

fn rename<V>(map: &mut BTreeMap<Holder, V>, old: &Serial, new: &Serial) {
    let holder = map.keys().find(|holder| holder.serial() == Some(old)).cloned();
    if let Some((holder, value)) = holder.and_then(|holder| map.remove_entry(&holder)) {
        map.insert(holder.with_serial(new), value);
    }
}

/// Makes `before` hold what is in it or in `after`. What is not the same in both is told to `doubt`, with the other.
fn either<K: Ord, V: PartialEq>(
    before: &mut BTreeMap<K, V>,
    mut after: BTreeMap<K, V>,
    doubt: impl Fn(&mut V, Option<&V>),
) {
    for (key, was) in before.iter_mut() {
        let would_be = after.remove(key);
        if would_be.as_ref() != Some(was) {
            doubt(was, would_be.as_ref());
        }
    }
    for (key, mut would_be) in after {
        doubt(&mut would_be, None);
        before.insert(key, would_be);
    }
}
