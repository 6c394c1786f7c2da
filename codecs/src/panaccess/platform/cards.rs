//! What is done with cards, past subscribers and orders.

use headgate_core::Now;
use jiff::Timestamp;

use super::super::wire::records::{CardInfo, Package};
use super::super::wire::value::{Value, Wire};
use super::super::wire::{Operation, Reply};
use super::error;
use super::state::{OrderRow, State};

/// Most cards of one call \[S1\].
const MOST_CARDS: usize = 100;

/// When orders end that were given no end: the simulator's own.
fn far_ahead() -> Timestamp {
    Timestamp::from_second(4_102_444_800).unwrap_or(Timestamp::MAX)
}

impl State {
    /// Carries an operation on cards out; nothing: it is none.
    pub(super) fn apply_to_cards(&mut self, now: Now, operation: &Operation) -> Option<Reply> {
        Some(match operation {
            Operation::SetSmartcardPackages { smartcard_id, packages, activation_time, expiry_time, .. } => {
                self.set_packages(smartcard_id, packages, *activation_time, *expiry_time)
            }
            Operation::SetSmartcardProducts { sn, product_ids, expiry_time, .. } => {
                self.set_products(now, sn, product_ids, *expiry_time)
            }
            Operation::AddProductToSmartcards { smartcards, product_id, expiry_time, .. } => {
                let known = self.know_product(*product_id).and_then(|()| self.know_block(smartcards));
                known
                    .and_then(|()| {
                        smartcards.iter().try_for_each(|card| self.add_product(now, card, *product_id, *expiry_time))
                    })
                    .map(|()| Value::Absent)
            }
            Operation::RemoveProductFromSmartcards { smartcards, product_id } => {
                self.know_block(smartcards).map(|()| {
                    smartcards.iter().for_each(|card| self.take_orders(card, |order| order.product == *product_id));
                    Value::Absent
                })
            }
            Operation::CleanSmartcards { smartcards } => self.know_block(smartcards).map(|()| {
                smartcards.iter().for_each(|card| self.take_orders(card, |_| true));
                Value::Absent
            }),
            Operation::EnableSmartcard { smartcard_id } => self.change(smartcard_id, |row| row.disabled = false),
            Operation::DisableSmartcard { smartcard_id } => self.change(smartcard_id, |row| row.disabled = true),
            Operation::MarkSmartcardAsDefect { smartcard_id } => self.change(smartcard_id, |row| {
                row.defect = true;
                row.disabled = true;
            }),
            Operation::MarkSmartcardAsOk { smartcard_id } => self.change(smartcard_id, |row| row.defect = false),
            Operation::PairSmartcard { smartcard_id, stb_id } => match is_box(stb_id) {
                true => self.change(smartcard_id, |row| row.stb = Some(stb_id.clone())),
                false => Err(error("not_hexadecimal")),
            },
            Operation::UnpairSmartcard { smartcard_id, stb_id } => match is_box(stb_id) {
                true => self.change(smartcard_id, |row| row.stb = row.stb.take().filter(|paired| paired != stb_id)),
                false => Err(error("not_hexadecimal")),
            },
            Operation::ChangePinOfSmartcard { smartcard_id, pin } => match pin {
                0..=9_999 => self.change(smartcard_id, |row| row.pin = Some(*pin)),
                _ => Err(error("not_a_pin")),
            },
            Operation::RefreshSmartcard { smartcard_id } => {
                let reply = self.change(smartcard_id, |_| {});
                if reply.is_ok() {
                    self.holdings.cards.entry(smartcard_id.clone()).or_default().refreshes += 1;
                }
                reply
            }
            Operation::SetSmartcardConfigOfSmartcard { smartcard_id, config_id, .. } => {
                let reply = self.change(smartcard_id, |row| row.config = *config_id);
                // Every configuration but none is taken for one that shows a fingerprint.
                if reply.is_ok() && *config_id > 0 {
                    self.holdings.cards.entry(smartcard_id.clone()).or_default().fingerprints += 1;
                }
                reply
            }
            Operation::GetSmartcardInfo { smartcard_id } => self.card(smartcard_id).map(|row| {
                CardInfo {
                    sn: smartcard_id.clone(),
                    hc_id: Some("hc1".into()),
                    pin: row.pin,
                    paired_box: row.stb.clone(),
                    disabled: row.disabled,
                    defect: row.defect,
                    stb_id: row.stb.clone(),
                    stb_serial: None,
                }
                .write()
            }),
            Operation::GetSmartcardPackages { smartcard_id } => self
                .card(smartcard_id)
                .map(|row| row.packages.keys().map(|id| format!("package {id}")).collect::<Vec<_>>().write()),
            Operation::GetPackages {} => {
                let used = self.cards.values().flat_map(|row| row.packages.keys().copied());
                let all: std::collections::BTreeSet<i64> = used.chain(self.packages.values().copied()).collect();
                let named = |package_id: i64| Package { package_id, alias: Some(format!("package {package_id}")) };
                Ok(all.into_iter().map(named).collect::<Vec<_>>().write())
            }
            _ => return None,
        })
    }

    fn change(&mut self, card: &str, change: impl FnOnce(&mut super::state::CardRow)) -> Reply {
        self.card(card).map(|row| {
            change(row);
            Value::Absent
        })
    }

    /// A block is refused as a whole.
    pub(super) fn know_block(&mut self, cards: &[String]) -> Result<(), super::ServiceError> {
        if cards.is_empty() || cards.len() > MOST_CARDS {
            return Err(error("too_many_smartcards"));
        }
        cards.iter().try_for_each(|card| self.card(card).map(|_| ()))
    }

    fn set_packages(
        &mut self,
        card: &str,
        packages: &[i64],
        start: Option<Timestamp>,
        end: Option<Timestamp>,
    ) -> Reply {
        let row = self.card(card)?;
        if row.defect {
            return Err(error("smartcard_is_defect"));
        }
        row.packages = packages.iter().map(|package| (*package, (start, end))).collect();
        Ok(Value::Absent)
    }

    fn set_products(&mut self, now: Now, card: &str, products: &[i64], end: Option<Timestamp>) -> Reply {
        self.card(card)?;
        products.iter().try_for_each(|product| self.know_product(*product))?;
        self.take_orders(card, |order| !products.contains(&order.product));
        products.iter().try_for_each(|product| self.add_product(now, card, *product, end))?;
        Ok(Value::Absent)
    }

    /// Sees to it that the card has the product until then.
    fn add_product(
        &mut self,
        now: Now,
        card: &str,
        product: i64,
        end: Option<Timestamp>,
    ) -> Result<(), super::ServiceError> {
        let owner = self.owner(card)?;
        let id = self.next_order();
        let orders = &mut self.subscriber(&owner)?.orders;
        let end = end.unwrap_or_else(far_ahead);
        let own = |order: &&mut OrderRow| {
            order.product == product && order.cards.as_ref().is_some_and(|c| c.len() == 1 && c.contains(card))
        };
        match orders.values_mut().find(own) {
            Some(order) => order.end = end,
            None => {
                let cards = Some([card.to_owned()].into());
                orders.insert(id, OrderRow { product, start: now.wall, end, disabled: false, cards });
            }
        }
        Ok(())
    }

    /// Takes a card out of orders; those for it alone end.
    pub(super) fn take_orders(&mut self, card: &str, which: impl Fn(&OrderRow) -> bool) {
        let Some(owner) = self.cards.get(card).and_then(|row| row.owner.clone()) else { return };
        let Some(row) = self.subscribers.get_mut(&owner) else { return };
        let all = row.cards.clone();
        row.orders.retain(|_, order| {
            if !order.reaches(card) || !which(order) {
                return true;
            }
            let cards = order.cards.get_or_insert_with(|| all.clone());
            cards.remove(card);
            !cards.is_empty()
        });
    }
}

fn is_box(stb: &str) -> bool {
    stb.len() == 16 && stb.bytes().all(|b| b.is_ascii_hexdigit())
}
