//! The platform's side: a Contego server with cards, authorisations, pairings, PINs and messages.
//!
//! It understands the calls of the shipped profile. Of its answers, `StatusCode`, `Message`, the namespaces and the fault
//! are as one client saw them \[S:SC\]; the rest is a stand-in like the calls.

mod call;
mod reply;

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use headgate_core::Now;
use headgate_core::http::{HttpAnswer, HttpRequest, Method};
use headgate_core::platform::{Card, Fault, Holding, Holdings};
use headgate_core::text::Secret;

use self::call::Call;
use self::reply::{Reply, fault};
use crate::http::Backend;
use crate::registry::Stock;
use crate::template::platform::{Trouble, plain_words};

/// The PIN that a card has by default, as [`Holdings`] show it.
const DEFAULT_PIN: &str = "default";

/// The status codes of a stand-in's troubles.
#[must_use]
pub const fn words(trouble: Trouble) -> (&'static str, &'static str) {
    let code = match trouble {
        Trouble::UnknownAccount | Trouble::UnknownDevice => "CLIENT_NOT_FOUND",
        _ => "INPUT_VALIDATION_ERROR",
    };
    (code, plain_words(trouble).1)
}

/// What the platform keeps.
#[derive(Debug)]
pub struct ContegoPlatform {
    /// Whom it admits; empty: everybody.
    users: BTreeMap<String, Secret>,
    /// Empty: every service is known.
    services: BTreeSet<String>,
    /// Whether only the cards in stock are known.
    only_stock: bool,
    holdings: Holdings,
    /// How many calls it answered.
    answered: u64,
}

impl ContegoPlatform {
    /// A platform that admits these users (everybody, if there are none) and knows the cards and services of `stock`;
    /// every well-formed one, if it names none.
    #[must_use]
    pub fn new(users: BTreeMap<String, Secret>, stock: &Stock) -> Self {
        let cards: BTreeMap<_, _> = stock.cards.iter().map(|card| (card.clone(), Card::default())).collect();
        Self {
            users,
            services: stock.products.iter().cloned().collect(),
            only_stock: !cards.is_empty(),
            holdings: Holdings { cards, ..Holdings::default() },
            answered: 0,
        }
    }

    /// Whether a call says who makes it. Without users, one may say nothing, but no nonsense.
    fn admits(&self, request: &HttpRequest) -> bool {
        let Some(authorization) = request.header("authorization") else { return self.users.is_empty() };
        let account = authorization.strip_prefix("Basic ").and_then(|text| STANDARD.decode(text).ok());
        let Some(account) = account.and_then(|bytes| String::from_utf8(bytes).ok()) else { return false };
        let Some((user, password)) = account.split_once(':') else { return false };
        self.users.is_empty() || self.users.get(user).is_some_and(|known| known.reveal() == password)
    }

    fn carry_out(&mut self, call: &Call, unknown: bool) -> Reply {
        if unknown || call.cards().iter().any(|card| !self.knows(card)) {
            return Reply::refused("CLIENT_NOT_FOUND", "Client not found");
        }
        match call {
            Call::Message { cards, text } => self.each(cards, |card| card.messages.push(text.clone())),
            Call::Add { cards, services, start, end } => {
                if services.iter().any(|service| !self.services.is_empty() && !self.services.contains(service)) {
                    return Reply::refused("INPUT_VALIDATION_ERROR", "Unknown service");
                }
                let holding = Holding { start: *start, end: *end, suspended: false };
                self.each(cards, |card| {
                    card.services.extend(services.iter().map(|service| (service.clone(), holding.clone())));
                })
            }
            Call::Cancel { cards, services } => {
                self.each(cards, |card| card.services.retain(|service, _| !services.contains(service)))
            }
            Call::Active { card } => {
                let held = self.holdings.cards.get(card).map(|card| card.services.clone());
                Reply::Services(held.unwrap_or_default())
            }
            Call::Pair { cards, modules } => self.each(cards, |card| card.stbs.clone_from(modules)),
            Call::AddToPairing { cards, modules } => {
                let paired = |card: &String| self.holdings.cards.get(card).is_some_and(|card| !card.stbs.is_empty());
                if !cards.iter().all(paired) {
                    return Reply::refused("INPUT_VALIDATION_ERROR", "There is no pairing to add to");
                }
                self.each(cards, |card| card.stbs.extend(modules.iter().cloned()))
            }
            Call::PairingOfCard { card } => {
                let modules = self.holdings.cards.get(card).map(|card| card.stbs.clone()).unwrap_or_default();
                Reply::Pairings(BTreeMap::from([(card.clone(), modules)]))
            }
            Call::PairingOfModule { module } => {
                let paired = self.holdings.cards.iter().filter(|(_, card)| card.stbs.contains(module));
                Reply::Pairings(paired.map(|(number, card)| (number.clone(), card.stbs.clone())).collect())
            }
            Call::Fingerprint { card } => self.each(std::slice::from_ref(card), |card| card.fingerprints += 1),
            Call::Pin { card, pin } => {
                let pin = pin.as_ref().map_or(DEFAULT_PIN, |pin| pin.reveal());
                self.each(std::slice::from_ref(card), |card| card.pin = Some(pin.to_owned()))
            }
        }
    }

    fn knows(&self, card: &str) -> bool {
        !self.only_stock || self.holdings.cards.contains_key(card)
    }

    fn each(&mut self, cards: &[String], change: impl Fn(&mut Card)) -> Reply {
        for card in cards {
            change(self.holdings.cards.entry(card.clone()).or_default());
        }
        Reply::Done
    }
}

impl Backend for ContegoPlatform {
    fn answer(&mut self, _: Now, request: &HttpRequest, refuse: Option<Fault>) -> HttpAnswer {
        if !self.admits(request) {
            return HttpAnswer::new(401, "text/plain", "");
        }
        if request.method != Method::Post {
            return HttpAnswer::new(405, "text/plain", "");
        }
        let asked = match Call::read(request) {
            Ok(asked) => asked,
            Err(refusal) => return refusal.answer(),
        };
        self.answered += 1;
        let reply = match &asked.call {
            Ok(call) => self.carry_out(call, refuse.is_some()),
            Err(field) => Reply::refused("INPUT_VALIDATION_ERROR", &format!("{field} is not valid")),
        };
        let changes = asked.call.as_ref().is_ok_and(Call::changes);
        if changes || matches!(reply, Reply::Refused { .. }) {
            self.holdings.applied += 1;
        }
        let answer = reply.write(&asked.operation, asked.namespace.as_deref(), self.answered);
        answer.unwrap_or_else(|_| fault("soap:Server", "The answer can not be written"))
    }

    fn holdings(&self) -> &Holdings {
        &self.holdings
    }
}
