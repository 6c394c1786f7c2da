//! Messages of the simulated platform.

use std::collections::{BTreeMap, BTreeSet};

use super::super::wire::Call;
use super::super::wire::call::Part;
use super::super::wire::sets::AudienceType;
use super::super::wire::types::{MessageEntity, MessageHandle, PackageList};
use super::codes::{BAD_VALUE, DONE, NOT_THERE, UNKNOWN_DEVICE, UNKNOWN_DOMAIN, UNKNOWN_PACKAGE};
use super::state::{Said, State};

/// The messages that are shown, and the texts that wait to be shown.
#[derive(Default)]
pub(super) struct Messages {
    /// By sector and number: whom they were for, and the text.
    shown: BTreeMap<(Option<i32>, i32), (MessageEntity, String)>,
    preloaded: BTreeMap<i32, String>,
}

impl State {
    /// Carries out a call that is about messages, or passes it on.
    pub(super) fn say(&mut self, call: Call) -> Said {
        let name = call.operation.name;
        let code = match call.parts.as_slice() {
            [Part::MessageEntity(to), Part::OnScreenMessage(message), packages @ ..] => {
                let texts: Vec<_> = message.texts.iter().map(|text| text.text.clone()).collect();
                let counts = (1..=2).contains(&texts.len()) && (1..=2).contains(&message.descriptors.len());
                match (counts, packages) {
                    (false, _) => BAD_VALUE,
                    // It shows nothing: it says whether it could be shown.
                    (true, _) if name == "diagnoseOSM" => self.audience(to),
                    (true, [Part::PackageList(packages)]) => self.show_to_holders(to, packages, &texts.join(" ")),
                    (true, _) => self.show(to, &message.handle, &texts.join(" ")),
                }
            }
            [Part::MessageEntity(to), Part::MessageHandle(handle)] => self.delete(to, handle),
            [Part::MessageEntity(to), Part::DeviceCommand(command)] => match self.audience(to) {
                DONE => {
                    self.commands.push((to.id.clone(), command.clone()));
                    DONE
                }
                code => code,
            },
            [Part::MessageEntity(to), Part::PreloadedMessage(message)] => match self.audience(to) {
                DONE if name == "removePreloadedMessage" => match self.messages.preloaded.remove(&message.text_id) {
                    Some(_) => DONE,
                    None => NOT_THERE,
                },
                DONE => {
                    self.messages.preloaded.insert(message.text_id, message.text.text.clone());
                    DONE
                }
                code => code,
            },
            [Part::MessageEntity(to), Part::PreloadedOnScreenMessage(message), packages @ ..] => {
                match (self.messages.preloaded.get(&message.text_id).cloned(), packages) {
                    (None, _) => NOT_THERE,
                    (Some(text), [Part::PackageList(packages)]) => self.show_to_holders(to, packages, &text),
                    (Some(text), _) => self.show(to, &message.handle, &text),
                }
            }
            _ => return self.administer(call),
        };
        Said::One(code)
    }

    fn audience(&mut self, to: &MessageEntity) -> i32 {
        match to.kind {
            AudienceType::Device if !self.knows(&to.id) => UNKNOWN_DEVICE,
            AudienceType::Domain if !self.domains.contains_key(&to.id) => UNKNOWN_DOMAIN,
            _ => DONE,
        }
    }

    fn show(&mut self, to: &MessageEntity, handle: &MessageHandle, text: &str) -> i32 {
        let code = self.audience(to);
        if code != DONE {
            return code;
        }
        if let Some(list) = self.list_of(to) {
            list.push(text.to_owned());
        }
        self.messages.shown.insert((handle.sector, handle.id), (to.clone(), text.to_owned()));
        DONE
    }

    fn show_to_holders(&mut self, to: &MessageEntity, packages: &PackageList, text: &str) -> i32 {
        let wanted: BTreeSet<_> = packages.packages.iter().map(|package| package.id.as_str()).collect();
        if wanted.is_empty() || wanted.iter().any(|package| !self.catalogue.knows_package(package)) {
            return UNKNOWN_PACKAGE;
        }
        let code = self.audience(to);
        if code != DONE {
            return code;
        }
        let everybody = to.kind == AudienceType::Global;
        let holders = self.holdings.cards.iter_mut().filter(|(id, card)| {
            (everybody || **id == to.id) && card.services.keys().any(|package| wanted.contains(package.as_str()))
        });
        holders.for_each(|(_, card)| card.messages.push(text.to_owned()));
        DONE
    }

    fn delete(&mut self, to: &MessageEntity, handle: &MessageHandle) -> i32 {
        let key = (handle.sector, handle.id);
        match self.messages.shown.remove(&key) {
            Some((shown_to, text)) if shown_to.kind == to.kind && shown_to.id == to.id => {
                if let Some(list) = self.list_of(to)
                    && let Some(at) = list.iter().rposition(|shown| *shown == text)
                {
                    list.remove(at);
                }
                DONE
            }
            Some(other) => {
                self.messages.shown.insert(key, other);
                NOT_THERE
            }
            None => NOT_THERE,
        }
    }

    /// Where messages for somebody are shown.
    fn list_of(&mut self, to: &MessageEntity) -> Option<&mut Vec<String>> {
        match to.kind {
            AudienceType::Device => Some(&mut self.card(&to.id).messages),
            AudienceType::Domain => Some(&mut self.holdings.accounts.entry(to.id.clone()).or_default().messages),
            AudienceType::Global => Some(&mut self.holdings.broadcasts),
            AudienceType::Other(_) => None,
        }
    }
}
