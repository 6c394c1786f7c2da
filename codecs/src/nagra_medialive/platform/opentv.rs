//! The REST services of 3.x: what they keep, and which of them a path means.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use headgate_core::http::{HttpAnswer, HttpRequest, Method};
use headgate_core::platform::{self, Card, Holding, Holdings};
use serde_json::{Map, Value, json};

use super::{answer, error};
use crate::http::form;
use crate::nagra_medialive::members::is_secret;
use crate::nagra_medialive::settings::{AccountForm, Settings};
use crate::registry::Stock;

/// The members of a thing.
pub(super) type Members = Map<String, Value>;

/// What ADM and RMG keep.
pub(super) struct OpenTv {
    pub(super) settings: Arc<Settings>,
    pub(super) stock: Stock,
    /// By place (empty: the main one) and id.
    pub(super) accounts: BTreeMap<String, BTreeMap<String, Account>>,
    pub(super) devices: BTreeMap<String, Members>,
    /// The account of each entitlement.
    pub(super) owners: BTreeMap<String, String>,
    /// The account of each name to sign on with.
    pub(super) sign_ons: BTreeMap<String, String>,
    made: u64,
}

/// An account, and what is under it.
#[derive(Default)]
pub(super) struct Account {
    pub(super) members: Members,
    pub(super) devices: BTreeSet<String>,
    pub(super) entitlements: BTreeMap<String, Members>,
}

impl Account {
    pub(super) fn status(&self) -> &str {
        text(&self.members, "status")
    }
}

impl OpenTv {
    pub(super) fn new(settings: Arc<Settings>, stock: &Stock) -> Self {
        Self {
            settings,
            stock: stock.clone(),
            accounts: BTreeMap::new(),
            devices: BTreeMap::new(),
            owners: BTreeMap::new(),
            sign_ons: BTreeMap::new(),
            made: 0,
        }
    }

    pub(super) fn answer(&mut self, place: &str, request: &HttpRequest, holdings: &mut Holdings) -> HttpAnswer {
        let path: Vec<_> = request.path().trim_start_matches('/').split('/').map(form::unescape).collect();
        let path: Vec<_> = path.iter().map(String::as_str).collect();
        if request.method != Method::Get {
            holdings.applied += 1;
        }
        let body =
            || serde_json::from_slice::<Members>(&request.body).map_err(|_| error(400, "the body is no JSON object"));
        let result = match (request.method, path.as_slice()) {
            (Method::Post, ["adm", "v1", "accounts"]) => {
                body().and_then(|body| self.create_account(place, AccountForm::Plain, body, holdings))
            }
            (Method::Post, ["adm", "v1", "accounts", "preHashedPassword"]) => {
                body().and_then(|body| self.create_account(place, AccountForm::PreHashed, body, holdings))
            }
            (Method::Get, ["adm", "v1", "accounts", id]) => self.account(place, id),
            (Method::Put, ["adm", "v1", "accounts", id]) => {
                body().and_then(|body| self.put_account(place, AccountForm::Plain, id, body, holdings))
            }
            (Method::Put, ["adm", "v1", "accounts", "preHashedPassword", id]) => {
                body().and_then(|body| self.put_account(place, AccountForm::PreHashed, id, body, holdings))
            }
            // The twin keeps accounts alone.
            _ if !place.is_empty() => Err(error(404, "there is no such resource")),
            (Method::Post, ["adm", "v1", "devices"]) => body().and_then(|body| self.create_device(body, holdings)),
            (Method::Get, ["adm", "v1", "devices", id]) => self.device(id),
            (Method::Put, ["adm", "v1", "devices", id]) => body().and_then(|body| self.put_device(id, body, holdings)),
            (Method::Delete, ["adm", "v1", "devices", id]) => self.delete_device(id, holdings),
            (Method::Post, ["rmg", "v1", "operator", "entitlements"]) => {
                body().and_then(|body| self.grant(body, holdings))
            }
            (Method::Get, ["rmg", "v1", "operator", "entitlements"]) => self.list(request.query()),
            (Method::Put, ["rmg", "v1", "operator", "entitlements", id]) => {
                body().and_then(|body| self.change_entitlement(id, body, holdings))
            }
            _ => Err(error(404, "there is no such resource")),
        };
        result.unwrap_or_else(|refusal| refusal)
    }

    /// The caller's id of a new thing, or one of our own.
    pub(super) fn new_id(&mut self, members: &Members) -> String {
        match text(members, "_id") {
            "" => {
                self.made += 1;
                format!("id-{}", self.made)
            }
            id => id.to_owned(),
        }
    }

    pub(super) fn knows_device(&self, id: &str) -> bool {
        self.stock.cards.is_empty() || self.stock.cards.iter().any(|card| card == id)
    }

    /// Copies what is kept of an account, and of the devices under it, to the holdings.
    pub(super) fn show(&self, place: &str, id: &str, holdings: &mut Holdings) {
        let Some(account) = self.accounts.get(place).and_then(|accounts| accounts.get(id)) else { return };
        let shown = if place.is_empty() { id.to_owned() } else { format!("{place}/{id}") };
        let attribute = |(name, value): (&String, &Value)| match value {
            Value::String(text) if !is_secret(name) && !["_id", "status"].contains(&name.as_str()) => {
                Some((name.clone(), text.clone()))
            }
            _ => None,
        };
        holdings.accounts.insert(
            shown,
            platform::Account {
                state: account.status().to_owned(),
                devices: account.devices.clone(),
                services: services(account, None),
                attributes: account.members.iter().filter_map(attribute).collect(),
                ..platform::Account::default()
            },
        );
        for device in &account.devices {
            let status = self.devices.get(device).map_or("", |members| text(members, "status"));
            let card = Card {
                disabled: (status != "ENABLED").then(|| status.to_owned()),
                services: services(account, Some(device)),
                ..Card::default()
            };
            holdings.cards.insert(device.clone(), card);
        }
    }
}

/// What an account may show everywhere, or on one device.
fn services(account: &Account, device: Option<&str>) -> BTreeMap<String, Holding> {
    let time = |members: &Members, name| text(members, name).parse().ok();
    let here = account.entitlements.values().filter(|members| {
        text(members, "status") == "SUBSCRIBED" && members.get("deviceId").and_then(Value::as_str) == device
    });
    here.map(|members| {
        let holding = Holding { start: time(members, "validFrom"), end: time(members, "expiryDate"), suspended: false };
        (text(members, "productId").to_owned(), holding)
    })
    .collect()
}

/// A member that is a text; empty: there is none.
pub(super) fn text<'a>(members: &'a Members, name: &str) -> &'a str {
    members.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// Refuses a thing that lacks a member.
pub(super) fn demand(members: &Members, names: &[&str]) -> Result<(), HttpAnswer> {
    match names.iter().find(|name| members.get(**name).is_none_or(Value::is_null)) {
        Some(name) => Err(error(400, &format!("{name} is mandatory"))),
        None => Ok(()),
    }
}

/// Refuses a member that has none of these values.
pub(super) fn demand_one_of(members: &Members, name: &str, values: &[&str]) -> Result<(), HttpAnswer> {
    if values.contains(&text(members, name)) { Ok(()) } else { Err(error(400, &format!("{name} is not valid"))) }
}

/// Makes a thing what the call says: what it leaves out becomes null.
pub(super) fn replace(members: &mut Members, by: Members) {
    for (name, value) in members.iter_mut() {
        if name != "_id" && !by.contains_key(name) {
            *value = Value::Null;
        }
    }
    members.extend(by);
}

pub(super) fn created(id: &str) -> HttpAnswer {
    answer(201, &json!({ "_id": id }))
}

pub(super) fn changed(matched: u64) -> HttpAnswer {
    answer(200, &json!({ "matchedCount": matched, "modifiedCount": matched }))
}
