//! Texts on screens.

use super::super::wire::value::Value;
use super::super::wire::{Operation, Reply};
use super::error;
use super::state::State;
use super::subscribers::is_headcontrol;

/// The cycles that are for headcontrols and for everybody only \[S1\].
const GLOBAL_CYCLES: std::ops::RangeInclusive<i64> = 8..=255;

impl State {
    /// Shows a text; nothing: the operation is none that does.
    pub(super) fn send(&mut self, operation: &Operation) -> Option<Reply> {
        Some(match operation {
            Operation::SendOsm { target_type, target_id, text, cycle_id, .. } => {
                self.send_osm(target_type, target_id.as_deref(), text, *cycle_id)
            }
            Operation::SendBulkOsm { smartcards, text, cycle_id, .. } => {
                if cycle_id.is_some_and(|cycle| GLOBAL_CYCLES.contains(&cycle)) {
                    return Some(Err(error("global_cycle_id_used_for_single_address")));
                }
                self.know_block(smartcards).map(|()| {
                    smartcards.iter().for_each(|card| self.show_text(card, text));
                    Value::Absent
                })
            }
            _ => return None,
        })
    }

    fn send_osm(&mut self, kind: &str, id: Option<&str>, text: &str, cycle: Option<i64>) -> Reply {
        let global = cycle.is_some_and(|cycle| GLOBAL_CYCLES.contains(&cycle));
        if global && matches!(kind, "osm_sn" | "osm_sns" | "osm_pkg") {
            return Err(error("global_cycle_id_used_for_single_address"));
        }
        let id = id.unwrap_or_default();
        match kind {
            "osm_sn" => {
                self.card(id)?;
                self.show_text(id, text);
            }
            "osm_sns" => {
                let row = self.subscribers.get(id).ok_or_else(|| error("not_a_subscriber"))?;
                let cards: Vec<_> = row.cards.iter().cloned().collect();
                cards.iter().for_each(|card| self.show_text(card, text));
                self.show_subscriber(id);
                self.holdings.accounts.entry(id.to_owned()).or_default().messages.push(text.to_owned());
            }
            "osm_hc" if is_headcontrol(id) => self.holdings.broadcasts.push(text.to_owned()),
            "osm_hc" => return Err(error("not_a_headcontrol")),
            "osm_pkg" => {
                let package: i64 = id.parse().map_err(|_| error("not_a_package"))?;
                let numbers: Vec<_> = self.cards.keys().filter(|card| self.holds(card, package)).cloned().collect();
                numbers.iter().for_each(|card| self.show_text(card, text));
            }
            "osm_op" => self.holdings.broadcasts.push(text.to_owned()),
            _ => return Err(error("not_a_target_type")),
        }
        Ok(Value::Absent)
    }

    fn holds(&self, card: &str, package: i64) -> bool {
        let by_order = |product: i64| self.packages.get(&product) == Some(&package);
        self.cards.get(card).is_some_and(|row| row.packages.contains_key(&package))
            || self.orders_on(card).iter().any(|(.., order)| by_order(order.product))
    }

    fn show_text(&mut self, card: &str, text: &str) {
        self.holdings.cards.entry(card.to_owned()).or_default().messages.push(text.to_owned());
    }
}
