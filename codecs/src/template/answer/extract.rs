//! What answers tell: services, pairings, devices, accounts.

use std::collections::BTreeMap;

use headgate_core::outcome::{Answer, Authenticated, HeldService, HeldServices, KnownDevice, KnownSubscriber, Pairing};
use headgate_core::text::{AccountNumber, CaId, PersonalText, PlatformReference, Secret, Serial};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::{Test, Told, words};
use crate::template::scope::Scope;
use crate::template::table::TimesTable;
use crate::template::tree::{Path, Tree};

/// What an answer tells, with its paths read.
#[derive(Clone, Debug)]
pub(in crate::template) struct Extract {
    pub(in crate::template) reference: Option<Path>,
    pub(in crate::template) session: Option<Path>,
    pub(in crate::template) keep: BTreeMap<String, Path>,
    pub(super) raw: bool,
    pub(in crate::template) services: Option<Services>,
    pub(in crate::template) pairings: Option<Pairings>,
    pub(in crate::template) devices: Option<Devices>,
    pub(in crate::template) subscriber: Option<Subscriber>,
    pub(in crate::template) authenticated: Option<(Option<Path>, Option<Path>)>,
}

#[derive(Clone, Debug)]
pub(in crate::template) struct Services {
    pub(in crate::template) each: Path,
    pub(in crate::template) ca_id: Path,
    pub(in crate::template) smartcard: Option<Path>,
    pub(in crate::template) start: Option<Path>,
    pub(in crate::template) end: Option<Path>,
    pub(in crate::template) suspended: Option<Test>,
    pub(in crate::template) times: TimesTable,
}

#[derive(Clone, Debug)]
pub(in crate::template) struct Pairings {
    pub(in crate::template) each: Path,
    pub(in crate::template) smartcard: Option<Path>,
    pub(in crate::template) stbs: Path,
}

#[derive(Clone, Debug)]
pub(in crate::template) struct Devices {
    pub(in crate::template) each: Path,
    pub(in crate::template) serial: Path,
    pub(in crate::template) enabled: Option<Test>,
    pub(in crate::template) account: Option<Path>,
    pub(in crate::template) paired: Option<Path>,
    pub(in crate::template) attributes: BTreeMap<String, Path>,
}

#[derive(Clone, Debug)]
pub(in crate::template) struct Subscriber {
    pub(in crate::template) account: Option<Path>,
    pub(in crate::template) state: Option<Path>,
    pub(in crate::template) devices: Option<Path>,
    pub(in crate::template) services: Option<Services>,
    pub(in crate::template) attributes: BTreeMap<String, Path>,
}

impl Extract {
    /// Whether it needs a body.
    pub(super) fn reads(&self) -> bool {
        self.session.is_some()
            || !self.keep.is_empty()
            || self.services.is_some()
            || self.pairings.is_some()
            || self.devices.is_some()
            || self.subscriber.is_some()
    }

    pub(super) fn tell(&self, tree: Tree<'_>, scope: &Scope<'_>) -> Result<Told, String> {
        let reference = self.reference.as_ref().and_then(|path| path.text(tree));
        let mut kept = BTreeMap::new();
        for (name, path) in &self.keep {
            let value = path.text(tree).ok_or_else(|| format!("it does not tell {name}"))?;
            kept.insert(name.clone(), value);
        }
        let session = match &self.session {
            None => None,
            Some(path) => Some(path.text(tree).filter(|text| !text.is_empty()).ok_or("it tells no session")?),
        };
        Ok(Told {
            reference: reference.and_then(|text| PlatformReference::new(&text).ok()),
            session: session.map(Secret::new),
            kept,
            answer: self.answer(tree, scope)?,
        })
    }

    fn answer(&self, tree: Tree<'_>, scope: &Scope<'_>) -> Result<Option<Answer>, String> {
        if let Some(services) = &self.services {
            return services.held(tree, scope).map(Answer::Services).map(Some);
        }
        if let Some(pairings) = &self.pairings {
            return pairings.read(tree, scope).map(Answer::Pairings).map(Some);
        }
        if let Some(devices) = &self.devices {
            return devices.read(tree).map(Answer::Devices).map(Some);
        }
        if let Some(subscriber) = &self.subscriber {
            return subscriber.read(tree, scope).map(Answer::Subscriber).map(Some);
        }
        if let Some((account, token)) = &self.authenticated {
            let account = match account {
                Some(path) => path.text(tree),
                None => scope.request.account_number().map(ToOwned::to_owned),
            };
            let token = token.as_ref().and_then(|path| path.text(tree)).map(Secret::new);
            let account = account.and_then(|account| AccountNumber::new(&account).ok());
            return Ok(Some(Answer::Authenticated(Authenticated { account, token })));
        }
        Ok(None)
    }
}

impl Services {
    /// By smartcard where the answer or the request tells one, else by account.
    fn held(&self, tree: Tree<'_>, scope: &Scope<'_>) -> Result<Vec<HeldServices>, String> {
        let mut by_card: BTreeMap<Option<Serial>, Vec<HeldService>> = BTreeMap::new();
        if self.smartcard.is_none() || scope.smartcards.len() == 1 {
            by_card.insert(scope.smartcards.first().cloned(), Vec::new());
        }
        for place in self.each.all(tree) {
            let card = match &self.smartcard {
                Some(path) => Some(serial(&path.text(place).ok_or("a service tells no smartcard")?)?),
                None => scope.smartcards.first().cloned(),
            };
            by_card.entry(card).or_default().push(self.one(place, scope)?);
        }
        let account = |card: &Option<Serial>| match card {
            Some(_) => None,
            None => scope.request.account_number().and_then(|account| AccountNumber::new(account).ok()),
        };
        let held = by_card.into_iter().map(|(smartcard, services)| HeldServices {
            account: account(&smartcard),
            smartcard,
            services,
        });
        Ok(held.collect())
    }

    fn one(&self, place: Tree<'_>, scope: &Scope<'_>) -> Result<HeldService, String> {
        let ca_id = self.ca_id.text(place).and_then(|id| CaId::new(&id).ok()).ok_or("a service tells no id")?;
        let time = |path: &Option<Path>| match path.as_ref().and_then(|path| path.text(place)) {
            None => Ok(None),
            Some(text) if text.is_empty() => Ok(None),
            Some(text) => self.times.read(&text, &scope.context.zone).map(Some).ok_or("a time can not be read"),
        };
        Ok(HeldService {
            code: scope.map.code(&ca_id).cloned(),
            start: time(&self.start)?,
            end: time(&self.end)?,
            suspended: self.suspended.as_ref().is_some_and(|test| test.holds(place)),
            ca_id,
        })
    }
}

impl Pairings {
    fn read(&self, tree: Tree<'_>, scope: &Scope<'_>) -> Result<Vec<Pairing>, String> {
        let pairings = self.each.all(tree).into_iter().map(|place| {
            let smartcard = match &self.smartcard {
                Some(path) => serial(&path.text(place).ok_or("a pairing tells no smartcard")?)?,
                None => scope.smartcards.first().cloned().ok_or("a pairing tells no smartcard")?,
            };
            let stbs = self.stbs.texts(place).iter().map(|text| serial(text)).collect::<Result<_, _>>()?;
            Ok(Pairing { smartcard, stbs })
        });
        pairings.collect()
    }
}

impl Devices {
    fn read(&self, tree: Tree<'_>) -> Result<Vec<KnownDevice>, String> {
        let devices = self.each.all(tree).into_iter().map(|place| {
            let paired = self.paired.as_ref().map(|path| path.texts(place)).unwrap_or_default();
            let account = self.account.as_ref().and_then(|path| path.text(place));
            Ok(KnownDevice {
                serial: serial(&self.serial.text(place).ok_or("a device tells no serial number")?)?,
                enabled: self.enabled.as_ref().map(|test| test.holds(place)),
                account: account.and_then(|account| AccountNumber::new(&account).ok()),
                paired: paired.iter().map(|text| serial(text)).collect::<Result<_, _>>()?,
                attributes: attributes(&self.attributes, place),
            })
        });
        devices.collect()
    }
}

impl Subscriber {
    fn read(&self, tree: Tree<'_>, scope: &Scope<'_>) -> Result<KnownSubscriber, String> {
        let account = match &self.account {
            Some(path) => path.text(tree),
            None => scope.request.account_number().map(ToOwned::to_owned),
        };
        let account = account.and_then(|account| AccountNumber::new(&account).ok()).ok_or("it tells no account")?;
        let devices = self.devices.as_ref().map(|path| path.texts(tree)).unwrap_or_default();
        let services = match &self.services {
            None => Vec::new(),
            Some(services) => {
                services.each.all(tree).into_iter().map(|place| services.one(place, scope)).collect::<Result<_, _>>()?
            }
        };
        Ok(KnownSubscriber {
            account,
            state: self.state.as_ref().and_then(|path| path.text(tree)).map(|text| words(&text)),
            devices: devices.iter().map(|text| serial(text)).collect::<Result<_, _>>()?,
            services,
            attributes: attributes(&self.attributes, tree),
        })
    }
}

impl TimesTable {
    /// A time as an answer writes it.
    pub(in crate::template) fn read(self, text: &str, zone: &TimeZone) -> Option<Timestamp> {
        match self {
            Self::Epoch => Timestamp::from_second(text.parse().ok()?).ok(),
            Self::EpochMs => Timestamp::from_millisecond(text.parse().ok()?).ok(),
            Self::Rfc3339 => text.parse().ok().or_else(|| {
                let local: DateTime = text.parse().ok()?;
                zone.to_timestamp(local).ok()
            }),
        }
    }
}

fn serial(text: &str) -> Result<Serial, String> {
    Serial::new(text).map_err(|_| "a serial number is empty or too long".to_owned())
}

fn attributes(paths: &BTreeMap<String, Path>, place: Tree<'_>) -> BTreeMap<String, PersonalText> {
    let told = paths.iter().filter_map(|(name, path)| {
        let text = PersonalText::new(&path.text(place)?).ok()?;
        Some((name.clone(), text))
    });
    told.collect()
}
