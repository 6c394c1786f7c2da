//! Flexible orders of a subscriber: which of them must be made, extended, ended, switched off or on.

use headgate_core::Now;
use headgate_core::text::Serial;
use jiff::Timestamp;

use super::task::{Part, Then};
use super::wire::Operation;
use super::wire::records::SubscriberOrder;

/// What a subscriber's orders shall become.
#[derive(Clone, Debug)]
pub struct OrderGoal {
    /// What is to be done.
    pub aim: Aim,
    /// Whose orders.
    pub subscriber: String,
    /// For these products; empty: for all, where that makes sense.
    pub products: Vec<i64>,
    /// On these cards; empty: on all.
    pub cards: Vec<String>,
    /// From when; absent: at once.
    pub start: Option<Timestamp>,
    /// Until when.
    pub end: Timestamp,
    /// Orders that are switched on again are so until then; absent: without an end.
    pub resume_until: Option<Timestamp>,
}

/// What is to be done with orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aim {
    /// Make them, or extend them.
    Activate,
    /// End them.
    Deactivate,
    /// Make or extend them, and end all others.
    Set,
    /// Switch them off for a while.
    Suspend,
    /// Switch them on again.
    Resume,
}

impl OrderGoal {
    /// The operations that lead from the orders there are to the goal.
    #[must_use]
    pub fn parts(&self, now: Now, orders: &[SubscriberOrder]) -> Vec<Part> {
        let mut parts = Vec::new();
        if matches!(self.aim, Aim::Deactivate | Aim::Set) {
            let ended = orders.iter().filter(|order| self.covers(order));
            parts.extend(ended.flat_map(|order| self.end(order)));
        }
        if matches!(self.aim, Aim::Activate | Aim::Set) {
            parts.extend(self.products.iter().flat_map(|product| self.hold(now, *product, orders)));
        }
        if matches!(self.aim, Aim::Suspend | Aim::Resume) {
            let off = self.aim == Aim::Suspend;
            let switched = orders.iter().filter(|order| self.covers(order) && order.disabled != off);
            parts.extend(
                switched
                    .map(|order| switch(order.order_id, &self.subscriber, order.product_id, off, self.resume_until)),
            );
        }
        parts
    }

    /// Whether the aim is to change that order: for [`Aim::Set`], whether it is to be ended.
    fn covers(&self, order: &SubscriberOrder) -> bool {
        let named = self.products.contains(&order.product_id);
        let wanted = match self.aim {
            Aim::Set => !named,
            _ => named || self.products.is_empty(),
        };
        wanted && self.reaches(order)
    }

    /// Whether it is for one of the cards. An order that names none is for all of them.
    fn reaches(&self, order: &SubscriberOrder) -> bool {
        self.cards.is_empty()
            || order.smartcards.is_empty()
            || order.smartcards.iter().any(|card| self.cards.contains(card))
    }

    /// Ends an order, or takes the cards out of it where it is for others too.
    fn end(&self, order: &SubscriberOrder) -> Vec<Part> {
        let SubscriberOrder { order_id, product_id, .. } = *order;
        let subscriber_code = self.subscriber.clone();
        let everywhere = order.smartcards.is_empty();
        let whole =
            self.cards.is_empty() || !everywhere && order.smartcards.iter().all(|card| self.cards.contains(card));
        if whole {
            let operation = Operation::TerminateOrderOfSubscriber { order_id, subscriber_code, until: None };
            return vec![Part::new(operation).about(name(product_id))];
        }
        let leaving = self.cards.iter().filter(|card| everywhere || order.smartcards.contains(card));
        let part = |card: &String| {
            let (subscriber_code, smartcard) = (subscriber_code.clone(), card.clone());
            let operation = Operation::RemoveSmartcardFromOrder { subscriber_code, order_id, smartcard };
            Part::new(operation).about(Serial::new(card))
        };
        leaving.map(part).collect()
    }

    /// Sees to it that a product is ordered until the end: by a new order, or by what an old one lacks.
    fn hold(&self, now: Now, product: i64, orders: &[SubscriberOrder]) -> Vec<Part> {
        let same = |order: &&SubscriberOrder| order.product_id == product && self.reaches(order);
        let Some(order) = orders.iter().find(same) else { return vec![self.order(now, product)] };
        let mut parts = Vec::new();
        if order.expiry_time.is_some_and(|expiry| expiry < self.end) {
            let operation = Operation::ExtendOrderOfSubscriber {
                order_id: order.order_id,
                subscriber_code: self.subscriber.clone(),
                until: Some(self.end),
            };
            parts.push(Part::new(operation).about(name(product)));
        }
        let everywhere = order.smartcards.is_empty();
        for card in self.cards.iter().filter(|card| !everywhere && !order.smartcards.contains(card)) {
            let operation = Operation::AddSmartcardToOrder {
                subscriber_code: self.subscriber.clone(),
                order_id: order.order_id,
                smartcard: card.clone(),
            };
            parts.push(Part::new(operation).about(Serial::new(card)));
        }
        parts
    }

    fn order(&self, now: Now, product: i64) -> Part {
        let operation = Operation::AddFlexibleOrderToSubscriber {
            product_id: product,
            subscriber_code: self.subscriber.clone(),
            activation_time: self.start.unwrap_or(now.wall),
            expiry_time: self.end,
            only_specified_smartcards: !self.cards.is_empty(),
            smartcards: (!self.cards.is_empty()).then(|| self.cards.clone()),
            optional_packages: None,
        };
        Part::new(operation).about(name(product)).then(Then::Order)
    }
}

/// Switches an order off for a while, or on again.
#[must_use]
pub fn switch(order_id: i64, subscriber: &str, product: i64, off: bool, until: Option<Timestamp>) -> Part {
    let subscriber_code = subscriber.to_owned();
    let operation = if off {
        Operation::DisableOrderOfSubscriber { order_id, subscriber_code }
    } else {
        Operation::EnableOrderOfSubscriber { order_id, subscriber_code, until }
    };
    Part::new(operation).about(name(product))
}

/// A product, as a part that may fail.
fn name(product: i64) -> Option<Serial> {
    Serial::new(&product.to_string()).ok()
}
