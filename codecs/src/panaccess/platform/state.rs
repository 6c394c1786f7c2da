//! Cards, subscribers and their orders, and what of it is shown.

use std::collections::{BTreeMap, BTreeSet};

use headgate_core::Now;
use headgate_core::platform::{Account, Card, Holding, Holdings};
use jiff::Timestamp;

use super::super::settings::Checked;
use super::super::wire::value::{Record, Value, Wire};
use super::super::wire::{Operation, Reply};
use super::error;
use crate::registry::Stock;

/// Everything that is kept.
#[derive(Debug)]
pub(super) struct State {
    pub(super) cards: BTreeMap<String, CardRow>,
    pub(super) subscribers: BTreeMap<String, SubscriberRow>,
    /// The packages of products, by product, for messages.
    pub(super) packages: BTreeMap<i64, i64>,
    /// Known products; empty: every one.
    products: BTreeSet<i64>,
    /// Cards that are not in stock are known as soon as they are named.
    every_card: bool,
    orders: i64,
    pub(super) holdings: Holdings,
}

/// A card.
#[derive(Debug, Default)]
pub(super) struct CardRow {
    pub(super) owner: Option<String>,
    pub(super) disabled: bool,
    pub(super) defect: bool,
    pub(super) stb: Option<String>,
    pub(super) pin: Option<i64>,
    /// Set past orders.
    pub(super) packages: BTreeMap<i64, (Option<Timestamp>, Option<Timestamp>)>,
    pub(super) config: i64,
}

/// A subscriber.
#[derive(Debug, Default)]
pub(super) struct SubscriberRow {
    pub(super) record: Record,
    pub(super) cards: BTreeSet<String>,
    pub(super) orders: BTreeMap<i64, OrderRow>,
    pub(super) events: BTreeMap<i64, i64>,
}

/// An order.
#[derive(Clone, Debug)]
pub(super) struct OrderRow {
    pub(super) product: i64,
    pub(super) start: Timestamp,
    pub(super) end: Timestamp,
    pub(super) disabled: bool,
    /// The cards it is for; absent: all of the subscriber's.
    pub(super) cards: Option<BTreeSet<String>>,
}

impl OrderRow {
    pub(super) fn reaches(&self, card: &str) -> bool {
        self.cards.as_ref().is_none_or(|cards| cards.contains(card))
    }
}

impl State {
    pub(super) fn new(checked: &Checked, stock: &Stock) -> Self {
        let cards: BTreeMap<_, _> = stock.cards.iter().map(|card| (card.clone(), CardRow::default())).collect();
        let shown = stock.cards.iter().map(|card| (card.clone(), Card::default())).collect();
        let packages = &checked.settings.packages;
        Self {
            cards,
            subscribers: BTreeMap::new(),
            packages: packages.iter().filter_map(|(id, package)| Some((id.as_str().parse().ok()?, *package))).collect(),
            products: stock.products.iter().filter_map(|product| product.parse().ok()).collect(),
            every_card: stock.cards.is_empty(),
            orders: 0,
            holdings: Holdings { cards: shown, ..Holdings::default() },
        }
    }

    /// Carries an operation out.
    pub(super) fn apply(&mut self, now: Now, operation: &Operation) -> Reply {
        let reply = match self.apply_to_cards(now, operation) {
            Some(reply) => reply,
            None => match self.apply_to_subscribers(operation) {
                Some(reply) => reply,
                None => match self.apply_to_orders(now, operation) {
                    Some(reply) => reply,
                    None => self.send(operation).unwrap_or_else(|| Err(error("function_not_available"))),
                },
            },
        };
        if !operation.is_harmless() {
            self.show_named(operation);
        }
        reply
    }

    /// Whether a card is switched off.
    pub(super) fn is_off(&self, card: &str) -> bool {
        self.cards.get(card).is_some_and(|row| row.disabled)
    }

    pub(super) fn delete_product(&mut self, product: i64) {
        for row in self.subscribers.values_mut() {
            row.orders.retain(|_, order| order.product != product);
        }
        let everything: Vec<_> = self.subscribers.keys().cloned().collect();
        everything.iter().for_each(|code| self.show_subscriber(code));
    }

    // ---- what is known

    pub(super) fn card(&mut self, number: &str) -> Result<&mut CardRow, super::ServiceError> {
        let well_formed = number.len() == 10 && number.bytes().all(|b| b.is_ascii_digit());
        if !well_formed || !(self.every_card || self.cards.contains_key(number)) {
            return Err(error("not_a_smartcard"));
        }
        Ok(self.cards.entry(number.to_owned()).or_default())
    }

    pub(super) fn subscriber(&mut self, code: &str) -> Result<&mut SubscriberRow, super::ServiceError> {
        self.subscribers.get_mut(code).ok_or_else(|| error("subscriber_does_not_exist"))
    }

    pub(super) fn know_product(&self, product: i64) -> Result<(), super::ServiceError> {
        let known = product > 0 && (self.products.is_empty() || self.products.contains(&product));
        if known { Ok(()) } else { Err(error("not_a_product")) }
    }

    /// The subscriber of a card; one that had none gets one of its own number \[S1\].
    pub(super) fn owner(&mut self, card: &str) -> Result<String, super::ServiceError> {
        let row = self.card(card)?;
        if let Some(owner) = &row.owner {
            return Ok(owner.clone());
        }
        row.owner = Some(card.to_owned());
        let subscriber = self.subscribers.entry(card.to_owned()).or_default();
        subscriber.cards.insert(card.to_owned());
        if subscriber.record.members.is_empty() {
            subscriber.record = Record::new("Subscriber");
            subscriber.record.set("code", Value::Text(card.to_owned()));
        }
        Ok(card.to_owned())
    }

    /// The number of a new order.
    pub(super) const fn next_order(&mut self) -> i64 {
        self.orders += 1;
        self.orders
    }

    /// The orders that reach a card, with their subscriber.
    pub(super) fn orders_on(&self, card: &str) -> Vec<(i64, &str, &OrderRow)> {
        let owner = self.cards.get(card).and_then(|row| row.owner.as_deref()).unwrap_or_default();
        let Some(row) = self.subscribers.get(owner) else { return Vec::new() };
        row.orders.iter().filter(|(_, o)| o.reaches(card)).map(|(id, order)| (*id, owner, order)).collect()
    }

    // ---- what is shown

    /// Shows again what the operation may have changed.
    fn show_named(&mut self, operation: &Operation) {
        for (name, value) in operation.parameters() {
            let texts = match value {
                Value::Text(text) => vec![text],
                Value::List(list) => list.items.into_iter().filter_map(text_of).collect(),
                Value::Record(record) => record.get("code").cloned().and_then(text_of).into_iter().collect(),
                _ => continue,
            };
            for text in texts.iter().filter(|_| name != "text") {
                if self.subscribers.contains_key(text) || self.holdings.accounts.contains_key(text) {
                    self.show_subscriber(text);
                }
                if let Some(owner) = self.cards.get(text).map(|row| row.owner.clone()) {
                    self.show_card(text);
                    if let Some(owner) = owner {
                        self.show_subscriber(&owner);
                    }
                }
            }
        }
    }

    /// Shows a subscriber and its cards.
    pub(super) fn show_subscriber(&mut self, code: &str) {
        let Some(row) = self.subscribers.get(code) else {
            self.holdings.accounts.remove(code);
            return;
        };
        let attribute = |(name, value): &(std::borrow::Cow<'static, str>, Value)| match value {
            Value::Text(text) if name != "code" => Some((name.to_string(), text.clone())),
            _ => None,
        };
        let everywhere = row.orders.values().filter(|order| order.cards.is_none());
        let usage = |(id, event): (&i64, &i64)| (id.to_string(), event.to_string());
        let before = self.holdings.accounts.remove(code).unwrap_or_default();
        let cards: Vec<_> = row.cards.iter().cloned().collect();
        let account = Account {
            devices: row.cards.clone(),
            services: everywhere.map(|order| (order.product.to_string(), holding(order))).collect(),
            attributes: row.record.members.iter().filter_map(attribute).collect(),
            usages: row.events.iter().map(usage).collect(),
            ..before
        };
        self.holdings.accounts.insert(code.to_owned(), account);
        cards.iter().for_each(|card| self.show_card(card));
    }

    fn show_card(&mut self, number: &str) {
        let Some(row) = self.cards.get(number) else { return };
        let ordered = self.orders_on(number).into_iter().map(|(.., order)| (order.product.to_string(), holding(order)));
        let packages = row
            .packages
            .iter()
            .map(|(id, (start, end))| (id.to_string(), Holding { start: *start, end: *end, suspended: false }));
        let services = ordered.chain(packages).collect();
        let disabled = match (row.defect, row.disabled) {
            (true, _) => Some("defect".to_owned()),
            (false, true) => Some("disabled".to_owned()),
            (false, false) => None,
        };
        let (stbs, pin) = (row.stb.iter().cloned().collect(), row.pin.map(|pin| format!("{pin:04}")));
        let shown = self.holdings.cards.entry(number.to_owned()).or_default();
        shown.services = services;
        shown.disabled = disabled;
        shown.stbs = stbs;
        shown.pin = pin;
    }
}

fn holding(order: &OrderRow) -> Holding {
    Holding { start: Some(order.start), end: Some(order.end), suspended: order.disabled }
}

fn text_of(value: Value) -> Option<String> {
    String::read(value, &jiff::tz::TimeZone::UTC).ok()
}
