//! What was found out, in words no vendor owns.

use std::collections::BTreeMap;

use headgate_core::outcome::{Answer, HeldService, HeldServices, KnownDevice, KnownSubscriber, Pairing, RawAnswer};
use headgate_core::text::{AccountNumber, CaId, PersonalText, Serial};
use jiff::Timestamp;

use super::rules::Speech;
use super::task::{Findings, Telling};
use super::wire::records::{CardInfo, CardNumber, CardOrder, Package, SubscriberOrder};
use super::wire::value::{Misfit, Record, Value, Wire};

/// What a record says of a card that is told by names of its own, or that nobody needs to know.
const TOLD_ELSEWHERE: &[&str] = &[
    "sn",
    "pin",
    "disabled",
    "defect",
    "stbId",
    "contacts",
    "addresses",
    "smartcards",
    "code",
    "products",
    "packages",
];

/// What the findings tell; nothing: there was nothing to be told.
///
/// # Errors
/// [`Misfit`] if an answer was not of its form.
pub fn told(speech: &Speech, findings: &mut Findings) -> Result<Option<Answer>, Misfit> {
    let Some(telling) = findings.telling else { return Ok(None) };
    let values = std::mem::take(&mut findings.values);
    let told = Told { speech, values };
    Ok(match telling {
        Telling::Alive => None,
        Telling::CardOrders => Some(Answer::Services(told.card_orders()?)),
        Telling::CardPackages | Telling::PackageNames => Some(Answer::Services(told.card_packages()?)),
        Telling::SubscriberOrders => {
            let account = findings.account.as_deref().and_then(|account| AccountNumber::new(account).ok());
            let services = told.orders(&findings.cards)?;
            Some(Answer::Services(vec![HeldServices { smartcard: None, account, services }]))
        }
        Telling::Devices => Some(Answer::Devices(told.devices()?)),
        Telling::Pairings => Some(Answer::Pairings(told.pairings()?)),
        Telling::Subscriber | Telling::SubscriberCards => {
            Some(Answer::Subscriber(told.subscriber(findings.account.as_deref().unwrap_or_default())?))
        }
        Telling::Raw => Some(Answer::Raw(RawAnswer(findings.raw.clone()))),
    })
}

/// Answers that are being put together.
struct Told<'a> {
    speech: &'a Speech,
    values: Vec<(Telling, Option<String>, Value)>,
}

impl Told<'_> {
    /// The answers of one kind, each with the card that was asked about.
    fn all<T: Wire>(&self, telling: Telling) -> Result<Vec<(Option<Serial>, T)>, Misfit> {
        let zone = self.speech.checked.binding.zone();
        let meant = self.values.iter().filter(|(kind, ..)| *kind == telling);
        meant
            .map(|(_, card, value)| {
                let card = card.as_deref().and_then(|card| Serial::new(card).ok());
                T::read(value.clone(), zone).map(|value| (card, value))
            })
            .collect()
    }

    fn card_orders(&self) -> Result<Vec<HeldServices>, Misfit> {
        let all = self.all::<Vec<CardOrder>>(Telling::CardOrders)?;
        let held = |order: &CardOrder| {
            self.service(order.product_id.to_string(), order.activation_time, order.expiry_time, order.disabled)
        };
        let card = |(smartcard, orders): (Option<Serial>, Vec<CardOrder>)| HeldServices {
            smartcard,
            account: orders.iter().find_map(|order| account(order.subscriber_code.as_deref())),
            services: orders.iter().filter_map(held).collect(),
        };
        Ok(all.into_iter().map(card).collect())
    }

    /// Packages are told as texts, which are their names or their numbers: that is not published.
    fn card_packages(&self) -> Result<Vec<HeldServices>, Misfit> {
        let packages = self.all::<Vec<Package>>(Telling::PackageNames)?;
        let names: BTreeMap<_, _> = packages
            .iter()
            .flat_map(|(_, packages)| packages)
            .filter_map(|package| Some((package.alias.as_deref()?, package.package_id)))
            .collect();
        let all = self.all::<Vec<String>>(Telling::CardPackages)?;
        let held = |text: &String| {
            let ca_id = names.get(text.as_str()).map_or_else(|| text.clone(), i64::to_string);
            self.service(ca_id, None, None, false)
        };
        let card = |(smartcard, texts): (Option<Serial>, Vec<String>)| HeldServices {
            smartcard,
            account: None,
            services: texts.iter().filter_map(held).collect(),
        };
        Ok(all.into_iter().map(card).collect())
    }

    fn orders(&self, cards: &[String]) -> Result<Vec<HeldService>, Misfit> {
        let all = self.all::<Vec<SubscriberOrder>>(Telling::SubscriberOrders)?;
        let meant = |order: &&SubscriberOrder| {
            cards.is_empty() || order.smartcards.is_empty() || order.smartcards.iter().any(|c| cards.contains(c))
        };
        let held = |order: &SubscriberOrder| {
            self.service(order.product_id.to_string(), order.activation_time, order.expiry_time, order.disabled)
        };
        Ok(all.iter().flat_map(|(_, orders)| orders).filter(meant).filter_map(held).collect())
    }

    fn service(
        &self,
        ca_id: String,
        start: Option<Timestamp>,
        end: Option<Timestamp>,
        suspended: bool,
    ) -> Option<HeldService> {
        let ca_id = CaId::new(&ca_id).ok()?;
        Some(HeldService { code: self.speech.services.code(&ca_id).cloned(), ca_id, start, end, suspended })
    }

    fn devices(&self) -> Result<Vec<KnownDevice>, Misfit> {
        let records = self.all::<Record>(Telling::Devices)?;
        let infos = self.all::<CardInfo>(Telling::Devices)?;
        let device = |((card, record), (_, info)): ((Option<Serial>, Record), (_, CardInfo))| {
            let mut attributes = texts(&record);
            if info.defect {
                attributes.extend(PersonalText::new("true").ok().map(|text| ("defect".to_owned(), text)));
            }
            let serial = Serial::new(&info.sn).ok().or(card)?;
            let paired = info.stb_id.as_deref().and_then(|stb| Serial::new(stb).ok());
            Some(KnownDevice {
                serial,
                enabled: Some(!info.disabled && !info.defect),
                account: None,
                paired: paired.into_iter().collect(),
                attributes,
            })
        };
        Ok(records.into_iter().zip(infos).filter_map(device).collect())
    }

    fn pairings(&self) -> Result<Vec<Pairing>, Misfit> {
        let infos = self.all::<CardInfo>(Telling::Pairings)?;
        let pairing = |(card, info): (Option<Serial>, CardInfo)| {
            let stbs = info.stb_id.as_deref().and_then(|stb| Serial::new(stb).ok()).into_iter().collect();
            Some(Pairing { smartcard: Serial::new(&info.sn).ok().or(card)?, stbs })
        };
        Ok(infos.into_iter().filter_map(pairing).collect())
    }

    fn subscriber(&self, asked: &str) -> Result<KnownSubscriber, Misfit> {
        let records = self.all::<Record>(Telling::Subscriber)?;
        let cards = self.all::<Vec<CardNumber>>(Telling::SubscriberCards)?;
        let record = records.into_iter().next().map(|(_, record)| record).unwrap_or_default();
        let account = AccountNumber::new(asked).map_err(|error| Misfit(format!("code: {error}")))?;
        Ok(KnownSubscriber {
            account,
            state: None,
            devices: cards.iter().flat_map(|(_, cards)| cards).filter_map(|card| Serial::new(&card.sn).ok()).collect(),
            services: self.orders(&[])?,
            attributes: texts(&record),
        })
    }
}

/// A record's own texts and numbers, by the platform's names.
fn texts(record: &Record) -> BTreeMap<String, PersonalText> {
    let told = record.members.iter().filter(|(name, _)| !TOLD_ELSEWHERE.contains(&&**name));
    told.filter_map(|(name, value)| {
        let text = match value {
            Value::Text(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            Value::Bool(value) => value.to_string(),
            _ => return None,
        };
        Some((name.to_string(), PersonalText::new(&text).ok()?))
    })
    .collect()
}

fn account(code: Option<&str>) -> Option<AccountNumber> {
    code.and_then(|code| AccountNumber::new(code).ok())
}
