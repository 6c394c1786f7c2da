//! Subscribers and the cards they own.

use super::super::wire::records::CardNumber;
use super::super::wire::value::{Record, Value, Wire};
use super::super::wire::{Operation, Reply};
use super::error;
use super::state::{State, SubscriberRow};

impl State {
    /// Carries an operation on subscribers out; nothing: it is none.
    pub(super) fn apply_to_subscribers(&mut self, operation: &Operation) -> Option<Reply> {
        Some(match operation {
            Operation::AddSubscriber { subscriber } => self.add_subscriber(subscriber),
            Operation::ChangeSubscriber { subscriber } => self.change_subscriber(subscriber),
            Operation::GetSubscriber { code } => self
                .subscriber(code)
                .map(|row| Value::Record(Record { kind: "Subscriber".into(), ..row.record.clone() })),
            Operation::SubscriberExists { code } => Ok(Value::Bool(self.subscribers.contains_key(code))),
            Operation::DeleteSubscriber { code } => match self.subscriber(code) {
                Ok(row) if !row.cards.is_empty() => Err(error("subscriber_has_smartcards")),
                Ok(_) => {
                    self.subscribers.remove(code);
                    Ok(Value::Absent)
                }
                Err(refusal) => Err(refusal),
            },
            Operation::GetSmartcardsOfSubscriber { code } => self.subscriber(code).map(|row| {
                let card = |sn: &String| CardNumber { sn: sn.clone(), checksum: Some("7".into()) };
                row.cards.iter().map(card).collect::<Vec<_>>().write()
            }),
            Operation::RemoveLicenseBlockFromSubscriber { code } => self.subscriber(code).map(|_| Value::Bool(true)),
            Operation::AddSmartcardToSubscriber { smartcard_id, code } => self.add_card(smartcard_id, code),
            Operation::RemoveSmartcardFromSubscriber { smartcard_id } => self.remove_card(smartcard_id),
            Operation::ReplaceSmartcardOfSubscriber {
                subscriber_code,
                old_smartcard_id,
                new_smartcard_id,
                allow_exchange,
            } => self.replace(subscriber_code, old_smartcard_id, new_smartcard_id, *allow_exchange),
            _ => return None,
        })
    }

    fn add_subscriber(&mut self, record: &Record) -> Reply {
        let text = |name: &str| match record.get(name) {
            Some(Value::Text(text)) if !text.is_empty() => Some(text.clone()),
            Some(Value::Number(number)) => Some(number.to_string()),
            _ => None,
        };
        let code = text("code").ok_or_else(|| error("not_a_subscriber"))?;
        let country = text("countryCode").unwrap_or_default();
        if self.subscribers.contains_key(&code) {
            return Err(error("not_unique"));
        }
        if country.len() != 2 || !country.bytes().all(|b| b.is_ascii_uppercase()) {
            return Err(error("not_a_country_code"));
        }
        if !is_headcontrol(&text("hcId").unwrap_or_default()) {
            return Err(error("not_a_headcontrol"));
        }
        self.subscribers.insert(code.clone(), SubscriberRow { record: record.clone(), ..SubscriberRow::default() });
        Ok(Value::Text(code))
    }

    /// Contacts and addresses are left alone \[S1\].
    fn change_subscriber(&mut self, record: &Record) -> Reply {
        let Some(Value::Text(code)) = record.get("code") else { return Err(error("not_a_subscriber")) };
        let row = self.subscriber(code)?;
        for (name, value) in &record.members {
            if !matches!(&**name, "contacts" | "addresses") {
                row.record.set(name.clone(), value.clone());
            }
        }
        Ok(Value::Absent)
    }

    fn add_card(&mut self, card: &str, code: &str) -> Reply {
        self.subscriber(code)?;
        let row = self.card(card)?;
        if row.owner.is_some() {
            return Err(error("smartcard_assigned_already"));
        }
        row.owner = Some(code.to_owned());
        self.subscriber(code)?.cards.insert(card.to_owned());
        Ok(Value::Absent)
    }

    /// What was kept of the card goes.
    fn remove_card(&mut self, card: &str) -> Reply {
        self.card(card)?;
        self.take_orders(card, |order| order.cards.is_some());
        let row = self.card(card)?;
        let owner = row.owner.take();
        *row = super::state::CardRow { disabled: row.disabled, defect: row.defect, ..Default::default() };
        if let Some(owner) = owner {
            if let Some(row) = self.subscribers.get_mut(&owner) {
                row.cards.remove(card);
            }
            self.show_subscriber(&owner);
        }
        Ok(Value::Absent)
    }

    /// All orders move to the new card.
    fn replace(&mut self, code: &str, old: &str, new: &str, exchange: bool) -> Reply {
        if !self.subscriber(code)?.cards.contains(old) {
            return Err(error("subscriber_does_not_own_smartcard"));
        }
        let other = self.card(new)?.owner.clone();
        match &other {
            Some(_) if !exchange => return Err(error("smartcard_assigned_already")),
            Some(owner) if owner == code => return Err(error("smartcard_assigned_already")),
            _ => {}
        }
        self.card(new)?.owner = Some(code.to_owned());
        self.card(old)?.owner = other.clone();
        let owners = [(Some(code.to_owned()), old, new), (other.clone(), new, old)];
        for (owner, gone, come) in owners {
            let Some(row) = owner.and_then(|owner| self.subscribers.get_mut(&owner)) else { continue };
            row.cards.remove(gone);
            row.cards.insert(come.to_owned());
            for cards in row.orders.values_mut().filter_map(|order| order.cards.as_mut()) {
                if cards.remove(gone) {
                    cards.insert(come.to_owned());
                }
            }
        }
        if let Some(other) = other {
            self.show_subscriber(&other);
        }
        Ok(Value::Absent)
    }
}

/// The simulator knows every headcontrol whose name begins like this.
pub(super) fn is_headcontrol(id: &str) -> bool {
    id.starts_with("hc")
}
