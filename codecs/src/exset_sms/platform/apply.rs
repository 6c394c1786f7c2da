//! What an entry does to the platform.

use headgate_core::platform::Holding;

use super::super::profile::{CommandName, ParameterName as P};
use super::super::wire::{Entry, ReadError};
use super::ExsetPlatform;

impl ExsetPlatform {
    /// Applies an entry; refused: the name of the code.
    pub(super) fn apply(&mut self, entry: Result<Entry, ReadError>, as_if_unknown: bool) -> Result<(), &'static str> {
        self.holdings.applied += 1;
        let entry = entry.map_err(|error| if error.command_known { "malformed" } else { "unknown_command" })?;
        if as_if_unknown {
            return Err("unknown_card");
        }
        let number = entry.text(P::Card).to_owned();
        if entry.command == CommandName::MessageAll {
            let text = entry.text(P::Text).to_owned();
            self.cards().values_mut().for_each(|card| card.messages.push(text.clone()));
            self.holdings.broadcasts.push(text);
            return Ok(());
        }
        let service = entry.text(P::Service).to_owned();
        let wanted = matches!(entry.command, CommandName::AddSubscription | CommandName::RemoveSubscription);
        if self.card(&number).is_none() {
            return Err("unknown_card");
        }
        if wanted && !self.known_products.is_empty() && !self.known_products.contains(&service) {
            return Err("unknown_product");
        }
        let Some(card) = self.card(&number) else { return Err("unknown_card") };
        match entry.command {
            CommandName::AddSubscription => {
                let holding = Holding { start: entry.time(P::Start), end: entry.time(P::End), suspended: false };
                card.services.insert(service, holding);
            }
            CommandName::RemoveSubscription => drop(card.services.remove(&service)),
            CommandName::Recall => card.refreshes += 1,
            CommandName::Pair => {
                let stb = entry.text(P::Stb).to_owned();
                card.stbs = [stb.clone()].into();
                for (_, other) in self.cards().iter_mut().filter(|(other, _)| **other != number) {
                    other.stbs.remove(&stb);
                }
            }
            CommandName::Unpair => card.stbs.clear(),
            CommandName::Message => card.messages.push(entry.text(P::Text).to_owned()),
            CommandName::Fingerprint => card.fingerprints += 1,
            CommandName::MessageAll => {}
        }
        Ok(())
    }
}
