//! What the answer of a part leads to: more parts, something to tell, or a refusal that stands after all.

use std::collections::VecDeque;
use std::time::Duration;

use headgate_core::Now;
use headgate_core::text::Serial;

use super::dialogue::CableView;
use super::orders::switch;
use super::subscriber;
use super::task::{BLOCK, Despite, Part, Task, Telling, Then};
use super::wire::records::{CardInfo, CardNumber, CardOrder, SubscriberOrder};
use super::wire::value::{Misfit, Record, Value};
use super::wire::{Operation, ServiceError};

impl CableView {
    /// What an answer leads to: more parts, something to tell, or a refusal that stands after all.
    pub(super) fn follow(
        &self,
        now: Now,
        task: &mut Task,
        part: Part,
        value: Value,
    ) -> Result<Option<(Vec<Serial>, ServiceError)>, Misfit> {
        let Part { about, then, .. } = part;
        let count = about.len().max(1);
        let mut next = VecDeque::new();
        match then {
            Then::Done => task.done += count,
            Then::Confirm(refusal) => {
                if !self.read_value::<bool>(value)? {
                    return Ok(Some((about, refusal)));
                }
                task.done += count;
            }
            Then::Listed { card, without, refusal } => {
                let cards = self.read_value::<Vec<CardNumber>>(value)?;
                let has = |wanted: &str| cards.iter().any(|card| card.sn == wanted);
                if !has(&card) || without.is_some_and(|without| has(&without)) {
                    return Ok(Some((about, refusal)));
                }
                task.done += count;
            }
            Then::Order => {
                task.orders.extend(self.read_value::<Option<i64>>(value)?);
                task.done += count;
            }
            Then::Orders(goal) => {
                let orders = self.read_value::<Vec<SubscriberOrder>>(value)?;
                next.extend(goal.parts(now, &orders));
            }
            Then::CardOrders { products, off } => {
                let orders = self.read_value::<Vec<CardOrder>>(value)?;
                let mut meant = orders
                    .iter()
                    .filter(|order| products.is_empty() || products.contains(&order.product_id))
                    .filter(|order| order.disabled != off)
                    .peekable();
                if meant.peek().is_none() {
                    task.done += count;
                }
                let days = self.speech.settings().resume_days.map(|days| Duration::from_hours(24 * u64::from(days)));
                let until = days.map(|days| now.wall_after(days));
                // A card that was never under a subscriber has one of its own number.
                let card = about.first().map(|card| card.as_str().to_owned()).unwrap_or_default();
                next.extend(meant.map(|order| {
                    let owner = order.subscriber_code.as_ref().unwrap_or(&card);
                    switch(order.order_id, owner, order.product_id, off, until).about(about.clone())
                }));
            }
            Then::Enable(smartcard_id) => {
                let info = self.read_value::<CardInfo>(value)?;
                if info.defect {
                    let ok = Operation::MarkSmartcardAsOk { smartcard_id: smartcard_id.clone() };
                    next.push_back(Part::new(ok).about(about.clone()));
                }
                next.push_back(Part::new(Operation::EnableSmartcard { smartcard_id }).about(about));
            }
            Then::Unpair(smartcard_id) => match self.read_value::<CardInfo>(value)?.stb_id {
                Some(stb_id) => {
                    next.push_back(Part::new(Operation::UnpairSmartcard { smartcard_id, stb_id }).about(about));
                }
                None => task.done += count,
            },
            Then::EndFingerprint(operation) => {
                task.done += count;
                if let Some((_, parts)) = &mut task.afterwards {
                    parts.push_back(Part::new(operation).about(about));
                }
            }
            Then::Change(told) => {
                let before = self.read_value::<Record>(value)?;
                let subscriber = subscriber::changed_record(&before, &told);
                next.push_back(Part::new(Operation::ChangeSubscriber { subscriber }));
            }
            Then::CloseOrders(code) => {
                let orders = self.read_value::<Vec<SubscriberOrder>>(value)?;
                next.extend(self.close_orders(code, &orders));
            }
            Then::CloseCards(code) => {
                let cards = self.read_value::<Vec<CardNumber>>(value)?;
                next.extend(close_cards(code, &cards));
            }
            Then::Tell(telling) => {
                if telling == Telling::Alive && !self.read_value::<bool>(value.clone())? {
                    return Ok(Some((about, ServiceError::new("not_logged_in", "the session is not known"))));
                }
                let card = about.first().map(|card| card.as_str().to_owned());
                task.findings.values.push((telling, card, value));
                task.done += count;
            }
        }
        for part in next.into_iter().rev() {
            task.parts.push_front(part);
        }
        Ok(None)
    }

    /// The order that is proven in production \[S3\]: licences, orders without cards, then the cards.
    fn close_orders(&self, code: String, orders: &[SubscriberOrder]) -> Vec<Part> {
        let mut parts = Vec::new();
        if self.speech.settings().license_blocks {
            // Not every subscriber has licences; what is in the way is told by the last call.
            let release = Operation::RemoveLicenseBlockFromSubscriber { code: code.clone() };
            parts.push(Part { despite: Despite::Anything, ..Part::new(release) });
        }
        for order in orders.iter().filter(|order| order.smartcards.is_empty() && !order.disabled) {
            parts.push(switch(order.order_id, &code, order.product_id, true, None));
        }
        let cards = Operation::GetSmartcardsOfSubscriber { code: code.clone() };
        parts.push(Part::new(cards).then(Then::CloseCards(code)));
        parts
    }
}

fn close_cards(code: String, cards: &[CardNumber]) -> Vec<Part> {
    let mut parts = Vec::new();
    for block in cards.chunks(BLOCK) {
        let smartcards = block.iter().map(|card| card.sn.clone()).collect();
        parts.push(Part::new(Operation::CleanSmartcards { smartcards }));
    }
    for card in cards {
        parts.push(Part::new(Operation::RemoveSmartcardFromSubscriber { smartcard_id: card.sn.clone() }));
    }
    parts.push(Part::new(Operation::DeleteSubscriber { code }));
    parts
}
