//! Orders of subscribers.

use std::collections::BTreeSet;
use std::time::Duration;

use headgate_core::Now;
use jiff::Timestamp;

use super::super::wire::records::{CardOrder, SubscriberOrder};
use super::super::wire::value::{Value, Wire};
use super::super::wire::{Operation, Reply};
use super::error;
use super::state::{OrderRow, State};

/// How far back an order may begin, and the least that it must last: the simulator's own.
const DAY: Duration = Duration::from_hours(24);

/// How far ahead an order may be switched on until \[S1\].
const LONGEST_OVERRIDE: Duration = Duration::from_hours(7 * 24);

/// The products whose orders have fixed run times: the simulator's own.
const FIXED: std::ops::RangeInclusive<i64> = 900..=999;

impl State {
    /// Carries an operation on orders out; nothing: it is none.
    pub(super) fn apply_to_orders(&mut self, now: Now, operation: &Operation) -> Option<Reply> {
        Some(match operation {
            Operation::AddFlexibleOrderToSubscriber {
                product_id,
                subscriber_code,
                activation_time,
                expiry_time,
                only_specified_smartcards,
                smartcards,
                ..
            } => {
                let cards = only_specified_smartcards.then(|| smartcards.clone().unwrap_or_default());
                self.add_order(now, subscriber_code, *product_id, (*activation_time, *expiry_time), cards)
            }
            Operation::ExtendOrderOfSubscriber { order_id, subscriber_code, until } => {
                self.change_order(subscriber_code, *order_id, |order| match until {
                    Some(until) => {
                        order.end = order.end.max(*until);
                        Ok(())
                    }
                    None => Err(error("until_is_missing")),
                })
            }
            Operation::TerminateOrderOfSubscriber { order_id, subscriber_code, until } => {
                let until = until.filter(|until| *until > now.wall);
                match until {
                    Some(until) => self.change_order(subscriber_code, *order_id, |order| {
                        order.end = order.end.min(until);
                        Ok(())
                    }),
                    None => self.change_order(subscriber_code, *order_id, |_| Ok(())).inspect(|_| {
                        if let Some(row) = self.subscribers.get_mut(subscriber_code) {
                            row.orders.remove(order_id);
                        }
                    }),
                }
            }
            Operation::DisableOrderOfSubscriber { order_id, subscriber_code } => {
                self.change_order(subscriber_code, *order_id, |order| {
                    order.disabled = true;
                    Ok(())
                })
            }
            Operation::EnableOrderOfSubscriber { order_id, subscriber_code, until } => {
                let too_far = until.is_some_and(|until| until > now.wall_after(LONGEST_OVERRIDE));
                self.change_order(subscriber_code, *order_id, |order| {
                    if too_far {
                        return Err(error("enable_until_to_far_in_future"));
                    }
                    order.disabled = false;
                    Ok(())
                })
            }
            Operation::AddSmartcardToOrder { subscriber_code, order_id, smartcard } => {
                self.own(subscriber_code, smartcard).and_then(|_| {
                    self.change_order(subscriber_code, *order_id, |order| {
                        if let Some(cards) = &mut order.cards {
                            cards.insert(smartcard.clone());
                        }
                        Ok(())
                    })
                })
            }
            Operation::RemoveSmartcardFromOrder { subscriber_code, order_id, smartcard } => {
                self.own(subscriber_code, smartcard).and_then(|all| {
                    self.change_order(subscriber_code, *order_id, |order| {
                        order.cards.get_or_insert(all).remove(smartcard);
                        Ok(())
                    })
                })
            }
            Operation::GetOrdersOfSubscriber { subscriber_code, include_expired_orders } => {
                self.orders_of(now, subscriber_code, *include_expired_orders)
            }
            Operation::GetOrdersOnSmartcard { smartcard_id } => {
                self.card(smartcard_id).map(|_| ()).map(|()| self.orders_on_card(smartcard_id))
            }
            Operation::AddPpvOrderToSubscriber { ppv_id, subscriber_code } => {
                let id = self.next_order();
                self.subscriber(subscriber_code).map(|row| {
                    row.events.insert(id, *ppv_id);
                    Value::Absent
                })
            }
            _ => return None,
        })
    }

    fn add_order(
        &mut self,
        now: Now,
        code: &str,
        product: i64,
        (start, end): (Timestamp, Timestamp),
        cards: Option<Vec<String>>,
    ) -> Reply {
        self.subscriber(code)?;
        self.know_product(product)?;
        for card in cards.iter().flatten() {
            self.card(card)?;
            self.own(code, card)?;
        }
        if FIXED.contains(&product) {
            return Err(error("flexible_run_times_not_allowed"));
        }
        if start.saturating_add(DAY).is_ok_and(|latest| latest < now.wall) {
            return Err(error("activation_time_too_far_in_past"));
        }
        if start.saturating_add(DAY).is_ok_and(|earliest| end < earliest) {
            return Err(error("expiring_before_min_run_time"));
        }
        let id = self.next_order();
        let cards = cards.map(|cards| cards.into_iter().collect());
        self.subscriber(code)?.orders.insert(id, OrderRow { product, start, end, disabled: false, cards });
        Ok(Value::Number(id))
    }

    fn change_order(
        &mut self,
        code: &str,
        id: i64,
        change: impl FnOnce(&mut OrderRow) -> Result<(), super::ServiceError>,
    ) -> Reply {
        let order = self.subscriber(code)?.orders.get_mut(&id).ok_or_else(|| error("not_an_order"))?;
        change(order).map(|()| Value::Absent)
    }

    /// The subscriber's cards, if that one is among them.
    fn own(&mut self, code: &str, card: &str) -> Result<BTreeSet<String>, super::ServiceError> {
        let cards = &self.subscriber(code)?.cards;
        if cards.contains(card) { Ok(cards.clone()) } else { Err(error("subscriber_does_not_own_smartcard")) }
    }

    fn orders_of(&mut self, now: Now, code: &str, expired_too: bool) -> Reply {
        if !code.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_') {
            return Err(error("not_alpha_numeric"));
        }
        let row = self.subscriber(code)?;
        let meant = row.orders.iter().filter(|(_, order)| expired_too || order.end > now.wall);
        let order = |(id, order): (&i64, &OrderRow)| SubscriberOrder {
            order_id: *id,
            subscriber_code: Some(code.to_owned()),
            product_id: order.product,
            activation_time: Some(order.start),
            expiry_time: Some(order.end),
            smartcards: order.cards.iter().flatten().cloned().collect(),
            is_flexible_order: Some(true),
            disabled: order.disabled,
        };
        Ok(meant.map(order).collect::<Vec<_>>().write())
    }

    fn orders_on_card(&self, card: &str) -> Value {
        let order = |(order_id, owner, order): (i64, &str, &OrderRow)| CardOrder {
            order_id,
            product_id: order.product,
            activation_time: Some(order.start),
            expiry_time: Some(order.end),
            disabled: order.disabled,
            sn: order.cards.as_ref().map(|_| card.to_owned()),
            subscriber_code: Some(owner.to_owned()),
        };
        self.orders_on(card).into_iter().map(order).collect::<Vec<_>>().write()
    }
}
