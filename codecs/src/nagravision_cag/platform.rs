//! The platform's side: a CAS behind its gateway, with devices, products, pairings and PINs.
//!
//! The codes and words of its refusals are its own: the vendor's are not published.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use headgate_core::Now;
use headgate_core::http::{HttpAnswer, HttpRequest};
use headgate_core::platform::{Card, Fault, Holding, Holdings};
use headgate_core::text::Serial;
use serde_json::json;

use super::settings::Settings;
use super::wire::{CommandResult, Deed, Entitlements, Reply, Scalar, WireDeviceType};
use crate::http::Backend;
use crate::http::raw::JSON;
use crate::http::token_end_point::TokenEndPoint;
use crate::registry::Stock;

/// A code of the CAS and its words.
type Said = (&'static str, &'static str);

const OK: Said = ("1028", "OK");
const UNKNOWN_DEVICE: Said = ("1201", "Device is not known");
const UNKNOWN_PRODUCT: Said = ("1202", "Product is not known");
const WRONG_DEVICE_TYPE: Said = ("1203", "Device is of another type");
const BAD_PIN: Said = ("1204", "PIN must be 1 to 16 digits");
const BAD_YEARS: Said = ("1205", "Years must be 1 to 99");

/// What the platform keeps.
#[derive(Debug)]
pub struct CagPlatform {
    settings: Arc<Settings>,
    tokens: TokenEndPoint,
    /// Empty: every product is known.
    products: BTreeSet<String>,
    /// Whether only the devices in stock are known.
    only_stock: bool,
    holdings: Holdings,
    /// How many commands the CAS had.
    commands: u64,
}

impl CagPlatform {
    /// A platform that knows the devices and products of `stock`; every one, if it names none.
    #[must_use]
    pub fn new(settings: Arc<Settings>, stock: &Stock) -> Self {
        let cards: BTreeMap<_, _> = stock.cards.iter().map(|card| (card.clone(), Card::default())).collect();
        Self {
            settings,
            tokens: TokenEndPoint::default(),
            products: stock.products.iter().cloned().collect(),
            only_stock: !cards.is_empty(),
            holdings: Holdings { cards, ..Holdings::default() },
            commands: 0,
        }
    }

    fn carry_out(&mut self, device: &str, deed: &Deed, refuse: bool) -> HttpAnswer {
        self.holdings.applied += 1;
        let known = !refuse && (!self.only_stock || self.holdings.cards.contains_key(device));
        let results = if known { self.apply(device, deed) } else { vec![(command(deed), UNKNOWN_DEVICE)] };
        let good = results.iter().all(|(_, outcome)| *outcome == OK);
        let results: Vec<_> = results.into_iter().map(|(name, outcome)| self.result(name, outcome)).collect();
        let reply = Reply {
            status: if good { "Success" } else { "Failure" }.to_owned(),
            command_count: u64::try_from(results.len()).ok(),
            command_results: results,
        };
        reply.answer(if good { 200 } else { 400 })
    }

    /// The commands of the CAS that it became, and what became of each.
    fn apply(&mut self, device: &str, deed: &Deed) -> Vec<(&'static str, Said)> {
        match deed {
            Deed::Add(entitlements) => {
                let mut results = Vec::new();
                if !entitlements.metadata_set.is_empty() {
                    results.push(("createTmsAttributes", OK));
                }
                results.push((command(deed), self.grant(device, entitlements, false)));
                results
            }
            Deed::Replace(entitlements) => vec![(command(deed), self.grant(device, entitlements, true))],
            Deed::Recover(recovery) => {
                let good = recovery.years.parse().is_ok_and(|years: u32| (1..=99).contains(&years));
                if good {
                    self.card(device).refreshes += 1;
                }
                vec![(command(deed), if good { OK } else { BAD_YEARS })]
            }
            Deed::Pair(chipset) => {
                self.card(device).stbs = BTreeSet::from([chipset.as_str().to_owned()]);
                vec![(command(deed), OK)]
            }
            Deed::SetPin(pin) => {
                let digits = pin.reveal();
                let good = (1..=16).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
                if good {
                    self.card(device).pin = Some(digits.to_owned());
                }
                vec![(command(deed), if good { OK } else { BAD_PIN })]
            }
        }
    }

    fn grant(&mut self, device: &str, body: &Entitlements, replace: bool) -> Said {
        let specification = &body.device_specification;
        let of_type = specification.device_type == WireDeviceType::from(self.settings.device_type);
        // A grant names the card of a device that has one, and no other device than its path.
        let card = body.smart_card_specification.is_some() == (specification.device_type == WireDeviceType::CardBased);
        let same = specification.device_id.as_deref().is_none_or(|id| id == device);
        if !of_type || !(card || replace) || !same {
            return WRONG_DEVICE_TYPE;
        }
        let mut products = body.entitlements.iter().map(|entitlement| &entitlement.product_id);
        if !self.products.is_empty() && !products.clone().all(|product| self.products.contains(product)) {
            return UNKNOWN_PRODUCT;
        }
        if products.any(|product| product.is_empty()) || !replace && body.entitlements.is_empty() {
            return UNKNOWN_PRODUCT;
        }
        let services = &mut self.card(device).services;
        if replace {
            services.clear();
        }
        services.extend(body.entitlements.iter().map(|e| (e.product_id.clone(), Holding::default())));
        OK
    }

    fn card(&mut self, device: &str) -> &mut Card {
        self.holdings.cards.entry(device.to_owned()).or_default()
    }

    /// Results write their number both ways, as the pages do.
    fn result(&mut self, name: &str, (code, text): Said) -> CommandResult {
        self.commands += 1;
        let number = Some(Scalar::Text(self.commands.to_string()));
        let (id, underscored_id) = if name == "pairChipSet" { (None, number) } else { (number, None) };
        CommandResult {
            command_name: name.to_owned(),
            id,
            underscored_id,
            response_code: Scalar::Text(code.to_owned()),
            response_text: text.to_owned(),
        }
    }
}

/// The CAS's name of what a call becomes \[S6, S7, S10, S11\].
const fn command(deed: &Deed) -> &'static str {
    match deed {
        Deed::Add(_) => "overwriteSector",
        Deed::Replace(_) => "overwriteEntitlements",
        Deed::Recover(_) => "recoverSectorDatecode",
        Deed::Pair(_) => "pairChipSet",
        Deed::SetPin(_) => "createParentalPinCode",
    }
}

impl Backend for CagPlatform {
    fn answer(&mut self, now: Now, request: &HttpRequest, refuse: Option<Fault>) -> HttpAnswer {
        if let Some(known) = self.settings.token.as_ref().filter(|_| self.is_login(request)) {
            let answer = self.tokens.answer(now.tick, request, known, refuse.is_some());
            self.holdings.logins = self.tokens.given();
            return answer;
        }
        if self.settings.token.is_some() && !self.tokens.admits(now.tick, request) {
            return error(401, "the token is not valid");
        }
        if request.header("nv-tenant-id") != Some(&self.settings.tenant) {
            return error(404, "the tenant is not known");
        }
        if request.header("operator") != Some(&self.settings.operator) {
            return error(400, "the operator is not known");
        }
        match Deed::read(request, &self.settings.cas_instance) {
            Ok((device, deed)) if Serial::new(&device).is_ok() => self.carry_out(&device, &deed, refuse.is_some()),
            Ok(_) => error(404, "no such device"),
            Err(status) => error(status, "no such call"),
        }
    }

    fn is_login(&self, request: &HttpRequest) -> bool {
        self.settings.token.is_some() && request.path() == self.settings.token_path
    }

    fn lose_sessions(&mut self) {
        self.tokens.forget();
    }

    fn has_sessions(&self) -> bool {
        self.settings.token.is_some()
    }

    fn holdings(&self) -> &Holdings {
        &self.holdings
    }
}

fn error(status: u16, text: &str) -> HttpAnswer {
    HttpAnswer::new(status, JSON, json!({ "message": text }).to_string())
}
