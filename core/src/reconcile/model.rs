//! A small platform for tests: its own state and its own rules, and as strict as a real one. It knows nothing of how
//! Headgate keeps its belief.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::{Strategy, Terms};
use crate::body::RequestBody;
use crate::capabilities::{Capabilities, CommandRules, Count};
use crate::command::{Command, CommandKind, Devices, Entitlement, Selection, Services};
use crate::outcome::{Answer, HeldService, HeldServices, Pairing};
use crate::provider::ServiceMap;
use crate::request::{Request, RequestId};
use crate::subscription::{Account, DeviceKind, Grant, Held, Holder, Paired, Registration, Suspended};
use crate::text::{CaId, ProviderName, Serial, ServiceCode};

/// How a platform is built: one for each kind that the fact sheets tell of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// Services on cards, many at once; pairs one by one, unpairs by the box (Conax).
    Cards,
    /// Services on cards, suspends services, unpairs by the card (Nagravision).
    Suspending,
    /// One card and one service at a time, unpairs pair by pair (EXSET).
    OneByOne,
    /// Registers devices, suspends them as a whole, pairs many (VCAS).
    Devices,
    /// Accounts, whole lists on cards, swaps cards (Panaccess).
    WholeList,
    /// Services on accounts (Perception).
    Accounts,
}

impl Style {
    pub(super) const ALL: [Self; 6] =
        [Self::Cards, Self::Suspending, Self::OneByOne, Self::Devices, Self::WholeList, Self::Accounts];

    fn capabilities(self) -> Capabilities {
        use CommandKind as K;
        let rules = CommandRules::new;
        let cards = || rules().smartcards(Count::up_to(2));
        let both = || rules().smartcards(Count::optional(3)).stbs(Count::optional(2));
        let pair = || rules().smartcards(Count::ONE).stbs(Count::ONE);
        let some = Count::up_to(2);
        let table = match self {
            Self::Cards => vec![
                (K::ActivateServices, cards().services(some)),
                (K::DeactivateServices, cards().services(some)),
                (K::SetServices, cards().services(Count::optional(9))),
                (K::Pair, pair()),
                (K::Unpair, rules().stbs(some)),
                (K::GetServices, cards()),
                (K::GetPairing, cards()),
            ],
            Self::Suspending => vec![
                (K::ActivateServices, cards().services(some)),
                (K::DeactivateServices, cards().services(some)),
                (K::Suspend, cards().services(some)),
                (K::Resume, cards().services(some)),
                (K::Pair, pair()),
                (K::Unpair, cards()),
            ],
            Self::OneByOne => vec![
                (K::ActivateServices, rules().smartcards(Count::ONE).services(Count::ONE)),
                (K::DeactivateServices, rules().smartcards(Count::ONE).services(Count::ONE)),
                (K::Pair, pair()),
                (K::Unpair, pair()),
            ],
            Self::Devices => vec![
                (K::CreateSubscriber, rules().account()),
                (K::RemoveSubscriber, rules().account()),
                (K::AddDevice, both()),
                (K::RemoveDevice, both()),
                (K::ActivateServices, both().services(some)),
                (K::DeactivateServices, both().services(some)),
                (K::Suspend, both()),
                (K::Resume, both()),
                (K::Pair, pair()),
                (K::AddToPairing, pair()),
                (K::Unpair, both()),
            ],
            Self::WholeList => vec![
                (K::CreateSubscriber, rules().account()),
                (K::UpdateSubscriber, rules().account()),
                (K::RemoveSubscriber, rules().account()),
                (K::AddDevice, cards().account()),
                (K::RemoveDevice, cards().account()),
                (K::SwapDevice, rules().smartcards(Count::ONE).account()),
                (K::SetServices, cards().services(Count::optional(9))),
                (K::Pair, rules().smartcards(Count::ONE).stbs(some)),
                (K::Unpair, cards()),
            ],
            Self::Accounts => vec![
                (K::CreateSubscriber, rules().account()),
                (K::UpdateSubscriber, rules().account()),
                (K::RemoveSubscriber, rules().account()),
                (K::ActivateServices, rules().account().services(some)),
                (K::DeactivateServices, rules().account().services(some)),
            ],
        };
        Capabilities { commands: table.into_iter().collect(), ..Capabilities::default() }
    }
}

/// A provider for tests.
pub(super) struct Site {
    pub(super) provider: ProviderName,
    capabilities: Capabilities,
    services: ServiceMap,
    pub(super) strategy: Strategy,
}

impl Site {
    pub(super) fn new(style: Style) -> Self {
        let services = ["A", "B", "C", "D"]
            .map(|code| (ServiceCode::new(code).unwrap(), CaId::new(&format!("ca-{code}")).unwrap()));
        Self {
            provider: ProviderName::new("p").unwrap(),
            capabilities: style.capabilities(),
            services: BTreeMap::from(services).into(),
            strategy: Strategy::default(),
        }
    }

    pub(super) fn terms(&self) -> Terms<'_> {
        Terms {
            provider: &self.provider,
            capabilities: &self.capabilities,
            services: &self.services,
            strategy: &self.strategy,
        }
    }
}

/// The platform.
#[derive(Clone, Debug, Default)]
pub(super) struct Platform {
    account: Option<crate::command::Subscriber>,
    devices: BTreeMap<Serial, DeviceKind>,
    box_to_card: BTreeMap<Serial, Serial>,
    services: BTreeMap<(Holder, ServiceCode), Grant>,
    suspended: BTreeSet<Holder>,
}

impl Platform {
    /// Carries out what a body says, or refuses it.
    pub(super) fn carry_out(&mut self, body: &RequestBody, site: &Site) -> Result<(), String> {
        let command = body.command().map_err(|refusal| refusal.to_string())?;
        let request = Request::new(RequestId(uuid::Uuid::nil()), body, command.clone());
        let terms = site.terms();
        terms.capabilities.check(&request, terms.services).map_err(|refusal| refusal.to_string())?;
        let registers = terms.registers(&DeviceKind::Smartcard);
        let accounts = terms.capabilities.commands.contains_key(&CommandKind::CreateSubscriber);
        let known = |platform: &Self, devices: &Devices| {
            let unknown = |serial: &&Serial| !platform.devices.contains_key(*serial);
            match devices.smartcards.iter().find(unknown) {
                Some(_) if registers => Err("a card is not registered".to_owned()),
                _ => Ok(()),
            }
        };
        // Taking away what is not there is a success everywhere; anything else needs its account.
        let takes_away = match &command {
            Command::DeactivateServices(_)
            | Command::Unpair(_)
            | Command::RemoveDevice(_)
            | Command::RemoveSubscriber => true,
            Command::SetServices(entitlement) => entitlement.services.is_empty(),
            _ => false,
        };
        if accounts && self.account.is_none() && !takes_away && command.kind() != CommandKind::CreateSubscriber {
            return Err("there is no account".into());
        }
        match &command {
            Command::CreateSubscriber(told) => self.account = Some(told.clone()),
            Command::UpdateSubscriber(told) => self.account.as_mut().unwrap().update(told),
            Command::RemoveSubscriber => *self = Self::default(),
            Command::AddDevice(devices) => {
                self.devices.extend(devices.smartcards.iter().map(|card| (card.clone(), DeviceKind::Smartcard)));
                self.devices.extend(devices.stbs.iter().map(|stb| (stb.clone(), DeviceKind::Stb)));
            }
            Command::RemoveDevice(devices) => {
                for serial in devices.smartcards.iter().chain(&devices.stbs) {
                    self.devices.remove(serial);
                    self.services.retain(|(holder, _), _| holder.serial() != Some(serial));
                    self.suspended.retain(|holder| holder.serial() != Some(serial));
                    self.box_to_card.retain(|stb, card| stb != serial && card != serial);
                }
            }
            Command::SwapDevice { devices, replacement } => {
                known(self, devices)?;
                let [old, new] = [&devices.smartcards[0], &replacement.smartcards[0]];
                if let Some(kind) = self.devices.remove(old) {
                    self.devices.insert(new.clone(), kind);
                }
                let moved = std::mem::take(&mut self.services).into_iter().map(|((holder, code), grant)| {
                    let holder = if holder.serial() == Some(old) { holder.with_serial(new) } else { holder };
                    ((holder, code), grant)
                });
                self.services = moved.collect();
                for card in self.box_to_card.values_mut().filter(|card| *card == old) {
                    *card = new.clone();
                }
            }
            Command::ActivateServices(entitlement) => {
                known(self, &entitlement.devices)?;
                self.grant(entitlement);
            }
            Command::SetServices(entitlement) => {
                if !takes_away {
                    known(self, &entitlement.devices)?;
                }
                let holders = holders(&entitlement.devices);
                self.services.retain(|(holder, _), _| !holders.contains(holder));
                self.grant(entitlement);
            }
            Command::DeactivateServices(selection) => {
                let holders = holders(&selection.devices);
                self.services
                    .retain(|(holder, code), _| !holders.contains(holder) || !is_meant(&selection.services, code));
            }
            Command::Suspend(selection) => self.suspend(selection, true),
            Command::Resume(selection) => self.suspend(selection, false),
            Command::Pair(devices) => {
                known(self, devices)?;
                self.box_to_card.retain(|_, card| !devices.smartcards.contains(card));
                self.pair(devices);
            }
            Command::AddToPairing(devices) => {
                known(self, devices)?;
                self.pair(devices);
            }
            Command::Unpair(devices) => self.box_to_card.retain(|stb, card| {
                !devices.stbs.contains(stb) && (!devices.stbs.is_empty() || !devices.smartcards.contains(card))
            }),
            other => return Err(format!("unexpected {}", other.kind())),
        }
        Ok(())
    }

    /// Answers a query; a platform that writes numbers in its own way puts a zero before them.
    pub(super) fn answer(&self, query: &Command, terms: &Terms<'_>) -> Answer {
        let own = |serial: &Serial| Serial::new(&format!("0{}", serial.as_str())).unwrap();
        match query {
            Command::GetServices(devices) => {
                let held = holders(devices).into_iter().map(|holder| {
                    let grants = self.services.iter().filter(|((other, _), _)| *other == holder);
                    let services = grants.map(|((_, code), grant)| HeldService {
                        code: Some(code.clone()),
                        ca_id: terms.services.ca_id(code).unwrap().clone(),
                        start: grant.start,
                        end: grant.end,
                        suspended: grant.suspended,
                    });
                    HeldServices { smartcard: holder.serial().map(own), account: None, services: services.collect() }
                });
                Answer::Services(held.collect())
            }
            Command::GetPairing(devices) => {
                let pairings = devices.smartcards.iter().map(|card| {
                    let stbs = self.box_to_card.iter().filter(|(_, other)| *other == card);
                    Pairing { smartcard: own(card), stbs: stbs.map(|(stb, _)| stb.clone()).collect() }
                });
                Answer::Pairings(pairings.collect())
            }
            other => panic!("unexpected {}", other.kind()),
        }
    }

    /// Whether a holder shows a service.
    pub(super) fn shows(&self, holder: &Holder, code: &ServiceCode, now: Timestamp) -> bool {
        let grant = self.services.get(&(holder.clone(), code.clone()));
        !self.suspended.contains(holder) && grant.is_some_and(|grant| !grant.suspended && grant.is_current(now))
    }

    /// What it holds, to be compared.
    pub(super) fn held(&self) -> Held {
        let mut held = Held {
            account: self.account.clone().map(|told| Account { told, doubtful: false }),
            suspended: self.suspended.iter().map(|holder| (holder.clone(), Suspended::default())).collect(),
            ..Held::default()
        };
        for (serial, kind) in &self.devices {
            held.devices.insert(serial.clone(), Registration { kind: kind.clone(), doubtful: false });
        }
        for (stb, card) in &self.box_to_card {
            let paired: &mut Paired = held.pairings.entry(card.clone()).or_default();
            paired.stbs.insert(stb.clone());
        }
        for ((holder, code), grant) in &self.services {
            held.services.entry(holder.clone()).or_default().insert(code.clone(), *grant);
        }
        held
    }

    fn grant(&mut self, entitlement: &Entitlement) {
        for holder in holders(&entitlement.devices) {
            for code in &entitlement.services {
                self.services.insert((holder.clone(), code.clone()), Grant::over(entitlement.period));
            }
        }
    }

    fn suspend(&mut self, selection: &Selection, suspended: bool) {
        for holder in holders(&selection.devices) {
            match (&selection.services, suspended) {
                (Services::All, true) => {
                    self.suspended.insert(holder);
                }
                (Services::All, false) => {
                    self.suspended.remove(&holder);
                }
                (Services::These(codes), _) => {
                    for code in codes {
                        if let Some(grant) = self.services.get_mut(&(holder.clone(), code.clone())) {
                            grant.suspended = suspended;
                        }
                    }
                }
            }
        }
    }

    fn pair(&mut self, devices: &Devices) {
        for card in &devices.smartcards {
            self.box_to_card.extend(devices.stbs.iter().map(|stb| (stb.clone(), card.clone())));
        }
    }
}

fn holders(devices: &Devices) -> Vec<Holder> {
    let cards = devices.smartcards.iter().cloned().map(Holder::Smartcard);
    let stbs = devices.stbs.iter().cloned().map(Holder::Stb);
    let holders: Vec<_> = cards.chain(stbs).collect();
    if holders.is_empty() { vec![Holder::Account] } else { holders }
}

fn is_meant(services: &Services, code: &ServiceCode) -> bool {
    match services {
        Services::All => true,
        Services::These(codes) => codes.contains(code),
    }
}
