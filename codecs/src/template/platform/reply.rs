//! Answers written so that the profile reads them: the reverse of [`crate::template::answer`].

use std::collections::BTreeMap;

use headgate_core::http::HttpAnswer;
use headgate_core::platform::{Holding, Holdings};
use serde_json::{Map, Value, json};

use super::state::{Target, Trouble};
use crate::http::soap;
use crate::template::answer::{AnswerForm, Devices, Services, Test};
use crate::template::table::{FormatTable, TimesTable};
use crate::template::tree::Path;
use crate::xml::write::XmlWriter;

/// What a successful answer tells beside what the platform holds.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// The platform's own number of the request, or the account's.
    pub(super) reference: String,
    /// The session that was opened.
    pub(super) session: Option<String>,
    /// What proves good credentials.
    pub(super) token: Option<String>,
}

/// A success.
#[must_use]
pub(super) fn success(form: &AnswerForm, soap: bool, told: &Told, target: &Target, holdings: &Holdings) -> HttpAnswer {
    let mut tree = Tree::new(soap);
    if let Some(test) = &form.success {
        tree.set_test(test, true);
    }
    let extract = &form.extract;
    for path in extract.reference.iter().chain(extract.keep.values()) {
        tree.set(
            path,
            typed(target.account.as_deref().filter(|_| !extract.keep.is_empty()).unwrap_or(&told.reference)),
        );
    }
    if let (Some(path), Some(session)) = (&extract.session, &told.session) {
        tree.set(path, session.as_str().into());
    }
    if let Some((account, token)) = &extract.authenticated {
        for (path, value) in [(account, &target.account), (token, &told.token)] {
            if let (Some(path), Some(value)) = (path, value) {
                tree.set(path, value.as_str().into());
            }
        }
    }
    let account = target.account.as_ref().and_then(|number| holdings.accounts.get(number));
    if let Some(services) = &extract.services {
        let mut held = Vec::new();
        for number in &target.smartcards {
            let card = holdings.cards.get(number).map(|card| &card.services);
            held.extend(card.into_iter().flatten().map(|(id, holding)| service(services, id, holding, Some(number))));
        }
        if target.smartcards.is_empty() {
            held.extend(
                account.iter().flat_map(|a| &a.services).map(|(id, holding)| service(services, id, holding, None)),
            );
        }
        tree.set_list(&services.each, held);
    }
    if let Some(pairings) = &extract.pairings {
        let cards = target.smartcards.iter().filter_map(|number| Some((number, holdings.cards.get(number)?)));
        let items = cards.map(|(number, card)| {
            let mut item = Tree::new(false);
            if let Some(path) = &pairings.smartcard {
                item.set(path, number.as_str().into());
            }
            item.set_list(&pairings.stbs, card.stbs.iter().map(|stb| stb.as_str().into()).collect());
            item.root
        });
        tree.set_list(&pairings.each, items.collect());
    }
    if let Some(devices) = &extract.devices {
        let mut numbers: Vec<_> = target.smartcards.iter().chain(&target.stbs).collect();
        if numbers.is_empty() {
            numbers.extend(account.iter().flat_map(|account| &account.devices));
        }
        tree.set_list(&devices.each, numbers.into_iter().map(|number| device(devices, number, holdings)).collect());
    }
    if let Some(subscriber) = &extract.subscriber {
        if let (Some(path), Some(number)) = (&subscriber.account, &target.account) {
            tree.set(path, typed(number));
        }
        if let Some(path) = &subscriber.state {
            tree.set(path, "ACTIVE".into());
        }
        if let Some(account) = account {
            if let Some(path) = &subscriber.devices {
                tree.set_list(path, account.devices.iter().map(|device| device.as_str().into()).collect());
            }
            if let Some(services) = &subscriber.services {
                let held = account.services.iter().map(|(id, holding)| service(services, id, holding, None));
                tree.set_list(&services.each, held.collect());
            }
            for (name, path) in &subscriber.attributes {
                if let Some(value) = account.attributes.get(name) {
                    tree.set(path, value.as_str().into());
                }
            }
        }
    }
    tree.finish(form, form.status.first().copied().unwrap_or(200))
}

/// A refusal, with the platform's code and words.
#[must_use]
pub(super) fn refusal(form: &AnswerForm, soap: bool, trouble: Trouble, code: &str, text: &str) -> HttpAnswer {
    let mut tree = Tree::new(soap);
    if let Some(test) = &form.success {
        tree.set_test(test, false);
    }
    if let Some(path) = form.error_code.first() {
        tree.set(path, typed(code));
    }
    if let Some(path) = form.error_text.first() {
        tree.set(path, text.into());
    }
    let status = match trouble {
        // A platform that tells success in its body tells errors there too.
        _ if form.success.as_ref().is_some_and(|test| !test.is.is_empty()) => {
            form.status.first().copied().unwrap_or(200)
        }
        Trouble::NotAdmitted | Trouble::SessionLost | Trouble::WrongPassword => 401,
        Trouble::Exists => 409,
        Trouble::UnknownAccount | Trouble::UnknownDevice | Trouble::UnknownThing => 404,
        Trouble::BadRequest => 400,
    };
    tree.finish(form, status)
}

fn service(form: &Services, id: &str, holding: &Holding, card: Option<&String>) -> Value {
    let mut item = Tree::new(false);
    item.set(&form.ca_id, id.into());
    if let (Some(path), Some(card)) = (&form.smartcard, card) {
        item.set(path, card.as_str().into());
    }
    for (path, time) in [(&form.start, holding.start), (&form.end, holding.end)] {
        if let (Some(path), Some(time)) = (path, time) {
            item.set(
                path,
                match form.times {
                    TimesTable::Rfc3339 => time.to_string().into(),
                    TimesTable::Epoch => time.as_second().into(),
                    TimesTable::EpochMs => time.as_millisecond().into(),
                },
            );
        }
    }
    if let Some(test) = form.suspended.as_ref().filter(|_| holding.suspended) {
        item.set_test(test, true);
    }
    item.root
}

fn device(form: &Devices, number: &str, holdings: &Holdings) -> Value {
    let mut item = Tree::new(false);
    item.set(&form.serial, number.into());
    let card = holdings.cards.get(number);
    if let Some(test) = &form.enabled {
        item.set_test(test, card.is_none_or(|card| card.disabled.is_none()));
    }
    if let Some(path) = &form.account {
        let owner = holdings.accounts.iter().find(|(_, account)| account.devices.contains(number));
        if let Some((owner, _)) = owner {
            item.set(path, owner.as_str().into());
        }
    }
    if let (Some(path), Some(card)) = (&form.paired, card) {
        item.set_list(path, card.stbs.iter().map(|stb| stb.as_str().into()).collect());
    }
    item.root
}

/// A number where the text is one, as JSON has it.
fn typed(text: &str) -> Value {
    let plain = text.parse::<i64>().ok().filter(|number| number.to_string() == text);
    plain.map_or_else(|| text.into(), Value::from)
}

/// An answer while it is put together.
struct Tree {
    root: Value,
    soap: bool,
}

impl Tree {
    const fn new(soap: bool) -> Self {
        Self { root: Value::Null, soap }
    }

    fn set_test(&mut self, test: &Test, holds: bool) {
        match test.is.first() {
            Some(text) if text == "true" || text == "false" => {
                self.set(&test.at, Value::Bool((text == "true") == holds));
            }
            Some(text) if holds => self.set(&test.at, typed(text)),
            Some(_) => self.set(&test.at, "error".into()),
            None if holds => self.set(&test.at, "1".into()),
            None => {}
        }
    }

    fn set_list(&mut self, path: &Path, items: Vec<Value>) {
        let mut names = path.written();
        if names.last() == Some(&"*") {
            names.pop();
        }
        self.put(&names, items.into());
    }

    fn set(&mut self, path: &Path, value: Value) {
        self.put(&path.written(), value);
    }

    fn put(&mut self, names: &[&str], value: Value) {
        let deep = names.first() == Some(&"**");
        let mut names: Vec<&str> = names.iter().copied().filter(|name| *name != "**").collect();
        if deep && self.soap {
            names.splice(0..0, ["Body", "*"]);
        }
        let mut place = &mut self.root;
        for name in names {
            if !place.is_object() {
                *place = Value::Object(Map::new());
            }
            let Value::Object(members) = place else { return };
            place = members.entry(name.to_owned()).or_insert(Value::Null);
        }
        *place = value;
    }

    fn finish(self, form: &AnswerForm, status: u16) -> HttpAnswer {
        match form.format {
            FormatTable::None => HttpAnswer { status, ..HttpAnswer::default() },
            FormatTable::Json => {
                let root = if self.root.is_null() { json!({}) } else { self.root };
                HttpAnswer::new(status, "application/json", root.to_string())
            }
            FormatTable::Xml => {
                let members = self.root.as_object().cloned().unwrap_or_default();
                let document = if self.soap {
                    let body = members.get("Body").cloned().unwrap_or_else(|| json!({ "*": null }));
                    soap::write(&[], |writer| write_members(writer, &body))
                } else {
                    let mut writer = XmlWriter::document();
                    write_element(&mut writer, "answer", &Value::Object(members));
                    writer.finish()
                };
                HttpAnswer::new(status, soap::CONTENT_TYPE, document.unwrap_or_default())
            }
        }
    }
}

fn write_members(writer: &mut XmlWriter, value: &Value) {
    for (name, member) in value.as_object().into_iter().flatten() {
        match member {
            Value::Array(items) => items.iter().for_each(|item| write_element(writer, name, item)),
            member => write_element(writer, name, member),
        }
    }
}

fn write_element(writer: &mut XmlWriter, name: &str, value: &Value) {
    let name = if name == "*" { "answer" } else { name };
    let attributes: BTreeMap<String, String> = value
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(name, value)| Some((name.strip_prefix('@')?.to_owned(), text(value))))
        .collect();
    let attributes: Vec<_> = attributes.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    writer.element(name, &attributes, |writer| match value {
        Value::Object(members) => {
            let inner = members.iter().filter(|(name, _)| !name.starts_with('@'));
            write_members(writer, &Value::Object(inner.map(|(name, value)| (name.clone(), value.clone())).collect()));
        }
        value => writer.text(&text(value)),
    });
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        value => value.to_string(),
    }
}
