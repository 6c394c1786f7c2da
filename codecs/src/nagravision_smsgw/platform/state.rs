//! What the simulated platform holds, and what it refuses to do with it.

use std::collections::{BTreeMap, BTreeSet};

use headgate_core::command::DisableReason;
use headgate_core::platform::{Card, Holding, Holdings};
use jiff::tz::TimeZone;

use super::super::days::{day_of, first_second, last_second};
use super::super::profile::{CommandName, FieldName, Profile};
use super::super::wire::Values;
use super::Refused;
use crate::registry::Stock;

/// Whether a command changes nothing.
pub(super) const fn is_query(name: CommandName) -> bool {
    matches!(
        name,
        CommandName::HeldProducts | CommandName::HeldPairing | CommandName::ConnectionTest | CommandName::OpenSession
    )
}

/// Cards and products, and which box is paired with which card.
#[derive(Debug)]
pub(super) struct State {
    pub(super) holdings: Holdings,
    /// Cards that are not in stock are known as soon as they are named.
    every_card: bool,
    /// Known products; empty: every one.
    products: BTreeSet<String>,
    card_of_stb: BTreeMap<String, String>,
    zone: TimeZone,
}

impl State {
    pub(super) fn new(stock: &Stock, zone: TimeZone) -> Self {
        let cards = stock.cards.iter().map(|number| (number.clone(), Card::default())).collect();
        Self {
            holdings: Holdings { cards, ..Holdings::default() },
            every_card: stock.cards.is_empty(),
            products: stock.products.iter().cloned().collect(),
            card_of_stb: BTreeMap::new(),
            zone,
        }
    }

    /// Carries out a command; tells what its answer tells.
    pub(super) fn apply<'a>(
        &mut self,
        profile: &Profile,
        name: CommandName,
        values: &Values<'a>,
    ) -> Result<Values<'a>, Refused> {
        if name == CommandName::ConnectionTest {
            return Ok(Values::default());
        }
        let zone = self.zone.clone();
        for product in products_named(values) {
            self.know_product(product)?;
        }
        if name == CommandName::Pair {
            return self.pair(values);
        }
        let card = self.card(values)?;
        let usable = is_query(name) || matches!(name, CommandName::EnableCard | CommandName::DisableCard);
        let taking_away = matches!(name, CommandName::CancelProduct | CommandName::CancelAll | CommandName::Unpair);
        if card.disabled.is_some() && !usable && !taking_away {
            return Err("card_disabled");
        }
        match name {
            CommandName::AddProduct => add(card, values, values, &zone)?,
            CommandName::AddProducts => add_all(card, values, &zone)?,
            CommandName::ReplaceProducts => {
                let mut replaced = Card { services: BTreeMap::new(), ..card.clone() };
                add_all(&mut replaced, values, &zone)?;
                *card = replaced;
            }
            // What is not held is gone already, so that taking away twice does what taking away once does.
            CommandName::CancelProduct => {
                card.services.remove(text(values, FieldName::Product)?);
            }
            CommandName::CancelAll => card.services.clear(),
            CommandName::SuspendProduct => held(card, values)?.suspended = true,
            CommandName::ReactivateProduct => held(card, values)?.suspended = false,
            CommandName::SuspendAll => card.services.values_mut().for_each(|holding| holding.suspended = true),
            CommandName::ReactivateAll => card.services.values_mut().for_each(|holding| holding.suspended = false),
            CommandName::Refresh => card.refreshes += 1,
            CommandName::EnableCard => card.disabled = None,
            CommandName::DisableCard => {
                let reason = values.number_of(FieldName::Reason).and_then(|number| profile.reason_of(number));
                card.disabled = Some(reason.map_or("unknown", DisableReason::name).to_owned());
            }
            CommandName::SetPin => card.pin = Some(text(values, FieldName::Pin)?.to_owned()),
            CommandName::ResetPin => card.pin = Some("default".to_owned()),
            CommandName::ClearPin => card.pin = None,
            CommandName::Mail | CommandName::Bark | CommandName::RepeatingBark => {
                card.messages.push(text(values, FieldName::Text)?.to_owned());
            }
            CommandName::Fingerprint => card.fingerprints += 1,
            CommandName::HeldProducts => return Ok(products_held(card, &zone)),
            CommandName::HeldPairing => return Ok(boxes_paired(card)),
            CommandName::Unpair => {
                for stb in std::mem::take(&mut card.stbs) {
                    self.card_of_stb.remove(&stb);
                }
            }
            CommandName::Pair | CommandName::ConnectionTest | CommandName::OpenSession => {}
        }
        Ok(Values::default())
    }

    fn card(&mut self, values: &Values<'_>) -> Result<&mut Card, Refused> {
        let number = text(values, FieldName::Card)?;
        if number.is_empty() {
            return Err("malformed");
        }
        if !self.holdings.cards.contains_key(number) {
            if !self.every_card {
                return Err("unknown_card");
            }
            self.holdings.cards.insert(number.to_owned(), Card::default());
        }
        self.holdings.cards.get_mut(number).ok_or("unknown_card")
    }

    fn know_product(&self, product: &str) -> Result<(), Refused> {
        match product {
            "" => Err("malformed"),
            product if self.products.is_empty() || self.products.contains(product) => Ok(()),
            _ => Err("unknown_product"),
        }
    }

    /// Ties a card to one box, ending any pairing that either had.
    fn pair<'a>(&mut self, values: &Values<'_>) -> Result<Values<'a>, Refused> {
        let number = text(values, FieldName::Card)?.to_owned();
        let stb = text(values, FieldName::Stb)?.to_owned();
        if stb.is_empty() {
            return Err("malformed");
        }
        let card = self.card(values)?;
        if card.disabled.is_some() {
            return Err("card_disabled");
        }
        let before = std::mem::replace(&mut card.stbs, BTreeSet::from([stb.clone()]));
        for old in before {
            self.card_of_stb.remove(&old);
        }
        if let Some(other) = self.card_of_stb.insert(stb.clone(), number.clone()).filter(|other| *other != number)
            && let Some(other) = self.holdings.cards.get_mut(&other)
        {
            other.stbs.remove(&stb);
        }
        Ok(Values::default())
    }
}

fn text<'v>(values: &'v Values<'_>, name: FieldName) -> Result<&'v str, Refused> {
    values.text_of(name).ok_or("malformed")
}

fn products_named<'v>(values: &'v Values<'_>) -> impl Iterator<Item = &'v str> {
    let listed = values.items_of(FieldName::Products).iter().filter_map(|item| item.text_of(FieldName::Product));
    values.text_of(FieldName::Product).into_iter().chain(listed)
}

/// Adds the product that `item` names, for the period of the item or else of the whole message.
fn add(card: &mut Card, item: &Values<'_>, whole: &Values<'_>, zone: &TimeZone) -> Result<(), Refused> {
    let day = |name| item.date_of(name).or_else(|| whole.date_of(name));
    let (begin, end) = (day(FieldName::BeginDate), day(FieldName::EndDate));
    if begin.zip(end).is_some_and(|(begin, end)| end < begin) {
        return Err("bad_period");
    }
    let holding = Holding {
        start: begin.and_then(|day| first_second(day, zone)),
        end: end.and_then(|day| last_second(day, zone)),
        suspended: false,
    };
    card.services.insert(text(item, FieldName::Product)?.to_owned(), holding);
    Ok(())
}

fn add_all(card: &mut Card, values: &Values<'_>, zone: &TimeZone) -> Result<(), Refused> {
    values.items_of(FieldName::Products).iter().try_for_each(|item| add(card, item, values, zone))
}

fn held<'c>(card: &'c mut Card, values: &Values<'_>) -> Result<&'c mut Holding, Refused> {
    card.services.get_mut(text(values, FieldName::Product)?).ok_or("not_held")
}

fn products_held<'a>(card: &Card, zone: &TimeZone) -> Values<'a> {
    let items = card.services.iter().map(|(product, holding)| {
        Values::default()
            .text(FieldName::Product, product.clone())
            .date(FieldName::BeginDate, holding.start.map(|at| day_of(at, zone)))
            .date(FieldName::EndDate, holding.end.map(|at| day_of(at, zone)))
            .number(FieldName::Suspended, u64::from(holding.suspended))
    });
    Values::default().list(FieldName::Products, items.collect())
}

fn boxes_paired<'a>(card: &Card) -> Values<'a> {
    let items = card.stbs.iter().map(|stb| Values::default().text(FieldName::Stb, stb.clone()));
    Values::default().list(FieldName::Stbs, items.collect())
}
